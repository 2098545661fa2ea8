//! What is noted beside data, as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::geoip::Source;

/// What is noted of data, beside it: `about.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What is known of the data, as far as it does not say it itself.
    #[serde(flatten)]
    pub source: Source,
    /// When it was fetched.
    pub fetched: Timestamp,
    /// Its files.
    pub parts: Vec<Part>,
    /// The doubts about it that somebody overrode.
    #[serde(default)]
    pub despite: Vec<String>,
}

/// What is noted of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the directory.
    pub file: String,
    /// Where it was fetched, without a query.
    pub url: String,
    /// Its SHA-256, as hexadecimal digits.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What the server said of this version of it.
    #[serde(flatten)]
    pub validators: Validators,
}

/// What tells one version of a resource from another (RFC 9110 section 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`, as the server wrote it.
    pub etag: Option<String>,
    /// `Last-Modified`, as the server wrote it.
    pub last_modified: Option<String>,
}

/// Why data is not in force, though it was fetched: `refusal.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When that was decided.
    pub at: Timestamp,
    /// On what grounds.
    pub grounds: Grounds,
    /// What is wrong with it, one thing an entry.
    pub why: Vec<String>,
}

/// On what grounds data is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grounds {
    /// It cannot be read.
    Unreadable,
    /// It can hardly be what became of the data in force.
    Implausible,
    /// It was in force, and somebody took it back.
    RolledBack,
}
