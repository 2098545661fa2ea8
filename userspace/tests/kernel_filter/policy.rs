//! Policy files that change while a process looks after what they say.

use std::{fs, path::PathBuf};

/// A policy file, in a directory that ends with the test.
pub(crate) struct File {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    pub(crate) fn new(content: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.toml");
        let file = Self {
            _directory: directory,
            path,
        };
        file.write(content);
        file
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Replaces it as editors do.
    pub(crate) fn write(&self, content: &str) {
        let new = self.path.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, &self.path).unwrap();
    }
}

pub(crate) const CHINA: &str = "block = [\"CN\"]\nreplies = \"drop\"\n";
pub(crate) const AMERICA: &str = "block = [\"US\"]\nreplies = \"drop\"\n";
