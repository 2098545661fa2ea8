//! How long it takes from ranges to a filled table, and how large that is: engine × table, for IPv4 and IPv6.
//!
//! | row | from | to |
//! |---|---|---|
//! | `build` | sorted, disjoint ranges | the table as its engine lays it out |
//! | `fill` | that table | a map in the kernel that holds it, verified |
//!
//! Memory is printed at the end, as the kernel reckons it. Taking a map down is not timed; the kernel gives the memory
//! of a trie back later, on some CPU, so the next one waits until this is likely to be over.

#![allow(
    clippy::expect_used,
    reason = "what fails here leaves nothing to measure"
)]

mod settings;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    process::ExitCode,
    thread,
    time::Duration,
};

use criterion::{Criterion, SamplingMode};
use geodrop::table::Engine;
use geodrop_bench::{
    basis::Basis,
    built::{Built, ENGINES, memory, time_to_free},
    call::Purpose,
    family::Family,
    measure::timed,
    tables::{Countries, Table, real_prefixes},
};

fn main() -> ExitCode {
    let purpose = Purpose::of_this_process();
    if let Some(status) = purpose.refusal() {
        return status;
    }
    let mut criterion = settings::criterion(200, 1_000);
    let basis = Basis::builtin().expect("reading the built-in data");
    println!("Memory of the kernel that a table takes, KiB; of lpm, its entries alone\n");
    bench_family::<Ipv4Addr>(&mut criterion, purpose, &basis);
    bench_family::<Ipv6Addr>(&mut criterion, purpose, &basis);
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// Measures the tables of one family.
fn bench_family<A: Family>(criterion: &mut Criterion, purpose: Purpose, basis: &Basis) {
    let real = real_prefixes::<A>(basis.regions());
    let tables: &[Table] = match purpose {
        Purpose::Measure => &Table::ALL,
        Purpose::Try => &[Table::Countries(Countries::China)],
    };
    for &table in tables {
        let ranges = table.ranges(basis, &real);
        for engine in ENGINES {
            let name = format!("{} {}", A::NAME, table.name());
            let built = Built::new(engine, &ranges).expect("a table within bounds");
            let pause = match &built {
                Built::Lpm(entries) => time_to_free(entries.len()),
                Built::Multibit(_) => Duration::ZERO,
            };
            let map = built.into_kernel().expect("filling a map");
            let size = memory(&map).expect("a size");
            println!("{name} {engine}: {}", size.div_ceil(1024));
            drop(map);
            thread::sleep(pause);
            rows(criterion, &name, engine, || {
                Built::new(engine, &ranges).expect("a table within bounds")
            });
            let mut group = criterion.benchmark_group(format!("fill/{name}"));
            group.sampling_mode(SamplingMode::Flat);
            group.bench_function(engine.to_string(), |bencher| {
                bencher.iter_custom(|times| {
                    timed(
                        times,
                        || built.into_kernel(),
                        |map| {
                            drop(map);
                            thread::sleep(pause);
                        },
                    )
                    .expect("filling a map")
                });
            });
            group.finish();
        }
    }
}

/// The row of building a table.
fn rows<T>(criterion: &mut Criterion, name: &str, engine: Engine, build: impl Fn() -> T) {
    let mut group = criterion.benchmark_group(format!("build/{name}"));
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function(engine.to_string(), |bencher| {
        bencher.iter_with_large_drop(&build);
    });
    group.finish();
}
