//! The testbed itself, on the running kernel. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use geodrop::{
    datapath::{
        DatapathError, ModeChoice,
        generation::{Generation, Plan},
        interface::{Interface, Mode},
    },
    geoip::Regions,
    policy::{Policy, Ruleset},
    range::Address,
    table::Engine,
    testbed::{
        Generator, Namespace, Probe, TestbedError, Veth, Wire,
        generator::{Frames, Limit},
        probe::{Tags, Transport},
        veth::Settings,
    },
};

/// What a test waits for at most: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// A limit of time that no burst of a test's size reaches.
const LONG: Duration = Duration::from_mins(1);

fn veth() -> Veth {
    Veth::new(Settings::default()).expect("kernel tests make network namespaces: run them as root")
}

/// A filter that denies these prefixes, and nothing else.
fn denying(prefixes: &[&str]) -> Generation {
    let policy = Policy {
        deny: prefixes
            .iter()
            .map(|prefix| prefix.parse().unwrap())
            .collect(),
        ..Policy::default()
    };
    Generation::load(Plan::by_address(
        &Ruleset::new(&policy, &Regions::default()),
        Engine::default(),
    ))
    .unwrap()
}

/// What is dropped where there is no filter.
#[allow(
    clippy::unnecessary_wraps,
    reason = "asking a filter for its counters may fail"
)]
fn nothing() -> Result<u64, DatapathError> {
    Ok(0)
}

fn this_namespace() -> PathBuf {
    fs::read_link("/proc/thread-self/ns/net").unwrap()
}

/// Probes of every kind from two sources.
fn probes(sources: [IpAddr; 2]) -> Vec<Probe> {
    let mut probes = Vec::new();
    for source in sources {
        for transport in [Transport::Udp, Transport::TcpSyn] {
            for tags in [Tags::None, Tags::One, Tags::Two] {
                probes.push(Probe {
                    tags,
                    ..Probe::new(probes.len().try_into().unwrap(), source, transport)
                });
            }
        }
    }
    probes
}

fn ids(probes: &[Probe]) -> BTreeSet<u32> {
    probes.iter().map(|probe| probe.id).collect()
}

#[test]
fn what_runs_in_a_namespace_is_in_it_and_so_are_its_children() {
    let outside = this_namespace();
    let namespace =
        Namespace::new().expect("kernel tests make network namespaces: run them as root");
    let (inside, child) = namespace
        .run(|| {
            let child = Command::new("readlink").arg("/proc/self/ns/net").output();
            let child = String::from_utf8(child.unwrap().stdout).unwrap();
            (this_namespace(), PathBuf::from(child.trim_end()))
        })
        .unwrap();
    assert_ne!(inside, outside);
    assert_eq!(inside, child);
    assert_eq!(outside, this_namespace(), "the caller stays where it is");
}

