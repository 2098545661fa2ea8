//! Runs commands that may take long, or hang: with a limit, a log and a sign of life.
//!
//! Each command leads a process group of its own, so that at the limit, or on Ctrl-C, everything that it started
//! ends with it. The terminal's Ctrl-C then reaches only us: while a command runs we take the signal and pass the
//! end on, at any other time it does what it always does.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::{Child, ExitStatus, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

use crate::command::Invocation;

/// How long a process group has to end by itself when it is told to.
const GRACE: Duration = Duration::from_secs(5);

/// How often to look whether a command has ended.
const POLL: Duration = Duration::from_millis(50);

/// Why commands did not do what they should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The person, or whoever started us, wants an end.
    #[error("interrupted")]
    Interrupted,
    /// It took too long, and was ended.
    #[error("`{command}` was ended after {} s, its time limit", .limit.as_secs())]
    TimedOut {
        /// The command.
        command: String,
        /// The limit of all commands together.
        limit: Duration,
    },
    /// A command failed.
    #[error("`{command}` failed ({status})")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A command could not be run.
    #[error("cannot run `{command}`: {error}")]
    Start {
        /// The command.
        command: String,
        /// What went wrong.
        error: io::Error,
    },
    /// The log could not be written.
    #[error("cannot write the log {path}: {error}")]
    Log {
        /// Its path.
        path: String,
        /// What went wrong.
        error: io::Error,
    },
}

/// Runs commands one after another, within a limit for all of them, their output in `log`.
pub(crate) fn run(
    title: &str,
    commands: &[Invocation],
    limit: Duration,
    log: &Path,
) -> Result<(), Stop> {
    let log_error = |error| Stop::Log {
        path: log.display().to_string(),
        error,
    };
    log.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .map_err(log_error)?;
    let mut file = File::create(log).map_err(log_error)?;
    let progress = Progress::start(title, limit);
    let _signals = Signals::take();
    for command in commands {
        writeln!(file, "$ {command}").map_err(log_error)?;
        let output = || file.try_clone().map(Stdio::from).map_err(log_error);
        match run_one(command, output()?, output()?, &progress) {
            Ok(()) => {}
            Err(Stop::Failed { .. } | Stop::Start { .. }) if command.is_optional() => {}
            Err(stop) => {
                progress.end("failed");
                return Err(stop);
            }
        }
    }
    progress.end("done");
    Ok(())
}

fn run_one(
    command: &Invocation,
    stdout: Stdio,
    stderr: Stdio,
    progress: &Progress,
) -> Result<(), Stop> {
    use std::os::unix::process::CommandExt as _;
    let start_error = |error| Stop::Start {
        command: command.to_string(),
        error,
    };
    let mut child = command
        .command()
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .spawn()
        .map_err(start_error)?;
    loop {
        match child.try_wait().map_err(start_error)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                return Err(Stop::Failed {
                    command: command.to_string(),
                    status,
                });
            }
            None => {}
        }
        if Signals::caught() {
            end(&mut child);
            return Err(Stop::Interrupted);
        }
        if progress.is_over() {
            end(&mut child);
            return Err(Stop::TimedOut {
                command: command.to_string(),
                limit: progress.limit,
            });
        }
        progress.show();
        thread::sleep(POLL);
    }
}

/// Ends a command and all that it started. One that is not ours to kill, or does not die, is left alone: waiting
/// for it could last for ever.
fn end(child: &mut Child) {
    let group = Pid::from_child(child);
    for signal in [Signal::TERM, Signal::KILL] {
        // It may be gone already.
        let _ = kill_process_group(group, signal);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(child.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(POLL);
        }
    }
}

/// A line that says what runs and for how long: rewritten on a terminal, repeated now and then in a log.
struct Progress<'a> {
    title: &'a str,
    limit: Duration,
    started: Instant,
    shown: std::cell::Cell<u64>,
    terminal: bool,
}

