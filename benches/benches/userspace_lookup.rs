//! What a lookup costs in userspace: ways of looking up × table × addresses, for IPv4 and IPv6.
//!
//! The multibit trie's code is that which runs in the kernel; beside it stand a binary search over the ranges and
//! well-known crates on the same data. An iteration goes through all addresses, one lookup after the other, none
//! waiting for the one before: a processor overlaps them, so this is throughput and flatters all alike. What a packet
//! pays in the kernel is `kernel_lookup`'s to say.
//!
//! Every way must give the same classes before it is measured. One crate takes too long to build large tables, and has
//! no rows of these. How long each took to build its table is printed at
//! the end, from one time only.

#![allow(
    clippy::expect_used,
    reason = "what fails here leaves nothing to measure"
)]

mod peers;
mod settings;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use criterion::{Criterion, SamplingMode, Throughput};
use geodrop::table::lpm;
use geodrop_bench::{
    basis::Basis,
    call::Purpose,
    tables::{Countries, Table, real_prefixes},
    traffic::Traffic,
};

use self::peers::{Bits, Data};

/// How many addresses are looked up: more than 2^17 differ, and their list is not much of a cache.
const ADDRESSES: u32 = 1 << 18;

fn main() {
    let purpose = Purpose::of_this_process();
    let mut criterion = settings::criterion(100, 400);
    let basis = Basis::builtin().expect("reading the built-in data");
    let mut built = Vec::new();
    bench_family::<Ipv4Addr>(&mut criterion, purpose, &basis, &mut built);
    bench_family::<Ipv6Addr>(&mut criterion, purpose, &basis, &mut built);
    criterion.final_summary();
    if purpose == Purpose::Measure {
        println!("Time to build a table, milliseconds, once");
        for (name, time) in built {
            println!("{name:40} {:>10.1}", time.as_secs_f64() * 1e3);
        }
    }
}

/// Measures the lookups of one family in every table.
fn bench_family<A: Bits>(
    criterion: &mut Criterion,
    purpose: Purpose,
    basis: &Basis,
    built: &mut Vec<(String, Duration)>,
) {
    let real = real_prefixes::<A>(basis.regions());
    let (tables, addresses): (&[Table], _) = match purpose {
        Purpose::Measure => (&Table::ALL, ADDRESSES),
        Purpose::Try => (
            &[Table::Countries(Countries::China), Table::TenThousand],
            64,
        ),
    };
    for &table in tables {
        let ranges = table.ranges(basis, &real);
        let entries = lpm::prefixes(&ranges);
        let data = Data {
            ranges: &ranges,
            entries: &entries,
        };
        let traffics =
            Traffic::ALL.map(|traffic| (traffic, traffic.addresses(&ranges, &real, addresses)));
        let mut sums = None;
        let peers = peers::all::<A>().into_iter();
        for peer in peers.filter(|peer| entries.len() <= peer.most_entries) {
            let name = format!("{} {}", A::NAME, table.name());
            let start = Instant::now();
            let look_up = (peer.build)(data);
            built.push((format!("{name} {}", peer.name), start.elapsed()));
            let found = traffics.each_ref().map(|(_, addresses)| look_up(addresses));
            assert_eq!(*sums.get_or_insert(found), found, "{name} {}", peer.name);
            for (traffic, addresses) in &traffics {
                let name = format!("userspace lookup/{name}/{}", traffic.name());
                let mut group = criterion.benchmark_group(name);
                group
                    .sampling_mode(SamplingMode::Flat)
                    .throughput(Throughput::Elements(u64::from(ADDRESSES)));
                group.bench_function(peer.name, |bencher| bencher.iter(|| look_up(addresses)));
                group.finish();
            }
        }
    }
}
