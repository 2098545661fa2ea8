//! `geodrop export`, loaded by nft and ipset themselves: packets meet the verdict that the rules say.
//!
//! Behind what was loaded stands a table that notes the sources of all that comes through.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load what it tests has failed"
)]

mod frames;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use geodrop::{
    export::Export,
    geoip::{self, GeoData},
    policy::{Policy, Verdict, config, explain},
    range::{Address, Range},
    testbed::{
        Probe, Veth, Wire,
        probe::Transport,
        veth::{CLIENT_MAC, SERVER_MAC, Settings},
    },
};

/// What a test waits for at most: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many frames are under way at a time; a veth end queues 256.
const WINDOW: usize = 64;

/// Notes who comes through: behind all tables that judge, before routing.
const SEEN: &str = "
    table inet seen {
        set ipv4 { type ipv4_addr; flags dynamic; size 65536; }
        set ipv6 { type ipv6_addr; flags dynamic; size 65536; }
        chain incoming {
            type filter hook prerouting priority -50
            update @ipv4 { ip saddr }
            update @ipv6 { ip6 saddr }
        }
    }
";

/// A host that filters by what was exported.
struct Host {
    veth: Veth,
    wire: Wire,
    next: u32,
}

impl Host {
    fn new() -> Self {
        let veth = Veth::new(Settings::default())
            .expect("kernel tests make network namespaces: run as root");
        let wire = Wire::open(&veth).unwrap();
        let host = Self {
            veth,
            wire,
            next: 0,
        };
        host.feed("nft", &["-f", "-"], SEEN);
        host
    }

    /// Runs a program on the host.
    fn output(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let run = || {
            let mut child = Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| {
                    panic!("{program}: {error}; `cargo xtask test` installs it")
                });
            // What refuses its input ends early, and says why.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        };
        self.veth.server.run(run).unwrap()
    }

