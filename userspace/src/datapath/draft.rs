//! The pins of a generation that is being made.

use std::path::{Path, PathBuf};

use super::{
    control, egress,
    error::DatapathError,
    pins::{GenerationPins, Place, ReportPins, WatchPins},
    report::{self, Prepared},
    tables, watch,
};
use crate::table::Engine;

/// The pins of a generation that is not in force for good yet: dropped, they are removed, so that a failure
/// leaves no trace.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) place: Place,
    pub(super) pins: GenerationPins,
    pub(super) kept: bool,
    /// The one before, if there is one, is of a version that nobody can watch.
    first_watched: bool,
}

impl Draft {
    /// An empty one, after all generations that are at a place.
    pub(super) fn at(place: Place) -> Result<Self, DatapathError> {
        Ok(Self {
            pins: place.next_generation()?,
            first_watched: place.watch().create()?,
            place,
            kept: false,
        })
    }

    /// Where its maps are to be pinned.
    pub(super) fn pinning(
        &self,
        on_trial: bool,
        filled: bool,
        report: Option<&Prepared>,
    ) -> Pinning {
        let Self { place, pins, .. } = self;
        Pinning {
            counters: place.counters(),
            exceptions: place.exceptions(),
            control: pins.control(),
            flows: place.flows(),
            contacted: place.contacted(),
            watch: place.watch(),
            ipv4: pins.ipv4(),
            ipv6: pins.ipv6(),
            report: report.and_then(Prepared::collecting),
            predecessor: on_trial.then(|| pins.predecessor()),
            filled,
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // Nothing better can be done about an error here: the next command removes left-overs.
        let _ = self.pins.remove();
        if self.first_watched {
            let _ = self.place.watch().remove();
        }
        if !self.place.link().exists() {
            let _ = egress::detach(&self.place);
            let _ = self.place.remove();
        }
    }
}

/// Where a generation's maps are pinned, and which of them are there already.
pub(super) struct Pinning {
    pub(super) counters: PathBuf,
    pub(super) exceptions: PathBuf,
    pub(super) control: PathBuf,
    pub(super) flows: PathBuf,
    pub(super) contacted: PathBuf,
    pub(super) watch: WatchPins,
    pub(super) ipv4: PathBuf,
    pub(super) ipv6: PathBuf,
    /// Where what it collects is pinned, if it only counts at first.
    pub(super) report: Option<ReportPins>,
    /// Where the way back to the generation before is pinned, if this one is on trial.
    pub(super) predecessor: Option<PathBuf>,
    /// The tables are pinned already, filled by a generation of the same plan on another interface.
    pub(super) filled: bool,
}

impl Pinning {
    /// The maps that a generation with this engine pins, by their names in the kernel object.
    pub(super) fn maps(&self, engine: Engine, replies: bool) -> Vec<(&'static str, &Path)> {
        let [ipv4, ipv6] = tables::maps_of(engine);
        let mut maps = vec![
            ("COUNTERS", self.counters.as_path()),
            ("EXCEPTIONS", &self.exceptions),
            (control::MAP, &self.control),
            (watch::CELL, &self.watch.cell),
            (watch::BUCKET, &self.watch.bucket),
            (watch::EVENTS, &self.watch.events),
            (watch::MISSED, &self.watch.missed),
            (ipv4, &self.ipv4),
            (ipv6, &self.ipv6),
        ];
        if replies {
            maps.push(("FLOWS", &self.flows));
            maps.push(("CONTACTED", &self.contacted));
        }
        if let Some(report) = &self.report {
            maps.push((report::COUNTERS, &report.counters));
            maps.push((report::SOURCES, &report.sources));
            maps.push((report::PORTS, &report.ports));
        }
        maps
    }
}