#[test]
fn a_namespace_dropped_is_gone_with_all_that_is_in_it() {
    let Veth { client, server } = veth();
    drop(client);
    // The kernel takes namespaces apart in the background; the peer goes with its other end.
    let deadline = Instant::now() + PATIENCE;
    while server
        .run(Interface::all)
        .unwrap()
        .unwrap()
        .contains(&server.interface)
    {
        assert!(Instant::now() < deadline, "the client's end is still there");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_probe_arrives_where_there_is_no_filter() {
    let veth = veth();
    let probes = probes(["1.0.1.1".parse().unwrap(), "2400:3200::1".parse().unwrap()]);
    let fates = Wire::open(&veth).unwrap().fates(&probes, nothing).unwrap();
    assert_eq!((fates.arrived, fates.dropped), (ids(&probes), 0));
}

#[test]
fn more_probes_than_an_end_can_queue_arrive() {
    let veth = veth();
    let filter = denying(&[]);
    let _link = attach(&veth, &filter, ModeChoice::Native);
    let source = Ipv4Addr::new(8, 8, 8, 8).into();
    let probes: Vec<_> = (0..2000)
        .map(|id| Probe::new(id, source, Transport::Udp))
        .collect();
    let wire = Wire::open(&veth).unwrap();
    let fates = wire
        .fates(&probes, || Ok(filter.counters()?.dropped()))
        .unwrap();
    assert_eq!(fates.arrived, ids(&probes));
    assert_eq!(filter.counters().unwrap().passed.packets, 2000);
}

#[test]
fn large_frames_arrive_where_the_mtu_lets_them() {
    let veth = Veth::new(Settings {
        mtu: 9000,
        ..Settings::default()
    })
    .unwrap();
    let source = Ipv4Addr::new(8, 8, 8, 8).into();
    let probe = Probe {
        padding: 8900,
        ..Probe::new(7, source, Transport::Udp)
    };
    let wire = Wire::open(&veth).unwrap();
    let fates = wire.fates(&[probe], nothing).unwrap();
    assert_eq!(fates.arrived, BTreeSet::from([7]));
    let too_large = Probe {
        padding: 9000,
        ..probe
    };
    let error = wire.fates(&[too_large], nothing).unwrap_err().to_string();
    assert!(error.contains("sending a frame of 90"), "{error}");
}

#[test]
fn the_filters_drops_account_for_what_does_not_arrive() {
    for mode in [ModeChoice::Native, ModeChoice::Generic] {
        let veth = veth();
        let filter = denying(&["1.0.0.0/16", "2400:3200::/32"]);
        let _link = attach(&veth, &filter, mode);
        let wire = Wire::open(&veth).unwrap();
        let dropped = || Ok(filter.counters()?.dropped());

        let denied = probes(["1.0.1.1".parse().unwrap(), "2400:3200::1".parse().unwrap()]);
        let fates = wire.fates(&denied, dropped).unwrap();
        assert_eq!((fates.arrived.len(), fates.dropped), (0, 12), "{mode:?}");

        let passed = probes(["8.8.8.8".parse().unwrap(), "2606:4700::1".parse().unwrap()]);
        let fates = wire.fates(&passed, dropped).unwrap();
        assert_eq!(
            (fates.arrived, fates.dropped),
            (ids(&passed), 0),
            "{mode:?}"
        );

        // Nothing was on the wire but what was sent.
        let counters = filter.counters().unwrap();
        let counted = (counters.passed.packets, counters.denied.packets);
        assert_eq!(
            (counted, counters.non_ip.packets),
            ((12, 12), 0),
            "{mode:?}"
        );
    }
}

#[test]
fn frames_that_get_lost_are_an_error_that_says_how_many() {
    let veth = veth();
    let probe = Probe::new(1, Ipv4Addr::LOCALHOST.into(), Transport::Udp);
    let wire = Wire::open(&veth).unwrap();
    let filter = denying(&["127.0.0.0/8"]);
    let _link = attach(&veth, &filter, ModeChoice::Native);
    // Dropped by a filter whose counters are not asked.
    let error = wire.fates(&[probe; 3], nothing).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "of 3 frames sent, 0 arrived and 0 were dropped by the filter; 3 are lost"
        ),
        "{error}"
    );
}

#[test]
fn with_addresses_the_ends_talk() {
    let veth = veth();
    for (client, server) in [
        ("192.0.2.2/24", "192.0.2.1/24"),
        ("2001:db8::2/64", "2001:db8::1/64"),
    ] {
        let (client, server): (ipnet::IpNet, ipnet::IpNet) =
            (client.parse().unwrap(), server.parse().unwrap());
        veth.client.add_address(client).unwrap();
        veth.server.add_address(server).unwrap();
        let receiver = veth
            .server
            .run(|| UdpSocket::bind((server.addr(), 5000)).unwrap())
            .unwrap();
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        let sender = veth
            .client
            .run(|| UdpSocket::bind((client.addr(), 0)).unwrap())
            .unwrap();
        sender.send_to(b"hello", (server.addr(), 5000)).unwrap();
        let mut buffer = [0; 16];
        let (length, from) = receiver.recv_from(&mut buffer).unwrap();
        assert_eq!(
            (&buffer[..length], from.ip()),
            (b"hello".as_slice(), client.addr())
        );
    }
}

#[test]
fn every_frame_of_a_burst_is_counted() {
    let ipv4: Vec<_> = (0..1000)
        .map(|low| Ipv4Addr::from(0x0100_0000 + low))
        .collect();
    let ipv6: Vec<_> = (0..100_u128)
        .map(|low| Ipv6Addr::from((0x2400_3200 << 96) + low))
        .collect();
    for mode in [ModeChoice::Native, ModeChoice::Generic] {
        let veth = veth();
        let filter = denying(&["1.0.0.0/16", "2400:3200::/32"]);
        let _link = attach(&veth, &filter, mode);
        assert_eq!(
            counted_in_a_burst(&veth, &filter, &ipv4),
            100_003,
            "{mode:?}"
        );
        assert_eq!(
            counted_in_a_burst(&veth, &filter, &ipv6),
            100_003,
            "{mode:?}"
        );
        let counters = filter.counters().unwrap();
        assert_eq!(
            (counters.passed.packets, counters.non_ip.packets),
            (0, 0),
            "{mode:?}"
        );
    }
}

