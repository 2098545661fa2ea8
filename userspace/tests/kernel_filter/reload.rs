//! A filter that is made anew while a process looks after it.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{
    host::{BLOCKED, Host, OTHER, Run, assert_eventually},
    policy::{AMERICA, CHINA, File},
};
use rustix::process::Signal;

const BROKEN: &str = "block = [\"UK\"]\n";

fn start(host: &Host, file: &File, more: &[&str]) -> Run {
    host.run(&[&["--config", file.path()], more].concat())
}

#[test]
fn a_reload_puts_the_new_policy_in_force_and_counters_go_on() {
    let host = Host::new();
    let file = File::new(CHINA);
    let mut run = start(&host, &file, &[]);
    assert!(!host.admits(BLOCKED));
    let before = host.attached().unwrap().program;

    file.write(AMERICA);
    assert_eq!(host.succeed(&["reload"]), "server: reloaded\n");
    assert!(host.admits(BLOCKED));
    assert!(!host.admits(OTHER));
    assert_ne!(host.attached().unwrap().program, before);
    let filter = host.filter();
    assert_eq!(filter["generation"], 2);
    assert_eq!(filter["counters"]["CN"]["packets"], 1);
    assert_eq!(
        filter["owner"].as_str().unwrap(),
        format!("process {} (geodrop)", run.id())
    );
    assert_eq!(filter["config"], file.path());

    run.signal(Signal::INT);
    assert_eq!(run.wait(), (Some(0), String::new()));
    host.assert_free();
}

#[test]
fn a_reload_that_fails_leaves_the_old_policy_in_force_and_says_why() {
    let host = Host::new();
    let file = File::new(CHINA);
    let mut run = start(&host, &file, &[]);
    let before = host.attached();

    file.write(BROKEN);
    let said = host.fail(1, &["reload", "-i", "server"]);
    assert!(
        said.contains("what was in force stays") && said.contains("GB"),
        "{said}"
    );
    assert_eq!(host.attached(), before);
    assert!(!host.admits(BLOCKED));
    let failure = &host.filter()["reload_failure"];
    assert!(failure["at"].is_string(), "{failure}");
    assert!(failure["why"].as_str().unwrap().contains("GB"), "{failure}");
    assert!(
        host.succeed(&["status"]).contains("last reload failed at "),
        "{failure}"
    );

    file.write(AMERICA);
    host.succeed(&["reload"]);
    assert_eq!(host.filter()["reload_failure"], serde_json::Value::Null);
    assert!(!host.admits(OTHER));
    run.signal(Signal::TERM);
    let (status, said) = run.wait();
    assert_eq!(status, Some(0));
    assert!(said.contains("the reload failed"), "{said}");
    host.assert_free();
}

#[test]
fn exceptions_survive_a_reload() {
    let host = Host::new();
    let file = File::new(CHINA);
    let _run = start(&host, &file, &[]);
    host.succeed(&["allow", BLOCKED]);
    host.succeed(&["reload"]);
    assert!(host.admits(BLOCKED));
    assert!(!host.admits("1.0.1.2"));
}

#[test]
fn a_reload_goes_with_what_the_configuration_says_of_interfaces() {
    let host = Host::new();
    let file = File::new(&format!("interfaces = [\"server\"]\n{CHINA}"));
    let config = ["--config", file.path()];
    let mut run = host.run_with(&config);
    file.write(&format!("interfaces = [\"server\", \"lo\"]\n{CHINA}"));
    host.succeed(&["reload"]);
    assert_eq!(host.status()["interfaces"].as_array().unwrap().len(), 2);
    file.write(&format!("interfaces = [\"server\"]\n{CHINA}"));
    let said = host.succeed(&["reload"]);
    assert_eq!(said, "lo: reloaded\nserver: reloaded\n");
    assert_eq!(host.filter()["name"], "server");
    run.signal(Signal::INT);
    assert_eq!(run.wait().0, Some(0));
    host.assert_free();
}

