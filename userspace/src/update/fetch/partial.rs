//! Files that have not arrived whole, and how to go on with them.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::super::{feed::Url, store::Validators};

/// What is noted of a file that is not whole, beside it.
#[derive(Serialize, Deserialize)]
struct Note {
    /// Where it comes from, without the query.
    url: String,
    /// Of which version it is.
    #[serde(flatten)]
    validators: Validators,
}

/// The beginning of a file.
pub(super) struct Partial {
    /// How many bytes there are.
    pub(super) here: u64,
    /// Of which version.
    pub(super) validators: Validators,
    /// What says that the rest is of the same version.
    pub(super) validator: String,
}

impl Partial {
    /// Where the note is.
    fn note(path: &Path) -> PathBuf {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        path.with_file_name(name)
    }

    /// What is there of a file of this address, if the rest of it can be asked for.
    pub(super) fn of(path: &Path, url: &Url) -> Option<Self> {
        let here = fs::metadata(path).ok()?.len();
        let note: Note = serde_json::from_slice(&fs::read(Self::note(path)).ok()?).ok()?;
        // A weak one says that versions mean the same, not that their bytes are the same.
        let strong = |etag: &&String| !etag.starts_with("W/");
        let Validators {
            etag,
            last_modified,
        } = &note.validators;
        let validator = etag.as_ref().filter(strong).or(last_modified.as_ref())?;
        (here > 0 && note.url == url.to_string()).then(|| Self {
            here,
            validator: validator.clone(),
            validators: note.validators.clone(),
        })
    }

    /// Begins a file anew, and notes of which version it is.
    pub(super) fn begin(path: &Path, url: &Url, validators: &Validators) -> io::Result<File> {
        let note = Note {
            url: url.to_string(),
            validators: validators.clone(),
        };
        // The file is empty before it is said to be of this version.
        Self::forget(path)?;
        let file = File::create(path)?;
        fs::write(Self::note(path), serde_json::to_vec(&note)?)?;
        Ok(file)
    }

    /// The file is whole, or of no use.
    pub(super) fn forget(path: &Path) -> io::Result<()> {
        match fs::remove_file(Self::note(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
