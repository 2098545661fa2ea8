//! Policies on trial: what was in force before comes back by itself, whoever has died.

use std::{
    fs,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use super::host::{BLOCKED, HOOKS, Host, Load, OTHER};
use aya::{EbpfLoader, programs::Xdp};
use rustix::process::Signal;

/// How long trials last here, and how long it takes until they are over for certain.
const TRIAL: &str = "2s";
const OVER: Duration = Duration::from_millis(2_100);

/// Long enough for all that a test does meanwhile.
const LONG: &str = "5m";

/// The names of all that is pinned for the host's interface, below generations too.
fn pins(host: &Host) -> Vec<String> {
    let place = fs::read_dir(&host.pins).unwrap().next().unwrap().unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(place.path()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            for below in fs::read_dir(entry.path()).unwrap().flatten() {
                names.push(format!("{name}/{}", below.file_name().to_str().unwrap()));
            }
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

fn assert_no_trial(host: &Host) {
    let pins = pins(host);
    assert!(
        !pins.iter().any(|name| name.ends_with("/predecessor")),
        "{pins:?}"
    );
    let programs = pins.iter().filter(|name| name.ends_with("/program"));
    assert_eq!(programs.count(), 1, "{pins:?}");
    assert_eq!(host.filter()["trial"], serde_json::Value::Null);
}

#[test]
fn what_nobody_confirms_goes_and_the_filter_before_is_back() {
    for hook in HOOKS {
        let host = Host::at(hook);
        host.succeed(&["attach", "-i", "server", "--block", "US"]);
        let said = host.succeed(&[
            "attach",
            "-i",
            "server",
            "--block",
            "CN",
            "--confirm",
            TRIAL,
        ]);
        let began = Instant::now();
        assert!(
            said.contains("; on trial for 2s: `geodrop confirm` keeps it"),
            "{said}"
        );
        assert!(!host.admits(BLOCKED));
        assert!(host.admits(OTHER));
        let filter = host.filter();
        assert_eq!(filter["generation"], 2);
        assert_eq!(filter["trial"]["over"], false);
        assert_eq!(filter["trial"]["before"], 1);
        assert!(filter["trial"]["until"].is_string());
        let status = host.succeed(&["status"]);
        assert!(status.contains("on trial for another "), "{status}");

        // No process of ours lives any more: the kernel does it.
        thread::sleep(OVER.saturating_sub(began.elapsed()));
        assert!(host.admits(BLOCKED));
        assert!(!host.admits(OTHER));
        let filter = host.filter();
        assert_eq!(
            (&filter["generation"], &filter["trial"]["over"]),
            (&1.into(), &true.into())
        );
        assert_eq!(filter["blocked"], serde_json::json!(["US"]));
        assert_eq!(filter["counters"]["US"]["packets"], 1);

        let said = host.fail(1, &["confirm"]);
        assert!(
            said.contains("too late")
                && said.contains("the filter before, generation 1, is in force again"),
            "{said}"
        );
        assert_no_trial(&host);
        assert!(host.admits(BLOCKED));
        assert!(!host.admits(OTHER));
    }
}

#[test]
fn what_nobody_confirms_goes_and_all_passes_where_no_filter_was_before() {
    for hook in HOOKS {
        let host = Host::at(hook);
        // Killed: nobody is left to take the filter off.
        host.run(&["--confirm", TRIAL]).kill();
        let began = Instant::now();
        assert!(!host.admits(BLOCKED));
        thread::sleep(OVER.saturating_sub(began.elapsed()));
        assert!(host.admits(BLOCKED));
        let filter = host.filter();
        assert_eq!(filter["trial"]["before"], serde_json::Value::Null);
        assert_eq!(filter["enforcing"], false);
        let status = host.succeed(&["status"]);
        assert!(status.contains("it filters nothing any more"), "{status}");

        let said = host.fail(1, &["confirm"]);
        assert!(said.contains("all traffic passes, as before"), "{said}");
        host.assert_free();
    }
}

#[test]
fn what_is_confirmed_in_time_stays() {
    for hook in HOOKS {
        for before in [true, false] {
            let host = Host::at(hook);
            if before {
                host.succeed(&["attach", "-i", "server", "--block", "US"]);
            }
            host.succeed(&["attach", "-i", "server", "--confirm", TRIAL]);
            let began = Instant::now();
            assert_eq!(host.succeed(&["confirm"]), "server: confirmed\n");
            assert_no_trial(&host);
            thread::sleep(OVER.saturating_sub(began.elapsed()));
            assert!(!host.admits(BLOCKED));
            assert!(host.admits(OTHER));
            let said = host.fail(1, &["confirm"]);
            assert!(said.contains("no filter is on trial"), "{said}");
            let said = host.fail(1, &["confirm", "-i", "server"]);
            assert!(said.contains("no filter on server is on trial"), "{said}");
        }
    }
}

#[test]
fn what_is_confirmed_can_be_replaced_on_trial_again() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--confirm", LONG]);
    host.succeed(&["confirm"]);
    host.succeed(&[
        "attach",
        "-i",
        "server",
        "--block",
        "US",
        "--confirm",
        TRIAL,
    ]);
    assert!(!host.admits(OTHER));
    thread::sleep(OVER);
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
}

#[test]
fn a_run_puts_back_what_was_before_and_goes_on() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--block", "US"]);
    let mut run = host.run(&["--confirm", TRIAL]);
    assert!(!host.admits(BLOCKED));
    thread::sleep(OVER + Duration::from_millis(1_500));
    assert_no_trial(&host);
    assert!(host.admits(BLOCKED));
    assert!(!host.admits(OTHER));
    run.signal(Signal::INT);
    let (status, said) = run.wait();
    assert_eq!(status, Some(0));
    assert!(
        said.contains("nobody confirmed the policy in time; the filter before, generation 1"),
        "{said}"
    );
    host.assert_free();
}

#[test]
fn a_run_ends_where_nothing_was_before() {
    let host = Host::new();
    let mut run = host.run(&["--confirm", TRIAL]);
    let (status, said) = run.wait();
    assert_eq!(status, Some(3));
    assert!(said.contains("the filter is detached, as before"), "{said}");
    assert!(host.admits(BLOCKED));
    host.assert_free();
}

#[test]
fn a_trial_on_a_trial_is_refused_and_a_policy_for_good_is_not() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--block", "US"]);
    host.succeed(&["attach", "-i", "server", "--confirm", LONG]);
    let before = host.attached();
    let said = host.fail(1, &["attach", "-i", "server", "--confirm", LONG]);
    assert!(
        said.contains("the filter on server is on trial already")
            && said.contains("geodrop confirm -i server"),
        "{said}"
    );
    assert_eq!(host.attached(), before);
    assert_eq!(host.filter()["trial"]["before"], 1);

    host.succeed(&["attach", "-i", "server", "--block", "CN,US"]);
    assert_no_trial(&host);
    assert!(!host.admits(BLOCKED));
    assert!(!host.admits(OTHER));
}

