//! Countries, by their ISO 3166-1 alpha-2 codes.

mod advice;

use std::{fmt, str, str::FromStr, sync::LazyLock};

use rust_iso3166::ALL;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub(crate) use advice::simplified;

/// Codes outside ISO 3166-1 that address data does use for a place, and what they stand for there.
///
/// - `XK` is the code that the European Commission, the IMF and the regional registries use for Kosovo, out
///   of the codes that ISO 3166-1 leaves to its users. Without it Kosovo could not be blocked or admitted.
/// - `AN` was withdrawn when the Netherlands Antilles were dissolved in 2010; address holders still publish
///   it. Without it a single such line would make a whole file unreadable.
const OUTSIDE_ISO: [(&str, &str); 2] = [
    ("AN", "former Netherlands Antilles (since 2010: BQ, CW, SX)"),
    ("XK", "Kosovo"),
];

/// A country or territory with a code of its own, which is two capital letters.
///
/// Hong Kong (HK), Macao (MO) and Taiwan (TW) have codes of their own: China (CN) includes none of them.
///
/// ```
/// use geodrop::geoip::Country;
///
/// let china: Country = "cn".parse()?;
/// assert_eq!(china, Country::CHINA);
/// assert_eq!(china.name(), "China");
/// # Ok::<(), geodrop::geoip::UnknownCountry>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// China, without Hong Kong, Macao and Taiwan.
    pub const CHINA: Self = Self(*b"CN");
    /// Hong Kong.
    pub const HONG_KONG: Self = Self(*b"HK");
    /// Macao.
    pub const MACAO: Self = Self(*b"MO");

    /// How many countries there can be at most.
    pub const COUNT: usize = ALL.len() + OUTSIDE_ISO.len();

    /// How many [places](Self::place) there are.
    pub(crate) const PLACES: usize = LETTERS * LETTERS;

    /// Its place in a table of all pairs of letters, for what is asked of half a million ranges.
    pub(crate) fn place(self) -> usize {
        // Never `None`: a code is two capital letters.
        place(self.0).unwrap_or_default()
    }

    /// All that there can be.
    pub fn all() -> impl Iterator<Item = Self> {
        let codes = ALL.iter().map(|country| country.alpha2);
        let codes = codes.chain(OUTSIDE_ISO.iter().map(|(code, _)| *code));
        codes.filter_map(|code| code.as_bytes().try_into().ok().map(Self))
    }

    /// The country with exactly this code; `None` when no country has it.
    ///
    /// That is a code of ISO 3166-1, `XK` for Kosovo, or `AN` for the former Netherlands Antilles.
    #[must_use]
    pub fn from_code(code: [u8; 2]) -> Option<Self> {
        /// Which pairs of letters are a code: files have half a million of them to ask about.
        static CODES: LazyLock<[bool; Country::PLACES]> = LazyLock::new(|| {
            let mut codes = [false; Country::PLACES];
            for country in Country::all() {
                codes[country.place()] = true;
            }
            codes
        });
        place(code)
            .filter(|place| CODES[*place])
            .map(|_| Self(code))
    }

    /// The code: two capital letters in ASCII.
    #[must_use]
    pub const fn code(self) -> [u8; 2] {
        self.0
    }

    /// The code as text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match str::from_utf8(&self.0) {
            Ok(code) => code,
            // A country is only ever made of a code that is ASCII.
            Err(_) => "",
        }
    }

    /// The English short name that ISO 3166-1 gives: "China", "Russian Federation".
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(self.as_str()).unwrap_or_default()
    }
}

/// How many letters a code is made of.
const LETTERS: usize = 26;

/// The place of two capital letters in a table of all pairs.
fn place(code: [u8; 2]) -> Option<usize> {
    let [first, second] = code.map(|byte| Some(usize::from(byte.checked_sub(b'A')?)));
    let (first, second) = (first?, second?);
    (first < LETTERS && second < LETTERS).then_some(first * LETTERS + second)
}

fn name_of(code: &str) -> Option<&'static str> {
    let outside = || {
        OUTSIDE_ISO
            .iter()
            .find(|(outside, _)| *outside == code)
            .map(|(_, name)| *name)
    };
    rust_iso3166::from_alpha2(code)
        .map(|country| country.name)
        .or_else(outside)
}

/// Countries as a person should read them back, so that a slip of the keyboard is seen before it matters:
/// "China (CN), Hong Kong (HK), Macao (MO)". CH, say, is a valid code, and Switzerland.
#[must_use]
pub fn names<'a>(countries: impl IntoIterator<Item = &'a Country>) -> String {
    let named: Vec<_> = countries
        .into_iter()
        .map(|country| format!("{} ({country})", country.name()))
        .collect();
    named.join(", ")
}

/// What was given is no country's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a country code (ISO 3166-1 alpha-2): {advice}")]
pub struct UnknownCountry {
    /// What was given.
    pub given: String,
    /// Which code may have been meant, and how to write it.
    pub advice: String,
}

impl FromStr for Country {
    type Err = UnknownCountry;

    /// Reads a code in capital or small letters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        <[u8; 2]>::try_from(text.as_bytes())
            .ok()
            .and_then(|code| Self::from_code(code.map(|byte| byte.to_ascii_uppercase())))
            .ok_or_else(|| UnknownCountry {
                given: text.to_owned(),
                advice: advice::on(text),
            })
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({})", self.as_str())
    }
}

/// As its code.
impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        code.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_iso_3166_is_a_country() {
        for country in ALL {
            let parsed: Country = country.alpha2.to_lowercase().parse().unwrap();
            assert_eq!(
                (parsed.as_str(), parsed.name()),
                (country.alpha2, country.name)
            );
        }
    }

    #[test]
    fn codes_outside_iso_that_data_uses_are_countries() {
        assert_eq!("XK".parse::<Country>().unwrap().name(), "Kosovo");
        assert!(
            "AN".parse::<Country>()
                .unwrap()
                .name()
                .contains("Netherlands Antilles")
        );
        for (code, _) in OUTSIDE_ISO {
            assert_eq!(
                rust_iso3166::from_alpha2(code),
                None,
                "{code} is in ISO 3166-1 by now"
            );
        }
    }

    #[test]
    fn what_is_no_code_is_no_country() {
        for text in ["", "C", "CHN", "ZZ", "EU", "C1", "É", "cñ", "156", " CN"] {
            assert!(text.parse::<Country>().is_err(), "{text}");
        }
        assert_eq!(Country::from_code(*b"cn"), None);
        assert_eq!(Country::from_code([0xff, 0xfe]), None);
    }

    #[test]
    fn countries_are_read_back_by_name() {
        let blocked = [Country::CHINA, Country::HONG_KONG, Country::MACAO];
        assert_eq!(names(&blocked), "China (CN), Hong Kong (HK), Macao (MO)");
    }
}
