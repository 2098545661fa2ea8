//! Reading `first,last,country` files: what is tolerated, and what each error says.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{fs, net::IpAddr, path::PathBuf};

use geodrop::geoip::{self, GeoData, GeoipError};
use tempfile::TempDir;

/// Files in a directory of their own.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        Self(directory)
    }

    fn read(&self, names: &[&str]) -> Result<GeoData, GeoipError> {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.0.path().join(name)).collect();
        geoip::read(&paths)
    }

    /// The error's words, without the directory.
    fn error(&self, names: &[&str]) -> String {
        let directory = format!("{}/", self.0.path().display());
        self.read(names)
            .unwrap_err()
            .to_string()
            .replace(&directory, "")
    }
}

fn read(content: &[u8]) -> GeoData {
    Files::new(&[("a.csv", content)]).read(&["a.csv"]).unwrap()
}

fn error(content: &[u8]) -> String {
    Files::new(&[("a.csv", content)]).error(&["a.csv"])
}

/// The ranges as `first-last country`, IPv4 first.
fn told(data: &GeoData) -> Vec<String> {
    let ipv4 = data
        .regions
        .ipv4()
        .iter()
        .map(|located| format!("{} {}", located.range, located.label));
    let ipv6 = data
        .regions
        .ipv6()
        .iter()
        .map(|located| format!("{} {}", located.range, located.label));
    ipv4.chain(ipv6).collect()
}

#[test]
fn lines_may_be_unsorted_nested_and_of_both_families() {
    let data = read(
        b"2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP\n\
          2.58.197.15,2.58.197.15,BE\n\
          1.0.0.0,1.0.0.255,AU\n\
          2.58.196.0,2.58.197.255,DE\n",
    );
    assert_eq!(
        told(&data),
        [
            "1.0.0.0-1.0.0.255 AU",
            "2.58.196.0-2.58.197.14 DE",
            "2.58.197.15-2.58.197.15 BE",
            "2.58.197.16-2.58.197.255 DE",
            "2001:200::-2001:200:ffff:ffff:ffff:ffff:ffff:ffff JP",
        ]
    );
}

#[test]
fn decimal_numbers_are_addresses() {
    let data = read(
        b"16777216,16777471,AU\n\
          4294967295,4294967295,CN\n\
          0,281470681743359,FR\n\
          42540528726795050063891204319802818560,42540528806023212578155541913346768895,JP\n",
    );
    assert_eq!(
        told(&data),
        [
            "1.0.0.0-1.0.0.255 AU",
            "255.255.255.255-255.255.255.255 CN",
            "::-::fffe:ffff:ffff FR",
            "2001:200::-2001:200:ffff:ffff:ffff:ffff:ffff:ffff JP",
        ]
    );
}

#[test]
fn what_means_nothing_is_tolerated() {
    let data = read(
        b"\xef\xbb\xbfstart_ip,end_ip,country\r\n\
          # a comment, with, commas\r\n\
          \r\n\
          \"1.0.0.0\",\"1.0.0.255\",\"au\"\r\n\
          \t 1.0.1.0 , 1.0.3.255 , CN \r\n\
          1.0.4.0,1.0.7.255,AU",
    );
    assert_eq!(
        told(&data),
        [
            "1.0.0.0-1.0.0.255 AU",
            "1.0.1.0-1.0.3.255 CN",
            "1.0.4.0-1.0.7.255 AU"
        ]
    );
}

