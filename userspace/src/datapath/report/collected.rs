//! What a filter has collected of packets that it lets pass although it would drop them.

use std::{cmp::Reverse, collections::BTreeMap, os::fd::AsFd as _};

use aya::maps::{Array, Map, MapData};
use geodrop_common::{
    Counter, Slot,
    reach::Reach,
    report::Destination,
    sketch::{REGISTERS, Sketch},
};

use crate::{
    datapath::{counters::by_slot, error::DatapathError, sys},
    geoip::Country,
};

/// The maps of the kernel object.
pub(in crate::datapath) const COUNTERS: &str = "REPORT_COUNTERS";
pub(in crate::datapath) const SOURCES: &str = "REPORT_SOURCES";
pub(in crate::datapath) const PORTS: &str = "REPORT_PORTS";

/// Why packets would be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Their source is in this country.
    Country(Country),
    /// No data knows their source.
    Unknown,
    /// Their source is in a deny prefix, or was denied while the filter runs.
    Denied,
}

impl Origin {
    /// Of packets that count in a slot; `None` if that is no slot of refused ones.
    pub(in crate::datapath) fn of(slot: Slot) -> Option<Self> {
        match slot {
            Slot::UNKNOWN => Some(Self::Unknown),
            Slot::DENIED => Some(Self::Denied),
            slot => Some(Self::Country(slot.country().and_then(Country::from_code)?)),
        }
    }
}

/// Whom a policy would affect, of one origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Affected {
    /// Why.
    pub origin: Origin,
    /// Their packets.
    pub counter: Counter,
    /// How many distinct sources they have, about: with a standard error of
    /// [`STANDARD_ERROR`](geodrop_common::sketch::STANDARD_ERROR).
    pub sources: u64,
    /// Where the packets go to, the busiest first; `None` if ports were not looked at all the time.
    pub ports: Option<Ports>,
}

/// Where packets go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The destinations that are remembered, the busiest first.
    pub busiest: Vec<(Reach, Counter)>,
    /// How many packets went to destinations that others have taken the place of since.
    pub forgotten: u64,
}

/// Whom a policy would affect.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    /// By origin, whoever has most packets first.
    pub affected: Vec<Affected>,
    /// How many distinct sources there are in all, about.
    pub sources: u64,
}

/// The maps that it is collected in.
#[derive(Debug)]
pub(in crate::datapath) struct Maps {
    pub(in crate::datapath) counters: MapData,
    pub(in crate::datapath) sources: MapData,
    pub(in crate::datapath) ports: MapData,
}

impl Collected {
    /// Reads the maps. The CPUs go on meanwhile: what is read last may have some packets more.
    pub(in crate::datapath) fn read(maps: Maps, has_ports: bool) -> Result<Self, DatapathError> {
        // Before the destinations: what is missing there was forgotten then, and has not come since.
        let counters = by_slot(COUNTERS, maps.counters)?;
        let mut ports = if has_ports {
            Some(read_ports(&maps.ports)?)
        } else {
            None
        };
        let sources = Map::Array(maps.sources);
        let sources: Array<_, [u8; REGISTERS]> =
            sources.try_into().map_err(DatapathError::map(SOURCES))?;
        let mut all = Sketch::EMPTY;
        let mut affected = Vec::new();
        for (slot, counter) in counters {
            let Some(origin) = Origin::of(slot).filter(|_| counter.packets > 0) else {
                continue;
            };
            let registers = sources
                .get(&slot.number().into(), 0)
                .map_err(DatapathError::map(SOURCES))?;
            let sketch = Sketch::new(registers);
            all.merge(&sketch);
            let ports = ports.as_mut().map(|ports| {
                let busiest = ports.remove(&slot).unwrap_or_default();
                Ports::of(busiest, counter)
            });
            affected.push(Affected {
                origin,
                counter,
                sources: rounded(sketch.estimate()),
                ports,
            });
        }
        affected.sort_by_key(|affected| (Reverse(affected.counter.packets), affected.origin));
        Ok(Self {
            affected,
            sources: rounded(all.estimate()),
        })
    }
}

impl Ports {
    /// The destinations of so many packets in all.
    fn of(mut busiest: Vec<(Reach, Counter)>, all: Counter) -> Self {
        busiest.sort_by_key(|(reach, counter)| (Reverse(counter.packets), reach.word()));
        let remembered: u64 = busiest.iter().map(|(_, counter)| counter.packets).sum();
        Self {
            busiest,
            forgotten: all.packets.saturating_sub(remembered),
        }
    }
}

/// Destinations, by the slot that their packets count in.
fn read_ports(map: &MapData) -> Result<BTreeMap<Slot, Vec<(Reach, Counter)>>, DatapathError> {
    let (keys, values) = sys::map::read_lru(map.fd().as_fd())
        .map_err(DatapathError::system(format!("reading map {PORTS}")))?;
    let keys: Vec<u32> = bytemuck::pod_collect_to_vec(&keys);
    let values: Vec<[u64; 2]> = bytemuck::pod_collect_to_vec(&values);
    let mut ports: BTreeMap<Slot, Vec<_>> = BTreeMap::new();
    for (key, [packets, bytes]) in keys.into_iter().zip(values) {
        let Destination { slot, reach } = Destination::from_word(key);
        let of_slot = ports.entry(slot).or_default();
        of_slot.push((reach, Counter { packets, bytes }));
    }
    Ok(ports)
}

/// An estimate as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate is never negative, and there are less than 2^64 sources"
)]
fn rounded(estimate: f64) -> u64 {
    estimate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use geodrop_common::ports::Protocol;

    #[test]
    fn the_busiest_port_is_first_and_what_is_missing_was_forgotten() {
        let counter = |packets| Counter { packets, bytes: 0 };
        let https = (Reach::Port(Protocol::Tcp, 443), counter(5));
        let dns = (Reach::Port(Protocol::Udp, 53), counter(7));
        let ports = Ports::of(vec![https, dns], counter(20));
        assert_eq!((ports.busiest, ports.forgotten), (vec![dns, https], 8));
        // Some came while it was read.
        assert_eq!(Ports::of(vec![dns], counter(6)).forgotten, 0);
    }

    #[test]
    fn what_passes_has_no_origin_here() {
        for slot in [Slot::PASSED, Slot::NON_IP, Slot::MALFORMED, Slot::REPLIES] {
            assert_eq!(Origin::of(slot), None);
        }
        let china = Slot::of_country(*b"CN").and_then(Origin::of);
        assert_eq!(china, Some(Origin::Country(Country::CHINA)));
    }
}
