//! `geodrop run`: filter in the foreground.

mod files;
mod log;
mod report;
mod signals;

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Args;
use geodrop::datapath::{filter::Filter, reload::Asked, trial::Ended};
use tokio::time::MissedTickBehavior;

use self::{
    files::Files,
    log::Logs,
    report::{Reports, report},
    signals::{Caught, Signals},
};
use super::{attach, describe, options::FilterOptions, say, warn};

/// Filter in the foreground, until Ctrl-C
///
/// Prints what was dropped at an interval. Ctrl-C, SIGTERM or the end of the terminal ends it and takes the filter
/// off: so a policy that locks its admin out ends with the session. Should the process die otherwise, the filter
/// stays; the next `run` takes it over without a packet going by unfiltered.
///
/// With --config, SIGHUP (and `geodrop reload`, which waits for the outcome) reads everything anew and replaces the
/// filter in one step. Where that fails, what was in force stays in force. Without --config, SIGHUP ends the run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop run -i eth0 --monitor         count what would be dropped, and drop nothing
  sudo geodrop run -i eth0 --block CN,HK,MO
  sudo geodrop run --config policy.toml --monitor
  sudo geodrop run --config policy.toml --watch
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

    /// Reload when the configuration, or a file that it names, changes
    #[arg(long, requires = "config")]
    watch: bool,

    /// Log the verdict on every packet: for debugging, and slow
    #[arg(long, hide_short_help = true)]
    log_packets: bool,
}

/// How often to look whether the filter is still there.
const WATCH: Duration = Duration::from_secs(1);

/// How often to look whether a file has changed.
const POLL: Duration = Duration::from_secs(2);

/// How often to fetch what the kernel program logged.
const DRAIN: Duration = Duration::from_millis(50);

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.log_packets {
        log::start()?;
    }
    // Before the filter is attached: a signal that comes meanwhile must not leave it behind.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    let reloads = arguments.filter.config().is_some();
    let mut signals = runtime.block_on(async { Signals::new(reloads) })?;

    let mut care = Care::of(arguments)?;
    loop {
        match runtime.block_on(care.watch(&mut signals))? {
            Event::End => break,
            // Not in the event loop: it asks the kernel things that take loops of their own.
            Event::Hangup => care.reload_on_signal(),
            Event::Change => care.reload(Vec::new()),
        }
    }
    Ok(care.end())
}

/// What ends the watch over filters, or interrupts it.
enum Event {
    End,
    /// SIGHUP.
    Hangup,
    /// A file is another one.
    Change,
}

/// The filters that this process looks after.
struct Care<'a> {
    arguments: &'a Arguments,
    filters: Vec<Filter>,
    /// Whether somebody else took one away, or one could not be detached.
    failed: bool,
    logs: Logs,
    reports: Reports,
    files: Files,
}

impl<'a> Care<'a> {
    /// Attaches the filters.
    fn of(arguments: &'a Arguments) -> anyhow::Result<Self> {
        let mut care = Self {
            arguments,
            filters: Vec::new(),
            failed: false,
            logs: Logs::default(),
            reports: Reports::new(Duration::from_secs(arguments.interval)),
            files: Files::of(
                arguments
                    .filter
                    .config()
                    .map(Into::into)
                    .into_iter()
                    .collect(),
            ),
        };
        care.attach(arguments.filter.confirm, arguments.filter.force)?;
        Ok(care)
    }

    /// Reads everything and attaches the filters, or replaces those that there are. Whatever the error, what was in force
    /// before is in force after.
    fn attach(&mut self, trial: Option<Duration>, force: bool) -> anyhow::Result<()> {
        let Arguments {
            filter,
            log_packets,
            ..
        } = self.arguments;
        let resolved = filter.resolve()?;
        let attached =
            attach::attach(filter, &resolved, *log_packets, trial, force, &self.filters)?;
        let before = std::mem::replace(&mut self.filters, attached);
        for filter in &self.filters {
            say(attach::announcement(filter, &resolved));
        }
        for filter in before {
            let index = filter.interface.index;
            if self
                .filters
                .iter()
                .all(|other| other.interface.index != index)
            {
                // The configuration names it no more.
                self.detach(filter);
            }
        }
        if *log_packets {
            match Logs::of(&mut self.filters) {
                Ok(logs) => self.logs = logs,
                // The filters are in force all the same.
                Err(error) => warn(describe(&error)),
            }
        }
        self.files.are(resolved.files);
        Ok(())
    }

