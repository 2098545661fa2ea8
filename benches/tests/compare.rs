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
    write(
        directory,
        name,
        &Document {
            program: Some(Report {
                paths: vec![row(over)],
                ..Report::default()
            }),
            ..Document::default()
        },
    )
}

fn row(over: f64) -> Row {
    Row {
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
    }
}

fn write(directory: &TempDir, name: &str, document: &Document) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, serde_json::to_string(document).unwrap()).unwrap();
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

#[test]
fn of_a_run_that_was_interrupted_what_it_has_is_compared() {
    let directory = TempDir::new().unwrap();
    let interrupted = |name, paths| {
        let document = Document {
            interrupted: true,
            program: Some(Report {
                paths,
                ..Report::default()
            }),
            ..Document::default()
        };
        write(&directory, name, &document)
    };
    let whole = run_of(&directory, "whole", 40.0);
    let part = interrupted("part", vec![row(60.0)]);
    compare()
        .args([&whole, &part])
        .assert()
        .code(1)
        .stdout(contains("the second run was interrupted").and(contains("1 worse")));
    let nothing = interrupted("nothing", Vec::new());
    compare()
        .args([&whole, &nothing])
        .assert()
        .code(2)
        .stderr(contains("no figure in common"));
}

/// Runs from before there were such fields have none of them.
#[test]
fn older_runs_of_the_same_schema_are_read() {
    let directory = TempDir::new().unwrap();
    let run = run_of(&directory, "run", 40.0);
    let mut old: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&run).unwrap()).unwrap();
    let fields = old.as_object_mut().unwrap();
    assert!(fields.remove("interrupted").is_some());
    let path = directory.path().join("older.json");
    fs::write(&path, old.to_string()).unwrap();
    compare()
        .args([&path, &run])
        .assert()
        .code(0)
        .stdout(contains("1 the same"));
}
