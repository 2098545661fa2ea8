//! Tables of what is doubted, and properties.

use proptest::prelude::*;

use super::*;
use crate::geoip::{AnyRange, Builder};

fn told(before: &[(&str, &str)], after: &[(&str, &str)], named: &[&str]) -> Vec<String> {
    let (before, after) = (Regions::of_prefixes(before), Regions::of_prefixes(after));
    let limits = Limits {
        named: named.iter().map(|code| code.parse().unwrap()).collect(),
        ..Limits::default()
    };
    let state = |regions| State {
        regions,
        date: None,
    };
    let doubts = doubts(state(&before), state(&after), &limits);
    let texts = doubts.iter().map(|doubt| match doubt {
        Doubt::Vanished { country } => format!("{country} vanished"),
        Doubt::Changed {
            country,
            family,
            before,
            after,
            ..
        } => {
            let way = if after > before { "grew" } else { "shrank" };
            format!("{country} {way} in {family}")
        }
        Doubt::Lost { family, .. } => format!("{family} lost"),
        Doubt::RangesLost { family, .. } => format!("{family} ranges lost"),
        Doubt::Older { .. } => "older".to_owned(),
    });
    texts.collect()
}

const WORLD: [(&str, &str); 5] = [
    ("1.0.0.0/8", "CN"),
    ("2.0.0.0/8", "FR"),
    ("3.0.0.0/24", "MO"),
    ("2400::/24", "CN"),
    ("2a00::/24", "FR"),
];

/// The world, with other rows in the place of those of these prefixes.
fn world<'a>(without: &[&str], with: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = WORLD.iter().filter(|(prefix, _)| !without.contains(prefix));
    kept.chain(with).copied().collect()
}

/// What happens; what of the world is left out, and what is put in; who is named; what is doubted.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn what_is_out_of_proportion_is_doubted_and_nothing_else() {
    let cases: &[Case] = &[
        ("nothing changed", &[], &[], &["CN"], &[]),
        (
            "a country is gone, its addresses are another's",
            &["1.0.0.0/8", "2400::/24"],
            &[("1.0.0.0/8", "FR"), ("2400::/24", "FR")],
            &[],
            &["CN vanished", "FR grew in IPv4", "FR grew in IPv6"],
        ),
        (
            "a country is gone with its addresses",
            &["1.0.0.0/8", "2400::/24"],
            &[],
            &[],
            &[
                "CN vanished",
                "IPv4 lost",
                "IPv4 ranges lost",
                "IPv6 lost",
                "IPv6 ranges lost",
            ],
        ),
        (
            "a small country is gone, and somebody names it",
            &["3.0.0.0/24"],
            &[("3.0.0.0/24", "FR")],
            &["MO"],
            &["MO vanished"],
        ),
        (
            "a small country is gone",
            &["3.0.0.0/24"],
            &[("3.0.0.0/24", "FR")],
            &[],
            &[],
        ),
        (
            "many ranges are gone, but few addresses",
            &["3.0.0.0/24"],
            &[],
            &[],
            &["IPv4 ranges lost"],
        ),
        (
            "a family of a country is gone",
            &["2400::/24"],
            &[("2400::/24", "FR")],
            &[],
            &["CN shrank in IPv6", "FR grew in IPv6"],
        ),
        (
            "a quarter of a country moved",
            &["1.0.0.0/8"],
            &[("1.0.0.0/8", "CN"), ("1.0.0.0/10", "FR")],
            &["CN"],
            &[],
        ),
        (
            "half of a country moved",
            &["1.0.0.0/8"],
            &[("1.0.0.0/9", "CN"), ("1.128.0.0/9", "FR")],
            &[],
            &["CN shrank in IPv4", "FR grew in IPv4"],
        ),
        (
            "a small country doubled, and somebody names it",
            &["3.0.0.0/24"],
            &[("3.0.0.0/23", "MO")],
            &["MO"],
            &["MO grew in IPv4"],
        ),
        (
            "a country's first addresses of a family, a few and a great many",
            &[],
            &[("2c00::/32", "MO"), ("2d00::/24", "DE")],
            &["MO"],
            &["DE grew in IPv6"],
        ),
    ];
    for (what, without, with, named, expected) in cases {
        assert_eq!(
            told(&WORLD, &world(without, with), named),
            *expected,
            "{what}"
        );
    }
}

