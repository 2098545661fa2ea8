//! Metrics: served, written to a file, and printed; to the packet what was sent, and what `geodrop status` says.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    host::{BLOCKED, Host, OTHER, Run, assert_eventually},
    policy::{AMERICA, CHINA, File},
    service,
};
use rustix::process::Signal;

/// Where metrics are served if nothing is said.
pub(crate) const ADDRESS: &str = "127.0.0.1:9469";

/// A host with a loopback interface that is up.
pub(crate) fn host() -> Host {
    let host = Host::new();
    host.ip(&["link", "set", "lo", "up"]);
    host
}

/// Opens a connection on the host.
pub(crate) fn connect(host: &Host, address: &str) -> TcpStream {
    let connect = || TcpStream::connect(address);
    let stream = host.veth.server.run(connect).unwrap();
    let stream = stream.unwrap_or_else(|error| panic!("{address}: {error}"));
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream
}

/// Asks for something on the host; returns the head and the body of the answer.
pub(crate) fn ask(host: &Host, address: &str, request: &str) -> (String, String) {
    ask_for(host, address, request, "*/*")
}

/// The same, of what is accepted.
fn ask_for(host: &Host, address: &str, request: &str, accept: &str) -> (String, String) {
    let mut stream = connect(host, address);
    // Without parts and repeated use of connections, which came with 1.1.
    write!(stream, "{request} HTTP/1.0\r\nAccept: {accept}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Values by metrics with their labels, both as they are written.
pub(crate) type Samples = BTreeMap<String, String>;

/// The samples of a text.
pub(crate) fn samples(text: &str) -> Samples {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.to_owned())
    };
    lines.map(sample).collect()
}

fn scrape_at(host: &Host, address: &str) -> Samples {
    let (head, body) = ask(host, address, "GET /metrics");
    assert!(head.contains(" 200 "), "{head}: {body}");
    samples(&body)
}

pub(crate) fn scrape(host: &Host) -> Samples {
    scrape_at(host, ADDRESS)
}

/// A sample of the host's interface.
fn of_server<'a>(samples: &'a Samples, name: &str) -> Option<&'a str> {
    let sample = samples.get(&format!("{name}{{interface=\"server\"}}"));
    sample.map(String::as_str)
}

/// A real number.
fn real(value: &str) -> f64 {
    value.parse().unwrap()
}

/// How many packets came under a verdict, for a reason.
pub(crate) fn packets(samples: &Samples, verdict: &str, reason: &str, country: &str) -> u64 {
    let name = format!(
        "geodrop_packets_total{{interface=\"server\",verdict=\"{verdict}\",reason=\"{reason}\",country=\"{country}\"}}"
    );
    samples[&name].parse().unwrap()
}

fn run(host: &Host, file: &File, more: &[&str]) -> Run {
    host.run(&[&["--config", file.path(), "--interval", "0"], more].concat())
}

/// A policy that says where metrics are served.
fn served_at(policy: &str, address: &str) -> String {
    format!("metrics = \"{address}\"\n{policy}")
}

#[test]
fn they_are_to_the_packet_what_status_says() {
    let host = host();
    let file = File::new(CHINA);
    let _run = run(&host, &file, &["--metrics"]);
    for _ in 0..3 {
        assert!(!host.admits(BLOCKED));
    }
    assert!(!host.admits("2400:3200::1"));
    assert!(host.admits(OTHER));
    let samples = scrape(&host);
    let status = host.filter();
    assert_eq!(packets(&samples, "drop", "country", "CN"), 4);
    assert_eq!(status["counters"]["CN"]["packets"], 4);
    assert_eq!(
        packets(&samples, "pass", "other", ""),
        status["passed"]["packets"]
    );
    let bytes = "geodrop_bytes_total{interface=\"server\",verdict=\"drop\",reason=\"country\",country=\"CN\"}";
    assert_eq!(
        samples[bytes],
        status["counters"]["CN"]["bytes"].to_string()
    );
    for (name, expected) in [
        ("geodrop_up", "1"),
        ("geodrop_enforcing", "1"),
        ("geodrop_attended", "1"),
        ("geodrop_on_trial", "0"),
        ("geodrop_generation", "1"),
        ("geodrop_reload_failed", "0"),
        ("geodrop_memory_bytes", &status["memory_bytes"].to_string()),
    ] {
        assert_eq!(of_server(&samples, name), Some(expected), "{name}");
    }
    assert_eq!(of_server(&samples, "geodrop_program_runs_total"), None);
    let ranges = "geodrop_ranges{interface=\"server\",family=\"ipv6\"}";
    assert_eq!(samples[ranges], status["ranges"]["ipv6"].to_string());
    let mut names = samples.keys();
    assert!(names.any(|name| name.starts_with("geodrop_data_timestamp_seconds{source=\"")));
}

