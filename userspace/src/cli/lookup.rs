//! `geodrop lookup`: which country addresses are in, and what would happen to them, or does.

mod running;

use std::{
    fmt::Display,
    io::{self, BufRead as _},
    net::IpAddr,
    process::ExitCode,
};

use clap::Args;
use geodrop::{
    geoip::{Country, GeoData},
    policy::{self, Explanation, Protocol, carrier},
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    PinOptions, Usage,
    options::{PolicyOptions, data::refuse_countries_without_data},
    protocol::protocol_number,
    table, warn,
};
use running::{Filters, Finding};

/// Show which country addresses are in, and what would happen to them
///
/// Reads the data and the policy given, and needs no root. With --running it asks the filters that run as well, as root: a copy
/// of each is run on a packet that begins something, by the kernel, so that nothing is counted or shown. Without a policy given,
/// what they say is compared with the configuration that they were made from. If one says something else, the exit status is 1.
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  geodrop lookup 1.0.1.1 2400:3200::1
  geodrop lookup --only US,CA --allow 203.0.113.0/24 203.0.113.7
  geodrop lookup --config policy.toml 203.0.113.7
  geodrop lookup --config policy.toml --port 22 203.0.113.7
  sudo geodrop lookup --running 203.0.113.7
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

    /// Show also what each source of GeoIP data says of the addresses
    #[arg(long)]
    sources: bool,

    /// Judge packets to this port [default: to a port that no rule names]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Of this protocol: tcp or udp
    #[arg(long, value_name = "PROTOCOL", requires = "port", default_value = "tcp", value_parser = protocol)]
    proto: Protocol,

    /// Ask the filters that run, too: exit status 1 if one says something else (needs root)
    #[arg(long)]
    running: bool,

    /// Ask those on these interfaces [default: all that have a filter]
    #[arg(
        short,
        long,
        value_name = "IFACE",
        value_delimiter = ',',
        requires = "running"
    )]
    interface: Vec<String>,

    /// Print JSON: an array of {ip, country, prefix, verdict, reason}, with --sources also {sources}, with --running also
    /// {running}
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    policy: PolicyOptions,

    #[command(flatten)]
    pins: PinOptions,
}

fn protocol(text: &str) -> Result<Protocol, Usage> {
    let number = protocol_number(text).and_then(Protocol::of_number);
    number.ok_or_else(|| Usage(format!("`{text}` has no ports; write tcp or udp")))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let addresses = addresses(&arguments.addresses)?;
    let port = arguments.port.map(|port| (arguments.proto, port));
    let open = || Filters::open(&arguments.pins.root(), &arguments.interface);
    let mut filters = arguments.running.then(open).transpose()?;
    // Where nobody says what the policy is, it is what the filters were made from.
    let noted = filters.as_ref().filter(|_| arguments.policy.are_silent());
    let noted = noted.map(Filters::configuration);
    let is_noted = noted != Some(None);
    // Who mends a policy wants to know all the more what filters do meanwhile.
    let mut unreadable = None;
    let said = match noted {
        Some(noted) => arguments.policy.resolve_over(noted).or_else(|error| {
            unreadable = Some(error);
            arguments.policy.resolve_over(None)
        }),
        None => arguments.policy.resolve(),
    }?;
    let is_comparable = is_noted && unreadable.is_none();
    let settings = said.settings();
    let policy = settings.policy();
    let data = said.data()?;
    if let Err(error) = refuse_countries_without_data(&settings, &data) {
        warn(format_args!("warning: {error}"));
    }
    for (is_so, what) in [
        (
            !policy.rules.is_empty() && port.is_none(),
            "the policy has rules for ports; these verdicts are those on packets to all other ports",
        ),
        (
            !said.configuration.own.is_empty(),
            "interfaces have policies of their own; these verdicts are those of the policy at the top level",
        ),
        (
            !is_noted,
            "the filters were not made from one configuration, so there is nothing to compare them with; give the policy, \
             with --config, --block and the like",
        ),
    ] {
        if is_so {
            warn(format_args!("note: {what}"));
        }
    }
    if let Some(filters) = &mut filters
        && is_comparable
    {
        filters.compare_with(|interface| said.settings_of(&interface.name).policy());
    }
    let mut answers = Vec::new();
    for ip in addresses {
        let ask = |filters: &mut Filters| filters.ask(ip, port, &data);
        answers.push(Answer {
            explanation: policy::explain_port(&policy, &data, ip, port),
            sources: arguments.sources.then(|| opinions(&data, ip)),
            running: filters.as_mut().map(ask).transpose()?,
        });
    }
    let mut output = io::stdout().lock();
    if arguments.json {
        super::json::write(&mut output, &answers)?;
    } else {
        write_table(&mut output, &answers, is_comparable)?;
    }
    if let Some(error) = unreadable {
        return Err(error);
    }
    let mut findings = answers.iter().flat_map(|answer| &answer.running).flatten();
    Ok(if findings.any(Finding::disagrees) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What `lookup --json` prints of an address.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    explanation: Explanation,
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<Opinion<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Vec<Finding>>,
}

/// What a source says of an address.
#[derive(Debug, Serialize)]
struct Opinion<'a> {
    source: &'a str,
    /// Null when it does not know the address.
    country: Option<Country>,
    /// The largest prefix that holds the address and lies inside the source's range; null with the country.
    prefix: Option<IpNet>,
}

/// What each source says of an address, or of the address that it carries.
fn opinions(data: &GeoData, ip: IpAddr) -> Vec<Opinion<'_>> {
    let ip = carrier::carried(ip).map_or(ip, |(carried, _)| carried.into());
    let readings = data.readings.iter();
    readings
        .map(|reading| {
            let (country, prefix) = reading.regions.lookup(ip).unzip();
            Opinion {
                source: &reading.source.source,
                country,
                prefix,
            }
        })
        .collect()
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

/// Writes them for people: without verdicts by policy if nobody knows the policy.
fn write_table(
    output: &mut impl io::Write,
    answers: &[Answer<'_>],
    policy_is_known: bool,
) -> io::Result<()> {
    let mut rows: Vec<[String; 5]> = Vec::new();
    for Answer {
        explanation,
        sources,
        running,
    } in answers
    {
        let of_policy = policy_is_known.then_some((explanation.verdict, explanation.reason));
        let (verdict, reason) = of_policy.unzip();
        rows.push([
            explanation.ip.to_string(),
            or_nothing(explanation.prefix),
            or_nothing(verdict),
            or_nothing(reason),
            named(explanation.country),
        ]);
        rows.extend(sources.iter().flatten().map(|opinion| {
            [
                String::new(),
                or_nothing(opinion.prefix),
                String::new(),
                format!("says {}", opinion.source),
                named(opinion.country),
            ]
        }));
        rows.extend(running.iter().flatten().map(|finding| {
            let [verdict, reason, country] = finding.cells();
            [String::new(), String::new(), verdict, reason, country]
        }));
    }
    table::write(
        output,
        ["address", "prefix", "verdict", "reason", "country"],
        &rows,
    )
}

fn or_nothing(cell: Option<impl Display>) -> String {
    cell.map_or_else(|| table::NOTHING.to_owned(), |cell| cell.to_string())
}

fn named(country: Option<Country>) -> String {
    country.map_or_else(
        || table::NOTHING.to_owned(),
        |country| format!("{country} {}", country.name()),
    )
}
