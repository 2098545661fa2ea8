//! Reads `first,last,country` files, such as those of ip-location-db.
//!
//! ```text
//! 1.0.0.0,1.0.0.255,AU
//! 2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP
//! 16777472,16778239,CN
//! ```
//!
//! - Both addresses belong to the range. The lines may come in any order, nest, and mix the two families.
//! - An address may be a decimal number. A line of numbers is IPv6 when its last address does not fit into
//!   32 bits, and IPv4 otherwise, line by line: files of one family and of both read right. What would be
//!   read wrong is an IPv6 line inside `::/96`, where no address is anybody's (RFC 4291, 2.5.5.1).
//! - Tolerated: a header line, blank lines, lines that begin with `#`, CRLF line ends, quotes around fields,
//!   space around fields, a UTF-8 byte order mark. Anything else is an error that names file and line: half
//!   a list is worse than none.
//!
//! No field can hold a comma or a line end, so lines are split here, without a CSV library. That keeps a
//! stray quote from swallowing the lines behind it, and the line numbers exact.

use std::{
    io::{self, BufRead},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use super::{AnyRange, Builder, Country, GeoipError, LineProblem, Place};
use crate::range::{Address, Range};

/// How much of a bad line is shown, in characters.
const SHOWN: usize = 80;

/// Why reading ended early.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file could not be read.
    Read(io::Error),
    /// A line is bad.
    Line {
        /// Its number, from 1 on.
        line: u32,
        /// What is wrong with it.
        problem: LineProblem,
        /// The line; its beginning, where it is long.
        text: String,
    },
}

impl Failure {
    /// The error that says which file it is.
    pub(super) fn in_file(self, path: &Path) -> GeoipError {
        match self {
            Self::Read(source) => GeoipError::Read {
                path: path.to_owned(),
                source,
            },
            Self::Line {
                line,
                problem,
                text,
            } => {
                let file = path.display().to_string().into();
                GeoipError::Line {
                    place: Place { file, line },
                    problem,
                    text,
                }
            }
        }
    }
}

/// Reads all lines of a file into a builder.
///
/// # Errors
///
/// The first line that is bad, or the operating system's error.
pub(super) fn read(mut file: impl BufRead, builder: &mut Builder) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let mut may_be_header = true;
    for line in 1_u32.. {
        bytes.clear();
        if file.read_until(b'\n', &mut bytes).map_err(Failure::Read)? == 0 {
            break;
        }
        let bad = |problem, text: &str| {
            let text = text.trim_end().chars().take(SHOWN).collect();
            Err(Failure::Line {
                line,
                problem,
                text,
            })
        };
        let Ok(text) = str::from_utf8(&bytes) else {
            return bad(LineProblem::NotText, &String::from_utf8_lossy(&bytes));
        };
        let text = text
            .strip_prefix('\u{feff}')
            .filter(|_| line == 1)
            .unwrap_or(text);
        let Some(fields) = fields(text) else { continue };
        if std::mem::take(&mut may_be_header) && is_header(&fields) {
            continue;
        }
        match parse(&fields) {
            Ok((range, country)) => builder.add(range, country, line),
            Err(problem) => return bad(problem, text),
        }
    }
    Ok(())
}

/// The fields of a line; `None` when it is blank or a comment.
fn fields(line: &str) -> Option<Vec<&str>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    Some(
        line.split(',')
            .map(|field| unquoted(field.trim()))
            .collect(),
    )
}

fn unquoted(field: &str) -> &str {
    field
        .strip_prefix('"')
        .and_then(|field| field.strip_suffix('"'))
        .map_or(field, str::trim)
}

/// Whether a first line gives names to the columns. Its words hold no digit, dot or colon, as every address
/// does: a mistyped first address is an error, never a header.
fn is_header(fields: &[&str]) -> bool {
    let is_word = |field: &&str| {
        !field.is_empty() && !field.contains(|c: char| c.is_ascii_digit() || ".:".contains(c))
    };
    fields.len() > 1 && fields.iter().take(2).all(is_word)
}

fn parse(fields: &[&str]) -> Result<(AnyRange, Country), LineProblem> {
    let &[first, last, country] = fields else {
        return Err(LineProblem::Fields(fields.len()));
    };
    let range = match (written(first)?, written(last)?) {
        (Written::Ip(IpAddr::V4(first)), Written::Ip(IpAddr::V4(last))) => ipv4(first, last)?,
        (Written::Ip(IpAddr::V6(first)), Written::Ip(IpAddr::V6(last))) => ipv6(first, last)?,
        (Written::Number(first), Written::Number(last)) => {
            match (Ipv4Addr::from_number(first), Ipv4Addr::from_number(last)) {
                (Some(first), Some(last)) => ipv4(first, last)?,
                _ => ipv6(Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last))?,
            }
        }
        _ => return Err(LineProblem::Unlike(first.to_owned(), last.to_owned())),
    };
    Ok((range, country.parse()?))
}

fn ipv4(first: Ipv4Addr, last: Ipv4Addr) -> Result<AnyRange, LineProblem> {
    Range::new(first, last)
        .map(AnyRange::Ipv4)
        .map_err(|_| LineProblem::Reversed)
}

fn ipv6(first: Ipv6Addr, last: Ipv6Addr) -> Result<AnyRange, LineProblem> {
    Range::new(first, last)
        .map(AnyRange::Ipv6)
        .map_err(|_| LineProblem::Reversed)
}

/// An address as it is written.
enum Written {
    /// As addresses usually are.
    Ip(IpAddr),
    /// As a decimal number, of either family.
    Number(u128),
}

fn written(field: &str) -> Result<Written, LineProblem> {
    let is_number = field.bytes().all(|byte| byte.is_ascii_digit());
    let address = if is_number {
        field.parse().ok().map(Written::Number)
    } else {
        field.parse().ok().map(Written::Ip)
    };
    address.ok_or_else(|| LineProblem::Address(field.to_owned()))
}
