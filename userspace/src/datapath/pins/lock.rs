//! Who looks after a filter: an flock(2) on its directory.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{Place, WatchPins, make_directory};
use crate::datapath::{error::DatapathError, interface::Interface, watch::WatchError};

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
            let file = match File::open(&self.directory) {
                // Whoever had it locked removed it just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                result => result.map_err(failed)?,
            };
            if let Some(owner) = lock_or_owner(&file).map_err(failed)? {
                return Err(DatapathError::Owned {
                    interface: interface.name.clone(),
                    owner,
                });
            }
            let locked = file.metadata().map_err(failed)?.ino();
            // Whoever had the lock before may have removed the directory with it.
            if fs::metadata(&self.directory).is_ok_and(|there| there.ino() == locked) {
                return Ok(Lock {
                    directory: self.directory.clone(),
                    file,
                });
            }
        }
    }

    /// Who holds the lock, as words for a person; `None` when nobody does.
    #[must_use]
    pub fn locked_by(&self) -> Option<String> {
        self.holder().map(describe)
    }

    /// The process that holds the lock.
    pub(in crate::datapath) fn holder(&self) -> Option<u32> {
        let directory = fs::metadata(&self.directory).ok()?;
        holder(Inode::of(&directory))
    }
}

impl WatchPins {
    /// Takes the lock on the directory, which is held until the file is closed.
    pub(in crate::datapath) fn lock(&self, interface: &Interface) -> Result<File, DatapathError> {
        let failed = |error| DatapathError::pin("locking", &self.directory)(error);
        let file = File::open(&self.directory).map_err(failed)?;
        match lock_or_owner(&file).map_err(failed)? {
            None => Ok(file),
            Some(owner) => Err(WatchError::Watched {
                interface: interface.name.clone(),
                owner,
            }
            .into()),
        }
    }
}

/// Takes the lock on a directory; who has it, if somebody else does.
fn lock_or_owner(directory: &File) -> io::Result<Option<String>> {
    match flock(directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => Ok(Some(owner(directory))),
        Err(error) => Err(error.into()),
    }
}

/// The lock on a place: held until dropped, or until the process dies. Dropped, it takes the place's directory
/// along if nothing is pinned there.
#[derive(Debug)]
pub struct Lock {
    directory: PathBuf,
    file: File,
}

impl Lock {
    /// The same lock, after the directory was renamed.
    pub(in crate::datapath) fn renamed(&self, place: &Place) -> Result<Self, DatapathError> {
        let directory = place.directory.clone();
        match self.file.try_clone() {
            Ok(file) => Ok(Self { directory, file }),
            Err(error) => Err(DatapathError::pin("locking", directory)(error)),
        }
    }
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

/// How often `/proc/locks` is read before a lock that is not in it counts as free. The kernel hands it out piece by piece, by
/// position: a lock before the place reached, of which somebody lets go meanwhile, moves the next one out of sight.
const LOOKS: usize = 5;

/// Who holds an flock(2) on a file.
fn holder(inode: Inode) -> Option<u32> {
    (0..LOOKS).find_map(|_| lock_holder(&fs::read_to_string("/proc/locks").ok()?, inode))
}

/// Who holds an flock(2) on `file`, in words.
fn owner(file: &File) -> String {
    let inode = file.metadata().map(|metadata| Inode::of(&metadata));
    match inode.ok().and_then(holder) {
        Some(process) => describe(process),
        None => {
            "another geodrop process (of a process namespace that this one does not see)".to_owned()
        }
    }
}

fn describe(process: u32) -> String {
    match fs::read_to_string(format!("/proc/{process}/comm")) {
        Ok(name) => format!("process {process} ({})", name.trim()),
        Err(_) => format!("process {process}"),
    }
}

/// What tells a file from all others, as `/proc/locks` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode {
    major: u32,
    minor: u32,
    number: u64,
}

impl Inode {
    fn of(metadata: &Metadata) -> Self {
        Self {
            major: rustix::fs::major(metadata.dev()),
            minor: rustix::fs::minor(metadata.dev()),
            number: metadata.ino(),
        }
    }

    /// Reads `00:1b:4711`: the device in hexadecimal, the number in decimal.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        Some(Self {
            major: u32::from_str_radix(fields.next()?, 16).ok()?,
            minor: u32::from_str_radix(fields.next()?, 16).ok()?,
            number: fields.next()?.parse().ok()?,
        })
    }
}

/// The process that holds an flock(2) on a file: `1: FLOCK ADVISORY WRITE 713 00:1b:4711 0 EOF`.
fn lock_holder(locks: &str, inode: Inode) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let kind = fields.next()?;
        let process = fields.nth(2)?;
        let locked = Inode::parse(fields.next()?)?;
        (kind == "FLOCK" && locked == inode)
            .then(|| process.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_by_device_and_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 10 00:1b:4711 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 712 00:1c:4711 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 713 00:1b:4711 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 714 00:1b:4712 0 EOF\n";
        let holder = |locks, text| lock_holder(locks, Inode::parse(text).unwrap());
        assert_eq!(holder(locks, "00:1b:4711"), Some(713));
        assert_eq!(holder(locks, "00:1b:4712"), Some(714));
        assert_eq!(holder(locks, "00:1b:1"), None);
        assert_eq!(holder("nonsense\n\n1:\n", "00:1b:1"), None);
    }
}
