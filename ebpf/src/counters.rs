//! What is counted of all packets.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use geodrop_common::{Counter, Slot, counter};

/// Packets and bytes by [`Slot`], one set a CPU. Outlives the program: a reload takes it over.
#[map]
static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(counter::CAPACITY, 0);

/// Counts one packet of `bytes` bytes.
#[inline(always)]
pub fn count(slot: Slot, bytes: u64) {
    count_in(&COUNTERS, slot, bytes);
}

/// The same in an array that has an element for the slot, if it is in use at all.
#[inline(always)]
pub(crate) fn count_in(counters: &PerCpuArray<Counter>, slot: Slot, bytes: u64) {
    // Never `None`: a slot is below the array's capacity. The verifier wants to see the check.
    let Some(counter) = counters.get_ptr_mut(slot.number().into()) else {
        return;
    };
    // SAFETY: the kernel returned this CPU's element of the array, which lives as long as the map and is
    // aligned to 8 bytes. No other CPU writes it, and a receiving CPU runs one packet at a time through a hook.
    let counter = unsafe { &mut *counter };
    counter.packets = counter.packets.wrapping_add(1);
    counter.bytes = counter.bytes.wrapping_add(bytes);
}
