//! Reads MaxMind DB files: MaxMind's own, and those of all who publish in its format.
//!
//! | made by | where a record says the country |
//! |---|---|
//! | MaxMind (GeoLite2, GeoIP2), DB-IP, IP2Location | `country.iso_code`, and where registered `registered_country.iso_code` |
//! | IPinfo | `country_code`; there `country` is a name, in older files the code |
//! | ip-location-db | `country_code` |
//! | some others | `country`, or the whole record, is the code |
//!
//! The crate `maxminddb` decodes, and walks the tree once. IPv4 addresses stand below `::/96`; other places in the tree that
//! lead there too (`::ffff:0:0/96`, `2002::/16`, `2001::/32`) are passed over, and so count once. Networks that touch and
//! are in one country become one range: where a tree parts them says nothing.
//!
//! Nothing in a file is trusted. A tree in which two ways lead to one node (but for that of IPv4) may take longer to walk
//! than anybody lives; it is refused before.

use std::{collections::HashMap, fmt};

use jiff::{Timestamp, tz::TimeZone};
use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{
    AnyRange, Format, SetAside, TooMany, UnknownCountry, intake::Intake, location::Location, maker,
};

/// What is wrong with a MaxMind DB, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum MmdbProblem {
    /// It is damaged, cut off, or not what it seems to be.
    #[error("a damaged MaxMind DB: {0}; fetch the file again")]
    Damaged(#[from] MaxMindDbError),
    /// Its tree is none.
    #[error("a damaged MaxMind DB: two ways lead to node {0} of its tree; fetch the file again")]
    NoTree(usize),
    /// A record names a country that is none.
    #[error("the record at offset {offset} of its data: {problem}")]
    Country {
        /// Where the record begins, in bytes behind the tree.
        offset: usize,
        /// What is wrong with it.
        problem: UnknownCountry,
    },
    /// A record has a name where a code is needed.
    #[error(
        "the record at offset {offset} of its data says the country by name (`{name}`) and not by code; \
         take the file that has `country_code`"
    )]
    Name {
        /// Where the record begins, in bytes behind the tree.
        offset: usize,
        /// The name.
        name: String,
    },
    /// There are too many networks.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// How the part of a file begins that says what it is.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Whether a file is a MaxMind DB: it shows at the end.
pub(super) fn is_mmdb(file: &[u8]) -> bool {
    // The format's description gives it the last 128 KiB.
    let end = &file[file.len().saturating_sub(128 << 10)..];
    end.windows(MARKER.len()).any(|window| window == MARKER)
}

/// Reads a whole file.
///
/// # Errors
///
/// Whatever is wrong with it.
pub(super) fn read(file: &[u8], intake: &mut Intake) -> Result<(), MmdbProblem> {
    intake.format.get_or_insert(Format::Mmdb);
    let reader = Reader::from_source(file)?;
    describe(&reader, intake);
    let aliases = check_tree(file, &reader)?;
    let options = match aliases {
        Ipv4::Subtree => WithinOptions::default(),
        // Where no IPv4 tree is there are no aliases of it, and what looks like one is a network with an equal record.
        Ipv4::None => WithinOptions::default().include_aliased_networks(),
    };
    let mut locations = HashMap::new();
    let mut latest: Option<(AnyRange, Location)> = None;
    for network in reader.networks(options)? {
        let network = network?;
        let Some(offset) = network.offset() else {
            continue;
        };
        let location = if let Some(location) = locations.get(&offset) {
            *location
        } else {
            let record = network.decode::<Record<'_>>()?.unwrap_or_default();
            *locations
                .entry(offset)
                .insert_entry(record.location(offset, intake)?)
                .get()
        };
        let network = network.network()?;
        // Its last address is not before its first.
        let Some(range) = AnyRange::between(network.network(), network.broadcast()) else {
            continue;
        };
        let joined = latest
            .filter(|(_, before)| *before == location)
            .and_then(|(before, _)| before.joined(range));
        if let (Some((range, location)), None) = (latest, joined) {
            intake.add(range, location, 0)?;
        }
        latest = Some((joined.unwrap_or(range), location));
    }
    if let Some((range, location)) = latest {
        intake.add(range, location, 0)?;
    }
    Ok(())
}

/// What a file says of itself.
fn describe(reader: &Reader<&[u8]>, intake: &mut Intake) {
    let metadata = reader.metadata();
    let built = i64::try_from(metadata.build_epoch).ok();
    let built = built.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let source = &mut intake.source;
    source.date = built.map(|built| built.to_zoned(TimeZone::UTC).date());
    maker::describe(&metadata.database_type, source);
    source.version = Some(metadata.database_type.clone());
}

