//! What holds of every parser, whatever it is given.
//!
//! - It ends, without a panic, and its memory is in proportion to what it is given ([`Bound`]).
//! - What it reads are regions: sorted, disjoint ranges; a policy can be applied to them. Read again, they are the same.
//! - What it refuses, it refuses in words that name the file, and where there are lines, a line that there is.
//!
//! The fuzz targets call this, and so does a test of geodrop, on all seeds and on what becomes of them by chance.

use std::{
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use geodrop::{
    geoip::{
        self, CountryBy, GeoData, GeoipError, Located, Merge, Opinions, Origin, Reading,
        Reconciliation, Regions, Source, snapshot,
    },
    policy::{
        Policy, Ruleset,
        config::{self, Invalid, Problem},
    },
    range::{Address, boundaries},
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::memory::peak_of;

/// A parser, and what is given to it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the fuzz target.
    pub name: &'static str,
    /// Gives bytes to the parser, and panics where something does not hold.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 13] = [
    Target::new("columns", columns),
    Target::new("config", config),
    Target::new("delegated", delegated),
    Target::new("detection", detection),
    Target::new("geofeed", geofeed),
    Target::new("maxmind", maxmind),
    Target::new("merge", merge),
    Target::new("mmdb", mmdb),
    Target::new("packed", packed),
    Target::new("prefix_list", prefix_list),
    Target::new("prefixes", prefixes),
    Target::new("ranges", ranges),
    Target::new("snapshot", snapshot),
];

impl Target {
    const fn new(name: &'static str, check: fn(&[u8])) -> Self {
        Self { name, check }
    }
}

/// Gives bytes to the parser of this name.
///
/// # Panics
///
/// Where something does not hold, and where there is no such parser.
pub fn check(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").check)(bytes);
}

/// How much memory a parser may take.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// So many bytes for each that it is given, and what its buffers take.
    Each(usize),
    /// So many, whatever it is given: what is packed becomes longer.
    AtMost(usize),
}

impl Bound {
    /// What buffers take.
    const BUFFERS: usize = 4 << 20;

    fn bytes(self, given: usize) -> usize {
        match self {
            Self::Each(times) => Self::BUFFERS + times * given,
            Self::AtMost(bytes) => bytes,
        }
    }
}

/// The shortest rows are of seven bytes, and a contradiction between two of them is told with both places.
const TEXT: Bound = Bound::Each(128);

/// What is unpacked is bounded by the number of ranges that there may be, and by how much xz may ask for.
const PACKED: Bound = Bound::AtMost(2 << 30);

/// The columns that are longest, of both families, hold ten million ranges each.
const SNAPSHOT: Bound = Bound::AtMost(700 << 20);

/// A tree of TOML is larger than its text.
const CONFIG: Bound = Bound::Each(1024);

