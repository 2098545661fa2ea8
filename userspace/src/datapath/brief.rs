//! Steps that change what packets meet, one at a time.
//!
//! A `geodrop run` holds its place for as long as it lives ([`super::pins::Lock`]), and exceptions, confirmations and
//! deadlines must come through meanwhile. So all that goes together with what is in force, and is done in an instant,
//! is done under a lock of its own: an flock(2) on the directory of all places.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use super::{error::DatapathError, pins::Place};

/// The right to change what is in force, for an instant. The kernel takes it back when the process dies.
#[derive(Debug)]
pub(super) struct Turn {
    _file: File,
}

impl Turn {
    /// Waits for it.
    ///
    /// # Errors
    ///
    /// When the directory cannot be opened: nothing is pinned, or not by this user.
    pub(super) fn at(place: &Place) -> Result<Self, DatapathError> {
        let directory = place.directory();
        let root = directory.parent().unwrap_or(directory);
        let failed = |error| DatapathError::pin("locking", root)(error);
        let file = File::open(root).map_err(failed)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self { _file: file })
    }
}
