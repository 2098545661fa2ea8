//! Whom a policy would affect: what is collected while it only counts what it would drop.
//!
//! That is a period: it begins with the first generation that only counts (`monitor`, or `effective_from` ahead), goes on
//! through all reloads that still do, and ends with the instant from which on the policy drops. What was collected stays
//! readable until the next period begins, or the filter is detached.
//!
//! Each generation holds the report that it goes on with, or that it has ended: the maps are pinned below all of them, and
//! a note of each says what the period was by then. So nothing has to be undone when a generation fails, is rolled back,
//! or loses its trial: the one that is in force has its own report.
//!
//! ```text
//! generation-7/report/     began it
//! generation-8/report/     the same maps: still only counts
//! generation-9/report/     the same maps, and an end: drops from its first moment on
//! ```

mod collected;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    cell,
    error::DatapathError,
    generation::Plan,
    interface::Interface,
    layout::Layout,
    pins::{GenerationPins, ReportPins, Root, share},
    status,
};

pub use collected::{Affected, Collected, Origin, Ports};
pub(super) use collected::{COUNTERS, Maps, PORTS, SOURCES};

/// When a policy only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Since when.
    pub from: Timestamp,
    /// The instant from which on it drops, which may be ahead; `None` as long as nothing is said of it.
    pub enforced_from: Option<Timestamp>,
    /// Whether ports were looked at all the time.
    ports: bool,
}

impl Period {
    /// The one that begins with a generation of this plan; `None` if it drops from the first moment on.
    pub(super) fn of(plan: &Plan<'_>, now: Timestamp) -> Option<Self> {
        let enforced_from = if plan.monitor {
            None
        } else {
            Some(plan.effective_from.filter(|instant| *instant > now)?)
        };
        Some(Self {
            from: now,
            enforced_from,
            ports: true,
        })
    }

    /// When it ended; `None` if it goes on at this instant.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.enforced_from.filter(|instant| *instant <= now)
    }

    /// The same begun at this instant, for a generation that was made before; `None` if it drops by then.
    pub(super) fn begun(self, now: Timestamp) -> Option<Self> {
        let begun = Self { from: now, ..self };
        begun.until(now).is_none().then_some(begun)
    }

    /// What it is with the next generation, which only counts too (`next`) or drops from the first moment on; `None` if that
    /// one does not go on with it.
    fn with(self, next: Option<Self>, now: Timestamp) -> Option<Self> {
        match (self.until(now), next) {
            (None, Some(next)) => Some(Self {
                from: self.from,
                ports: self.ports && next.ports,
                ..next
            }),
            (until, None) => Some(Self {
                enforced_from: until.or(Some(now)),
                ..self
            }),
            (Some(_), Some(_)) => None,
        }
    }
}

/// The report of a generation that is about to be loaded.
#[derive(Debug)]
pub(super) struct Prepared {
    pins: ReportPins,
    period: Period,
    collects: bool,
}

/// Prepares the report of a generation, which begins a period if it only counts (`next`): what is collected already is
/// pinned below it. `before` are the pins of the generation that it replaces. `None` if there is nothing to report.
pub(super) fn prepare(
    before: Option<&GenerationPins>,
    pins: &GenerationPins,
    next: Option<Period>,
) -> Result<Option<Prepared>, DatapathError> {
    let now = next.map_or_else(Timestamp::now, |next| next.from);
    let last = before.and_then(|before| Last::of(before.report()));
    let carried = last.and_then(|last| Some((last.period.with(next, now)?, last.pins)));
    let pins = pins.report();
    let period = match (&carried, next) {
        (Some((period, _)), _) => *period,
        (None, Some(next)) => next,
        (None, None) => return Ok(None),
    };
    pins.create()?;
    if let Some((_, from)) = carried {
        share(&from.counters, &pins.counters)?;
        share(&from.sources, &pins.sources)?;
        share(&from.ports, &pins.ports)?;
    }
    Ok(Some(Prepared {
        pins,
        period,
        collects: next.is_some(),
    }))
}

