//! `geodrop geoip info`: where data comes from, how old it is, and how much of it there is.

use std::{collections::BTreeMap, io, path::PathBuf, process::ExitCode};

use clap::Args;
use geodrop::geoip::{Format, GeoData, Reading, SetAside, Source, Summary, Totals};
use jiff::{Zoned, civil::Date};
use serde::Serialize;

use super::super::{
    options::data::{ReconciliationOptions, read_data},
    warn,
};

/// After how many days data is called old: that long addresses stay mostly where they are.
const OLD: i32 = 30;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  geodrop geoip info
  geodrop geoip info GeoLite2-Country.mmdb
  geodrop geoip info delegated-*-extended-latest CN=office.txt --json")]
pub(super) struct Arguments {
    /// Files to look at, written as for --geoip of the other commands [default: builtin]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    reconciliation: ReconciliationOptions,

    /// Print JSON: {sources, ipv4, ipv6, countries, contradictions}
    #[arg(long)]
    json: bool,
}

/// What `geoip info --json` prints.
#[derive(Debug, Serialize)]
struct Info<'a> {
    sources: Vec<SourceInfo<'a>>,
    /// Of all sources together.
    #[serde(flatten)]
    summary: Summary,
    contradictions: usize,
}

#[derive(Debug, Serialize)]
struct SourceInfo<'a> {
    #[serde(flatten)]
    source: &'a Source,
    format: Format,
    age_days: Option<i32>,
    /// Whether it is older than a month; null where its date is not known.
    old: Option<bool>,
    #[serde(flatten)]
    summary: Summary,
    /// Rows that say no country, by the reason.
    set_aside: &'a BTreeMap<SetAside, u64>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.reconciliation.settings(&arguments.files)?;
    let data = read_data(&settings)?;
    let info = Info::new(&data, Zoned::now().date());
    let mut output = io::stdout().lock();
    if arguments.json {
        super::super::json::write(&mut output, &info)?;
    } else {
        info.write(&mut output)?;
    }
    for SourceInfo {
        source,
        age_days,
        old,
        ..
    } in &info.sources
    {
        if let (Some(days), Some(true)) = (age_days, old) {
            warn(format_args!(
                "warning: {} is {days} days old; addresses move, so fetch newer data",
                source.source
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl<'a> Info<'a> {
    fn new(data: &'a GeoData, today: Date) -> Self {
        Self {
            sources: data
                .readings
                .iter()
                .map(|reading| SourceInfo::new(reading, today))
                .collect(),
            summary: data.regions.summary(),
            contradictions: data.contradictions().count(),
        }
    }

    fn write(&self, output: &mut impl io::Write) -> io::Result<()> {
        for source in &self.sources {
            source.write(output)?;
        }
        if self.sources.len() > 1 {
            writeln!(output, "together")?;
            write_summary(output, &self.summary)?;
        }
        if self.contradictions > 0 {
            writeln!(output, "{} contradictions", self.contradictions)?;
        }
        Ok(())
    }
}

impl<'a> SourceInfo<'a> {
    fn new(reading: &'a Reading, today: Date) -> Self {
        let age_days = reading.source.age(today);
        Self {
            source: &reading.source,
            format: reading.format,
            age_days,
            old: age_days.map(|days| days > OLD),
            summary: reading.regions.summary(),
            set_aside: &reading.set_aside,
        }
    }

    fn write(&self, output: &mut impl io::Write) -> io::Result<()> {
        let source = self.source;
        writeln!(output, "{}", source.source)?;
        let date = source.date.map(|date| match self.age_days {
            Some(days) => format!("{date} ({days} days old)"),
            None => date.to_string(),
        });
        for (name, value) in [
            ("format", &Some(self.format.to_string())),
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
        write_summary(output, &self.summary)?;
        for (reason, rows) in self.set_aside {
            writeln!(output, "  set aside    {rows} rows: {reason}")?;
        }
        Ok(())
    }
}

fn write_summary(output: &mut impl io::Write, summary: &Summary) -> io::Result<()> {
    let Summary {
        ipv4,
        ipv6,
        countries,
    } = summary;
    for (family, Totals { ranges, addresses }) in [("IPv4", ipv4), ("IPv6", ipv6)] {
        writeln!(
            output,
            "  {family:<12} {ranges} ranges, {addresses} addresses"
        )?;
    }
    writeln!(output, "  {:<12} {countries}", "countries")
}
