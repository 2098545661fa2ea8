//! How long it takes from the start to a filter that is attached, and which part takes how much of it.
//!
//! | row | from | to |
//! |---|---|---|
//! | `decode` | the bytes of the built-in snapshot | regions |
//! | `resolve` | a policy and regions | a rule set |
//! | `build` | a rule set | both tables, laid out for the default engine |
//! | `load` | a rule set | a program in the kernel, its tables filled: `build` is in it |
//! | `attach` | that program | a link on an interface, in native mode |
//! | `whole` | the snapshot | that link: `decode`, `resolve`, `load` and `attach`, once each |
//!
//! Nothing is pinned, and the interface is one end of a veth pair between two namespaces that are this
//! process's alone. Taking down what was started is not timed.

#![allow(
    clippy::expect_used,
    reason = "what fails here leaves nothing to measure"
)]

mod settings;

use std::{process::ExitCode, time::Duration};

use criterion::{Criterion, SamplingMode};
use geodrop::{
    datapath::{
        DatapathError, ModeChoice, NewLink,
        generation::{Generation, Plan},
    },
    geoip,
    policy::Ruleset,
    table::Engine,
    testbed::veth::{End, Settings, Veth},
};
use geodrop_bench::{basis::Basis, built::Built, call::Purpose, measure::timed, tables::Countries};

fn main() -> ExitCode {
    let purpose = Purpose::of_this_process();
    if let Some(status) = purpose.refusal() {
        return status;
    }
    let mut criterion = settings::criterion(500, 2_000);
    let veth = Veth::new(Settings::default()).expect("making a veth pair");
    let basis = Basis::builtin().expect("reading the built-in data");
    criterion.bench_function("start/decode", |bencher| {
        bencher.iter_with_large_drop(geoip::builtin);
    });
    for table in Countries::ALL {
        bench(&mut criterion, table, &basis, &veth.server);
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// Measures the start of a filter with one table.
fn bench(criterion: &mut Criterion, table: Countries, basis: &Basis, server: &End) {
    let ruleset = basis.ruleset(table);
    // Ten starts of the one and of the other: more would take minutes.
    let (parts, starts) = match table {
        Countries::China | Countries::Own => (Duration::from_secs(2), Duration::from_secs(2)),
        Countries::World => (Duration::from_secs(4), Duration::from_secs(20)),
    };
    let mut group = criterion.benchmark_group(format!("start/{}", table.name()));
    group
        .sampling_mode(SamplingMode::Flat)
        .measurement_time(parts);
    group.bench_function("resolve", |bencher| {
        bencher.iter_with_large_drop(|| basis.ruleset(table));
    });
    group.bench_function("build", |bencher| {
        bencher.iter_with_large_drop(|| {
            let engine = Engine::default();
            (
                Built::new(engine, ruleset.ipv4()),
                Built::new(engine, ruleset.ipv6()),
            )
        });
    });
    group.bench_function("attach", |bencher| {
        let generation = load(&ruleset).expect("loading the filter");
        bencher.iter_custom(|times| {
            server
                .run(|| timed(times, || attach(&generation, server), drop))
                .expect("entering the namespace")
                .expect("attaching the filter")
        });
    });
    group.measurement_time(starts);
    group.bench_function("load", |bencher| {
        bencher.iter_custom(|times| {
            timed(times, || load(&ruleset), drop).expect("loading the filter")
        });
    });
    group.bench_function("whole", |bencher| {
        bencher.iter_custom(|times| {
            server
                .run(|| timed(times, || start(table, server), drop))
                .expect("entering the namespace")
                .expect("starting the filter")
        });
    });
    group.finish();
}

fn load(ruleset: &Ruleset) -> Result<Generation, DatapathError> {
    Generation::load(Plan::by_address(ruleset, Engine::default()))
}

fn attach(generation: &Generation, server: &End) -> Result<NewLink, DatapathError> {
    generation.attach_unpinned(&server.interface, ModeChoice::Native)
}

fn start(table: Countries, server: &End) -> Result<(NewLink, Generation), DatapathError> {
    let basis = Basis::builtin().expect("reading the built-in data");
    let generation = load(&basis.ruleset(table))?;
    Ok((attach(&generation, server)?, generation))
}
