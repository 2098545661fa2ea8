//! What a lookup in the kernel costs: table × addresses, for IPv4 and IPv6.
//!
//! Criterion gives the time of a whole run, a row for each program: the `baseline`, which does all but
//! the lookup, and each engine. What is wanted is the difference. Criterion cannot give it: it plans how long to
//! measure by the times that it is told, and told only of differences of a few nanoseconds it would take ten
//! times as long as it was asked to; and it measures one row after another, minutes apart. So the
//! baseline is subtracted by `geodrop_bench::measure`, which takes the programs in turns, and the costs
//! are printed at the end, for the cases that criterion was asked for. They are the figures to quote.

#![allow(
    clippy::expect_used,
    reason = "what fails here leaves nothing to measure"
)]

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    process::ExitCode,
    time::Duration,
};

use criterion::{Criterion, Throughput};
use geodrop::{geoip, table::lpm};
use geodrop_bench::{
    call::Purpose,
    family::Family,
    kernel::{Lookups, Program},
    measure::{Estimate, Rounds},
    tables::Table,
    traffic::{self, Traffic},
};

/// The rounds of baseline and engine that a cost is the median of. With 15 the interval is the 4th to the
/// 12th value.
const ROUNDS: usize = 15;

/// The runs of a round: each address is looked up twice.
const RUNS: u32 = 2 * traffic::COUNT;

fn main() -> ExitCode {
    let purpose = Purpose::of_this_process();
    if let Some(status) = purpose.refusal() {
        return status;
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        // A tenth of criterion's own number: otherwise it would resample for longer than it measures.
        .nresamples(10_000)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let regions = geoip::builtin().expect("reading the built-in data").regions;
    let mut costs = Vec::new();
    for table in Table::ALL {
        let ruleset = table.ruleset(&regions);
        let ipv4 = Ipv4Addr::ranges(&ruleset);
        bench(&mut criterion, purpose, table, ipv4, &mut costs);
        let ipv6 = Ipv6Addr::ranges(&ruleset);
        bench(&mut criterion, purpose, table, ipv6, &mut costs);
    }
    criterion.final_summary();
    if purpose == Purpose::Measure {
        print(&costs);
    }
    ExitCode::SUCCESS
}

/// Measures the lookups in one table.
fn bench<A: Family>(
    criterion: &mut Criterion,
    purpose: Purpose,
    table: Table,
    ranges: &[geodrop::policy::Classified<A>],
    costs: &mut Vec<Cost>,
) {
    let entries = lpm::prefixes(ranges);
    let mut lookups = Lookups::load(&entries, traffic::COUNT).expect("loading the programs");
    for traffic in Traffic::ALL {
        let addresses = traffic.addresses(ranges, traffic::COUNT);
        lookups.look_up(&addresses).expect("setting the addresses");
        let name = format!("{} {}/{}", A::NAME, table.name(), traffic.name());
        let mut group = criterion.benchmark_group(format!("kernel lookup/{name}"));
        group.throughput(Throughput::Elements(1));
        let mut chosen = false;
        for program in [Program::Baseline, Program::Lpm] {
            group.bench_function(program.name(), |bencher| {
                chosen = true;
                bencher.iter_custom(|runs| lookups.time(program, runs).expect("a test run"));
            });
        }
        group.finish();
        if chosen {
            let (rounds, runs) = match purpose {
                Purpose::Measure => (ROUNDS, RUNS),
                Purpose::Try => (1, 1),
            };
            let programs = [Program::Baseline, Program::Lpm];
            let rounds = Rounds::measure(rounds, runs, programs, |program, runs| {
                lookups.time(program, runs.into())
            })
            .expect("a test run");
            costs.push(Cost {
                name,
                ranges: ranges.len(),
                entries: entries.len(),
                baseline: rounds.estimate(|[baseline, _]| baseline),
                lpm: rounds.estimate(|[baseline, lpm]| lpm - baseline),
            });
        }
    }
}

/// What a lookup costs in one table, with one traffic.
struct Cost {
    name: String,
    ranges: usize,
    entries: usize,
    /// Nanoseconds of a run without lookup.
    baseline: Estimate,
    /// Nanoseconds that a run with a lookup takes longer.
    lpm: Estimate,
}

fn print(costs: &[Cost]) {
    println!(
        "The cost of a lookup in nanoseconds, the baseline subtracted: median [95 % interval] of {ROUNDS} \
         rounds,\nthe programs in turns, {RUNS} runs each, one lookup a run, {} addresses\n",
        traffic::COUNT
    );
    println!(
        "{:28} {:>8} {:>8}  {:>24}  {:>28}",
        "table/addresses", "ranges", "entries", "baseline", "lookup (lpm)"
    );
    for cost in costs {
        let Cost {
            name,
            ranges,
            entries,
            baseline,
            lpm,
        } = cost;
        println!("{name:28} {ranges:>8} {entries:>8}  {baseline:>24}  {lpm:>28}");
    }
}
