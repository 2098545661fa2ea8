//! The command: what it prints, how it ends, and what other verbs make of what it fetched.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::server::{Answer, Server, etag};

const GOOD: &str = "1.0.0.0,1.255.255.255,CN\n2.0.0.0,2.255.255.255,FR\n";
const NEWER: &str = "1.0.0.0,1.255.255.255,CN\n2.0.0.0,2.255.255.254,FR\n";
const CUT: &str = "2.0.0.0,2.255.255.255,FR\n";

struct Test {
    server: Server,
    text: Arc<Mutex<String>>,
    state: tempfile::TempDir,
}

impl Test {
    fn new() -> Self {
        let text = Arc::new(Mutex::new(GOOD.to_owned()));
        let present = Arc::clone(&text);
        let server = Server::new(move |request, _| {
            let text = present.lock().unwrap();
            Answer::file(request, text.as_bytes(), &etag(&text))
                .with("last-modified: Tue, 07 Jul 2026 12:00:00 GMT")
        });
        Self {
            server,
            text,
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn serve(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap());
    }

    fn geoip(&self, verb: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command.args(["geoip", verb]).args(arguments);
        command.arg("--directory").arg(self.state.path());
        if verb == "update" {
            command
                .args(["--back-off", "1ms", "--ca"])
                .arg(self.server.authority());
        }
        for name in [
            "ALL_PROXY",
            "all_proxy",
            "HTTPS_PROXY",
            "https_proxy",
            "HTTP_PROXY",
            "http_proxy",
        ] {
            command.env_remove(name);
        }
        command.output().unwrap()
    }

    fn update(&self, arguments: &[&str]) -> Output {
        let source = format!("office={}", self.server.url("/office.csv?token=s3cret"));
        self.geoip("update", &[arguments, &[source.as_str()]].concat())
    }

    fn report(&self, arguments: &[&str]) -> Value {
        let output = self.update(&[&["--json"], arguments].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn current(&self) -> String {
        self.state
            .path()
            .join("office/current")
            .display()
            .to_string()
    }
}

fn said(output: &Output, status: i32) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    said
}

fn assert_says(output: &Output, status: i32, words: &[&str]) {
    let said = said(output, status);
    for words in words {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
}

#[test]
fn an_update_says_what_came_of_it_and_its_status_does() {
    let test = Test::new();
    let current = test.current();
    let in_force = format!("office: data of 2026-07-07 is in force in {current}");
    assert_says(&test.update(&[]), 0, &[&in_force]);
    assert_says(
        &test.update(&[]),
        0,
        &["office: data of 2026-07-07 is the latest there is"],
    );

    test.serve(CUT);
    let aside = test.state.path().join("office/refused/2");
    let look = format!(
        "look at it with `geodrop geoip diff {current} {}`",
        aside.display()
    );
    let refused = [
        "refused: CN China has no address any more",
        "what was in force stays",
        &look,
    ];
    assert_says(&test.update(&[]), 1, &refused);
    assert_says(&test.update(&[]), 1, &refused);
    let accepted = [
        "is in force",
        "accepted, although CN China has no address any more",
    ];
    assert_says(&test.update(&["--accept"]), 0, &accepted);
}

#[test]
fn scripts_get_the_same() {
    let test = Test::new();
    let report = test.report(&[]);
    assert_eq!(
        report,
        serde_json::json!([{
            "name": "office", "outcome": "updated", "directory": test.current(), "generation": 1,
            "date": "2026-07-07", "despite": [], "refused": null, "error": null,
        }])
    );
    test.serve(CUT);
    let report = &test.report(&[])[0];
    assert_eq!(
        (&report["outcome"], &report["generation"]),
        (&"refused".into(), &1.into())
    );
    let refused = &report["refused"];
    assert_eq!(refused["grounds"], "implausible");
    assert_eq!(
        refused["doubts"][0],
        serde_json::json!({"doubt": "vanished", "country": "CN"})
    );
    assert!(
        Path::new(refused["directory"].as_str().unwrap())
            .join("refusal.json")
            .exists()
    );

    test.serve("no data");
    let report = &test.report(&[])[0];
    assert_eq!(report["refused"]["grounds"], "unreadable");
    let failed = test.geoip("update", &["--json", "office=https://127.0.0.1:1/x"]);
    let report: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(
        (&report[0]["outcome"], failed.status.code()),
        (&"failed".into(), Some(1))
    );
    assert_eq!(report[0]["generation"], 1);
    assert!(
        report[0]["error"]
            .as_str()
            .unwrap()
            .starts_with("https://127.0.0.1:1/x: "),
        "{report}"
    );
}

#[test]
fn limits_can_be_set() {
    let test = Test::new();
    test.update(&[]);
    test.serve("1.0.0.0,1.127.255.255,CN\n2.0.0.0,2.255.255.255,FR\n");
    let limits = |change, lost| test.update(&["--max-change", change, "--max-lost", lost]);
    assert_says(
        &test.update(&[]),
        1,
        &["a change of more than 40 %", "more than 2 %"],
    );
    // It is the same data, and was looked at already.
    assert_says(&limits("50%", "25%"), 1, &["refused"]);
    test.serve("1.0.0.0,1.127.255.254,CN\n2.0.0.0,2.255.255.255,FR\n");
    assert_says(&limits("51%", "26%"), 0, &["is in force"]);
    assert_says(
        &limits("much", "1%"),
        2,
        &["write a whole number of percent, like 40%"],
    );
}

#[test]
fn the_countries_of_a_policy_are_judged_however_small() {
    let test = Test::new();
    let small = "1.0.0.0,1.255.255.255,CN\n2.0.0.0,2.0.0.255,KP\n";
    test.serve(small);
    test.update(&[]);
    test.serve("1.0.0.0,1.255.255.255,CN\n");
    let policy = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        policy.path(),
        "block = [\"CN\"]\n[[interface]]\nname = \"eth1\"\nblock = [\"KP\"]\n",
    )
    .unwrap();
    let config = ["--config", policy.path().to_str().unwrap()];
    assert_says(
        &test.update(&config),
        1,
        &["KP Korea (Democratic People's Republic of) has no address any more"],
    );
    assert_says(
        &test.update(&["--config", "/nowhere.toml"]),
        2,
        &["/nowhere.toml"],
    );
}

#[test]
fn what_is_no_source_is_wrong_usage() {
    let test = Test::new();
    for (source, words) in [
        ("office=http://example.net/x", "only https:// is fetched"),
        ("https://example.net/x?s3cret", "NAME=https://example.net/x"),
        ("nobody", "`nobody` is no provider"),
    ] {
        assert_says(&test.geoip("update", &[source]), 2, &[words]);
    }
    assert_says(&test.geoip("update", &[]), 2, &["SOURCE"]);
    assert_says(&test.update(&["--keep", "0"]), 2, &["1 or more"]);
    assert_eq!(fs::read_dir(test.state.path()).unwrap().count(), 0);
}

#[test]
fn a_rollback_goes_back_and_an_update_does_not_undo_it() {
    let test = Test::new();
    assert_says(
        &test.geoip("rollback", &[]),
        2,
        &["no data was fetched there"],
    );
    test.update(&[]);
    assert_says(
        &test.geoip("rollback", &[]),
        1,
        &["keeps no generation before"],
    );
    test.serve(NEWER);
    test.update(&[]);
    let words = ["office: data of 2026-07-07, fetched 2", "is in force again"];
    assert_says(&test.geoip("rollback", &["office"]), 0, &words);
    let read = || fs::read_to_string(test.state.path().join("office/current/office.csv")).unwrap();
    assert_eq!(read(), GOOD);
    assert_says(
        &test.update(&[]),
        1,
        &["refused: it was in force, and was rolled back"],
    );
    assert_eq!(read(), GOOD);
    test.serve(&format!("{NEWER}# newer\n"));
    assert_says(&test.update(&[]), 0, &["is in force"]);
    assert_says(&test.geoip("rollback", &["nobody"]), 1, &["it has office"]);
}

#[test]
fn other_verbs_read_the_directory_as_one_source() {
    let test = Test::new();
    test.update(&[]);
    let current = test.current();
    let geodrop = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_geodrop"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let info = geodrop(&["geoip", "info", "--json", &current]);
    let source = &info["sources"][0];
    assert_eq!(
        (&source["date"], &source["format"]),
        (&"2026-07-07".into(), &"ranges".into())
    );
    assert_eq!(source["url"], test.server.url("/office.csv"));
    assert!(
        source["checksum"].as_str().unwrap().starts_with("sha256-"),
        "{source}"
    );
    let lookup = geodrop(&[
        "lookup", "--json", "--geoip", &current, "--block", "CN", "1.2.3.4",
    ]);
    assert_eq!(lookup[0]["country"], "CN");
}

#[test]
fn a_list_of_prefixes_is_of_the_country_that_it_is_named_after() {
    let test = Test::new();
    test.serve("1.0.1.0/24\n");
    let source = format!("cn={}", test.server.url("/list.txt"));
    assert_says(&test.geoip("update", &[&source]), 0, &["is in force"]);
    let source = format!("china={}", test.server.url("/list.txt"));
    assert_says(
        &test.geoip("update", &[&source]),
        1,
        &["no word of the country"],
    );
}
