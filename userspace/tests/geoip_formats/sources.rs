//! Several sources: an order, or each of them heard.

use std::net::IpAddr;

use geodrop::{
    geoip::{CountryBy, GeoData, Merge, Opinions, Reconciliation},
    policy::{CountryRule, Policy, Reason, Ruleset, Verdict, explain},
    range::boundaries,
};
use geodrop_common::Rule;
use proptest::prelude::*;

use crate::files::Files;

fn read(sources: &[&str], merge: Merge) -> GeoData {
    let names: Vec<_> = (0..sources.len())
        .map(|number| number.to_string())
        .collect();
    let files: Vec<_> = names
        .iter()
        .zip(sources)
        .map(|(name, text)| (name.as_str(), text.as_bytes()))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let reconciliation = Reconciliation {
        merge,
        country: CountryBy::Location,
    };
    Files::new(&files).read_by(&names, reconciliation).unwrap()
}

const SOURCES: [&str; 3] = [
    "1.0.0.0,1.0.0.255,AU\n2.0.0.0,2.0.0.255,ZZ\n2400::,2400:ffff::,JP\n",
    "1.0.0.128,1.0.1.255,CN\n2.0.0.0,2.0.0.255,HK\n",
    "1.0.0.0,1.0.0.127,CN\n2.0.0.0,2.0.0.255,US\n2400::,2400::ffff,CN\n",
];

#[test]
fn the_first_that_knows_decides_or_any_that_is_against() {
    let first = read(&SOURCES, Merge::First);
    let any = read(&SOURCES, Merge::Any);
    let only = Policy {
        countries: CountryRule::Only(["AU", "JP"].map(|code| code.parse().unwrap()).into()),
        ..Policy::default()
    };
    for (policy, data, ip, verdict, country) in [
        // The default: CN, HK and MO are blocked.
        (
            &Policy::default(),
            &first,
            "1.0.0.1",
            Verdict::Pass,
            Some("AU"),
        ),
        (
            &Policy::default(),
            &any,
            "1.0.0.1",
            Verdict::Drop,
            Some("CN"),
        ),
        (
            &Policy::default(),
            &first,
            "1.0.1.1",
            Verdict::Drop,
            Some("CN"),
        ),
        (
            &Policy::default(),
            &first,
            "2.0.0.1",
            Verdict::Drop,
            Some("HK"),
        ),
        (
            &Policy::default(),
            &any,
            "2.0.0.1",
            Verdict::Drop,
            Some("HK"),
        ),
        (
            &Policy::default(),
            &first,
            "2400::1",
            Verdict::Pass,
            Some("JP"),
        ),
        (
            &Policy::default(),
            &any,
            "2400::1",
            Verdict::Drop,
            Some("CN"),
        ),
        (
            &Policy::default(),
            &any,
            "2400::1:0",
            Verdict::Pass,
            Some("JP"),
        ),
        (&Policy::default(), &any, "9.9.9.9", Verdict::Pass, None),
        // Who is admitted by one and not by another is not admitted.
        (&only, &first, "1.0.0.1", Verdict::Pass, Some("AU")),
        (&only, &any, "1.0.0.1", Verdict::Drop, Some("CN")),
        // A source that does not know an address says nothing against it.
        (&only, &any, "2400::1:0", Verdict::Pass, Some("JP")),
        (&only, &any, "9.9.9.9", Verdict::Drop, None),
    ] {
        let explained = explain(policy, data, ip.parse().unwrap());
        let found = explained.country.map(|country| country.to_string());
        assert_eq!(
            (explained.verdict, found.as_deref()),
            (verdict, country),
            "{ip}"
        );
        let entry = Ruleset::new(policy, data).meaning(ip.parse().unwrap());
        assert_eq!(
            entry.is_against(Rule::GENERAL),
            verdict == Verdict::Drop,
            "{ip}"
        );
    }
}

#[test]
fn an_order_of_sources_is_kept() {
    let reversed: Vec<_> = SOURCES.into_iter().rev().collect();
    let country = |sources: &[&str]| {
        let regions = read(sources, Merge::First).regions;
        let (country, prefix) = regions.lookup("2.0.0.7".parse().unwrap()).unwrap();
        (country.to_string(), prefix.to_string())
    };
    assert_eq!(
        country(&SOURCES),
        ("HK".to_owned(), "2.0.0.0/24".to_owned())
    );
    assert_eq!(
        country(&reversed),
        ("US".to_owned(), "2.0.0.0/24".to_owned())
    );
}

#[test]
fn all_countries_that_are_heard_are_known() {
    let known = |merge| Opinions::from(&read(&SOURCES, merge)).countries().len();
    assert_eq!(known(Merge::Any), 5);
    // Of HK and CN, AU and JP, US is never the first.
    assert_eq!(known(Merge::First), 4);
}

fn any_source() -> impl Strategy<Value = String> {
    let row = (
        0_u32..64,
        0_u32..64,
        prop::sample::select(vec!["CN", "HK", "US", "FR", "ZZ"]),
    );
    prop::collection::vec(row, 1..8).prop_map(|rows| {
        let lines = rows.into_iter().map(|(one, other, code)| {
            let (first, last) = (one.min(other) + (1 << 24), one.max(other) + (1 << 24));
            format!("{first},{last},{code}\n")
        });
        // A row that says something, so that none is refused.
        lines.chain(["33554432,33554432,FR\n".to_owned()]).collect()
    })
}

proptest! {
    /// The table says what the rules say in plain words, and these are what all sources say one by one.
    #[test]
    fn an_address_is_refused_if_any_source_is_against_it(
        sources in prop::collection::vec(any_source(), 1..4),
        admits: bool,
        unknown in prop::sample::select(vec![None, Some(geodrop::policy::Unknown::Block)]),
    ) {
        let countries = ["CN", "HK"].map(|code| code.parse().unwrap()).into();
        let rule = if admits { CountryRule::Only(countries) } else { CountryRule::Block(countries) };
        let policy = Policy { countries: rule, unknown, ..Policy::default() };
        let texts: Vec<_> = sources.iter().map(String::as_str).collect();
        let data = read(&texts, Merge::Any);
        let ruleset = Ruleset::new(&policy, &data);
        for reading in &data.readings {
            for address in boundaries(reading.regions.ipv4()).map(IpAddr::from) {
                let alone = data.readings.iter().map(|one| explain(&policy, &one.regions, address));
                let alone: Vec<_> = alone.collect();
                let heard = alone.iter().filter(|one| one.country.is_some());
                let known = heard.clone().next().is_some();
                let expected = if known {
                    heard.clone().any(|one| one.verdict == Verdict::Drop)
                } else {
                    alone[0].verdict == Verdict::Drop
                };
                let explained = explain(&policy, &data, address);
                if explained.reason != Reason::SpecialPurpose {
                    prop_assert_eq!(explained.verdict == Verdict::Drop, expected, "{}", address);
                }
                let against = ruleset.meaning(address).is_against(Rule::GENERAL);
                prop_assert_eq!(explained.verdict == Verdict::Drop, against, "{}", address);
            }
        }
    }
}
