//! How far a run has come, and whether it is to go on.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// Ctrl-C was pressed, or the process was told to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted; nothing is left behind")
    }
}

impl std::error::Error for Interrupted {}

/// A run in so many steps.
#[derive(Debug)]
pub(super) struct Progress {
    /// Drawn on standard error, and only where that is a terminal. Only when a step begins: a thread that draws would
    /// take time from what is measured.
    bar: ProgressBar,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn new(steps: usize) -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The second one ends the process at once.
            flag::register_conditional_shutdown(
                signal,
                super::INTERRUPTED.into(),
                Arc::clone(&interrupted),
            )
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .context("catching Ctrl-C")?;
        }
        let bar = ProgressBar::new(u64::try_from(steps)?);
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
        Ok(Self { bar, interrupted })
    }

    /// Begins a step: the one before it is done.
    pub(super) fn begin(&self, what: impl Into<String>) -> Result<(), Interrupted> {
        self.go_on()?;
        self.bar.set_message(what.into());
        self.bar.tick();
        Ok(())
    }

    /// Whether a step may go on.
    pub(super) fn go_on(&self) -> Result<(), Interrupted> {
        if self.interrupted.load(Ordering::Relaxed) {
            self.bar.finish_and_clear();
            return Err(Interrupted);
        }
        Ok(())
    }

    /// Ends a step.
    pub(super) fn end(&self) {
        self.bar.inc(1);
    }

    /// What an error means: of a call that Ctrl-C ended, that it was pressed.
    pub(super) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        self.bar.finish_and_clear();
        if self.interrupted.load(Ordering::Relaxed) {
            Interrupted.into()
        } else {
            error
        }
    }

    /// Ends the run.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
