//! What can go wrong with a directory, in words that say what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the state directory could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused something.
    #[error(
        "cannot {what} {}: {source}; is it a directory of the user that updates, with room on its disk? \
         --directory names another", path.display()
    )]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Somebody else is changing the same source.
    #[error("{} is being updated by another process; try again when that is done", path.display())]
    Busy {
        /// The source's directory.
        path: PathBuf,
    },
    /// A note that was left beside data is not what was written there.
    #[error("{} is damaged: {source}; remove the directory that it is in, and update again", path.display())]
    Note {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// There is no source of that name.
    #[error("{} has no data of a source `{name}`; it has {}", directory.display(), listed(known))]
    Unknown {
        /// The state directory.
        directory: PathBuf,
        /// The name.
        name: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// There is no generation before the one in force.
    #[error("{} keeps no generation before the one in force; `geodrop geoip update --keep` keeps more", path.display())]
    NothingBefore {
        /// The source's directory.
        path: PathBuf,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none at all".to_owned();
    }
    names.join(", ")
}

/// An operation on a file failed.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}
