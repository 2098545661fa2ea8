//! Debian's Prometheus on a host: it scrapes metrics, and has of them what `geodrop status` says; and its tool finds nothing
//! amiss with them, nor with the alert rules.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use super::{
    host::{BLOCKED, Host, Run, assert_eventually},
    metrics::{self, ask, samples},
};

/// Where it listens.
const ADDRESS: &str = "127.0.0.1:9090";

/// A program of Debian's package, which the task that checks alert rules fetches.
fn program(name: &str) -> PathBuf {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut task = Command::new(env!("CARGO"));
        task.args(["run", "--quiet", "--package", "xtask", "--", "alerts"]);
        let output = task.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let target = Path::new(env!("CARGO_BIN_EXE_geodrop")).ancestors().nth(2);
        target.unwrap().join("setup/prometheus/usr/bin")
    });
    DIRECTORY.join(name)
}

/// Prometheus, which scrapes the host that it runs on every 200 ms. It ends with the test.
struct Prometheus {
    _run: Run,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn start(host: &Host) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yml");
        let rules = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../packaging/prometheus/geodrop.rules.yml")
            .canonicalize()
            .unwrap();
        let content = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: [{}]\n\
             scrape_configs: [{{job_name: geodrop, static_configs: [{{targets: ['{}']}}]}}]\n",
            rules.display(),
            metrics::ADDRESS
        );
        fs::write(&config, content).unwrap();
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().display()
            ))
            .arg(format!("--web.listen-address={ADDRESS}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let run = host.spawn(command);
        let listens = || std::net::TcpStream::connect(ADDRESS).is_ok();
        assert_eventually(|| host.veth.server.run(listens).unwrap());
        Self {
            _run: run,
            _directory: directory,
        }
    }

    /// What it answers to a query without blanks that has one answer at most. It listens before it has any.
    fn value(host: &Host, query: &str) -> Option<String> {
        let escaped = query
            .replace('"', "%22")
            .replace('{', "%7B")
            .replace('}', "%7D");
        let (head, body) = ask(host, ADDRESS, &format!("GET /api/v1/query?query={escaped}"));
        if head.contains(" 503 ") {
            return None;
        }
        let answer: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{query}: {error}: {body}"));
        let results = answer["data"]["result"].as_array();
        match results
            .unwrap_or_else(|| panic!("{query}: {answer}"))
            .as_slice()
        {
            [] => None,
            [result] => Some(result["value"][1].as_str().unwrap().to_owned()),
            _ => panic!("{query}: {answer}"),
        }
    }
}

#[test]
fn alert_rules_are_understood_and_fire_when_they_should() {
    assert!(program("promtool").is_file());
}

#[test]
fn the_tool_finds_nothing_amiss_with_the_metrics() {
    let host = metrics::host();
    let _run = host.run(&["--metrics"]);
    assert!(!host.admits(BLOCKED));
    let (_, text) = ask(&host, metrics::ADDRESS, "GET /metrics");
    let mut check = Command::new(program("promtool"));
    check.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut check = check
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = check.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
    assert_eq!(String::from_utf8_lossy(&said), "");
}

#[test]
fn it_has_what_status_says() {
    let host = metrics::host();
    let _run = host.run(&["--metrics", "--block", "CN"]);
    let _prometheus = Prometheus::start(&host);
    host.send_from(BLOCKED, 3);
    let dropped = "geodrop_packets_total{verdict=\"drop\",country=\"CN\",interface=\"server\"}";
    assert_eventually(|| Prometheus::value(&host, dropped).as_deref() == Some("3"));
    let filter = host.filter();
    assert_eq!(filter["counters"]["CN"]["packets"], 3);
    for (query, expected) in [
        ("geodrop_up", "1".to_owned()),
        ("geodrop_generation", filter["generation"].to_string()),
        ("geodrop_memory_bytes", filter["memory_bytes"].to_string()),
        (
            "geodrop_packets_total{verdict=\"pass\",reason=\"other\"}",
            filter["passed"]["packets"].to_string(),
        ),
        (
            "geodrop_bytes_total{country=\"CN\"}",
            filter["counters"]["CN"]["bytes"].to_string(),
        ),
        (
            "geodrop_ranges{family=\"ipv4\"}",
            filter["ranges"]["ipv4"].to_string(),
        ),
    ] {
        assert_eq!(Prometheus::value(&host, query), Some(expected), "{query}");
    }
    // Not one is lost on the way.
    let (_, text) = ask(&host, metrics::ADDRESS, "GET /metrics");
    let all = samples(&text).len().to_string();
    let query = "count({__name__=~\"geodrop_.*\"})";
    assert_eq!(Prometheus::value(&host, query), Some(all));

    let alert = "ALERTS{alertname=\"GeodropFilterGone\"}";
    assert_eq!(Prometheus::value(&host, alert), None);
    host.unplug();
    assert_eventually(|| Prometheus::value(&host, alert).is_some());
}
