//! What a generation was made of, kept in the kernel beside it.
//!
//! A map of one element holds it as JSON: it lives and dies with the filter, and a newer or older geodrop
//! can read it. Fields that a version does not know are left out or take their default.

use std::{os::fd::AsFd as _, path::Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{error::DatapathError, sys};
use crate::geoip::Country;

/// What a generation was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The geodrop that made it.
    pub version: String,
    /// When its filter was attached or replaced.
    pub since: Option<Timestamp>,
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
    /// How many ranges its rule set has.
    pub ranges: Ranges,
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
            engine: String::new(),
            hook: String::new(),
            monitor: false,
            block: Vec::new(),
            only: Vec::new(),
            ranges: Ranges::default(),
            geoip: Vec::new(),
        }
    }
}

impl About {
    /// Writes it into a map of its own and pins that.
    pub(super) fn pin(&self, path: &Path) -> Result<(), DatapathError> {
        let failed = DatapathError::pin("writing", path);
        let json = serde_json::to_vec(self).map_err(std::io::Error::other);
        let pinned = json.and_then(|json| {
            let cell = sys::map::create_cell("geodrop_about", json.len())?;
            sys::map::update(cell.as_fd(), &0_u32.to_ne_bytes(), &json)?;
            sys::object::pin(cell.as_fd(), path)
        });
        pinned.map_err(failed)
    }

    /// Reads it from the map pinned at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, DatapathError> {
        let failed = DatapathError::pin("reading", path);
        let read = sys::object::open_pin(path)
            .and_then(|cell| sys::map::read_cell(cell.as_fd()))
            .and_then(|json| serde_json::from_slice(&json).map_err(std::io::Error::other));
        read.map_err(failed)
    }
}
