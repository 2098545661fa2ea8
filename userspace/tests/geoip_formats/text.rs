//! Text formats: the same few ranges in each, and what each has of its own.

use geodrop::geoip::Format;

use crate::files::{Files, error, excerpt, read, read_by_registration, set_aside, told};

/// What all excerpts say that were written for these tests.
pub(crate) const TRUTH: [&str; 5] = [
    "1.0.0.0-1.0.0.255 AU",
    "1.0.1.0-1.0.3.255 CN",
    "143.89.0.0-143.89.255.255 HK",
    "2001:200::-2001:200:ffff:ffff:ffff:ffff:ffff:ffff JP",
    "2400:3200::-2400:3200:ffff:ffff:ffff:ffff:ffff:ffff CN",
];

#[test]
fn all_formats_say_the_same() {
    let reasons = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs
            .iter()
            .map(|&(reason, rows)| (reason.to_owned(), rows))
            .collect()
    };
    for (name, format, aside) in [
        (
            "dbip-country-lite.csv",
            Format::Ranges,
            reasons(&[("Unknown", 2)]),
        ),
        (
            "ip2location-lite-ipv6.csv",
            Format::Ranges,
            reasons(&[("Unknown", 1)]),
        ),
        (
            "ipinfo-lite.csv",
            Format::Columns,
            reasons(&[("Unknown", 1), ("Region", 1)]),
        ),
        ("named-columns.csv", Format::Columns, reasons(&[])),
        (
            "delegated-five-extended.txt",
            Format::Delegated,
            reasons(&[("Unknown", 1), ("Region", 1), ("Unallocated", 2)]),
        ),
        ("delegated-apnic.txt", Format::Delegated, reasons(&[])),
        ("geofeed.csv", Format::Geofeed, reasons(&[("Unknown", 1)])),
    ] {
        let reading = read(name, &excerpt(name)).unwrap();
        assert_eq!(told(&reading.regions), TRUTH, "{name}");
        assert_eq!(
            (reading.format, set_aside(&reading)),
            (format, aside),
            "{name}"
        );
        // Names mean nothing.
        assert_eq!(
            read("x", &excerpt(name)).unwrap().regions,
            reading.regions,
            "{name}"
        );
    }
    let name = "ip2location-lite-ipv4.csv";
    assert_eq!(
        told(&read(name, &excerpt(name)).unwrap().regions),
        TRUTH[..3]
    );
}

#[test]
fn numbers_are_addresses_of_both_families() {
    let same = |one: &str, other: &str, rows: usize| {
        let ranges = |name: &str| {
            let text = String::from_utf8(excerpt(name)).unwrap();
            let lines: Vec<_> = text
                .lines()
                .take(rows)
                .map(|line| format!("{line}\n"))
                .collect();
            told(&read(name, lines.concat().as_bytes()).unwrap().regions)
        };
        assert_eq!(ranges(one), ranges(other));
    };
    same("ip-location-db-ipv4.csv", "ip-location-db-ipv4-num.csv", 3);
    same("ip-location-db-ipv6.csv", "ip-location-db-ipv6-num.csv", 5);
}

#[test]
fn the_inner_range_is_the_truth() {
    let reading = read("x", &excerpt("ip-location-db-ipv4.csv")).unwrap();
    let inner: Vec<_> = told(&reading.regions)
        .into_iter()
        .filter(|range| range.starts_with("2.58."))
        .collect();
    assert_eq!(
        inner,
        [
            "2.58.196.0-2.58.197.14 DE",
            "2.58.197.15-2.58.197.15 BE",
            "2.58.197.16-2.58.197.255 DE",
        ]
    );
}

