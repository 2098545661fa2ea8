//! Advice on what is not a country code: which one may have been meant.
//!
//! A wrong guess here ends in an outage, so nothing is guessed on the user's behalf: what is not a code is
//! refused, and the advice names the code that the user probably had in mind, with the country's name.

use rust_iso3166::{ALL, CountryCode};

/// How alike two names must be, as Jaro and Winkler measure it, for one to be taken for the other misspelt.
const ALIKE: f64 = 0.88;

/// How many countries are proposed at most.
const PROPOSALS: usize = 3;

/// Codes and names that are in use and that ISO 3166-1 does not know.
const IN_USE: [(&str, &str); 23] = [
    ("UK", "GB"),
    ("EL", "GR"),
    ("ENGLAND", "GB"),
    ("SCOTLAND", "GB"),
    ("WALES", "GB"),
    ("GREATBRITAIN", "GB"),
    ("AMERICA", "US"),
    ("HOLLAND", "NL"),
    ("MACAU", "MO"),
    ("PRC", "CN"),
    ("MAINLANDCHINA", "CN"),
    ("NORTHKOREA", "KP"),
    ("SOUTHKOREA", "KR"),
    ("TURKEY", "TR"),
    ("BURMA", "MM"),
    ("SWAZILAND", "SZ"),
    ("CAPEVERDE", "CV"),
    ("IVORYCOAST", "CI"),
    ("EASTTIMOR", "TL"),
    ("VATICAN", "VA"),
    ("CZECHREPUBLIC", "CZ"),
    ("LAOS", "LA"),
    ("UAE", "AE"),
];

/// Codes in address data that look like a country's and are none.
const PSEUDO: [(&str, &str); 7] = [
    (
        "EU",
        "it stands for Europe or the European Union; list its countries",
    ),
    (
        "AP",
        "it stands for Asia and the Pacific; list the countries",
    ),
    ("ZZ", "it stands for an unknown place"),
    ("XX", "it stands for an unknown place"),
    ("T1", "it stands for Tor exits, wherever they are"),
    ("A1", "it stands for anonymous proxies, wherever they are"),
    ("A2", "it stands for satellite providers, wherever they are"),
];

/// What to write in place of `given`.
pub(super) fn on(given: &str) -> String {
    let given = simplified(given);
    if let Some((_, advice)) = PSEUDO.iter().find(|(code, _)| *code == given) {
        return (*advice).to_owned();
    }
    if let Some(country) = rust_iso3166::from_alpha3(&given) {
        return format!(
            "it is the alpha-3 code of {}; write {}",
            country.name, country.alpha2
        );
    }
    if let Some(country) = given.parse().ok().and_then(rust_iso3166::from_numeric) {
        return format!(
            "it is the numeric code of {}; write {}",
            country.name, country.alpha2
        );
    }
    match meant_by(&given).as_slice() {
        [] => "write the two letters of a country, such as CN for China".to_owned(),
        [country] => format!("{} is {}", country.name, country.alpha2),
        several => {
            let named: Vec<_> = several
                .iter()
                .map(|country| format!("{} ({})", country.alpha2, country.name))
                .collect();
            format!("did you mean {}?", named.join(" or "))
        }
    }
}

/// The countries that may be meant, likeliest first.
fn meant_by(given: &str) -> Vec<CountryCode> {
    if let Some((_, code)) = IN_USE.iter().find(|(used, _)| *used == given) {
        return rust_iso3166::from_alpha2(code).into_iter().collect();
    }
    if given.len() < 2 {
        return Vec::new();
    }
    let swapped: String = given.chars().rev().collect();
    let begins = |country: &&CountryCode| simplified(country.name).starts_with(given);
    let swaps = |country: &&CountryCode| country.alpha2 == swapped;
    let mut likely: Vec<CountryCode> = ALL.iter().filter(begins).copied().collect();
    likely.extend(ALL.iter().filter(swaps));
    if likely.is_empty() {
        likely = misspelt(given);
    }
    likely.truncate(PROPOSALS);
    likely
}

/// The countries whose names are much like this one, the likest first.
fn misspelt(given: &str) -> Vec<CountryCode> {
    let mut likenesses: Vec<_> = ALL
        .iter()
        .map(|country| {
            (
                strsim::jaro_winkler(&simplified(country.name), given),
                country,
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    likenesses.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    likenesses
        .into_iter()
        .map(|(_, country)| *country)
        .collect()
}

/// A name or code without what is written in more than one way: capitals of its letters and digits.
pub(crate) fn simplified(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_code_that_was_meant() {
        for (given, advice) in [
            ("CHN", "it is the alpha-3 code of China; write CN"),
            (
                "usa",
                "it is the alpha-3 code of United States of America; write US",
            ),
            ("156", "it is the numeric code of China; write CN"),
            (
                "UK",
                "United Kingdom of Great Britain and Northern Ireland is GB",
            ),
            ("china", "China is CN"),
            ("chian", "China is CN"),
            ("Macau", "Macao is MO"),
            ("hong-kong", "Hong Kong is HK"),
            ("vietnam", "Viet Nam is VN"),
            ("turkey", "Türkiye is TR"),
            ("russia", "Russian Federation is RU"),
            ("germny", "Germany is DE"),
            ("chi", "did you mean CL (Chile) or CN (China)?"),
            ("JA", "did you mean JM (Jamaica) or JP (Japan)?"),
            (
                "SP",
                "did you mean ES (Spain) or PS (Palestine (State of))?",
            ),
            (
                "EU",
                "it stands for Europe or the European Union; list its countries",
            ),
            (
                "",
                "write the two letters of a country, such as CN for China",
            ),
            (
                "x",
                "write the two letters of a country, such as CN for China",
            ),
            (
                "QQ",
                "write the two letters of a country, such as CN for China",
            ),
            (
                "nowhere at all",
                "write the two letters of a country, such as CN for China",
            ),
        ] {
            assert_eq!(on(given), advice, "{given}");
        }
    }

    #[test]
    fn what_advice_names_is_a_country() {
        for (used, code) in IN_USE {
            assert!(rust_iso3166::from_alpha2(code).is_some(), "{used}");
        }
    }
}
