//! Telling the sender of a packet that it was refused, in the packet's own place.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "offsets and lengths in a packet are far below 2^31"
)]

use core::ffi::c_void;

use aya_ebpf::{
    Global,
    bindings::BPF_F_RECOMPUTE_CSUM,
    helpers::generated::{
        bpf_ktime_get_coarse_ns, bpf_skb_change_tail, bpf_skb_store_bytes, bpf_xdp_adjust_head,
        bpf_xdp_adjust_tail, bpf_xdp_store_bytes,
    },
    macros::map,
    maps::PerCpuArray,
};
use geodrop_common::{
    Frame as _,
    rate_limit::{Bucket, Rate},
    refusal::{Answer, Refusal},
    transport::{IpHeader, Transport},
};

use crate::{
    apart::Apart,
    far::{CopiedPacket, CopiedSegment, Far, FarPacket, Segment},
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

/// A packet whose place another one can take.
///
/// Nobody holds a pointer into it meanwhile: each read asks anew where it is.
pub trait Replaceable: Far {
    /// Makes it longer by so many bytes, or shorter, if that is negative; whether that worked. Longer, it may begin farther
    /// ahead.
    fn lengthen(self, bytes: i32) -> bool;

    /// Copies bytes into it; 0 if that worked.
    ///
    /// # Safety
    ///
    /// So many bytes are there.
    unsafe fn store(self, offset: u32, bytes: *const c_void, length: u32) -> i64;
}

impl Replaceable for CopiedPacket {
    #[inline(always)]
    fn lengthen(self, bytes: i32) -> bool {
        self.0.lengthen(bytes)
    }

    #[inline(always)]
    unsafe fn store(self, offset: u32, bytes: *const c_void, length: u32) -> i64 {
        // SAFETY: the caller vouches for the bytes.
        unsafe { self.0.store(offset, bytes, length) }
    }
}

impl Replaceable for CopiedSegment {
    #[inline(always)]
    fn lengthen(self, bytes: i32) -> bool {
        self.0.lengthen(bytes)
    }

    #[inline(always)]
    unsafe fn store(self, offset: u32, bytes: *const c_void, length: u32) -> i64 {
        // SAFETY: the caller vouches for the bytes.
        unsafe { self.0.store(offset, bytes, length) }
    }
}

impl Replaceable for FarPacket {
    /// Behind a packet is not always room, before it there is.
    #[inline(always)]
    fn lengthen(self, bytes: i32) -> bool {
        let context = self.context().cast();
        if bytes > 0 {
            // SAFETY: the context is the one that the kernel called us with.
            unsafe { bpf_xdp_adjust_head(context, -bytes) == 0 }
        } else {
            // SAFETY: the same.
            unsafe { bpf_xdp_adjust_tail(context, bytes) == 0 }
        }
    }

    #[inline(always)]
    unsafe fn store(self, offset: u32, bytes: *const c_void, length: u32) -> i64 {
        // SAFETY: the context is the one that the kernel called us with, and the caller vouches for the bytes, which the
        // helper only reads.
        unsafe { bpf_xdp_store_bytes(self.context().cast(), offset, bytes.cast_mut(), length) }
    }
}

impl Replaceable for Segment {
    /// By the helper that is made for answers: it drops all that the network stack or the card was to do to the packet yet,
    /// but for one thing, for which see [`Refusal`].
    #[inline(always)]
    fn lengthen(self, bytes: i32) -> bool {
        let length = (self.length() as u32).wrapping_add_signed(bytes);
        // SAFETY: the context is the one that the kernel called us with.
        unsafe { bpf_skb_change_tail(self.context().cast(), length, 0) == 0 }
    }

    #[inline(always)]
    unsafe fn store(self, offset: u32, bytes: *const c_void, length: u32) -> i64 {
        let flags = BPF_F_RECOMPUTE_CSUM.into();
        // SAFETY: as for a packet of XDP.
        unsafe { bpf_skb_store_bytes(self.context().cast(), offset, bytes, length, flags) }
    }
}

/// Whether who sends a packet that is dropped is told.
#[inline(always)]
#[must_use]
pub fn are_sent() -> bool {
    REJECT.load() != 0
}

/// Turns a packet that is refused into the answer to it, if it is to get one; whether it did.
#[inline(always)]
#[must_use]
pub fn answer<P: Replaceable + Apart>(packet: P, ip: IpHeader) -> bool {
    // First what is cheap: of a flood nearly nothing is answered.
    are_sent() && may_answer(|bucket, rate, now| bucket.has_room(rate, now)) && packet.answer(ip)
}

/// The same, when all that is cheap has been asked.
#[inline(always)]
pub(crate) fn in_place<P: Replaceable>(packet: P, ip: IpHeader) -> bool {
    let Some(transport) = Transport::of(&packet, ip) else {
        return false;
    };
    let Some(room) = ROOM.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the kernel returned this CPU's element of the array, which lives as long as the map and is aligned to 8 bytes.
    // Any bytes are a value of it, no other CPU writes it, and a receiving CPU runs one packet at a time through a hook.
    let room = unsafe { &mut *room };
    let Some(refusal) = Refusal::of(&packet, &transport, room) else {
        return false;
    };
    may_answer(Bucket::take) && replace(packet, ip.offset, refusal, room)
}

/// What this CPU's bucket says about one more answer, sent now.
#[inline(always)]
fn may_answer(asked: impl FnOnce(&mut Bucket, Rate, u64) -> bool) -> bool {
    let Some(bucket) = ANSWERS.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the kernel returned this CPU's element of the array, which lives as long as the map and is aligned to 8 bytes.
    // No other CPU writes it, and a receiving CPU runs one packet at a time through a hook.
    let bucket = unsafe { &mut *bucket };
    // SAFETY: the helper takes nothing and returns a number.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    asked(bucket, RATE, now)
}

/// Puts an answer into the place of the IP packet at `offset`, and turns the frame round.
#[inline(always)]
fn replace<P: Replaceable>(packet: P, offset: usize, refusal: Refusal, answer: &Answer) -> bool {
    // The EtherType, with the tags before it if there are any; then the answer lies over the rest.
    let Some(between) = packet.read::<10>(12) else {
        return false;
    };
    let longer = (offset + refusal.length()) as i32 - packet.length() as i32;
    packet.lengthen(longer)
        && store(packet, 0, answer.ethernet(), 12)
        && store(packet, 12, &between, 10)
        && store(packet, offset, answer.packet(), refusal.length())
}

/// Writes the first `length` of these bytes into the packet.
#[inline(always)]
fn store<P: Replaceable, const N: usize>(
    packet: P,
    offset: usize,
    bytes: &[u8; N],
    length: usize,
) -> bool {
    if length > N {
        return false;
    }
    let bytes: *const [u8; N] = bytes;
    // SAFETY: no more than N bytes, which are there.
    unsafe { packet.store(offset as u32, bytes.cast(), length as u32) == 0 }
}
