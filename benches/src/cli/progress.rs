//! How far a run has come, and whether it is to go on.

use std::{
    cell::Cell,
    fmt::{self, Display},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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

impl Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted; the report is of what was measured until then, and nothing is left behind")
    }
}

impl std::error::Error for Interrupted {}

/// A run, step by step.
#[derive(Debug)]
pub(super) struct Progress {
    /// Drawn on standard error, and only where that is a terminal. Only when a step begins: a thread that draws would
    /// take time from what is measured.
    bar: ProgressBar,
    /// How long all steps are expected to take, those that are done, and the one under way.
    all: Duration,
    done: Cell<Duration>,
    step: Cell<Duration>,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    /// A run that is expected to take so long.
    pub(super) fn new(expected: Duration) -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The second one ends the process at once, and with it the namespaces and all that is in them.
            flag::register_conditional_shutdown(
                signal,
                super::INTERRUPTED.into(),
                Arc::clone(&interrupted),
            )
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .context("catching Ctrl-C")?;
        }
        let bar = ProgressBar::new(expected.as_secs());
        bar.set_style(ProgressStyle::with_template("{bar:30} {msg}")?);
        Ok(Self {
            bar,
            all: expected,
            done: Cell::default(),
            step: Cell::default(),
            interrupted,
        })
    }

    /// Begins a step that is expected to take so long: the one before it is done.
    pub(super) fn begin(&self, what: impl Display, expected: Duration) -> Result<(), Interrupted> {
        self.go_on()?;
        let done = self.done.get() + self.step.replace(expected);
        self.done.set(done);
        let left = left(self.all.saturating_sub(done));
        self.bar.set_position(done.as_secs());
        self.bar.set_message(format!("{what}; some {left} left"));
        self.bar.tick();
        Ok(())
    }

    /// Whether a step may go on.
    pub(super) fn go_on(&self) -> Result<(), Interrupted> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Interrupted);
        }
        Ok(())
    }

    /// What an error means: of a call that Ctrl-C ended, that it was pressed.
    pub(super) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
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

/// So many times as long.
pub(super) fn times(time: Duration, count: usize) -> Duration {
    time * u32::try_from(count).unwrap_or(u32::MAX)
}

/// A time as people tell it.
fn left(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..100 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_minutes_or_seconds() {
        let texts = [0, 99, 100, 2400].map(|seconds| left(Duration::from_secs(seconds)));
        assert_eq!(texts, ["0 s", "99 s", "2 min", "40 min"]);
    }
}
