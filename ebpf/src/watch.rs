//! Telling whoever watches of packets that the rules are against, as they come.
//!
//! While nobody watches, a packet costs one load and a branch at most. A watcher that died is forgotten by the first packet
//! after its time.

#![allow(
    clippy::cast_possible_truncation,
    reason = "lengths of packets are far below 2^32"
)]

use aya_ebpf::{
    macros::map,
    maps::{Array, PerCpuArray, RingBuf, ring_buf::RingBufEntry},
};
use geodrop_common::{
    rate_limit::Bucket,
    watch::{EVENTS, Event, Head, Missed, Ruling, SNAPSHOT, Watch},
};

use crate::{
    apart::Apart,
    far::Far,
    packet,
    rules::{boot_time, is_ahead},
};

/// What somebody wants to see. Outlives the program, as all of these do.
#[map]
static WATCH: Array<Watch> = Array::with_max_entries(1, 0);

/// What was seen.
#[map]
static WATCH_EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS, 0);

/// How many packets were not told of, one element a CPU.
#[map]
static WATCH_MISSED: PerCpuArray<Missed> = PerCpuArray::with_max_entries(1, 0);

/// How many events there were lately. Shared by all CPUs, which at worst tell of one packet each for one token: under a flood
/// it is read by all and seldom written.
#[map]
static WATCH_BUCKET: Array<Bucket> = Array::with_max_entries(1, 0);

/// Tells of a packet, if somebody watches.
#[inline(always)]
pub fn tell<P: Apart>(packet: P, ruling: impl FnOnce() -> Ruling) {
    if is_watched() {
        packet.tell(ruling().word());
    }
}

/// Whether somebody watches, or has lately.
#[inline(always)]
#[must_use]
pub fn is_watched() -> bool {
    // Never `None`: the map has one element.
    let Some(watch) = WATCH.get_ptr(0) else {
        return false;
    };
    // SAFETY: the kernel returned the element of the array, so the field is inside of it.
    let until = unsafe { &raw const (*watch).until };
    // SAFETY: the element lives as long as the map and is aligned to 8 bytes; whoever else writes it writes it whole.
    unsafe { until.read_volatile() != 0 }
}

/// The same, when somebody watches, or has lately.
#[inline(always)]
pub(crate) fn sample<P: Far>(packet: P, ruling: u32) -> bool {
    let now = boot_time();
    let Some(watch) = WATCH.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the kernel returned the element of the array, so the field is inside of it.
    let until = unsafe { &raw mut (*watch).until };
    // SAFETY: the element lives as long as the map and is aligned to 8 bytes.
    if !unsafe { is_ahead(until, || now) } {
        return false;
    }
    if !may_tell(watch, now) {
        return miss(|missed| &mut missed.left_out);
    }
    let Some(event) = WATCH_EVENTS.reserve::<Event>(0) else {
        return miss(|missed| &mut missed.lost);
    };
    write(packet, event, ruling, now);
    true
}

/// Whether the watcher wants to see one packet more, which then counts as seen.
#[inline(always)]
fn may_tell(watch: *const Watch, now: u64) -> bool {
    let Some(shared) = WATCH_BUCKET.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the caller has it from the kernel. The watcher writes it again and again, and always the same.
    let rate = unsafe { (*watch).rate };
    // SAFETY: the element lives as long as the map and is aligned to 8 bytes; whoever else writes it writes it whole.
    let mut bucket = unsafe { shared.read_volatile() };
    let may = bucket.take(rate, now);
    if may {
        // SAFETY: as above.
        unsafe { shared.write_volatile(bucket) };
    }
    may
}

/// Counts a packet that is not told of.
#[inline(always)]
fn miss(why: impl FnOnce(&mut Missed) -> &mut u64) -> bool {
    if let Some(missed) = WATCH_MISSED.get_ptr_mut(0) {
        // SAFETY: the kernel returned this CPU's element of the array, which lives as long as the map and is aligned to 8
        // bytes. No other CPU writes it, and a receiving CPU runs one packet at a time through a hook.
        let count = why(unsafe { &mut *missed });
        *count = count.wrapping_add(1);
    }
    false
}

/// Writes an event and hands it out.
#[inline(always)]
fn write<P: Far>(packet: P, mut entry: RingBufEntry<Event>, ruling: u32, now: u64) {
    let event = entry.as_mut_ptr();
    // SAFETY: the kernel reserved room for an event, so the field is inside of it.
    let snapshot = unsafe { &raw mut (*event).snapshot };
    let captured = copy(packet, snapshot);
    // SAFETY: as above.
    let head = unsafe { &raw mut (*event).head };
    let told = Head {
        time: now,
        ruling,
        length: packet.length() as u32,
        tag: packet.tag_apart(),
        captured,
    };
    // SAFETY: as above, and the kernel reserves at multiples of 8 bytes.
    unsafe { head.write(told) };
    // What of the snapshot was not written is of an earlier event, or zero.
    entry.submit(0);
}

/// Copies a packet's first bytes; returns how many.
#[inline(always)]
fn copy<P: Far>(packet: P, snapshot: *mut [u8; SNAPSHOT]) -> u32 {
    // The verifier is to see both bounds of just this number.
    let length = packet::opaque(packet.measured().length().min(SNAPSHOT));
    if length == 0 || length > SNAPSHOT {
        return 0;
    }
    // SAFETY: there is room for as many bytes.
    unsafe { packet.copy(snapshot.cast(), length as u32) }
}
