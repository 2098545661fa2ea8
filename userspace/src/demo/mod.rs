//! The whole thing at work: a filter on a veth pair of its own, real packets through it, and each one's fate
//! held against what the policy says of its source.
//!
//! - [`sample`]: which source addresses are tried.
//! - [`judge`](mod@judge): what became of the packets, and where that differs from what should have.
//! - [`burst`]: how many packets a second the filter drops.
//!
//! Nothing is pinned and nothing has a name: whatever ends the process ends all of it.

pub mod burst;
pub mod judge;
pub mod sample;

use std::time::Duration;

use crate::{
    datapath::{
        DatapathError, EngineChoice, ModeChoice,
        counters::Counters,
        generation::{self, Generation},
        interface::Mode,
        privileges,
    },
    geoip::Opinions,
    policy::{Policy, Ruleset},
    testbed::{
        Probe, TestbedError, Veth, Wire,
        probe::Transport,
        veth::{End, Settings},
    },
};

use burst::Bursts;
use judge::Judged;
use sample::Sample;

/// An error of the demo: something was not there to begin with. That a packet met the wrong fate is no error
/// here but a result: see [`Outcome::failures`].
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The filter could not be had.
    #[error(transparent)]
    Datapath(#[from] DatapathError),

    /// The network to try it in could not be had, or lost packets.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
}

/// What is to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// What is to be dropped. Its `monitor` counts for nothing: the demo enforces.
    pub policy: &'a Policy,
    /// The world.
    pub data: Opinions<'a>,
    /// How long a burst lasts, one for each address family.
    pub burst: Duration,
}

/// What the demo is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Make the network, load the filter and attach it.
    Preparing,
    /// Send so many packets.
    Sending(usize),
    /// Send as many as there can be.
    Bursting,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How the filter's rule set came out: ranges of IPv4 and of IPv6 addresses.
    pub ranges: (usize, usize),
    /// The mode that the filter ran in: never `None`, as it is XDP's.
    pub mode: Option<Mode>,
    /// Why it was not native, if it was not.
    pub fallback: Option<String>,
    /// What became of the packets.
    pub judged: Judged,
    /// What the filter counted of them.
    pub counters: Counters,
    /// What it dropped at most.
    pub bursts: Bursts,
}

impl Outcome {
    /// Whatever is not as it should be, a line each; none if all is well.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let wrong = self.judged.wrong.iter().map(ToString::to_string);
        let miscounted = judge::compare(&self.judged.expected, &self.counters);
        wrong
            .chain(miscounted)
            .chain(self.bursts.failures())
            .collect()
    }
}

/// Runs the demo. `tell` hears of each stage before it begins.
///
/// # Errors
///
/// When the filter or the network for it cannot be had: see [`DemoError`].
pub fn run(plan: &Plan<'_>, mut tell: impl FnMut(Stage)) -> Result<Outcome, DemoError> {
    privileges::check()?;
    tell(Stage::Preparing);
    let ruleset = Ruleset::new(plan.policy, plan.data);
    let (filter, _) = EngineChoice::Auto
        .try_with(|engine| Generation::load(generation::Plan::by_address(&ruleset, engine)))?;
    let veth = Veth::new(Settings::default())?;
    let End { interface, .. } = &veth.server;
    let attached = veth
        .server
        .run(|| filter.attach_unpinned(interface, ModeChoice::Auto))??;

    let samples = sample::pick(plan.policy, plan.data);
    let probes = probes(&samples);
    tell(Stage::Sending(probes.len()));
    let fates = Wire::open(&veth)?.fates(&probes, || Ok(filter.counters()?.dropped()))?;
    let counters = filter.counters()?;
    let judged = judge::judge(plan, &samples, &probes, &fates.arrived)?;

    tell(Stage::Bursting);
    let bursts = burst::run(&veth.client, &filter, &ruleset, plan.burst)?;
    Ok(Outcome {
        ranges: (ruleset.ipv4().len(), ruleset.ipv6().len()),
        mode: attached.mode,
        fallback: attached.fallback,
        judged,
        counters,
        bursts,
    })
}

/// What every source sends.
const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::TcpSyn];

/// The packets of all the samples: those of the first one first.
fn probes(samples: &[Sample]) -> Vec<Probe> {
    let packets = samples
        .iter()
        .flat_map(|sample| TRANSPORTS.map(|transport| (sample.address, transport)));
    (0..)
        .zip(packets)
        .map(|(id, (source, transport))| Probe::new(id, source, transport))
        .collect()
}
