//! Files and directories that are on disk whole, or not at all.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use super::error::{StoreError, failed};

/// The numbers that a directory has, in order; none if it is not there.
pub(super) fn numbers(directory: &Path) -> Result<Vec<u64>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed("read", directory)(source)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("read", directory))?;
        numbers.extend(
            entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u64>().ok()),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a note.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let text = fs::read(path).map_err(failed("read", path))?;
    serde_json::from_slice(&text).map_err(|source| StoreError::Note {
        path: path.to_owned(),
        source,
    })
}

/// Writes a note whole, or leaves what was there.
pub(super) fn write(path: &Path, note: &impl Serialize) -> Result<(), StoreError> {
    let text = serde_json::to_vec_pretty(note).map_err(|source| StoreError::Note {
        path: path.to_owned(),
        source,
    })?;
    let new = path.with_extension("new");
    fs::write(&new, text).map_err(failed("write", &new))?;
    sync(&new)?;
    rename(&new, path)
}

/// Waits until a file or directory is on disk.
pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    let file = File::open(path).map_err(failed("open", path))?;
    file.sync_all().map_err(failed("write", path))
}

/// Renames, and waits until that is on disk.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(failed("make", parent))?;
    }
    fs::rename(from, to).map_err(failed("write", to))?;
    to.parent().map_or(Ok(()), sync)
}

/// Removes a directory with all that is in it, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    absent_is_fine(fs::remove_dir_all(path)).map_err(failed("remove", path))
}

/// Removes a file, if it is there.
pub(super) fn remove_file(path: &Path) -> Result<(), StoreError> {
    absent_is_fine(fs::remove_file(path)).map_err(failed("remove", path))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
