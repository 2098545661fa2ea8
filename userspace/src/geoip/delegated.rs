//! Reads what the regional internet registries publish of their delegations, `delegated-*` and `delegated-*-extended`.
//!
//! ```text
//! 2|apnic|20240709|95823|19830613|20240708|+1000
//! apnic|*|ipv4|*|48213|summary
//! apnic|CN|ipv4|1.0.1.0|256|20110414|allocated|A92E1062
//! apnic|CN|ipv6|2001:250::|30|20020726|allocated
//! ```
//!
//! Registry, country, type, first address, value, date, status. The value is a number of addresses for IPv4 (not always
//! one that a prefix has), a prefix length for IPv6. Only what is allocated or assigned has a country; numbers of autonomous
//! systems (`asn`) are passed over. Files of several registries may be one behind the other.

use std::net::{IpAddr, Ipv4Addr};

use jiff::civil::Date;

use super::{AnyRange, LineProblem, SetAside, intake::Intake, location::Location, prefixes};

/// Reads a line.
pub(super) fn read(line: &str, number: u32, intake: &mut Intake) -> Result<(), LineProblem> {
    // There are seven; what extended files have behind them says nothing of countries.
    let mut fields = [""; 8];
    let mut found = 0;
    for field in line.split('|') {
        if let Some(place) = fields.get_mut(found) {
            *place = field.trim();
        }
        found += 1;
    }
    let [registry, country, kind, first, value, date, status, _] = fields;
    if registry.starts_with(|c: char| c.is_ascii_digit()) {
        // Version, registry, serial, records, first day, last day, offset from UTC.
        note_date(date, intake);
        return Ok(());
    }
    if date == "summary" || (country == "*" && status.is_empty()) {
        return Ok(());
    }
    if found < 7 {
        return Err(LineProblem::Fields {
            found,
            needed: "seven or more",
            like: "registry|country|type|first address|value|date|status",
        });
    }
    let range = match kind {
        "ipv4" => ipv4(first, value)?,
        "ipv6" => prefixes::prefix(&format!("{first}/{value}"))?,
        "asn" => return Ok(()),
        _ => return Err(LineProblem::Resource(kind.to_owned())),
    };
    let location = match status {
        "allocated" | "assigned" => Location::of_field(country, false)?,
        _ => Location::Nowhere(SetAside::Unallocated),
    };
    Ok(intake.add(range, location, number)?)
}

fn ipv4(first: &str, count: &str) -> Result<AnyRange, LineProblem> {
    let from: Ipv4Addr = first
        .parse()
        .map_err(|_| LineProblem::Address(first.to_owned()))?;
    let last = count
        .parse::<u32>()
        .ok()
        .and_then(|count| from.to_bits().checked_add(count.checked_sub(1)?))
        .ok_or_else(|| LineProblem::Count(count.to_owned()))?;
    let ends = (IpAddr::V4(from), IpAddr::V4(Ipv4Addr::from_bits(last)));
    AnyRange::between(ends.0, ends.1).ok_or(LineProblem::Reversed)
}

/// Keeps the oldest day of several registries'.
fn note_date(text: &str, intake: &mut Intake) {
    let Ok(date) = Date::strptime("%Y%m%d", text) else {
        return;
    };
    let kept = &mut intake.source.date;
    *kept = Some(kept.map_or(date, |kept| kept.min(date)));
}
