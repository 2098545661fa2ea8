//! `geodrop watch`: what it shows of packets that drop, while filters come, go and are replaced.

use std::{fs, path::PathBuf, thread, time::Duration};

use aya::maps::{Array, Map, MapData};
use etherparse::PacketBuilder;
use geodrop::datapath::Hook;
use jiff::Timestamp;
use pcap_file::{
    DataLink,
    pcapng::{
        Block, PcapNgReader,
        blocks::{
            enhanced_packet::EnhancedPacketOption,
            interface_description::InterfaceDescriptionOption,
        },
    },
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::host::{BLOCKED, HOOKS, Host, OTHER, Run, assert_eventually};

const ENFORCE: &[&str] = &["attach", "-i", "server", "--block", "CN"];
const MONITOR: &[&str] = &["attach", "-i", "server", "--block", "CN", "--monitor"];

/// `geodrop watch` under way on the host.
fn watch(host: &Host, arguments: &[&str]) -> Run {
    host.start_until("watching server", &[&["watch"], arguments].concat())
}

/// The next line of `geodrop watch --json`.
fn object(run: &mut Run) -> Value {
    serde_json::from_str(&run.line()).unwrap()
}

/// Ends a watch by a signal; returns what it said at the end.
fn end(mut run: Run) -> String {
    run.signal(Signal::INT);
    let (status, said) = run.wait();
    assert_eq!(status, Some(0), "{said}");
    said
}

/// A datagram from an address in China.
fn datagram(port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([1, 0, 1, 1], [192, 0, 2, 1], 64)
        .udp(40000, port)
        .write(&mut frame, b"data")
        .unwrap();
    frame
}

/// Where a watch of the host's filter is pinned.
fn pins(host: &Host) -> PathBuf {
    let mut places = fs::read_dir(&host.pins).unwrap();
    places.next().unwrap().unwrap().path().join("watch")
}

#[test]
fn packets_that_drop_are_shown_as_they_come() {
    for hook in HOOKS {
        let host = Host::at(hook);
        host.succeed(ENFORCE);
        let before = Timestamp::now();
        let mut run = watch(&host, &["--json"]);
        assert!(host.admits(OTHER));
        host.send(&datagram(53));
        let mut shown = object(&mut run);
        let time: Timestamp = shown["time"].take().as_str().unwrap().parse().unwrap();
        assert!(before <= time && time <= Timestamp::now());
        assert_eq!(
            shown,
            json!({
                "time": null, "interface": "server", "verdict": "drop", "enforced": true, "reason": "country",
                "country": "CN", "rule": null, "source": "1.0.1.1", "destination": "192.0.2.1", "protocol": "udp",
                "source_port": 40000, "port": 53, "bytes": 46,
            })
        );
        assert!(!host.admits("2400:3200::1"));
        assert_eq!(object(&mut run)["source"], "2400:3200::1");
        run.signal(Signal::TERM);
        assert_eq!(
            object(&mut run),
            json!({"summary": {"shown": 2, "filtered": 0, "left_out": 0, "lost": 0}})
        );
        assert_eq!(run.wait().0, Some(0));
    }
}

#[test]
fn people_get_lines_that_stand_below_each_other() {
    let host = Host::new();
    host.succeed(&[ENFORCE, &["--deny", "9.9.9.9"]].concat());
    let mut run = watch(&host, &[]);
    host.send(&datagram(53));
    let head = run.line();
    let line = run.line();
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        ["time", "why", "source", "to", "verdict", "interface"]
    );
    let columns: Vec<_> = line.split_whitespace().collect();
    assert_eq!(columns[1..], ["CN", "1.0.1.1", "udp/53", "drop", "server"]);
    assert_eq!(columns[0].len(), "12:34:56.789".len());
    assert_eq!(head.find("interface"), line.find("server"));
    assert!(!line.contains('\u{1b}'), "colours are for terminals");
    assert!(!host.admits("9.9.9.9"));
    assert!(run.line().contains(" deny "));

    // It goes on when the filter is replaced.
    host.succeed(MONITOR);
    assert!(host.admits(BLOCKED));
    assert!(run.line().contains("  would drop  "));
    let said = end(run);
    assert!(
        said.contains(
            "3 packets shown; not shown: 0 that were not asked for, 0 left out by --rate, 0 that came"
        ),
        "{said}"
    );
}

