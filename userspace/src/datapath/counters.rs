//! Reading the counters of a running filter.

use std::{collections::BTreeMap, path::Path};

use aya::maps::{MapData, PerCpuArray};
use geodrop_common::{Counter, Slot};

use super::{error::DatapathError, layout::Layout};
use crate::geoip::Country;

/// What a filter has counted, summed over the CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// IP packets that passed.
    pub passed: Counter,
    /// Packets from a deny prefix.
    pub denied: Counter,
    /// Packets whose IP header is cut short or contradicts itself.
    pub malformed: Counter,
    /// Frames that carry neither IPv4 nor IPv6.
    pub non_ip: Counter,
    /// Packets dropped because no data knows their source.
    pub unknown: Counter,
    /// Packets that passed because they answer what this host began.
    pub replies: Counter,
    /// Packets dropped, by the country of their source; only countries that had any.
    pub countries: BTreeMap<Country, Counter>,
    /// Packets that passed, by the country of their source, where a policy tells them apart; they are not in
    /// [`Counters::passed`].
    pub admitted: BTreeMap<Country, Counter>,
}

impl Counters {
    /// Reads the counters pinned at `path`.
    pub(super) fn read_pinned(path: &Path) -> Result<Self, DatapathError> {
        Self::read(Layout::COUNTERS.open(path)?)
    }

    /// Reads all counters.
    ///
    /// The CPUs go on counting meanwhile: each number is exact at some instant of the call.
    pub(super) fn read(map: MapData) -> Result<Self, DatapathError> {
        let mut counters = Self::default();
        for (slot, counter) in by_slot("COUNTERS", map)? {
            counters.put(slot, counter);
        }
        Ok(counters)
    }

    fn put(&mut self, slot: Slot, counter: Counter) {
        match slot {
            Slot::PASSED => self.passed = counter,
            Slot::DENIED => self.denied = counter,
            Slot::MALFORMED => self.malformed = counter,
            Slot::NON_IP => self.non_ip = counter,
            Slot::UNKNOWN => self.unknown = counter,
            Slot::REPLIES => self.replies = counter,
            _ if counter.packets == 0 => {}
            slot => {
                if let Some(country) = slot.country().and_then(Country::from_code) {
                    self.countries.insert(country, counter);
                }
                if let Some(country) = slot.admitted().and_then(Country::from_code) {
                    self.admitted.insert(country, counter);
                }
            }
        }
    }

    /// Packets that the filter dropped, or under monitor would have dropped, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.denied.packets
            + self.malformed.packets
            + self.unknown.packets
            + self
                .countries
                .values()
                .map(|counter| counter.packets)
                .sum::<u64>()
    }
}

/// The counters of an array, which errors call `name`, each summed over the CPUs.
pub(super) fn by_slot(name: &str, map: MapData) -> Result<Vec<(Slot, Counter)>, DatapathError> {
    let map = aya::maps::Map::PerCpuArray(map);
    // A counter is two u64: an array of them is what aya can read safely.
    let array: PerCpuArray<_, [u64; 2]> = map.try_into().map_err(DatapathError::map(name))?;
    let sum = |slot: Slot| {
        let values = array.get(&slot.number().into(), 0);
        let values = values.map_err(DatapathError::map(name))?;
        let sum = values
            .iter()
            .fold(Counter::default(), |sum, [packets, bytes]| Counter {
                packets: sum.packets.wrapping_add(*packets),
                bytes: sum.bytes.wrapping_add(*bytes),
            });
        Ok((slot, sum))
    };
    Slot::all().map(sum).collect()
}
