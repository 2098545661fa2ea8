//! The signals that a verb minds which goes on until it is ended.

use std::io::{IsTerminal as _, stderr, stdin, stdout};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is to be done about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caught {
    End,
    Reload,
}

/// Ctrl-C, what service managers send, and SIGHUP: from a terminal that is closed or lost it ends the run, so that a
/// policy that locks its admin out ends with the session; from anybody else it asks for a reload, if there is something
/// to read anew.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    reloads: bool,
    began_on_terminal: bool,
}

impl Signals {
    /// Catches them. To be called in an event loop.
    pub(super) fn new(reloads: bool) -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("catching signals");
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hangup: catch(SignalKind::hangup())?,
            reloads,
            began_on_terminal: is_on_terminal(),
        })
    }

    /// Waits for one.
    pub(super) async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.interrupt.recv() => Caught::End,
            _ = self.terminate.recv() => Caught::End,
            _ = self.hangup.recv() => self.on_hangup(),
        }
    }

    fn on_hangup(&self) -> Caught {
        let terminal_is_lost = self.began_on_terminal && !is_on_terminal();
        if self.reloads && !terminal_is_lost {
            Caught::Reload
        } else {
            Caught::End
        }
    }
}

/// Whether a terminal is there. One that was hung up is none any more.
fn is_on_terminal() -> bool {
    stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal()
}