/// Where a tree has IPv4 addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ipv4 {
    /// Below a node of their own, which others may lead to.
    Subtree,
    /// Nowhere, or all of them are all there is.
    None,
}

/// Holds that no two ways lead to one node, but to that of IPv4.
fn check_tree(file: &[u8], reader: &Reader<&[u8]>) -> Result<Ipv4, MmdbProblem> {
    let metadata = reader.metadata();
    let nodes = metadata.node_count as usize;
    let children = |node: usize| children(file, metadata.record_size, node);
    let mut ipv4 = None;
    if metadata.ip_version == 6 {
        let mut node = 0;
        for _ in 0..96 {
            if node < nodes {
                [node, _] = children(node);
            }
        }
        ipv4 = (node != 0 && node < nodes).then_some(node);
    }
    let mut is_reached = vec![false; nodes];
    for child in (0..nodes).flat_map(children) {
        if let Some(reached) = is_reached.get_mut(child)
            && (child == 0 || std::mem::replace(reached, true))
            && ipv4 != Some(child)
        {
            return Err(MmdbProblem::NoTree(child));
        }
    }
    Ok(ipv4.map_or(Ipv4::None, |_| Ipv4::Subtree))
}

/// The two records of a node: numbers of nodes, or above these what is no node.
fn children(file: &[u8], record_size: u16, node: usize) -> [usize; 2] {
    let width = usize::from(record_size) / 4;
    // The reader has held that the tree lies inside of the file.
    let bytes = file.get(node * width..).and_then(|rest| rest.get(..width));
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    match bytes {
        Some(bytes) if width == 7 => {
            let (middle, mask) = (usize::from(bytes[3]), 0xf);
            [
                (middle >> 4) << 24 | number(&bytes[..3]),
                (middle & mask) << 24 | number(&bytes[4..]),
            ]
        }
        Some(bytes) => [number(&bytes[..width / 2]), number(&bytes[width / 2..])],
        None => [usize::MAX; 2],
    }
}

/// What matters of a record.
#[derive(Debug, Default)]
struct Record<'a> {
    country: Named<'a>,
    registered_country: Named<'a>,
    country_code: Option<&'a str>,
    in_continent: bool,
}

/// A country as a record has it.
#[derive(Clone, Copy, Debug, Default)]
enum Named<'a> {
    #[default]
    Not,
    /// By itself.
    Text(&'a str),
    /// As a map's `iso_code`.
    Code(&'a str),
}

impl Record<'_> {
    fn location(&self, offset: usize, intake: &Intake) -> Result<Location, MmdbProblem> {
        let of_code = |code| {
            Location::of_field(code, self.in_continent)
                .map(Some)
                .map_err(|problem| MmdbProblem::Country { offset, problem })
        };
        let of_named = |named| match named {
            Named::Not if self.in_continent => Ok(Some(Location::Nowhere(SetAside::Region))),
            Named::Not => Ok(None),
            Named::Text(name) if name.len() > 2 => Err(MmdbProblem::Name {
                offset,
                name: name.to_owned(),
            }),
            Named::Text(code) | Named::Code(code) => of_code(code),
        };
        let location = match self.country_code {
            Some(code) => of_code(code)?,
            None => of_named(self.country)?,
        };
        let registered = match self.registered_country {
            Named::Not => None,
            named => of_named(named)?,
        };
        Ok(intake.by.choose(location, registered))
    }
}

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfRecord;
        impl<'de> Visitor<'de> for OfRecord {
            type Value = Record<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record of a country: a map, or its code")
            }

            fn visit_borrowed_str<E>(self, code: &'de str) -> Result<Self::Value, E> {
                Ok(Record {
                    country: Named::Text(code),
                    ..Record::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut record = Record::default();
                while let Some(key) = map.next_key::<&str>()? {
                    match key {
                        "country" => record.country = map.next_value()?,
                        "registered_country" => record.registered_country = map.next_value()?,
                        "country_code" => record.country_code = map.next_value()?,
                        "continent" | "continent_code" => {
                            record.in_continent = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(record)
            }
        }
        deserializer.deserialize_any(OfRecord)
    }
}

impl<'de> Deserialize<'de> for Named<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfCountry;
        impl<'de> Visitor<'de> for OfCountry {
            type Value = Named<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a country: its code, its name, or a map with `iso_code`")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(if text.is_empty() {
                    Named::Not
                } else {
                    Named::Text(text)
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut country = Named::Not;
                while let Some(key) = map.next_key::<&str>()? {
                    if key == "iso_code" {
                        country = Named::Code(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(country)
            }
        }
        deserializer.deserialize_any(OfCountry)
    }
}
