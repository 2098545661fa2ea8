//! The programs that are measured look up what they should: a fast wrong answer would be no figure.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot load a program has failed"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop::{geoip, policy::Ruleset, table::lpm};
use geodrop_bench::{
    family::Family,
    kernel::{Lookups, Program},
    tables::Table,
    traffic::Traffic,
};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

/// `XDP_DROP` and `XDP_PASS` of `include/uapi/linux/bpf.h`.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

const ADDRESSES: u32 = 1 << 12;

/// Each CPU goes through the addresses on its own, so the test stays on one.
fn stay_on_this_cpu() {
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    sched_setaffinity(None, &here).unwrap();
}

fn check<A: Family>(ruleset: &Ruleset) {
    let ranges = A::ranges(ruleset);
    let mut lookups = Lookups::load(&lpm::prefixes(ranges), ADDRESSES).unwrap();
    for traffic in Traffic::ALL {
        let addresses = traffic.addresses::<A>(ranges, ADDRESSES);
        lookups.look_up(&addresses).unwrap();
        for address in addresses {
            let class = ruleset.class(address.into());
            let expected = if class.number().is_multiple_of(2) {
                XDP_PASS
            } else {
                XDP_DROP
            };
            assert_eq!(
                lookups.action(Program::Lpm).unwrap(),
                expected,
                "{address}: {class:?}"
            );
        }
    }
}

#[test]
fn the_trie_gives_each_address_its_class() {
    stay_on_this_cpu();
    let regions = geoip::builtin().unwrap().regions;
    for table in Table::ALL {
        let ruleset = table.ruleset(&regions);
        check::<Ipv4Addr>(&ruleset);
        check::<Ipv6Addr>(&ruleset);
    }
}
