//! `geodrop export`: what it writes, held against the rules as a person applies them, and against files that show it whole.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use assert_cmd::Command;
use geodrop::{
    export::{Blocklist, Export, Sources},
    geoip::{self, GeoData},
    policy::{
        CountryRule, Policy, PortRule, Ports, Protocol, Ruleset, Unknown, Verdict,
        carrier::CARRIERS, explain_port,
    },
    range::{Address, Range},
};
use predicates::{prelude::*, str::contains};
use serde_json::{Value, json};

fn nets(nets: &[&str]) -> Vec<ipnet::IpNet> {
    nets.iter().map(|net| net.parse().unwrap()).collect()
}

fn countries(codes: &[&str]) -> std::collections::BTreeSet<geoip::Country> {
    codes.iter().map(|code| code.parse().unwrap()).collect()
}

/// Policies that try each rule.
fn policies() -> Vec<Policy> {
    vec![
        Policy::default(),
        // Prefixes within what carries others, and over all of it.
        Policy {
            countries: CountryRule::Only(countries(&["US", "DE"])),
            allow: nets(&[
                "1.0.1.0/24",
                "2002:100:200::/41",
                "::/3",
                "64:ff9b::100:100/121",
            ]),
            deny: nets(&["8.8.8.0/24", "192.168.0.0/16", "2002:808::/33", "2600::/16"]),
            ..Policy::default()
        },
        Policy {
            deny: nets(&["0.0.0.0/0", "::/0"]),
            allow: nets(&["9.9.9.9/32"]),
            ..Policy::default()
        },
        Policy {
            countries: CountryRule::Block(countries(&["CN"])),
            rules: vec![
                PortRule {
                    ports: vec![Ports {
                        protocol: Protocol::Tcp,
                        numbers: 22..=22,
                    }],
                    countries: CountryRule::Only(countries(&["DE"])),
                },
                PortRule {
                    ports: vec![Ports {
                        protocol: Protocol::Udp,
                        numbers: 53..=54,
                    }],
                    countries: CountryRule::Block(countries(&[])),
                },
            ],
            unknown: Some(Unknown::Block),
            ..Policy::default()
        },
    ]
}

/// The addresses at which lists or data change, and those beside them, and those that carry them.
fn edges(data: &GeoData, lists: &[&Sources], policy: &Policy) -> Vec<IpAddr> {
    fn ends<A: Address>(ranges: impl Iterator<Item = Range<A>>) -> Vec<A> {
        let ends = ranges.flat_map(|range| {
            let (first, last) = (range.first(), range.last());
            let outside = [first.predecessor(), last.successor()];
            outside.into_iter().flatten().chain([first, last])
        });
        ends.collect()
    }
    let listed = || policy.allow.iter().chain(&policy.deny).copied();
    let mut carried = Vec::new();
    for list in lists {
        carried.extend(ends(list.ipv4()));
    }
    let mut ipv4 = ends(data.regions.ipv4().iter().map(|located| located.range));
    let mut ipv6 = ends(data.regions.ipv6().iter().map(|located| located.range));
    ipv4.extend(ends::<Ipv4Addr>(listed().filter_map(Range::of_prefix)));
    ipv6.extend(ends::<Ipv6Addr>(listed().filter_map(Range::of_prefix)));
    for list in lists {
        ipv6.extend(ends(list.ipv6()));
    }
    for carrier in CARRIERS {
        let carrying = carried.iter().map(|&address| {
            let net = ipnet::Ipv4Net::from(address);
            carrier.around(net).unwrap().addr()
        });
        ipv6.extend(carrying);
    }
    ipv4.extend(carried);
    ipv4.sort_unstable();
    ipv4.dedup();
    ipv6.sort_unstable();
    ipv6.dedup();
    let ipv4 = ipv4.into_iter().map(IpAddr::from);
    ipv4.chain(ipv6.into_iter().map(IpAddr::from)).collect()
}

#[test]
fn a_blocklist_holds_just_what_the_rules_drop() {
    let world = geoip::builtin().unwrap();
    let few = few();
    for (index, policy) in policies().into_iter().enumerate() {
        // The whole world takes a while.
        let data = if index < 2 { &world } else { &few };
        holds_just_what_the_rules_drop(&policy, data);
    }
}

