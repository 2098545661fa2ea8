//! Names for several countries at once: groups that are built in, and the user's own.
//!
//! A group may stand wherever a country's code may. Two letters are always a country, but for `EU`; so the continents
//! are spelt out, for `AF`, `AS`, `NA` and `SA` are countries. Capitals or not is all the same.
//!
//! | group | what it is | source |
//! |---|---|---|
//! | `EU` | the 27 members of the European Union since 1 February 2020 | [european-union.europa.eu] |
//! | `AFRICA`, `ASIA`, `EUROPE`, `OCEANIA`, `SOUTH-AMERICA` | regions 002, 142, 150, 009 and 005 | [UN M49] |
//! | `NORTH-AMERICA` | region 003: Northern and Central America and the Caribbean | [UN M49] |
//! | `ANTARCTICA` | `AQ` alone, area 010 | [UN M49] |
//!
//! Every code is in exactly one continent. What may surprise: Cyprus, Turkey and the Caucasus are in `ASIA`, the whole
//! of Russia is in `EUROPE`, and Mexico is in `NORTH-AMERICA`. M49 has no entry for three codes that data uses: `TW` is
//! put into `ASIA`, `XK` into `EUROPE`, and `AN` into `NORTH-AMERICA`.
//!
//! `EU` has the codes of its members only. Parts of the Union with codes of their own (`AX`, `GF`, `GP`, `MF`, `MQ`, `RE`,
//! `YT`) are not in it, as Hong Kong is not in `CN`.
//!
//! [UN M49]: https://unstats.un.org/unsd/methodology/m49/
//! [european-union.europa.eu]: https://european-union.europa.eu/principles-countries-history/eu-countries_en

use std::collections::{BTreeMap, BTreeSet};

use crate::geoip::{Country, UnknownCountry, simplified};

/// A group that is built in.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// Its members' codes, with blanks between them.
    codes: &'static str,
}

impl Builtin {
    /// The countries in it.
    pub fn countries(&self) -> impl Iterator<Item = Country> {
        // A test holds that every code is one.
        self.codes
            .split_ascii_whitespace()
            .filter_map(|code| code.parse().ok())
    }
}

/// The groups that are built in.
pub const BUILTIN: [Builtin; 8] = [
    Builtin {
        name: "EU",
        codes: "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK",
    },
    Builtin {
        name: "AFRICA",
        codes: "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW IO KE KM LR LS LY \
                MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TF TG TN TZ UG YT ZA \
                ZM ZW",
    },
    Builtin {
        name: "ANTARCTICA",
        codes: "AQ",
    },
    Builtin {
        name: "ASIA",
        codes: "AE AF AM AZ BD BH BN BT CN CY GE HK ID IL IN IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM \
                MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE",
    },
    Builtin {
        name: "EUROPE",
        codes: "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI \
                LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    },
    Builtin {
        name: "NORTH-AMERICA",
        codes: "AG AI AN AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS \
                MX NI PA PM PR SV SX TC TT US VC VG VI",
    },
    Builtin {
        name: "OCEANIA",
        codes: "AS AU CC CK CX FJ FM GU HM KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS",
    },
    Builtin {
        name: "SOUTH-AMERICA",
        codes: "AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE",
    },
];

/// How alike two names must be, as Jaro and Winkler measure it, for a group to be meant rather than a country.
const ALIKE: f64 = 0.92;

/// What names of countries and groups stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    own: BTreeMap<String, Members>,
}

/// The countries that names stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// All of them.
    pub countries: BTreeSet<Country>,
    /// Those that somebody wrote by their own codes. GeoIP data must have each of these, or the code is a slip; of a
    /// built-in group's members it may lack a few, for nobody has an address on Bouvet Island.
    pub named: BTreeSet<Country>,
}

impl Members {
    /// Adds those of another.
    pub fn extend(&mut self, other: &Self) {
        self.countries.extend(&other.countries);
        self.named.extend(&other.named);
    }
}

/// What was given is neither a country's code nor a group's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; {advice}", self.what())]
pub struct UnknownName {
    /// What was given.
    pub given: String,
    /// What may have been meant, and how to write it.
    pub advice: String,
}

impl UnknownName {
    /// What is wrong, without the advice.
    #[must_use]
    pub fn what(&self) -> String {
        format!(
            "`{}` is neither a country code (ISO 3166-1 alpha-2) nor a group",
            self.given
        )
    }
}

/// Why a name cannot be that of a new group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGroupName {
    /// It has letters that a name cannot have, or none.
    #[error("a group's name is made of letters, digits, `-` and `_`")]
    Letters,
    /// It has two letters.
    #[error("two letters are a country's code, or may become one")]
    Code,
    /// There is such a group already.
    #[error("there is a group of that name already")]
    Taken,
}

