//! What can go wrong while the guard looks.

use std::{io, path::PathBuf};

use crate::datapath::DatapathError;

/// Why the guard cannot tell whom a filter would cut off.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The processes cannot be seen.
    #[error(
        "cannot find out whose session this is, and so whether the filter would cut it off: {}: {source}; mount the \
         process file system with `mount -t proc proc /proc`, or go on unguarded with --force",
        path.display()
    )]
    Processes {
        /// What cannot be read.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },

    /// The kernel does not answer questions about its network.
    #[error("cannot find out whom the filter would cut off: {0}; go on unguarded with --force")]
    Network(#[from] DatapathError),
}
