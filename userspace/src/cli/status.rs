//! `geodrop status`: what runs, and what it has counted.

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use geodrop::{
    Action,
    datapath::{
        about::{GeoipSource, Ranges},
        exceptions::Decision,
        reload::Failure,
        status::{Running, Status},
        trial::Trial,
    },
    geoip::{self, Country},
    policy::config::Choice as _,
    update::store::{Grounds, History},
};
use jiff::Timestamp;
use serde::Serialize;

use super::{PinOptions, json::CountersReport, table, time};

/// Show what runs, and what it has counted
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop status
  sudo geodrop status --json | jq '.interfaces[].counters'
  sudo geodrop status --ready >/dev/null     exit status 0 while a `geodrop run` looks after a filter")]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Fail unless a process looks after a filter: for probes, which ask whether `geodrop run` is at work
    #[arg(long)]
    ready: bool,

    #[command(flatten)]
    pins: PinOptions,
}

/// What `status --json` prints. Scripts rely on the names.
#[derive(Debug, Serialize)]
struct Report {
    interfaces: Vec<InterfaceReport>,
    geoip: Vec<GeoipSource>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct InterfaceReport {
    name: String,
    ifindex: u32,
    hook: &'static str,
    /// Null at the hook tcx, which has no modes.
    mode: Option<String>,
    program_id: u32,
    engine: String,
    generation: u64,
    enforcing: bool,
    /// Under `only`, the countries that are admitted stand in `admitted`, and this is empty.
    blocked: Vec<Country>,
    admitted: Vec<Country>,
    ranges: Ranges,
    memory_bytes: u64,
    #[serde(flatten)]
    counted: CountersReport,
    exceptions: Vec<ExceptionReport>,
    trial: Option<TrialReport>,
    /// Why the last reload failed; null when it did not.
    reload_failure: Option<Failure>,
    /// The configuration that the policy was read from.
    config: Option<PathBuf>,
    since: Option<Timestamp>,
    version: String,
    /// The process that looks after the filter; null when it stands alone.
    owner: Option<String>,
}

/// A policy that gives way to what was in force before unless it is confirmed.
#[derive(Debug, Serialize)]
struct TrialReport {
    /// Null when that has come: what the rest says is of what was in force before, if there was anything.
    until: Option<Timestamp>,
    #[serde(skip)]
    left: Option<Duration>,
    /// Whether it is over.
    over: bool,
    /// The generation before; null if there was none.
    before: Option<u64>,
}

impl From<Trial> for TrialReport {
    fn from(Trial { left, before, .. }: Trial) -> Self {
        Self {
            until: left.and_then(time::from_now),
            left,
            over: left.is_none(),
            before,
        }
    }
}

/// What was decided for an address while the filter runs.
#[derive(Debug, Serialize)]
struct ExceptionReport {
    ip: IpAddr,
    verdict: &'static str,
    /// Null: as long as the filter is there.
    until: Option<Timestamp>,
}

impl From<Decision> for ExceptionReport {
    fn from(decision: Decision) -> Self {
        Self {
            ip: decision.address,
            verdict: match decision.action {
                Action::Pass => "pass",
                Action::Drop => "drop",
            },
            until: decision.left.and_then(time::from_now),
        }
    }
}

impl From<Running> for InterfaceReport {
    fn from(running: Running) -> Self {
        let Running {
            interface,
            hook,
            mode,
            program,
            generation,
            about,
            memory,
            counters,
            trial,
            failure,
            exceptions,
            owner,
        } = running;
        Self {
            name: interface.name,
            ifindex: interface.index,
            hook: hook.word(),
            mode: mode.map(|mode| mode.to_string()),
            program_id: program,
            engine: about.engine,
            generation,
            enforcing: !about.monitor
                && trial.is_none_or(|trial| trial.left.is_some() || trial.before.is_some()),
            blocked: about.block,
            admitted: about.only,
            ranges: about.ranges,
            memory_bytes: memory,
            counted: (&counters).into(),
            exceptions: exceptions.into_iter().map(Into::into).collect(),
            trial: trial.map(Into::into),
            reload_failure: failure,
            config: about.config,
            since: about.since,
            version: about.version,
            owner,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let status = Status::read(&arguments.pins.root())?;
    let mut geoip: Vec<GeoipSource> = Vec::new();
    for running in &status.running {
        for source in &running.about.geoip {
            if !geoip.contains(source) {
                geoip.push(source.clone());
            }
        }
    }
    let is_ready = status.running.iter().any(|one| one.owner.is_some());
    let mut warnings = status.warnings;
    warnings.extend(geoip.iter().filter_map(refused));
    let report = Report {
        interfaces: status.running.into_iter().map(Into::into).collect(),
        geoip,
        warnings,
    };
    let mut output = io::stdout().lock();
    if arguments.json {
        super::json::write(&mut output, &report)?;
    } else {
        write_report(&mut output, &report)?;
    }
    Ok(if arguments.ready && !is_ready {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What is to be said of data that was fetched for a source in force, and refused.
fn refused(source: &GeoipSource) -> Option<String> {
    let history = History::of_current(Path::new(&source.source))?;
    let (kept, refusal) = match history.refused() {
        Ok(refused) => refused?,
        Err(error) => return Some(error.to_string()),
    };
    let remedy = match refusal.grounds {
        Grounds::RolledBack => "a newer one is taken by itself",
        Grounds::Implausible => {
            "look at it with `geodrop geoip diff`; `geodrop geoip update --accept` takes it"
        }
        Grounds::Unreadable => "has its provider changed something?",
    };
    let day = refusal.at.strftime("%F");
    let why = refusal.why.first().map_or("", String::as_str);
    let more = match refusal.why.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more reasons)"),
    };
    Some(format!(
        "newer data for {} was refused on {day}: {why}{more}; it is in {}; {remedy}",
        source.source,
        kept.path.display()
    ))
}

fn write_report(output: &mut impl io::Write, report: &Report) -> io::Result<()> {
    if report.interfaces.is_empty() {
        writeln!(
            output,
            "no filter is attached; `geodrop attach -i IFACE` attaches one"
        )?;
    }
    for interface in &report.interfaces {
        write_interface(output, interface)?;
    }
    for source in &report.geoip {
        match source.date {
            Some(date) => writeln!(output, "data: {} of {date}", source.source)?,
            None => writeln!(output, "data: {}", source.source)?,
        }
    }
    for warning in &report.warnings {
        writeln!(output, "warning: {warning}")?;
    }
    Ok(())
}

fn write_interface(output: &mut impl io::Write, interface: &InterfaceReport) -> io::Result<()> {
    let (what, countries) = match (interface.admitted.is_empty(), interface.enforcing) {
        (true, true) => ("blocking", &interface.blocked),
        (true, false) => ("only counting", &interface.blocked),
        (false, true) => ("admitting only", &interface.admitted),
        (false, false) => ("counting all but", &interface.admitted),
    };
    writeln!(
        output,
        "{}: {what} {}",
        interface.name,
        geoip::names(countries)
    )?;
    writeln!(
        output,
        "  {}{}, engine {}, generation {}{}",
        interface.hook,
        interface
            .mode
            .as_ref()
            .map_or_else(String::new, |mode| format!(" {mode} mode")),
        interface.engine,
        interface.generation,
        interface
            .since
            .map_or_else(String::new, |since| format!(" since {since:.0}")),
    )?;
    writeln!(
        output,
        "  {} IPv4 and {} IPv6 ranges, {} KiB of kernel memory",
        interface.ranges.ipv4,
        interface.ranges.ipv6,
        interface.memory_bytes.div_ceil(1024)
    )?;
    match &interface.owner {
        Some(owner) => writeln!(output, "  looked after by {owner}")?,
        None => writeln!(
            output,
            "  stands alone, until `geodrop detach -i {}`",
            interface.name
        )?,
    }
    match &interface.trial {
        None => {}
        Some(TrialReport {
            left: Some(left), ..
        }) => writeln!(
            output,
            "  on trial for another {}; `geodrop confirm` keeps it",
            time::text(*left)
        )?,
        Some(TrialReport {
            before: Some(_), ..
        }) => writeln!(
            output,
            "  nobody confirmed the one after it in time: it is in force again"
        )?,
        Some(_) => writeln!(
            output,
            "  nobody confirmed it in time: it filters nothing any more"
        )?,
    }
    if let Some(Failure { at, why }) = &interface.reload_failure {
        writeln!(output, "  last reload failed at {at:.0}: {why}")?;
    }
    for exception in &interface.exceptions {
        writeln!(
            output,
            "  exception: {} {}{}",
            exception.ip,
            match exception.verdict {
                "pass" => "passes",
                _ => "drops",
            },
            exception
                .until
                .map_or_else(String::new, |until| format!(" until {until:.0}"))
        )?;
    }
    let mut rows = vec![row(
        "passed",
        interface.counted.passed.packets,
        Some(interface.counted.passed.bytes),
    )];
    for (country, count) in &interface.counted.counters {
        rows.push(row(
            &format!("{country} {}", country.name()),
            count.packets,
            Some(count.bytes),
        ));
    }
    for (name, packets) in [
        ("denied", interface.counted.denied),
        ("malformed", interface.counted.malformed),
        ("unknown", interface.counted.unknown),
        ("not IP, passed", interface.counted.non_ip),
    ] {
        if packets > 0 {
            rows.push(row(name, packets, None));
        }
    }
    table::write(output, ["source", "packets", "bytes"], &rows)
}

fn row(name: &str, packets: u64, bytes: Option<u64>) -> [String; 3] {
    [
        name.to_owned(),
        packets.to_string(),
        bytes.map_or_else(|| table::NOTHING.to_owned(), |bytes| bytes.to_string()),
    ]
}
