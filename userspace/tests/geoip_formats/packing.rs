//! What files are packed in.

use std::io::Write;

use geodrop::geoip::Format;

use crate::{
    files::{Files, error, excerpt, read, told},
    mmdb,
    text::TRUTH,
};

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(content: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    // As the program `zstd` does.
    encoder.include_checksum(true).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    for (name, content) in files {
        let (mut entry, config) = archive
            .new_file(name)
            .compression_method(rawzip::CompressionMethod::DEFLATE)
            .start()
            .unwrap();
        let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
        let mut writer = config.wrap(encoder);
        writer.write_all(content).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap()
}

/// A CSV archive as MaxMind has it.
pub(crate) fn maxmind() -> Vec<u8> {
    let [blocks4, blocks6, locations] = [
        "maxmind-blocks-ipv4.csv",
        "maxmind-blocks-ipv6.csv",
        "maxmind-locations.csv",
    ]
    .map(excerpt);
    zip(&[
        (
            "GeoLite2-Country-CSV_20260707/COPYRIGHT.txt",
            b"Database and Contents Copyright (c)",
        ),
        (
            "GeoLite2-Country-CSV_20260707/GeoLite2-Country-Blocks-IPv4.csv",
            &blocks4,
        ),
        (
            "GeoLite2-Country-CSV_20260707/GeoLite2-Country-Blocks-IPv6.csv",
            &blocks6,
        ),
        (
            "GeoLite2-Country-CSV_20260707/GeoLite2-Country-Locations-de.csv",
            &locations,
        ),
        (
            "GeoLite2-Country-CSV_20260707/GeoLite2-Country-Locations-en.csv",
            &locations,
        ),
        (
            "GeoLite2-Country-CSV_20260707/LICENSE.txt",
            b"Use of this database is governed by",
        ),
    ])
}

/// The same file in everything that is opened.
pub(crate) fn packed(content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let in_tar = tar(&[("data/README.txt", b"hello"), ("data/file", content)]);
    vec![
        ("gzip", gzip(content)),
        ("xz", xz(content)),
        ("zstd", zstd(content)),
        ("bzip2", bzip2(content)),
        ("zip", zip(&[("LICENSE", b"free"), ("file", content)])),
        ("zip with gzip", zip(&[("file.gz", &gzip(content))])),
        ("tar", in_tar.clone()),
        ("tar.gz", gzip(&in_tar)),
        ("tar.xz", xz(&in_tar)),
        ("gzip twice", gzip(&gzip(content))),
        ("gzip in two members", {
            let (one, other) = content.split_at(content.len() / 2);
            [gzip(one), gzip(other)].concat()
        }),
    ]
}

#[test]
fn files_are_read_as_they_are_packed() {
    for content in [excerpt("dbip-country-lite.csv"), mmdb::small()] {
        let plain = read("x", &content).unwrap();
        assert_eq!(told(&plain.regions), TRUTH);
        for (packing, file) in packed(&content) {
            let reading = read("x", &file).unwrap();
            assert_eq!(reading.regions, plain.regions, "{packing}");
            assert_eq!(reading.format, plain.format, "{packing}");
        }
    }
}

#[test]
fn an_archive_of_zones_is_one_source() {
    let archive = tar(&[
        ("./cn.zone", &excerpt("cn.zone")),
        ("./hk.zone", b"143.89.0.0/16\n"),
        ("./MD5SUM.md", b"# sums"),
    ]);
    let reading = read("all-zones.tar.gz", &gzip(&archive)).unwrap();
    assert_eq!(told(&reading.regions), [TRUTH[1], TRUTH[2], TRUTH[4]]);
    assert_eq!(reading.format, Format::Prefixes);
}

#[test]
fn a_line_in_an_archive_is_named() {
    let archive = zip(&[("a/data.csv", b"1.0.0.0,1.0.0.255,AU\n1.0.0.0\n")]);
    let said = error("x.zip", &archive);
    assert!(
        said.starts_with("x.zip: a/data.csv:2: 1 fields where three are needed"),
        "{said}"
    );
    // What is not known in an archive is not passed over.
    let archive = zip(&[
        ("data.csv", b"1.0.0.0,1.0.0.255,AU\n"),
        ("more.csv", b"hello\n"),
    ]);
    let said = error("x.zip", &archive);
    assert!(
        said.starts_with("x.zip: more.csv:1: a line of no known format"),
        "{said}"
    );
}

#[test]
fn what_is_not_opened_says_what_to_do() {
    let text = excerpt("cn.zone");
    let mut deep = text.clone();
    for _ in 0..5 {
        deep = gzip(&deep);
    }
    assert_eq!(error("x", &deep), "x: packed 4 times over; unpack it");
    let said = error("x", &gzip(&zip(&[("cn.zone", &text)])));
    assert_eq!(
        said,
        "x: a zip archive that is packed once more; unpack it once, and give the zip archive"
    );
    let said = error("x", &zip(&[("README.txt", b"nothing here")]));
    assert!(
        said.starts_with("x: an archive or directory with no data in it"),
        "{said}"
    );
    let many: Vec<_> = (0..10_001).map(|number| format!("{number}.csv")).collect();
    let many: Vec<_> = many
        .iter()
        .map(|name| (name.as_str(), b"".as_slice()))
        .collect();
    let said = error("x", &tar(&many));
    assert!(
        said.ends_with("an archive of more than 10000 files; give those of them that are data"),
        "{said}"
    );
}

#[test]
fn what_was_cut_off_is_no_shorter_file() {
    let content = excerpt("dbip-country-lite.csv");
    for (packing, file) in packed(&content) {
        // A tar archive by itself has no checksum of its content, and its end may be missing.
        if packing == "tar" {
            continue;
        }
        for length in (1..file.len()).step_by(7) {
            let said = error("x", &file[..length]);
            assert!(said.starts_with('x'), "{packing} {length}: {said}");
        }
    }
}

#[test]
fn damage_is_noticed() {
    let content = excerpt("dbip-country-lite.csv");
    let plain = read("x", &content).unwrap().regions;
    for (packing, file) in packed(&content) {
        if packing == "tar" {
            continue;
        }
        for index in 0..file.len() {
            let mut file = file.clone();
            file[index] ^= 1 << (index % 8);
            // Names and times may differ without harm; what is read may not.
            let files = Files::new(&[("x", &file)]);
            if let Ok(data) = files.read(&["x"]) {
                assert_eq!(data.regions, plain, "{packing}, byte {index}");
            }
        }
    }
}

/// So many times 32 KiB of remarks, packed.
fn remarks(times: usize) -> Vec<u8> {
    let mut remark = vec![b'#'; 32 << 10];
    remark.push(b'\n');
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..times {
        encoder.write_all(&remark).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn a_bomb_is_refused_and_takes_no_memory() {
    // More than a gigabyte.
    let bomb = remarks(33 << 10);
    assert!(bomb.len() < 1 << 20);
    let said = error("x", &bomb);
    assert!(said.starts_with("x: more than 1024 MiB of data"), "{said}");
}

#[test]
fn a_directory_is_read_as_an_archive_of_what_is_right_in_it() {
    let hongkong = gzip(b"1.0.2.0/24\n");
    let files = Files::new(&[
        ("zones/cn.zone", b"1.0.1.0/24\n"),
        ("zones/hk.zone.gz", &hongkong),
        ("zones/README.md", b"not data"),
        ("zones/deeper/fr.zone", b"1.0.3.0/24\n"),
        ("jp.zone", b"1.0.4.0/24\n"),
        ("none/LICENSE.txt", b"not data"),
    ]);
    std::os::unix::fs::symlink("../jp.zone", files.path("zones/jp.zone")).unwrap();
    std::os::unix::fs::symlink("zones", files.path("current")).unwrap();
    for directory in ["zones", "current"] {
        let data = files.read(&[directory]).unwrap();
        let expected = ["1.0.1.0-1.0.1.255 CN", "1.0.2.0-1.0.2.255 HK"];
        assert_eq!(told(&data.regions), expected, "{directory}");
    }
    let words = files.error(&["none"]);
    assert!(
        words.starts_with("none: an archive or directory with no data"),
        "{words}"
    );
    std::fs::write(files.path("zones/cn.zone"), "1.0.1.0/2\n").unwrap();
    let words = files.error(&["current"]);
    assert!(
        words.starts_with("current: cn.zone:1: `1.0.1.0/2`"),
        "{words}"
    );
}

#[test]
fn a_note_beside_data_says_what_the_data_does_not() {
    let note = br#"{"source": "x", "date": "2026-07-07", "licence": "CC0-1.0", "parts": []}"#;
    let files = Files::new(&[
        ("said/data.csv", b"1.0.0.0,1.0.0.255,AU\n"),
        ("said/about.json", note),
        ("damaged/data.csv", b"1.0.0.0,1.0.0.255,AU\n"),
        ("damaged/about.json", b"{"),
    ]);
    let source = |directory| {
        let data = files.read(&[directory]).unwrap();
        data.readings[0].source.clone()
    };
    let said = source("said");
    assert_eq!(said.source, files.path("said").display().to_string());
    assert_eq!(said.date.unwrap().to_string(), "2026-07-07");
    assert_eq!(said.licence.as_deref(), Some("CC0-1.0"));
    assert_eq!(source("damaged").date, None);
}

#[test]
fn many_files_are_no_more_than_one_may_be() {
    // A fifth of a gigabyte and more, six times: an archive could hold thousands.
    let part = remarks(7 << 10);
    let names = ["1", "2", "3", "4", "5", "6"];
    let files = names.map(|name| (name, part.as_slice()));
    let truth = ("0", excerpt("ip-location-db-ipv4.csv"));
    let all = [&[(truth.0, truth.1.as_slice())][..], &files].concat();
    for archive in [zip(&all), tar(&all)] {
        let said = error("x", &archive);
        assert!(said.contains(": more than 1024 MiB of data"), "{said}");
        let few = read("x", &zip(&all[..2])).unwrap();
        assert!(!few.regions.is_empty());
    }
}
