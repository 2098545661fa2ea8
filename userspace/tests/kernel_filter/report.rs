//! `geodrop report`: from the first generation that only counts to the one that drops, and what stays of it.

use std::{fs, path::PathBuf, thread, time::Duration};

use super::{
    failures::as_nobody,
    host::{BLOCKED, Host, OTHER},
    policy::{CHINA, File},
};
use aya::{EbpfLoader, maps::MapData};
use jiff::Timestamp;

/// What `report --json` prints of the host's interface.
fn report(host: &Host) -> serde_json::Value {
    let all: serde_json::Value =
        serde_json::from_str(&host.succeed(&["report", "--json"])).unwrap();
    assert_eq!(all["sources_standard_error"], 0.0325);
    let [report] = all["interfaces"].as_array().unwrap().as_slice() else {
        panic!("not one report: {all}");
    };
    report.clone()
}

fn instant(value: &serde_json::Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// The packets that it says of China; 0 if it says nothing.
fn packets(report: &serde_json::Value) -> u64 {
    let countries = report["countries"].as_array().unwrap().iter();
    let mut china = countries.filter(|one| one["country"] == "CN");
    china
        .next()
        .map_or(0, |one| one["packets"].as_u64().unwrap())
}

/// The directory in which a filter's maps and generations are pinned.
fn place(host: &Host) -> PathBuf {
    let mut places = fs::read_dir(&host.pins).unwrap();
    places.next().unwrap().unwrap().path()
}

const MONITOR: &[&str] = &["attach", "-i", "server", "--block", "CN", "--monitor"];
const ENFORCE: &[&str] = &["attach", "-i", "server", "--block", "CN"];

#[test]
fn it_says_whom_a_policy_would_affect() {
    let host = Host::new();
    host.succeed(MONITOR);
    assert!(host.admits(BLOCKED));
    assert!(host.admits("1.0.1.2"));
    assert!(host.admits("2400:3200::1"));
    assert!(host.admits(OTHER));

    let report = report(&host);
    assert_eq!(report["name"], "server");
    assert_eq!(report["ifindex"], host.veth.server.interface.index);
    assert!(instant(&report["from"]) <= Timestamp::now());
    assert!(report["until"].is_null() && report["enforced_from"].is_null());
    assert_eq!(
        (&report["packets"], &report["sources"]),
        (&3.into(), &3.into())
    );
    let [china] = report["countries"].as_array().unwrap().as_slice() else {
        panic!("not one country: {report}");
    };
    assert_eq!(
        (&china["country"], &china["reason"]),
        (&"CN".into(), &"country".into())
    );
    assert_eq!(
        (&china["packets"], &china["sources"]),
        (&3.into(), &3.into())
    );
    assert_eq!(china["bytes"], report["bytes"]);
    assert!(china["bytes"].as_u64().unwrap() > 3 * 42, "{china}");
    assert_eq!(china["ports_forgotten"], 0);
    let [port] = china["ports"].as_array().unwrap().as_slice() else {
        panic!("not one port: {china}");
    };
    assert_eq!(
        (&port["protocol"], &port["packets"]),
        (&"udp".into(), &3.into())
    );

    let text = host.succeed(&["report", "-i", "server"]);
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("server: would have been dropped since ")
            && lines[0].ends_with(" so far)"),
        "{text}"
    );
    let columns = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let row = columns(lines[2]);
    assert_eq!(
        (&*row[0], &*row[1], &*row[2]),
        ("CN", "China", "3"),
        "{text}"
    );
    let port = format!("udp/{} 100 %", port["port"]);
    assert!(lines[2].ends_with(&port), "{text}");
    assert_eq!(columns(lines[3])[..2], ["total", "3"], "{text}");
    assert_eq!(
        lines[4..],
        ["sources are estimates: their standard error is 3 %"]
    );
}

#[test]
fn it_goes_on_through_reloads_and_stays_when_the_policy_drops() {
    let host = Host::new();
    host.succeed(MONITOR);
    assert!(host.admits(BLOCKED));
    let began = instant(&report(&host)["from"]);
    let tomorrow = (Timestamp::now() + Duration::from_hours(24)).to_string();
    host.succeed(&[ENFORCE, &["--effective-from", &tomorrow]].concat());
    assert!(host.admits(BLOCKED));
    let held_back = report(&host);
    assert_eq!(
        (instant(&held_back["from"]), packets(&held_back)),
        (began, 2)
    );
    assert_eq!(
        instant(&held_back["enforced_from"]),
        tomorrow.parse().unwrap()
    );
    assert!(held_back["until"].is_null());
    let text = host.succeed(&["report"]);
    assert!(text.contains(" so far); will be from "), "{text}");

    // A reload that fails leaves it, and so does a trial that nobody confirms.
    host.fail(1, &["attach", "-i", "server", "lo", "--mode", "native"]);
    host.succeed(&[ENFORCE, &["--confirm", "1s"]].concat());
    assert!(!host.admits(BLOCKED));
    assert!(report(&host)["until"].is_string());
    thread::sleep(Duration::from_millis(1_100));
    assert!(host.admits(BLOCKED));
    let restored = report(&host);
    assert_eq!((instant(&restored["from"]), packets(&restored)), (began, 3));
    assert!(restored["until"].is_null());

    host.succeed(ENFORCE);
    assert!(!host.admits(BLOCKED));
    let ended = report(&host);
    assert_eq!((instant(&ended["from"]), packets(&ended)), (began, 3));
    assert_eq!(ended["until"], ended["enforced_from"]);
    host.succeed(ENFORCE);
    assert_eq!(report(&host), ended, "it stays as it is");
    let text = host.succeed(&["report"]);
    assert!(text.contains("; since then it is\n"), "{text}");

    host.succeed(MONITOR);
    let anew = report(&host);
    assert!(instant(&anew["from"]) > instant(&ended["until"]));
    assert_eq!(anew["countries"], serde_json::json!([]));
    host.succeed(&["detach", "-i", "server"]);
    host.assert_free();
}

