//! What a generation was made of, kept in the kernel beside it.
//!
//! A note of the kernel's holds it (`cell`). Fields that a version does not know are left out or take their default.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{cell, error::DatapathError};
use crate::geoip::Country;

/// What a generation was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The geodrop that made it.
    pub version: String,
    /// When it was made, to replace the one before, or as the first.
    pub since: Option<Timestamp>,
    /// Since when there has been a filter without a break; `None` if an older geodrop attached it.
    pub attached: Option<Timestamp>,
    /// The engine of its tables.
    pub engine: String,
    /// The hook that it is attached to.
    pub hook: String,
    /// Whether it only counts.
    pub monitor: bool,
    /// The countries that it blocks, if it blocks some and admits the rest.
    pub block: Vec<Country>,
    /// The countries that it admits, if it admits some and blocks the rest.
    pub only: Vec<Country>,
    /// How many rules for ports it has.
    pub rules: usize,
    /// Before this instant it counts what countries and rules for ports would drop, and lets it pass; `None` too if that
    /// had come when it was loaded.
    pub effective_from: Option<Timestamp>,
    /// How many ranges its rule set has.
    pub ranges: Ranges,
    /// Whether the process that made it was to look after it.
    pub attended: bool,
    /// The configuration that it was read from, if there was one.
    pub config: Option<PathBuf>,
    /// The data that its rule set was made from.
    pub geoip: Vec<GeoipSource>,
}

/// Numbers of ranges, by address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ranges {
    /// Ranges of IPv4 addresses.
    pub ipv4: usize,
    /// Ranges of IPv6 addresses.
    pub ipv6: usize,
}

/// A source of GeoIP data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GeoipSource {
    /// Its name, or the file's.
    pub source: String,
    /// The day that the data is of, if it says so.
    pub date: Option<jiff::civil::Date>,
}

impl Default for About {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: None,
            attached: None,
            engine: String::new(),
            hook: String::new(),
            monitor: false,
            block: Vec::new(),
            only: Vec::new(),
            rules: 0,
            effective_from: None,
            ranges: Ranges::default(),
            attended: false,
            config: None,
            geoip: Vec::new(),
        }
    }
}

impl About {
    /// Writes and pins it.
    pub(super) fn pin(&self, path: &Path) -> Result<(), DatapathError> {
        cell::pin(path, self)
    }

    /// Reads the one that is pinned at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, DatapathError> {
        let missing = || {
            let error = std::io::Error::from(std::io::ErrorKind::NotFound);
            DatapathError::pin("reading", path)(error)
        };
        cell::read(path)?.ok_or_else(missing)
    }
}
