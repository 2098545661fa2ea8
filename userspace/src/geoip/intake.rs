//! What parsers give their rows to: one source while it is read.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use super::{
    AnyRange, Builder, CountryBy, Format, GeoipError, Reading, Regions, SetAside, Source, TooMany,
    location::Location,
};

/// How many ranges there may be: a bound on memory, twice of what files of cities have.
const MOST_RANGES: usize = 10_000_000;

/// One source while it is read: its rows so far, and what it says of itself.
#[derive(Debug)]
pub(super) struct Intake {
    /// Which of two countries counts.
    pub(super) by: CountryBy,
    /// What the source says of itself.
    pub(super) source: Source,
    /// The format that it is in, once that is known; of an archive's, the first.
    pub(super) format: Option<Format>,
    /// MaxMind's table of places, by their numbers.
    pub(super) places: HashMap<u32, Location>,
    builder: Builder,
    set_aside: BTreeMap<SetAside, u64>,
}

impl Intake {
    pub(super) fn new(by: CountryBy, source: Source) -> Self {
        Self {
            by,
            source,
            format: None,
            places: HashMap::new(),
            builder: Builder::default(),
            set_aside: BTreeMap::new(),
        }
    }

    /// Begins a file: rows that are added from now on were read there.
    pub(super) fn begin_file(&mut self, name: &str) {
        self.builder.begin_file(name);
    }

    /// Adds a row, read in a line counted from 1; 0 says that there are no lines.
    ///
    /// An IPv4 address may be written as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2); it is that address all the same.
    ///
    /// # Errors
    ///
    /// [`TooMany`], when there are more rows than memory is given for.
    pub(super) fn add(
        &mut self,
        range: AnyRange,
        location: Location,
        line: u32,
    ) -> Result<(), TooMany> {
        match location {
            Location::Nowhere(reason) => *self.set_aside.entry(reason).or_default() += 1,
            Location::In(_) if self.builder.len() >= MOST_RANGES => {
                return Err(TooMany { most: MOST_RANGES });
            }
            Location::In(country) => self.builder.add(range.unmapped(), country, line),
        }
        Ok(())
    }

    /// Adds what a snapshot holds.
    pub(super) fn add_regions(&mut self, regions: &Regions) {
        self.builder.add_regions(regions);
    }

    /// How many rows were read, those set aside among them.
    pub(super) fn rows(&self) -> u64 {
        self.builder.len() as u64 + self.set_aside.values().sum::<u64>()
    }

    /// What came of it.
    ///
    /// # Errors
    ///
    /// When there are no rows, or none that says a country.
    pub(super) fn finish(self, path: &Path) -> Result<Reading, GeoipError> {
        let rows = self.rows();
        let path = path.to_owned();
        let format = match (self.format, self.builder.is_empty()) {
            (Some(format), false) => format,
            _ if rows == 0 && !self.places.is_empty() => {
                return Err(GeoipError::HalfOfMaxmind { path });
            }
            _ if rows == 0 => return Err(GeoipError::Empty { path }),
            _ => return Err(GeoipError::NoCountries { path, rows }),
        };
        let (regions, contradictions) = self.builder.build();
        Ok(Reading {
            source: self.source,
            format,
            regions,
            set_aside: self.set_aside,
            contradictions,
        })
    }
}