fn holds_just_what_the_rules_drop(policy: &Policy, data: &GeoData) {
    let blocklist = Blocklist::new(&Ruleset::new(policy, data), policy.rules.len());
    let all = blocklist.all();
    let mut lists = vec![(None, all.clone())];
    for (rule, sources) in policy.rules.iter().zip(&blocklist.by_port) {
        let ports = &rule.ports[0];
        let port = Some((ports.protocol, *ports.numbers.start()));
        lists.push((port, sources.clone()));
    }
    let every: Vec<_> = lists.iter().map(|(_, sources)| sources).collect();
    let edges = edges(data, &every, policy);
    for (port, sources) in &lists {
        for &address in &edges {
            let drops = explain_port(policy, data, address, *port).verdict != Verdict::Pass;
            let listed = sources.contains(address) || blocklist.denied.contains(address);
            assert_eq!(listed, drops, "{address}, {port:?}");
        }
    }
}

/// Some rows of all kinds.
fn few() -> GeoData {
    geoip::read(&["tests/geoip/tor-geoip", "tests/geoip/tor-geoip6"]).unwrap()
}

#[test]
fn prefixes_are_the_fewest_and_hold_the_ranges() {
    fn check<A: Address>(
        ranges: impl Iterator<Item = Range<A>>,
        prefixes: impl Iterator<Item = geodrop::range::Prefix<A>>,
    ) {
        let ranges: Vec<_> = ranges.collect();
        for pair in ranges.windows(2) {
            assert!(pair[0].last().successor().unwrap() < pair[1].first());
        }
        let size = |ranges: &[Range<A>]| ranges.iter().map(|range| range.size()).sum::<u128>();
        let prefixes: Vec<_> = prefixes.map(geodrop::range::Prefix::range).collect();
        assert_eq!(size(&prefixes), size(&ranges));
        assert!(
            prefixes
                .iter()
                .all(|prefix| ranges.iter().any(|range| range.covers(*prefix)))
        );
    }
    let data = few();
    for policy in policies() {
        let all = Export::new(&policy, &data).blocklist.all();
        if all.ipv6().len() > 1 {
            check(all.ipv4(), all.ipv4_prefixes());
            check(all.ipv6(), all.ipv6_prefixes());
        }
    }
}

/// A directory with a policy and data, to export from.
struct Host(tempfile::TempDir);