#[test]
fn it_ends_at_the_instant_at_which_the_policy_drops() {
    let host = Host::new();
    let day = Timestamp::now() + Duration::from_secs(4);
    host.succeed(&[ENFORCE, &["--effective-from", &day.to_string()]].concat());
    assert!(host.admits(BLOCKED));
    assert!(report(&host)["until"].is_null());
    let ahead = day.duration_since(Timestamp::now());
    thread::sleep(ahead.unsigned_abs() + Duration::from_millis(100));
    assert!(!host.admits(BLOCKED));
    let ended = report(&host);
    assert_eq!((instant(&ended["until"]), packets(&ended)), (day, 1));
    // A reload after that day does not make it a later one.
    host.succeed(ENFORCE);
    assert_eq!(report(&host), ended);
}

#[test]
fn without_perfmon_it_goes_on_and_has_ports() {
    let bounds = "-perfmon,-sys_admin";
    let host = Host::new();
    host.succeed(MONITOR);
    assert!(host.admits(BLOCKED));
    host.succeed_with(bounds, MONITOR);
    assert!(host.admits(BLOCKED));
    let text = host.succeed_with(bounds, &["report", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let china = &all["interfaces"][0]["countries"][0];
    assert_eq!(
        (&china["packets"], &china["sources"]),
        (&2.into(), &1.into())
    );
    assert_eq!(china["ports"][0]["packets"], 2);
}

#[test]
fn where_there_is_none_it_says_how_to_get_one() {
    let host = Host::new();
    let said = host.fail(1, &["report"]);
    assert!(said.contains("no filter is attached"), "{said}");
    let said = host.fail(1, &["report", "-i", "server"]);
    assert!(
        said.contains("no filter of geodrop's is attached to server"),
        "{said}"
    );
    let said = host.fail(1, &["report", "-i", "eth7"]);
    assert!(said.contains("there is no interface `eth7` here"), "{said}");
    host.succeed(ENFORCE);
    for (arguments, place) in [
        (&["report"] as &[&str], "any interface"),
        (&["report", "-i", "server"], "server"),
    ] {
        let said = host.fail(1, arguments);
        assert!(
            said.contains(&format!("there is no report of {place}"))
                && said.contains("`--monitor`"),
            "{said}"
        );
    }
    let pins = host.pins.to_str().unwrap();
    let (status, said) = as_nobody(&host, &["report", "--pin-root", pins]);
    assert_eq!(status, Some(1));
    assert!(said.contains("run it as root"), "{said}");
}

#[test]
fn an_interface_that_appears_later_has_one_and_keeps_it_when_it_returns() {
    let mut host = Host::new();
    host.unplug();
    let file = File::new(&format!(
        "interfaces = [\"server\"]\nmonitor = true\n{CHINA}"
    ));
    let mut run = host.run_without("server", &["--config", file.path()]);
    let before = Timestamp::now();
    host.plug_in();
    run.line();
    assert!(host.admits(BLOCKED));
    let began = report(&host);
    assert!(instant(&began["from"]) >= before);
    assert_eq!(packets(&began), 1);
    host.unplug();
    host.plug_in();
    run.line();
    assert!(host.admits(BLOCKED));
    let returned = report(&host);
    assert_eq!((&returned["from"], packets(&returned)), (&began["from"], 2));
}

/// How many entries a pinned map takes.
fn entries(path: &PathBuf) -> u32 {
    MapData::from_pin(path)
        .unwrap()
        .info()
        .unwrap()
        .max_entries()
}

#[test]
fn maps_of_another_layout_are_not_taken_over() {
    static FILTER: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/filter"));
    let host = Host::new();
    host.succeed(MONITOR);
    let place = place(&host);
    let maps = [
        ("COUNTERS", "counters"),
        ("EXCEPTIONS", "exceptions"),
        ("FLOWS", "flows"),
        ("CONTACTED", "contacted"),
        ("REPORT_PORTS", "generation-1/report/ports"),
    ]
    .map(|(name, pin)| (name, place.join(pin)));
    let before = maps.clone().map(|(_, path)| entries(&path));
    // As another version may have left them.
    for (name, path) in &maps {
        fs::remove_file(path).unwrap();
        EbpfLoader::new()
            .map_max_entries(name, 7)
            .map_pin_path(name, path)
            .load(FILTER)
            .unwrap();
        assert_eq!(entries(path), 7);
    }
    host.succeed(MONITOR);
    let [.., (_, report_ports)] = &maps;
    assert!(!report_ports.exists());
    let after = maps.map(|(_, path)| {
        let path = path
            .to_str()
            .unwrap()
            .replace("generation-1", "generation-2");
        entries(&path.into())
    });
    assert_eq!(after, before);
    assert!(host.admits(BLOCKED));
    assert_eq!(packets(&report(&host)), 1);
}