    /// Reads everything anew because of SIGHUP, unless that is the tail of a request that was taken up already: a policy on
    /// trial becomes permanent only if somebody says so.
    fn reload_on_signal(&mut self) {
        let asked: Vec<_> = self.filters.iter().filter_map(Filter::asked).collect();
        if asked.is_empty() && self.is_on_trial() {
            warn(
                "a policy is on trial, so SIGHUP reloads nothing; `geodrop confirm` keeps it, `geodrop reload` puts another \
                 one in its place",
            );
            return;
        }
        self.reload(asked);
    }

    /// Whether a policy is on trial.
    fn is_on_trial(&self) -> bool {
        // One that cannot be read is none that could become permanent.
        let mut filters = self.filters.iter();
        filters.any(|filter| filter.is_on_trial().unwrap_or_default())
    }

    /// Reads everything anew, tells whoever asked for it, and keeps a failure for `status`.
    fn reload(&mut self, asked: Vec<Asked>) {
        // Before they are read: what changes from here on is reason for another reload.
        self.files.renew();
        let trial = asked.iter().filter_map(|asked| asked.trial).max();
        let force = self.arguments.filter.force || asked.iter().any(|asked| asked.force);
        if let Err(error) = self.attach(trial, force) {
            let why = describe(&error);
            warn(format_args!(
                "the reload failed, and what was in force stays: {why}"
            ));
            for filter in &self.filters {
                if let Err(error) = filter.note_failure(&why) {
                    warn(format_args!("{}: {error}", filter.interface.name));
                }
            }
        }
        for asked in asked {
            asked.answer();
        }
    }

    /// Prints counters and the packets' log until something is to be done, or no filter is left. A filter that somebody
    /// else took away is told of and left out from then on.
    async fn watch(&mut self, signals: &mut Signals) -> anyhow::Result<Event> {
        let mut tick = interval(WATCH);
        let mut drain = interval(DRAIN);
        let mut poll = interval(POLL);
        while !self.filters.is_empty() {
            tokio::select! {
                caught = signals.next() => {
                    self.logs.flush();
                    return Ok(match caught {
                        Caught::End => Event::End,
                        Caught::Reload => Event::Hangup,
                    });
                }
                _ = tick.tick() => self.look(),
                _ = drain.tick(), if !self.logs.is_empty() => self.logs.flush(),
                _ = poll.tick(), if self.arguments.watch => {
                    // Not during a trial: what comes after it would be permanent.
                    if self.files.have_changed() && !self.is_on_trial() {
                        return Ok(Event::Change);
                    }
                }
            }
        }
        self.logs.flush();
        Ok(Event::End)
    }

    /// Looks after trials, leaves out filters that are not in place any more, and prints a report if one is due. What cannot be read is
    /// told of, and no reason to end a filter.
    fn look(&mut self) {
        let before = self.filters.len();
        self.filters.retain(|filter| {
            let name = &filter.interface.name;
            match filter.settle() {
                Ok(None) => {}
                Ok(Some(Ended::Restored(number))) => warn(format_args!(
                    "{name}: nobody confirmed the policy in time; the filter before, generation {number}, is in force again"
                )),
                Ok(Some(Ended::Detached)) => {
                    warn(format_args!(
                        "{name}: nobody confirmed the policy in time; the filter is detached, as before"
                    ));
                    return false;
                }
                Err(error) => warn(format_args!("{name}: {error}")),
            }
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
        self.failed |= self.filters.len() < before;
        if !self.reports.due() {
            return;
        }
        for filter in &self.filters {
            let name = &filter.interface.name;
            match filter.generation.counters() {
                Ok(counters) => say(format_args!("{name}: {}", report(&counters))),
                Err(error) => warn(format_args!("{name}: {error}")),
            }
        }
    }

    /// Takes the filters off, unless they are to stay.
    fn end(mut self) -> ExitCode {
        for filter in std::mem::take(&mut self.filters) {
            if self.arguments.keep {
                let name = &filter.interface.name;
                say(format_args!(
                    "{name}: the filter stays; `geodrop detach -i {name}` removes it"
                ));
            } else {
                self.detach(filter);
            }
        }
        if self.failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    fn detach(&mut self, filter: Filter) {
        let name = filter.interface.name.clone();
        match filter.detach() {
            Ok(true) => say(format_args!("{name}: detached")),
            Ok(false) => warn(taken_away(&name)),
            Err(error) => {
                warn(format_args!("{name}: {error}"));
                self.failed = true;
            }
        }
    }
}

fn taken_away(name: &str) -> String {
    format!(
        "the filter on {name} was taken away by somebody else (`geodrop detach`, a removed pin, or the interface is \
         gone); this process looks after it no more"
    )
}

/// Ticks that do not catch up after a pause.
fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
