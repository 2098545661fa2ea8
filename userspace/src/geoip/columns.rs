//! Reads CSV files whose first line names the columns, as IPinfo publishes them, and many who make their own.
//!
//! ```text
//! network,country,country_code,continent,continent_code,asn,as_name,as_domain
//! 1.0.0.0/24,Australia,AU,Oceania,OC,AS13335,"Cloudflare, Inc.",cloudflare.com
//! ```
//!
//! There must be a column of prefixes, or one of first and one of last addresses, and one of country codes. They are found by
//! their names, wherever they stand; all others are passed over.

use super::{LineProblem, fields::Fields, intake::Intake, location::Location, prefixes, ranges};

const PREFIX: &[&str] = &["network", "prefix", "cidr", "ip_prefix", "ip_range"];
const FIRST: &[&str] = &[
    "start_ip",
    "ip_start",
    "first",
    "first_ip",
    "ip_from",
    "ip_range_start",
    "start",
    "from",
    "network_start_ip",
];
const LAST: &[&str] = &[
    "end_ip",
    "ip_end",
    "last",
    "last_ip",
    "ip_to",
    "ip_range_end",
    "end",
    "to",
    "network_last_ip",
];
/// The likeliest to be a code first: where there is a `country_code`, a `country` is a name.
const COUNTRY: &[&str] = &[
    "country_code",
    "country_iso_code",
    "iso_code",
    "country_iso",
    "alpha2code",
    "cc",
    "country",
];
const CONTINENT: &[&str] = &["continent_code", "continent"];

/// Where what matters stands.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    count: usize,
    addresses: Addresses,
    country: usize,
    /// Whether the country's column may be one of names.
    country_may_be_name: bool,
    continent: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Addresses {
    Prefix(usize),
    Between(usize, usize),
}

impl Columns {
    /// The columns of a first line; `None` when what matters is not among them.
    pub(super) fn of_header(header: Fields<'_>) -> Option<Self> {
        let prefix = find(header, PREFIX).map(Addresses::Prefix);
        let between = || {
            Some(Addresses::Between(
                find(header, FIRST)?,
                find(header, LAST)?,
            ))
        };
        let country = find(header, COUNTRY)?;
        Some(Self {
            count: header.len(),
            addresses: prefix.or_else(between)?,
            country,
            country_may_be_name: header.get(country).eq_ignore_ascii_case("country"),
            continent: find(header, CONTINENT),
        })
    }

    pub(super) fn read(
        &self,
        fields: Fields<'_>,
        line: u32,
        intake: &mut Intake,
    ) -> Result<(), LineProblem> {
        check_count(fields, self.count)?;
        let range = match self.addresses {
            Addresses::Prefix(place) => prefixes::prefix(fields.get(place))?,
            Addresses::Between(first, last) => {
                ranges::between(fields.get(first), fields.get(last))?
            }
        };
        let in_continent = self
            .continent
            .is_some_and(|place| !fields.get(place).is_empty());
        let code = fields.get(self.country);
        if self.country_may_be_name && code.len() > 2 {
            return Err(LineProblem::CountryName);
        }
        Ok(intake.add(range, Location::of_field(code, in_continent)?, line)?)
    }
}

/// The column with the first of some names that any column has.
pub(super) fn find(header: Fields<'_>, names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| {
        header
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name))
    })
}

/// Refuses a line that has more or fewer fields than there are columns.
pub(super) fn check_count(fields: Fields<'_>, columns: usize) -> Result<(), LineProblem> {
    if fields.len() == columns {
        return Ok(());
    }
    Err(LineProblem::Fields {
        found: fields.len(),
        needed: "as many as in the first line",
        like: "a field for each column",
    })
}