impl Prepared {
    /// Where the generation finds its maps, if it collects anything.
    pub(super) fn collecting(&self) -> Option<ReportPins> {
        self.collects.then(|| self.pins.clone())
    }

    /// Pins the note, after the generation has pinned its maps.
    pub(super) fn pin(self, sees_ports: bool) -> Result<(), DatapathError> {
        let period = Period {
            ports: self.period.ports && (sees_ports || !self.collects),
            ..self.period
        };
        cell::pin(&self.pins.period, &period)
    }
}

/// The report that a generation has.
struct Last {
    period: Period,
    pins: ReportPins,
}

impl Last {
    /// The one pinned here. What another version left and cannot be read is none: nothing is refused because of it.
    fn of(pins: ReportPins) -> Option<Self> {
        let period = cell::read(&pins.period).ok()??;
        Maps::open(&pins).ok()?;
        Some(Self { period, pins })
    }
}

impl Maps {
    fn open(pins: &ReportPins) -> Result<Self, DatapathError> {
        Ok(Self {
            counters: Layout::COUNTERS.open(&pins.counters)?,
            sources: Layout::REPORT_SOURCES.open(&pins.sources)?,
            ports: Layout::REPORT_PORTS.open(&pins.ports)?,
        })
    }
}

/// Whom a filter's policy would affect, or would have.
#[derive(Debug)]
pub struct Report {
    /// Where the filter is.
    pub interface: Interface,
    /// When it only counted.
    pub period: Period,
    /// What it collected then.
    pub collected: Collected,
}

/// The report of the filter on an interface; `None` if it has dropped from the first moment on.
///
/// # Errors
///
/// [`DatapathError::NotAttached`] where there is no filter; when its pins may not be read.
pub fn read(root: &Root, interface: &Interface) -> Result<Option<Report>, DatapathError> {
    status::undisturbed(&root.place(interface)?, || {
        match status::in_force(root, interface)? {
            Some(generation) => read_of(&generation, interface),
            None => Err(DatapathError::NotAttached {
                interface: interface.name.clone(),
            }),
        }
    })
}

fn read_of(
    generation: &GenerationPins,
    interface: &Interface,
) -> Result<Option<Report>, DatapathError> {
    let pins = generation.report();
    let Some(period) = cell::read::<Period>(&pins.period)? else {
        return Ok(None);
    };
    let collected = Collected::read(Maps::open(&pins)?, period.ports)?;
    Ok(Some(Report {
        interface: interface.clone(),
        period,
        collected,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn period(from: i64, enforced_from: Option<i64>) -> Period {
        Period {
            from: at(from),
            enforced_from: enforced_from.map(at),
            ports: true,
        }
    }

    #[test]
    fn a_period_ends_when_the_policy_drops() {
        let open = period(0, None);
        assert_eq!(open.until(at(1_000)), None);
        let dated = period(0, Some(100));
        assert_eq!(dated.until(at(99)), None);
        assert_eq!(dated.until(at(100)), Some(at(100)));
    }

    #[test]
    fn a_reload_goes_on_with_a_period_or_ends_it_or_begins_another() {
        let now = 50;
        for (last, next, expected) in [
            // Only counting goes on, whichever way.
            ((0, None), Some(None), Some((0, None))),
            ((0, None), Some(Some(80)), Some((0, Some(80)))),
            ((0, Some(70)), Some(Some(80)), Some((0, Some(80)))),
            ((0, Some(70)), Some(None), Some((0, None))),
            // It drops: from now on, or it has since its day.
            ((0, None), None, Some((0, Some(50)))),
            ((0, Some(70)), None, Some((0, Some(50)))),
            ((0, Some(20)), None, Some((0, Some(20)))),
            // It has dropped, and only counts again.
            ((0, Some(20)), Some(None), None),
            ((0, Some(50)), Some(Some(80)), None),
        ] {
            let (from, enforced_from) = last;
            let next = next.map(|enforced_from| period(now, enforced_from));
            assert_eq!(
                period(from, enforced_from).with(next, at(now)),
                expected.map(|(from, enforced_from)| period(from, enforced_from)),
                "{last:?}, then {next:?}"
            );
        }
    }
}
