//! `geodrop run` as a service: the unit's own command line, with the unit's capabilities, and this test as the manager.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    host::{BLOCKED, Host, OTHER, Run},
    policy::{AMERICA, CHINA, File},
};
use rustix::process::Signal;

fn packaging(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(file)
}

/// The values that the unit gives to a key.
pub(crate) fn unit(key: &str) -> Vec<String> {
    let unit = fs::read_to_string(packaging("geodrop.service")).unwrap();
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let words = line.unwrap_or_else(|| panic!("the unit has no {key}"));
    words.split_whitespace().map(str::to_owned).collect()
}

/// What the manager is told.
struct Told {
    socket: UnixDatagram,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Told {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let patience = Some(Duration::from_secs(20));
        socket.set_read_timeout(patience).unwrap();
        Self {
            socket,
            path,
            _directory: directory,
        }
    }

    /// The next message that has this line, and all of its lines.
    fn until(&self, line: &str) -> Vec<String> {
        let mut buffer = [0; 4096];
        loop {
            let length = self
                .socket
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("waiting for {line}: {error}"));
            let message = std::str::from_utf8(&buffer[..length]).unwrap();
            let lines: Vec<_> = message.lines().map(str::to_owned).collect();
            if lines.iter().any(|one| one == line) {
                return lines;
            }
        }
    }
}

/// What runs a program with the unit's capabilities alone, as words that go before it.
pub(crate) fn bounded() -> Vec<String> {
    let capabilities: Vec<_> = unit("CapabilityBoundingSet")
        .iter()
        .map(|name| format!("+{}", name.strip_prefix("CAP_").unwrap().to_lowercase()))
        .collect();
    let bounds = format!("-all,{}", capabilities.join(","));
    let words = [
        "setpriv",
        "--no-new-privs",
        "--bounding-set",
        &bounds,
        "--inh-caps",
        &bounds,
    ];
    words.map(str::to_owned).into()
}

/// Starts what the unit starts.
fn start(host: &Host, policy: &File, told: &Told) -> Run {
    let mut line = unit("ExecStart").into_iter();
    assert_eq!(line.next().as_deref(), Some("/usr/bin/geodrop"));
    let arguments = line.map(|word| match word.as_str() {
        "/etc/geodrop/policy.toml" => policy.path().to_owned(),
        _ => word,
    });
    let bounded = bounded();
    let mut command = Command::new(&bounded[0]);
    command
        .args(&bounded[1..])
        .arg(env!("CARGO_BIN_EXE_geodrop"))
        .args(arguments)
        .arg("--pin-root")
        .arg(&host.pins)
        // Whose session the tests run in is to make no difference.
        .arg("--force")
        .env("NOTIFY_SOCKET", &told.path)
        .env("WATCHDOG_USEC", "400000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    host.spawn(command)
}

#[test]
fn the_manager_is_told_when_filters_are_in_force_and_of_reloads() {
    let host = Host::new();
    let policy = File::new(&format!("interfaces = [\"server\"]\n{CHINA}"));
    let told = Told::new();
    let mut run = start(&host, &policy, &told);
    let lines = told.until("READY=1");
    assert!(host.attached().is_some());
    assert!(
        lines.contains(&"STATUS=filtering server".to_owned()),
        "{lines:?}"
    );
    assert!(!host.admits(BLOCKED));
    told.until("WATCHDOG=1");
    told.until("WATCHDOG=1");

    policy.write(&format!("interfaces = [\"server\"]\n{AMERICA}"));
    assert_eq!(host.succeed(&["reload"]), "server: reloaded\n");
    let lines = told.until("RELOADING=1");
    let time = lines
        .iter()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(time.unwrap().parse::<u64>().unwrap() > 0);
    told.until("READY=1");
    assert!(!host.admits(OTHER));

    // Also one that fails is over.
    policy.write("block = [\"UK\"]\n");
    run.signal(Signal::HUP);
    told.until("RELOADING=1");
    told.until("READY=1");

    // As the unit says, the filter stays.
    run.signal(Signal::TERM);
    told.until("STOPPING=1");
    assert_eq!(run.wait().0, Some(0));
    assert!(!host.admits(OTHER));
}

#[test]
fn the_manager_is_told_of_interfaces_that_are_waited_for() {
    let mut host = Host::new();
    let policy = File::new(&format!("interfaces = [\"server\", \"lo\"]\n{CHINA}"));
    let told = Told::new();
    host.unplug();
    let _run = start(&host, &policy, &told);
    let lines = told.until("READY=1");
    let expected = "STATUS=filtering lo; waiting for server".to_owned();
    assert!(lines.contains(&expected), "{lines:?}");
    host.plug_in();
    told.until("STATUS=filtering lo, server");
    assert!(!host.admits(BLOCKED));
}

#[test]
fn a_probe_is_told_whether_a_process_looks_after_a_filter() {
    let host = Host::new();
    host.fail(1, &["status", "--ready"]);
    let mut run = host.run(&["--keep"]);
    host.succeed(&["status", "--ready"]);
    run.kill();
    assert!(!host.admits(BLOCKED));
    host.fail(1, &["status", "--ready"]);
}

#[test]
fn the_example_policy_is_in_order_and_drops_nothing() {
    let host = Host::new();
    let policy = packaging("policy.toml");
    let config = ["--config", policy.to_str().unwrap()];
    let said = host.bare(&["check", config[0], config[1]]);
    assert!(said.contains("nothing is dropped"), "{said}");
    host.succeed(&["attach", "-i", "server", config[0], config[1]]);
    assert!(host.admits(BLOCKED));
    assert_eq!(host.filter()["enforcing"], false);
}

#[test]
fn what_somebody_took_off_and_what_is_wrong_are_not_started_again() {
    let prevented = unit("RestartPreventExitStatus");
    assert!(prevented.contains(&"2".to_owned()));
    let host = Host::new();
    let policy = File::new(&format!("interfaces = [\"server\"]\n{CHINA}"));
    let told = Told::new();
    for without_geodrop in [false, true] {
        let mut run = start(&host, &policy, &told);
        told.until("READY=1");
        if without_geodrop {
            fs::remove_dir_all(&host.pins).unwrap();
        } else {
            host.succeed(&["detach", "--all"]);
        }
        let (status, said) = run.wait();
        let status = status.unwrap().to_string();
        assert!(prevented.contains(&status), "{status}: {said}");
        assert_ne!(status, "2");
    }
    host.await_no_program();
    policy.write("block = [\"UK\"]\n");
    assert_eq!(start(&host, &policy, &told).wait().0, Some(2));
    host.assert_free();
}
