//! MaxMind DBs, as several makers write them.

use std::time::{Duration, SystemTime};

use geodrop::geoip::Format;
use ipnet::IpNet;
use mmdb_writer::{IpVersion, Ipv4Aliasing, RecordSize, Value, Writer};

use crate::{
    files::{error, read, read_by_registration, set_aside, told},
    text::TRUTH,
};

/// A record of MaxMind's.
fn maxmind(location: Option<&str>, registered: Option<&str>) -> Value {
    let country = |code: &str| Value::map([("iso_code", Value::from(code))]);
    let continent = Value::map([("code", Value::from("AS"))]);
    let fields = [
        Some(("continent", continent)),
        location.map(|code| ("country", country(code))),
        registered.map(|code| ("registered_country", country(code))),
    ];
    Value::map(fields.into_iter().flatten())
}

/// A record of IPinfo's.
fn ipinfo(name: &str, code: &str) -> Value {
    Value::map([
        ("country", Value::from(name)),
        ("country_code", Value::from(code)),
        ("continent", Value::from("Asia")),
        ("asn", Value::from("AS64496")),
    ])
}

/// A record of ip-location-db's.
fn flat(code: &str) -> Value {
    Value::map([("country_code", Value::from(code))])
}

fn database(kind: &str, size: RecordSize, rows: &[(&str, Value)]) -> Vec<u8> {
    let mut writer = Writer::builder(kind)
        .record_size(size)
        .build_epoch(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000))
        .build();
    for (network, value) in rows {
        let network: IpNet = network.parse().unwrap();
        writer.insert_value(network, value.clone()).unwrap();
    }
    writer.to_bytes().unwrap()
}

/// The truth as networks.
const NETWORKS: [(&str, &str); 6] = [
    ("1.0.0.0/24", "AU"),
    ("1.0.1.0/24", "CN"),
    ("1.0.2.0/23", "CN"),
    ("143.89.0.0/16", "HK"),
    ("2001:200::/32", "JP"),
    ("2400:3200::/32", "CN"),
];

/// The truth, with records of a maker.
pub(crate) fn truth(kind: &str, size: RecordSize, record: impl Fn(&str) -> Value) -> Vec<u8> {
    let rows: Vec<_> = NETWORKS
        .iter()
        .map(|(network, code)| (*network, record(code)))
        .collect();
    database(kind, size, &rows)
}

/// The truth as ip-location-db writes it.
pub(crate) fn small() -> Vec<u8> {
    truth("country ipvAll", RecordSize::Bits24, flat)
}

#[test]
fn all_makers_are_read() {
    for size in [RecordSize::Bits24, RecordSize::Bits28, RecordSize::Bits32] {
        for (kind, file, licence) in [
            (
                "GeoLite2-Country",
                truth("GeoLite2-Country", size, |code| {
                    maxmind(Some(code), Some("US"))
                }),
                Some("LicenseRef-GeoLite2-EULA"),
            ),
            (
                "DBIP-Country-Lite",
                truth("DBIP-Country-Lite", size, |code| maxmind(Some(code), None)),
                Some("CC-BY-4.0"),
            ),
            (
                "ipinfo bundle_location_lite.mmdb",
                truth("ipinfo bundle_location_lite.mmdb", size, |code| {
                    ipinfo("Somewhere", code)
                }),
                Some("CC-BY-SA-4.0"),
            ),
            ("country ipvAll", truth("country ipvAll", size, flat), None),
            (
                "codes",
                truth("codes", size, |code| Value::from(code)),
                None,
            ),
            (
                "old",
                truth("old", size, |code| {
                    Value::map([("country", Value::from(code))])
                }),
                None,
            ),
        ] {
            let reading = read("x", &file).unwrap();
            assert_eq!(told(&reading.regions), TRUTH, "{kind} {size:?}");
            assert_eq!(reading.format, Format::Mmdb);
            let source = &reading.source;
            assert_eq!(source.version.as_deref(), Some(kind));
            assert_eq!(source.licence.as_deref(), licence, "{kind}");
            assert_eq!(source.date.unwrap().to_string(), "2024-10-04");
        }
    }
}

#[test]
fn networks_that_touch_become_one_range() {
    let reading = read("x", &small()).unwrap();
    let ranges = [reading.regions.ipv4().len(), reading.regions.ipv6().len()];
    assert_eq!(ranges, [3, 2]);
}