#[test]
fn the_next_command_leaves_nothing_of_a_trial() {
    for next in [
        &["attach", "-i", "server", "--block", "US"] as &[&str],
        &["deny", "10.0.0.1"],
    ] {
        let host = Host::new();
        host.succeed(&["attach", "-i", "server", "--block", "US"]);
        host.succeed(&["attach", "-i", "server", "--confirm", "1s"]);
        thread::sleep(Duration::from_millis(1_100));
        host.succeed(next);
        assert_no_trial(&host);
        assert!(!host.admits(OTHER));
        assert!(host.admits(BLOCKED));
    }
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--confirm", "1s"]);
    thread::sleep(Duration::from_millis(1_100));
    host.succeed(&["attach", "-i", "server"]);
    assert_no_trial(&host);
    assert!(!host.admits(BLOCKED));

    host.succeed(&["attach", "-i", "server", "--confirm", "1s"]);
    host.succeed(&["detach", "-i", "server"]);
    host.assert_free();
}

#[test]
fn what_notes_connections_goes_with_the_policy_that_wants_it() {
    let notes = |host: &Host| pins(host).contains(&"egress-link".to_owned());
    let host = Host::new();
    let attach = ["attach", "-i", "server", "--block", "CN"];
    host.succeed(&attach);
    if !notes(&host) {
        // The kernel takes no such program.
        return;
    }
    host.succeed(&[&attach[..], &["--replies", "drop", "--confirm", "1s"]].concat());
    assert!(notes(&host), "the policy before may come back");
    thread::sleep(Duration::from_millis(1_100));
    host.succeed(&["deny", "10.0.0.1"]);
    assert_no_trial(&host);
    assert!(notes(&host));

    host.succeed(&[&attach[..], &["--replies", "drop", "--confirm", LONG]].concat());
    host.succeed(&["confirm"]);
    assert!(!notes(&host));
    host.succeed(&[&attach[..], &["--confirm", "1s"]].concat());
    assert!(notes(&host));
    thread::sleep(Duration::from_millis(1_100));
    host.succeed(&["deny", "10.0.0.1"]);
    assert!(!notes(&host));

    host.succeed(&["detach", "--all"]);
    host.succeed(&[&attach[..], &["--confirm", "1s"]].concat());
    thread::sleep(Duration::from_millis(1_100));
    host.fail(1, &["confirm"]);
    host.assert_free();
}

