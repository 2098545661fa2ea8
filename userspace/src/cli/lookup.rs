//! `geodrop lookup`: which country addresses are in, and what would happen to them.

use std::{
    io::{self, BufRead as _},
    net::IpAddr,
    process::ExitCode,
};

use clap::Args;
use geodrop::policy::{self, Explanation};

use super::{
    Usage,
    options::{PolicyOptions, data::refuse_countries_without_data},
    table, warn,
};

/// Show which country addresses are in, and what would happen to them
///
/// Reads the data and the policy given, not a running filter, and needs no root.
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  geodrop lookup 1.0.1.1 2400:3200::1
  geodrop lookup --only US,CA --allow 203.0.113.0/24 203.0.113.7
  geodrop lookup --config policy.toml 203.0.113.7
  cut -d' ' -f1 access.log | sort -u | geodrop lookup --json -",
    // Positional addresses follow: one value a flag, or several with commas.
    mut_arg("block", |arg| arg.num_args(1)),
    mut_arg("only", |arg| arg.num_args(1)),
    mut_arg("allow", |arg| arg.num_args(1)),
    mut_arg("deny", |arg| arg.num_args(1)),
    mut_arg("geoip", |arg| arg.num_args(1)),
)]
pub(super) struct Arguments {
    /// Addresses; `-` reads them from standard input, one a line
    #[arg(value_name = "IP", required = true)]
    addresses: Vec<String>,

    /// Print JSON: an array of {ip, country, prefix, verdict, reason}
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    policy: PolicyOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let addresses = addresses(&arguments.addresses)?;
    let said = arguments.policy.resolve()?;
    let settings = said.settings();
    let policy = settings.policy();
    let data = said.data()?;
    if let Err(error) = refuse_countries_without_data(&settings, &data) {
        warn(format_args!("warning: {error}"));
    }
    for (is_so, what) in [
        (
            !policy.rules.is_empty(),
            "the policy has rules for ports; these verdicts are those on packets to all other ports",
        ),
        (
            !said.configuration.own.is_empty(),
            "interfaces have policies of their own; these verdicts are those of the policy at the top level",
        ),
    ] {
        if is_so {
            warn(format_args!("note: {what}"));
        }
    }
    let answers: Vec<_> = addresses
        .into_iter()
        .map(|ip| policy::explain(&policy, &data.regions, ip))
        .collect();
    let mut output = io::stdout().lock();
    if arguments.json {
        super::json::write(&mut output, &answers)?;
    } else {
        write_table(&mut output, &answers)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The addresses given, those on standard input in the place of `-`.
fn addresses(given: &[String]) -> anyhow::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for text in given {
        if text != "-" {
            addresses.push(address(text, "argument")?);
            continue;
        }
        for (index, line) in io::stdin().lock().split(b'\n').enumerate() {
            let line = line?;
            let line = String::from_utf8_lossy(line.trim_ascii());
            if !line.is_empty() {
                addresses.push(address(
                    &line,
                    &format!("standard input, line {}", index + 1),
                )?);
            }
        }
    }
    Ok(addresses)
}

fn address(text: &str, place: &str) -> Result<IpAddr, Usage> {
    text.parse().map_err(|_| {
        Usage(format!(
            "{place}: `{text}` is not an IPv4 or IPv6 address; write it like 192.0.2.1 or 2001:db8::1"
        ))
    })
}

fn write_table(output: &mut impl io::Write, answers: &[Explanation]) -> io::Result<()> {
    let rows: Vec<[String; 5]> = answers
        .iter()
        .map(|explanation| {
            [
                explanation.ip.to_string(),
                explanation
                    .prefix
                    .map_or_else(|| table::NOTHING.to_owned(), |prefix| prefix.to_string()),
                explanation.verdict.to_string(),
                explanation.reason.to_string(),
                explanation.country.map_or_else(
                    || table::NOTHING.to_owned(),
                    |country| format!("{country} {}", country.name()),
                ),
            ]
        })
        .collect();
    table::write(
        output,
        ["address", "prefix", "verdict", "reason", "country"],
        &rows,
    )
}
