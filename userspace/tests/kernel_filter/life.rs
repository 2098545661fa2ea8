//! The life of a filter, by the command's verbs and real packets through a veth.

use super::host::{BLOCKED, Host, OTHER};
use geodrop::testbed::veth::Settings;
use rustix::process::Signal;

#[test]
fn attach_leaves_a_filter_and_detach_leaves_nothing() {
    let host = Host::new();
    assert!(host.admits(BLOCKED));

    let said = host.succeed(&["attach", "-i", "server"]);
    assert!(
        said.starts_with("server: blocking China (CN), Hong Kong (HK), Macao (MO) (native mode"),
        "{said}"
    );
    assert!(!host.admits(BLOCKED));
    assert!(!host.admits("2400:3200::1"));
    assert!(host.admits(OTHER));
    assert!(host.admits("2001:4860:4860::8888"));

    let filter = host.filter();
    assert_eq!(filter["name"], "server");
    assert_eq!(filter["ifindex"], host.veth.server.interface.index);
    assert_eq!(
        (&filter["hook"], &filter["mode"]),
        (&"xdp".into(), &"native".into())
    );
    assert_eq!(
        (&filter["engine"], &filter["generation"]),
        (&"multibit".into(), &1.into())
    );
    assert_eq!(filter["enforcing"], true);
    assert_eq!(filter["blocked"], serde_json::json!(["CN", "HK", "MO"]));
    assert_eq!(filter["counters"]["CN"]["packets"], 2);
    assert_eq!(filter["passed"]["packets"], 2);
    assert_eq!(filter["owner"], serde_json::Value::Null);
    assert!(
        filter["ranges"]["ipv4"].as_u64().unwrap() > 10_000,
        "{filter}"
    );
    assert!(
        filter["memory_bytes"].as_u64().unwrap() > 100_000,
        "{filter}"
    );
    assert_eq!(filter["program_id"], host.attached().unwrap().program);
    assert!(host.status()["geoip"][0]["date"].is_string());

    assert_eq!(
        host.succeed(&["detach", "-i", "server"]),
        "server: detached\n"
    );
    assert!(host.admits(BLOCKED));
    host.assert_free();
}

#[test]
fn attaching_again_replaces_the_filter_and_keeps_its_counters() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    assert!(!host.admits(BLOCKED));
    let program = host.attached().unwrap().program;

    let said = host.succeed(&["attach", "-i", "server", "--block", "US"]);
    assert!(
        said.contains("replaced the filter that was there"),
        "{said}"
    );
    assert_ne!(host.attached().unwrap().program, program);
    assert!(host.admits(BLOCKED));
    assert!(!host.admits(OTHER));

    let filter = host.filter();
    assert_eq!(filter["generation"], 2);
    assert_eq!(filter["counters"]["CN"]["packets"], 1);
    assert_eq!(filter["counters"]["US"]["packets"], 1);
    let place = std::fs::read_dir(&host.pins)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let mut names: Vec<_> = std::fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "contacted",
            "counters",
            "egress-link",
            "exceptions",
            "flows",
            "generation-2",
            "link",
            "watch"
        ]
    );
}

#[test]
fn a_run_detaches_when_it_is_told_to_end() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let host = Host::new();
        let mut run = host.run(&[]);
        assert!(!host.admits(BLOCKED));
        let owner = host.filter()["owner"].as_str().unwrap().to_owned();
        assert_eq!(owner, format!("process {} (geodrop)", run.id()));

        run.signal(signal);
        assert_eq!(run.wait(), (Some(0), String::new()));
        assert_eq!(run.line(), "server: detached\n");
        host.assert_free();
    }
}

#[test]
fn a_run_that_keeps_leaves_the_filter() {
    let host = Host::new();
    let mut run = host.run(&["--keep"]);
    run.signal(Signal::INT);
    assert_eq!(run.wait().0, Some(0));
    assert!(!host.admits(BLOCKED));
    assert_eq!(host.filter()["owner"], serde_json::Value::Null);
}

#[test]
fn a_filter_survives_its_process_and_the_next_run_takes_it_over() {
    let host = Host::new();
    host.run(&[]).kill();
    assert!(!host.admits(BLOCKED));
    assert_eq!(host.filter()["owner"], serde_json::Value::Null);

    let mut run = host.run(&[]);
    assert!(!host.admits(BLOCKED));
    let filter = host.filter();
    assert_eq!(filter["generation"], 2);
    assert_eq!(filter["counters"]["CN"]["packets"], 2);
    run.signal(Signal::INT);
    assert_eq!(run.wait().0, Some(0));
    host.assert_free();
}

#[test]
fn a_run_prints_what_it_counts() {
    let host = Host::new();
    let mut run = host.run(&["--interval", "1"]);
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    let expected = "server: 1 packets blocked (CN 1), 1 passed, 0 not IP\n";
    // A report may have been due before the packets came.
    assert!((0..3).any(|_| run.line() == expected));
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_prints() {
    let host = Host::new();
    let mut run = host.run(&["--interval", "1"]);
    run.close_output();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(!host.admits(BLOCKED));
    assert!(host.filter()["owner"].is_string());
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), (Some(0), String::new()));
    host.assert_free();
}