#[test]
fn what_was_not_asked_for_is_counted_and_what_was_ends_it() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--block", "CN,HK"]);
    let arguments = [
        "--country",
        "CN",
        "--port",
        "50-60",
        "--proto",
        "udp",
        "--source",
        "1.0.1.0/24",
        "--count",
        "2",
        "--json",
    ];
    let mut run = watch(&host, &arguments);
    for port in [80, 53, 61] {
        host.send(&datagram(port));
    }
    assert!(!host.admits("143.89.1.1"));
    host.send(&datagram(60));
    assert_eq!(object(&mut run)["port"], 53);
    assert_eq!(object(&mut run)["port"], 60);
    assert_eq!(
        object(&mut run)["summary"],
        json!({"shown": 2, "filtered": 3, "left_out": 0, "lost": 0})
    );
    assert_eq!(run.wait().0, Some(0));
    let said = host.succeed(&["watch", "--for", "1s", "--json"]);
    assert!(said.starts_with("{\"summary\":"), "{said}");
}

#[test]
fn each_packet_is_shown_or_counted_under_a_flood() {
    let host = Host::new();
    host.succeed(ENFORCE);
    let mut run = watch(&host, &["--json", "--rate", "10"]);
    let source: std::net::Ipv4Addr = BLOCKED.parse().unwrap();
    let load = host.under_load(&[source], 1, || thread::sleep(Duration::from_millis(300)));
    assert_eq!(load.received, 0);
    run.signal(Signal::INT);
    let summary = loop {
        let object = object(&mut run);
        if let Some(summary) = object.get("summary") {
            break summary.clone();
        }
        assert_eq!(object["source"], BLOCKED);
    };
    let [shown, left_out, lost] =
        ["shown", "left_out", "lost"].map(|name| summary[name].as_u64().unwrap());
    assert!(shown >= 10 && left_out > shown, "{summary}");
    assert_eq!(shown + left_out + lost, load.sent);
}

#[test]
fn a_capture_can_be_read_elsewhere() {
    for hook in HOOKS {
        let host = Host::at(hook);
        host.succeed(ENFORCE);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dropped.pcapng");
        let before = Timestamp::now();
        let run = watch(&host, &["--count", "2", "--pcap", path.to_str().unwrap()]);
        let plain = datagram(53);
        // A tag, which the network stack keeps apart from the packet.
        let mut tagged = plain.clone();
        tagged.splice(12..12, [0x81, 0x00, 0x20, 0x07]);
        tagged.resize(1000, 0xab);
        host.send(&plain);
        host.send(&tagged);
        let mut run = run;
        assert_eq!(run.wait().0, Some(0));

        let bytes = fs::read(&path).unwrap();
        // The type of the first block, and the number that tells in which order bytes are.
        assert_eq!(bytes[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
        assert_eq!(bytes[8..12], 0x1a2b_3c4d_u32.to_ne_bytes());
        let mut reader = PcapNgReader::new(bytes.as_slice()).unwrap();
        let mut packets = Vec::new();
        let mut interfaces = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.unwrap().into_owned() {
                Block::InterfaceDescription(one) => interfaces.push(one),
                Block::EnhancedPacket(packet) => packets.push(packet),
                other => panic!("{other:?}"),
            }
        }
        let [interface] = interfaces.as_slice() else {
            panic!("not one interface: {interfaces:?}");
        };
        assert_eq!(interface.linktype, DataLink::ETHERNET);
        assert_eq!(
            interface.options,
            [
                InterfaceDescriptionOption::IfName("server".into()),
                InterfaceDescriptionOption::IfTsResol(9)
            ]
        );
        let captured: Vec<_> = packets.iter().map(|packet| &packet.data[..]).collect();
        // At tcx the tag comes on top of what is told of the packet.
        let told = if hook == Hook::Tcx { 132 } else { 128 };
        assert_eq!(captured, [&plain[..], &tagged[..told]]);
        let lengths: Vec<_> = packets.iter().map(|packet| packet.original_len).collect();
        assert_eq!(lengths, [46, 1000]);
        for packet in &packets {
            let time = Timestamp::UNIX_EPOCH + packet.timestamp;
            assert!(before <= time && time <= Timestamp::now());
            assert_eq!(
                packet.options,
                [EnhancedPacketOption::Comment("geodrop: drop, CN".into())]
            );
        }
    }
}

#[test]
fn it_ends_when_no_filter_is_left_and_goes_on_with_another_one() {
    let host = Host::new();
    host.succeed(ENFORCE);
    host.ip(&["link", "set", "lo", "up"]);
    host.succeed(&["attach", "-i", "lo", "--block", "CN", "--mode", "generic"]);
    let mut run = host.start_until("watching ", &["watch", "--json"]);
    // Detached and attached in one second or not: it is watched in either case.
    host.succeed(&["detach", "-i", "server"]);
    host.succeed(ENFORCE);
    assert_eventually(|| cell(&host) != 0);
    host.send(&datagram(54));
    assert_eq!(object(&mut run)["port"], 54);
    host.succeed(&["detach", "--all"]);
    let (status, said) = run.wait();
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("server: the filter was taken off")
            && said.contains("lo: the filter was taken off")
            && said.contains("no filter is left"),
        "{said}"
    );
    host.assert_free();
}

