//! `geodrop geoip`: look at GeoIP data.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use geodrop::geoip::{GeoData, Origin, Source, Summary, Totals};
use jiff::{Zoned, civil::Date};
use serde::Serialize;

use super::options::data::read_data;

/// Look at GeoIP data
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show where data comes from, how old it is, and how much of it there is
    Info(InfoArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  geodrop geoip info
  geodrop geoip info --geoip country-ipv4.csv country-ipv6.csv --json")]
struct InfoArguments {
    /// Files to look at, and not the built-in snapshot
    #[arg(long, value_name = "FILE", num_args = 1..)]
    geoip: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `geoip info --json` prints.
#[derive(Debug, Serialize)]
struct Info<'a> {
    sources: Vec<SourceInfo<'a>>,
    #[serde(flatten)]
    summary: Summary,
    contradictions: usize,
}

#[derive(Debug, Serialize)]
struct SourceInfo<'a> {
    #[serde(flatten)]
    source: &'a Source,
    age_days: Option<i32>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Verb::Info(arguments) = &arguments.verb;
    let origins = if arguments.geoip.is_empty() {
        vec![Origin::Builtin]
    } else {
        arguments
            .geoip
            .iter()
            .map(|path| Origin::of(path))
            .collect()
    };
    let data = read_data(&origins)?;
    let info = info(&data, Zoned::now().date());
    let mut output = io::stdout().lock();
    if arguments.json {
        super::json::write(&mut output, &info)?;
    } else {
        write_info(&mut output, &info)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn info(data: &GeoData, today: Date) -> Info<'_> {
    Info {
        sources: data
            .sources
            .iter()
            .map(|source| SourceInfo {
                source,
                age_days: source.age(today),
            })
            .collect(),
        summary: data.summary(),
        contradictions: data.contradictions.len(),
    }
}

fn write_info(output: &mut impl io::Write, info: &Info<'_>) -> io::Result<()> {
    for SourceInfo { source, age_days } in &info.sources {
        writeln!(output, "{}", source.source)?;
        let date = source.date.map(|date| match age_days {
            Some(days) => format!("{date} ({days} days old)"),
            None => date.to_string(),
        });
        for (name, value) in [
            ("version", &source.version),
            ("date", &date),
            ("licence", &source.licence),
            ("attribution", &source.attribution),
            ("from", &source.url),
            ("checksum", &source.checksum),
        ] {
            if let Some(value) = value {
                writeln!(output, "  {name:<12} {value}")?;
            }
        }
    }
    let Summary {
        ipv4,
        ipv6,
        countries,
    } = &info.summary;
    for (family, Totals { ranges, addresses }) in [("IPv4", ipv4), ("IPv6", ipv6)] {
        writeln!(output, "{family}: {ranges} ranges, {addresses} addresses")?;
    }
    writeln!(output, "{countries} countries")?;
    if info.contradictions > 0 {
        writeln!(output, "{} contradictions", info.contradictions)?;
    }
    Ok(())
}