#[test]
fn a_run_that_watches_its_files_reloads_by_itself() {
    let host = Host::new();
    let list = tempfile::NamedTempFile::new().unwrap();
    let policy = format!("{CHINA}deny = [\"file:{}\"]\n", list.path().display());
    let file = File::new(&policy);
    let _run = start(&host, &file, &["--watch"]);
    assert!(host.admits(OTHER));
    fs::write(list.path(), format!("{OTHER}\n")).unwrap();
    assert!(
        (0..10).any(|_| {
            thread::sleep(Duration::from_secs(1));
            !host.admits(OTHER)
        }),
        "the list was not read anew"
    );
    assert_eq!(host.filter()["generation"], 2);
}

#[test]
fn a_run_that_watches_its_files_learns_of_those_that_a_failed_reload_names() {
    let host = Host::new();
    let file = File::new(CHINA);
    let run = start(&host, &file, &["--watch"]);
    let list = tempfile::NamedTempFile::new().unwrap();
    fs::write(list.path(), "1.2.3\n").unwrap();
    file.write(&format!(
        "{CHINA}deny = [\"file:{}\"]\n",
        list.path().display()
    ));
    assert_eventually(|| !host.filter()["reload_failure"].is_null());
    assert!(host.admits(OTHER));
    // Nobody touches the configuration.
    fs::write(list.path(), format!("{OTHER}\n")).unwrap();
    assert_eventually(|| !host.admits(OTHER));
    drop(run);
}

#[test]
fn sighup_makes_no_trial_permanent_and_reloads_otherwise() {
    let host = Host::new();
    let file = File::new(CHINA);
    let mut run = start(&host, &file, &["--confirm", "5m"]);
    file.write(AMERICA);
    run.signal(Signal::HUP);
    thread::sleep(Duration::from_millis(700));
    assert_eq!(host.filter()["generation"], 1);
    assert!(!host.admits(BLOCKED));

    host.succeed(&["confirm"]);
    run.signal(Signal::HUP);
    assert_eventually(|| !host.admits(OTHER));
    // Somebody says so.
    file.write(CHINA);
    host.succeed(&["reload", "--confirm", "5m"]);
    file.write(AMERICA);
    host.succeed(&["reload"]);
    assert_eq!(host.filter()["trial"], serde_json::Value::Null);
    assert!(!host.admits(OTHER));
    run.signal(Signal::INT);
    let (status, said) = run.wait();
    assert_eq!(status, Some(0));
    assert!(said.contains("SIGHUP reloads nothing"), "{said}");
    host.assert_free();
}

#[test]
fn a_run_ends_with_its_terminal_although_it_could_reload() {
    let host = Host::new();
    let file = File::new(CHINA);
    let line = format!(
        "exec {} run -i server --force --config {} --pin-root {}",
        env!("CARGO_BIN_EXE_geodrop"),
        file.path(),
        host.pins.display()
    );
    // It gives the command a terminal of its own.
    let mut terminal = host
        .veth
        .server
        .run(|| {
            Command::new("script")
                .args(["-qc", &line, "/dev/null"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
        })
        .unwrap()
        .unwrap();
    assert_eventually(|| host.attached().is_some());
    assert!(!host.admits(BLOCKED));
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    host.await_no_program();
    assert!(host.admits(BLOCKED));
}

#[test]
fn whom_nobody_looks_after_nobody_reloads() {
    let host = Host::new();
    let said = host.fail(1, &["reload"]);
    assert!(said.contains("no filter is attached"), "{said}");
    host.succeed(&["attach", "-i", "server"]);
    for arguments in [&["reload"] as &[&str], &["reload", "-i", "server"]] {
        let said = host.fail(1, arguments);
        assert!(
            said.contains("`geodrop attach -i server --config FILE` puts a new one in its place"),
            "{said}"
        );
    }
    host.succeed(&["detach", "--all"]);
    let mut run = host.run(&[]);
    let said = host.fail(1, &["reload"]);
    assert!(said.contains("was started without --config"), "{said}");
    assert!(!host.admits(BLOCKED));
    run.signal(Signal::INT);
    assert_eq!(run.wait().0, Some(0));
    host.assert_free();
}
