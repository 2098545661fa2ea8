//! `geodrop-bench compare` as scripts call it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{fs, path::PathBuf};

use assert_cmd::Command;
use geodrop_bench::{
    document::Document,
    program::{Report, Row},
};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use tempfile::TempDir;

/// A run in which a packet cost so much more than the reference.
fn run_of(directory: &TempDir, name: &str, over: f64) -> PathBuf {
    let row = Row {
        family: "ipv4".to_owned(),
        packet: "blocked, UDP".to_owned(),
        setting: "ports".to_owned(),
        perfmon: true,
        passes: false,
        ns: 30.0 + over,
        interval: [30.0 + over; 2],
        over_reference_ns: over,
        over_reference_interval: [over - 1.0, over + 1.0],
        over_addresses_ns: over,
        over_addresses_interval: [over; 2],
        rounds: 9,
    };
    let document = Document {
        program: Some(Report {
            paths: vec![row],
            ..Report::default()
        }),
        ..Document::default()
    };
    let path = directory.path().join(name);
    fs::write(&path, serde_json::to_string(&document).unwrap()).unwrap();
    path
}

fn compare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop-bench"));
    command.arg("compare");
    command
}

#[test]
fn what_got_worse_fails_and_what_got_better_does_not() {
    let directory = TempDir::new().unwrap();
    let (slow, fast) = (
        run_of(&directory, "slow", 60.0),
        run_of(&directory, "fast", 40.0),
    );
    let result = compare().args([&fast, &slow]).assert();
    result
        .code(1)
        .stdout(contains("worse  program: ipv4, blocked, UDP, ports: 40.00"));
    let result = compare().args([&slow, &fast]).assert();
    result.code(0).stdout(contains("better program"));
    let result = compare().args([&slow, &fast]).arg("--json").assert();
    result.code(0).stdout(contains("\"direction\": \"better\""));
}

#[test]
fn a_threshold_bounds_what_counts() {
    let directory = TempDir::new().unwrap();
    let (slow, fast) = (
        run_of(&directory, "slow", 60.0),
        run_of(&directory, "fast", 40.0),
    );
    let compared = compare()
        .args([&fast, &slow])
        .args(["--threshold", "60"])
        .assert();
    compared
        .code(0)
        .stdout(contains("0 worse, 0 better, 1 the same"));
}

#[test]
fn what_is_no_run_is_told_by_name() {
    let directory = TempDir::new().unwrap();
    let run = run_of(&directory, "run", 40.0);
    let old = directory.path().join("old.json");
    fs::write(&old, r#"{"rows": []}"#).unwrap();
    let result = compare().args([&run, &old]).assert();
    result
        .code(2)
        .stderr(contains("old.json").and(contains("schema 1")));
    let none = directory.path().join("none.json");
    compare()
        .args([&run, &none])
        .assert()
        .code(2)
        .stderr(contains("none.json"));
}
