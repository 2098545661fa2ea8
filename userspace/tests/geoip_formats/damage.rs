//! Files that were cut off or damaged: an error, or a shorter file that can be read; never a panic.

use geodrop::geoip::{
    GeoData,
    plausible::{Limits, State, doubts},
};
use proptest::prelude::*;

use crate::{
    files::{Files, excerpts, told},
    mmdb, packing,
};

/// All that is read here, whole.
fn whole() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = excerpts().into_iter().collect();
    all.push(("small.mmdb".to_owned(), mmdb::small()));
    all.push(("maxmind.zip".to_owned(), packing::maxmind()));
    all
}

fn state(data: &GeoData) -> State<'_> {
    State {
        regions: &data.regions,
        date: None,
    }
}

/// What is left of a file that was cut off never comes into force by itself: it cannot be read, or it says what the whole
/// says, or what it lacks makes it implausible. And it says nothing of other countries.
#[test]
fn a_file_cut_off_anywhere_is_an_error_or_implausible() {
    let mut slipped = Vec::new();
    for (name, content) in whole() {
        let files = Files::new(&[(&name, &content)]);
        let Ok(known) = files.read(&[&name]) else {
            continue;
        };
        let limits = Limits {
            named: known.regions.countries(),
            ..Limits::default()
        };
        for length in 0..content.len() {
            std::fs::write(files.path(&name), &content[..length]).unwrap();
            let Ok(data) = files.read(&[&name]) else {
                continue;
            };
            let countries = data.regions.countries();
            assert!(countries.is_subset(&limits.named), "{name} {length}");
            let is_less = told(&data.regions) != told(&known.regions);
            if is_less && doubts(state(&known), state(&data), &limits).is_empty() {
                slipped.push(format!("{name} {length} of {}", content.len()));
            }
        }
    }
    assert_eq!(slipped, [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_damaged_file_is_read_or_refused(
        place in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let all = whole();
        let (name, mut content) = all[place.index(all.len())].clone();
        for (index, byte) in changes {
            let index = index.index(content.len());
            content[index] = byte;
        }
        let _ = Files::new(&[(&name, &content)]).read(&[&name]);
    }

    #[test]
    fn any_lines_are_read_or_refused(
        first in prop::sample::select(vec![
            "", "1.0.0.0,1.0.0.255,AU", "network,country_code", "2|apnic|1|1|1|20260707|+1000",
            "1.0.0.0/24", "1.0.0.0/24,AU,,,", "geoname_id,continent_code,country_iso_code",
            "\"0\",\"1\",\"-\",\"-\"", "start_ip,end_ip,country",
        ]),
        lines in prop::collection::vec(r#"([0-9a-f.:/|,\"-]|ipv4|ipv6|CN|ZZ|allocated|[^\n]){0,40}"#, 0..6),
    ) {
        let text = format!("{first}\n{}", lines.join("\n"));
        let _ = Files::new(&[("cn.zone", text.as_bytes())]).read(&["cn.zone"]);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        magic in prop::sample::select(vec![
            &b""[..], b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh9", b"PK\x03\x04", b"geodrop\0", b"\0",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Files::new(&[("x", &[magic, &bytes].concat())]).read(&["x"]);
    }
}
