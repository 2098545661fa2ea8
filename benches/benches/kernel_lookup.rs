//! What a lookup in the kernel costs: engine × table × addresses, for IPv4 and IPv6.
//!
//! Criterion gives the time of a whole run, a row for each program: the `baseline`, which does all but
//! the lookup, and each engine. What is wanted is the difference. Criterion cannot give it: it plans how long to
//! measure by the times that it is told, and told only of differences of a few nanoseconds it would take ten
//! times as long as it was asked to; and it measures one row after another, minutes apart. So the
//! baseline is subtracted by `geodrop_bench::measure`, which takes the programs in turns, and the costs
//! are printed at the end, for the cases that criterion was asked for. They are the figures to quote.
//!
//! All programs are loaded with `CAP_PERFMON`; `geodrop-bench` shows what they cost without.

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

use criterion::{Criterion, Throughput};
use geodrop_bench::{
    basis::Basis,
    built::time_to_free,
    call::Purpose,
    costs::Costs,
    family::Family,
    kernel::{Lookups, Program, Tables},
    measure::{Effort, Rounds, stay_on_this_cpu},
    privilege::Privilege,
    tables::{Table, real_prefixes},
    traffic::{self, Traffic},
};

/// The rounds of which a cost is the median. With 15 the interval is the 4th to the 12th value.
const EFFORT: Effort = Effort {
    turn: Duration::from_millis(40),
    least_runs: 1 << 18,
    parts: 2,
    time: Duration::from_secs(4),
    least_rounds: 7,
    most_rounds: 15,
};

fn main() -> ExitCode {
    let purpose = Purpose::of_this_process();
    if let Some(status) = purpose.refusal() {
        return status;
    }
    let mut criterion = settings::criterion(200, 600);
    stay_on_this_cpu().expect("staying on one CPU");
    let basis = Basis::builtin().expect("reading the built-in data");
    let mut costs = Vec::new();
    bench_family::<Ipv4Addr>(&mut criterion, purpose, &basis, &mut costs);
    bench_family::<Ipv6Addr>(&mut criterion, purpose, &basis, &mut costs);
    criterion.final_summary();
    if purpose == Purpose::Measure {
        print(&costs);
    }
    ExitCode::SUCCESS
}

/// Measures the lookups of one family in every table.
fn bench_family<A: Family>(
    criterion: &mut Criterion,
    purpose: Purpose,
    basis: &Basis,
    costs: &mut Vec<Case>,
) {
    let real = real_prefixes::<A>(basis.regions());
    for table in Table::ALL {
        // A million prefixes take seconds to build, and what works of 100,000 of them works of these.
        if purpose == Purpose::Try && table == Table::Million {
            continue;
        }
        let ranges = table.ranges(basis, &real);
        let tables = Tables::new(&ranges).expect("building the tables");
        let mut lookups =
            Lookups::load(&tables, traffic::COUNT, Privilege::Full).expect("loading the programs");
        for traffic in Traffic::ALL {
            let addresses = traffic.addresses(&ranges, &real, traffic::COUNT);
            lookups.look_up(&addresses).expect("setting the addresses");
            let name = format!("{} {}/{}", A::NAME, table.name(), traffic.name());
            let chosen = criterion_rows(criterion, &name, &mut lookups);
            if chosen {
                let effort = match purpose {
                    Purpose::Measure => EFFORT,
                    Purpose::Try => Effort::TRY,
                };
                let rounds =
                    Rounds::measure(&effort, &Program::ALL, &Program::APART, |program, runs| {
                        lookups.time(program, runs)
                    })
                    .expect("a test run");
                costs.push(Case {
                    name,
                    ranges: ranges.len(),
                    entries: tables.entries.len(),
                    costs: Costs::of(&rounds),
                });
            }
        }
        drop(lookups);
        thread::sleep(time_to_free(tables.entries.len()));
    }
}

/// Criterion's rows of one case: whole runs. Returns whether it was asked for any.
fn criterion_rows<A: Family>(
    criterion: &mut Criterion,
    name: &str,
    lookups: &mut Lookups<A>,
) -> bool {
    let mut group = criterion.benchmark_group(format!("kernel lookup/{name}"));
    group.throughput(Throughput::Elements(1));
    let mut chosen = false;
    for program in Program::ALL {
        group.bench_function(program.name(), |bencher| {
            chosen = true;
            bencher.iter_custom(|runs| lookups.time(program, runs).expect("a test run"));
        });
    }
    group.finish();
    chosen
}

/// What a lookup costs in one table, with one traffic.
struct Case {
    name: String,
    ranges: usize,
    entries: usize,
    costs: Costs,
}

fn print(cases: &[Case]) {
    println!(
        "The cost of a lookup in nanoseconds, the baseline subtracted: median [95 % interval] of up to {} \
         rounds,\nthe programs in turns, one lookup a run, {} addresses; ratio of lpm to multibit\n",
        EFFORT.most_rounds,
        traffic::COUNT
    );
    println!(
        "{:28} {:>8} {:>8}  {:>22} {:>26} {:>22} {:>22}",
        "table/addresses", "ranges", "entries", "baseline", "lpm", "multibit", "ratio"
    );
    for case in cases {
        let Case {
            name,
            ranges,
            entries,
            costs,
        } = case;
        let Costs {
            baseline,
            lpm,
            engine,
            ratio,
            ..
        } = costs;
        println!(
            "{name:28} {ranges:>8} {entries:>8}  {baseline:>22} {lpm:>26} {engine:>22} {ratio:>22}"
        );
    }
}