/// Sends 100,003 frames, and returns how many the filter denied.
fn counted_in_a_burst<A: Address>(veth: &Veth, filter: &Generation, sources: &[A]) -> u64 {
    let generator = Generator::load(&veth.client, sources, Frames::default()).unwrap();
    let before = filter.counters().unwrap().denied.packets;
    let limit = Limit {
        frames: 100_003,
        time: LONG,
    };
    assert_eq!(generator.run(limit).unwrap().frames, limit.frames);
    filter.counters().unwrap().denied.packets - before
}

#[test]
fn a_burst_takes_its_sources_in_turn() {
    let veth = veth();
    let filter = denying(&["1.0.1.0/24"]);
    let _link = attach(&veth, &filter, ModeChoice::Native);
    // Three sources in four slots: the first one comes twice.
    let sources = [[1, 0, 1, 1], [8, 8, 8, 8], [9, 9, 9, 9]].map(Ipv4Addr::from);
    let generator = Generator::load(&veth.client, &sources, Frames::default()).unwrap();
    let limit = Limit {
        frames: 4000,
        time: LONG,
    };
    generator.run(limit).unwrap();
    let counters = filter.counters().unwrap();
    assert_eq!(
        (counters.denied.packets, counters.passed.packets),
        (2000, 2000)
    );
}

#[test]
fn without_a_filter_a_burst_arrives() {
    let veth = veth();
    let wire = Wire::open(&veth).unwrap();
    let generator =
        Generator::load(&veth.client, &[Ipv6Addr::LOCALHOST], Frames::default()).unwrap();
    let limit = Limit {
        frames: 1000,
        time: LONG,
    };
    generator.run(limit).unwrap();
    let mut arrived = 0;
    while let Some(frame) = wire.receive().unwrap() {
        arrived += u64::from(Probe::id_of(&frame) == Some(0));
    }
    assert_eq!(arrived, limit.frames);
}

#[test]
fn frames_of_several_lengths_are_whole_each() {
    let veth = veth();
    let wire = Wire::open(&veth).unwrap();
    let sources = [[1, 0, 1, 1], [8, 8, 8, 8], [223, 255, 7, 9], [9, 9, 9, 9]].map(Ipv4Addr::from);
    let frames = Frames {
        lengths: &[1514, 60, 590],
        ..Frames::default()
    };
    let generator = Generator::load(&veth.client, &sources, frames).unwrap();
    let limit = Limit {
        frames: 8,
        time: LONG,
    };
    generator.run(limit).unwrap();
    for number in 0..8 {
        let frame = wire.receive().unwrap().unwrap();
        assert_eq!(frame.len(), [1514, 60, 590, 1514][number % 4]);
        let packet = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(etherparse::NetSlice::Ipv4(ip)) = packet.net else {
            panic!("{number}: no IPv4");
        };
        let header = ip.header();
        assert_eq!(header.source_addr(), sources[number % 4]);
        assert_eq!(
            header.header_checksum(),
            header.to_header().calc_header_checksum()
        );
    }
}

#[test]
fn a_generator_alone_sends_nothing() {
    let veth = veth();
    let wire = Wire::open(&veth).unwrap();
    let frames = Frames {
        dropped: true,
        ..Frames::default()
    };
    let generator = Generator::load(&veth.client, &[Ipv4Addr::LOCALHOST], frames).unwrap();
    let limit = Limit {
        frames: 1000,
        time: LONG,
    };
    assert_eq!(generator.run(limit).unwrap().frames, 1000);
    assert_eq!(wire.receive().unwrap(), None);
}

#[test]
fn a_burst_without_sources_is_refused() {
    let veth = veth();
    let error = Generator::load::<Ipv4Addr>(&veth.client, &[], Frames::default()).unwrap_err();
    assert!(
        matches!(error, TestbedError::Sources { given: 0 }),
        "{error}"
    );
}

/// Attaches a filter to the server's end, as long as the link is held.
fn attach(veth: &Veth, filter: &Generation, mode: ModeChoice) -> impl Sized {
    let link = veth
        .server
        .run(|| filter.attach_unpinned(&veth.server.interface, mode))
        .unwrap()
        .unwrap();
    let expected = match mode {
        ModeChoice::Generic => Mode::Generic,
        ModeChoice::Auto | ModeChoice::Native => Mode::Native,
    };
    assert_eq!(link.mode, Some(expected));
    link.link
}
