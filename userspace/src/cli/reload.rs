//! `geodrop reload`: let those who look after filters read their policies anew.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use geodrop::datapath::{
    reload::{Request, Runner, Session},
    status,
};

use super::{PinOptions, guard, options, say, time, warn};

/// Let a running `geodrop run --config` read its policy anew
///
/// Asks the process that looks after a filter to read its configuration and GeoIP data anew, as SIGHUP does, and waits for
/// what comes of it. The new filter takes the old one's place in one step, and the counters go on. Where a reload
/// fails, the old filter stays in force on all interfaces, the reason is told here and by `geodrop status`, and the exit
/// status is 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop check --config policy.toml && sudo geodrop reload
  sudo geodrop reload -i eth0")]
pub(super) struct Arguments {
    /// Reload the filters of these interfaces, and what belongs to the same process [default: all]
    #[arg(short, long, value_name = "IFACE", value_delimiter = ',', num_args = 1..)]
    interface: Vec<String>,

    /// Try the policy: unless `geodrop confirm` comes in this time (like 60s), what was in force before is again, even if
    /// everything that could undo it has died
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    confirm: Option<Duration>,

    /// Put the policy in force even if it cuts off this session, a default gateway, a name server or the host's own
    /// addresses
    #[arg(long)]
    force: bool,

    /// How long to wait for the outcome
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time::parse)]
    timeout: Duration,

    #[command(flatten)]
    pins: PinOptions,
}

/// How often to look for an answer.
const POLL: Duration = Duration::from_millis(20);

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runners = runners(arguments)?;
    let request = Request {
        trial: arguments.confirm,
        force: arguments.force,
        sessions: sessions(&runners, arguments.force)?,
    };
    let asking = Asking::of(runners, &request)?;
    let deadline = Instant::now() + arguments.timeout;
    let on_trial = arguments.confirm.map_or_else(String::new, |time| {
        format!(
            "; on trial for {}: `geodrop confirm` keeps it",
            time::text(time)
        )
    });
    let mut failed = false;
    for runner in &asking.runners {
        let name = &runner.interface.name;
        match outcome(runner, deadline) {
            Ok(()) => say(format_args!("{name}: reloaded{on_trial}")),
            Err(error) => {
                warn(format_args!("{name}: {}", super::describe(&error)));
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

/// The processes to ask. Of interfaces that were not asked for by name, those without one are left alone, as long as
/// one has one.
fn runners(arguments: &Arguments) -> anyhow::Result<Vec<Runner>> {
    let root = arguments.pins.root();
    if !arguments.interface.is_empty() {
        let interfaces = options::interfaces(&arguments.interface)?;
        let runners = interfaces
            .iter()
            .map(|interface| Runner::of(&root, interface));
        return Ok(runners.collect::<Result<_, _>>()?);
    }
    let interfaces = status::filtered(&root)?;
    let (mut runners, mut errors) = (Vec::new(), Vec::new());
    for interface in &interfaces {
        match Runner::of(&root, interface) {
            Ok(runner) => runners.push(runner),
            Err(error) => errors.push(error),
        }
    }
    if runners.is_empty() {
        return Err(match errors.into_iter().next() {
            Some(error) => error.into(),
            None => anyhow::anyhow!(
                "no filter is attached; `geodrop run --config FILE` attaches one and looks after it"
            ),
        });
    }
    for error in errors {
        warn(error);
    }
    Ok(runners)
}

/// The sessions that the new policy must not cut off: those who look after filters may not see them.
fn sessions(runners: &[Runner], force: bool) -> anyhow::Result<Vec<Session>> {
    let interfaces: Vec<_> = runners
        .iter()
        .map(|runner| runner.interface.clone())
        .collect();
    match guard::sessions(&interfaces) {
        Err(error) if force => {
            warn(super::describe(&error));
            Ok(Vec::new())
        }
        sessions => sessions,
    }
}

/// Waits for what comes of a reload.
fn outcome(runner: &Runner, deadline: Instant) -> anyhow::Result<()> {
    let process = runner.process;
    while !runner.has_answered() {
        // Asked once more: who takes a filter off has answered, and lets go of it.
        if !runner.lives() && !runner.has_answered() {
            anyhow::bail!(
                "process {process} ended before it answered; `geodrop status` shows what is in force"
            );
        }
        if Instant::now() >= deadline {
            anyhow::bail!(
                "process {process} has not answered yet; it may still reload: `geodrop status` shows what is in force"
            );
        }
        thread::sleep(POLL);
    }
    match runner.failure()? {
        Some(failure) => anyhow::bail!(
            "the reload failed, and what was in force stays: {}",
            failure.why
        ),
        None => Ok(()),
    }
}

/// What is asked for. A process that knows of it may take it up at any time: it stays, and nobody makes a trial permanent
/// that was to be one. What nobody will take up goes.
struct Asking {
    runners: Vec<Runner>,
    signalled: Vec<u32>,
}

impl Asking {
    /// Leaves all requests, and then lets the processes know, each once.
    fn of(runners: Vec<Runner>, request: &Request) -> anyhow::Result<Self> {
        let mut asking = Self {
            runners,
            signalled: Vec::new(),
        };
        for runner in &asking.runners {
            runner.ask(request)?;
        }
        for runner in &asking.runners {
            if !asking.signalled.contains(&runner.process) {
                runner.signal()?;
                asking.signalled.push(runner.process);
            }
        }
        Ok(asking)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        for runner in &self.runners {
            if !self.signalled.contains(&runner.process) || !runner.lives() {
                runner.withdraw();
            }
        }
    }
}
