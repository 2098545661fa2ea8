//! What is pinned for one interface.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::{fd::AsFd as _, unix::fs::DirBuilderExt as _},
    path::{Path, PathBuf},
};

use super::{list, network_namespace};
use crate::datapath::{error::DatapathError, sys};

/// The directory of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) directory: PathBuf,
    /// The inode of the interface's network namespace.
    pub namespace: u64,
    /// The interface's index there.
    pub index: u32,
}

impl Place {
    pub(super) fn from_directory(directory: &Path) -> Option<Self> {
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

    pub(in crate::datapath) fn link(&self) -> PathBuf {
        self.directory.join("link")
    }

    pub(in crate::datapath) fn counters(&self) -> PathBuf {
        self.directory.join("counters")
    }

    pub(in crate::datapath) fn exceptions(&self) -> PathBuf {
        self.directory.join("exceptions")
    }

    /// Why the last reload failed.
    pub(in crate::datapath) fn failure(&self) -> PathBuf {
        self.directory.join("failure")
    }

    /// What is asked of the process that looks after the filter.
    pub(in crate::datapath) fn request(&self) -> PathBuf {
        self.directory.join("request")
    }

    pub(in crate::datapath) fn flows(&self) -> PathBuf {
        self.directory.join("flows")
    }

    pub(in crate::datapath) fn contacted(&self) -> PathBuf {
        self.directory.join("contacted")
    }

    /// What somebody wants to see of packets that drop, and sees.
    pub(in crate::datapath) fn watch(&self) -> WatchPins {
        let directory = self.directory.join("watch");
        WatchPins {
            cell: directory.join("cell"),
            bucket: directory.join("bucket"),
            events: directory.join("events"),
            missed: directory.join("missed"),
            directory,
        }
    }

    pub(in crate::datapath) fn egress_link(&self) -> PathBuf {
        self.directory.join("egress-link")
    }

    /// What is to be known of a filter of traffic control at the way out.
    pub(in crate::datapath) fn egress_filter(&self) -> PathBuf {
        self.directory.join("egress-filter")
    }

    /// Whether it is one of the calling thread's network namespace.
    pub(in crate::datapath) fn is_of_this_namespace(&self) -> Result<bool, DatapathError> {
        Ok(network_namespace()? == self.namespace)
    }

    /// The generations that are pinned here, oldest first.
    pub(in crate::datapath) fn generations(&self) -> Result<Vec<GenerationPins>, DatapathError> {
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

    /// The generation whose program has this id.
    pub(in crate::datapath) fn generation_of(
        &self,
        program: u32,
    ) -> Result<Option<GenerationPins>, DatapathError> {
        let mut generations = self.generations()?.into_iter();
        Ok(generations.find(|pins| pins.program_id() == Some(program)))
    }

    /// Makes an empty directory for the generation after all that are here.
    pub(in crate::datapath) fn next_generation(&self) -> Result<GenerationPins, DatapathError> {
        let number = self.generations()?.last().map_or(1, |last| last.number + 1);
        let directory = self.directory.join(format!("generation-{number}"));
        create_directory(&directory)?;
        Ok(GenerationPins { directory, number })
    }

    /// Moves all that is pinned here to the place of another interface, where nothing is.
    pub(in crate::datapath) fn rename(&self, to: &Self) -> Result<(), DatapathError> {
        fs::rename(&self.directory, &to.directory)
            .map_err(DatapathError::pin("renaming", &self.directory))
    }

    /// Removes all that is pinned here, but not the directory, which is locked.
    pub(in crate::datapath) fn clear(&self) -> Result<(), DatapathError> {
        remove_below(&self.directory)
    }

    /// Removes all that is pinned here, whatever version pinned it.
    pub(in crate::datapath) fn remove(&self) -> Result<(), DatapathError> {
        remove_tree(&self.directory)
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
    pub(in crate::datapath) fn program(&self) -> PathBuf {
        self.directory.join("program")
    }

    /// The id of the program, if that is pinned.
    fn program_id(&self) -> Option<u32> {
        let program = sys::object::open_pin(&self.program()).ok()?;
        Some(sys::object::program_info(program.as_fd()).ok()?.id)
    }

    pub(in crate::datapath) fn ipv4(&self) -> PathBuf {
        self.directory.join("ipv4")
    }

    pub(in crate::datapath) fn ipv6(&self) -> PathBuf {
        self.directory.join("ipv6")
    }

    pub(in crate::datapath) fn egress(&self) -> PathBuf {
        self.directory.join("egress")
    }

    pub(in crate::datapath) fn control(&self) -> PathBuf {
        self.directory.join("control")
    }

    /// Of a generation on trial, what holds the program of the one before it.
    pub(in crate::datapath) fn predecessor(&self) -> PathBuf {
        self.directory.join("predecessor")
    }

    pub(in crate::datapath) fn about(&self) -> PathBuf {
        self.directory.join("about")
    }

    /// What was collected while it, or one before it, only counted.
    pub(in crate::datapath) fn report(&self) -> ReportPins {
        let directory = self.directory.join("report");
        ReportPins {
            counters: directory.join("counters"),
            sources: directory.join("sources"),
            ports: directory.join("ports"),
            period: directory.join("period"),
            directory,
        }
    }

    pub(in crate::datapath) fn remove(&self) -> Result<(), DatapathError> {
        remove_tree(&self.directory)
    }
}

/// The pins of a report.
#[derive(Clone, Debug)]
pub(in crate::datapath) struct ReportPins {
    directory: PathBuf,
    pub(in crate::datapath) counters: PathBuf,
    pub(in crate::datapath) sources: PathBuf,
    pub(in crate::datapath) ports: PathBuf,
    /// From when, and until when.
    pub(in crate::datapath) period: PathBuf,
}

impl ReportPins {
    /// Makes the directory, which is not there yet.
    pub(in crate::datapath) fn create(&self) -> Result<(), DatapathError> {
        create_directory(&self.directory)
    }
}

/// The pins of a watch.
#[derive(Clone, Debug)]
pub(in crate::datapath) struct WatchPins {
    pub(super) directory: PathBuf,
    /// What somebody wants to see.
    pub(in crate::datapath) cell: PathBuf,
    pub(in crate::datapath) bucket: PathBuf,
    pub(in crate::datapath) events: PathBuf,
    pub(in crate::datapath) missed: PathBuf,
}

impl WatchPins {
    /// Makes the directory, if it is not there yet; whether it was not.
    pub(in crate::datapath) fn create(&self) -> Result<bool, DatapathError> {
        if self.directory.exists() {
            return Ok(false);
        }
        create_directory(&self.directory)?;
        Ok(true)
    }

    pub(in crate::datapath) fn remove(&self) -> Result<(), DatapathError> {
        remove_tree(&self.directory)
    }
}

/// Makes a directory, but not the one that it is in: should that be gone, another one would not be the one that is locked.
fn create_directory(directory: &Path) -> Result<(), DatapathError> {
    DirBuilder::new()
        .mode(0o700)
        .create(directory)
        .map_err(DatapathError::pin("making the directory", directory))
}

/// Pins the map at `from` also at `to`.
pub(in crate::datapath) fn share(from: &Path, to: &Path) -> Result<(), DatapathError> {
    sys::object::open_pin(from)
        .and_then(|map| sys::object::pin(map.as_fd(), to))
        .map_err(DatapathError::pin("pinning a shared map at", to))
}

/// Removes a directory and all below it; it is no error if it is gone. The link goes last, so that what is
/// left after a failure is still found as a filter.
fn remove_tree(directory: &Path) -> Result<(), DatapathError> {
    remove_below(directory)?;
    gone(fs::remove_dir(directory), directory)
}

fn remove_below(directory: &Path) -> Result<(), DatapathError> {
    let mut paths = list(directory)?;
    paths.sort_by_key(|path| path.file_name() == Some(OsStr::new("link")));
    for path in paths {
        let is_directory = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_directory {
            remove_tree(&path)?;
        } else {
            remove_pin(&path)?;
        }
    }
    Ok(())
}

/// Removes a pin, if it is there.
pub(in crate::datapath) fn remove_pin(path: &Path) -> Result<(), DatapathError> {
    gone(fs::remove_file(path), path)
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
    fn a_place_is_known_by_its_directory() {
        let place = Place::from_directory(Path::new("/x/4026531840-2")).unwrap();
        assert_eq!((place.namespace, place.index), (4_026_531_840, 2));
        for other in ["/x/link", "/x/-", "/x/1-", "/x/a-b"] {
            assert_eq!(Place::from_directory(Path::new(other)), None, "{other}");
        }
    }
}