#[test]
fn a_family_that_data_never_had_is_welcome() {
    let before = [("1.0.0.0/8", "CN")];
    let after = [("1.0.0.0/8", "CN"), ("2400::/24", "CN")];
    assert!(told(&before, &after, &["CN"]).is_empty());
    assert_eq!(
        told(&after, &before, &[]),
        ["IPv6 lost", "IPv6 ranges lost", "CN shrank in IPv6"]
    );
}

#[test]
fn data_of_an_earlier_day_is_doubted() {
    let regions = Regions::of_prefixes(&WORLD);
    let state = |day: Option<i8>| State {
        regions: &regions,
        date: day.map(|day| Date::constant(2026, 7, day)),
    };
    let between = |before, after| doubts(state(before), state(after), &Limits::default());
    assert_eq!(
        between(Some(7), Some(6))[0].to_string(),
        "it is of 2026-07-06, older than what is in force, of 2026-07-07"
    );
    for (before, after) in [
        (Some(7), Some(7)),
        (Some(6), Some(7)),
        (None, Some(1)),
        (Some(9), None),
    ] {
        assert_eq!(between(before, after), [], "{before:?} {after:?}");
    }
}

#[test]
fn a_share_is_a_whole_number_of_percent() {
    for (text, share) in [
        ("40%", Some(40)),
        ("40", Some(40)),
        ("0 %", Some(0)),
        ("250%", Some(250)),
    ] {
        assert_eq!(text.parse().ok(), share.map(Percent), "{text}");
    }
    for text in ["", "%", "-1%", "0.4", "forty", "100000%"] {
        let words = text.parse::<Percent>().unwrap_err().to_string();
        assert!(words.contains("like 40%"), "{text}: {words}");
    }
}

fn any_rows() -> impl Strategy<Value = Vec<(u32, u32, &'static str)>> {
    let row = (
        0_u32..4096,
        0_u32..512,
        prop::sample::select(vec!["CN", "HK", "US", "FR"]),
    );
    prop::collection::vec(row, 1..20)
}

fn built(rows: &[(u32, u32, &str)]) -> Regions {
    let mut builder = Builder::default();
    for &(first, length, code) in rows {
        let [first, last] =
            [first << 12, (first + length) << 12].map(std::net::Ipv4Addr::from_bits);
        let range = AnyRange::Ipv4(crate::range::Range::new(first, last).unwrap());
        builder.add(range, code.parse().unwrap(), 0);
    }
    builder.build().0
}

proptest! {
    #[test]
    fn data_is_plausible_as_its_own_successor(rows in any_rows()) {
        let regions = built(&rows);
        let state = State { regions: &regions, date: None };
        let limits = Limits { named: regions.countries(), change: Percent(0), lost: Percent(0) };
        prop_assert_eq!(doubts(state, state, &limits), []);
    }

    #[test]
    fn wider_limits_never_doubt_more(before in any_rows(), after in any_rows(), change in 0_u16..150, lost in 0_u16..100) {
        let (before, after) = (built(&before), built(&after));
        let state = |regions| State { regions, date: None };
        let count = |change, lost| {
            let limits = Limits { change: Percent(change), lost: Percent(lost), ..Limits::default() };
            doubts(state(&before), state(&after), &limits).len()
        };
        prop_assert!(count(change + 1, lost) <= count(change, lost));
        prop_assert!(count(change, lost + 1) <= count(change, lost));
    }

    #[test]
    fn a_share_is_exceeded_as_by_long_arithmetic(part in any::<u64>(), whole in any::<u64>(), percent: u16) {
        let expected = u128::from(part) * 100 > u128::from(whole) * u128::from(percent);
        let percent = Percent(percent);
        prop_assert_eq!(percent.is_exceeded(part.into(), whole.into()), expected);
        // Of as many IPv6 addresses the same.
        prop_assert_eq!(percent.is_exceeded(u128::from(part) << 64, u128::from(whole) << 64), expected);
    }
}
