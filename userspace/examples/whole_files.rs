//! Reads whole files of GeoIP data, and compares with independent readers: what `cargo xtask whole-files` runs.
//!
//! - CSV, ip-location-db's and Tor's, against rows that the crate `csv` reads, of which the smallest counts;
//! - ip-location-db's CSV against the MaxMind DB that its maker wrote of the same data, by the lookups of the crate
//!   `maxminddb`, but for addresses in rows that cross, or begin at one address;
//! - that MaxMind DB, as it is read here, against the same lookups.
//!
//! Each is compared at every address at which what it says changes, and beside it.

use std::{net::IpAddr, path::PathBuf, time::Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use geodrop::{
    geoip::{self, Located, Regions},
    range::{Address, boundaries},
};
use maxminddb::{Reader, path};

/// Reads whole files of GeoIP data, and compares with independent readers.
#[derive(Parser)]
struct Arguments {
    /// ip-location-db's CSV files
    #[arg(long, num_args = 2, value_names = ["IPV4", "IPV6"], required = true)]
    csv: Vec<PathBuf>,
    /// ip-location-db's MaxMind DB of the same data
    #[arg(long, value_name = "FILE")]
    mmdb: PathBuf,
    /// Tor's files
    #[arg(long, num_args = 2, value_names = ["IPV4", "IPV6"], required = true)]
    tor: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let database = std::fs::read(&arguments.mmdb).context("reading the MaxMind DB")?;
    let database = Reader::from_source(database)?;
    let in_database = |address: IpAddr| {
        let found = database.lookup(address)?;
        Ok(found.decode_path::<String>(&path!["country_code"])?)
    };
    for file in &arguments.csv {
        let rows = Rows::read(file)?;
        let read = timed("CSV", || geoip::read(&[file]))?;
        compare("CSV", &read.regions, |address| Ok(rows.find(address)))?;
        let contested = |address| rows.is_contested(address);
        compare_but("CSV and MaxMind DB", &read.regions, in_database, contested)?;
    }
    let mmdb = timed("MaxMind DB", || geoip::read(&[&arguments.mmdb]))?;
    compare("MaxMind DB", &mmdb.regions, in_database)?;

    for file in &arguments.tor {
        let rows = Rows::read(file)?;
        let read = timed("Tor", || geoip::read(&[file]))?;
        compare("Tor", &read.regions, |address| Ok(rows.find(address)))?;
    }
    Ok(())
}

fn timed(
    what: &str,
    read: impl FnOnce() -> Result<geoip::GeoData, geoip::GeoipError>,
) -> anyhow::Result<geoip::GeoData> {
    let start = Instant::now();
    let data = read()?;
    println!(
        "{what}: read in {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    Ok(data)
}

/// Holds regions against another reader.
fn compare(
    what: &str,
    regions: &Regions,
    other: impl Fn(IpAddr) -> anyhow::Result<Option<String>>,
) -> anyhow::Result<()> {
    compare_but(what, regions, other, |_| false)
}

/// The same, but for addresses that both may be right about.
fn compare_but(
    what: &str,
    regions: &Regions,
    other: impl Fn(IpAddr) -> anyhow::Result<Option<String>>,
    is_open: impl Fn(IpAddr) -> bool,
) -> anyhow::Result<()> {
    // Of a family that a file does not have, the other reader may know something.
    let (mut compared, mut open, mut differing) = (0, 0, 0);
    for address in changes(regions.ipv4()).chain(changes(regions.ipv6())) {
        let here = regions.lookup(address);
        let here = here.map(|(country, _)| country.to_string());
        let there = other(address)?;
        compared += 1;
        if here == there {
            continue;
        }
        if is_open(address) {
            open += 1;
            continue;
        }
        differing += 1;
        if differing <= SHOWN {
            println!("{what}: {address}: {here:?} here, {there:?} there");
        }
    }
    println!("{what}: {compared} addresses compared, {differing} differ, {open} may");
    ensure!(compared > 0 && differing == 0, "{what} is read otherwise");
    Ok(())
}

/// How many differences are shown.
const SHOWN: usize = 20;

/// Where what is said changes, and beside it; nothing, if nothing is said.
fn changes<A: Address>(located: &[Located<A>]) -> impl Iterator<Item = IpAddr> {
    let is_empty = located.is_empty();
    boundaries(located)
        .filter(move |_| !is_empty)
        .map(Into::into)
}

/// A row: first and last address as numbers, and the country.
type Row = (u128, u128, String);

/// The rows of a file, in order.
struct Rows {
    rows: Vec<Row>,
    /// The last address of all rows up to each.
    reach: Vec<u128>,
}

impl Rows {
    fn read(file: &PathBuf) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .has_headers(false)
            .from_path(file)?;
        let number = |text: &str| -> anyhow::Result<u128> {
            Ok(match text.parse::<IpAddr>() {
                Ok(address) => number(address),
                Err(_) => text.parse()?,
            })
        };
        let mut rows: Vec<Row> = Vec::new();
        for record in reader.records() {
            let record = record?;
            rows.push((
                number(&record[0])?,
                number(&record[1])?,
                record[2].to_owned(),
            ));
        }
        rows.sort();
        let reach = rows.iter().scan(0, |reach, (_, last, _)| {
            *reach = (*last).max(*reach);
            Some(*reach)
        });
        Ok(Self {
            reach: reach.collect(),
            rows,
        })
    }

    /// All rows that hold an address.
    fn around(&self, address: IpAddr) -> impl Iterator<Item = &Row> {
        let address = number(address);
        let after = self.rows.partition_point(|(first, ..)| *first <= address);
        (0..after)
            .rev()
            .take_while(move |&place| self.reach[place] >= address)
            .map(|place| &self.rows[place])
            .filter(move |(_, last, _)| *last >= address)
    }

    /// What the smallest row says of an address; of equal sizes, the first.
    fn find(&self, address: IpAddr) -> Option<String> {
        let smallest = self
            .around(address)
            .min_by_key(|(first, last, code)| (last - first, *first, code))?;
        match smallest.2.as_str() {
            "UK" => Some("GB".to_owned()),
            // No country's.
            "??" | "AP" | "EU" | "ZZ" | "AB" | "CS" | "OS" | "SU" | "UN" => None,
            code => Some(code.to_owned()),
        }
    }

    /// Whether two rows hold an address that cross, or that begin at one address: there its maker's tool, which writes one
    /// row over the other, takes the later one.
    fn is_contested(&self, address: IpAddr) -> bool {
        let around: Vec<_> = self.around(address).collect();
        let is_inside = |one: &Row, other: &Row| other.0 < one.0 && one.1 <= other.1;
        let pairs = around
            .iter()
            .enumerate()
            .flat_map(|(place, one)| around[..place].iter().map(move |other| (one, other)));
        pairs
            .into_iter()
            .any(|(one, other)| !is_inside(one, other) && !is_inside(other, one))
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