#[test]
fn what_tor_says_of_its_data_is_told() {
    for name in ["tor-geoip", "tor-geoip6"] {
        let reading = read(name, &excerpt(name)).unwrap();
        let source = &reading.source;
        assert_eq!(source.date, Some("2026-06-25".parse().unwrap()));
        assert_eq!(source.licence.as_deref(), Some("CC-BY-SA-4.0"));
        assert!(source.attribution.as_deref().unwrap().contains("IPFire"));
    }
    let reading = read("x", &excerpt("tor-geoip")).unwrap();
    let aside = set_aside(&reading);
    let expected = [("Unknown", 1), ("Region", 2), ("Unlisted", 1)];
    assert_eq!(
        aside,
        expected.map(|(reason, rows)| (reason.to_owned(), rows))
    );
    // UK is Britain.
    let britain = told(&reading.regions);
    assert!(
        britain.contains(&"62.157.249.16-62.157.249.19 GB".to_owned()),
        "{britain:?}"
    );
}

#[test]
fn registries_say_their_day_and_the_oldest_counts() {
    let date = |name: &str| read(name, &excerpt(name)).unwrap().source.date.unwrap();
    assert_eq!(date("delegated-apnic.txt").to_string(), "2026-07-07");
    assert_eq!(
        date("delegated-five-extended.txt").to_string(),
        "2026-07-06"
    );
}

#[test]
fn a_bad_line_of_a_registry_is_named() {
    let head = "2|apnic|20260708|1|19830613|20260707|+1000\n";
    for (line, words) in [
        (
            "apnic|CN|ipv4|1.0.1.0",
            "4 fields where seven or more are needed",
        ),
        (
            "apnic|CN|ipv4|1.0.1|256|20110414|allocated",
            "`1.0.1` is no address",
        ),
        (
            "apnic|CN|ipv4|1.0.1.0|0|20110414|allocated",
            "`0` is no number of addresses",
        ),
        (
            "apnic|CN|ipv4|255.0.0.0|16777217|x|allocated",
            "`16777217` is no number of addresses",
        ),
        (
            "apnic|CN|ipv6|2400::|129|20110414|allocated",
            "`2400::/129` is no prefix",
        ),
        (
            "apnic|CN|ipv5|1.0.1.0|256|20110414|allocated",
            "`ipv5` is no type of resource",
        ),
        ("apnic|CHN|ipv4|1.0.1.0|256|20110414|allocated", "write CN"),
    ] {
        let said = error("x", format!("{head}{line}\n").as_bytes());
        assert!(said.starts_with("x:2: ") && said.contains(words), "{said}");
    }
}

#[test]
fn a_list_of_prefixes_is_of_one_country() {
    let zone = excerpt("cn.zone");
    let china = [TRUTH[1], TRUTH[4]];
    assert_eq!(told(&read("cn.zone", &zone).unwrap().regions), china);
    assert_eq!(
        told(&read("lists/cn/ipv6.txt", &zone).unwrap().regions),
        china
    );
    let verse = read("office.txt", &excerpt("ipverse-aggregated.txt")).unwrap();
    assert_eq!(
        (told(&verse.regions).len(), verse.format),
        (1, Format::Prefixes)
    );

    let files = Files::new(&[
        ("office.txt", &zone),
        ("world.csv", b"1.0.0.0,1.0.0.255,AU\n"),
    ]);
    let hong_kong = files.read(&["HK=office.txt"]).unwrap();
    assert_eq!(hong_kong.regions.countries().len(), 1);
    assert!(told(&hong_kong.regions)[0].ends_with(" HK"));
    let said = files.error(&["office.txt"]);
    assert!(
        said.starts_with("office.txt: prefixes, and no word of the country"),
        "{said}"
    );
    assert_eq!(
        files.error(&["HK=world.csv"]),
        "world.csv: given as HK=world.csv, but it says countries itself; write world.csv without the country"
    );
    let cut = error("cn.zone", b"1.0.1.0/24\n1.0.2.0/2\n");
    assert!(
        cut.starts_with("cn.zone:2: `1.0.2.0/2` is a prefix with host bits set"),
        "{cut}"
    );
}