#[test]
fn exceptions_hold_on_both_sides_of_a_deadline() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    host.succeed(&[
        "attach",
        "-i",
        "server",
        "--block",
        "CN,US",
        "--confirm",
        TRIAL,
    ]);
    let began = Instant::now();
    host.succeed(&["allow", BLOCKED]);
    assert!(host.admits(BLOCKED));
    thread::sleep(OVER.saturating_sub(began.elapsed()));
    assert!(host.admits(OTHER));
    assert!(host.admits(BLOCKED));
    assert!(!host.admits("1.0.1.2"));
}

#[test]
fn no_packet_goes_by_when_a_trial_ends_nor_when_the_filter_before_is_put_back() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--block", "CN"]);
    let blocked: [Ipv4Addr; 1] = [BLOCKED.parse().unwrap()];
    let Load { sent, received } = host.under_load(&blocked, 10, || {
        // Each settles what the one before has left.
        host.succeed(&[
            "attach",
            "-i",
            "server",
            "--block",
            "CN,US",
            "--confirm",
            "100ms",
        ]);
        thread::sleep(Duration::from_millis(150));
    });
    assert_eq!(received, 0);
    // Each packet is counted once, by the one program or by the other.
    assert_eq!(host.filter()["counters"]["CN"]["packets"], sent);
}

#[test]
fn a_reload_can_be_on_trial() {
    let host = Host::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "block = [\"US\"]\nreplies = \"drop\"\n").unwrap();
    let mut run = host.run(&["--config", file.path().to_str().unwrap()]);
    fs::write(file.path(), "block = [\"CN\"]\nreplies = \"drop\"\n").unwrap();
    let said = host.succeed(&["reload", "--confirm", TRIAL]);
    assert_eq!(
        said,
        "server: reloaded; on trial for 2s: `geodrop confirm` keeps it\n"
    );
    assert!(!host.admits(BLOCKED));
    let said = host.fail(1, &["reload", "--confirm", TRIAL]);
    assert!(said.contains("is on trial already"), "{said}");
    thread::sleep(OVER + Duration::from_millis(1_500));
    assert!(host.admits(BLOCKED));
    assert!(!host.admits(OTHER));
    assert_no_trial(&host);

    host.succeed(&["reload", "--confirm", LONG]);
    host.succeed(&["confirm"]);
    assert!(!host.admits(BLOCKED));
    assert_no_trial(&host);
    run.signal(Signal::INT);
    assert_eq!(run.wait().0, Some(0));
    host.assert_free();
}

/// What [`Host`] cannot show on a kernel that loads the other program.
#[test]
fn both_programs_can_be_on_trial() {
    static FILTER: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/filter"));
    for (name, lpm) in [
        ("geodrop", 0_u8),
        ("geodrop", 1),
        ("geodrop_frags", 0),
        ("geodrop_frags", 1),
    ] {
        let mut ebpf = EbpfLoader::new()
            .override_global("TRIAL", &1_u8, true)
            .override_global("LPM", &lpm, true)
            .load(FILTER)
            .unwrap();
        let program: &mut Xdp = ebpf.program_mut(name).unwrap().try_into().unwrap();
        program.load().unwrap();
    }
}

#[test]
fn a_trial_needs_neither_perfmon_nor_sys_admin() {
    let bounds = "-perfmon,-sys_admin";
    let host = Host::new();
    let attach = ["attach", "-i", "server", "--block"];
    host.succeed_with(bounds, &[&attach[..], &["US"]].concat());
    host.succeed_with(bounds, &[&attach[..], &["CN", "--confirm", "1s"]].concat());
    assert!(!host.admits(BLOCKED));
    thread::sleep(Duration::from_millis(1_100));
    assert!(host.admits(BLOCKED));
    assert!(!host.admits(OTHER));
    host.succeed_with(bounds, &[&attach[..], &["CN", "--confirm", LONG]].concat());
    host.succeed_with(bounds, &["confirm"]);
    assert!(!host.admits(BLOCKED));
    assert_no_trial(&host);
}