#[test]
fn they_go_on_over_reloads_and_count_those() {
    let host = host();
    let file = File::new(CHINA);
    let _run = run(&host, &file, &["--metrics"]);
    assert!(!host.admits(BLOCKED));
    file.write(AMERICA);
    host.succeed(&["reload"]);
    assert!(!host.admits(OTHER));
    file.write("block = [\"UK\"]\n");
    host.fail(1, &["reload"]);
    let samples = scrape(&host);
    assert_eq!(packets(&samples, "drop", "country", "CN"), 1);
    assert_eq!(packets(&samples, "drop", "country", "US"), 1);
    assert_eq!(of_server(&samples, "geodrop_generation"), Some("2"));
    assert_eq!(of_server(&samples, "geodrop_reload_failed"), Some("1"));
    assert_eq!(samples["geodrop_reloads_total{result=\"success\"}"], "1");
    assert_eq!(samples["geodrop_reloads_total{result=\"failure\"}"], "1");
    let since = of_server(&samples, "geodrop_generation_timestamp_seconds");
    let since = real(since.unwrap());
    let success = real(&samples["geodrop_last_success_timestamp_seconds"]);
    assert!(
        (since..since + 20.0).contains(&success),
        "{since} {success}"
    );
    assert_ne!(samples["geodrop_warnings"], "0");
}

#[test]
fn an_interface_without_its_filter_is_down() {
    let mut host = host();
    let file = File::new(&format!("interfaces = [\"server\", \"lo\"]\n{CHINA}"));
    let config = ["--config", file.path(), "--metrics"];
    let _run = host.run_with(&config);
    let up = |host: &Host| of_server(&scrape(host), "geodrop_up").map(str::to_owned);
    assert_eq!(up(&host).as_deref(), Some("1"));
    host.unplug();
    assert_eventually(|| up(&host).as_deref() == Some("0"));
    host.plug_in();
    assert_eventually(|| up(&host).as_deref() == Some("1"));
    host.succeed(&["detach", "-i", "server"]);
    assert_eventually(|| up(&host).as_deref() == Some("0"));
    assert_eq!(scrape(&host)["geodrop_up{interface=\"lo\"}"], "1");
}

