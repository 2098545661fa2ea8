//! Files whose change is reason for a reload.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

/// What tells one state of a file from another: which file it is, how large, and when it was changed, in seconds and
/// nanoseconds. A file that is replaced by renaming another one is another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// Files, and how they were when they were last read.
#[derive(Debug, Default)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    read: Vec<Option<Stamp>>,
    /// How they were when they were last looked at.
    seen: Vec<Option<Stamp>>,
}

impl Files {
    /// Files that are read now.
    pub(super) fn of(paths: Vec<PathBuf>) -> Self {
        let read: Vec<_> = paths.iter().map(stamp).collect();
        Self {
            paths,
            seen: read.clone(),
            read,
        }
    }

    /// These are the files now. Those that were known are as they were when they were read: what happened to one since
    /// then counts.
    pub(super) fn are(&mut self, paths: Vec<PathBuf>) {
        let known = |path: &PathBuf| {
            let place = self.paths.iter().position(|other| other == path)?;
            self.read.get(place).copied()
        };
        self.read = paths
            .iter()
            .map(|path| known(path).unwrap_or_else(|| stamp(path)))
            .collect();
        self.seen.clone_from(&self.read);
        self.paths = paths;
    }

    /// They are read anew now.
    pub(super) fn renew(&mut self) {
        *self = Self::of(std::mem::take(&mut self.paths));
    }

    /// Whether one has changed since it was read, and none any more since this was last asked: then whoever writes them is
    /// done.
    pub(super) fn have_changed(&mut self) -> bool {
        let now: Vec<_> = self.paths.iter().map(stamp).collect();
        let settled = now == self.seen;
        self.seen = now;
        settled && self.seen != self.read
    }
}

/// The state of a file; `None` if there is none.
fn stamp(path: &PathBuf) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.toml");
        fs::write(&path, "1").unwrap();
        let mut files = Files::of(vec![path.clone()]);
        assert!(!files.have_changed());
        fs::write(&path, "22").unwrap();
        assert!(!files.have_changed());
        fs::write(&path, "333").unwrap();
        assert!(!files.have_changed());
        assert!(files.have_changed());
        files.renew();
        assert!(!files.have_changed());

        // As editors and configuration management do it.
        let other = directory.path().join("new");
        fs::write(&other, "444").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(!files.have_changed());
        assert!(files.have_changed());
    }

    #[test]
    fn a_change_while_files_are_read_counts() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
        fs::write(&first, "1").unwrap();
        fs::write(&second, "1").unwrap();
        let mut files = Files::of(vec![first.clone()]);
        files.renew();
        fs::write(&first, "22").unwrap();
        files.are(vec![second, first]);
        assert!(!files.have_changed());
        assert!(files.have_changed());
    }
}