    /// Runs a program on the host, which must succeed.
    fn feed(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let output = self.output(program, arguments, input);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Loads what was exported.
    fn load(&self, format: &str, text: &str) {
        if format == "nft" {
            self.feed("nft", &["-f", "-"], text);
            return;
        }
        self.feed("ipset", &["restore"], text);
        // It says itself how it is referred to.
        for line in text.lines() {
            if let Some(command) = line.strip_prefix("#   ") {
                let mut words = command.split(' ');
                let program = words.next().unwrap();
                self.feed(program, &words.collect::<Vec<_>>(), "");
            }
        }
    }

    /// Sends a frame, and then one that passes and by which it is known that the frame is through or gone.
    fn send(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) {
        for frame in frames {
            self.wire.send(&frame).unwrap();
        }
        self.next += 1;
        let source = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + self.next);
        let last = Probe::new(0, source.into(), Transport::Udp);
        self.wire.send(&last.to_frame().unwrap()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let element = format!("get element inet seen ipv4 {{ {source} }}");
        while !self.output("nft", &[&element], "").status.success() {
            assert!(Instant::now() < deadline, "{source} does not come through");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Who has come through.
    fn seen(&self) -> BTreeSet<IpAddr> {
        let mut seen = BTreeSet::new();
        for set in ["ipv4", "ipv6"] {
            let json = self.feed("nft", &["-j", "list", "set", "inet", "seen", set], "");
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let elements = json["nftables"][1]["set"]["elem"].as_array();
            let elements = elements.into_iter().flatten();
            seen.extend(
                elements.map(|element| element.as_str().unwrap().parse::<IpAddr>().unwrap()),
            );
        }
        seen
    }

    /// Whether a frame comes through.
    fn passes(&mut self, frame: Vec<u8>) -> bool {
        self.feed(
            "nft",
            &["flush set inet seen ipv4; flush set inet seen ipv6"],
            "",
        );
        self.send([frame]);
        let own = |address: &IpAddr| matches!(address, IpAddr::V4(ipv4) if ipv4.octets()[0] == 10);
        !self.seen().iter().all(own)
    }
}

fn geodrop(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_geodrop"))
        .arg("export")
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Addresses at the ends of ranges, and beside them, of so many ranges at most.
fn sample<A: Address>(ranges: impl ExactSizeIterator<Item = Range<A>>) -> Vec<A> {
    let step = ranges.len() / 300 + 1;
    let ends = ranges.step_by(step).flat_map(|range| {
        let (first, last) = (range.first(), range.last());
        let outside = [first.predecessor(), last.successor()];
        outside.into_iter().flatten().chain([first, last])
    });
    ends.collect()
}

/// Whether the network stack drops packets from an address before any table sees them.
fn is_never_seen(address: Ipv6Addr) -> bool {
    address.is_multicast() || address.is_loopback() || address.to_ipv4_mapped().is_some()
}

/// Loads what was exported of a policy, and sends packets from the ends of what it drops.
fn check(format: &str, policy: &Policy, data: &GeoData, text: &str) {
    let mut host = Host::new();
    // Twice: what is there is replaced.
    host.load(format, text);
    if format == "nft" {
        host.load(format, text);
    } else {
        host.feed("ipset", &["restore"], text);
    }
    let sources = Export::new(policy, data).blocklist.all();
    let ipv4 = sample(sources.ipv4()).into_iter().map(IpAddr::from);
    let ipv6 = sample(sources.ipv6()).into_iter();
    let ipv6 = ipv6.filter(|address| !is_never_seen(*address));
    let addresses: Vec<_> = ipv4.chain(ipv6.map(IpAddr::from)).collect();
    for window in addresses.chunks(WINDOW) {
        let frames = window.iter().map(|source| {
            let probe = Probe::new(0, *source, Transport::Udp);
            probe.to_frame().unwrap()
        });
        host.send(frames);
    }
    let seen = host.seen();
    let mut fates = [0, 0];
    for address in addresses {
        let passes = explain(policy, data, address).verdict == Verdict::Pass;
        assert_eq!(seen.contains(&address), passes, "{format}: {address}");
        fates[usize::from(passes)] += 1;
    }
    assert!(fates.iter().all(|&count| count > 20), "{fates:?}");
}

#[test]
fn packets_meet_the_verdict_that_lookup_says() {
    let data = geoip::builtin().unwrap();
    for format in ["nft", "ipset"] {
        let text = geodrop(&["--format", format]);
        check(format, &Policy::default(), &data, &text);
    }
}

#[test]
fn packets_meet_the_verdict_of_any_policy() {
    let policy = "
        only = ['AU', 'JP']
        allow = ['1.0.4.0/23', '2002:100:400::/41', '2001:4860::/33']
        deny = ['8.8.8.0/24', '1.0.4.128/25', '192.168.0.0/16', '2001:db8::/32']
    ";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.toml");
    fs::write(&path, policy).unwrap();
    let parsed = config::read(&path).unwrap().settings.policy();
    let files = ["tests/geoip/tor-geoip", "tests/geoip/tor-geoip6"];
    let data = geoip::read(&files).unwrap();
    for format in ["nft", "ipset"] {
        let config = ["--format", format, "--config", path.to_str().unwrap()];
        let text = geodrop(&[&config[..], &["--geoip"], &files].concat());
        check(format, &parsed, &data, &text);
    }
}

#[test]
fn all_addresses_can_be_dropped() {
    for format in ["nft", "ipset"] {
        let mut host = Host::new();
        let deny = ["--deny", "0.0.0.0/0,::/0", "--allow", "10.0.0.0/8"];
        host.load(
            format,
            &geodrop(&[&["--format", format], &deny[..]].concat()),
        );
        for source in ["8.8.8.8", "2001:4860::1", "fe80::1"] {
            let probe = Probe::new(0, source.parse().unwrap(), Transport::Udp);
            assert!(
                !host.passes(probe.to_frame().unwrap()),
                "{format}: {source}"
            );
        }
    }
}

/// An address in China, one in Germany and one elsewhere, by the built-in data.
const CHINA: &str = "1.0.1.1";
const GERMANY: &str = "5.1.128.1";
const ELSEWHERE: &str = "8.8.8.8";

fn policy_of_ports(more: &str) -> String {
    let policy = format!(
        "
        block = ['CN']
        deny = ['9.9.9.9']
        {more}
        [[rules]]
        ports = ['tcp/22', 'udp/53']
        block = ['DE']
        "
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), policy).unwrap();
    geodrop(&["--format", "nft", "--config", file.path().to_str().unwrap()])
}

/// A frame to the host: a SYN, or a datagram.
fn frame(protocol: &str, source: &str, port: u16, destination: &str, to: u16) -> Vec<u8> {
    let ends = [(source, port), (destination, to)].map(|(ip, port)| (ip.parse().unwrap(), port));
    let mut frame = match protocol {
        "tcp" => frames::tcp(ends[0], ends[1], "syn"),
        _ => frames::udp(ends[0], ends[1]),
    };
    frame[..6].copy_from_slice(&SERVER_MAC);
    frame
}

#[test]
fn nft_knows_rules_for_ports() {
    let mut host = Host::new();
    host.load("nft", &policy_of_ports(""));
    for (protocol, source, port, passes) in [
        ("tcp", CHINA, 22, true),
        ("tcp", CHINA, 23, false),
        ("udp", CHINA, 53, true),
        ("udp", CHINA, 22, false),
        ("tcp", GERMANY, 22, false),
        ("tcp", GERMANY, 23, true),
        ("tcp", ELSEWHERE, 22, true),
        ("tcp", "9.9.9.9", 22, false),
    ] {
        let frame = frame(protocol, source, 4000, "192.0.2.1", port);
        assert_eq!(
            host.passes(frame),
            passes,
            "{protocol}/{port} from {source}"
        );
    }
}

#[test]
fn nft_holds_back_what_is_not_in_force() {
    for (more, drops) in [
        ("monitor = true", [false, false]),
        ("effective_from = '2099-01-01T00:00:00Z'", [false, true]),
        ("effective_from = '2020-01-01T00:00:00Z'", [true, true]),
        ("action = 'reject'", [true, true]),
        ("action = 'reject'\nreplies = 'drop'", [true, true]),
    ] {
        let mut host = Host::new();
        host.load("nft", &policy_of_ports(more));
        for (source, drops) in [CHINA, "9.9.9.9"].into_iter().zip(drops) {
            let frame = frame("udp", source, 4000, "192.0.2.1", 4000);
            assert_eq!(host.passes(frame), !drops, "{more}: {source}");
        }
    }
}

#[test]
fn nft_lets_replies_pass_and_nothing_else() {
    for (more, replies_pass) in [("", true), ("replies = 'drop'", false)] {
        let mut host = Host::new();
        host.load("nft", &policy_of_ports(more));
        let server = &host.veth.server;
        server.add_address("192.0.2.1/24".parse().unwrap()).unwrap();
        let mac: Vec<_> = CLIENT_MAC
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let gateway = ["neigh", "add", "192.0.2.2", "dev", "server", "lladdr"];
        host.feed("ip", &[&gateway[..], &[&mac.join(":")]].concat(), "");
        host.feed("ip", &["route", "add", "default", "via", "192.0.2.2"], "");
        let _socket = host
            .veth
            .server
            .run(|| {
                let socket = UdpSocket::bind("192.0.2.1:4000").unwrap();
                for peer in [CHINA, "9.9.9.9"] {
                    socket.send_to(b"?", (peer, 5000)).unwrap();
                }
                socket
            })
            .unwrap();
        for (source, port, passes) in [
            (CHINA, 5000, replies_pass),
            (CHINA, 5001, false),
            ("9.9.9.9", 5000, false),
        ] {
            let frame = frame("udp", source, port, "192.0.2.1", 4000);
            assert_eq!(host.passes(frame), passes, "{more} {source}:{port}");
        }
    }
}