#[test]
fn only_metrics_are_served_and_only_to_read() {
    let host = host();
    let file = File::new(CHINA);
    let _run = run(&host, &file, &["--metrics"]);
    for (request, status) in [
        ("GET /", "404"),
        ("GET /metrics/", "404"),
        ("POST /metrics", "405"),
        ("DELETE /metrics", "405"),
        ("HEAD /metrics", "200"),
        ("GET /metrics?x=y", "200"),
    ] {
        let (head, body) = ask(&host, ADDRESS, request);
        assert!(
            head.starts_with(&format!("HTTP/1.0 {status} ")),
            "{request}: {head}"
        );
        assert_eq!(body.is_empty(), request.starts_with("HEAD"), "{request}");
    }
    let (head, _) = ask(&host, ADDRESS, "POST /metrics");
    assert!(
        head.to_lowercase().contains("\r\nallow: get, head"),
        "{head}"
    );

    let (head, classic) = ask(&host, ADDRESS, "GET /metrics");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(classic.contains("# TYPE geodrop_packets_total counter\n"));
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (head, open) = ask_for(&host, ADDRESS, "GET /metrics", accept);
    assert!(
        head.contains("application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(open.ends_with("\n# EOF\n"));
}

#[test]
fn who_connects_and_says_nothing_keeps_nobody_waiting() {
    let host = host();
    let file = File::new(CHINA);
    let _run = run(&host, &file, &["--metrics"]);
    let _silent: Vec<_> = (0..6).map(|_| connect(&host, ADDRESS)).collect();
    let mut endless = connect(&host, ADDRESS);
    let _ = endless.write_all(&vec![b'x'; 1 << 20]);
    file.write(AMERICA);
    host.succeed(&["reload"]);
    assert_eq!(of_server(&scrape(&host), "geodrop_generation"), Some("2"));
    // More than are served at once: they are sent away in time.
    let _silent: Vec<_> = (0..20).map(|_| connect(&host, ADDRESS)).collect();
    host.succeed(&["reload"]);
    assert!(!host.admits(OTHER));
}

#[test]
fn an_address_that_is_in_use_is_told_before_anything_changes() {
    let host = host();
    let listen = || TcpListener::bind(ADDRESS).unwrap();
    let taken = host.veth.server.run(listen).unwrap();
    let said = host.fail(1, &["run", "-i", "server", "--metrics"]);
    assert!(
        said.contains(&format!("metrics cannot be served at {ADDRESS}")),
        "{said}"
    );
    assert!(
        said.contains("name another address and port with --metrics"),
        "{said}"
    );
    host.assert_free();

    // The same at a reload: nothing of it comes into force.
    let file = File::new(&served_at(CHINA, "127.0.0.1:9470"));
    let _run = run(&host, &file, &[]);
    file.write(&served_at(AMERICA, ADDRESS));
    let said = host.fail(1, &["reload"]);
    assert!(said.contains(ADDRESS), "{said}");
    assert!(!host.admits(BLOCKED));
    assert_eq!(
        of_server(&scrape_at(&host, "127.0.0.1:9470"), "geodrop_generation"),
        Some("1")
    );

    drop(taken);
    host.succeed(&["reload"]);
    assert!(!host.admits(OTHER));
    assert_eq!(of_server(&scrape(&host), "geodrop_generation"), Some("2"));
    let before = || TcpStream::connect("127.0.0.1:9470").is_err();
    assert!(
        host.veth.server.run(before).unwrap(),
        "the old address is given up"
    );
}

#[test]
fn an_address_may_come_later_and_one_for_others_is_warned_of() {
    let host = host();
    let arguments = ["-i", "server", "--metrics", "192.0.2.77:9469"];
    let _run = host.run_until(
        "warning: whoever can connect to 192.0.2.77:9469",
        &arguments,
    );
    host.await_filter();
    host.ip(&["address", "add", "192.0.2.77/32", "dev", "lo"]);
    assert_eq!(
        of_server(&scrape_at(&host, "192.0.2.77:9469"), "geodrop_up"),
        Some("1")
    );
}

#[test]
fn a_file_is_written_and_goes_with_the_run() {
    let host = host();
    let directory = tempfile::tempdir().unwrap();
    let [path, other] = ["geodrop.prom", "other.prom"].map(|name| directory.path().join(name));
    let says =
        |path: &std::path::Path| format!("metrics_file = {:?}\n{CHINA}", path.to_str().unwrap());
    let file = File::new(&says(&path));
    let mut run = run(&host, &file, &["--keep"]);
    assert_eventually(|| path.exists());
    let samples = samples(&fs::read_to_string(&path).unwrap());
    assert_eq!(of_server(&samples, "geodrop_up"), Some("1"));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);

    file.write(&says(&other));
    host.succeed(&["reload"]);
    assert_eventually(|| other.exists());
    assert!(!path.exists());
    run.signal(Signal::TERM);
    assert_eq!(run.wait().0, Some(0));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    let arguments = [
        "run",
        "-i",
        "server",
        "--metrics-file",
        "/nonexistent/geodrop.prom",
    ];
    let said = host.fail(1, &arguments);
    assert!(said.contains("/nonexistent/geodrop.prom"), "{said}");
}

#[test]
fn of_a_filter_that_stands_alone_they_are_printed() {
    let host = host();
    host.succeed(&["attach", "-i", "server", "--monitor"]);
    assert!(host.admits(BLOCKED));
    let text = host.succeed(&["status", "--metrics"]);
    let samples = samples(&text);
    assert_eq!(packets(&samples, "drop", "country", "CN"), 1);
    assert_eq!(packets(&samples, "drop", "country", "HK"), 0);
    assert_eq!(of_server(&samples, "geodrop_enforcing"), Some("0"));
    assert_eq!(of_server(&samples, "geodrop_attended"), Some("0"));
    assert!(!text.contains("geodrop_reloads_total"), "nobody reloads it");
    host.fail(2, &["status", "--metrics", "--json"]);
}

#[test]
fn what_the_program_costs_is_told_while_the_kernel_looks() {
    let host = host();
    host.succeed(&["attach", "-i", "server"]);
    let costs = || {
        let samples = samples(&host.succeed(&["status", "--metrics"]));
        [
            "geodrop_program_runs_total",
            "geodrop_program_run_seconds_total",
        ]
        .map(|name| of_server(&samples, name).map(real).unwrap_or_default())
    };
    let statistics = aya::sys::enable_stats(aya::sys::Stats::RunTime).unwrap();
    for _ in 0..5 {
        assert!(!host.admits(BLOCKED));
    }
    drop(statistics);
    let [runs, seconds] = costs();
    assert!(runs >= 5.0, "{runs}");
    assert!(seconds > 0.0 && seconds < 1.0, "{seconds}");
}

#[test]
fn the_capabilities_of_the_unit_are_enough() {
    let host = host();
    let file = File::new(&served_at(
        &format!("interfaces = [\"server\"]\n{CHINA}"),
        ADDRESS,
    ));
    let bounded = service::bounded();
    let mut command = Command::new(&bounded[0]);
    command
        .args(&bounded[1..])
        .arg(env!("CARGO_BIN_EXE_geodrop"))
        .args(["run", "--force", "--config", file.path(), "--pin-root"])
        .arg(&host.pins)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _run = host.spawn(command);
    host.await_filter();
    let address_families = service::unit("RestrictAddressFamilies");
    assert!(address_families.contains(&"AF_INET".to_owned()));
    assert!(!host.admits(BLOCKED));
    assert_eq!(packets(&scrape(&host), "drop", "country", "CN"), 1);
}
