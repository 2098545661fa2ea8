//! Where filters live: pins under the bpf file system.
//!
//! ```text
//! /sys/fs/bpf/geodrop/            the root
//!   4026531840-2/                 an interface: inode of its network namespace, its index
//!     link                        holds the program on the interface
//!     counters                    outlives generations
//!     generation-7/
//!       program                   the one under the link; any other generation is a left-over
//!       ipv4, ipv6                its tables
//!       about                     what it was made of, as JSON
//! ```
//!
//! The name says the network namespace because several share one bpf file system, and index not name
//! because interfaces are renamed and bpffs takes no dots. A generation is whole before its program goes
//! under the link, and the link decides which one is in force: so a crash at any point leaves either the old
//! filter or the new one, and left-overs that the next command removes.
//!
//! One process at a time works on an interface: it holds an flock(2) on the interface's directory, which
//! the kernel drops when the process dies.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    mount::{MountFlags, mount},
};

use super::{error::DatapathError, interface::Interface};

/// Where pins are, unless said otherwise.
pub const DEFAULT_ROOT: &str = "/sys/fs/bpf/geodrop";

/// Where the bpf file system is mounted by convention.
const BPFFS: &str = "/sys/fs/bpf";

/// The magic number of the bpf file system (`include/uapi/linux/magic.h`).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// The directory under which all filters are pinned.
#[derive(Clone, Debug)]
pub struct Root {
    path: PathBuf,
}

impl Root {
    /// The root at `path`, whether it exists or not.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes sure that the root can be used: mounts the bpf file system if it is missing, makes the directory.
    ///
    /// Returns whether it had to mount.
    ///
    /// # Errors
    ///
    /// When it can do neither, or what it mounted would vanish with this process.
    pub fn prepare(&self) -> Result<bool, DatapathError> {
        let existing = self
            .path
            .ancestors()
            .find(|path| path.exists())
            .unwrap_or(Path::new("/"));
        let mounted = !is_bpffs(existing)? && self.mount()?;
        make_directory(&self.path)?;
        Ok(mounted)
    }

    /// Mounts the bpf file system; returns false where another process did so first.
    fn mount(&self) -> Result<bool, DatapathError> {
        let place = Path::new(BPFFS);
        let failed = |source: io::Error| DatapathError::BpfFileSystem {
            path: place.to_owned(),
            source,
        };
        if !self.path.starts_with(place) {
            return Err(DatapathError::BpfFileSystem {
                path: self.path.clone(),
                source: io::Error::other("geodrop itself mounts it at /sys/fs/bpf only"),
            });
        }
        if mounts_are_private() {
            return Err(DatapathError::PrivateMounts {
                path: place.to_owned(),
            });
        }
        // Two mounts would stack, and the upper one hide what is pinned in the lower: one process at a time.
        let underneath = File::open(place).map_err(failed)?;
        flock(&underneath, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        if is_bpffs(place)? {
            return Ok(false);
        }
        mount("bpf", place, "bpf", MountFlags::empty(), Some(c"mode=0700"))
            .map_err(|error| failed(error.into()))?;
        Ok(true)
    }

    /// The place of an interface of the calling thread's network namespace.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be told.
    pub fn place(&self, interface: &Interface) -> Result<Place, DatapathError> {
        let namespace = network_namespace()?;
        Ok(Place {
            directory: self.path.join(format!("{namespace}-{}", interface.index)),
            namespace,
            index: interface.index,
        })
    }

    /// All places where something is pinned, of all network namespaces; none if there is no root.
    ///
    /// # Errors
    ///
    /// When the root cannot be read.
    pub fn places(&self) -> Result<Vec<Place>, DatapathError> {
        let mut places: Vec<_> = list(&self.path)?
            .iter()
            .filter_map(|directory| Place::from_directory(directory))
            .collect();
        places.sort_by_key(|place| (place.namespace, place.index));
        Ok(places)
    }

    /// Removes the root if nothing is pinned there.
    pub(super) fn tidy(&self) {
        // Not empty, or not there: both are fine.
        let _ = fs::remove_dir(&self.path);
    }
}

/// The directory of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    directory: PathBuf,
    /// The inode of the interface's network namespace.
    pub namespace: u64,
    /// The interface's index there.
    pub index: u32,
}

impl Place {
    fn from_directory(directory: &Path) -> Option<Self> {
        let (namespace, index) = directory.file_name()?.to_str()?.split_once('-')?;
        Some(Self {
            directory: directory.to_owned(),
            namespace: namespace.parse().ok()?,
            index: index.parse().ok()?,
        })
    }