impl Host {
    fn new(policy: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.write("policy.toml", policy);
        host.write(
            "world.csv",
            "1.0.0.0,1.0.0.255,CN\n1.0.1.0,1.0.1.127,CN\n1.0.2.0,1.0.2.255,DE\n2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,CN\n",
        );
        host
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn export(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command
            .args(["export", "--config", "policy.toml", "--format"])
            .args(arguments)
            .current_dir(self.0.path());
        command
    }

    /// Exports, and compares with a file of `tests/export`; `GEODROP_UPDATE_BASELINE=1` writes that anew.
    fn is_as_in(&self, format: &str, golden: &str) {
        let output = self.export(&[format]).assert().success();
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let text = text.replace(
            concat!("geodrop ", env!("CARGO_PKG_VERSION")),
            "geodrop VERSION",
        );
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/export")
            .join(golden);
        if std::env::var_os("GEODROP_UPDATE_BASELINE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(path).unwrap(), "{golden}");
    }
}

const PLAIN: &str = "
    block = ['CN']
    deny = ['198.51.100.0/24']
    [geoip]
    sources = ['world.csv']
";

/// All that can be said.
const FULL: &str = "
    interfaces = ['eth0', 'eth1']
    block = ['CN']
    allow = ['1.0.0.128/25']
    deny = ['198.51.100.7']
    action = 'reject'
    effective_from = '2099-01-01T00:00:00Z'
    [geoip]
    sources = ['world.csv']
    [[rules]]
    ports = ['tcp/22', 'tcp/20-22', 'tcp/23', 'udp/53']
    block = ['DE']
    [[rules]]
    ports = ['tcp/80']
    block = []
";

#[test]
fn each_format_is_written_so() {
    let host = Host::new(PLAIN);
    for format in ["cidr", "ipset", "nft", "json"] {
        host.is_as_in(format, &format!("plain.{format}"));
    }
    Host::new(FULL).is_as_in("nft", "full.nft");
    let monitor = FULL.replace("action = 'reject'", "monitor = true\nreplies = 'drop'");
    Host::new(&monitor).is_as_in("nft", "monitor.nft");
}

#[test]
fn what_a_list_cannot_say_is_named() {
    let host = Host::new(FULL);
    for format in ["cidr", "ipset", "json"] {
        let mut output = host.export(&[format]).assert().success();
        for named in [
            "the rules for tcp/22, tcp/20-22, tcp/23, udp/53, tcp/80",
            "replies",
            "2099-01-01T00:00:00Z",
            "senders are told",
        ] {
            output = output.stdout(contains(named)).stderr(contains(named));
        }
    }
    // It says all that.
    host.export(&["nft"]).assert().success().stderr("");
    // But not this.
    let host = Host::new(&FULL.replace("action = 'reject'", "replies = 'drop'"));
    host.export(&["nft"])
        .assert()
        .success()
        .stderr(contains("later fragments"));
}

#[test]
fn a_list_can_be_read_back() {
    let host = Host::new(PLAIN);
    host.export(&["cidr", "-o", "list"])
        .assert()
        .success()
        .stdout("");
    let mut lookup = Command::new(env!("CARGO_BIN_EXE_geodrop"));
    lookup
        .args(["lookup", "--json", "--block", "MO", "--deny", "file:list"])
        .args(["--geoip", "builtin", "--"])
        .args([
            "1.0.0.1",
            "1.0.1.127",
            "2002:100:100::",
            "198.51.100.1",
            "2001:200::",
        ])
        .current_dir(host.0.path());
    let output = lookup.assert().success();
    let answers: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    for answer in answers.as_array().unwrap() {
        assert_eq!(answer["reason"], json!("deny"), "{answer}");
    }
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let host = Host::new(PLAIN);
    host.write("list", "what was there");
    host.export(&["cidr", "-o", "list"]).assert().success();
    let text = fs::read_to_string(host.0.path().join("list")).unwrap();
    assert!(text.contains("\n1.0.0.0/24\n"), "{text}");
    assert!(!host.0.path().join("list.new").exists());
    host.export(&["cidr", "-o", "no/such/directory/list"])
        .assert()
        .code(1)
        .stderr(contains("no/such/directory/list"));
    host.export(&["cidr", "-o", "/dev/stdout"])
        .assert()
        .success()
        .stdout(contains("1.0.0.0/24"));
}

#[test]
fn an_interface_may_have_a_policy_of_its_own() {
    let own = "
        interfaces = ['eth0']
        block = ['CN']
        [geoip]
        sources = ['world.csv']
        [[interface]]
        name = 'eth1'
        block = ['DE']
    ";
    let host = Host::new(own);
    host.export(&["nft"])
        .assert()
        .success()
        .stdout(contains("iifname != { \"eth0\" } accept").and(contains("1.0.0.0-1.0.1.127")))
        .stderr(contains("the policies that eth1 have of their own"));
    host.export(&["nft", "-i", "eth1"])
        .assert()
        .success()
        .stdout(contains("iifname != { \"eth1\" } accept").and(contains("1.0.2.0/24")))
        .stderr("");
    Host::new(&own.replace("interfaces = ['eth0']", ""))
        .export(&["nft"])
        .assert()
        .code(2)
        .stderr(contains("--interface eth1"));
}

#[test]
fn what_would_block_nothing_is_refused() {
    Host::new(&PLAIN.replace("'CN'", "'HK'"))
        .export(&["cidr"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(contains("has no address in"));
}

#[test]
fn nft_is_told_of_plain_names_only() {
    Host::new(&FULL.replace("'eth1'", "'et*'"))
        .export(&["nft"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(contains("`et*`"));
}