#[test]
fn ipv4_counts_once_however_many_ways_lead_there() {
    let all = |aliasing| {
        let mut writer = Writer::builder("x").ipv4_aliasing(aliasing).build();
        for (network, code) in NETWORKS {
            let network: IpNet = network.parse().unwrap();
            writer.insert_value(network, flat(code)).unwrap();
        }
        read("x", &writer.to_bytes().unwrap()).unwrap().regions
    };
    let with = all(Ipv4Aliasing::Enabled);
    assert_eq!(told(&with), TRUTH);
    assert_eq!(with, all(Ipv4Aliasing::Disabled));

    // Written out once more, they are the same addresses.
    let mapped = database(
        "x",
        RecordSize::Bits24,
        &[("1.0.0.0/24", flat("AU")), ("2001:200::/32", flat("JP"))],
    );
    let reading = read("x", &mapped).unwrap();
    assert_eq!(told(&reading.regions), [TRUTH[0], TRUTH[3]]);
}

#[test]
fn a_database_of_one_family_is_read() {
    let mut writer = Writer::builder("x").ip_version(IpVersion::V4).build();
    for (network, code) in &NETWORKS[..4] {
        let network: IpNet = network.parse().unwrap();
        writer.insert_value(network, flat(code)).unwrap();
    }
    let ipv4 = read("x", &writer.to_bytes().unwrap()).unwrap();
    assert_eq!(told(&ipv4.regions), TRUTH[..3]);

    // A record for what is below ::/3, and the same one elsewhere: no alias of IPv4, for there is none.
    let mut writer = Writer::builder("x")
        .ipv4_aliasing(Ipv4Aliasing::Disabled)
        .build();
    for network in ["::/3", "2400::/16"] {
        let network: IpNet = network.parse().unwrap();
        writer.insert_value(network, flat("CN")).unwrap();
    }
    let ipv6 = read("x", &writer.to_bytes().unwrap()).unwrap();
    assert_eq!(
        told(&ipv6.regions),
        [
            "::-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff CN",
            "2400::-2400:ffff:ffff:ffff:ffff:ffff:ffff:ffff CN",
        ]
    );
}

#[test]
fn where_a_record_says_two_countries_the_choice_is_the_users() {
    let file = database(
        "GeoIP2-City",
        RecordSize::Bits28,
        &[
            ("1.0.0.0/24", maxmind(Some("AU"), Some("CN"))),
            ("1.0.1.0/24", maxmind(None, Some("HK"))),
            ("1.0.2.0/24", maxmind(Some("JP"), None)),
            ("1.0.3.0/24", maxmind(None, None)),
            (
                "1.0.4.0/24",
                Value::map([("is_anycast", Value::from(true))]),
            ),
        ],
    );
    let reading = read("x", &file).unwrap();
    let told_by_location = told(&reading.regions);
    assert_eq!(
        told_by_location,
        [
            "1.0.0.0-1.0.0.255 AU",
            "1.0.1.0-1.0.1.255 HK",
            "1.0.2.0-1.0.2.255 JP",
        ]
    );
    let reasons = [("Unknown".to_owned(), 1), ("Region".to_owned(), 1)];
    assert_eq!(set_aside(&reading), reasons);
    let told_by_registration = told(&read_by_registration("x", &file).regions);
    assert_eq!(told_by_registration[0], "1.0.0.0-1.0.0.255 CN");
    assert_eq!(told_by_registration[1..], told_by_location[1..]);
}

#[test]
fn what_is_wrong_with_a_record_is_told() {
    let one = |value| database("x", RecordSize::Bits24, &[("1.0.0.0/24", value)]);
    let said = error(
        "x",
        &one(Value::map([("country", Value::from("Australia"))])),
    );
    assert!(
        said.contains("at offset 0 of its data says the country by name (`Australia`)"),
        "{said}"
    );
    let said = error("x", &one(flat("AUS")));
    assert!(
        said.contains("the record at offset 0 of its data: `AUS`"),
        "{said}"
    );
    assert!(said.contains("write AU"), "{said}");
    let said = error(
        "x",
        &one(Value::map([(
            "autonomous_system_number",
            Value::from(64496_u32),
        )])),
    );
    assert!(
        said.starts_with("x: none of its 1 rows says a country"),
        "{said}"
    );
    let said = error("x", &one(Value::map([("country", Value::from(7_u32))])));
    assert!(said.starts_with("x: a damaged MaxMind DB: "), "{said}");
}

#[test]
fn a_tree_that_is_none_is_refused_before_it_is_walked() {
    // Both records of the node above lead to the node below, 100 times: 2^100 ways to the bottom.
    let mut file = small();
    let nodes = 100_usize;
    for node in 0..nodes {
        let next = u32::try_from(node + 1).unwrap().to_be_bytes();
        file[node * 6..][..3].copy_from_slice(&next[1..]);
        file[node * 6 + 3..][..3].copy_from_slice(&next[1..]);
    }
    let said = error("x", &file);
    assert!(
        said.contains("two ways lead to node 1 of its tree"),
        "{said}"
    );
    // Around in a circle.
    let mut file = small();
    file[..6].fill(0);
    assert!(error("x", &file).contains("two ways lead to node 0 of its tree"));
}
