//! Where messages go, and which ones are told. A run that fails before it needs root tells one.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use assert_cmd::Command;
use predicates::{
    prelude::*,
    str::{contains, is_empty, starts_with},
};
use serde_json::Value;

/// `geodrop run` of a configuration that is not there.
fn run(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
    command
        .args(["run", "--config", "/nowhere/policy.toml"])
        .args(arguments)
        .env_remove("GEODROP_LOG")
        .env_remove("JOURNAL_STREAM");
    command
}

#[test]
fn messages_are_lines_for_people_unless_somebody_wants_json() {
    for arguments in [&[] as &[&str], &["--log", "text"], &["--log", "auto"]] {
        run(arguments)
            .assert()
            .code(2)
            .stderr(starts_with("geodrop: ").and(contains("/nowhere/policy.toml")))
            .stdout(is_empty());
    }
    let output = run(&["--log", "json"]).assert().code(2).stdout(is_empty());
    let message: Value = serde_json::from_slice(&output.get_output().stderr).unwrap();
    assert_eq!(message["level"], "ERROR");
    let text = message["message"].as_str().unwrap();
    assert!(text.contains("/nowhere/policy.toml"), "{text}");
    let time: Result<jiff::Timestamp, _> = message["timestamp"].as_str().unwrap().parse();
    assert!(time.is_ok(), "{message}");
}

#[test]
fn a_journal_that_standard_error_does_not_go_to_is_left_alone() {
    run(&[])
        .env("JOURNAL_STREAM", "1:2")
        .assert()
        .code(2)
        .stderr(starts_with("geodrop: "));
}

#[test]
fn the_environment_says_what_is_told() {
    run(&[])
        .env("GEODROP_LOG", "off")
        .assert()
        .code(2)
        .stderr(is_empty());
    run(&[])
        .env("GEODROP_LOG", "geodrop=loud")
        .assert()
        .code(2)
        .stderr(contains("GEODROP_LOG=geodrop=loud").and(contains("geodrop=debug,aya=warn")));
}
