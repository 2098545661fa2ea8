//! Reads text files: line by line, in the format that the first line with something in it shows.
//!
//! Tolerated everywhere: blank lines, lines that begin with `#`, CRLF line ends, blanks around fields, a UTF-8 byte order
//! mark. Anything else is an error that names file and line: half a list is worse than none.

use std::io::{self, BufRead, Read as _};

use super::{
    Country, Format, GeoipError, LineProblem, Place,
    columns::Columns,
    delegated,
    fields::{Fields, Splitter},
    geofeed,
    intake::Intake,
    location::Location,
    maxmind::{Blocks, Locations},
    prefixes,
    ranges::{self, Ranges},
    remarks::Remarks,
};

/// How much of a bad line is shown, in characters.
const SHOWN: usize = 80;

/// The longest line that is read, in bytes: those of MaxMind's places are a few hundred.
const LONGEST: u64 = 64 << 10;

/// How a file's lines are read.
#[derive(Debug)]
enum Layout {
    Ranges(Ranges),
    Prefixes(Country),
    Geofeed,
    Delegated,
    Columns(Columns),
    Locations(Locations),
    Blocks(Blocks),
}

/// What a first line shows.
enum First {
    /// It is the first row.
    Row(Layout),
    /// It names the columns of what follows.
    Header(Layout),
    /// It names columns that are of no use to know.
    Names,
}

/// Whether a file that begins like this has the places of MaxMind's, without which nothing can be made of its networks.
pub(super) fn has_places(beginning: &[u8]) -> bool {
    let line = beginning.split(|byte| *byte == b'\n').next();
    let line = line.and_then(|line| str::from_utf8(line).ok());
    let mut splitter = Splitter::new();
    let fields = line.and_then(|line| splitter.split(line.trim()).ok());
    fields.and_then(Locations::of_header).is_some()
}

/// Reads all lines of a file. `given` is the country that the user says it is of.
///
/// # Errors
///
/// The first line that is bad, or why there are no more lines to be had.
pub(super) fn read(
    name: &str,
    mut file: impl BufRead,
    given: Option<Country>,
    intake: &mut Intake,
) -> Result<(), GeoipError> {
    let mut bytes = Vec::new();
    let mut splitter = Splitter::new();
    let mut remarks = Remarks::default();
    let mut layout = None;
    let mut may_be_names = true;
    for number in 1_u32.. {
        bytes.clear();
        let whole =
            next_line(&mut file, &mut bytes).map_err(|source| GeoipError::of_io(name, source))?;
        if bytes.is_empty() {
            break;
        }
        let bad = |problem, text: &str| {
            let text = text.trim_end().chars().take(SHOWN).collect();
            GeoipError::Line {
                place: Place {
                    file: name.into(),
                    line: number,
                },
                problem,
                text,
            }
        };
        let text = match str::from_utf8(&bytes) {
            _ if !whole => {
                let text = String::from_utf8_lossy(&bytes[..SHOWN]);
                return Err(bad(LineProblem::TooLong(LONGEST), &text));
            }
            Ok(text) => text,
            Err(_) => return Err(bad(LineProblem::NotText, &String::from_utf8_lossy(&bytes))),
        };
        let text = text
            .strip_prefix('\u{feff}')
            .filter(|_| number == 1)
            .unwrap_or(text);
        let line = text.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(remark) = line.strip_prefix('#') {
            remarks.note(remark);
            continue;
        }
        let layout = match &mut layout {
            Some(layout) => layout,
            none => {
                let first = first(line, &mut splitter, may_be_names)
                    .map_err(|problem| bad(problem, text))?;
                may_be_names = false;
                let (found, is_row) = match first {
                    Some(First::Row(found)) => (found, true),
                    Some(First::Header(found)) => (found, false),
                    Some(First::Names) => continue,
                    None => {
                        let country = given
                            .or(remarks.country)
                            .or_else(|| prefixes::country_of_name(name));
                        let country = country.ok_or_else(|| GeoipError::WhichCountry {
                            name: name.to_owned(),
                        })?;
                        (Layout::Prefixes(country), true)
                    }
                };
                if let (Some(country), false) = (given, matches!(found, Layout::Prefixes(_))) {
                    let name = name.to_owned();
                    return Err(GeoipError::SaysCountries { name, country });
                }
                found.note_format(intake);
                let layout = none.insert(found);
                if !is_row {
                    continue;
                }
                layout
            }
        };
        layout
            .read(line, &mut splitter, number, intake)
            .map_err(|problem| bad(problem, text))?;
    }
    remarks.describe(&mut intake.source);
    Ok(())
}

