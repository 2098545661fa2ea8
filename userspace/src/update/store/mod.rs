//! Where fetched data is kept, and what of it is in force.
//!
//! ```text
//! /var/lib/geodrop/               the state directory
//!   changed                       written whenever some data came into force: what a systemd.path unit can watch
//!   rir/                          a source
//!     lock                        held by whoever changes something here
//!     current                     a link to generations/7: the data in force
//!     generations/5 … 7/          data that was accepted, its files and `about.json`
//!     refused/8/                  data that was not, and `refusal.json`, which says why
//!     incoming/                   what is being fetched, to be gone on with
//! ```
//!
//! Generations and refused data are counted in one row, so the numbers say what came after what. All files of a directory
//! are on disk before the directory gets its number by being renamed, and `current` is switched by a rename, too: a crash
//! leaves the data before or the data after in force.

mod disk;
mod error;
mod notes;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use disk::{numbers, read, remove, remove_file, rename, sync, write};
use error::failed;
use jiff::Timestamp;

use crate::geoip::Source;

pub use error::StoreError;
pub use notes::{About, Grounds, Part, Refusal, Validators};

/// The state directory that the systemd units have.
pub const DEFAULT_DIRECTORY: &str = "/var/lib/geodrop";

/// How many generations are kept if nobody says otherwise, the one in force among them.
pub const DEFAULT_KEEP: usize = 3;

const CURRENT: &str = "current";
const GENERATIONS: &str = "generations";
const REFUSED: &str = "refused";
const INCOMING: &str = "incoming";
const STAGING: &str = "staging";
const REFUSAL: &str = "refusal.json";
const CHANGED: &str = "changed";

/// Data that is kept: a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// Its directory.
    pub path: PathBuf,
    /// What is noted of it.
    pub about: About,
}

/// The fetched data of one source: what is in force, what was, and what was refused. A directory.
#[derive(Clone, Debug)]
pub struct History {
    state: PathBuf,
    path: PathBuf,
}

/// The right to change a [`History`], until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