impl<'a> Progress<'a> {
    /// In a log, one line so many seconds.
    const PACE: u64 = 60;

    fn start(title: &'a str, limit: Duration) -> Self {
        let terminal = io::stderr().is_terminal();
        if !terminal {
            eprintln!("  {title} …");
        }
        Self {
            title,
            limit,
            started: Instant::now(),
            shown: 0.into(),
            terminal,
        }
    }

    fn is_over(&self) -> bool {
        self.started.elapsed() > self.limit
    }

    fn show(&self) {
        let seconds = self.started.elapsed().as_secs();
        if seconds < self.shown.get() + if self.terminal { 1 } else { Self::PACE } {
            return;
        }
        self.shown.set(seconds);
        let Self { title, limit, .. } = self;
        let line = format!("  {title} … {seconds} s (at most {} s)", limit.as_secs());
        if self.terminal {
            eprint!("\r{line}");
        } else {
            eprintln!("{line}");
        }
    }

    fn end(&self, how: &str) {
        let seconds = self.started.elapsed().as_secs();
        // On a terminal over the line that counts, and over its longer end.
        let (before, after) = if self.terminal {
            ("\r", " ".repeat(24))
        } else {
            ("", String::new())
        };
        eprintln!("{before}  {}: {how}, {seconds} s{after}", self.title);
    }
}

/// While one of these lives, signals that ask us to end are noted and do nothing else.
struct Signals;

/// Whether a command runs that has to be ended first.
static QUIET: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));
static CAUGHT: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| {
    let caught = Arc::default();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Both fail for signals that cannot be caught; then they end us, as without this.
        let _ = flag::register_conditional_default(signal, Arc::clone(&QUIET));
        let _ = flag::register(signal, Arc::clone(&caught));
    }
    caught
});

impl Signals {
    fn take() -> Self {
        CAUGHT.store(false, Ordering::SeqCst);
        QUIET.store(false, Ordering::SeqCst);
        Self
    }

    fn caught() -> bool {
        CAUGHT.load(Ordering::SeqCst)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        QUIET.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation::new("sh", ["-c", script])
    }

    #[test]
    fn runs_all_and_keeps_what_they_say() {
        let scratch = tempfile::tempdir().unwrap();
        let log = scratch.path().join("deep/log");
        let commands = [shell("echo one; exit 3").may_fail(), shell("echo two >&2")];
        run("test", &commands, Duration::from_secs(30), &log).unwrap();
        assert_eq!(
            fs::read_to_string(log).unwrap(),
            "$ sh -c 'echo one; exit 3'\none\n$ sh -c 'echo two >&2'\ntwo\n"
        );
    }

    #[test]
    fn a_failure_names_the_command() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let stop = run(
            "test",
            &[shell("exit 3")],
            Duration::from_secs(30),
            log.path(),
        )
        .unwrap_err();
        assert_eq!(stop.to_string(), "`sh -c 'exit 3'` failed (exit status: 3)");
        let missing = [Invocation::new("no-such-program-here", [""; 0])];
        let stop = run("test", &missing, Duration::from_secs(30), log.path()).unwrap_err();
        assert!(matches!(stop, Stop::Start { .. }), "{stop}");
    }

    #[test]
    fn the_limit_ends_the_whole_process_group() {
        let scratch = tempfile::tempdir().unwrap();
        let (log, pid) = (scratch.path().join("log"), scratch.path().join("pid"));
        let command = shell(&format!("sleep 60 & echo $! >{}; wait", pid.display()));
        let started = Instant::now();
        let stop = run("test", &[command], Duration::from_secs(1), &log).unwrap_err();
        assert!(matches!(stop, Stop::TimedOut { .. }), "{stop}");
        assert!(started.elapsed() < Duration::from_secs(30));
        // The grandchild is gone, or a zombie that nobody has reaped yet.
        let grandchild = fs::read_to_string(pid).unwrap();
        let state =
            fs::read_to_string(format!("/proc/{}/stat", grandchild.trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }
}
