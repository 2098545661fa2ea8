//! `geodrop demo`: the whole thing at work.

mod json;
mod text;

use std::{io, process::ExitCode, thread, time::Duration};

use anyhow::Context as _;
use clap::Args;
use geodrop::demo::{self, Plan, Stage, sample::Group};
use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};

use super::{options::PolicyOptions, warn};

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
    let said = arguments.policy.resolve()?;
    let settings = said.settings();
    let policy = settings.policy();
    let data = said.data()?;
    // Drawn on standard error, and only where that is a terminal.
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    leave_on_interrupt(spinner.clone())?;
    let plan = Plan {
        policy: &policy,
        data: (&data).into(),
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
        let report = json::Report::new(&outcome, &data, &failures);
        super::json::write(&mut output, &report)?;
    } else {
        text::write_report(&mut output, &outcome, &policy, &data)?;
        if failures.is_empty() {
            text::write_end(&mut output, &outcome)?;
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
        warn("interrupted; nothing is left behind");
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

/// What a group of sources is called, for people and in JSON.
fn name(group: Group) -> &'static str {
    match group {
        Group::Country(country) => country.name(),
        Group::Listed => "prefixes allowed or denied",
        Group::SpecialPurpose => "special-purpose addresses",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
