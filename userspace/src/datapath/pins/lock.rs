//! Who looks after a filter: an flock(2) on its directory.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{Place, make_directory};
use crate::datapath::{error::DatapathError, interface::Interface};

impl Place {
    /// Makes the directory if it is missing, and takes its lock.
    ///
    /// # Errors
    ///
    /// [`DatapathError::Owned`] when another process has it.
    pub fn lock(&self, interface: &Interface) -> Result<Lock, DatapathError> {
        let failed = |error| DatapathError::pin("locking", &self.directory)(error);
        loop {
            make_directory(&self.directory)?;
            let file = File::open(&self.directory).map_err(failed)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(DatapathError::Owned {
                        interface: interface.name.clone(),
                        owner: owner(&file),
                    });
                }
                Err(error) => return Err(failed(error.into())),
            }
            let locked = file.metadata().map_err(failed)?.ino();
            // Whoever had the lock before may have removed the directory with it.
            if fs::metadata(&self.directory).is_ok_and(|there| there.ino() == locked) {
                return Ok(Lock {
                    directory: self.directory.clone(),
                    _file: file,
                });
            }
        }
    }

    /// Who holds the lock, as words for a person; `None` when nobody does.
    #[must_use]
    pub fn locked_by(&self) -> Option<String> {
        let file = File::open(&self.directory).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => Some(owner(&file)),
            _ => None,
        }
    }
}

/// The lock on a place: held until dropped, or until the process dies. Dropped, it takes the place's directory
/// along if nothing is pinned there.
#[derive(Debug)]
pub struct Lock {
    directory: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // They stay where something is in them, and that is all that can go wrong.
        let _ = fs::remove_dir(&self.directory);
        if let Some(root) = self.directory.parent() {
            let _ = fs::remove_dir(root);
        }
    }
}

/// Who holds an flock(2) on `file`, from `/proc/locks`.
fn owner(file: &File) -> String {
    let unknown = "another geodrop process (of a process namespace that this one does not see)";
    let Ok(inode) = file.metadata().map(|metadata| metadata.ino()) else {
        return unknown.to_owned();
    };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let Some(process) = lock_holder(&locks, inode) else {
        return unknown.to_owned();
    };
    match fs::read_to_string(format!("/proc/{process}/comm")) {
        Ok(name) => format!("process {process} ({})", name.trim()),
        Err(_) => format!("process {process}"),
    }
}

/// The process that holds a lock on the inode: `1: FLOCK ADVISORY WRITE 713 00:1b:4711 0 EOF`.
fn lock_holder(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let kind = fields.next()?;
        let process = fields.nth(2)?;
        let (_, locked) = fields.next()?.rsplit_once(':')?;
        (kind == "FLOCK" && locked.parse() == Ok(inode))
            .then(|| process.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_by_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 10 fe:00:4711 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 713 00:1b:4711 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 714 00:1b:4712 0 EOF\n";
        assert_eq!(lock_holder(locks, 4711), Some(713));
        assert_eq!(lock_holder(locks, 4712), Some(714));
        assert_eq!(lock_holder(locks, 1), None);
        assert_eq!(lock_holder("nonsense\n\n1:\n", 1), None);
    }
}
