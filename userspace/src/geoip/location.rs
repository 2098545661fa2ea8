//! What data says of where addresses are, and what it only seems to say.
//!
//! Not every row of a file puts its addresses in a country. What does not is set aside: the row counts as if it were not
//! there, so that a wider row around it, or the next source, speaks for its addresses. `geodrop geoip info` says how many
//! rows were set aside, and why.
//!
//! Whole files of good makers have a row or two with a code that ISO 3166-1 gave to nobody, or took back (Tor's has AB, CS,
//! OS, SU, UN): these are set aside too. `UK` is GB, for which ISO 3166-1 reserves it. What is not two letters is an error
//! that names the line: half a list is worse than none.

use std::fmt;

use serde::Serialize;

use super::{Country, CountryBy, UnknownCountry};

/// What a row says of where its addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// In this country.
    In(Country),
    /// In none.
    Nowhere(SetAside),
}

/// Why a row of a file says nothing of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetAside {
    /// Its maker does not know: `ZZ`, `XX`, `??`, `-`, or nothing at all.
    Unknown,
    /// It names more than one country: `EU`, `AP`, or a continent only.
    Region,
    /// It names a kind of network, wherever that is: `A1` (anonymous proxies), `A2` (satellites), `O1` (other), `T1` (Tor).
    Network,
    /// Its two letters are no country's: withdrawn (`CS`, `SU`), or never given.
    Unlisted,
    /// A registry has not given the addresses to anybody.
    Unallocated,
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "country unknown (ZZ, XX, ??, - or nothing)",
            Self::Region => "only a region (EU, AP, a continent)",
            Self::Network => "a kind of network (A1, A2, O1, T1)",
            Self::Unlisted => "two letters that are no country's code",
            Self::Unallocated => "not allocated",
        })
    }
}

impl Location {
    /// What a country's field says.
    ///
    /// # Errors
    ///
    /// [`UnknownCountry`] when it is neither two letters nor one of the words that stand for no country.
    pub(super) fn of_code(code: &str) -> Result<Self, UnknownCountry> {
        if let Ok(&pair) = <&[u8; 2]>::try_from(code.as_bytes()) {
            let nowhere = match &pair.map(|byte| byte.to_ascii_uppercase()) {
                b"ZZ" | b"XX" | b"??" | b"--" => Some(SetAside::Unknown),
                b"EU" | b"AP" => Some(SetAside::Region),
                b"A1" | b"A2" | b"O1" | b"T1" => Some(SetAside::Network),
                _ => None,
            };
            if let Some(nowhere) = nowhere {
                return Ok(Self::Nowhere(nowhere));
            }
            if code.eq_ignore_ascii_case("UK") {
                return "GB".parse().map(Self::In);
            }
            if pair.iter().all(u8::is_ascii_alphabetic) {
                let country = Country::from_code(pair.map(|byte| byte.to_ascii_uppercase()));
                return Ok(country.map_or(Self::Nowhere(SetAside::Unlisted), Self::In));
            }
        } else if code == "-" {
            return Ok(Self::Nowhere(SetAside::Unknown));
        }
        code.parse().map(Self::In)
    }

    /// What a country's field says that may be empty; `in_continent` is whether a continent is named beside it.
    ///
    /// # Errors
    ///
    /// As [`Self::of_code`].
    pub(super) fn of_field(code: &str, in_continent: bool) -> Result<Self, UnknownCountry> {
        match (code, in_continent) {
            ("", true) => Ok(Self::Nowhere(SetAside::Region)),
            ("", false) => Ok(Self::Nowhere(SetAside::Unknown)),
            _ => Self::of_code(code),
        }
    }
}

impl CountryBy {
    /// Where addresses are, of data that tells where they are used from where they are registered.
    pub(super) fn choose(
        self,
        location: Option<Location>,
        registered: Option<Location>,
    ) -> Location {
        let (first, second) = match self {
            Self::Location => (location, registered),
            Self::Registered => (registered, location),
        };
        match (first, second) {
            (Some(Location::In(country)), _) | (_, Some(Location::In(country))) => {
                Location::In(country)
            }
            (Some(nowhere), _) | (None, Some(nowhere)) => nowhere,
            (None, None) => Location::Nowhere(SetAside::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_are_no_countrys_are_set_aside() {
        for (code, reason) in [
            ("ZZ", SetAside::Unknown),
            ("xx", SetAside::Unknown),
            ("??", SetAside::Unknown),
            ("-", SetAside::Unknown),
            ("EU", SetAside::Region),
            ("ap", SetAside::Region),
            ("A1", SetAside::Network),
            ("a2", SetAside::Network),
            ("O1", SetAside::Network),
            ("T1", SetAside::Network),
            ("CS", SetAside::Unlisted),
            ("qq", SetAside::Unlisted),
        ] {
            assert_eq!(
                Location::of_code(code),
                Ok(Location::Nowhere(reason)),
                "{code}"
            );
        }
        for country in ["CN", "xk", "AN", "HK"] {
            let expected = Location::In(country.parse().unwrap());
            assert_eq!(Location::of_code(country), Ok(expected));
        }
        let britain = Location::In("GB".parse().unwrap());
        assert_eq!(Location::of_code("uk"), Ok(britain));
        for other in ["", "C", "C1", "CHN", "China", "É"] {
            assert!(Location::of_code(other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_other_country_counts_where_the_wanted_one_is_not_said() {
        let [here, there] = ["CN", "HK"].map(|code| Location::In(code.parse().unwrap()));
        let region = Location::Nowhere(SetAside::Region);
        let by = |by: CountryBy, location, registered| by.choose(location, registered);
        assert_eq!(by(CountryBy::Location, Some(here), Some(there)), here);
        assert_eq!(by(CountryBy::Registered, Some(here), Some(there)), there);
        assert_eq!(by(CountryBy::Location, None, Some(there)), there);
        assert_eq!(by(CountryBy::Location, Some(region), Some(there)), there);
        assert_eq!(by(CountryBy::Registered, Some(here), None), here);
        assert_eq!(by(CountryBy::Location, Some(region), None), region);
        let unknown = Location::Nowhere(SetAside::Unknown);
        assert_eq!(by(CountryBy::Location, None, None), unknown);
    }
}
