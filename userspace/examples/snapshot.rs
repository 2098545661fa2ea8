//! Makes the built-in snapshot of CSV files: what `cargo xtask snapshot` runs.
//!
//! What it writes it has read back and compared. It prints what it saw, for a person to judge whether the
//! new data may replace the old.

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use geodrop::geoip::{self, GeoData, Source, Summary, Totals, snapshot};
use jiff::civil::Date;

/// Makes the built-in snapshot of CSV files.
///
/// What is not given is that of the npm package @ip-location-db/geo-whois-asn-country.
#[derive(Parser)]
struct Arguments {
    /// The data's version, in its maker's counting
    #[arg(long)]
    version: String,
    /// The day whose state the data shows: YYYY-MM-DD
    #[arg(long)]
    date: Date,
    /// What the data is: a package's name
    #[arg(long)]
    source: String,
    /// The checksum of the package, with its algorithm
    #[arg(long)]
    checksum: String,
    /// The data's licence, as an SPDX expression
    #[arg(long, default_value = "CC0-1.0 AND CC-BY-4.0")]
    licence: String,
    /// Whom the licence asks to be named
    #[arg(
        long,
        default_value = "Contains data of the Number Resource Organization (NRO), nro.net, CC BY 4.0"
    )]
    attribution: String,
    /// Where the data can be had
    #[arg(long, default_value = "https://github.com/sapics/ip-location-db")]
    url: String,
    /// The CSV file of IPv4 ranges
    #[arg(long, value_name = "FILE")]
    ipv4: PathBuf,
    /// The CSV file of IPv6 ranges
    #[arg(long, value_name = "FILE")]
    ipv6: PathBuf,
    /// Where to write the snapshot
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let data = geoip::read(&[&arguments.ipv4, &arguments.ipv6])?;
    ensure!(
        !data.regions.ipv4().is_empty(),
        "{}: no IPv4 range in it",
        arguments.ipv4.display()
    );
    ensure!(
        !data.regions.ipv6().is_empty(),
        "{}: no IPv6 range in it",
        arguments.ipv6.display()
    );
    let source = Source {
        source: arguments.source,
        version: Some(arguments.version),
        date: Some(arguments.date),
        licence: Some(arguments.licence),
        attribution: Some(arguments.attribution),
        url: Some(arguments.url),
        checksum: Some(arguments.checksum),
    };

    let bytes = snapshot::encode(&data.regions, &source)?;
    let (regions, read_back) = snapshot::decode(&bytes)?;
    ensure!(
        regions == data.regions && read_back == source,
        "what was written reads back otherwise"
    );
    fs::write(&arguments.output, &bytes)
        .with_context(|| format!("cannot write {}", arguments.output.display()))?;

    report(&data, &bytes)?;
    println!("written   {}", arguments.output.display());
    Ok(())
}

fn report(data: &GeoData, bytes: &[u8]) -> anyhow::Result<()> {
    for contradiction in data.contradictions() {
        println!("warning   {contradiction}");
    }
    let Summary {
        ipv4,
        ipv6,
        countries,
    } = data.regions.summary();
    for (family, Totals { ranges, addresses }) in [("IPv4", ipv4), ("IPv6", ipv6)] {
        println!("{family}      {ranges} ranges, {addresses} addresses");
    }
    println!("countries {countries}");
    println!("size      {} bytes", bytes.len());
    println!(
        "decode    {:.1} ms, the median of 20",
        median_decode(bytes)?
    );
    Ok(())
}

/// How long it takes to decode a snapshot, in milliseconds: the median of 20 times.
fn median_decode(bytes: &[u8]) -> anyhow::Result<f64> {
    let mut times = [0.0; 20];
    for time in &mut times {
        let start = Instant::now();
        let decoded = snapshot::decode(bytes)?;
        *time = start.elapsed().as_secs_f64() * 1e3;
        drop(decoded);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