#[test]
fn columns_are_found_by_their_names() {
    let read = |text: &str| told(&read("x", text.as_bytes()).unwrap().regions);
    let expected = ["1.0.0.0-1.0.0.255 AU"];
    for text in [
        "country_code,network\nAU,1.0.0.0/24\n",
        "country,asn,ip_from,ip_to,country_code\nAustralia,1,16777216,16777471,AU\n",
        "Network,Country\n1.0.0.0/24,AU\n",
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    for (text, words) in [
        (
            "network,country\n1.0.0.0/24,Australia\n",
            "x:2: a country's name where its code is needed",
        ),
        (
            "network,country_code\n1.0.0.0/24\n",
            "x:2: 1 fields where as many as in the first line",
        ),
        ("network,country_code\n1.0.0.0/24,AU,\n", "x:2: 3 fields"),
        (
            "network,country_code\n1.0.0.1/24,AU\n",
            "x:2: `1.0.0.1/24` is a prefix with host bits set",
        ),
        (
            "network,country_code\n\"1.0.0.0/24,AU\n",
            "x:2: a quote is opened and not closed",
        ),
    ] {
        let said = error("x", text.as_bytes());
        assert!(said.starts_with(words), "{said}");
    }
}

#[test]
fn half_of_maxminds_csv_is_refused_with_the_remedy() {
    let said = error("x", &excerpt("maxmind-blocks-ipv4.csv"));
    assert!(
        said.starts_with("x:2: one half of MaxMind's CSV: give the zip archive"),
        "{said}"
    );
    let said = error("x", &excerpt("maxmind-locations.csv"));
    assert!(
        said.starts_with("x: one half of MaxMind's CSV: give the zip archive"),
        "{said}"
    );
}

#[test]
fn what_is_no_data_is_told_from_data() {
    for page in [
        "<!DOCTYPE html>\n<html>",
        "<?xml version='1.0'?>",
        "{\"error\": \"limit reached\"}",
    ] {
        let said = error("x", page.as_bytes());
        assert!(
            said.starts_with("x:1: a web page or a server's message, no data"),
            "{said}"
        );
    }
    let said = error("x", b"Invalid license key\n");
    assert!(said.starts_with("x:1: a line of no known format"), "{said}");
    let said = error("x", b"LOCDBXX\0\x01\0\0\0");
    assert!(
        said.starts_with("x: a database of IPFire's (libloc)"),
        "{said}"
    );
    let said = error("x", b"\0\x01\x02\x03 something");
    assert!(
        said.starts_with("x: neither text nor a database that is known here"),
        "{said}"
    );
    let said = error("x", b"0.0.0.0,255.255.255.255,ZZ\n");
    assert!(
        said.starts_with("x: none of its 1 rows says a country"),
        "{said}"
    );
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let mut text = b"1.0.0.0,1.0.0.255,AU\n".to_vec();
    text.extend(vec![b'x'; 1 << 20]);
    let said = error("x", &text);
    assert!(
        said.starts_with("x:2: a line of more than 65536 bytes"),
        "{said}"
    );
    assert!(said.len() < 400, "{said}");
}

#[test]
fn where_data_says_two_countries_the_choice_is_the_users() {
    let zip = crate::packing::maxmind();
    let by_location = read("x.zip", &zip).unwrap();
    assert_eq!(told(&by_location.regions), TRUTH);
    assert_eq!(by_location.format, Format::Maxmind);
    let reasons = [("Unknown".to_owned(), 1), ("Region".to_owned(), 1)];
    assert_eq!(set_aside(&by_location), reasons);
    let by_registration = told(&read_by_registration("x.zip", &zip).regions);
    assert_eq!(
        by_registration,
        [
            "1.0.0.0-1.0.3.255 CN",
            "143.89.0.0-143.89.255.255 CN",
            "2001:200::-2001:200:ffff:ffff:ffff:ffff:ffff:ffff JP",
            "2400:3200::-2400:3200:ffff:ffff:ffff:ffff:ffff:ffff JP",
        ]
    );
}
