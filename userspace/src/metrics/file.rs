//! Metrics in a file, as the textfile collector of `node_exporter` reads it.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::MetricsError;

/// Whoever reads it is another user, whatever the file mode creation mask says.
const MODE: u32 = 0o644;

/// Whether it could be written: its directory is there, and takes files of this process.
pub(super) fn check(path: &Path) -> Result<(), MetricsError> {
    let failed = failed(path);
    let new = draft(path);
    create(&new, "").map_err(&failed)?;
    fs::remove_file(&new).map_err(&failed)
}

/// Writes it, in one step for whoever reads it.
pub(super) fn write(path: &Path, text: &str) -> Result<(), MetricsError> {
    let new = draft(path);
    create(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .map_err(failed(path))
}

/// Removes it: what it says is true no more.
pub(super) fn remove(path: &Path) {
    // Not written yet, or removed by somebody else.
    let _ = fs::remove_file(path);
}

/// Makes a file anew, whatever is there: another user's link in its place would lead us elsewhere.
fn create(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())
}

/// Where it is until it is whole. The collector reads only what ends with `.prom`.
fn draft(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> MetricsError {
    move |source| MetricsError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_and_readable_for_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("geodrop.prom");
        check(&path).unwrap();
        assert!(!path.exists());
        for text in ["first\n", "second\n"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, MODE);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
        remove(&path);
        assert!(!path.exists());
    }

    #[test]
    fn a_link_in_its_place_leads_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let [path, other] = ["geodrop.prom", "other"].map(|name| directory.path().join(name));
        fs::write(&other, "untouched").unwrap();
        std::os::unix::fs::symlink(&other, draft(&path)).unwrap();
        write(&path, "text").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "untouched");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_with_a_remedy() {
        let error = check(Path::new("/nonexistent/geodrop.prom")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("/nonexistent/geodrop.prom"), "{error}");
        assert!(error.contains("--metrics-file"), "{error}");
    }
}
