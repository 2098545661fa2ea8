//! `geodrop demo`: the whole thing at work.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use geodrop::{
    Counter,
    datapath::{about::Ranges, counters::Counters},
    demo::{
        self, Outcome, Plan, Stage,
        burst::{Burst, Bursts},
        judge::Tally,
        sample::Group,
    },
    geoip::{self, Country, GeoData, Source},
    policy::{CountryRule, Policy},
};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::options::PolicyOptions;

/// See the whole thing work, in network namespaces of its own
///
/// Attaches a filter to one end of a veth pair between two namespaces, sends real packets from blocked and
/// from other countries, and compares each one's fate with what `geodrop lookup` says of its source. Then it
/// sends blocked packets as fast as one core can. It touches no interface of yours and leaves nothing behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop demo                           the default: CN, HK and MO are blocked
  sudo geodrop demo --only US,CA              what would come of another policy
  sudo geodrop demo --geoip country-ipv4.csv  and of other data")]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    policy: PolicyOptions,
}

/// How long a burst lasts: one of IPv4, one of IPv6.
const BURST: Duration = Duration::from_millis(800);

/// How many failures are shown. One cause can make every packet fail.
const SHOWN: usize = 20;

/// What a shell reports of a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let policy = arguments.policy.policy();
    let data = arguments.policy.data()?;
    // Drawn on standard error, and only where that is a terminal.
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    leave_on_interrupt(spinner.clone())?;
    let plan = Plan {
        policy: &policy,
        regions: &data.regions,
        burst: BURST,
    };
    let outcome = demo::run(&plan, |stage| {
        spinner.set_message(match stage {
            Stage::Preparing => {
                "making two network namespaces and a filter between them".to_owned()
            }
            Stage::Sending(packets) => format!("sending {packets} packets"),
            Stage::Bursting => "sending blocked packets as fast as one core can".to_owned(),
        });
    });
    spinner.finish_and_clear();
    let outcome = outcome?;
    let failures = outcome.failures();

    let mut output = io::stdout().lock();
    if arguments.json {
        let report = Report::new(&outcome, &data, &failures);
        serde_json::to_writer_pretty(&mut output, &report)?;
        writeln!(output)?;
    } else {
        write_report(&mut output, &outcome, &policy, &data)?;
        if failures.is_empty() {
            write_end(&mut output, &outcome)?;
        }
    }
    anyhow::ensure!(failures.is_empty(), describe(&failures));
    Ok(ExitCode::SUCCESS)
}