/// Files in a directory that goes with them.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        // In memory, where there is such a place.
        let memory = Path::new("/dev/shm");
        let directory = TempDir::new_in(memory).or_else(|_| TempDir::new());
        let directory = directory.expect("fuzzing needs a place for files");
        for (name, content) in files {
            let path = directory.path().join(name);
            let parent = path.parent().expect("it is in the directory");
            fs::create_dir_all(parent).expect("making a directory");
            fs::write(path, content).expect("writing a file");
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Reads one file by this name, and holds what comes of it.
fn check_file(name: &str, content: &[u8], bound: Bound) -> Option<GeoData> {
    let files = Files::new(&[(name, content)]);
    let origin = Origin::File(files.path(name));
    check_origins(&[origin], Merge::First, &[content], bound)
}

fn check_origins(
    origins: &[Origin],
    merge: Merge,
    contents: &[&[u8]],
    bound: Bound,
) -> Option<GeoData> {
    let mut kept = None;
    for country in [CountryBy::Location, CountryBy::Registered] {
        let read = || geoip::read_origins(origins, Reconciliation { merge, country });
        let (outcome, peak) = peak_of(read);
        let given: usize = contents.iter().map(|content| content.len()).sum();
        let most = bound.bytes(given);
        assert!(
            peak <= most,
            "{peak} bytes of memory for {given}, not {most}"
        );
        match outcome {
            Ok(data) => {
                check_data(&data);
                assert_eq!(read().as_ref().ok(), Some(&data), "read again");
                kept = Some(data);
            }
            Err(error) => check_error(&error, origins, contents),
        }
    }
    kept
}

fn check_error(error: &GeoipError, origins: &[Origin], contents: &[&[u8]]) {
    let text = error.to_string();
    let mut paths = origins.iter().filter_map(Origin::path);
    assert!(
        paths.any(|path| text.contains(&path.display().to_string())),
        "{text}"
    );
    // Of what is packed, the lines are not known here.
    if let GeoipError::Line { place, .. } = error
        && !place.file.contains(": ")
        && let [content] = contents
    {
        let lines = content.split_inclusive(|byte| *byte == b'\n').count();
        assert!((1..=lines).contains(&(place.line as usize)), "{text}");
    }
}

fn check_data(data: &GeoData) {
    check_regions(&data.regions);
    for reading in &data.readings {
        check_regions(&reading.regions);
        // It would be no source then, and was refused.
        assert!(!reading.regions.is_empty() || !reading.set_aside.is_empty());
        for contradiction in &reading.contradictions {
            assert!(
                contradiction.first <= contradiction.last && !contradiction.to_string().is_empty()
            );
        }
    }
    let ruleset = Ruleset::new(&Policy::default(), Opinions::from(data));
    assert!(
        ruleset
            .ipv4()
            .is_sorted_by(|one, next| one.range.last() < next.range.first())
    );
    assert!(
        ruleset
            .ipv6()
            .is_sorted_by(|one, next| one.range.last() < next.range.first())
    );
}

fn check_regions(regions: &Regions) {
    fn check<A: Address>(regions: &Regions, ranges: &[Located<A>]) {
        assert!(ranges.is_sorted_by(|one, next| one.range.last() < next.range.first()));
        for located in ranges {
            assert!(located.range.first() <= located.range.last());
            let (country, prefix) = regions
                .lookup(located.range.last().into())
                .expect("it is in a range");
            assert_eq!(country, located.label);
            assert!(prefix.contains::<&IpAddr>(&located.range.last().into()));
        }
    }
    check(regions, regions.ipv4());
    check(regions, regions.ipv6());
}

/// The first byte chooses; the rest is what is left.
fn choose<'c, 'b, T>(choices: &'c [T], bytes: &'b [u8]) -> (&'c T, &'b [u8]) {
    match bytes.split_first() {
        Some((first, rest)) => (&choices[usize::from(*first) % choices.len()], rest),
        None => (&choices[0], bytes),
    }
}

/// Detection: any file, by a name that may say a country.
fn detection(bytes: &[u8]) {
    let (name, rest) = choose(&["data", "cn.zone", "cn/ipv4-aggregated.txt", "de"], bytes);
    check_file(name, rest, PACKED);
    check_file("data", bytes, PACKED);
}

/// A file that begins so that it is read in one format.
fn headed(head: &str, bytes: &[u8]) {
    check_file("data", &[head.as_bytes(), bytes].concat(), TEXT);
}

fn ranges(bytes: &[u8]) {
    let heads = [
        "1.0.0.0,1.0.0.255,AU\n",
        "\"0\",\"16777215\",\"-\",\"-\"\n",
        "",
    ];
    let (head, rest) = choose(&heads, bytes);
    headed(head, rest);
}

fn columns(bytes: &[u8]) {
    let heads = [
        "network,country,country_code,continent\n",
        "start_ip,end_ip,country\n",
        "start_ip,end_ip,join_key,",
        "network,",
    ];
    let (head, rest) = choose(&heads, bytes);
    headed(head, rest);
}

fn delegated(bytes: &[u8]) {
    headed("2|apnic|20260707|4|19830613|20260706|+1000\n", bytes);
}

fn geofeed(bytes: &[u8]) {
    headed("192.0.2.0/24,US,US-AL,Alabaster,\n", bytes);
}

/// A list of prefixes, of a country that is given and of one that the file names.
fn prefixes(bytes: &[u8]) {
    check_file("cn.zone", bytes, TEXT);
    let content = [b"1.0.1.0/24\n", bytes].concat();
    let files = Files::new(&[("list", &content)]);
    let origin = Origin::Prefixes {
        country: geoip::Country::CHINA,
        path: files.path("list"),
    };
    check_origins(&[origin], Merge::First, &[&content], TEXT);
}

/// An archive of places and networks, a zero byte between them.
fn maxmind(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let [places, networks] = [parts.next(), parts.next()].map(Option::unwrap_or_default);
    let places = [
        &b"geoname_id,locale_code,continent_code,continent_name,country_iso_code\n1,en,AS,Asia,CN\n"[..],
        places,
    ];
    let networks = [
        &b"network,geoname_id,registered_country_geoname_id,represented_country_geoname_id\n1.0.1.0/24,1,1,\n"[..],
        networks,
    ];
    let archive = stored(&[
        ("x/Locations-en.csv", &places.concat()),
        ("x/Blocks-IPv4.csv", &networks.concat()),
    ]);
    check_file("archive.zip", &archive, TEXT);
}

/// A zip archive of files that are not compressed.
fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    for (name, content) in files {
        let file = archive.new_file(name);
        let method = rawzip::CompressionMethod::STORE;
        let (mut entry, config) = file.compression_method(method).start().expect("in memory");
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content).expect("in memory");
        let (_, descriptor) = writer.finish().expect("in memory");
        entry.finish(descriptor).expect("in memory");
    }
    archive.finish().expect("in memory")
}

