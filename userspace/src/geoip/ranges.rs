//! Reads `first,last,country` files without names of columns, as ip-location-db, DB-IP, Tor and IP2Location publish them.
//!
//! ```text
//! 1.0.0.0,1.0.0.255,AU
//! 2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP
//! 16777472,16778239,CN
//! "16777216","16777471","US","United States of America"
//! ```
//!
//! - Both addresses belong to the range. The lines may come in any order, nest, and mix the two families.
//! - An address may be a decimal number. A line of numbers is IPv6 when its last address does not fit into
//!   32 bits, and IPv4 otherwise, line by line: files of one family and of both read right. What would be
//!   read wrong is an IPv6 line inside `::/96`, where no address is anybody's (RFC 4291, 2.5.5.1).
//! - All lines have as many fields as the first: three, or four with the country's name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AnyRange, LineProblem, fields::Fields, intake::Intake, location::Location};
use crate::range::Address;

/// The lines of a file, once the first is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranges {
    has_names: bool,
}

impl Ranges {
    /// Of files whose first line has these fields.
    pub(super) fn like(first: Fields<'_>) -> Self {
        Self {
            has_names: first.len() == 4,
        }
    }

    pub(super) fn read(
        self,
        fields: Fields<'_>,
        line: u32,
        intake: &mut Intake,
    ) -> Result<(), LineProblem> {
        let (count, needed, example) = if self.has_names {
            (4, "four", "first address,last address,country code,name")
        } else {
            (3, "three", "first address,last address,country code")
        };
        if fields.len() != count {
            return Err(LineProblem::Fields {
                found: fields.len(),
                needed,
                like: example,
            });
        }
        let range = between(fields.get(0), fields.get(1))?;
        Ok(intake.add(range, Location::of_code(fields.get(2))?, line)?)
    }
}

/// The range between two addresses as they are written.
pub(super) fn between(first: &str, last: &str) -> Result<AnyRange, LineProblem> {
    let (one, other) = match (written(first)?, written(last)?) {
        (Written::Ip(first), Written::Ip(last)) if first.is_ipv4() == last.is_ipv4() => {
            (first, last)
        }
        (Written::Number(first), Written::Number(last)) => {
            match (Ipv4Addr::from_number(first), Ipv4Addr::from_number(last)) {
                (Some(first), Some(last)) => (first.into(), last.into()),
                _ => (
                    Ipv6Addr::from_bits(first).into(),
                    Ipv6Addr::from_bits(last).into(),
                ),
            }
        }
        _ => return Err(LineProblem::Unlike(first.to_owned(), last.to_owned())),
    };
    AnyRange::between(one, other).ok_or(LineProblem::Reversed)
}

/// Whether a field is an address, in whichever way it is written.
pub(super) fn is_address(field: &str) -> bool {
    written(field).is_ok()
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
