//! `geodrop run`: filter in the foreground.

use std::{
    fmt::Display,
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
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};

use super::{attach, options::FilterOptions};

/// Filter in the foreground, until Ctrl-C
///
/// Prints what was dropped at an interval. Ctrl-C or SIGTERM ends it and takes the filter off. Should the
/// process die otherwise, the filter stays; the next `run` takes it over without a packet going by unfiltered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop run -i eth0 --monitor         count what would be dropped, and drop nothing
  sudo geodrop run -i eth0 --block CN,HK,MO
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
    let end = runtime.block_on(watch(&mut filters, arguments, signals));

    if arguments.keep {
        for filter in &filters {
            let name = &filter.interface.name;
            say(format_args!(
                "{name}: the filter stays; `geodrop detach -i {name}` removes it"
            ));
        }
        return end.map(|()| ExitCode::SUCCESS);
    }
    let mut detached = Ok(());
    for filter in filters {
        let name = filter.interface.name.clone();
        match filter.detach() {
            Ok(()) => say(format_args!("{name}: detached")),
            Err(error) => detached = Err(error),
        }
    }
    detached?;
    end.map(|()| ExitCode::SUCCESS)
}

/// Prints a line. That nobody reads it any more (`geodrop run | head`) must not end the filter.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("catching signals");
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
        })
    }
}

/// Prints counters and the packets' log until a signal comes.
///
/// # Errors
///
/// When somebody else took a filter away.
async fn watch(
    filters: &mut [Filter],
    arguments: &Arguments,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let mut loggers = Vec::new();
    if arguments.log_packets {
        for filter in &mut *filters {
            loggers.push(filter.generation.logger()?);
        }
    }
    let mut tick = interval(WATCH);
    let mut drain = interval(DRAIN);
    let mut reports = Reports::new(Duration::from_secs(arguments.interval));
    let end = loop {
        tokio::select! {
            _ = signals.interrupt.recv() => break Ok(()),
            _ = signals.terminate.recv() => break Ok(()),
            _ = tick.tick() => {
                if let Err(error) = look(filters, &mut reports) {
                    break Err(error);
                }
            }
            _ = drain.tick(), if !loggers.is_empty() => flush(&mut loggers),
        }
    };
    flush(&mut loggers);
    end
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

/// Checks that the filters are in place, and prints a report if one is due.
fn look(filters: &[Filter], reports: &mut Reports) -> anyhow::Result<()> {
    for filter in filters {
        let name = &filter.interface.name;
        anyhow::ensure!(
            filter.is_attached()?,
            "the filter on {name} was taken away by somebody else (`geodrop detach`, a removed pin, or the \
             interface is gone); packets pass unfiltered there now"
        );
    }
    if reports.due() {
        for filter in filters {
            let counters = filter.generation.counters()?;
            say(format_args!(
                "{}: {}",
                filter.interface.name,
                report(&counters)
            ));
        }
    }
    Ok(())
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
            eprintln!("{}", record.args());
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
