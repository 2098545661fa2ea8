//! A trial that is under way when a run starts.
//!
//! Whoever looked after it has died, and most likely a service manager has started this one. What it reads is what is on
//! trial, and nobody has said yet that it is to stay. So the run waits, and changes nothing, until that is decided.

use std::process::ExitCode;

use geodrop::datapath::abandoned::{Abandoned, Outcome};

use super::{Arguments, care::TAKEN_AWAY, events::Event, service, service::Manager};
use crate::cli::warn;

/// Waits until all trials are decided whose process has died. Returns the exit status if the run is to end then, instead of
/// putting its policy in force.
pub(super) fn wait(
    arguments: &Arguments,
    manager: &mut Manager,
    mut next: impl FnMut() -> Event,
) -> anyhow::Result<Option<ExitCode>> {
    let options = &arguments.filter;
    // On trial itself, its policy may take the place of another one on trial as soon as that is over, as ever.
    if options.confirm.is_some() {
        return Ok(None);
    }
    let mut open = Abandoned::all(&options.pins.root())?;
    if open.is_empty() {
        return Ok(None);
    }
    // Trials of interfaces that this run is not about are none of its business.
    let resolved = options.resolve_for_now()?;
    open.retain(|one| resolved.names().any(|name| *name == one.interface.name));
    drop(resolved);
    loop {
        let mut undecided = Vec::new();
        for one in open {
            let name = &one.interface.name;
            match one.outcome()? {
                Outcome::Open => undecided.push(one),
                Outcome::Kept => {}
                Outcome::Dropped => {
                    warn(format_args!(
                        "{name}: the process that had a policy on trial died, and nobody confirmed it. What is in force \
                         stays, and this run puts nothing in its place: what it would is perhaps that policy. Start it again \
                         for that"
                    ));
                    return Ok(Some(ExitCode::from(TAKEN_AWAY)));
                }
            }
        }
        if undecided.is_empty() {
            return Ok(None);
        }
        open = undecided;
        let names: Vec<_> = open.iter().map(|one| one.interface.name.as_str()).collect();
        let waiting = format!("waiting for the end of the trial on {}", names.join(", "));
        if manager.is_new(&waiting) {
            warn(format_args!(
                "{waiting}, since the process that began it died; `geodrop confirm` keeps what is tried"
            ));
            manager.ready(waiting);
        }
        loop {
            match next() {
                Event::End => return Ok(Some(ExitCode::SUCCESS)),
                Event::Alive => service::alive(),
                Event::Look => break,
                Event::Hangup => warn("a policy is on trial, so SIGHUP reloads nothing"),
                Event::Interfaces | Event::Clock | Event::Log | Event::Files => {}
            }
        }
    }
}
