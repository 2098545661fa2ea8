//! What Ctrl-C leaves of a run: what was measured until then. Needs root.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use geodrop_bench::document::Document;
use rustix::{
    fs::{Mode, OFlags},
    pipe::{PipeFlags, fcntl_getpipe_size, pipe_with},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use tempfile::TempDir;

/// What ends a process that Ctrl-C was pressed for, as shells report it.
const INTERRUPTED: Option<i32> = Some(130);

/// A run under way, and what it shows on the terminal that it believes to have.
struct Run {
    child: Child,
    shown: BufReader<File>,
}

impl Run {
    fn begin(arguments: &[&str], output: Stdio) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let other = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_geodrop-bench"))
            .args(arguments)
            .stdout(output)
            .stderr(other)
            .spawn()
            .unwrap();
        Self {
            child,
            shown: BufReader::new(File::from(terminal)),
        }
    }

    /// Waits until a step is shown, which ends with this word: those before it are done.
    fn wait_for(&mut self, step: &str) {
        let mut shown = String::new();
        while !shown.contains(step) {
            let mut bytes = Vec::new();
            self.shown.read_until(b';', &mut bytes).unwrap();
            shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Presses Ctrl-C, and waits until the process has heard of it.
    fn interrupt(&self) {
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::INT).unwrap();
        let path = format!("/proc/{}/status", process.as_raw_nonzero());
        let is_pending = || {
            let status = fs::read_to_string(&path).unwrap();
            let field = status.lines().find(|line| line.starts_with("ShdPnd:"));
            let pending = field.unwrap().split_whitespace().nth(1).unwrap();
            u64::from_str_radix(pending, 16).unwrap() & (1 << (Signal::INT.as_raw() - 1)) != 0
        };
        while is_pending() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The first packet has a report, and the second, which was under way, has none.
#[test]
fn what_was_measured_until_ctrl_c_is_reported() {
    let directory = TempDir::new().unwrap();
    let [page, text] = ["page.html", "text.md"].map(|name| directory.path().join(name));
    let files = [page.to_str().unwrap(), text.to_str().unwrap()];
    let arguments = [
        "program",
        "--quick",
        "--json",
        "--html",
        files[0],
        "--markdown",
        files[1],
    ];
    let mut run = Run::begin(&arguments, Stdio::piped());
    run.wait_for("ipv4 reply, UDP;");
    run.interrupt();
    let mut output = String::new();
    run.child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .unwrap();
    assert_eq!(run.child.wait().unwrap().code(), INTERRUPTED);

    let document = Document::parse(&output).unwrap();
    assert!(document.interrupted);
    let report = document.program.unwrap();
    assert!(report.paths.iter().all(|row| row.packet == "blocked, UDP"));
    assert!(
        report
            .paths
            .iter()
            .any(|row| row.setting == "addresses only")
    );
    assert!(report.floods.is_empty());
    for file in [page, text] {
        let report = fs::read_to_string(file).unwrap();
        assert!(
            report.contains("Interrupted") && report.contains("blocked, UDP"),
            "{report}"
        );
        assert!(!report.contains("A packet of a flood"), "{report}");
    }
}

/// Nobody reads the report here, so the process would wait for ever to write it.
#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let (unread, full) = full_pipe();
    let mut run = Run::begin(&["program", "--quick", "--json"], full.into());
    run.wait_for("loading filters;");
    run.interrupt();
    run.interrupt();
    assert_eq!(run.child.wait().unwrap().code(), INTERRUPTED);
    drop(unread);
}

/// A pipe that takes nothing more.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let size = fcntl_getpipe_size(&write).unwrap();
    let mut write = File::from(write);
    write.write_all(&vec![b' '; size]).unwrap();
    (read, write.into())
}
