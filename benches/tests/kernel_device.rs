//! What is compared in a device drops what it should, and every packet is accounted for: a fast filter that does not filter would
//! be no figure. Needs root; of others' filters those are tried that are installed.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use geodrop_bench::{
    basis::Basis,
    device::{
        blocked::Blocked,
        case::{Case, Length, Spread},
        contestant::Contestant,
        flood::{self, Peer, Rate},
        goals,
        report::Row,
        rig::Rig,
        start, tool, turns,
    },
    measure::{Effort, allowed_cpus},
    tables::Countries,
};

/// More than the generator sends before it knows how long it takes.
const FRAMES: u64 = 100_000;

/// How many addresses xdp-filter is given, which takes 3 ms each.
const ADDRESSES: usize = 64;

const ONCE: Effort = Effort {
    least_runs: FRAMES,
    ..Effort::TRY
};

fn china() -> Blocked {
    Blocked::of(Countries::China, &Basis::builtin().unwrap()).unwrap()
}

fn is_installed(contestant: Contestant) -> bool {
    contestant.peer().is_none_or(|peer| {
        let mut commands = peer.commands().iter();
        let missing = commands.find(|command| !tool::is_installed(command));
        if let Some(command) = missing {
            eprintln!(
                "{} is not tried: there is no `{command}`",
                contestant.name()
            );
        }
        missing.is_none()
    })
}

fn rigs(contestants: &[Contestant], blocked: &Blocked, cores: usize) -> Vec<Rig> {
    contestants
        .iter()
        .filter(|contestant| is_installed(**contestant))
        .map(|contestant| Rig::new(*contestant, blocked, cores, ADDRESSES).unwrap())
        .collect()
}

/// Every packet of a row was dropped or delivered, and half of them either way.
fn check_halves(row: &Row) {
    let Some(ledger) = &row.ledger else {
        assert_eq!(row.contestant, Contestant::Generator.name());
        return;
    };
    assert_eq!(ledger.losses(), None, "{}", row.contestant);
    let expected = match row.contestant.as_str() {
        "XDP_DROP" => ledger.sent,
        "no filter" => 0,
        _ => ledger.sent / 2,
    };
    let off = ledger.dropped.abs_diff(expected);
    assert!(off < ledger.sent / 50, "{}: {ledger:?}", row.contestant);
}

#[test]
fn all_drop_what_is_blocked_and_nothing_else() {
    let blocked = china();
    for rig in rigs(&Contestant::ALL, &blocked, 1) {
        for native in [true, false] {
            let case = Case {
                native,
                ..Case::of(Countries::China)
            };
            if rig.takes_part_in(case) {
                rig.check(&blocked, native).unwrap();
            }
        }
    }
}

#[test]
fn every_packet_of_every_kind_is_accounted_for() {
    let blocked = china();
    let cores = allowed_cpus().unwrap();
    let rigs = rigs(&Contestant::ALL, &blocked, cores.len());
    let half = Case {
        blocked: 50,
        ..Case::of(Countries::China)
    };
    let cases = [
        half,
        Case {
            native: false,
            length: Length::Mixed,
            ..half
        },
        Case {
            length: Length::Long,
            spread: Spread::Zipf,
            ..half
        },
        Case {
            cores: cores.len(),
            spread: Spread::FourThousand,
            ..half
        },
    ];
    for case in cases {
        let rows = turns::measure(case, &rigs, &blocked, &cores, &ONCE, || Ok(())).unwrap();
        assert!(rows.len() > 5);
        for row in &rows {
            assert_eq!(row.case(), case.to_string());
            check_halves(row);
        }
    }
}

#[test]
fn what_is_set_up_is_timed_and_has_its_size() {
    let blocked = china();
    let basis = Basis::builtin().unwrap();
    let mut starts = Vec::new();
    for contestant in start::CONTESTANTS {
        if is_installed(contestant) {
            starts.push(start::measure(contestant, &blocked, &basis, 2, || Ok(())).unwrap());
        }
    }
    for start in &starts {
        assert!(start.ready_ms.median > 0.0 && start.replace_ms.median > 0.0);
        // Of the kernel's memory as a whole others give back some meanwhile.
        let is_known = !start.memory_by_difference;
        assert!(
            !is_known || start.kernel_memory_bytes > 0,
            "{}",
            start.contestant
        );
    }
    let parts = starts[0].parts.as_ref().unwrap();
    assert!(parts.beyond_ms.median < starts[0].ready_ms.median);
    assert!(!goals::of(&[], &starts).is_empty());
}

#[test]
fn a_peer_gets_through_under_a_flood_that_keeps_its_rate() {
    let blocked = china();
    let cores = allowed_cpus().unwrap();
    let rigs = rigs(&flood::CONTESTANTS, &blocked, 1);
    let peers: Vec<_> = rigs
        .iter()
        .map(|rig| Peer::new(rig, &blocked).unwrap())
        .collect();
    for rate in [Rate::None, Rate::PerSecond(50_000)] {
        let rows = flood::measure(rate, &peers, &blocked, 1, &cores, || Ok(())).unwrap();
        assert_eq!(rows.len(), rigs.len());
        for row in rows {
            assert!(row.goodput_mbit.median > 0.0, "{row:?}");
            assert!(row.round_trip_us.median > 0.0, "{row:?}");
            assert!(row.unanswered_percent.median < 100.0, "{row:?}");
            let flood = row.flood_per_second.median;
            match rate {
                Rate::None => assert!(flood < 1.0, "{row:?}"),
                _ => assert!(flood > 1.0 && flood < 55_000.0, "{row:?}"),
            }
        }
    }
}