impl Groups {
    /// The countries that a code or a group's name stands for.
    ///
    /// # Errors
    ///
    /// [`UnknownName`], with the name that was probably meant.
    pub fn members(&self, name: &str) -> Result<Members, UnknownName> {
        let key = name.to_ascii_uppercase();
        if let Some(own) = self.own.get(&key) {
            return Ok(own.clone());
        }
        if let Some(builtin) = BUILTIN.iter().find(|builtin| builtin.name == key) {
            return Ok(Members {
                countries: builtin.countries().collect(),
                named: BTreeSet::new(),
            });
        }
        match name.parse::<Country>() {
            Ok(country) => Ok(Members {
                countries: [country].into(),
                named: [country].into(),
            }),
            Err(UnknownCountry { given, advice }) => Err(UnknownName {
                advice: self.advice(&key).unwrap_or(advice),
                given,
            }),
        }
    }

    /// Whether a name may be given to a new group.
    ///
    /// # Errors
    ///
    /// [`BadGroupName`]: why not.
    pub fn may_define(&self, name: &str) -> Result<(), BadGroupName> {
        let key = name.to_ascii_uppercase();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key.is_empty() || !key.chars().all(fits) {
            Err(BadGroupName::Letters)
        } else if self.names().any(|taken| taken == key) {
            Err(BadGroupName::Taken)
        } else if key.len() == 2 {
            Err(BadGroupName::Code)
        } else {
            Ok(())
        }
    }

    /// Gives a name to countries.
    ///
    /// # Errors
    ///
    /// As [`Self::may_define`].
    pub fn define(&mut self, name: &str, members: Members) -> Result<(), BadGroupName> {
        self.may_define(name)?;
        self.own.insert(name.to_ascii_uppercase(), members);
        Ok(())
    }

    /// The names of all groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let builtin = BUILTIN.iter().map(|builtin| builtin.name);
        builtin.chain(self.own.keys().map(String::as_str))
    }

    fn advice(&self, given: &str) -> Option<String> {
        let given = simplified(given);
        let likeness = |name: &str| strsim::jaro_winkler(&simplified(name), &given);
        self.names()
            .filter(|name| name.len() > 2)
            .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
            .filter(|name| likeness(name) >= ALIKE)
            .map(|name| format!("did you mean the group {name}?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_in_one_continent() {
        let mut seen = BTreeMap::new();
        for builtin in BUILTIN.iter().filter(|builtin| builtin.name != "EU") {
            let countries: Vec<_> = builtin.countries().collect();
            let codes = builtin.codes.split_ascii_whitespace().count();
            assert_eq!(countries.len(), codes, "{}", builtin.name);
            for country in countries {
                assert_eq!(seen.insert(country, builtin.name), None, "{country}");
            }
        }
        assert_eq!(seen.len(), Country::COUNT);
    }

    #[test]
    fn the_union_has_27_members() {
        let union = Groups::default().members("eu").unwrap();
        assert_eq!(union.countries.len(), 27);
        assert!(!union.countries.contains(&"GB".parse().unwrap()));
        assert!(union.named.is_empty());
    }

    #[test]
    fn two_letters_are_a_country() {
        let groups = Groups::default();
        for code in ["AF", "as", "NA", "SA", "AN"] {
            let members = groups.members(code).unwrap();
            assert_eq!(members.countries.len(), 1, "{code}");
            assert_eq!(members.countries, members.named);
        }
    }

    #[test]
    fn advice_names_what_was_meant() {
        let mut groups = Groups::default();
        let members = groups.members("DE").unwrap();
        groups.define("Neighbours", members).unwrap();
        for (given, advice) in [
            ("asai", "did you mean the group ASIA?"),
            ("north america", "did you mean the group NORTH-AMERICA?"),
            ("EUROP", "did you mean the group EUROPE?"),
            ("neighbors", "did you mean the group NEIGHBOURS?"),
            ("austria", "Austria is AT"),
            ("America", "United States of America is US"),
            (
                "UK",
                "United Kingdom of Great Britain and Northern Ireland is GB",
            ),
        ] {
            assert_eq!(groups.members(given).unwrap_err().advice, advice, "{given}");
        }
    }

    #[test]
    fn a_groups_name_is_not_taken_twice_and_no_code() {
        let mut groups = Groups::default();
        assert_eq!(groups.define("mine", Members::default()), Ok(()));
        for (name, problem) in [
            ("MINE", BadGroupName::Taken),
            ("eu", BadGroupName::Taken),
            ("Asia", BadGroupName::Taken),
            ("DE", BadGroupName::Code),
            ("QQ", BadGroupName::Code),
            ("", BadGroupName::Letters),
            ("a b", BadGroupName::Letters),
        ] {
            assert_eq!(groups.may_define(name), Err(problem), "{name}");
        }
    }
}