/// Until when somebody watches the filter on the interface `server`, as the kernel has it; zero if nobody does.
fn cell(host: &Host) -> u64 {
    let index = host.veth.server.interface.index.to_string();
    let mut places = fs::read_dir(&host.pins).unwrap().flatten();
    let place = places
        .find(|place| {
            place
                .file_name()
                .to_str()
                .unwrap()
                .ends_with(&format!("-{index}"))
        })
        .unwrap();
    let map = MapData::from_pin(place.path().join("watch/cell")).unwrap();
    let cell: Array<_, [u64; 3]> = Map::Array(map).try_into().unwrap();
    let [until, ..] = cell.get(&0, 0).unwrap();
    until
}

#[test]
fn one_that_is_killed_is_forgotten_and_two_at_a_time_are_refused() {
    let host = Host::new();
    host.succeed(ENFORCE);
    let mut run = watch(&host, &[]);
    let said = host.fail(1, &["watch", "--for", "1s"]);
    assert!(
        said.contains(&format!(
            "process {} (geodrop) watches the filter on server",
            run.id()
        )),
        "{said}"
    );
    run.kill();
    let left = cell(&host);
    assert_ne!(left, 0, "it could not say that it ended");
    // The first packet after its time lets it be forgotten.
    assert_eventually(|| {
        assert!(!host.admits(BLOCKED));
        cell(&host) == 0
    });
    let run = watch(&host, &["--json"]);
    assert!(cell(&host) > left);
    end(run);
    assert_eq!(cell(&host), 0);
}

#[test]
fn what_cannot_be_done_is_refused_with_what_can() {
    let host = Host::new();
    let said = host.fail(1, &["watch"]);
    assert!(said.contains("no filter is attached"), "{said}");
    let said = host.fail(1, &["watch", "-i", "server"]);
    assert!(
        said.contains("no filter of geodrop's is attached to server"),
        "{said}"
    );
    host.succeed(ENFORCE);
    for (arguments, words) in [
        (
            &["--json", "--pcap", "-"] as &[&str],
            "name a file for --pcap",
        ),
        (&["--country", "XX"], "--country: "),
        (&["--proto", "x"], "write tcp, udp, icmp"),
        (&["--port", "tcp/22"], "write 22, or 8000-8100"),
        (&["--rate", "0"], "0"),
    ] {
        let said = host.fail(2, &[&["watch"], arguments].concat());
        assert!(said.contains(words), "{said}");
    }
    let said = host.fail(1, &["watch", "--pcap", "/nowhere/x.pcapng"]);
    assert!(
        said.contains("making the capture /nowhere/x.pcapng"),
        "{said}"
    );
    // As another version may have left it.
    fs::remove_file(pins(&host).join("events")).unwrap();
    let said = host.fail(1, &["watch"]);
    assert!(said.contains("attach it anew"), "{said}");
    host.succeed(ENFORCE);
    end(watch(&host, &[]));
}

#[test]
fn without_perfmon_packets_are_shown_too() {
    let bounds = "-perfmon,-sys_admin";
    for hook in HOOKS {
        let host = Host::at(hook);
        host.succeed_with(bounds, ENFORCE);
        let mut run = watch(&host, &["--json", "--count", "1"]);
        host.send(&datagram(53));
        assert_eq!(object(&mut run)["port"], 53);
        assert_eq!(run.wait().0, Some(0));
    }
}
