//! Trials whose process dies, and is started again as a service manager would.

use std::{thread, time::Duration};

use super::{
    host::{BLOCKED, Host, OTHER, Run},
    policy::{AMERICA, CHINA, File},
};
use rustix::process::Signal;

/// What a run says that waits.
const WAITS: &str = "waiting for the end of the trial on server";

/// A host that blocks China, where blocking America is on trial, and whose run is dead.
fn abandoned(time: &str) -> (Host, File) {
    let host = Host::new();
    let file = File::new(CHINA);
    let mut run = host.run(&["--config", file.path()]);
    file.write(AMERICA);
    host.succeed(&["reload", "--confirm", time]);
    run.kill();
    (host, file)
}

/// Starts the run again.
fn again(host: &Host, file: &File) -> Run {
    host.run_until(WAITS, &["-i", "server", "--config", file.path(), "--keep"])
}

fn assert_blocks(host: &Host, blocked: &str, admitted: &str) {
    assert!(!host.admits(blocked));
    assert!(host.admits(admitted));
}

#[test]
fn nobody_confirms_it_and_what_was_before_stays() {
    let (host, file) = abandoned("4s");
    let mut run = again(&host, &file);
    // Nothing that could make it permanent.
    run.signal(Signal::HUP);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(host.filter()["trial"]["before"], 1);
    assert_blocks(&host, OTHER, BLOCKED);

    let (status, said) = run.wait();
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("SIGHUP reloads nothing"), "{said}");
    assert!(said.contains("nobody confirmed it"), "{said}");
    assert_blocks(&host, BLOCKED, OTHER);
    assert_eq!(host.filter()["generation"], 1);
    assert_eq!(host.filter()["trial"], serde_json::Value::Null);

    // Somebody wants it all the same.
    let _run = host.run(&["--config", file.path()]);
    assert_blocks(&host, OTHER, BLOCKED);
}

#[test]
fn somebody_confirms_it_and_the_run_goes_on() {
    let (host, file) = abandoned("5m");
    let mut run = again(&host, &file);
    host.succeed(&["confirm"]);
    let line = run.line();
    assert!(line.starts_with("server: blocking United States"), "{line}");
    assert_blocks(&host, OTHER, BLOCKED);
    file.write(CHINA);
    assert_eq!(host.succeed(&["reload"]), "server: reloaded\n");
    assert_blocks(&host, BLOCKED, OTHER);
    run.signal(Signal::TERM);
    assert_eq!(run.wait().0, Some(0));
}

#[test]
fn its_time_is_over_before_the_run_is_started_again() {
    let (host, file) = abandoned("1s");
    thread::sleep(Duration::from_millis(1_100));
    let arguments = ["run", "-i", "server", "--config", file.path()];
    let said = host.fail(3, &arguments);
    assert!(said.contains("nobody confirmed it"), "{said}");
    assert_blocks(&host, BLOCKED, OTHER);
    assert_eq!(host.filter()["generation"], 1);
}

#[test]
fn something_else_takes_its_place() {
    let (host, file) = abandoned("5m");
    let mut run = again(&host, &file);
    host.succeed(&["attach", "-i", "server", "--block", "HK"]);
    assert_eq!(run.wait().0, Some(3));
    assert!(host.admits(BLOCKED) && host.admits(OTHER));
    assert_eq!(host.filter()["blocked"], serde_json::json!(["HK"]));

    let (host, file) = abandoned("5m");
    let mut run = again(&host, &file);
    host.succeed(&["detach", "--all"]);
    assert_eq!(run.wait().0, Some(3));
    host.assert_free();
}

#[test]
fn a_run_that_waits_ends_when_it_is_told_to_and_changes_nothing() {
    let (host, file) = abandoned("5m");
    let mut run = again(&host, &file);
    run.signal(Signal::TERM);
    assert_eq!(run.wait().0, Some(0));
    assert_eq!(host.filter()["trial"]["before"], 1);
}

#[test]
fn a_trial_that_nobody_was_to_look_after_is_not_waited_for() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--block", "US"]);
    host.succeed(&["attach", "-i", "server", "--block", "HK", "--confirm", "5m"]);
    let _run = host.run(&["--block", "CN"]);
    assert_blocks(&host, BLOCKED, OTHER);
}