/// Reads a line and its end into `bytes`; whether it is whole, and not longer than any line may be.
fn next_line(file: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let count = file.take(LONGEST).read_until(b'\n', bytes)?;
    Ok(bytes.ends_with(b"\n") || (count as u64) < LONGEST)
}

/// What the first line shows; `None` when it is a bare prefix or address.
fn first(
    line: &str,
    splitter: &mut Splitter,
    may_be_names: bool,
) -> Result<Option<First>, LineProblem> {
    if line.starts_with(['<', '{']) {
        return Err(LineProblem::Page);
    }
    if line.contains('|') {
        return Ok(Some(First::Row(Layout::Delegated)));
    }
    let fields = splitter.split(line)?;
    if may_be_names && is_header(fields) {
        return Ok(Some(header(fields)));
    }
    let row = match fields.len() {
        1 if line.contains('/') || ranges::is_address(line) => return Ok(None),
        1 => return Err(LineProblem::Foreign),
        _ if fields.get(0).contains('/') => Layout::Geofeed,
        // A single address is a prefix too (RFC 8805 section 2.1.1.1), and no country is one. Two fields may as well be
        // what is left of three.
        3.. if ranges::is_address(fields.get(0)) && Location::of_code(fields.get(1)).is_ok() => {
            Layout::Geofeed
        }
        _ => Layout::Ranges(Ranges::like(fields)),
    };
    Ok(Some(First::Row(row)))
}

/// Whether a first line gives names to the columns. Its words hold no digit, dot or colon, as every address
/// does: a mistyped first address is an error, never a header.
fn is_header(fields: Fields<'_>) -> bool {
    let is_word = |field: &str| {
        !field.is_empty() && !field.contains(|c: char| c.is_ascii_digit() || ".:".contains(c))
    };
    fields.len() > 1 && fields.iter().take(2).all(is_word)
}

fn header(fields: Fields<'_>) -> First {
    let layout = Locations::of_header(fields)
        .map(Layout::Locations)
        .or_else(|| Blocks::of_header(fields).map(Layout::Blocks))
        .or_else(|| Columns::of_header(fields).map(Layout::Columns));
    layout.map_or(First::Names, First::Header)
}

impl Layout {
    fn note_format(&self, intake: &mut Intake) {
        let format = match self {
            Self::Ranges(_) => Format::Ranges,
            Self::Prefixes(_) => Format::Prefixes,
            Self::Geofeed => Format::Geofeed,
            Self::Delegated => Format::Delegated,
            Self::Columns(_) => Format::Columns,
            Self::Locations(_) | Self::Blocks(_) => Format::Maxmind,
        };
        intake.format.get_or_insert(format);
    }

    fn read(
        &self,
        line: &str,
        splitter: &mut Splitter,
        number: u32,
        intake: &mut Intake,
    ) -> Result<(), LineProblem> {
        match self {
            Self::Prefixes(country) => prefixes::read(line, *country, number, intake),
            Self::Delegated => delegated::read(line, number, intake),
            Self::Ranges(ranges) => ranges.read(splitter.split(line)?, number, intake),
            Self::Geofeed => geofeed::read(splitter.split(line)?, number, intake),
            Self::Columns(columns) => columns.read(splitter.split(line)?, number, intake),
            Self::Locations(locations) => locations.read(splitter.split(line)?, intake),
            Self::Blocks(blocks) => blocks.read(splitter.split(line)?, number, intake),
        }
    }
}
