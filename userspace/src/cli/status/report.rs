//! What `geodrop status` prints for scripts.

use std::{net::IpAddr, path::PathBuf};

use geodrop::{
    Action,
    datapath::{
        about::{GeoipSource, Ranges},
        exceptions::Decision,
        reload::Failure,
        status::{Enforcement, Running, Status},
        trial::Trial,
    },
    geoip::Country,
    policy::config::Choice as _,
    warnings,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::{json::CountersReport, time};

/// What `status --json` prints. Scripts rely on the names.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    interfaces: Vec<InterfaceReport>,
    geoip: Vec<GeoipSource>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct InterfaceReport {
    name: String,
    ifindex: u32,
    hook: &'static str,
    /// Null at the hook tcx, which has no modes.
    mode: Option<String>,
    program_id: u32,
    engine: String,
    generation: u64,
    enforcing: bool,
    /// Under `only`, the countries that are admitted stand in `admitted`, and this is empty.
    blocked: Vec<Country>,
    admitted: Vec<Country>,
    ranges: Ranges,
    memory_bytes: u64,
    #[serde(flatten)]
    counted: CountersReport,
    exceptions: Vec<ExceptionReport>,
    trial: Option<TrialReport>,
    /// Why the last reload failed; null when it did not.
    reload_failure: Option<Failure>,
    /// The configuration that the policy was read from.
    config: Option<PathBuf>,
    /// Since when there has been a filter; null if an older version attached it.
    attached: Option<Timestamp>,
    /// Since when it has been this generation.
    since: Option<Timestamp>,
    version: String,
    /// The process that looks after the filter; null when it stands alone.
    owner: Option<String>,
}

/// A policy that gives way to what was in force before unless it is confirmed.
#[derive(Debug, Serialize)]
struct TrialReport {
    /// Null when that has come: what the rest says is of what was in force before, if there was anything.
    until: Option<Timestamp>,
    /// Whether it is over.
    over: bool,
    /// The generation before; null if there was none.
    before: Option<u64>,
}

impl From<Trial> for TrialReport {
    fn from(Trial { left, before, .. }: Trial) -> Self {
        Self {
            until: left.and_then(time::from_now),
            over: left.is_none(),
            before,
        }
    }
}

/// What was decided for an address while the filter runs.
#[derive(Debug, Serialize)]
struct ExceptionReport {
    ip: IpAddr,
    verdict: &'static str,
    /// Null: as long as the filter is there.
    until: Option<Timestamp>,
}

impl From<Decision> for ExceptionReport {
    fn from(decision: Decision) -> Self {
        Self {
            ip: decision.address,
            verdict: match decision.action {
                Action::Pass => "pass",
                Action::Drop => "drop",
            },
            until: decision.left.and_then(time::from_now),
        }
    }
}

impl Report {
    pub(super) fn new(status: Status, warnings: Vec<String>, now: Timestamp) -> Self {
        Self {
            geoip: warnings::sources(&status.running),
            interfaces: status
                .running
                .into_iter()
                .map(|running| InterfaceReport::new(running, now))
                .collect(),
            warnings,
        }
    }
}

impl InterfaceReport {
    fn new(running: Running, now: Timestamp) -> Self {
        let enforcement = running.enforcement(now);
        let Running {
            interface,
            hook,
            mode,
            program,
            generation,
            about,
            memory,
            counters,
            trial,
            failure,
            exceptions,
            owner,
            ..
        } = running;
        Self {
            name: interface.name,
            ifindex: interface.index,
            hook: hook.word(),
            mode: mode.map(|mode| mode.to_string()),
            program_id: program,
            engine: about.engine,
            generation,
            enforcing: matches!(enforcement, Enforcement::Drops | Enforcement::Awaits(_)),
            blocked: about.block,
            admitted: about.only,
            ranges: about.ranges,
            memory_bytes: memory,
            counted: (&counters).into(),
            exceptions: exceptions.into_iter().map(Into::into).collect(),
            trial: trial.map(Into::into),
            reload_failure: failure,
            config: about.config,
            attached: about.attached,
            since: about.since,
            version: about.version,
            owner,
        }
    }
}
