//! The command without root: answers, and errors in their words.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::fs;

use assert_cmd::Command;
use predicates::{prelude::*, str::contains};
use serde_json::{Value, json};

fn geodrop(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
    command.args(arguments);
    command
}

fn json(arguments: &[&str]) -> Value {
    let output = geodrop(arguments).assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn lookup_tells_country_prefix_verdict_and_reason() {
    let answers = json(&[
        "lookup",
        "--json",
        "1.0.1.1",
        "8.8.8.8",
        "2400:3200::1",
        "143.89.1.1",
        "60.246.1.1",
        "10.0.0.1",
    ]);
    assert_eq!(
        answers,
        json!([
            {"ip": "1.0.1.1", "country": "CN", "prefix": "1.0.1.0/24", "verdict": "drop", "reason": "country"},
            {"ip": "8.8.8.8", "country": "US", "prefix": answers[1]["prefix"], "verdict": "pass", "reason": "default"},
            {"ip": "2400:3200::1", "country": "CN", "prefix": "2400:3200::/32", "verdict": "drop", "reason": "country"},
            {"ip": "143.89.1.1", "country": "HK", "prefix": "143.89.0.0/16", "verdict": "drop", "reason": "country"},
            {"ip": "60.246.1.1", "country": "MO", "prefix": answers[4]["prefix"], "verdict": "drop", "reason": "country"},
            {"ip": "10.0.0.1", "country": null, "prefix": null, "verdict": "pass", "reason": "special-purpose"},
        ])
    );
}

#[test]
fn lookup_follows_the_policy_given() {
    let reasons = |arguments: &[&str]| -> Vec<(String, String)> {
        let answers = json(&[&["lookup", "--json"], arguments].concat());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let answers = answers.as_array().unwrap().iter();
        answers
            .map(|answer| (text(&answer["verdict"]), text(&answer["reason"])))
            .collect()
    };
    let pair = |verdict: &str, reason: &str| (verdict.to_owned(), reason.to_owned());
    assert_eq!(
        reasons(&["--only", "us", "8.8.8.8", "1.0.1.1", "2d00::1"]),
        [
            pair("pass", "only"),
            pair("drop", "only"),
            pair("drop", "unknown")
        ]
    );
    assert_eq!(
        reasons(&[
            "--block",
            "US,CN",
            "--allow",
            "8.8.8.0/24",
            "--deny",
            "9.9.9.9",
            "8.8.8.8",
            "9.9.9.9",
            "1.0.1.1"
        ]),
        [
            pair("pass", "allow"),
            pair("drop", "deny"),
            pair("drop", "country")
        ]
    );
    // The longer prefix wins; a tie is allow.
    assert_eq!(
        reasons(&[
            "--allow",
            "192.0.2.0/24",
            "--deny",
            "192.0.2.0/25,192.0.2.0/24",
            "192.0.2.1",
            "192.0.2.200"
        ]),
        [pair("drop", "deny"), pair("pass", "allow")]
    );
}

#[test]
fn lookup_judges_packets_to_a_port() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("policy.toml");
    let rule = "block = [\"CN\"]\n\n[[rules]]\nports = [\"tcp/22\", \"udp/53\"]\nonly = [\"DE\"]\n";
    fs::write(&config, rule).unwrap();
    let said = "these verdicts are those on packets to all other ports";
    for (to, verdict, is_said) in [
        (&[] as &[&str], "pass", true),
        (&["--port", "22"], "drop", false),
        (&["--port", "53"], "pass", false),
        (&["--port", "53", "--proto", "udp"], "drop", false),
    ] {
        let config = ["--config", config.to_str().unwrap(), "8.8.8.8"];
        let arguments = [&["lookup", "--json"], to, &config].concat();
        assert_eq!(json(&arguments)[0]["verdict"], verdict, "{to:?}");
        let output = geodrop(&arguments).assert().success();
        let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert_eq!(error.contains(said), is_said, "{error}");
    }
}

#[test]
fn lookup_reads_addresses_from_standard_input() {
    let output = geodrop(&["lookup", "--json", "-"])
        .write_stdin("1.0.1.1\n\n  8.8.8.8\n")
        .assert()
        .success();
    let answers: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 2);
    geodrop(&["lookup", "-"])
        .write_stdin("1.0.1.1\nexample.org\n")
        .assert()
        .code(2)
        .stderr(contains(
            "standard input, line 2: `example.org` is not an IPv4 or IPv6 address",
        ));
}

#[test]
fn lookup_for_people_is_a_table() {
    geodrop(&["lookup", "1.0.1.1", "10.0.0.1"])
        .assert()
        .success()
        .stdout(
            contains("1.0.1.0/24")
                .and(contains("CN China"))
                .and(contains("special-purpose")),
        );
}

