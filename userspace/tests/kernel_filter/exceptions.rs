//! What is decided for single addresses while a filter runs.

use std::{net::Ipv4Addr, thread, time::Duration};

use super::host::{BLOCKED, Host, OTHER};
use rustix::process::Signal;

#[test]
fn an_address_is_let_in_and_out_again() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    assert!(!host.admits(BLOCKED));

    let said = host.succeed(&["allow", BLOCKED]);
    assert_eq!(
        said,
        "server: 1.0.1.1 passes until the filter is detached\n"
    );
    assert!(host.admits(BLOCKED));
    assert!(!host.admits("1.0.1.2"));
    assert_eq!(
        host.filter()["exceptions"],
        serde_json::json!([{"ip": BLOCKED, "verdict": "pass", "until": null}])
    );
    assert!(
        host.succeed(&["status"])
            .contains("exceptions: 1.0.1.1 passes\n")
    );

    host.succeed(&["allow", "--remove", BLOCKED]);
    assert!(!host.admits(BLOCKED));
    assert_eq!(host.filter()["exceptions"], serde_json::json!([]));
}

#[test]
fn an_address_is_kept_out_of_both_families() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    host.succeed(&["deny", OTHER, "2001:4860:4860::8888", "-i", "server"]);
    assert!(!host.admits(OTHER));
    assert!(!host.admits("2001:4860:4860::8888"));
    assert!(host.admits("8.8.4.4"));
    assert_eq!(host.filter()["denied"], 2);

    // What is decided last holds.
    host.succeed(&["allow", OTHER]);
    assert!(host.admits(OTHER));
    let listed = host.succeed(&["deny", "--list"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let said = host.fail(1, &["deny", "--remove", OTHER]);
    assert!(
        said.contains("`geodrop allow --remove 8.8.8.8` takes that back"),
        "{said}"
    );
}

#[test]
fn it_survives_reloads_and_ends_with_the_filter() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    host.succeed(&["allow", BLOCKED]);
    host.succeed(&["attach", "-i", "server", "--block", "CN"]);
    assert!(host.admits(BLOCKED));
    assert_eq!(host.filter()["exceptions"][0]["ip"], BLOCKED);

    host.succeed(&["detach", "-i", "server"]);
    host.succeed(&["attach", "-i", "server"]);
    assert!(!host.admits(BLOCKED));
}

#[test]
fn it_ends_in_time_and_is_forgotten() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    let said = host.succeed(&["allow", BLOCKED, "--for", "2s"]);
    assert_eq!(said, "server: 1.0.1.1 passes for 2s\n");
    assert!(host.admits(BLOCKED));
    assert!(host.filter()["exceptions"][0]["until"].is_string());
    thread::sleep(Duration::from_millis(2100));
    assert!(!host.admits(BLOCKED));
    assert_eq!(host.filter()["exceptions"], serde_json::json!([]));
    let said = host.fail(1, &["allow", "--remove", BLOCKED]);
    assert!(
        said.contains("nothing was decided for 1.0.1.1 on server, or its time is up"),
        "{said}"
    );
}

#[test]
fn it_is_decided_while_a_run_looks_after_the_filter() {
    let host = Host::new();
    let mut run = host.run(&[]);
    host.succeed(&["allow", BLOCKED]);
    assert!(host.admits(BLOCKED));
    host.succeed(&["allow", "--remove", BLOCKED]);
    assert!(!host.admits(BLOCKED));
    run.signal(Signal::INT);
    assert_eq!(run.wait().0, Some(0));
    host.assert_free();
}

#[test]
fn there_are_so_many_and_no_more() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    let all: Vec<String> = (0..4096)
        .map(|number| Ipv4Addr::from_bits(0x0a00_0000 + number).to_string())
        .collect();
    let arguments: Vec<&str> = ["deny"]
        .into_iter()
        .chain(all.iter().map(String::as_str))
        .collect();
    host.succeed(&arguments);
    let said = host.fail(1, &["deny", OTHER]);
    assert!(
        said.contains("server has 4096 exceptions already") && said.contains("configuration"),
        "{said}"
    );
    assert!(host.admits(OTHER));
    // One that is there already can be decided anew, and room can be made.
    host.succeed(&["allow", "10.0.0.1"]);
    host.succeed(&["deny", "--remove", "10.0.0.2"]);
    host.succeed(&["deny", OTHER]);
    assert!(!host.admits(OTHER));
}

#[test]
fn without_a_filter_nothing_is_decided() {
    let host = Host::new();
    let said = host.fail(1, &["allow", BLOCKED]);
    assert!(said.contains("no filter is attached"), "{said}");
    let said = host.fail(1, &["allow", BLOCKED, "-i", "server"]);
    assert!(
        said.contains("no filter of geodrop's is attached to server"),
        "{said}"
    );
    let said = host.fail(2, &["allow", "1.0.1.0/24"]);
    assert!(
        said.contains("exceptions are for single addresses"),
        "{said}"
    );
    let said = host.fail(2, &["allow", BLOCKED, "--for", "soon"]);
    assert!(said.contains("1h30m"), "{said}");
    host.assert_free();
}
