//! `geodrop status`: since when there is a filter, and whether anything is wrong.

use std::{fs, thread, time::Duration};

use super::{
    host::{BLOCKED, Host},
    policy::File,
};

/// A policy of data that says no day, and so grows no older.
struct Policy {
    _data: tempfile::TempDir,
    file: File,
}

impl Policy {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("data.csv");
        fs::write(&path, "1.0.0.0,1.0.255.255,CN\n8.8.8.0,8.8.8.255,US\n").unwrap();
        let content = format!(
            "block = [\"CN\"]\n[geoip]\nsources = [\"{}\"]\n",
            path.display()
        );
        Self {
            _data: data,
            file: File::new(&content),
        }
    }

    fn attach(&self, host: &Host) {
        host.succeed(&["attach", "-i", "server", "--config", self.file.path()]);
    }
}

/// What `status --check` warns of, where it has to fail.
fn what_is_wrong(host: &Host) -> Vec<String> {
    host.fail(1, &["status", "--check"]);
    let warnings = host.status()["warnings"].clone();
    serde_json::from_value(warnings).unwrap()
}

#[test]
fn it_says_since_when_there_is_a_filter_and_this_generation_of_it() {
    let host = Host::new();
    let policy = Policy::new();
    policy.attach(&host);
    let first = host.filter();
    assert_eq!(first["attached"], first["since"]);
    thread::sleep(Duration::from_millis(10));
    policy.attach(&host);
    let second = host.filter();
    assert_eq!(second["attached"], first["attached"]);
    assert_ne!(second["since"], first["since"]);
    let said = host.succeed(&["status"]);
    assert!(said.contains("; generation 2 for "), "{said}");
    assert!(said.ends_with("nothing is wrong\n"), "{said}");
    host.succeed(&["detach", "-i", "server"]);
    policy.attach(&host);
    assert_ne!(host.filter()["attached"], first["attached"]);
}

#[test]
fn monitoring_is_told_by_the_exit_status_whether_anything_is_wrong() {
    let host = Host::new();
    assert_eq!(what_is_wrong(&host), Vec::<String>::new());
    let policy = Policy::new();
    policy.attach(&host);
    host.succeed(&["status", "--check"]);
    // The answer itself is the same.
    host.succeed(&["status", "--check", "--json"]);
    host.succeed(&["detach", "--all"]);

    let config = ["--config", policy.file.path()];
    let mut run = host.run(&[&config[..], &["--keep"]].concat());
    host.succeed(&["status", "--check", "--ready"]);
    policy.file.write("block = [\"UK\"]\n");
    host.fail(1, &["reload"]);
    let [warning] = what_is_wrong(&host).try_into().unwrap();
    assert!(warning.starts_with("server: the last reload failed at "));
    run.kill();
    assert!(!host.admits(BLOCKED));
    let [failed, alone] = what_is_wrong(&host).try_into().unwrap();
    assert_eq!(failed, warning);
    assert!(alone.contains("`geodrop run` that looked after the filter has ended"));
    assert!(alone.contains(&format!("`geodrop attach --config {}`", policy.file.path())));

    Policy::new().attach(&host);
    host.succeed(&["status", "--check"]);
    host.fail(1, &["status", "--check", "--ready"]);
}

#[test]
fn what_nobody_confirmed_is_wrong() {
    let host = Host::new();
    let policy = Policy::new();
    let arguments = ["attach", "-i", "server", "--config", policy.file.path()];
    host.succeed(&[&arguments[..], &["--confirm", "1s"]].concat());
    host.succeed(&["status", "--check"]);
    thread::sleep(Duration::from_millis(1_100));
    let [warning] = what_is_wrong(&host).try_into().unwrap();
    assert!(warning.contains("it filters nothing any more"), "{warning}");
}