fn mmdb(bytes: &[u8]) {
    // Text and what is packed is for others.
    if bytes.iter().take(4096).any(|byte| *byte == 0) {
        check_file("data.mmdb", bytes, TEXT);
    }
}

fn packed(bytes: &[u8]) {
    check_file("data", bytes, PACKED);
}

/// Whole snapshots, as they are and with a checksum that fits; and columns in a snapshot that is right.
fn snapshot(bytes: &[u8]) {
    let (kind, rest) = choose(&[0, 1, 2, 3], bytes);
    let whole = match kind {
        0 => rest.to_vec(),
        1 => summed(rest.to_vec()),
        _ => {
            let mut snapshot = b"geodrop\0\x01\0\0\0".to_vec();
            let metadata = serde_json::to_vec(&Source::of_file("x".to_owned())).expect("plain");
            let empty = [0; 8];
            let columns = if *kind == 2 {
                [rest, &empty]
            } else {
                [&empty, rest]
            };
            snapshot.extend(length(&metadata));
            snapshot.extend(&metadata);
            for columns in columns {
                let frame = zstd::bulk::compress(columns, 1).expect("in memory");
                snapshot.extend(length(columns));
                snapshot.extend(length(&frame));
                snapshot.extend(&frame);
            }
            summed(snapshot)
        }
    };
    let (outcome, peak) = peak_of(|| snapshot::decode(&whole));
    assert!(
        peak <= SNAPSHOT.bytes(whole.len()),
        "{peak} bytes of memory"
    );
    if let Ok((regions, source)) = outcome {
        check_regions(&regions);
        if regions.ipv4().len() + regions.ipv6().len() < 64 {
            let encoded = snapshot::encode(&regions, &source).expect("it was one");
            let decoded = snapshot::decode(&encoded).expect("it is one");
            assert_eq!(decoded, (regions, source));
        }
    }
    check_file("data", &whole, PACKED);
}

