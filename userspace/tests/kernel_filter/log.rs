//! Where a run tells what happens.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use super::host::{BLOCKED, Host, assert_eventually};

/// What is told in JSON, message by message.
fn messages(log: &str) -> Vec<Value> {
    let lines = log.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

/// What an entry for the journal says, by its native protocol: `NAME=value`, or the name, how long the value is, and the value.
fn fields(mut entry: &[u8]) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut fields = BTreeMap::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            fields.insert(text(&line[..equals]), text(&line[equals + 1..]));
            entry = rest;
        } else {
            let (length, rest) = rest.split_first_chunk().unwrap();
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
            fields.insert(text(line), text(&rest[..length]));
            // The line's end.
            entry = &rest[length + 1..];
        }
    }
    fields
}

#[test]
fn in_json_all_that_a_run_says_is_a_message() {
    let host = Host::new();
    let arguments = [
        "run",
        "-i",
        "server",
        "--log",
        "json",
        "--verbose",
        "--log-packets",
    ];
    let mut run = host.start(&arguments);
    host.await_filter();
    assert!(!host.admits(BLOCKED));
    run.signal(Signal::INT);
    let (status, log) = run.wait();
    assert_eq!(status, Some(0), "{log}");
    let messages = messages(&log);
    let told = |level: &str, text: &str| {
        messages.iter().any(|message| {
            message["level"] == level && message["message"].as_str().unwrap().contains(text)
        })
    };
    assert!(told("INFO", "server: "), "{log}");
    assert!(told("INFO", "server: detached"), "{log}");
    assert!(told("DEBUG", "the policy is in force"), "{log}");
    // What the kernel program logged comes the same way.
    assert!(told("DEBUG", "drop"), "{log}");
}

#[test]
fn the_journal_gets_messages_with_their_levels() {
    let host = Host::new();
    let directory = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(directory.path().join("socket")).unwrap();
    journal
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // In a mount namespace of its own it is where the journal would be.
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind \"$1\" /run/systemd/journal && \
                  shift && exec \"$@\"";
    let start = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(directory.path())
            .arg(env!("CARGO_BIN_EXE_geodrop"))
            .args(arguments)
            .arg("--pin-root")
            .arg(&host.pins)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        host.spawn(command)
    };
    let entry = || {
        let mut entry = vec![0; 1 << 16];
        let mut length = 0;
        // An empty one asks whether the journal is there.
        while length == 0 {
            length = journal.recv(&mut entry).unwrap();
        }
        fields(&entry[..length])
    };
    let arguments = ["run", "-i", "server", "--force", "--log", "journald"];
    let mut run = start(&arguments);
    let told = entry();
    // Informational, by syslog(3).
    assert_eq!(told["PRIORITY"], "6");
    assert_eq!(told["SYSLOG_IDENTIFIER"], "geodrop");
    assert!(told["MESSAGE"].starts_with("server: blocking"), "{told:?}");
    host.succeed(&["detach", "--all"]);
    let (status, error) = run.wait();
    assert_eq!((status, error.as_str()), (Some(3), ""));
    let told = entry();
    // A warning.
    assert_eq!(told["PRIORITY"], "4");
    assert!(told["MESSAGE"].contains("taken away"), "{told:?}");

    fs::remove_file(directory.path().join("socket")).unwrap();
    let mut run = start(&arguments);
    let (status, error) = run.wait();
    assert_eq!(status, Some(1));
    assert!(error.contains("`--log text` needs none"), "{error}");
}

#[test]
fn what_goes_wrong_again_and_again_is_told_once_with_its_count() {
    let host = Host::new();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("policy.toml");
    fs::write(&config, "interfaces = [\"server\"]\nblock = [\"CN\"]\n").unwrap();
    let path = config.to_str().unwrap();
    let mut run = host.run_with(&["--config", path]);
    fs::write(&config, "blokc = [\"CN\"]\n").unwrap();
    for _ in 0..3 {
        let failed = || host.filter()["reload_failure"]["at"].clone();
        let before = failed();
        run.signal(Signal::HUP);
        assert_eventually(|| failed() != before);
    }
    run.signal(Signal::INT);
    let (status, said) = run.wait();
    assert_eq!(status, Some(0), "{said}");
    let lines: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("geodrop: the reload failed"))
        .collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(said.contains(" (2 more times)"), "{said}");
}
