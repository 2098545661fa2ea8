//! Files whose change is reason for a reload.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

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

    /// These are the files now, which were read after `began`. Those that were known are as they were when they were
    /// read: what happened to one since then counts.
    pub(super) fn are(&mut self, paths: Vec<PathBuf>, began: SystemTime) {
        let known = |path: &PathBuf| {
            let place = self.paths.iter().position(|other| other == path)?;
            self.read.get(place).copied()
        };
        self.read = paths
            .iter()
            .map(|path| known(path).unwrap_or_else(|| stamp_before(path, began)))
            .collect();
        self.seen.clone_from(&self.read);
        self.paths = paths;
    }

    /// These are files too, which were read after `began`, or were to be.
    pub(super) fn are_also(&mut self, paths: Vec<PathBuf>, began: SystemTime) {
        let mut all = self.paths.clone();
        for path in paths {
            if !all.contains(&path) {
                all.push(path);
            }
        }
        self.are(all, began);
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

/// The state of a file as it was at a time; `None` if that cannot be told, because it has changed since then.
fn stamp_before(path: &PathBuf, time: SystemTime) -> Option<Stamp> {
    // File systems tell the time by the timer's last tick.
    const TICK: Duration = Duration::from_millis(10);
    let metadata = fs::metadata(path).ok()?;
    let changed = u64::try_from(metadata.ctime()).ok()?;
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).ok()?;
    let changed = SystemTime::UNIX_EPOCH + Duration::new(changed, nanoseconds) + TICK;
    if changed < time { stamp(path) } else { None }
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
    fn a_link_that_leads_elsewhere_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second, link, new] =
            ["first", "second", "current", "new"].map(|name| directory.path().join(name));
        fs::create_dir(&first).unwrap();
        fs::create_dir(&second).unwrap();
        std::os::unix::fs::symlink("first", &link).unwrap();
        let mut files = Files::of(vec![link.clone()]);
        assert!(!files.have_changed());
        // As fetched data comes into force.
        std::os::unix::fs::symlink("second", &new).unwrap();
        fs::rename(&new, &link).unwrap();
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
        files.are(
            vec![second, first],
            SystemTime::now() + Duration::from_secs(1),
        );
        assert!(!files.have_changed());
        assert!(files.have_changed());
    }

    #[test]
    fn a_file_that_was_not_known_counts_from_when_reading_began() {
        let directory = tempfile::tempdir().unwrap();
        let [known, unchanged, changed] =
            ["known", "unchanged", "changed"].map(|name| directory.path().join(name));
        for path in [&known, &unchanged, &changed] {
            fs::write(path, "1").unwrap();
        }
        let later = SystemTime::now() + Duration::from_secs(1);
        let mut files = Files::of(vec![known.clone()]);
        files.are_also(vec![known.clone(), unchanged], later);
        assert!(!files.have_changed());
        assert!(!files.have_changed());

        files.are_also(vec![known, changed], SystemTime::UNIX_EPOCH);
        assert!(!files.have_changed());
        assert!(files.have_changed());
    }
}
