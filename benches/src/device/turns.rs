//! A case, measured in turns.

use std::{cell::Cell, thread, time::Duration};

use geodrop::testbed::{
    Generator,
    generator::{Burst, Limit},
};

use super::{blocked::Blocked, case::Case, contestant::Contestant, report::Row, rig::Rig};
use crate::measure::{Effort, Rounds, stay_on};

/// Measures a case with all rigs that can take part in it, on as many of these cores as the case says; where that is one, on the
/// core that this thread is on. `go_on` is asked before each turn.
///
/// # Errors
///
/// When the kernel refuses, and those of `go_on`.
pub fn measure(
    case: Case,
    rigs: &[Rig],
    blocked: &Blocked,
    cores: &[usize],
    effort: &Effort,
    go_on: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Row>> {
    let rigs: Vec<_> = rigs.iter().filter(|rig| rig.takes_part_in(case)).collect();
    let generators: Vec<_> = rigs
        .iter()
        .map(|rig| rig.generator(case, blocked))
        .collect::<anyhow::Result<_>>()?;
    let before: Vec<_> = rigs
        .iter()
        .map(|rig| rig.reading())
        .collect::<anyhow::Result<_>>()?;
    let sent: Vec<_> = rigs.iter().map(|_| Cell::new(0)).collect();
    let cores = &cores[..case.cores.min(cores.len())];
    let places: Vec<_> = (0..rigs.len()).collect();
    let mut attached: Option<usize> = None;
    // Each has its turn apart, as what it does to the caches is its own affair.
    let rounds = Rounds::measure(effort, &places, &places, |place, frames| {
        go_on()?;
        if attached != Some(place) {
            if let Some(other) = attached {
                rigs[other].leave()?;
            }
            rigs[place].enter(case.native)?;
            attached = Some(place);
        }
        let burst = send(&generators[place], frames, cores)?;
        sent[place].set(sent[place].get() + burst.frames);
        Ok::<_, anyhow::Error>(burst.time)
    })?;
    let mut ledgers = Vec::new();
    for ((rig, before), sent) in rigs.iter().zip(&before).zip(&sent) {
        let is_generator = rig.contestant() == Contestant::Generator;
        let ledger = (!is_generator).then(|| rig.ledger(sent.get(), before));
        ledgers.push(ledger.transpose()?);
    }
    for rig in &rigs {
        rig.leave()?;
    }
    let contestants: Vec<_> = rigs.iter().map(|rig| rig.contestant()).collect();
    Ok(Row::of(case, &contestants, &rounds, ledgers))
}

/// Sends so many frames, from each of these cores alike at once, or if there is but one, from that on which this thread is.
fn send(generator: &Generator<'_>, frames: u64, cores: &[usize]) -> anyhow::Result<Burst> {
    let limit = |frames| Limit {
        frames,
        time: Duration::MAX,
    };
    if cores.len() < 2 {
        return Ok(generator.run(limit(frames))?);
    }
    let each = frames.div_ceil(cores.len() as u64);
    let bursts: Vec<anyhow::Result<Burst>> = thread::scope(|scope| {
        let start = |&core: &usize| {
            scope.spawn(move || {
                stay_on(core)?;
                Ok(generator.run(limit(each))?)
            })
        };
        let threads: Vec<_> = cores.iter().map(start).collect();
        threads
            .into_iter()
            .map(|thread| {
                let panicked = |_| Err(anyhow::anyhow!("a thread that sends frames panicked"));
                thread.join().unwrap_or_else(panicked)
            })
            .collect()
    });
    bursts.into_iter().try_fold(Burst::default(), |all, burst| {
        let burst = burst?;
        Ok(Burst {
            frames: all.frames + burst.frames,
            time: all.time.max(burst.time),
        })
    })
}