#[test]
fn a_run_can_log_every_packet() {
    let host = Host::new();
    let mut run = host.run(&["--log-packets"]);
    assert!(!host.admits(BLOCKED));
    run.signal(Signal::INT);
    let (status, log) = run.wait();
    assert_eq!(status, Some(0));
    assert!(log.contains("drop"), "{log:?}");
}

#[test]
fn a_monitor_counts_and_drops_nothing() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--monitor"]);
    assert!(host.admits(BLOCKED));
    let filter = host.filter();
    assert_eq!(filter["enforcing"], false);
    assert_eq!(filter["counters"]["CN"]["packets"], 1);
}

#[test]
fn lists_of_prefixes_go_before_countries() {
    let host = Host::new();
    host.succeed(&[
        "attach",
        "-i",
        "server",
        "--allow",
        "1.0.1.0/24",
        "--deny",
        "8.8.8.0/24",
        "1.0.1.128/25",
    ]);
    assert!(host.admits(BLOCKED));
    assert!(!host.admits("1.0.1.200"));
    assert!(!host.admits(OTHER));
    assert_eq!(host.filter()["denied"], 2);
}

#[test]
fn only_some_countries_are_admitted() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--only", "US"]);
    assert!(host.admits(OTHER));
    assert!(!host.admits(BLOCKED));
    // Special-purpose addresses pass; one that no data knows does not.
    assert!(host.admits("10.0.0.1"));
    assert!(host.admits("fe80::1"));
    assert!(!host.admits("2d00::1"));
    let filter = host.filter();
    assert_eq!(filter["blocked"], serde_json::json!([]));
    assert_eq!(filter["admitted"], serde_json::json!(["US"]));
    assert_eq!(filter["counters"]["CN"]["packets"], 1);
    assert_eq!(filter["unknown"], 1);
}

#[test]
fn jumbo_frames_are_filtered_natively() {
    let host = Host::with(Settings {
        mtu: 9000,
        ..Settings::default()
    });
    host.succeed(&["attach", "-i", "server", "--mode", "native"]);
    assert_eq!(host.filter()["mode"], "native");
    assert!(!host.admits(BLOCKED));
}

#[test]
fn generic_mode_where_the_driver_has_no_native_one() {
    let host = Host::new();
    let output = host.output(&["attach", "-i", "lo"]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("lo does not take an XDP program in native mode"),
        "{said}"
    );
    assert!(said.contains("running in generic mode instead"), "{said}");
    assert_eq!(host.filter()["mode"], "generic");

    host.succeed(&["detach", "-i", "lo"]);
    host.succeed(&["attach", "-i", "server", "--mode", "generic"]);
    assert_eq!(host.filter()["mode"], "generic");
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
}

#[test]
fn several_interfaces_share_their_tables() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "lo"]);
    let status = host.status();
    let filters = status["interfaces"].as_array().unwrap();
    assert_eq!(filters.len(), 2);
    assert!(!host.admits(BLOCKED));
    let counted = |name: &str| {
        let status = host.status();
        let filters = status["interfaces"].as_array().unwrap();
        let filter = filters
            .iter()
            .find(|filter| filter["name"] == name)
            .unwrap();
        filter["counters"]["CN"]["packets"].as_u64().unwrap_or(0)
    };
    assert_eq!((counted("server"), counted("lo")), (1, 0));

    let said = host.succeed(&["detach", "--all"]);
    assert_eq!(said.lines().count(), 2, "{said}");
    host.assert_free();
}

#[test]
fn removing_the_pins_frees_the_host_also_under_a_run() {
    let host = Host::new();
    let mut run = host.run(&[]);
    std::fs::remove_dir_all(&host.pins).unwrap();
    host.await_no_program();
    assert!(host.admits(BLOCKED));
    let (status, said) = run.wait();
    assert_eq!(status, Some(3));
    assert!(
        said.contains("the filter on server was taken away"),
        "{said}"
    );
}

#[test]
fn a_run_lets_be_what_others_attached_since() {
    let host = Host::new();
    let mut run = host.run(&[]);
    // Held, so that it cannot see that its own filter goes.
    run.signal(Signal::STOP);
    host.succeed(&["detach", "-i", "server"]);
    host.succeed(&["attach", "-i", "server", "--block", "US"]);
    run.signal(Signal::INT);
    run.signal(Signal::CONT);
    let (_, said) = run.wait();
    assert!(said.contains("was taken away by somebody else"), "{said}");
    assert!(!host.admits(OTHER));
    assert!(host.admits(BLOCKED));
}

#[test]
fn a_run_keeps_the_filters_that_are_left() {
    let host = Host::new();
    let mut run = host.run(&["lo"]);
    host.succeed(&["detach", "-i", "lo"]);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(!host.admits(BLOCKED));
    run.signal(Signal::INT);
    let (status, said) = run.wait();
    assert_eq!(status, Some(3));
    assert!(said.contains("the filter on lo was taken away"), "{said}");
    host.assert_free();
}

#[test]
fn detach_works_under_a_run_which_then_ends() {
    let host = Host::new();
    let mut run = host.run(&[]);
    host.succeed(&["detach", "-i", "server"]);
    assert!(host.admits(BLOCKED));
    assert_eq!(run.wait().0, Some(3));
    host.assert_free();
}
