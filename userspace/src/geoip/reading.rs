//! One source, read.

use std::{collections::BTreeMap, fmt, fs, io::Read as _, path::Path};

use serde::Serialize;

use super::{
    BinaryProblem, Contradiction, Country, GeoipError, PackedProblem, Regions, SetAside, Source,
    intake::Intake,
    mmdb, snapshot, text,
    unpack::{Unpacked, unpack},
};

/// Which country counts, where data says where addresses are used and where they are registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountryBy {
    /// Where they are used; where that is not said, where they are registered.
    #[default]
    Location,
    /// Where they are registered; where that is not said, where they are used.
    Registered,
}

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// geodrop's own.
    Snapshot,
    /// MaxMind DB.
    Mmdb,
    /// MaxMind's CSV archive.
    Maxmind,
    /// CSV with names of columns.
    Columns,
    /// `first,last,country`.
    Ranges,
    /// Delegations of the regional internet registries.
    Delegated,
    /// Geofeed (RFC 8805).
    Geofeed,
    /// A list of prefixes.
    Prefixes,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Snapshot => "snapshot of geodrop's",
            Self::Mmdb => "MaxMind DB",
            Self::Maxmind => "MaxMind CSV",
            Self::Columns => "CSV with named columns",
            Self::Ranges => "CSV of ranges",
            Self::Delegated => "delegations of internet registries",
            Self::Geofeed => "geofeed (RFC 8805)",
            Self::Prefixes => "list of prefixes",
        })
    }
}

/// One source, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is known of it.
    pub source: Source,
    /// What it is written in; of an archive, what its first file is.
    pub format: Format,
    /// Which country an address is in.
    pub regions: Regions,
    /// How many rows say no country, and why.
    pub set_aside: BTreeMap<SetAside, u64>,
    /// What it contradicts itself in.
    pub contradictions: Vec<Contradiction>,
}

impl Reading {
    /// Reads a snapshot that is in memory.
    pub(super) fn of_snapshot(name: &str, snapshot: &[u8]) -> Result<Self, GeoipError> {
        let (regions, source) =
            snapshot::decode(snapshot).map_err(|source| GeoipError::Snapshot {
                name: name.to_owned(),
                source,
            })?;
        Ok(Self {
            source,
            format: Format::Snapshot,
            regions,
            set_aside: BTreeMap::new(),
            contradictions: Vec::new(),
        })
    }

    /// Reads a file, or a directory of files. `given` is the country that the user says its prefixes are in.
    pub(super) fn of_file(
        path: &Path,
        given: Option<Country>,
        by: CountryBy,
    ) -> Result<Self, GeoipError> {
        let name = path.display().to_string();
        let mut intake = Intake::new(by, Source::of_file(name.clone()));
        let mut alone = None;
        let mut has_data = false;
        // All of a directory is read from where it is now, though a link that leads to it may be switched meanwhile.
        let directory = fs::canonicalize(path).ok().filter(|path| path.is_dir());
        let place = directory.as_deref().unwrap_or(path);
        unpack(&name, place, &mut |unpacked| {
            if unpacked.is_archived && is_document(unpacked.name) {
                return Ok(());
            }
            has_data = true;
            if let Some(snapshot) = read_part(unpacked, given, &mut intake)? {
                // One that is the whole file keeps what it says of itself.
                alone = Some(snapshot);
            }
            Ok(())
        })?;
        if !has_data {
            return Err(GeoipError::Packed {
                name,
                problem: PackedProblem::NoData,
            });
        }
        let mut reading = match alone {
            Some(reading) if !reading.regions.is_empty() => reading,
            _ => intake.finish(path)?,
        };
        if let Some(directory) = &directory {
            reading.source.add_what_is_beside(directory);
        }
        Ok(reading)
    }
}

/// The most bytes of a file that must be in memory as a whole: twice what MaxMind's database of cities has.
const MOST_IN_MEMORY: u64 = 256 << 20;

/// Reads a file as far as it was unpacked. What a snapshot says stands for itself, if it is no archive's.
fn read_part(
    unpacked: Unpacked<'_>,
    given: Option<Country>,
    intake: &mut Intake,
) -> Result<Option<Reading>, GeoipError> {
    let Unpacked {
        name,
        is_archived,
        beginning,
        content,
    } = unpacked;
    intake.begin_file(name);
    let is_snapshot = snapshot::is_snapshot(beginning);
    // No text has a zero byte, and every binary format that is read here has some at its beginning.
    let is_binary = beginning.contains(&0);
    if let (Some(country), true) = (given, is_snapshot || is_binary) {
        let name = name.to_owned();
        return Err(GeoipError::SaysCountries { name, country });
    }
    if !is_snapshot && !is_binary {
        text::read(name, content, given, intake)?;
        return Ok(None);
    }
    let binary = |problem| GeoipError::Binary {
        name: name.to_owned(),
        problem,
    };
    if beginning.starts_with(b"LOCDB") {
        return Err(binary(BinaryProblem::Libloc));
    }
    let mut bytes = Vec::new();
    content
        .take(MOST_IN_MEMORY + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| GeoipError::of_io(name, source))?;
    if bytes.len() as u64 > MOST_IN_MEMORY {
        return Err(GeoipError::TooLong {
            name: name.to_owned(),
            most: MOST_IN_MEMORY,
        });
    }
    if is_snapshot {
        let reading = Reading::of_snapshot(name, &bytes)?;
        if is_archived {
            intake.format.get_or_insert(Format::Snapshot);
            intake.add_regions(&reading.regions);
            return Ok(None);
        }
        return Ok(Some(reading));
    }
    if !mmdb::is_mmdb(&bytes) {
        return Err(binary(BinaryProblem::Foreign));
    }
    mmdb::read(&bytes, intake).map_err(|problem| GeoipError::Mmdb {
        name: name.to_owned(),
        problem,
    })?;
    Ok(None)
}

/// Whether a file of an archive is for people, as providers put beside their data: its licence, a description.
fn is_document(name: &str) -> bool {
    let name = name.rsplit(['/', ' ']).next().unwrap_or(name);
    let name = name.to_ascii_uppercase();
    let words = [
        "LICENSE",
        "LICENCE",
        "COPYRIGHT",
        "README",
        "CHANGELOG",
        "EULA",
    ];
    let endings = [".MD", ".HTML", ".HTM", ".PDF", ".JSON", ".XML"];
    words.iter().any(|word| name.contains(word))
        || endings.iter().any(|ending| name.ends_with(ending))
}
