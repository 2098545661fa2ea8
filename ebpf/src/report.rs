//! Whom the policy would affect, while it only counts what it would drop: packets, bytes and distinct sources by country,
//! and the ports that they go to.
//!
//! Of a policy that drops at once, nothing is collected, and none of this is left in the program. The loader leaves
//! the maps at one element then.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray},
};
use geodrop_common::{
    Counter, Slot, Source,
    address::Address,
    counter,
    reach::Reach,
    report::{Destination, MOST_DESTINATIONS, SKETCHES},
    sketch::{Mark, Sketch},
    transport::IpHeader,
};

use crate::{apart::Apart, counters::count_in, far::Far, rules};

/// Packets and bytes by [`Slot`], one set a CPU. Outlives generations for as long as they only count.
#[map]
static REPORT_COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(counter::CAPACITY, 0);

/// Sources by [`Slot`]. Outlives generations, as above.
#[map]
static REPORT_SOURCES: Array<Sketch> = Array::with_max_entries(SKETCHES, 0);

/// Packets and bytes by the word of a [`Destination`]. Outlives generations, as above.
#[map]
static REPORT_PORTS: LruHashMap<u32, Counter> = LruHashMap::with_max_entries(MOST_DESTINATIONS, 0);

/// Collects what is to be told of a packet that would be dropped, if the policy only counts.
#[inline(always)]
pub fn collect<P: Apart>(packet: P, ip: IpHeader, slot: Slot, bytes: u64) {
    if !rules::lets_all_pass() {
        return;
    }
    count_in(&REPORT_COUNTERS, slot, bytes);
    note_source::<P>(packet.context(), packet.length(), slot.number().into());
    if P::SEES {
        let reach = Reach::from_word(packet.reach(ip));
        tally(Destination { slot, reach }.word(), bytes);
    }
}

/// Notes a packet's source in the sketch of a slot. Two CPUs that do so at once may lose one of two marks in the same
/// register, until that source's next packet.
///
/// It reads the source anew: what drops at once is not to pay for keeping it since the verdict.
#[inline(always)]
fn note_source<P: Far>(context: *mut c_void, length: usize, slot: u32) -> bool {
    // SAFETY: the caller has it from the frame of this run.
    let packet = unsafe { P::of_context(context, length) };
    let source = match Source::of(&packet) {
        Source::Ipv4 { address, .. } => Address::ipv4(address.octets()),
        Source::Ipv6 { address, .. } => Address::ipv6(address.octets()),
        Source::NotIp | Source::Malformed => return false,
    };
    // Never `None`: refused packets count in slots that have a sketch.
    let Some(sketch) = REPORT_SOURCES.get_ptr_mut(slot) else {
        return false;
    };
    let mark = Mark::of(source);
    let register = sketch.cast::<u8>().wrapping_add(mark.register());
    // SAFETY: a sketch is its registers, a byte each, and the mark's is one of them. The element lives as long as the
    // map; other CPUs may write it meanwhile, and a byte is read whole.
    let present = unsafe { register.read_volatile() };
    if mark.is_new_to(present) {
        // SAFETY: as above.
        unsafe { register.write_volatile(mark.rank()) };
    }
    true
}

/// Counts a packet under a destination.
#[inline(never)]
fn tally(destination: u32, bytes: u64) -> bool {
    if add(destination, bytes) {
        return true;
    }
    let first = Counter { packets: 1, bytes };
    // Another CPU may have been the first.
    REPORT_PORTS
        .insert(destination, first, BPF_NOEXIST.into())
        .is_ok()
        || add(destination, bytes)
}

/// Counts a packet under a destination that is remembered; whether it is.
#[inline(always)]
fn add(destination: u32, bytes: u64) -> bool {
    let Some(counter) = REPORT_PORTS.get_ptr_mut(destination) else {
        return false;
    };
    // SAFETY: the element may be given to another destination while we add to it, which is then off by one packet. It lives
    // as long as the map, so the field is inside of it.
    let packets = unsafe { &raw mut (*counter).packets };
    // SAFETY: as above.
    let total = unsafe { &raw mut (*counter).bytes };
    // SAFETY: as above, and it is aligned to 8 bytes.
    unsafe { add_at_once(packets, 1) };
    // SAFETY: as above.
    unsafe { add_at_once(total, bytes) };
    true
}

/// Adds to a number that other CPUs may add to at the same time. The compiler has no atomic operation for this target that
/// does more than load or store; the machine has.
///
/// # Safety
///
/// The number is there, and aligned to 8 bytes.
#[inline(always)]
unsafe fn add_at_once(number: *mut u64, amount: u64) {
    // SAFETY: the caller vouches for it; nothing else is touched.
    unsafe {
        asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) number, in(reg) amount, options(nostack));
    }
}
