//! Words that several verbs put things into.

use std::{cmp::Reverse, collections::BTreeMap};

use geodrop::{
    Counter,
    datapath::{Hook, counters::Counters, interface::Mode, report::Origin},
    geoip::{self, Country},
    policy::config::Choice as _,
};

/// Up to how many countries are shown by their names.
const NAMED: usize = 8;

/// Where a filter runs, and how, if there are ways.
pub(super) fn hook(hook: Hook, mode: Option<Mode>) -> String {
    mode.map_or_else(|| hook.word().to_owned(), |mode| format!("{mode} mode"))
}

/// Why packets drop: the country, if that is why, and the word for it that scripts know.
pub(super) const fn origin(origin: Origin) -> (Option<Country>, &'static str) {
    match origin {
        Origin::Country(country) => (Some(country), "country"),
        Origin::Unknown => (None, "unknown"),
        Origin::Denied => (None, "deny"),
    }
}

/// Countries: by name, so that a slip of the keyboard is seen; many of them, as groups have, by their codes.
pub(super) fn countries<'a>(countries: impl IntoIterator<Item = &'a Country>) -> String {
    let countries: Vec<_> = countries.into_iter().collect();
    match countries.len() {
        0 => "no country".to_owned(),
        1..=NAMED => geoip::names(countries),
        count => {
            let codes: Vec<_> = countries.iter().map(|country| country.as_str()).collect();
            format!("{count} countries ({})", codes.join(" "))
        }
    }
}

/// What was dropped, by country and by what else was the reason: countries first, the busiest of them first; only what there
/// was any of.
pub(super) fn dropped(counters: &Counters) -> Vec<(String, Counter)> {
    let named = by_country(&counters.countries)
        .into_iter()
        .map(|(country, counter)| (country.to_string(), counter));
    let others = [
        ("denied", counters.denied),
        ("unknown", counters.unknown),
        ("malformed", counters.malformed),
    ];
    let others = others.map(|(name, counter)| (name.to_owned(), counter));
    named
        .chain(others)
        .filter(|(_, counter)| counter.packets > 0)
        .collect()
}

/// Counters by country, the busiest first.
pub(super) fn by_country(counters: &BTreeMap<Country, Counter>) -> Vec<(Country, Counter)> {
    let mut all: Vec<_> = counters
        .iter()
        .map(|(country, counter)| (*country, *counter))
        .collect();
    all.sort_by_key(|(country, counter)| (Reverse(counter.packets), *country));
    all
}
