//! How long it takes to read GeoIP data, and how much memory.
//!
//! | row | from | to |
//! |---|---|---|
//! | `builtin/read` | the snapshot in this program | regions |
//! | `builtin/compiled` | the same | the rule set of CN, HK and MO, both families |
//! | `csv`, `csv, shuffled` | a file of ranges | regions |
//! | `mmdb` | a MaxMind DB, with records as GeoLite2 has them | regions |
//!
//! The files hold the built-in data: 550,000 rows, as ip-location-db has them. Beside each stands the same file read with a
//! crate and serde into a list, as one would write it in an hour: without nesting, checks, or a word of what is wrong.
//!
//! No root is needed. Memory is that of a process which reads the file and nothing else, as the kernel saw it at its most.

#![allow(
    clippy::expect_used,
    reason = "what fails here leaves nothing to measure"
)]

mod files;
mod settings;

use std::{env, fs, hint::black_box, net::IpAddr, path::Path, process::Command};

use criterion::{SamplingMode, Throughput};
use geodrop::{
    geoip,
    policy::{Policy, Ruleset},
};
use geodrop_bench::call::Purpose;
use maxminddb::Reader;
use serde::Deserialize;

/// What makes this program a process that reads one file: it is called so by itself.
const READ: &str = "--read-and-tell-memory";

/// The most rows, where figures are not asked for.
const FEW: usize = 1000;

fn main() {
    let arguments: Vec<_> = env::args().collect();
    if let [_, flag, reader, file] = arguments.as_slice()
        && flag == READ
    {
        read_and_tell_memory(reader, file);
        return;
    }
    let purpose = Purpose::of_this_process();
    let mut criterion = settings::criterion(1_000, 5_000);
    criterion.bench_function("geoip/builtin/read", |bencher| {
        bencher.iter_with_large_drop(geoip::builtin);
    });
    criterion.bench_function("geoip/builtin/compiled", |bencher| {
        bencher.iter_with_large_drop(|| {
            let data = geoip::builtin().expect("reading the built-in data");
            (Ruleset::new(&Policy::default(), &data), data)
        });
    });
    let regions = geoip::builtin().expect("reading the built-in data").regions;
    let most = match purpose {
        Purpose::Measure => usize::MAX,
        Purpose::Try => FEW,
    };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let files = files::write(&regions, most, directory);
    for file in &files {
        let mut group = criterion.benchmark_group(format!("geoip/{}", file.name));
        group
            .sampling_mode(SamplingMode::Flat)
            .throughput(Throughput::Elements(file.rows));
        for (name, read) in READERS {
            if reads(name, &file.path) {
                group.bench_function(name, |bencher| {
                    bencher.iter_with_large_drop(|| read(&file.path));
                });
            }
        }
        group.finish();
    }
    criterion.final_summary();
    if purpose == Purpose::Measure {
        println!("Memory at its most, MiB");
        for file in &files {
            for (name, _) in READERS.iter().chain([&NOBODY]) {
                if *name == NOBODY.0 || reads(name, &file.path) {
                    let title = format!("geoip/{}/{name}", file.name);
                    println!("{title:40} {:>8.1}", memory_of(name, &file.path));
                }
            }
        }
    }
}

/// Reads a file, and gives what came of it.
type Read = fn(&Path) -> Box<dyn std::any::Any>;

const READERS: [(&str, Read); 3] = [
    ("geodrop", |path| {
        Box::new(geoip::read(&[path]).expect("it is data"))
    }),
    ("csv and serde", |path| Box::new(with_csv(path))),
    ("maxminddb and serde", |path| Box::new(with_maxminddb(path))),
];

/// A process of this program that reads nothing.
const NOBODY: (&str, Read) = ("nothing read", |_| Box::new(()));

/// Whether a reader can read a file.
fn reads(reader: &str, path: &Path) -> bool {
    let is_mmdb = path
        .extension()
        .is_some_and(|extension| extension == "mmdb");
    match reader {
        "csv and serde" => !is_mmdb,
        "maxminddb and serde" => is_mmdb,
        _ => true,
    }
}

/// A row, as one would declare it.
#[derive(Deserialize)]
struct Row {
    first: IpAddr,
    last: IpAddr,
    country: String,
}

fn with_csv(path: &Path) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).from_path(path);
    let rows = reader.expect("a file").into_deserialize();
    let rows: Vec<Row> = rows.map(|row| row.expect("a row")).collect();
    // What is read is looked at, so that none of it can be left out.
    black_box(
        rows.iter()
            .filter(|row| row.first <= row.last && row.country.len() == 2)
            .count(),
    );
    rows
}

/// A record, as one would declare it.
#[derive(Deserialize)]
struct Record {
    country: Option<Country>,
}

#[derive(Deserialize)]
struct Country {
    iso_code: Option<String>,
}

fn with_maxminddb(path: &Path) -> Vec<(ipnet::IpNet, Option<String>)> {
    let reader = Reader::from_source(fs::read(path).expect("a file")).expect("a database");
    let networks = reader.networks(maxminddb::WithinOptions::default());
    let networks = networks.expect("networks").map(|network| {
        let network = network.expect("a network");
        let record: Option<Record> = network.decode().expect("a record");
        let country = record.and_then(|record| record.country?.iso_code);
        let network = network.network().expect("a prefix");
        let prefix = ipnet::IpNet::new(network.network(), network.prefix());
        (prefix.expect("a prefix"), country)
    });
    networks.collect()
}

/// The most memory of a process that reads a file, in MiB.
fn memory_of(reader: &str, path: &Path) -> f64 {
    let output = Command::new(env::current_exe().expect("this program"))
        .args([READ, reader])
        .arg(path)
        .output()
        .expect("running this program");
    let told = String::from_utf8(output.stdout).expect("a number");
    told.trim().parse::<f64>().expect("a number") / 1024.0
}

fn read_and_tell_memory(reader: &str, file: &str) {
    let mut readers = READERS.iter().chain([&NOBODY]);
    let (_, read) = readers.find(|(name, _)| *name == reader).expect("a reader");
    let data = read(Path::new(file));
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.expect("Linux tells it").trim().trim_end_matches(" kB");
    println!("{kilobytes}");
    drop(data);
}
