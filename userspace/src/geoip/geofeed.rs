//! Reads geofeeds (RFC 8805): what holders of addresses publish of where they use them.
//!
//! ```text
//! 192.0.2.0/24,US,US-AL,Alabaster,
//! 2001:db8::/32,CN,,,
//! ```
//!
//! Prefix, country, subdivision, city, postal code; all behind the country may be missing. An empty country says "do not
//! locate this" (section 2.1.1.2), and is set aside.

use super::{LineProblem, fields::Fields, intake::Intake, location::Location, prefixes};

/// Reads a line.
pub(super) fn read(fields: Fields<'_>, line: u32, intake: &mut Intake) -> Result<(), LineProblem> {
    if !(2..=5).contains(&fields.len()) {
        return Err(LineProblem::Fields {
            found: fields.len(),
            needed: "two to five",
            like: "prefix,country code,region,city,postal code",
        });
    }
    let range = prefixes::prefix(fields.get(0))?;
    let location = Location::of_field(fields.get(1), false)?;
    Ok(intake.add(range, location, line)?)
}
