//! How a bench was called, and whether it may do what it must.

use std::{env, process::ExitCode};

/// What a bench is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Figures: `cargo bench`.
    Measure,
    /// That everything runs, once and quickly: `cargo test --benches`, `cargo bench -- --test`.
    Try,
}

impl Purpose {
    /// What this process was asked for: cargo and criterion agree on `--bench` for figures, unless there is
    /// `--test`.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::of(env::args().skip(1))
    }

    fn of(arguments: impl IntoIterator<Item = String>) -> Self {
        let (mut bench, mut test) = (false, false);
        for argument in arguments {
            bench |= argument == "--bench";
            test |= argument == "--test";
        }
        if bench && !test {
            Self::Measure
        } else {
            Self::Try
        }
    }

    /// Says, without root, that a bench needs it, and with which exit status to leave: a failure when figures
    /// were asked for, so that nobody takes silence for a result; success when it was only to be tried, so
    /// that the tests pass for those who have no root.
    #[must_use]
    pub fn refusal(self) -> Option<ExitCode> {
        if rustix::process::geteuid().is_root() {
            return None;
        }
        eprintln!(
            "nothing measured: loading programs into the kernel needs root; run `sudo -E env \"PATH=$PATH\" \
             cargo bench`"
        );
        Some(match self {
            Self::Measure => ExitCode::FAILURE,
            Self::Try => ExitCode::SUCCESS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_asked_for_by_cargo_bench_alone() {
        let purpose = |line: &str| Purpose::of(line.split_whitespace().map(str::to_owned));
        assert_eq!(purpose("--bench"), Purpose::Measure);
        assert_eq!(purpose("ipv4 --bench"), Purpose::Measure);
        assert_eq!(purpose("--test --bench"), Purpose::Try);
        assert_eq!(purpose(""), Purpose::Try);
    }
}