#[test]
fn data_of_ones_own() {
    let directory = tempfile::tempdir().unwrap();
    let ipv4 = directory.path().join("ipv4.csv");
    let ipv6 = directory.path().join("ipv6.csv");
    fs::write(&ipv4, "1.0.1.0,1.0.1.255,CN\n1.0.1.77,1.0.1.77,HK\n").unwrap();
    fs::write(&ipv6, "2400::,2400:ffff:ffff:ffff:ffff:ffff:ffff:ffff,CN\n").unwrap();
    let (ipv4, ipv6) = (ipv4.to_str().unwrap(), ipv6.to_str().unwrap());
    let answers = json(&[
        "lookup", "--json", "--geoip", ipv4, "--geoip", ipv6, "1.0.1.77", "2400::1",
    ]);
    assert_eq!(answers[0]["country"], "HK");
    assert_eq!(answers[0]["prefix"], "1.0.1.77/32");
    assert_eq!(answers[1]["prefix"], "2400::/16");

    let info = json(&["geoip", "info", "--json", ipv4, ipv6]);
    assert_eq!(info["countries"], 2);
    assert_eq!(info["ipv4"], json!({"ranges": 3, "addresses": 256}));
}

#[test]
fn sources_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let old = write(
        "old.csv",
        "1.0.1.0,1.0.1.255,CN\n9.9.9.0,9.9.9.255,EU\n9.9.8.0,9.9.8.255,QQ\n",
    );
    let new = write(
        "new.csv",
        "1.0.1.0,1.0.1.63,HK\n1.0.1.64,1.0.1.255,CN\n2.0.0.0,2.0.1.255,FR\n",
    );
    let office = write("office.txt", "1.0.1.0/25\n");
    let office = format!("US={office}");

    let said = geodrop(&["geoip", "info", &old, &new, &office, "--json"])
        .assert()
        .success();
    let info: Value = serde_json::from_slice(&said.get_output().stdout).unwrap();
    assert_eq!(
        info["sources"][0]["set_aside"],
        json!({"region": 1, "unlisted": 1})
    );
    assert_eq!(
        info["sources"][0]["ipv4"],
        json!({"ranges": 1, "addresses": 256})
    );
    assert_eq!(info["sources"][1]["countries"], 3);
    let formats = ["ranges", "ranges", "prefixes"];
    for (source, format) in info["sources"].as_array().unwrap().iter().zip(formats) {
        assert_eq!(
            (&source["format"], &source["old"]),
            (&json!(format), &Value::Null)
        );
    }
    assert_eq!(info["countries"], 2);
    said.stderr(contains(
        "1 rows have two letters for a country that are no country's code",
    ));

    let arguments = ["--geoip", &old, "--geoip", &new, "--geoip", &office];
    let lookup =
        |more: &[&str]| json(&[&["lookup", "--json"], arguments.as_slice(), more].concat());
    let answer = &lookup(&["--block", "HK", "--sources", "1.0.1.1", "::ffff:1.0.1.1"]);
    for answer in answer.as_array().unwrap() {
        assert_eq!(
            (&answer["verdict"], &answer["country"]),
            (&json!("pass"), &json!("CN"))
        );
        assert_eq!(
            answer["sources"],
            json!([
                {"source": old, "country": "CN", "prefix": "1.0.1.0/24"},
                {"source": new, "country": "HK", "prefix": "1.0.1.0/26"},
                {"source": &office[3..], "country": "US", "prefix": "1.0.1.0/25"},
            ])
        );
    }
    let any = lookup(&[
        "--block",
        "HK",
        "--geoip-merge",
        "any",
        "1.0.1.1",
        "1.0.1.77",
    ]);
    assert_eq!(
        (&any[0]["verdict"], &any[0]["country"]),
        (&json!("drop"), &json!("HK"))
    );
    assert_eq!(
        (&any[1]["verdict"], &any[1]["country"]),
        (&json!("pass"), &json!("CN"))
    );
    assert_eq!(any[0]["sources"], Value::Null);

    let moved = json(&["geoip", "diff", &old, &new, "--json"]);
    let extent =
        |addresses: u32, prefixes: u32| json!({"addresses": addresses, "prefixes": prefixes});
    assert_eq!(
        moved,
        json!({"moved": [
            {"from": null, "to": "FR", "ipv4": extent(512, 1), "ipv6": extent(0, 0)},
            {"from": "CN", "to": "HK", "ipv4": extent(64, 1), "ipv6": extent(0, 0)},
        ]})
    );
    geodrop(&["geoip", "diff", &old, &new, "--country", "HK", "--prefixes"])
        .assert()
        .success()
        .stdout("CN\tHK\t1.0.1.0/26\n");
    let ipv6 = write("ipv6.csv", "2400::,2400::ffff,CN\n");
    geodrop(&["geoip", "diff", &old, &ipv6])
        .assert()
        .success()
        .stdout("no address moved\n")
        .stderr(contains(
            "ipv6.csv has no IPv4 address; IPv4 is not compared",
        ));
    geodrop(&["geoip", "diff", &old, &old])
        .assert()
        .success()
        .stdout("no address moved\n");
    geodrop(&["geoip", "info", "UK=x.txt"])
        .assert()
        .code(2)
        .stderr(contains("a file of such a name is written ./UK=x.txt"));
}

