//! Where filters live: pins under the bpf file system.
//!
//! ```text
//! /sys/fs/bpf/geodrop/            the root
//!   4026531840-2/                 an interface: inode of its network namespace, its index
//!     link                        holds the program on the interface
//!     counters, exceptions        outlive generations
//!     watch/                      what somebody wants to see of packets that drop
//!       cell, bucket, events, missed
//!     request, failure            a reload asked for; why the last one failed
//!     generation-7/
//!       program                   the one under the link; any other generation is a left-over
//!       ipv4, ipv6                its tables, whatever their engine
//!       control                   what may change while it runs
//!       report/                   what was collected while it, or one before it, only counted
//!         counters, sources, ports
//!         period                  from when, and until when, as JSON
//!       predecessor               on trial only: holds the program of the generation before
//!       about                     what it was made of, as JSON
//! ```
//!
//! The name says the network namespace because several share one bpf file system, and index not name
//! because interfaces are renamed and bpffs takes no dots. A generation is whole before its program goes
//! under the link, and the link decides which one is in force: so a crash at any point leaves either the old
//! filter or the new one, and left-overs that the next command removes.
//!
//! One process at a time works on an interface: it holds an flock(2) on the interface's directory, which
//! the kernel drops when the process dies. Whoever watches its packets holds another one, on `watch`.

mod lock;
mod place;

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    mount::{MountFlags, mount},
};

pub use lock::Lock;
pub use place::{GenerationPins, Place};
pub(super) use place::{ReportPins, WatchPins, remove_pin, share};

use super::{error::DatapathError, interface::Interface, privileges};

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
    /// When this process may not, when it can do neither, or when what it mounted would vanish with it.
    pub fn prepare(&self) -> Result<bool, DatapathError> {
        privileges::check()?;
        let mounted = !self.is_on_bpffs()? && self.mount()?;
        make_directory(&self.path)?;
        Ok(mounted)
    }

    /// Whether the root, or where it would be made, is on a bpf file system.
    fn is_on_bpffs(&self) -> Result<bool, DatapathError> {
        let mut ancestors = self.path.ancestors();
        let existing = ancestors.find(|path| path.exists());
        is_bpffs(existing.unwrap_or(Path::new("/")))
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
    /// When the root cannot be read, or the bpf file system cannot be seen from here.
    pub fn places(&self) -> Result<Vec<Place>, DatapathError> {
        if !self.is_on_bpffs()? && mounts_are_private() {
            // "There is no filter" would be a lie: whether there is cannot be seen from here.
            return Err(DatapathError::PrivateMounts {
                path: Path::new(BPFFS).to_owned(),
            });
        }
        let mut places: Vec<_> = list(&self.path)?
            .iter()
            .filter_map(|directory| Place::from_directory(directory))
            .collect();
        places.sort_by_key(|place| (place.namespace, place.index));
        Ok(places)
    }

    /// Removes the root if nothing is pinned there.
    pub fn tidy(&self) {
        // Not empty, or not there: both are fine.
        let _ = fs::remove_dir(&self.path);
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

fn make_directory(path: &Path) -> Result<(), DatapathError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => DatapathError::Unwritable {
                path: path.to_owned(),
            },
            _ => DatapathError::pin("making the directory", path)(error),
        })
}

/// What is in a directory; nothing if it does not exist.
fn list(directory: &Path) -> Result<Vec<PathBuf>, DatapathError> {
    let failed = |error| DatapathError::pin("reading", directory)(error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(DatapathError::Unreadable {
                path: directory.to_owned(),
            });
        }
        Err(error) => return Err(failed(error)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect()
}
