//! `geodrop check`, and what the other verbs make of a policy file: without root, and without attaching anything.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{fs, path::Path};

use assert_cmd::Command;
use predicates::{prelude::*, str::contains};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory of its own for each test, with a policy file in it.
struct Host(TempDir);

impl Host {
    fn new(policy: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.write("policy.toml", policy);
        host
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    /// A command that runs in the directory.
    fn geodrop(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    fn check(&self) -> Command {
        self.geodrop(&["check", "--config", "policy.toml"])
    }

    fn json(&self) -> Value {
        let mut command = self.geodrop(&["check", "--config", "policy.toml", "--json"]);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    }

    /// The verdicts of `lookup` with this policy file and some more arguments.
    fn verdicts(&self, arguments: &[&str]) -> Vec<String> {
        let first = ["lookup", "--json", "--config", "policy.toml"];
        let output = self
            .geodrop(&[&first, arguments].concat())
            .assert()
            .success();
        let answers: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        let answers = answers.as_array().unwrap().iter();
        answers
            .map(|answer| answer["verdict"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn every_example_is_in_order() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for entry in fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            Command::new(env!("CARGO_BIN_EXE_geodrop"))
                .args(["check", "--config"])
                .arg(&path)
                .assert()
                .success()
                .stdout(contains("is in order"));
        }
    }
}

#[test]
fn a_policy_is_said_in_plain_words() {
    let host = Host::new(
        "
        interfaces = ['eth0', 'eth1', 'eth2']
        block = ['CN']
        allow = ['192.0.2.0/24', 'file:office.txt']
        deny = ['198.51.100.7']
        replies = 'drop'
        effective_from = '2024-07-09T00:00:00+08:00'
        monitor = true
        [geoip]
        sources = ['world.csv']
        [[rules]]
        ports = ['tcp/22', 'udp/8000-8100']
        only = ['DE']
        [[interface]]
        name = 'eth1'
        only = ['US']
        rules = []
        ",
    );
    host.write("office.txt", "203.0.113.0/24 # Berlin\n");
    host.write(
        "world.csv",
        "1.0.0.0,1.0.0.255,CN\n1.0.1.0,1.0.1.255,DE\n1.0.2.0,1.0.2.255,US\n2001::,2001::1,CN\n",
    );
    host.check().assert().success().stdout(
        "\
eth0, eth2:
  always pass: 192.0.2.0/24, 203.0.113.0/24
  always drop: 198.51.100.7/32
  tcp/22, udp/8000-8100: admit only Germany (DE)
  all other ports: block China (CN)
  addresses that no data knows pass
  countries are dropped from 2024-07-08T16:00:00Z on, which has come
  replies are judged as all other packets
  MONITOR: all this is counted, and nothing is dropped
  "
        .to_owned()
            + &ranges(&host, 0)
            + "eth1:
  always pass: 192.0.2.0/24, 203.0.113.0/24
  always drop: 198.51.100.7/32
  all ports: admit only United States of America (US)
  addresses that no data knows drop
  countries are dropped from 2024-07-08T16:00:00Z on, which has come
  replies are judged as all other packets
  MONITOR: all this is counted, and nothing is dropped
  " + &ranges(&host, 1)
            + "GeoIP data: world.csv
policy.toml is in order
",
    );
    let report = host.json();
    assert_eq!(report["ok"], json!(true));
    assert_eq!(report["config"], json!("policy.toml"));
    assert_eq!(report["errors"], json!([]));
    let first = &report["interfaces"][0];
    assert_eq!(first["names"], json!(["eth0", "eth2"]));
    assert_eq!(first["block"], json!(["CN"]));
    assert_eq!(
        first["rules"],
        json!([{"ports": ["tcp/22", "udp/8000-8100"], "only": ["DE"]}])
    );
    assert_eq!(first["effective_from"], json!("2024-07-08T16:00:00Z"));
    assert_eq!(report["interfaces"][1]["only"], json!(["US"]));
    assert_eq!(
        report["geoip"],
        json!([{"source": "world.csv", "date": null}])
    );
}

/// How many ranges there are is the rule set's business.
fn ranges(host: &Host, index: usize) -> String {
    let ranges = &host.json()["interfaces"][index]["ranges"];
    format!(
        "{} IPv4 and {} IPv6 ranges in the table\n",
        ranges["ipv4"], ranges["ipv6"]
    )
}

#[test]
fn the_default_is_told_for_what_it_is() {
    let host = Host::new("monitor = true\n");
    host.check()
        .assert()
        .success()
        .stdout(contains("interfaces to be named with --interface:"))
        .stdout(contains(
            "all ports: block China (CN), Hong Kong (HK), Macao (MO), by default, for the file says neither",
        ));
    assert_eq!(host.json()["interfaces"][0]["by_default"], json!(true));
}

#[test]
fn what_is_wrong_is_shown_with_its_line_and_status_2() {
    let host = Host::new("interfaces = [\"eth0\"]\nblock = [\"CN\", \"UK\"]\nmontior = true\n");
    let expected = "\
geodrop: policy.toml:2:16: `UK` is neither a country code (ISO 3166-1 alpha-2) nor a group
   |
 2 | block = [\"CN\", \"UK\"]
   |                ^^^^
   = help: United Kingdom of Great Britain and Northern Ireland is GB

policy.toml:3:1: there is no key `montior` at the top level
   |
 3 | montior = true
   | ^^^^^^^
   = help: did you mean `monitor`?
";
    host.check()
        .assert()
        .code(2)
        .stdout("")
        .stderr(expected.to_owned() + "geodrop: 2 errors\n");
    let mut json = host.geodrop(&["check", "--json", "--config", "policy.toml"]);
    json.assert().code(2).stderr(contains("policy.toml:3:1"));
    let report = host.json();
    assert_eq!(report["ok"], json!(false));
    assert_eq!(
        report["errors"][1],
        json!({
            "file": "policy.toml", "line": 3, "column": 1, "message": "there is no key `montior` at the top level",
            "remedy": "did you mean `monitor`?"
        })
    );
    // The other verbs say the same.
    for arguments in [&["lookup", "1.0.1.1"] as &[&str], &["attach"], &["run"]] {
        host.geodrop(arguments)
            .args(["--config", "policy.toml"])
            .assert()
            .code(2)
            .stderr(contains(expected.trim_end()));
    }
}

#[test]
fn a_file_that_is_not_there_is_status_2() {
    for verb in [&["check"] as &[&str], &["lookup", "1.0.1.1"], &["attach"]] {
        Host::new("")
            .geodrop(verb)
            .args(["--config", "nowhere.toml"])
            .assert()
            .code(2)
            .stderr(contains("nowhere.toml").and(contains("name a TOML file")));
    }
}

#[test]
fn countries_that_no_data_knows_are_shown_where_they_are_written() {
    let host = Host::new(
        "block = ['CN', 'FR']\n[geoip]\nsources = ['world.csv']\n[[interface]]\nname = 'eth1'\nonly = ['ANTARCTICA']\n\
         [[interface]]\nname = 'eth2'\nonly = ['ASIA']\n",
    );
    host.write("world.csv", "1.0.0.0,1.0.0.255,CN\n2001::,2001::1,CN\n");
    host.check()
        .assert()
        .code(2)
        .stderr(contains(
            "policy.toml:6:1: the GeoIP data (world.csv) has no address in Antarctica (AQ)",
        ))
        // Of a group that is built in, the data need not have all.
        .stderr(contains("policy.toml:9").not())
        .stderr(contains("only = ['ANTARCTICA']\n   | ^^^^\n"));
    let host = Host::new("block = ['CN', 'FR']\n[geoip]\nsources = ['world.csv']\n");
    host.write("world.csv", "1.0.0.0,1.0.0.255,CN\n2001::,2001::1,CN\n");
    host.check().assert().code(2).stderr(contains(
        "policy.toml:1:16: the GeoIP data (world.csv) has no address in France (FR)\n   |\n 1 | block = ['CN', 'FR']\n",
    ));
    host.write("world.csv", "1.0.0.0,CN\n");
    host.check()
        .assert()
        .code(2)
        .stderr(contains("world.csv:1"));
}

#[test]
fn flags_win_over_the_file_key_by_key() {
    let host = Host::new(
        "block = ['CN']\nallow = ['8.8.8.8']\ndeny = ['9.9.9.9']\n[groups]\nPACIFIC = ['US', 'JP']\n",
    );
    let ips = ["1.0.1.1", "8.8.8.8", "8.8.4.4", "9.9.9.9"];
    for (flags, verdicts) in [
        (&[] as &[&str], ["drop", "pass", "pass", "drop"]),
        (&["--block", "us"], ["pass", "pass", "drop", "drop"]),
        (&["--only", "pacific"], ["drop", "pass", "pass", "drop"]),
        (&["--block", "ASIA"], ["drop", "pass", "pass", "drop"]),
        (&["--deny", "8.8.4.4"], ["drop", "pass", "drop", "pass"]),
        (
            &["--allow", "file:more.txt"],
            ["pass", "pass", "pass", "drop"],
        ),
    ] {
        host.write("more.txt", "1.0.1.0/24\n");
        assert_eq!(
            host.verdicts(&[flags, &ips].concat()),
            verdicts,
            "{flags:?}"
        );
    }
    host.geodrop(&[
        "lookup",
        "--config",
        "policy.toml",
        "--block",
        "PACIFC",
        "1.0.1.1",
    ])
    .assert()
    .code(2)
    .stderr(contains("--block: `PACIFC`").and(contains("did you mean the group PACIFIC?")));
    host.write("more.txt", "1.0.1.0/24\nhere\n");
    host.geodrop(&["lookup", "--deny", "file:more.txt", "1.0.1.1"])
        .assert()
        .code(2)
        .stderr(contains("more.txt:2:1: `here` is not a prefix"));
}

#[test]
fn a_mode_of_xdp_at_another_hook_is_refused() {
    let word = "the mode native is one of XDP, and the hook tcx has no modes";
    for (policy, flags) in [
        ("hook = 'tcx'\nmode = 'native'", &[] as &[&str]),
        ("mode = 'native'", &["--hook", "tcx"]),
    ] {
        let host = Host::new(&format!("interfaces = ['lo']\n{policy}\n"));
        for verb in ["attach", "run"] {
            host.geodrop(&[verb, "--config", "policy.toml"])
                .args(flags)
                .assert()
                .code(2)
                .stderr(contains(word));
        }
        if flags.is_empty() {
            host.check().assert().code(2).stderr(contains(word));
        }
    }
}

#[test]
fn interfaces_are_named_somewhere() {
    let host = Host::new("block = ['CN']");
    host.geodrop(&["attach", "--config", "policy.toml"])
        .assert()
        .code(2)
        .stderr(contains("names no interface").and(contains("interfaces = [\"eth0\"]")));
    host.geodrop(&["attach"])
        .assert()
        .code(2)
        .stderr(contains("--interface"));
}

#[test]
fn lookup_tells_what_it_leaves_out() {
    let host = Host::new(
        "block = ['CN']\n[[rules]]\nports = ['tcp/22']\nonly = ['DE']\n[[interface]]\nname = 'eth1'\nonly = ['US']\n",
    );
    host.geodrop(&["lookup", "--config", "policy.toml", "1.0.1.1"])
        .assert()
        .success()
        .stderr(contains("rules for ports").and(contains("policies of their own")));
}

#[test]
fn help_has_examples_and_words() {
    let host = Host::new("");
    host.geodrop(&["check", "--help"])
        .assert()
        .success()
        .stdout(contains("Examples:").and(contains("check --config policy.toml && ")));
    host.geodrop(&["attach", "--help"])
        .assert()
        .success()
        .stdout(contains("--effective-from").and(contains("reject").and(contains("tcx"))));
    host.geodrop(&["attach", "-i", "lo", "--effective-from", "2024-07-09"])
        .assert()
        .code(2)
        .stderr(contains("add the offset from UTC"));
}
