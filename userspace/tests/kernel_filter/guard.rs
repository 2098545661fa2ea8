//! The lock-out guard: a policy that would cut the host off is not put in force.

use std::{fs, process::Command};

use super::{
    host::{BLOCKED, Host},
    policy::{AMERICA, CHINA, File},
};

/// A host in China: its default gateway, and with it its own address, are there.
fn in_china() -> Host {
    let host = Host::new();
    for line in [
        "addr add 1.0.1.2/24 dev server",
        "route add default via 1.0.1.1 dev server",
    ] {
        let status = host
            .veth
            .server
            .run(|| Command::new("ip").args(line.split(' ')).status())
            .unwrap()
            .unwrap();
        assert!(status.success(), "ip {line}");
    }
    host
}

#[test]
fn a_policy_that_cuts_off_the_gateway_is_refused_and_nothing_changes() {
    let host = in_china();
    let (status, said) = host.guarded(&["attach", "-i", "server"]);
    assert_eq!(status, Some(1), "{said}");
    for words in [
        "the default gateway of server: 1.0.1.1 in China (CN)",
        "this host's own address on server: 1.0.1.2 in China (CN)",
        "allow = [\"1.0.1.1/32\"]",
        "--force overrides this",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(host.admits(BLOCKED));
    host.assert_free();

    // What is in force stays.
    host.succeed(&["attach", "-i", "server", "--only", "CN"]);
    let before = host.attached();
    assert_eq!(host.guarded(&["attach", "-i", "server"]).0, Some(1));
    assert_eq!(host.attached(), before);
    assert!(host.admits(BLOCKED));
}

#[test]
fn what_admits_them_monitors_or_is_forced_is_put_in_force() {
    let host = in_china();
    for more in [&["--allow", "1.0.1.0/30"] as &[&str], &["--monitor"]] {
        let arguments = [&["attach", "-i", "server"], more].concat();
        assert_eq!(host.guarded(&arguments), (Some(0), String::new()));
        host.succeed(&["detach", "--all"]);
    }
    let (status, said) = host.guarded(&["attach", "-i", "server", "--force"]);
    assert_eq!(status, Some(0));
    assert!(
        said.contains(
            "warning: this cuts off the default gateway of server: 1.0.1.1 in China (CN)"
        ),
        "{said}"
    );
    assert!(!host.admits(BLOCKED));
}

#[test]
fn no_exception_cuts_off_the_gateway() {
    let host = in_china();
    host.succeed(&["attach", "-i", "server", "--block", "US"]);
    let (status, said) = host.guarded(&["deny", "10.0.0.1", "1.0.1.1"]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("the default gateway of server: 1.0.1.1\nnothing was changed"),
        "{said}"
    );
    assert_eq!(host.filter()["exceptions"], serde_json::json!([]));
    host.succeed(&["deny", "10.0.0.1"]);
    host.succeed(&["deny", "1.0.1.1", "--force"]);
    assert!(!host.admits(BLOCKED));
}

#[test]
fn a_reload_is_guarded_too() {
    let host = in_china();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "block = [\"US\"]\nreplies = \"drop\"\n").unwrap();
    let config = file.path().to_str().unwrap();
    let _run = host.run_guarded(&["-i", "server", "--config", config]);
    fs::write(file.path(), "block = [\"CN\"]\nreplies = \"drop\"\n").unwrap();
    let (status, said) = host.guarded(&["reload"]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("what was in force stays") && said.contains("the default gateway of server"),
        "{said}"
    );
    assert!(host.admits(BLOCKED));
    let (status, said) = host.guarded(&["reload", "--force"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!host.admits(BLOCKED));
}

#[test]
fn a_session_that_the_process_cannot_see_is_guarded_for_who_asks_for_a_reload() {
    let host = Host::new();
    host.ip(&["addr", "add", "192.0.2.1/24", "dev", "server"]);
    host.ip(&["route", "add", "1.0.1.0/24", "dev", "server"]);
    let file = File::new(AMERICA);
    let _run = host.run_guarded(&["-i", "server", "--config", file.path()]);
    file.write(CHINA);
    let reload = |session: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command.args(["reload", "--pin-root"]).arg(&host.pins);
        command.envs(session.map(|session| ("SSH_CONNECTION", session)));
        let output = host.veth.server.run(|| command.output()).unwrap().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let (status, said) = reload(Some("1.0.1.7 50000 192.0.2.1 22"));
    assert_eq!(status, Some(1));
    assert!(said.contains("your session"), "{said}");
    assert!(said.contains("at tcp/22: 1.0.1.7 in China (CN)"), "{said}");
    assert!(host.admits(BLOCKED));
    let (status, said) = reload(None);
    assert_eq!(status, Some(0), "{said}");
    assert!(!host.admits(BLOCKED));
}
