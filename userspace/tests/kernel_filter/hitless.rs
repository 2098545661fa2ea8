//! Filters that are replaced while packets come, from a blocked source and an allowed one by turns: not one packet is judged
//! wrong, and each is counted once.
//!
//! What the network stack received says so, not the filter itself. Detaching and attaching in place of replacing shows what is seen of a gap.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use geodrop::{
    datapath::{
        ModeChoice, NewLink,
        counters::Counters,
        generation::{Generation, Plan},
        pins::Root,
        status::Status,
    },
    geoip::builtin,
    policy::{CountryRule, Policy, Ruleset},
    range::Address,
    table::Engine,
};
use rustix::process::Signal;

use super::{
    host::{Done, HOOKS, Host, Load},
    policy::File,
};

/// By the built-in data one in China, which every policy here blocks, and one elsewhere, which none does.
pub(crate) const SOURCES: [Ipv4Addr; 2] = [Ipv4Addr::new(1, 0, 1, 1), Ipv4Addr::new(8, 8, 8, 8)];
const SOURCES_6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0x4860, 0, 0, 0, 0, 0, 0x8888),
];

/// How often a control detaches and attaches: now and then a gap falls between two packets.
const GAPS: usize = 10;

/// Two policies that say the same of the sources, and other things of others.
const POLICIES: [&str; 2] = ["CN,HK", "CN,MO"];

fn assert_all_right(load: Load, dropped: u64, passed: u64) {
    let half = load.sent / 2;
    assert_eq!(load.received, half, "of {load:?}");
    assert_eq!((dropped, passed), (half, half), "of {load:?}");
}

fn assert_gap(load: Load) {
    assert!(load.received > load.sent / 2, "no gap is seen: {load:?}");
}

fn generation(countries: &str, engine: Engine) -> Generation {
    let codes = countries.split(',').map(|code| code.parse().unwrap());
    let policy = Policy {
        countries: CountryRule::Block(codes.collect()),
        ..Policy::default()
    };
    Generation::load(Plan::by_address(
        &Ruleset::new(&policy, &builtin().unwrap().regions),
        engine,
    ))
    .unwrap()
}

fn attach(host: &Host, generation: &Generation) -> NewLink {
    let server = &host.veth.server;
    let attached = server.run(|| generation.attach_unpinned(&server.interface, ModeChoice::Native));
    attached.unwrap().unwrap()
}

#[test]
fn a_thousand_swaps_between_two_generations() {
    let host = Host::new();
    let [first, second] = POLICIES;
    let generations = [
        generation(first, Engine::Multibit),
        generation(second, Engine::Lpm),
    ];
    let mut turns = generations.iter().cycle();
    let link = attach(&host, turns.next().unwrap());
    let load = host.under_load(&SOURCES, 1000, || {
        turns.next().unwrap().replace_under(&link.link).unwrap();
    });
    let counters = [&generations[0], &generations[1]].map(|each| each.counters().unwrap());
    let sum = |of: fn(&Counters) -> u64| counters.iter().map(of).sum();
    assert_all_right(load, sum(Counters::dropped), sum(|all| all.passed.packets));
    assert!(
        counters.iter().all(|all| all.dropped() > 0),
        "one was never in force"
    );

    let mut link = Some(link);
    let load = host.under_load(&SOURCES, GAPS, || {
        drop(link.take());
        link = Some(attach(&host, turns.next().unwrap()));
    });
    assert_gap(load);
}

/// How many packets this counter of `status --json` has, if it is there.
fn packets(counter: &serde_json::Value) -> u64 {
    counter["packets"].as_u64().unwrap_or(0)
}

/// Puts the filter on the host's interface in force so many times, and then detaches and attaches it.
pub(crate) fn assert_hitless<A: Address>(
    host: &Host,
    sources: &[A; 2],
    times: usize,
    renew: impl Fn(usize),
) {
    let counted = || {
        let filter = host.filter();
        let [dropped, passed] = [&filter["counters"]["CN"], &filter["passed"]].map(packets);
        (filter["generation"].clone(), dropped, passed)
    };
    let (_, dropped_before, passed_before) = counted();
    let mut turn = 0;
    let load = host.under_load(sources, times, || {
        turn += 1;
        renew(turn);
    });
    let (generation, dropped, passed) = counted();
    assert_eq!(generation, times + 1);
    assert_all_right(load, dropped - dropped_before, passed - passed_before);
}

/// The control: the same load, with a filter that is taken off before another one comes.
fn assert_detaching_is_not<A: Address>(host: &Host, sources: &[A; 2]) {
    host.succeed(&["attach", "-i", "server"]);
    let load = host.under_load(sources, GAPS, || {
        host.succeed(&["detach", "-i", "server"]);
        host.succeed(&["attach", "-i", "server"]);
    });
    assert_gap(load);
}

#[test]
fn fifty_reloads() {
    let host = Host::new();
    let policy = |turn: usize| format!("block = [{:?}, {:?}]\n", "CN", ["HK", "MO"][turn % 2]);
    let file = File::new(&policy(0));
    let mut run = host.run(&["--config", file.path(), "--interval", "0"]);
    assert_hitless(&host, &SOURCES, 50, |turn| {
        file.write(&policy(turn));
        host.succeed(&["reload"]);
    });
    run.signal(Signal::INT);
    run.wait();
    assert_detaching_is_not(&host, &SOURCES);
}

#[test]
fn what_is_running_is_shown_whole_while_it_is_replaced() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    let root = Root::new(&host.pins);
    let done = AtomicBool::new(false);
    let mut generations = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let read_all = || {
                let mut generations = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let status = Status::read(&root).unwrap();
                    assert_eq!(status.warnings, [""; 0]);
                    generations.extend(status.running.iter().map(|running| running.generation));
                }
                generations
            };
            host.veth.server.run(read_all).unwrap()
        });
        // Also if a command fails.
        let end = Done(&done);
        for turn in 0..10 {
            host.succeed(&["attach", "-i", "server", "--block", POLICIES[turn % 2]]);
        }
        drop(end);
        reader.join().unwrap()
    });
    assert!(generations.is_sorted(), "{generations:?}");
    generations.dedup();
    assert!(generations.len() > 5, "{generations:?}");
}

#[test]
fn ten_commands_that_attach_anew() {
    for hook in HOOKS {
        let host = Host::at(hook);
        let attach =
            |turn| host.succeed(&["attach", "-i", "server", "--block", POLICIES[turn % 2]]);
        attach(0);
        assert_hitless(&host, &SOURCES_6, 10, |turn| {
            attach(turn);
        });
        assert_detaching_is_not(&host, &SOURCES_6);
    }
}
