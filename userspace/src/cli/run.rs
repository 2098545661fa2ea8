//! `geodrop run`: filter in the foreground.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use geodrop::{
    datapath::{counters::Counters, filter::Filter},
    geoip::Country,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::MissedTickBehavior,
};

use super::{attach, options::FilterOptions, say, warn};

/// Filter in the foreground, until Ctrl-C
///
/// Prints what was dropped at an interval. Ctrl-C, SIGTERM or the end of the terminal ends it and takes the filter
/// off. Should the
/// process die otherwise, the filter stays; the next `run` takes it over without a packet going by unfiltered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop run -i eth0 --monitor         count what would be dropped, and drop nothing
  sudo geodrop run -i eth0 --block CN,HK,MO
  sudo geodrop run --config policy.toml --monitor
  sudo geodrop run -i eth0 --only US,CA --allow 203.0.113.0/24 --interval 60")]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterOptions,

    /// Leave the filter in the kernel when this process ends
    #[arg(long)]
    keep: bool,

    /// Print counters every so many seconds; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    interval: u64,

    /// Log the verdict on every packet: for debugging, and slow
    #[arg(long, hide_short_help = true)]
    log_packets: bool,
}

/// How often to look whether the filter is still there.
const WATCH: Duration = Duration::from_secs(1);

/// How often to fetch what the kernel program logged.
const DRAIN: Duration = Duration::from_millis(50);

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let resolved = arguments.filter.resolve()?;
    if arguments.log_packets {
        log::set_logger(&PacketLog).context("setting up the log")?;
        log::set_max_level(log::LevelFilter::Debug);
    }
    // Before the filter is attached: a signal that comes meanwhile must not leave it behind.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    let signals = runtime.block_on(async { Signals::new() })?;

    let mut filters = attach::attach(&arguments.filter, &resolved, arguments.log_packets)?;
    for filter in &filters {
        say(attach::announcement(filter, &resolved));
    }
    let all_stayed = runtime.block_on(watch(&mut filters, arguments, signals))?;

    let mut failed = !all_stayed;
    for filter in filters {
        let name = filter.interface.name.clone();
        if arguments.keep {
            say(format_args!(
                "{name}: the filter stays; `geodrop detach -i {name}` removes it"
            ));
            continue;
        }
        match filter.detach() {
            Ok(true) => say(format_args!("{name}: detached")),
            Ok(false) => warn(taken_away(&name)),
            Err(error) => {
                warn(format_args!("{name}: {error}"));
                failed = true;
            }
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn taken_away(name: &str) -> String {
    format!(
        "the filter on {name} was taken away by somebody else (`geodrop detach`, a removed pin, or the interface is \
         gone); this process looks after it no more"
    )
}

/// The signals that end a run: Ctrl-C, what service managers send, and a terminal that is closed or lost. The
/// last so that a policy that locks its admin out ends with the session.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("catching signals");
        Ok(Self([
            catch(SignalKind::interrupt())?,
            catch(SignalKind::terminate())?,
            catch(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Prints counters and the packets' log until a signal comes, or no filter is left. A filter that somebody else
/// took away is told of and left out from then on. Returns whether none was.
async fn watch(
    filters: &mut Vec<Filter>,
    arguments: &Arguments,
    mut signals: Signals,
) -> anyhow::Result<bool> {
    let mut loggers = Vec::new();
    if arguments.log_packets {
        for filter in &mut *filters {
            loggers.push(filter.generation.logger()?);
        }
    }
    let attached = filters.len();
    let mut tick = interval(WATCH);
    let mut drain = interval(DRAIN);
    let mut reports = Reports::new(Duration::from_secs(arguments.interval));
    while !filters.is_empty() {
        tokio::select! {
            () = signals.any() => break,
            _ = tick.tick() => look(filters, &mut reports),
            _ = drain.tick(), if !loggers.is_empty() => flush(&mut loggers),
        }
    }
    flush(&mut loggers);
    Ok(filters.len() == attached)
}

/// Prints what the kernel programs have logged since the last time.
fn flush<T: log::Log>(loggers: &mut [aya_log::EbpfLogger<T>]) {
    for logger in loggers {
        logger.flush();
    }
}

/// Ticks that do not catch up after a pause.
fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Leaves out filters that are not in place any more, and prints a report if one is due. What cannot be read is
/// told of, and no reason to end a filter.
fn look(filters: &mut Vec<Filter>, reports: &mut Reports) {
    filters.retain(|filter| {
        let name = &filter.interface.name;
        match filter.is_attached() {
            Ok(true) => true,
            Ok(false) => {
                warn(taken_away(name));
                false
            }
            Err(error) => {
                warn(format_args!("{name}: {error}"));
                true
            }
        }
    });
    if !reports.due() {
        return;
    }
    for filter in filters {
        let name = &filter.interface.name;
        match filter.generation.counters() {
            Ok(counters) => say(format_args!("{name}: {}", report(&counters))),
            Err(error) => warn(format_args!("{name}: {error}")),
        }
    }
}

/// When to print the next report.
struct Reports {
    interval: Duration,
    last: Instant,
}

impl Reports {
    fn new(interval: Duration) -> Self {
        Self {
            interval,
            last: Instant::now(),
        }
    }

    fn due(&mut self) -> bool {
        let due = !self.interval.is_zero() && self.last.elapsed() >= self.interval;
        if due {
            self.last = Instant::now();
        }
        due
    }
}

/// One line of what was counted: "dropped 12 (CN 10, HK 2), passed 345".
fn report(counters: &Counters) -> String {
    let mut countries: Vec<(Country, u64)> = counters
        .countries
        .iter()
        .map(|(country, counter)| (*country, counter.packets))
        .collect();
    countries.sort_by_key(|(country, packets)| (std::cmp::Reverse(*packets), *country));
    let named = countries
        .iter()
        .map(|(country, packets)| (country.to_string(), *packets))
        .chain([
            ("denied".to_owned(), counters.denied.packets),
            ("unknown".to_owned(), counters.unknown.packets),
            ("malformed".to_owned(), counters.malformed.packets),
        ])
        .filter(|(_, packets)| *packets > 0)
        .map(|(name, packets)| format!("{name} {packets}"))
        .collect::<Vec<_>>();
    let reasons = if named.is_empty() {
        String::new()
    } else {
        format!(" ({})", named.join(", "))
    };
    format!(
        "{} packets blocked{reasons}, {} passed, {} not IP",
        counters.dropped(),
        counters.passed.packets,
        counters.non_ip.packets
    )
}

/// Where the kernel program's log goes: standard error, a line a packet.
struct PacketLog;

impl log::Log for PacketLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("filter") || metadata.target().starts_with("geodrop")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = writeln!(io::stderr(), "{}", record.args());
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use geodrop::Counter;

    use super::*;

    fn packets(packets: u64) -> Counter {
        Counter { packets, bytes: 0 }
    }

    #[test]
    fn a_report_names_what_was_blocked_most_first() {
        let counters = Counters {
            passed: packets(5),
            malformed: packets(1),
            countries: [
                (Country::CHINA, packets(2)),
                (Country::HONG_KONG, packets(7)),
            ]
            .into(),
            ..Counters::default()
        };
        assert_eq!(
            report(&counters),
            "10 packets blocked (HK 7, CN 2, malformed 1), 5 passed, 0 not IP"
        );
        assert_eq!(
            report(&Counters::default()),
            "0 packets blocked, 0 passed, 0 not IP"
        );
    }
}