    /// The directory itself.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn link(&self) -> PathBuf {
        self.directory.join("link")
    }

    pub(super) fn counters(&self) -> PathBuf {
        self.directory.join("counters")
    }

    /// The generations that are pinned here, oldest first.
    pub(super) fn generations(&self) -> Result<Vec<GenerationPins>, DatapathError> {
        let mut generations: Vec<_> = list(&self.directory)?
            .into_iter()
            .filter_map(|directory| {
                let name = directory.file_name()?.to_str()?;
                let number = name.strip_prefix("generation-")?.parse().ok()?;
                Some(GenerationPins { directory, number })
            })
            .collect();
        generations.sort_by_key(|generation| generation.number);
        Ok(generations)
    }

    /// Makes an empty directory for the generation after all that are here.
    pub(super) fn next_generation(&self) -> Result<GenerationPins, DatapathError> {
        let number = self.generations()?.last().map_or(1, |last| last.number + 1);
        let directory = self.directory.join(format!("generation-{number}"));
        make_directory(&directory)?;
        Ok(GenerationPins { directory, number })
    }

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

    /// Removes all that is pinned here, whatever version pinned it.
    pub(super) fn remove(&self) -> Result<(), DatapathError> {
        remove_tree(&self.directory)
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

/// The pins of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationPins {
    directory: PathBuf,
    /// The generation's number; the first is 1.
    pub number: u64,
}

impl GenerationPins {
    pub(super) fn program(&self) -> PathBuf {
        self.directory.join("program")
    }

    pub(super) fn ipv4(&self) -> PathBuf {
        self.directory.join("ipv4")
    }

    pub(super) fn ipv6(&self) -> PathBuf {
        self.directory.join("ipv6")
    }

    pub(super) fn about(&self) -> PathBuf {
        self.directory.join("about")
    }

    pub(super) fn remove(&self) -> Result<(), DatapathError> {
        remove_tree(&self.directory)
    }
}

fn is_bpffs(path: &Path) -> Result<bool, DatapathError> {
    let file_system =
        rustix::fs::statfs(path)
            .map_err(io::Error::from)
            .map_err(DatapathError::system(format!(
                "looking at {}",
                path.display()
            )))?;
    Ok(u64::try_from(file_system.f_type) == Ok(BPF_FS_MAGIC))
}

/// The inode of the calling thread's network namespace: what tells namespaces apart.
fn network_namespace() -> Result<u64, DatapathError> {
    fs::metadata("/proc/thread-self/ns/net")
        .map(|metadata| metadata.ino())
        .map_err(DatapathError::system("asking for the network namespace"))
}

/// Whether mounts made by this process are seen by it alone, and end with it.
fn mounts_are_private() -> bool {
    let ours = fs::metadata("/proc/self/ns/mnt").map(|metadata| metadata.ino());
    let init = fs::metadata("/proc/1/ns/mnt").map(|metadata| metadata.ino());
    matches!((ours, init), (Ok(ours), Ok(init)) if ours != init)
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

fn make_directory(path: &Path) -> Result<(), DatapathError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(DatapathError::pin("making the directory", path))
}

/// What is in a directory; nothing if it does not exist.
fn list(directory: &Path) -> Result<Vec<PathBuf>, DatapathError> {
    let failed = |error| DatapathError::pin("reading", directory)(error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect()
}

/// Removes a directory and all below it; it is no error if it is gone. The link goes last, so that what is
/// left after a failure is still found as a filter.
fn remove_tree(directory: &Path) -> Result<(), DatapathError> {
    let mut paths = list(directory)?;
    paths.sort_by_key(|path| path.file_name() == Some(OsStr::new("link")));
    for path in paths {
        let is_directory = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_directory {
            remove_tree(&path)?;
        } else {
            gone(fs::remove_file(&path), &path)?;
        }
    }
    gone(fs::remove_dir(directory), directory)
}

fn gone(result: io::Result<()>, path: &Path) -> Result<(), DatapathError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(DatapathError::pin("removing the pin", path)),
    }
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

    #[test]
    fn a_place_is_known_by_its_directory() {
        let place = Place::from_directory(Path::new("/x/4026531840-2")).unwrap();
        assert_eq!((place.namespace, place.index), (4_026_531_840, 2));
        for other in ["/x/link", "/x/-", "/x/1-", "/x/a-b"] {
            assert_eq!(Place::from_directory(Path::new(other)), None, "{other}");
        }
    }
}