#[test]
fn old_data_is_warned_of() {
    // The built-in data is older than a month by the time that anybody tests it.
    geodrop(&["geoip", "info"])
        .assert()
        .success()
        .stderr(contains("days old; addresses move, so fetch newer data"));
}

#[test]
fn the_built_in_data_says_where_it_is_from() {
    let info = json(&["geoip", "info", "--json"]);
    assert!(info["countries"].as_u64().unwrap() > 240, "{info}");
    let source = &info["sources"][0];
    for field in [
        "source",
        "version",
        "date",
        "licence",
        "attribution",
        "checksum",
    ] {
        assert!(source[field].is_string(), "{field}: {source}");
    }
    assert!(source["age_days"].is_number());
    geodrop(&["geoip", "info"])
        .assert()
        .success()
        .stdout(contains("nro.net"));
}

#[test]
fn wrong_usage_is_status_2_with_a_remedy() {
    for (arguments, words) in [
        (&["lookup", "--block", "CHN", "1.0.1.1"] as &[&str], "CN"),
        (&["lookup", "--block", "UK", "1.0.1.1"], "GB"),
        (
            &["lookup", "--only", "US", "--block", "CN", "1.0.1.1"],
            "cannot be used with",
        ),
        (&["lookup", "1.0.1"], "is not an IPv4 or IPv6 address"),
        (&["lookup", "-i", "lo", "1.0.1.1"], "--running"),
        (&["lookup", "--proto", "udp", "1.0.1.1"], "--port"),
        (
            &["lookup", "--port", "1", "--proto", "icmp", "1.0.1.1"],
            "write tcp or udp",
        ),
        (
            &["lookup", "--deny", "192.0.2.1/24", "1.0.1.1"],
            "192.0.2.0/24",
        ),
        (
            &["lookup", "--allow", "example.org", "1.0.1.1"],
            "not a prefix",
        ),
        (&["attach"], "--interface"),
        (&["detach"], "--interface"),
        (&["frobnicate"], "unrecognized subcommand"),
    ] {
        geodrop(arguments).assert().code(2).stderr(contains(words));
    }
}

#[test]
fn bad_data_names_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.csv");
    for (content, words) in [
        (&b""[..], "data.csv"),
        (b"# only a comment\n", "data.csv"),
        (b"1.0.1.0,1.0.1.255,CN\n1.0.2.0,CN\n", "data.csv:2"),
        (b"1.0.1.0,1.0.1.255,CHN\n", "write CN"),
        (b"1.0.1.9,1.0.1.0,CN\n", "data.csv:1"),
        (b"1.0.1.0,::1,CN\n", "data.csv:1"),
        (b"\xff\xfe,1.0.1.0,CN\n", "data.csv:1"),
    ] {
        fs::write(&path, content).unwrap();
        geodrop(&["lookup", "--geoip", path.to_str().unwrap(), "1.0.1.1"])
            .assert()
            .code(1)
            .stderr(contains(words));
    }
    geodrop(&["lookup", "--geoip", "/nowhere/data.csv", "1.0.1.1"])
        .assert()
        .code(1)
        .stderr(contains("/nowhere/data.csv"));
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let whole = fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../data/world.snapshot"
    ))
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("world.snapshot");
    let lookup = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        geodrop(&["lookup", "--geoip", path.to_str().unwrap(), "1.0.1.1"]).assert()
    };
    lookup(&whole).success();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for bytes in [&damaged, &whole[..whole.len() - 1], &whole[..100]] {
        lookup(bytes).code(1).stderr(contains("world.snapshot"));
    }
}

#[test]
fn help_has_examples() {
    for verb in ["run", "attach", "detach", "status", "lookup"] {
        geodrop(&[verb, "--help"])
            .assert()
            .success()
            .stdout(contains("Examples:"));
    }
    geodrop(&["--help"])
        .assert()
        .success()
        .stdout(contains("Examples:"));
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let lookup = format!("{} lookup 1.0.1.1 | true", env!("CARGO_BIN_EXE_geodrop"));
    Command::new("sh")
        .args(["-c", &lookup])
        .assert()
        .success()
        .stderr("");
}

#[test]
fn an_error_about_a_file_does_nothing_to_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data.csv");
    fs::write(&data, "1.0.0.0,1.0.0.255,\x1b[31mCN\n").unwrap();
    geodrop(&["lookup", "--geoip", data.to_str().unwrap(), "1.0.0.1"])
        .assert()
        .failure()
        .stderr(
            contains("data.csv:1")
                .and(contains("[31mCN"))
                .and(contains("\x1b").not()),
        );
}
