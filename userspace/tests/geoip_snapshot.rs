//! The built-in snapshot, and snapshots that are damaged: refused as a whole, never half-read.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{fs, net::IpAddr, sync::LazyLock};

use geodrop::{
    geoip::{self, AnyRange, Builder, Country, Regions, Source, snapshot},
    range::{Address, Labelled, Range},
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// A snapshot that holds a bit of everything, small enough to damage each of its bytes.
static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| snapshot::encode(&small(), &source()).unwrap());

fn small() -> Regions {
    let mut builder = Builder::default();
    for (first, last, code) in [
        ("0.0.0.0", "0.0.0.0", "CN"),
        ("1.0.0.0", "1.0.2.255", "AU"),
        ("1.0.3.0", "1.0.3.255", "AU"),
        ("9.0.0.1", "9.0.0.6", "US"),
        ("255.255.255.255", "255.255.255.255", "XK"),
        ("::", "::ffff", "FR"),
        ("2001:200::", "2001:218:2000:51:ffff:ffff:ffff:ffff", "AU"),
        ("ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "JP"),
    ] {
        builder.add(any_range(first, last), code.parse().unwrap(), 0);
    }
    builder.build().0
}

fn any_range(first: &str, last: &str) -> AnyRange {
    match (first.parse().unwrap(), last.parse().unwrap()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => AnyRange::Ipv4(Range::new(first, last).unwrap()),
        (IpAddr::V6(first), IpAddr::V6(last)) => AnyRange::Ipv6(Range::new(first, last).unwrap()),
        _ => panic!("{first} and {last} are not of one family"),
    }
}

fn source() -> Source {
    Source {
        date: Some("2024-07-09".parse().unwrap()),
        ..Source::of_file("a.csv".to_owned())
    }
}

#[test]
fn the_world_is_whole_and_small() {
    let data = geoip::builtin().unwrap();
    let summary = data.regions.summary();
    assert!(summary.ipv4.ranges > 300_000, "{summary:?}");
    assert!(summary.ipv6.ranges > 200_000, "{summary:?}");
    assert!(summary.countries >= 249, "{summary:?}");
    // More than three quarters of IPv4 is somewhere.
    assert!(summary.ipv4.addresses > 3 << 30, "{summary:?}");
    let [reading] = data.readings.as_slice() else {
        panic!("{:?}", data.sources().collect::<Vec<_>>())
    };
    let source = &reading.source;
    assert!(source.attribution.as_deref().unwrap().contains("nro.net"));
    assert!(source.age("2030-01-01".parse().unwrap()).unwrap() > 0);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/world.snapshot");
    assert!(fs::metadata(file).unwrap().len() < 1 << 20);
}

#[test]
fn what_was_packed_out_of_all_proportion_is_refused() {
    let regular = |ranges: u32| {
        let mut builder = Builder::default();
        for number in 0..ranges {
            let code = ["CN", "HK"][number as usize % 2].parse().unwrap();
            let range = Range::new((number << 8).into(), (number << 8 | 0xff).into()).unwrap();
            builder.add(AnyRange::Ipv4(range), code, 0);
        }
        snapshot::encode(&builder.build().0, &source()).unwrap()
    };
    assert!(snapshot::decode(&regular(1000)).is_ok());
    let bomb = regular(1 << 20);
    assert!(bomb.len() < 4096, "{}", bomb.len());
    let error = snapshot::decode(&bomb).unwrap_err().to_string();
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn a_source_knows_its_age() {
    let on = |day: &str| source().age(day.parse().unwrap());
    assert_eq!(
        (on("2024-07-09"), on("2025-07-09"), on("2024-07-08")),
        (Some(0), Some(365), Some(-1))
    );
    assert_eq!(
        Source::of_file("a.csv".to_owned()).age("2024-07-09".parse().unwrap()),
        None
    );
}

#[test]
fn the_world_knows_who_is_where() {
    let world = geoip::builtin().unwrap().regions;
    for (ip, code) in [
        ("1.0.1.1", Some("CN")),
        ("2400:3200::1", Some("CN")),
        ("143.89.1.1", Some("HK")),
        ("60.246.1.1", Some("MO")),
        ("8.8.8.8", Some("US")),
        ("10.0.0.1", None),
        ("::1", None),
    ] {
        let country = world
            .lookup(ip.parse().unwrap())
            .map(|(country, _)| country.to_string());
        assert_eq!(country.as_deref(), code, "{ip}");
    }
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(snapshot::decode(&SMALL).unwrap(), (small(), source()));
    let nothing = snapshot::encode(&Regions::default(), &source()).unwrap();
    assert_eq!(snapshot::decode(&nothing).unwrap().0, Regions::default());
    let mut builder = Builder::default();
    builder.add(AnyRange::Ipv4(Range::ALL), Country::CHINA, 0);
    builder.add(AnyRange::Ipv6(Range::ALL), Country::MACAO, 0);
    let everything = builder.build().0;
    let bytes = snapshot::encode(&everything, &source()).unwrap();
    assert_eq!(snapshot::decode(&bytes).unwrap().0, everything);
}

#[test]
fn a_file_may_be_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("small.snapshot");
    fs::write(&path, &*SMALL).unwrap();
    let data = geoip::read(&[&path]).unwrap();
    assert_eq!(data.sources().collect::<Vec<_>>(), [&source()]);
    assert_eq!(data.regions, small());

    fs::write(&path, &SMALL[..SMALL.len() - 1]).unwrap();
    let error = geoip::read(&[&path]).unwrap_err().to_string();
    let words = "damaged: its checksum does not fit its content; fetch the snapshot again";
    assert_eq!(error, format!("{}: {words}", path.display()));

    let nothing = snapshot::encode(&Regions::default(), &source()).unwrap();
    fs::write(&path, nothing).unwrap();
    let error = geoip::read(&[&path]).unwrap_err().to_string();
    assert!(
        error.ends_with("no address range in it; fetch the file again"),
        "{error}"
    );
}

#[test]
fn each_refusal_says_why() {
    let words = |bytes: &[u8]| snapshot::decode(bytes).unwrap_err().to_string();
    assert_eq!(words(b"1.0.0.0,1.0.0.255,AU\n"), "not a geodrop snapshot");
    assert_eq!(
        words(&SMALL[..11]),
        "cut off after 11 bytes; fetch the snapshot again"
    );
    assert_eq!(
        words(&SMALL[..40]),
        "cut off after 40 bytes; fetch the snapshot again"
    );
    let mut later = SMALL.clone();
    later[8] += 1;
    assert_eq!(
        words(&later),
        "snapshot of format 2, while this geodrop reads format 1; use the geodrop that it was made for, or \
         make it again with `cargo xtask snapshot`"
    );
}

#[test]
fn any_flipped_bit_is_noticed() {
    let mut bytes = SMALL.clone();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            bytes[index] ^= 1 << bit;
            assert!(
                snapshot::decode(&bytes).is_err(),
                "bit {bit} of byte {index}"
            );
            bytes[index] ^= 1 << bit;
        }
    }
}

#[test]
fn any_cut_is_noticed() {
    for length in 0..SMALL.len() {
        assert!(
            snapshot::decode(&SMALL[..length]).is_err(),
            "{length} bytes"
        );
    }
    assert!(snapshot::decode(&[&SMALL[..], &[0]].concat()).is_err());
}

proptest! {
    /// Whoever damages a snapshot on purpose can set its checksum right: nothing worse than other regions
    /// may come of it.
    #[test]
    fn a_forged_snapshot_is_refused_or_makes_sense(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut content = SMALL[..SMALL.len() - 32].to_vec();
        // The magic and the version are looked at before the checksum.
        for (index, byte) in damage {
            let index = 12 + index.index(content.len() - 12);
            content[index] = byte;
        }
        if is_cut {
            content.truncate(12 + cut.index(content.len() - 12));
        }
        let forged = [&content[..], &Sha256::digest(&content)].concat();
        if let Ok((regions, _)) = snapshot::decode(&forged) {
            prop_assert!(is_sorted(regions.ipv4()) && is_sorted(regions.ipv6()));
        }
    }
}

fn is_sorted<A: Address, T>(ranges: &[Labelled<A, T>]) -> bool {
    ranges.is_sorted_by(|one, next| one.range.last() < next.range.first())
}