/// Ends the process when Ctrl-C is pressed. There is nothing to undo: the namespaces and the filter in them are
/// this process's alone.
fn leave_on_interrupt(spinner: ProgressBar) -> anyhow::Result<()> {
    let catching = "catching Ctrl-C";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context(catching)?;
    let mut interrupt = runtime
        .block_on(async { signal(SignalKind::interrupt()) })
        .context(catching)?;
    thread::spawn(move || {
        runtime.block_on(interrupt.recv());
        spinner.finish_and_clear();
        eprintln!("geodrop: interrupted; nothing is left behind");
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

fn describe(failures: &[String]) -> String {
    let mut text = format!("{} things are not as they should be:", failures.len());
    for failure in failures.iter().take(SHOWN) {
        text.push_str("\n  ");
        text.push_str(failure);
    }
    if failures.len() > SHOWN {
        text.push_str("\n  …");
    }
    text
}

/// What `demo --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    geoip: &'a [Source],
    ranges: Ranges,
    mode: String,
    /// Why the mode is not native; null if it is.
    fallback: Option<&'a str>,
    groups: Vec<GroupReport>,
    counters: BTreeMap<Country, Count>,
    passed: Count,
    denied: u64,
    malformed: u64,
    non_ip: u64,
    unknown: u64,
    bursts: Vec<BurstReport>,
    /// Why there was no burst; null if there was.
    burst_skipped: Option<&'a str>,
    /// What is not as it should be, a sentence each.
    failures: &'a [String],
}

#[derive(Debug, Serialize)]
struct GroupReport {
    /// Null when the group is not a country's.
    country: Option<Country>,
    name: &'static str,
    sources: u64,
    sent: u64,
    dropped: u64,
    delivered: u64,
}

#[derive(Debug, Serialize)]
struct Count {
    packets: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct BurstReport {
    family: &'static str,
    sources: usize,
    sent: u64,
    dropped: u64,
    seconds: f64,
    packets_per_second: f64,
}

impl<'a> Report<'a> {
    fn new(outcome: &'a Outcome, data: &'a GeoData, failures: &'a [String]) -> Self {
        let Counters {
            passed,
            denied,
            malformed,
            non_ip,
            unknown,
            countries,
        } = &outcome.counters;
        let (bursts, skipped) = match &outcome.bursts {
            Bursts::Done(bursts) => (bursts.as_slice(), None),
            Bursts::Skipped(reason) => (&[][..], Some(reason.as_str())),
        };
        Self {
            geoip: &data.sources,
            ranges: Ranges {
                ipv4: outcome.ranges.0,
                ipv6: outcome.ranges.1,
            },
            mode: outcome.mode.to_string(),
            fallback: outcome.fallback.as_deref(),
            groups: outcome
                .judged
                .tallies
                .iter()
                .map(GroupReport::new)
                .collect(),
            counters: countries
                .iter()
                .map(|(country, counter)| (*country, Count::from(*counter)))
                .collect(),
            passed: Count::from(*passed),
            denied: denied.packets,
            malformed: malformed.packets,
            non_ip: non_ip.packets,
            unknown: unknown.packets,
            bursts: bursts.iter().map(BurstReport::new).collect(),
            burst_skipped: skipped,
            failures,
        }
    }
}

impl GroupReport {
    fn new(tally: &Tally) -> Self {
        Self {
            country: match tally.group {
                Group::Country(country) => Some(country),
                Group::Listed | Group::SpecialPurpose => None,
            },
            name: name(tally.group),
            sources: tally.sources,
            sent: tally.sent,
            dropped: tally.dropped,
            delivered: tally.delivered,
        }
    }
}

impl BurstReport {
    fn new(burst: &Burst) -> Self {
        Self {
            family: burst.family,
            sources: burst.sources,
            sent: burst.sent.frames,
            dropped: burst.dropped,
            seconds: burst.sent.time.as_secs_f64(),
            packets_per_second: burst.rate(),
        }
    }
}

impl From<Counter> for Count {
    fn from(counter: Counter) -> Self {
        Self {
            packets: counter.packets,
            bytes: counter.bytes,
        }
    }
}

fn name(group: Group) -> &'static str {
    match group {
        Group::Country(country) => country.name(),
        Group::Listed => "prefixes allowed or denied",
        Group::SpecialPurpose => "special-purpose addresses",
    }
}

fn write_report(
    output: &mut impl io::Write,
    outcome: &Outcome,
    policy: &Policy,
    data: &GeoData,
) -> io::Result<()> {
    for source in &data.sources {
        let of = source.date.map(|date| format!(" of {date}"));
        writeln!(
            output,
            "data    {}{}",
            source.source,
            of.unwrap_or_default()
        )?;
    }
    let (verb, countries) = match &policy.countries {
        CountryRule::Block(countries) => ("blocking", countries),
        CountryRule::Only(countries) => ("admitting only", countries),
    };
    writeln!(output, "policy  {verb} {}", geoip::names(countries))?;
    writeln!(
        output,
        "filter  {} IPv4 and {} IPv6 ranges, attached to a veth end in {} mode",
        grouped(outcome.ranges.0 as u64),
        grouped(outcome.ranges.1 as u64),
        outcome.mode
    )?;
    if let Some(reason) = &outcome.fallback {
        writeln!(output, "        {reason}")?;
    }
    writeln!(output)?;

    let rows: Vec<_> = outcome.judged.tallies.iter().map(row).collect();
    let head = ["country", "name", "sources", "sent", "dropped", "delivered"];
    super::table::write(output, head, &rows)?;
    writeln!(output)?;
    writeln!(output, "the filter counted: {}", counted(&outcome.counters))
}

fn row(tally: &Tally) -> [String; 6] {
    let country = match tally.group {
        Group::Country(country) => country.to_string(),
        Group::Listed | Group::SpecialPurpose => "-".to_owned(),
    };
    let [sources, sent, dropped, delivered] =
        [tally.sources, tally.sent, tally.dropped, tally.delivered].map(grouped);
    [
        country,
        name(tally.group).to_owned(),
        sources,
        sent,
        dropped,
        delivered,
    ]
}

/// "72 CN, 72 HK, 504 passed".
fn counted(counters: &Counters) -> String {
    let countries = counters
        .countries
        .iter()
        .map(|(country, counter)| (counter.packets, country.to_string()));
    let others = [
        (counters.denied.packets, "denied"),
        (counters.malformed.packets, "malformed"),
        (counters.unknown.packets, "unknown"),
        (counters.non_ip.packets, "not IP"),
        (counters.passed.packets, "passed"),
    ];
    let others = others.map(|(packets, name)| (packets, name.to_owned()));
    let named: Vec<_> = countries
        .chain(others)
        .filter(|(packets, _)| *packets > 0)
        .map(|(packets, name)| format!("{} {name}", grouped(packets)))
        .collect();
    named.join(", ")
}

/// The rest of a report that has no failures to tell of.
fn write_end(output: &mut impl io::Write, outcome: &Outcome) -> io::Result<()> {
    let packets: u64 = outcome.judged.tallies.iter().map(|tally| tally.sent).sum();
    writeln!(
        output,
        "all {} packets met the fate that `geodrop lookup` says, and each was counted",
        grouped(packets)
    )?;
    writeln!(output)?;
    match &outcome.bursts {
        Bursts::Done(bursts) if bursts.is_empty() => {
            writeln!(output, "no burst: this policy drops nothing")?;
        }
        Bursts::Done(bursts) => write_bursts(output, bursts, outcome)?,
        Bursts::Skipped(reason) => writeln!(output, "no burst: {reason}")?,
    }
    writeln!(
        output,
        "\nNothing is left behind. Next:\n  \
         geodrop lookup 1.0.1.1                which country an address is in, and what would happen to it\n  \
         sudo geodrop run -i eth0 --monitor    count what would be dropped on eth0, and drop nothing"
    )
}

fn write_bursts(
    output: &mut impl io::Write,
    bursts: &[Burst],
    outcome: &Outcome,
) -> io::Result<()> {
    writeln!(output, "one core dropped, in {} mode:", outcome.mode)?;
    for burst in bursts {
        writeln!(
            output,
            "  {}  {:.2} million packets a second, from {} sources in {} ranges ({} packets, all dropped)",
            burst.family,
            burst.rate() / 1e6,
            grouped(burst.sources as u64),
            grouped(burst.ranges as u64),
            grouped(burst.dropped),
        )?;
    }
    writeln!(
        output,
        "This is a veth pair, and the core's time for making the packets is in it; a network card's figures \
         are others."
    )
}

/// A number with its digits in groups of three: 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        let texts = [0, 999, 1000, 12_345, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn many_failures_are_not_all_shown() {
        let failures = vec!["a packet went astray".to_owned(); 21];
        let text = describe(&failures);
        assert!(text.starts_with("21 things are not as they should be:\n  a packet went astray\n"));
        assert!(text.ends_with("astray\n  …"));
        assert_eq!(text.lines().count(), 22);
        assert_eq!(describe(&failures[..1]).lines().count(), 2);
    }
}
