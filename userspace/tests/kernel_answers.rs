//! What becomes of a packet whose sender is to be told: the answer that `geodrop_common` makes of it, in its place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load a program has failed"
)]

mod frames;
mod loader;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya::programs::TestRunOptions;
use frames::{tcp, udp};
use geodrop::{
    datapath::{
        Hook,
        generation::{Generation, Plan},
    },
    geoip::Regions,
    policy::{CountryRule, Policy, Ruleset},
    table::Engine,
};
use geodrop_common::{
    refusal::{Answer, Refusal},
    transport::{Family, IpHeader, Transport},
};
use loader::{Loader, with_each};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 0, 1, 1));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));
const PEER_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 1));
const HERE_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0, 0, 0, 0, 0, 0x8888));

/// Refuses everybody, and tells them.
fn load(hook: Hook, loader: Loader) -> Generation {
    let policy = Policy {
        countries: CountryRule::Only([].into()),
        ..Policy::default()
    };
    loader.load(Plan {
        hook,
        reject: true,
        ..Plan::by_address(
            &Ruleset::new(&policy, &Regions::default()),
            Engine::default(),
        )
    })
}

/// What the program answers, and what it leaves of the frame.
fn run(filter: &Generation, frame: &[u8]) -> (u32, Vec<u8>) {
    let mut left = vec![0; 2048];
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut left),
        ..TestRunOptions::default()
    };
    let result = filter.test_run(options).unwrap();
    let length = result.data_size_out as usize;
    left.truncate(length);
    (result.return_value, left)
}

/// The answer to a frame whose IP header starts at `offset`: its addresses turned round, all up to the IP packet as it was.
fn answer(frame: &[u8], offset: usize, family: Family) -> Vec<u8> {
    let transport = Transport::of(frame, IpHeader { offset, family }).unwrap();
    let mut answer = Answer::EMPTY;
    let refusal = Refusal::of(frame, &transport, &mut answer).unwrap();
    [
        answer.ethernet(),
        &frame[12..offset],
        &answer.packet()[..refusal.length()],
    ]
    .concat()
}

fn tagged(mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
    frame
}

/// `XDP_TX` and `XDP_DROP` of `include/uapi/linux/bpf.h`, `TC_ACT_REDIRECT` and `TC_ACT_SHOT` of `pkt_cls.h`.
const HOOKS: [(Hook, u32, u32); 2] = [(Hook::Xdp, 3, 1), (Hook::Tcx, 7, 2)];

#[test]
fn the_answer_takes_the_place_of_the_packet() {
    for ((hook, sent, _), loader) in with_each(HOOKS) {
        let filter = load(hook, loader);
        for (peer, here, family) in [(PEER, HERE, Family::Ipv4), (PEER_6, HERE_6, Family::Ipv6)] {
            let (from, to) = ((peer, 50000), (here, 443));
            // Longer than their answers, and shorter.
            let long = [tcp(from, to, "ack"), vec![0; 1000]].concat();
            for frame in [tcp(from, to, "syn"), long, udp(from, to)] {
                for (frame, offset) in [(frame.clone(), 14), (tagged(frame), 18)] {
                    let expected = (sent, answer(&frame, offset, family));
                    assert_eq!(run(&filter, &frame), expected, "{hook:?}: {frame:02x?}");
                }
            }
        }
    }
}

#[test]
fn what_gets_no_answer_is_dropped_as_it_is() {
    for ((hook, _, dropped), loader) in with_each(HOOKS) {
        let frame = tcp((PEER, 50000), (HERE, 443), "rst");
        let left = run(&load(hook, loader), &frame);
        assert_eq!(left, (dropped, frame), "{hook:?}");
    }
}
