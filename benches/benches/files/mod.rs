//! Files of GeoIP data to read: the built-in data, as others would publish it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use geodrop::{
    geoip::{Country, Located, Regions},
    range::{Address, Prefix},
};
use ipnet::IpNet;
use mmdb_writer::{Error, Value, Writer};

/// A file, and how many rows it was made of.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) rows: u64,
}

/// Writes them, of so many ranges of each family at most.
pub(crate) fn write(regions: &Regions, most: usize, directory: &Path) -> Vec<File> {
    let ipv4 = &regions.ipv4()[..most.min(regions.ipv4().len())];
    let ipv6 = &regions.ipv6()[..most.min(regions.ipv6().len())];
    let mut lines = lines(ipv4);
    lines.extend(self::lines(ipv6));
    let rows = lines.len() as u64;
    let in_order = lines.concat();
    fastrand::Rng::with_seed(7).shuffle(&mut lines);
    let database = database(networks(ipv4).chain(networks(ipv6)));
    let files = [
        ("csv", "world.csv", in_order.into_bytes()),
        ("csv, shuffled", "shuffled.csv", lines.concat().into_bytes()),
        ("mmdb", "world.mmdb", database),
    ];
    files
        .map(|(name, file, content)| {
            let path = directory.join(file);
            fs::write(&path, content).expect("writing a file to read");
            File { name, path, rows }
        })
        .into()
}

fn lines<A: Address>(ranges: &[Located<A>]) -> Vec<String> {
    let line = |located: &Located<A>| {
        let (first, last) = (located.range.first(), located.range.last());
        let mut line = String::new();
        let _ = writeln!(line, "{first},{last},{}", located.label);
        line
    };
    ranges.iter().map(line).collect()
}

fn networks<A: Address>(ranges: &[Located<A>]) -> impl Iterator<Item = (IpNet, Country)> {
    ranges.iter().flat_map(|located| {
        let prefixes = located.range.prefixes();
        prefixes.map(|prefix: Prefix<A>| (prefix.into(), located.label))
    })
}

fn database(networks: impl Iterator<Item = (IpNet, Country)>) -> Vec<u8> {
    let mut writer = Writer::builder("GeoLite2-Country").build();
    for (network, country) in networks {
        let inserted = writer.insert_value(network, record(country));
        // 6to4 and the like: such databases lead to the IPv4 address there.
        if !matches!(inserted, Err(Error::AliasedNetwork(_))) {
            inserted.expect("a network of the data");
        }
    }
    writer.to_bytes().expect("a database of the data")
}

/// A record of GeoLite2's, with names in as many languages.
fn record(country: Country) -> Value {
    let names = || {
        let languages = ["de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"];
        Value::map(languages.map(|language| (language, Value::from(country.name()))))
    };
    let place = || {
        Value::map([
            (
                "geoname_id",
                Value::from(u32::from_be_bytes([
                    0,
                    1,
                    country.code()[0],
                    country.code()[1],
                ])),
            ),
            ("iso_code", Value::from(country.as_str())),
            ("names", names()),
        ])
    };
    Value::map([
        (
            "continent",
            Value::map([("code", Value::from("AS")), ("names", names())]),
        ),
        ("country", place()),
        ("registered_country", place()),
    ])
}