#[test]
fn a_bad_line_is_named_with_the_remedy() {
    for (line, words) in [
        (
            "1.0.0.0,1.0.0.255",
            "2 fields where three are needed: write `first address,last address,country code`",
        ),
        (
            "1.0.0.0,1.0.0.255,AU,Sydney",
            "4 fields where three are needed: write `first address,last address,country code`",
        ),
        (
            "\"1.0.0.0,1.0.0.255,AU",
            "a quote is opened and not closed: close it, or take it out",
        ),
        (
            "1.0.0.300,1.0.1.0,AU",
            "`1.0.0.300` is no address: write an IPv4 or IPv6 address, or one as a decimal number",
        ),
        (
            "1.0.0.0/24,1.0.0.255,AU",
            "`1.0.0.0/24` is no address: write an IPv4 or IPv6 address, or one as a decimal number",
        ),
        (
            ",,AU",
            "`` is no address: write an IPv4 or IPv6 address, or one as a decimal number",
        ),
        (
            "0,340282366920938463463374607431768211456,AU",
            "`340282366920938463463374607431768211456` is no address: write an IPv4 or IPv6 address, or one \
             as a decimal number",
        ),
        (
            "1.0.0.0,2001:db8::,AU",
            "`1.0.0.0` and `2001:db8::` are not written alike: write two IPv4 addresses, two IPv6 addresses \
             or two decimal numbers",
        ),
        (
            "1.0.0.0,16777471,AU",
            "`1.0.0.0` and `16777471` are not written alike: write two IPv4 addresses, two IPv6 addresses or \
             two decimal numbers",
        ),
        (
            "1.0.0.255,1.0.0.0,AU",
            "the range ends before it begins: write the lower address first",
        ),
        (
            "2::,1::,AU",
            "the range ends before it begins: write the lower address first",
        ),
        (
            "42540488320432167789079031612388147200,7,AU",
            "the range ends before it begins: write the lower address first",
        ),
        (
            "1.0.0.0,1.0.0.255,A",
            "`A` is not a country code (ISO 3166-1 alpha-2): write the two letters of a country, such as CN for \
             China",
        ),
        (
            "1.0.0.0,1.0.0.255,CHN",
            "`CHN` is not a country code (ISO 3166-1 alpha-2): it is the alpha-3 code of China; write CN",
        ),
        (
            "1.0.0.0,1.0.0.255,",
            "`` is not a country code (ISO 3166-1 alpha-2): write the two letters of a country, such as CN \
             for China",
        ),
    ] {
        let content = format!("# first\n\n1.1.1.0,1.1.1.255,AU\r\n{line}\n1.1.2.0,1.1.2.255,AU\n");
        assert_eq!(
            error(content.as_bytes()),
            format!("a.csv:4: {words}\n  in the line `{line}`")
        );
    }
}

#[test]
fn a_mistyped_first_line_is_no_header() {
    assert!(error(b"1.0.0.x,1.0.0.255,AU\n").starts_with("a.csv:1: `1.0.0.x` is no address"));
    assert!(error(b"fe80,fe90,AU\n").starts_with("a.csv:1: `fe80` is no address"));
    // Only a first line is a header.
    assert!(
        error(b"first,last,country\nfirst,last,country\n")
            .starts_with("a.csv:2: `first` is no address")
    );
}

#[test]
fn what_is_no_text_is_named_and_shown_in_part() {
    let words = "a.csv:2: the line is not UTF-8: is this a text file, and whole?\n  in the line `\u{fffd}PNG`";
    assert_eq!(error(b"1.0.0.0,1.0.0.255,AU\n\x89PNG\r\n"), words);
    let long = error("x".repeat(1 << 20).as_bytes());
    assert!(long.len() < 300, "{long}");
}

#[test]
fn a_file_without_ranges_is_refused() {
    for content in [
        &b""[..],
        b"\n\n",
        b"# nothing\n",
        b"\xef\xbb\xbf",
        b"first,last,country\n",
    ] {
        assert_eq!(
            error(content),
            "a.csv: no address range in it; fetch the file again"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let files = Files::new(&[]);
    assert_eq!(
        files.error(&["a.csv"]),
        "cannot read a.csv: No such file or directory (os error 2)"
    );
    fs::create_dir(files.0.path().join("b")).unwrap();
    assert_eq!(
        files.error(&["b"]),
        "b: an archive or directory with no data in it; give the one that the provider calls CSV or MMDB"
    );
}

#[test]
fn of_files_the_first_that_knows_an_address_decides() {
    let files = Files::new(&[
        ("outer.csv", b"1.0.0.0,1.0.0.255,AU\n"),
        ("inner.csv", b"1.0.0.7,1.0.0.7,CN\n"),
        ("twice.csv", b"1.0.0.0,1.0.0.255,NZ\n1.0.0.0,1.0.0.255,AU\n"),
    ]);
    let country = |names: &[&str], ip: &str| {
        let found = files
            .read(names)
            .unwrap()
            .regions
            .lookup(ip.parse::<IpAddr>().unwrap());
        found.map(|(country, _)| country.to_string())
    };
    for (names, of_six, of_seven) in [
        (["outer.csv", "inner.csv"], "AU", "AU"),
        (["inner.csv", "outer.csv"], "AU", "CN"),
    ] {
        assert_eq!(country(&names, "1.0.0.6").as_deref(), Some(of_six));
        assert_eq!(country(&names, "1.0.0.7").as_deref(), Some(of_seven));
    }
    let data = files.read(&["inner.csv", "twice.csv"]).unwrap();
    assert_eq!(data.readings.len(), 2);
    let contradictions: Vec<_> = data.contradictions().map(ToString::to_string).collect();
    let contradiction = contradictions[0].replace(&format!("{}/", files.0.path().display()), "");
    assert_eq!(
        contradiction,
        "1.0.0.0-1.0.0.255 is AU in twice.csv:2 and NZ in twice.csv:1; taken for AU"
    );
    // One that is empty is not made up for by the others.
    fs::write(files.0.path().join("empty.csv"), "").unwrap();
    assert!(
        files
            .error(&["outer.csv", "empty.csv"])
            .starts_with("empty.csv: no address range")
    );
}
