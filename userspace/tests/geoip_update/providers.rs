//! The providers that are known by name, asked through a proxy that leads to a server of the tests: the addresses, keys and
//! checksums that they get to see, and that keys are nowhere else.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use assert_cmd::Command;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::server::{Answer, Proxy, Server};

/// The whole world, as every provider has it here.
fn world() -> Vec<u8> {
    fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../data/world.snapshot"
    ))
    .unwrap()
}

/// The SHA-256 of these bytes, in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    let digits = sum.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.map(|digit| char::from_digit(digit.into(), 16).unwrap());
    digits.collect()
}

struct Test {
    server: Server,
    proxy: Proxy,
    state: tempfile::TempDir,
}

impl Test {
    fn new() -> Self {
        let world = world();
        let sha256 = sha256(&world);
        let server = Server::new(move |request, _| match request.target.as_str() {
            // There is no file of this month yet.
            file if file.contains("dbip") && is_this_month(file) => Answer::status(404),
            sum if sum.ends_with("-latest.md5") => {
                Answer::body(format!("MD5 ({sum}) = {MD5_OF_DELEGATIONS}\n"))
            }
            sum if sum.ends_with("tar.gz.sha256") => Answer::body(format!("{sha256}  file\n")),
            sum if sum.ends_with("/checksums") => {
                Answer::body(format!(r#"{{"checksums": {{"sha256": "{sha256}"}}}}"#))
            }
            file if file.contains("delegated") => Answer::body(DELEGATIONS),
            _ => Answer::body(world.clone()),
        });
        Self {
            proxy: Proxy::to(server.address),
            server,
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn update(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command
            .args(["geoip", "update", "--json", "--back-off", "1ms"])
            .arg("--directory")
            .arg(self.state.path())
            .arg("--ca")
            .arg(self.server.authority())
            .args(arguments)
            .env_remove("no_proxy")
            .env("https_proxy", format!("http://{}", self.proxy.address))
            .envs(environment.iter().copied());
        command.output().unwrap()
    }

    fn targets(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests.into_iter().map(|request| request.target).collect()
    }

    fn keys(&self) -> Vec<String> {
        let requests = self.server.requests();
        let keys = requests
            .iter()
            .map(|request| request.header("authorization").to_owned());
        keys.collect()
    }
}

fn outcome(output: &Output) -> String {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(report[0]["error"].is_null(), "{report} {error}");
    report[0]["outcome"].as_str().unwrap().to_owned()
}

fn is_this_month(target: &str) -> bool {
    target.contains(&jiff::Zoned::now().strftime("%Y-%m").to_string())
}

const ENVIRONMENT: [(&str, &str); 3] = [
    ("GEODROP_MAXMIND_ACCOUNT", "4cc0unt"),
    ("GEODROP_MAXMIND_KEY", "m4xk3y"),
    ("GEODROP_IPINFO_TOKEN", "1pt0ken"),
];

/// Nothing of keys: not in what was printed, and not in what was written.
fn assert_no_key(output: &Output, state: &Path) {
    let mut texts = vec![format!("{output:?}").into_bytes()];
    let mut directories = vec![state.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                texts.push(fs::read(path).unwrap());
            }
        }
    }
    // As it is, and as it is sent: `4cc0unt:m4xk3y` in base 64.
    for key in ["4cc0unt", "m4xk3y", "1pt0ken", "NGNjMHVudDptNHhrM3k"] {
        for text in &texts {
            let found = text
                .windows(key.len())
                .any(|window| window == key.as_bytes());
            assert!(!found, "{key} in {}", String::from_utf8_lossy(text));
        }
    }
}

#[test]
fn maxmind_gets_account_and_key_from_the_environment() {
    let test = Test::new();
    let output = test.update(&["maxmind"], &ENVIRONMENT);
    assert_eq!(outcome(&output), "updated");
    assert_eq!(
        test.targets(),
        [
            "/geoip/databases/GeoLite2-Country/download?suffix=tar.gz",
            "/geoip/databases/GeoLite2-Country/download?suffix=tar.gz.sha256",
        ]
    );
    assert!(
        test.proxy
            .hosts()
            .iter()
            .all(|host| host == "download.maxmind.com:443")
    );
    assert_eq!(test.keys(), ["Basic NGNjMHVudDptNHhrM3k="; 2]);
    assert_no_key(&output, test.state.path());
}

#[test]
fn ipinfo_gets_its_token_from_a_file() {
    let test = Test::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[ipinfo]\ntoken = \"1pt0ken\"\n").unwrap();
    let arguments = ["--credentials", file.path().to_str().unwrap(), "ipinfo"];
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let output = test.update(&arguments, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 600"));

    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let output = test.update(&arguments, &[]);
    assert_eq!(outcome(&output), "updated");
    assert_eq!(
        test.targets(),
        ["/data/ipinfo_lite.mmdb", "/data/ipinfo_lite.mmdb/checksums"]
    );
    assert_eq!(test.keys(), ["Bearer 1pt0ken"; 2]);
    assert_no_key(&output, test.state.path());
}

#[test]
fn without_a_key_nobody_is_asked() {
    let test = Test::new();
    let output = test.update(&["maxmind"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = report[0]["error"].as_str().unwrap();
    assert!(error.contains("GEODROP_MAXMIND_KEY"), "{error}");
    assert_eq!(test.targets(), [""; 0]);
}

#[test]
fn db_ip_has_the_file_of_last_month_until_there_is_a_newer_one() {
    let test = Test::new();
    let output = test.update(&["dbip"], &[]);
    assert_eq!(outcome(&output), "updated");
    let targets = test.targets();
    assert_eq!(targets.len(), 2);
    assert!(
        is_this_month(&targets[0]) && !is_this_month(&targets[1]),
        "{targets:?}"
    );
    let file = test
        .state
        .path()
        .join("dbip/current/dbip-country-lite.mmdb.gz");
    assert!(fs::read(file).unwrap() == world());
}

#[test]
fn the_registries_are_one_source() {
    let test = Test::new();
    let output = test.update(&["rir"], &[]);
    // Five times a few rows are not the world.
    assert_eq!(outcome(&output), "refused");
    let mut hosts = test.proxy.hosts();
    hosts.dedup();
    assert_eq!(
        hosts,
        [
            "ftp.afrinic.net:443",
            "ftp.apnic.net:443",
            "ftp.arin.net:443",
            "ftp.lacnic.net:443",
            "ftp.ripe.net:443",
        ]
    );
    assert_eq!(test.targets().len(), 10);
    let output = test.update(&["--accept", "rir"], &[]);
    assert_eq!(outcome(&output), "updated");
    let current = test.state.path().join("rir/current");
    assert!(current.join("delegated-lacnic-extended-latest").exists());
}

/// The words of the unit's command line, with the sources that it fetches if nobody says others.
fn unit_command() -> Vec<String> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../packaging/geodrop-update.service"
    );
    let unit = fs::read_to_string(path).unwrap();
    let value = |key: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap()
    };
    let sources = value("Environment=SOURCES=");
    let command = value("ExecStart=/usr/bin/geodrop ").replace("$SOURCES", sources);
    command.split(' ').map(str::to_owned).collect()
}

#[test]
fn the_unit_fetches_from_the_registries() {
    let test = Test::new();
    let command = unit_command();
    assert_eq!(command[..2], ["geoip", "update"]);
    let words: Vec<_> = command[2..].iter().map(String::as_str).collect();
    outcome(&test.update(&words, &[]));
    assert_eq!(test.proxy.hosts().len(), 10);
}

#[test]
fn ip_location_db_comes_from_its_package() {
    let test = Test::new();
    assert_eq!(outcome(&test.update(&["ip-location-db"], &[])), "updated");
    assert_eq!(
        test.targets(),
        ["/npm/@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb"]
    );
}

const DELEGATIONS: &str = "2|apnic|20260707|1|19830613|20260706|+1000\n\
    apnic|CN|ipv4|1.0.1.0|256|20110414|allocated|A92E1062|e-stats\n";
const MD5_OF_DELEGATIONS: &str = "0abe0c6a7cd40b72ff084ee748739056";
