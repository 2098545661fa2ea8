//! `geodrop run`: filter in the foreground.

mod abandoned;
mod care;
mod events;
mod files;
mod interfaces;
mod kernel_log;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "run/no_metrics.rs"]
mod metrics;
mod report;
mod service;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use self::{
    care::Care,
    events::{Event, Events},
    service::Manager,
};
use super::{log, options::FilterOptions, warn};

/// Filter in the foreground, until Ctrl-C
///
/// Prints what was dropped at an interval. Ctrl-C, SIGTERM or the end of the terminal ends it and takes the filter
/// off: so a policy that locks its admin out ends with the session. Should the process die otherwise, the filter
/// stays; the next `run` takes it over without a packet going by unfiltered.
///
/// An interface that goes away and comes back is filtered again, and so is one that the configuration names and that
/// appears later.
///
/// Run by systemd with Type=notify, it tells when filters are in force, when it reloads, and that it is alive.
///
/// With --config, SIGHUP (and `geodrop reload`, which waits for the outcome) reads everything anew and replaces the
/// filter in one step. Where that fails, what was in force stays in force. Without --config, SIGHUP ends the run.
///
/// Started again after it died during a trial, it waits until that is decided, and puts nothing in force that nobody
/// confirmed.
///
/// Exit status 3: a filter is off because somebody else took it away, or because nobody confirmed it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop run -i eth0 --monitor         count what would be dropped, and drop nothing
  sudo geodrop run -i eth0 --block CN,HK,MO
  sudo geodrop run --config policy.toml --monitor
  sudo geodrop run --config policy.toml --watch --metrics
  sudo geodrop run --config policy.toml --log json --verbose
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

    #[command(flatten)]
    metrics: metrics::Options,

    /// Log the verdict on every packet: for debugging, and slow
    #[arg(long, hide_short_help = true)]
    log_packets: bool,

    #[command(flatten)]
    pub(super) log: log::LogOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    // Before the filter is attached: a signal that comes meanwhile must not leave it behind, and no interface may appear
    // unseen.
    let mut events = runtime.block_on(async { Events::new(arguments) })?;

    let mut manager = Manager::default();
    let next = || runtime.block_on(events.next(false));
    if let Some(status) = abandoned::wait(arguments, &mut manager, next)? {
        return Ok(status);
    }
    let mut care = Care::of(arguments)?;
    manager.ready(care.summary());
    care.note_interfaces();
    while care.goes_on() {
        // What is done about an event asks the kernel things that take event loops of their own.
        match runtime.block_on(events.next(care.logs_packets())) {
            Event::End => break,
            Event::Hangup => {
                service::reloading();
                care.reload_on_signal();
                manager.ready(care.summary());
            }
            Event::Interfaces => care.look_for_interfaces(),
            Event::Clock => care.follow_clock(),
            Event::Look => {
                care.look();
                log::tell_repeats(false);
            }
            Event::Log => care.print_log(),
            Event::Files => care.reload_if_files_changed(),
            Event::Alive => service::alive(),
        }
        manager.status(care.summary());
        care.note_interfaces();
    }
    service::stopping();
    Ok(care.end())
}