/// The sources that a state directory has data of, by name.
///
/// # Errors
///
/// When there is no such directory, or it cannot be read.
pub fn names(state: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(state).map_err(failed("read", state))? {
        let entry = entry.map_err(failed("read", state))?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().join(GENERATIONS).is_dir()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

impl History {
    /// The directory of a source in a state directory, whether there is one or not.
    #[must_use]
    pub fn new(state: &Path, name: &str) -> Self {
        Self {
            state: state.to_owned(),
            path: state.join(name),
        }
    }

    /// The directory of a source that has data.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or the state directory cannot be read.
    pub fn of_known(state: &Path, name: &str) -> Result<Self, StoreError> {
        let known = names(state)?;
        if known.iter().any(|one| one == name) {
            return Ok(Self::new(state, name));
        }
        Err(StoreError::Unknown {
            directory: state.to_owned(),
            name: name.to_owned(),
            known,
        })
    }

    /// The directory of the source that a policy reads under this path; `None` if the path is none of [`Self::current_path`].
    #[must_use]
    pub fn of_current(path: &Path) -> Option<Self> {
        let history = path.parent().filter(|_| path.ends_with(CURRENT))?;
        let state = history.parent()?;
        history.join(GENERATIONS).is_dir().then(|| Self {
            state: state.to_owned(),
            path: history.to_owned(),
        })
    }

    /// The path under which a policy reads the data in force.
    #[must_use]
    pub fn current_path(&self) -> PathBuf {
        self.path.join(CURRENT)
    }

    /// Makes sure that nobody else changes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`], or when its directory cannot be made.
    pub fn lock(&self) -> Result<Lock, StoreError> {
        fs::create_dir_all(self.path.join(GENERATIONS)).map_err(failed("make", &self.path))?;
        let path = self.path.join("lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Busy {
                path: self.path.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
        }
    }

    /// The data in force; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When what is noted of it cannot be read.
    pub fn current(&self) -> Result<Option<Kept>, StoreError> {
        let Some(number) = self.current_number()? else {
            return Ok(None);
        };
        let path = self.generation(number);
        let about = read(&path.join(Source::BESIDE))?;
        Ok(Some(Kept {
            number,
            path,
            about,
        }))
    }

    /// The latest data, if it is not in force: what was refused, or rolled back, since the data in force came.
    ///
    /// # Errors
    ///
    /// When what is noted of it cannot be read.
    pub fn refused(&self) -> Result<Option<(Kept, Refusal)>, StoreError> {
        let current = self.current_number()?;
        let latest = numbers(&self.path.join(REFUSED))?.pop();
        let newer = latest.filter(|number| Some(*number) > current);
        newer.map(|number| self.read_refused(number)).transpose()
    }

    /// All that was refused and is still kept, the latest last.
    ///
    /// # Errors
    ///
    /// When what is noted of it cannot be read.
    pub fn all_refused(&self) -> Result<Vec<(Kept, Refusal)>, StoreError> {
        let numbers = numbers(&self.path.join(REFUSED))?;
        let all = numbers.into_iter().map(|number| self.read_refused(number));
        all.collect()
    }

    fn read_refused(&self, number: u64) -> Result<(Kept, Refusal), StoreError> {
        let path = self.refused_path(number);
        let about = read(&path.join(Source::BESIDE))?;
        let refusal = read(&path.join(REFUSAL))?;
        let kept = Kept {
            number,
            path,
            about,
        };
        Ok((kept, refusal))
    }

    /// The directory in which files are while they are fetched.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn incoming(&self, _: &Lock) -> Result<PathBuf, StoreError> {
        let path = self.path.join(INCOMING);
        fs::create_dir_all(&path).map_err(failed("make", &path))?;
        Ok(path)
    }

    /// An empty directory in which to put data together.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn staging(&self, _: &Lock) -> Result<PathBuf, StoreError> {
        let path = self.path.join(STAGING);
        remove(&path)?;
        fs::create_dir_all(&path).map_err(failed("make", &path))?;
        Ok(path)
    }

    /// Throws away what was put together, and what was left of fetching it.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn discard(&self, _: &Lock) -> Result<(), StoreError> {
        remove(&self.path.join(STAGING))?;
        remove(&self.path.join(INCOMING))
    }

    /// Puts what [`Self::staging`] holds in force, and forgets all but the latest `keep` generations.
    ///
    /// # Errors
    ///
    /// When the disk refuses it; what was in force stays so.
    pub fn accept(&self, lock: &Lock, about: &About, keep: usize) -> Result<Kept, StoreError> {
        let staging = self.path.join(STAGING);
        write(&staging.join(Source::BESIDE), about)?;
        let number = self.number(&staging, GENERATIONS)?;
        self.put_in_force(lock, number, keep)?;
        Ok(Kept {
            number,
            path: self.generation(number),
            about: about.clone(),
        })
    }

    /// Puts data in force that was refused.
    ///
    /// # Errors
    ///
    /// When the disk refuses it; what was in force stays so.
    pub fn accept_refused(
        &self,
        lock: &Lock,
        refused: &Kept,
        about: &About,
        keep: usize,
    ) -> Result<Kept, StoreError> {
        write(&refused.path.join(Source::BESIDE), about)?;
        let path = self.generation(refused.number);
        rename(&refused.path, &path)?;
        remove_file(&path.join(REFUSAL))?;
        self.put_in_force(lock, refused.number, keep)?;
        Ok(Kept {
            number: refused.number,
            path,
            about: about.clone(),
        })
    }

    /// Keeps what [`Self::staging`] holds aside, and forgets all but the latest `keep` that were refused.
    ///
    /// # Errors
    ///
    /// When the disk refuses it.
    pub fn refuse(
        &self,
        _: &Lock,
        about: &About,
        refusal: &Refusal,
        keep: usize,
    ) -> Result<Kept, StoreError> {
        let staging = self.path.join(STAGING);
        write(&staging.join(Source::BESIDE), about)?;
        write(&staging.join(REFUSAL), refusal)?;
        let number = self.number(&staging, REFUSED)?;
        self.prune(REFUSED, keep)?;
        Ok(Kept {
            number,
            path: self.refused_path(number),
            about: about.clone(),
        })
    }

    /// Puts the generation before the one in force in force again. The one that was is refused from now on: an update does
    /// not bring it back.
    ///
    /// # Errors
    ///
    /// [`StoreError::NothingBefore`]; or when the disk refuses it, and what was in force stays so.
    pub fn roll_back(&self, lock: &Lock, why: &str, keep: usize) -> Result<Kept, StoreError> {
        let nothing = || StoreError::NothingBefore {
            path: self.path.clone(),
        };
        let current = self.current_number()?.ok_or_else(nothing)?;
        let all = numbers(&self.path.join(GENERATIONS))?;
        let before = all.into_iter().rfind(|number| *number < current);
        let before = before.ok_or_else(nothing)?;
        let refusal = Refusal {
            at: Timestamp::now(),
            grounds: Grounds::RolledBack,
            why: vec![why.to_owned()],
        };
        write(&self.generation(current).join(REFUSAL), &refusal)?;
        self.switch(before)?;
        self.tidy(lock)?;
        self.prune(REFUSED, keep)?;
        self.tell()?;
        // It was read as a number, so the link leads somewhere.
        self.current()?.ok_or_else(nothing)
    }

    /// Does what a command that was killed left undone: a generation after the one in force was rolled back.
    ///
    /// # Errors
    ///
    /// When the disk refuses it.
    pub fn tidy(&self, _: &Lock) -> Result<(), StoreError> {
        let current = self.current_number()?;
        for number in numbers(&self.path.join(GENERATIONS))? {
            let path = self.generation(number);
            if Some(number) <= current {
                continue;
            }
            if path.join(REFUSAL).exists() {
                rename(&path, &self.refused_path(number))?;
            } else {
                // It was accepted, and never came into force: the next update brings it again.
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn put_in_force(&self, _: &Lock, number: u64, keep: usize) -> Result<(), StoreError> {
        self.switch(number)?;
        self.prune(GENERATIONS, keep)?;
        self.tell()
    }

    /// Makes `current` lead to a generation, in one step.
    fn switch(&self, number: u64) -> Result<(), StoreError> {
        let link = self.path.join("current.new");
        remove_file(&link)?;
        let target = Path::new(GENERATIONS).join(number.to_string());
        symlink(target, &link).map_err(failed("make", &link))?;
        rename(&link, &self.current_path())
    }

    /// Tells whoever watches the state directory.
    fn tell(&self) -> Result<(), StoreError> {
        let path = self.state.join(CHANGED);
        let line = format!("{} {}\n", Timestamp::now(), self.path.display());
        fs::write(&path, line).map_err(failed("write", &path))
    }

    /// Gives a directory that is whole the next number.
    fn number(&self, staging: &Path, row: &str) -> Result<u64, StoreError> {
        let latest = [GENERATIONS, REFUSED].map(|row| numbers(&self.path.join(row)));
        let mut next = 1;
        for numbers in latest {
            next = next.max(numbers?.last().map_or(0, |last| last + 1));
        }
        let row = self.path.join(row);
        fs::create_dir_all(&row).map_err(failed("make", &row))?;
        for entry in fs::read_dir(staging).map_err(failed("read", staging))? {
            let path = entry.map_err(failed("read", staging))?.path();
            sync(&path)?;
        }
        sync(staging)?;
        rename(staging, &row.join(next.to_string()))?;
        Ok(next)
    }

    /// Forgets all but the latest; never what is in force.
    fn prune(&self, row: &str, keep: usize) -> Result<(), StoreError> {
        let row = self.path.join(row);
        let current = self.current_number()?;
        let numbers = numbers(&row)?;
        for number in numbers.iter().rev().skip(keep) {
            if row.ends_with(REFUSED) || Some(*number) != current {
                remove(&row.join(number.to_string()))?;
            }
        }
        Ok(())
    }

    fn current_number(&self) -> Result<Option<u64>, StoreError> {
        let path = self.current_path();
        match fs::read_link(&path) {
            Ok(target) => Ok(target
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path)(source)),
        }
    }

    fn generation(&self, number: u64) -> PathBuf {
        self.path.join(GENERATIONS).join(number.to_string())
    }

    fn refused_path(&self, number: u64) -> PathBuf {
        self.path.join(REFUSED).join(number.to_string())
    }
}
