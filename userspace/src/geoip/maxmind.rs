//! Reads MaxMind's CSV archives, GeoLite2 and GeoIP2, of countries or cities.
//!
//! ```text
//! GeoLite2-Country-Locations-en.csv    geoname_id,locale_code,continent_code,continent_name,country_iso_code,…
//! GeoLite2-Country-Blocks-IPv4.csv     network,geoname_id,registered_country_geoname_id,…
//! GeoLite2-Country-Blocks-IPv6.csv
//! ```
//!
//! Blocks say networks and the numbers of two places: where the addresses are used, and where they are registered.
//! Locations say which country a place is in; those of all languages say the same. Columns are found by their names. A block
//! without a place, or with one that is in no country, is set aside.

use super::{
    LineProblem,
    columns::{check_count, find},
    fields::Fields,
    intake::Intake,
    location::Location,
    prefixes,
};

/// Where a file of places has what matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Locations {
    count: usize,
    geoname: usize,
    country: usize,
    continent: Option<usize>,
}

/// Where a file of networks has what matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    count: usize,
    network: usize,
    geoname: usize,
    registered: Option<usize>,
}

const GEONAME: &[&str] = &["geoname_id"];

impl Locations {
    /// The columns of a first line; `None` when it is not that of such a file.
    pub(super) fn of_header(header: Fields<'_>) -> Option<Self> {
        Some(Self {
            count: header.len(),
            geoname: find(header, GEONAME)?,
            country: find(header, &["country_iso_code"])?,
            continent: find(header, &["continent_code"]),
        })
    }

    pub(super) fn read(self, fields: Fields<'_>, intake: &mut Intake) -> Result<(), LineProblem> {
        check_count(fields, self.count)?;
        let geoname = fields.get(self.geoname);
        let in_continent = self
            .continent
            .is_some_and(|place| !fields.get(place).is_empty());
        let location = Location::of_field(fields.get(self.country), in_continent)?;
        let number = geoname
            .parse()
            .map_err(|_| LineProblem::Geoname(geoname.to_owned()))?;
        intake.places.insert(number, location);
        Ok(())
    }
}

impl Blocks {
    /// The columns of a first line; `None` when it is not that of such a file.
    pub(super) fn of_header(header: Fields<'_>) -> Option<Self> {
        Some(Self {
            count: header.len(),
            network: find(header, &["network"])?,
            geoname: find(header, GEONAME)?,
            registered: find(header, &["registered_country_geoname_id"]),
        })
    }

    pub(super) fn read(
        self,
        fields: Fields<'_>,
        line: u32,
        intake: &mut Intake,
    ) -> Result<(), LineProblem> {
        if intake.places.is_empty() {
            return Err(LineProblem::HalfOfMaxmind);
        }
        check_count(fields, self.count)?;
        let range = prefixes::prefix(fields.get(self.network))?;
        let place = |column: usize| {
            let geoname = fields.get(column);
            if geoname.is_empty() {
                return Ok(None);
            }
            let known = geoname.parse().ok();
            let place = known.and_then(|number: u32| intake.places.get(&number));
            place
                .copied()
                .map(Some)
                .ok_or_else(|| LineProblem::Geoname(geoname.to_owned()))
        };
        let registered = self.registered.map_or(Ok(None), place)?;
        let location = intake.by.choose(place(self.geoname)?, registered);
        Ok(intake.add(range, location, line)?)
    }
}
