//! `geodrop status`: what runs, and what it has counted.

mod report;
mod screen;

#[cfg(feature = "metrics")]
use std::io::Write as _;
use std::{io, process::ExitCode};

use clap::Args;
#[cfg(feature = "metrics")]
use geodrop::metrics::{Snapshot, text};
use geodrop::{datapath::status::Status, warnings};
use jiff::Timestamp;

use self::report::Report;
use super::PinOptions;

/// Show what is filtered, since when, by which policy and data, how much was dropped, and what is wrong
///
/// Exit status 0 says that it was told, whatever it is. For monitoring, --check fails unless there is a filter and nothing is
/// wrong: there are no warnings.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop status
  sudo geodrop status --json | jq '.interfaces[].counters'
  sudo geodrop status --check >/dev/null     exit status 0 while filters are on and nothing is wrong
  sudo geodrop status --ready >/dev/null     exit status 0 while a `geodrop run` looks after a filter")]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Print metrics for Prometheus, as `geodrop run --metrics` serves them: for filters that stand alone
    #[cfg(feature = "metrics")]
    #[arg(long, conflicts_with = "json")]
    metrics: bool,

    #[command(flatten)]
    demands: Demands,

    #[command(flatten)]
    pins: PinOptions,
}

/// What has to be so for the exit status to be 0.
#[derive(Debug, Args)]
struct Demands {
    /// Fail unless there is a filter and nothing is wrong: for monitoring
    #[arg(long)]
    check: bool,

    /// Fail unless a process looks after a filter: for probes, which ask whether `geodrop run` is at work
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let status = Status::read(&arguments.pins.root())?;
    let now = Timestamp::now();
    let warnings = warnings::all(&status, now);
    let is_ready = status.running.iter().any(|one| one.owner.is_some());
    let is_fine = !status.running.is_empty() && warnings.is_empty();
    write(arguments, status, warnings, now)?;
    let Demands { check, ready } = arguments.demands;
    let is_as_asked = (is_ready || !ready) && (is_fine || !check);
    Ok(if is_as_asked {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn write(
    arguments: &Arguments,
    status: Status,
    warnings: Vec<String>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    #[cfg(feature = "metrics")]
    if arguments.metrics {
        let snapshot = Snapshot {
            status,
            warnings: warnings.len(),
            now,
            work: None,
        };
        let text = text::write(snapshot, text::Format::Prometheus)?;
        output.write_all(text.as_bytes())?;
        return Ok(());
    }
    if arguments.json {
        super::json::write(&mut output, &Report::new(status, warnings, now))?;
    } else {
        screen::write(&mut output, &status, &warnings, now)?;
    }
    Ok(())
}