fn summed(mut snapshot: Vec<u8>) -> Vec<u8> {
    let checksum = Sha256::digest(&snapshot);
    snapshot.extend(checksum);
    snapshot
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// Several sources: the first that knows an address decides, or each is heard.
fn merge(bytes: &[u8]) {
    let parts: Vec<_> = bytes.split(|byte| *byte == 0).take(8).collect();
    let names = ["1", "2", "3", "4", "5", "6", "7", "8"];
    let contents: Vec<_> = names.into_iter().zip(parts.iter().copied()).collect();
    let files = Files::new(&contents);
    let origins: Vec<_> = contents
        .iter()
        .map(|(name, _)| Origin::File(files.path(name)))
        .collect();
    for merge in [Merge::First, Merge::Any] {
        let Some(data) = check_origins(&origins, merge, &parts, PACKED) else {
            continue;
        };
        let Reading { regions, .. } = &data.readings[0];
        assert!(!regions.is_empty() || !data.readings[0].set_aside.is_empty());
        for reading in &data.readings {
            let ipv4 = boundaries(reading.regions.ipv4()).map(Ipv4Addr::into);
            let ipv6 = boundaries(reading.regions.ipv6()).map(Ipv6Addr::into);
            for address in ipv4.chain(ipv6) {
                let country =
                    |regions: &Regions| regions.lookup(address).map(|(country, _)| country);
                let mut each = data.readings.iter().map(|reading| &reading.regions);
                assert_eq!(country(&data.regions), each.find_map(country), "{address}");
            }
        }
    }
}

/// A policy file.
fn config(bytes: &[u8]) {
    // It may name files: of the machine none is read, and none has to be there.
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if text.contains('/') && text.contains("file:") || text.contains("..") {
        return;
    }
    let files = Files::new(&[("office.txt", b"192.0.2.0/24\n"), ("world.csv", b"")]);
    let parse = || config::parse("policy.toml", text, files.0.path());
    let (outcome, peak) = peak_of(parse);
    let most = CONFIG.bytes(bytes.len());
    assert!(
        peak <= most,
        "{peak} bytes of memory for {}, not {most}",
        bytes.len()
    );
    let check_problem = |problem: &Problem| {
        let location = &problem.location;
        assert!(location.line() >= 1 && location.column() >= 1);
        assert!(!problem.message.is_empty() && !problem.remedy.is_empty());
        if location.file() == "policy.toml" {
            assert!(location.line() <= text.split('\n').count(), "{problem}");
        }
    };
    match outcome {
        Ok(configuration) => {
            configuration.warnings.iter().for_each(check_problem);
            let all = [configuration.settings.clone()].into_iter();
            let own = configuration.interfaces.iter();
            for settings in all.chain(own.map(|name| configuration.settings_of(name))) {
                let policy = settings.policy();
                let ruleset = Ruleset::new(&policy, &Regions::default());
                assert_eq!(ruleset.ports().is_empty(), policy.rules.is_empty());
            }
            assert_eq!(parse().as_ref(), Ok(&configuration), "read again");
        }
        Err(Invalid { problems, .. }) => {
            assert!(problems.iter().next().is_some());
            // Each looks for its place in the whole text.
            problems.iter().take(64).for_each(check_problem);
            assert!(!problems.to_string().is_empty());
        }
    }
}

/// A file of prefixes that a policy names.
fn prefix_list(bytes: &[u8]) {
    let files = Files::new(&[("list", bytes)]);
    let path = files.path("list");
    let (outcome, peak) = peak_of(|| config::read_prefixes(&path));
    let most = CONFIG.bytes(bytes.len());
    assert!(
        peak <= most,
        "{peak} bytes of memory for {}, not {most}",
        bytes.len()
    );
    match outcome {
        Ok(Ok(prefixes)) => {
            for placed in prefixes {
                let location = placed.location.expect("it is of a file");
                let lines = bytes.split(|byte| *byte == b'\n').count();
                assert!((1..=lines).contains(&location.line()));
                assert_eq!(placed.value, placed.value.trunc(), "no host bits");
            }
        }
        Ok(Err(problems)) => assert!(problems.to_string().contains("list:")),
        Err(_) => assert!(str::from_utf8(bytes).is_err()),
    }
}
