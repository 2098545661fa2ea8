//! Notes that are kept in the kernel beside a filter: maps of one element, each holding JSON.
//!
//! They live and die with their pins, and a newer or older geodrop can read them.

use std::{
    ffi::OsString,
    fs, io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{error::DatapathError, pins::remove_pin, sys};

/// Writes a note and pins it where nothing is pinned yet.
pub(super) fn pin(path: &Path, note: &impl Serialize) -> Result<(), DatapathError> {
    let json = serde_json::to_vec(note).map_err(io::Error::other);
    let pinned = json.and_then(|json| {
        let cell = sys::map::create_cell("geodrop_note", json.len())?;
        sys::map::update(cell.as_fd(), &0_u32.to_ne_bytes(), &json)?;
        sys::object::pin(cell.as_fd(), path)
    });
    pinned.map_err(DatapathError::pin("writing", path))
}

/// Writes a note in place of the one that may be there: whoever reads finds the one or the other.
pub(super) fn replace(path: &Path, note: &impl Serialize) -> Result<(), DatapathError> {
    let new = draft(path);
    remove_pin(&new)?;
    pin(&new, note)?;
    fs::rename(&new, path).map_err(DatapathError::pin("writing", path))
}

/// Removes what is left of a note whose writer died over it.
pub(super) fn remove_draft(path: &Path) -> Result<(), DatapathError> {
    remove_pin(&draft(path))
}

/// Where a note is until it is whole.
fn draft(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-new");
    name.into()
}

/// Reads the note that is pinned at `path`; `None` if there is none.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DatapathError> {
    let cell = match sys::object::open_pin(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        cell => cell,
    };
    let read = cell
        .and_then(|cell| sys::map::read_cell(cell.as_fd()))
        .and_then(|json| serde_json::from_slice(&json).map_err(io::Error::other));
    read.map(Some).map_err(DatapathError::pin("reading", path))
}
