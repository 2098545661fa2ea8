//! `geodrop demo`, on the running kernel. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What a test waits for at most: far more than it takes.
const PATIENCE: Duration = Duration::from_mins(1);

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
    command.arg("demo").args(arguments);
    command
}

/// The report of a demo that succeeds.
fn report(arguments: &[&str]) -> Value {
    let Output {
        status,
        stdout,
        stderr,
    } = demo(arguments).arg("--json").output().unwrap();
    assert!(
        status.success(),
        "kernel tests need root; the demo said: {}",
        String::from_utf8_lossy(&stderr)
    );
    serde_json::from_slice(&stdout).unwrap()
}

/// The group of a country.
fn group<'a>(report: &'a Value, country: &str) -> &'a Value {
    let groups = report["groups"].as_array().unwrap();
    groups
        .iter()
        .find(|group| group["country"] == country)
        .unwrap()
}

#[test]
fn blocked_countries_are_dropped_and_all_else_is_delivered() {
    let report = report(&[]);
    assert_eq!(report["failures"], Value::Array(Vec::new()));
    for group in report["groups"].as_array().unwrap() {
        let country = group["country"].as_str().unwrap_or_default();
        let (all, none) = if ["CN", "HK", "MO"].contains(&country) {
            ("dropped", "delivered")
        } else {
            ("delivered", "dropped")
        };
        assert!(group["sent"].as_u64().unwrap() >= 40, "{group}");
        assert_eq!(
            (&group[all], &group[none]),
            (&group["sent"], &Value::from(0)),
            "{group}"
        );
    }
    for country in ["CN", "HK", "MO"] {
        let counted = &report["counters"][country]["packets"];
        assert_eq!(counted, &group(&report, country)["dropped"]);
    }
    let bursts = report["bursts"].as_array().unwrap();
    let families: Vec<_> = bursts.iter().map(|burst| &burst["family"]).collect();
    if report["burst_skipped"].is_null() {
        assert_eq!(families, ["IPv4", "IPv6"]);
    }
    for burst in bursts {
        assert_eq!(burst["passed"], 0);
        assert!(burst["dropped"].as_u64().unwrap() > 0, "{burst}");
    }
}

#[test]
fn other_policies_can_be_tried() {
    let report = report(&[
        "--only",
        "US,DE",
        "--allow",
        "1.0.1.0/24",
        "--deny",
        "8.8.8.0/24",
        "2001:db8::/32",
    ]);
    assert_eq!(report["failures"], Value::Array(Vec::new()));
    assert_eq!(group(&report, "DE")["dropped"], 0);
    assert_eq!(group(&report, "JP")["delivered"], 0);
    // At least both ends of two prefixes, a UDP and a TCP packet each.
    assert!(report["denied"].as_u64().unwrap() >= 8);
}

#[test]
fn people_are_told_what_they_see() {
    let Output { stdout, stderr, .. } = demo(&[]).output().unwrap();
    let text = String::from_utf8(stdout).unwrap();
    for words in [
        "blocking China (CN), Hong Kong (HK), Macao (MO)",
        "packets met the fate that `geodrop lookup` says, and each was counted",
        "geodrop lookup 1.0.1.1",
        "sudo geodrop run -i eth0 --monitor",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert!(
        !text.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
    assert_eq!(String::from_utf8_lossy(&stderr), "");
}

#[test]
fn data_that_cannot_be_read_is_an_error() {
    let output = demo(&["--geoip", "/nonexistent/world.csv"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("/nonexistent/world.csv"), "{error}");
}

#[test]
fn nothing_is_left_after_ctrl_c() {
    let (child, programs) = under_way();
    let output = end(child, Signal::INT);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(error, "geodrop: interrupted; nothing is left behind\n");
    await_unloaded(&programs);
}

#[test]
fn nothing_is_left_after_a_kill() {
    let (child, programs) = under_way();
    let output = end(child, Signal::KILL);
    assert_eq!(output.status.signal(), Some(Signal::KILL.as_raw()));
    await_unloaded(&programs);
}

/// A demo whose filter is attached, and the ids of the programs that it has loaded.
fn under_way() -> (Child, BTreeSet<u32>) {
    let child = demo(&[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while held(&child, "link_id:").is_empty() {
        assert!(Instant::now() < deadline, "no filter was attached");
        thread::sleep(Duration::from_millis(1));
    }
    let programs = held(&child, "prog_id:");
    assert!(!programs.is_empty());
    (child, programs)
}

/// The ids of BPF objects that a process has open.
fn held(child: &Child, kind: &str) -> BTreeSet<u32> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fdinfo", child.id())) else {
        return BTreeSet::new();
    };
    descriptors
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
        .filter_map(|text| {
            let id = text.lines().find_map(|line| line.strip_prefix(kind))?;
            id.trim().parse().ok()
        })
        .collect()
}

fn end(child: Child, signal: Signal) -> Output {
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap()
}

/// Waits until the kernel has none of these programs any more. It frees them in the background.
fn await_unloaded(programs: &BTreeSet<u32>) {
    let deadline = Instant::now() + PATIENCE;
    while aya::programs::loaded_programs().any(|program| {
        // One that goes away while it is looked at is an error.
        program.is_ok_and(|program| programs.contains(&program.id()))
    }) {
        assert!(
            Instant::now() < deadline,
            "a program is still loaded: {programs:?}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}
