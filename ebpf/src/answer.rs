//! Telling the sender of a packet that it was refused, in the packet's own place.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "offsets and lengths in a packet are far below 2^31"
)]

use core::ffi::c_void;

use aya_ebpf::{
    Global,
    helpers::generated::{
        bpf_ktime_get_coarse_ns, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_store_bytes,
    },
    macros::map,
    maps::PerCpuArray,
};
use geodrop_common::{
    Frame as _,
    rate_limit::{Bucket, Rate},
    refusal::{Answer, Refusal},
    transport::{Family, IpHeader, Transport},
};

use crate::{
    far::{Far as _, FarPacket},
    rules::ip_header,
};

/// Not 0: who sends a packet that is dropped is told. Set before the program is loaded.
#[unsafe(no_mangle)]
static REJECT: Global<u8> = Global::new(0);

/// How many answers this CPU has sent lately.
#[map]
static ANSWERS: PerCpuArray<Bucket> = PerCpuArray::with_max_entries(1, 0);

/// Where this CPU builds an answer.
#[map]
static ROOM: PerCpuArray<Answer> = PerCpuArray::with_max_entries(1, 0);

/// How many answers a CPU sends: enough for everyone who is no flood, and nothing to those who are.
const RATE: Rate = Rate::per_second(1000, 100);

/// Turns a packet that is refused into the answer to it, if it is to get one; whether it did.
#[inline(always)]
#[must_use]
pub fn answer(packet: FarPacket, ip: IpHeader) -> bool {
    // First what is cheap: of a flood nearly nothing is answered.
    REJECT.load() != 0
        && may_answer(|bucket, rate, now| bucket.has_room(rate, now))
        && answer_in_place(
            packet.context(),
            packet.length(),
            ip.offset,
            ip.family == Family::Ipv6,
        )
}

/// See [`far`](crate::far) for why this is a function of its own.
#[inline(never)]
fn answer_in_place(context: *mut c_void, length: usize, offset: usize, is_ipv6: bool) -> bool {
    // SAFETY: the caller has it from the frame of this run.
    let packet = unsafe { FarPacket::of_context(context, length) };
    let Some(transport) = Transport::of(&packet, ip_header(offset, is_ipv6)) else {
        return false;
    };
    let Some(room) = ROOM.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the kernel returned this CPU's element of the array, which lives as long as the map and is aligned to 8 bytes.
    // Any bytes are a value of it, no other CPU writes it, and a receiving CPU runs one packet through XDP at a time.
    let room = unsafe { &mut *room };
    let Some(refusal) = Refusal::of(&packet, &transport, room) else {
        return false;
    };
    may_answer(Bucket::take) && replace(packet, offset, refusal, room)
}

/// What this CPU's bucket says about one more answer, sent now.
#[inline(always)]
fn may_answer(asked: impl FnOnce(&mut Bucket, Rate, u64) -> bool) -> bool {
    let Some(bucket) = ANSWERS.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the kernel returned this CPU's element of the array, which lives as long as the map and is aligned to 8 bytes.
    // No other CPU writes it, and a receiving CPU runs one packet through XDP at a time.
    let bucket = unsafe { &mut *bucket };
    // SAFETY: the helper takes nothing and returns a number.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    asked(bucket, RATE, now)
}

/// Puts an answer into the place of the IP packet at `offset`, and turns the frame round.
///
/// A longer answer begins farther ahead: behind a packet is not always room, before it there is.
#[inline(always)]
fn replace(packet: FarPacket, offset: usize, refusal: Refusal, answer: &Answer) -> bool {
    let context = packet.context();
    // The EtherType, with the tags before it if there are any; then the answer lies over the rest.
    let Some(between) = packet.read::<10>(12) else {
        return false;
    };
    let longer = (offset + refusal.length()) as i32 - packet.length() as i32;
    let failed = if longer > 0 {
        // SAFETY: the context is the one that the kernel called us with. Nobody holds a pointer into the packet.
        unsafe { bpf_xdp_adjust_head(context.cast(), -longer) }
    } else {
        // SAFETY: the same.
        unsafe { bpf_xdp_adjust_tail(context.cast(), longer) }
    };
    failed == 0
        && store(context, 0, answer.ethernet(), 12)
        && store(context, 12, &between, 10)
        && store(context, offset, answer.packet(), refusal.length())
}

/// Writes the first `length` of these bytes into the packet.
#[inline(always)]
fn store<const N: usize>(
    context: *mut c_void,
    offset: usize,
    bytes: &[u8; N],
    length: usize,
) -> bool {
    if length > N {
        return false;
    }
    let bytes: *const [u8; N] = bytes;
    // SAFETY: the context is the one that the kernel called us with; the helper reads no more than N bytes, which are there.
    unsafe {
        bpf_xdp_store_bytes(
            context.cast(),
            offset as u32,
            bytes.cast_mut().cast(),
            length as u32,
        ) == 0
    }
}
