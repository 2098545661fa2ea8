//! The generator: sends frames from many sources out of an interface.
//!
//! Run by `BPF_PROG_TEST_RUN` with live frames (kernel 5.18): each run writes the next source address into
//! the frame and redirects it. The kernel recycles the frames' pages without restoring them, so every run
//! must write; and all of the frame, if the receiving end changes it.
#![no_std]
#![no_main]
#![allow(
    clippy::needless_pass_by_value,
    reason = "aya's macro hands a program its context by value"
)]

use aya_ebpf::{
    Global,
    bindings::xdp_action,
    helpers::{bpf_ktime_get_ns, bpf_redirect, bpf_xdp_adjust_tail, bpf_xdp_store_bytes},
    macros::{map, xdp},
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use geodrop_ebpf::packet::Packet;

/// What differs between frames. The loader sets how many of these there are: a power of two.
///
/// Of IPv6 a source address in network order. Of IPv4 four source addresses for four frames, as what the generator reads takes
/// the caches from whoever is measured; but where frames are of several lengths, the checksum of the IP header and the source
/// address, as they follow one another in it; then the total length and that of the UDP datagram; all of these in network order;
/// then by how many bytes the frame is shorter than the longest, in the machine's order.
#[map]
static SOURCES: Array<[u32; 4]> = Array::with_max_entries(1, 0);

/// The number of frames made on this CPU.
#[map]
static RUNS: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// The number of sources less one: a mask. Set before the program is loaded.
#[unsafe(no_mangle)]
static SOURCE_MASK: Global<u32> = Global::new(0);

/// The sum of the words of an IPv4 header but for its checksum and its source address, in the machine's order; where frames
/// are of one length. Set before the program is loaded.
#[unsafe(no_mangle)]
static HEADER_SUM: Global<u32> = Global::new(0);

/// 4 or 6: the IP version of the frame, which says where its source address stands.
#[unsafe(no_mangle)]
static IP_VERSION: Global<u8> = Global::new(4);

/// Not 0 where frames are of several lengths; of IPv4 only.
#[unsafe(no_mangle)]
static MIXED: Global<u8> = Global::new(0);

/// The interface to send from; 0 where frames are made and go nowhere.
#[unsafe(no_mangle)]
static INTERFACE: Global<u32> = Global::new(0);

/// How many nanoseconds are between two frames of a CPU; 0 for frames as fast as they go. Set before the program is loaded.
#[unsafe(no_mangle)]
static INTERVAL: Global<u64> = Global::new(0);

/// When the next frame of this CPU is due, in nanoseconds of `bpf_ktime_get_ns`.
#[map]
static DUE: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// How late a frame may be and still be sent, in nanoseconds: what one batch may hold up.
const LATEST: u64 = 1_000_000;

/// The frame as it is to be sent, but for its source.
#[map]
static FRAME: Array<[u8; LONGEST]> = Array::with_max_entries(1, 0);

/// The longest frame that is written anew.
const LONGEST: usize = 128;

/// How long the frame is that every run writes anew; 0 where nobody changes more than its source. Set before the program
/// is loaded.
#[unsafe(no_mangle)]
static FRAME_LENGTH: Global<u32> = Global::new(0);

/// Where the header checksum stands in an untagged IPv4 frame, and after it the source address.
const IPV4_CHECKSUM: usize = 14 + 10;
const IPV4_SOURCE: usize = IPV4_CHECKSUM + 2;
/// Where the total length stands there.
const IPV4_LENGTH: usize = 14 + 2;
/// Where the length of the UDP datagram stands, if the IPv4 header has no options.
const UDP_LENGTH: usize = 14 + 20 + 4;
/// Where the source address stands in an untagged IPv6 frame.
const IPV6_SOURCE: usize = 14 + 8;

/// Sends one frame; a frame that is too short for its addresses is aborted.
#[xdp]
fn generate(context: XdpContext) -> u32 {
    send(&context).unwrap_or(xdp_action::XDP_ABORTED)
}

#[inline(always)]
fn send(context: &XdpContext) -> Option<u32> {
    if INTERVAL.load() != 0 && !is_due()? {
        return Some(xdp_action::XDP_DROP);
    }
    let run = RUNS.get_ptr_mut(0)?;
    // SAFETY: this CPU's element of a one-element array that lives as long as the program; test runs on one
    // CPU follow one another.
    let run = unsafe { &mut *run };
    let number = *run & SOURCE_MASK.load();
    *run = run.wrapping_add(1);
    let is_compact = IP_VERSION.load() == 4 && MIXED.load() == 0;
    let words = SOURCES.get(if is_compact { number / 4 } else { number })?;

    if FRAME_LENGTH.load() != 0 {
        renew(context)?;
    }
    if MIXED.load() != 0 {
        let [.., [_, _, a, b]] = words.map(u32::to_ne_bytes);
        shorten(context, u16::from_ne_bytes([a, b]))?;
    }
    let packet = Packet::of_one_buffer(context);
    if is_compact {
        let address = *words.get(number as usize % 4)?;
        packet.write(IPV4_CHECKSUM, checksum(address).to_ne_bytes())?;
        packet.write(IPV4_SOURCE, address.to_ne_bytes())?;
    } else if IP_VERSION.load() == 4 {
        let [first, [a, b, c, d], [high, low, ..], _] = words.map(u32::to_ne_bytes);
        packet.write(IPV4_CHECKSUM, first)?;
        packet.write(IPV4_CHECKSUM + 4, [a, b])?;
        packet.write(IPV4_LENGTH, [c, d])?;
        packet.write(UDP_LENGTH, [high, low])?;
    } else {
        for (place, word) in words.iter().enumerate() {
            packet.write(IPV6_SOURCE + place * 4, word.to_ne_bytes())?;
        }
    }
    if INTERFACE.load() == 0 {
        return Some(xdp_action::XDP_DROP);
    }
    // SAFETY: the helper takes numbers only, and refuses an interface that does not exist.
    let action = unsafe { bpf_redirect(INTERFACE.load(), 0) };
    u32::try_from(action).ok()
}

/// The checksum of an IPv4 header with this source address (RFC 1071): sums are the same in either order of bytes.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "a header adds up to less than 2^20, so folding twice leaves 16 bits"
)]
fn checksum(address: u32) -> u16 {
    let sum = HEADER_SUM.load() + (address & 0xffff) + (address >> 16);
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded + (folded >> 16)) as u16)
}

/// Whether it is time for the next frame: one in an interval. Those that are late follow at once.
#[inline(always)]
fn is_due() -> Option<bool> {
    let due = DUE.get_ptr_mut(0)?;
    // SAFETY: this CPU's element of a one-element array that lives as long as the program; test runs on one
    // CPU follow one another.
    let due = unsafe { &mut *due };
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    if now < *due {
        return Some(false);
    }
    *due = now.saturating_sub(LATEST).max(*due) + INTERVAL.load();
    Some(true)
}

/// Cuts bytes off at the end. The kernel gives the next run the whole frame again.
#[inline(always)]
fn shorten(context: &XdpContext, bytes: u16) -> Option<()> {
    // SAFETY: the context is the one that the kernel called us with, and the helper refuses to leave less than an Ethernet
    // header of the frame. What was read of the frame before is not used after.
    let failed = unsafe { bpf_xdp_adjust_tail(context.ctx, -i32::from(bytes)) };
    (failed == 0).then_some(())
}

/// Writes the whole frame anew, for receivers that turn it into another one.
#[inline(always)]
fn renew(context: &XdpContext) -> Option<()> {
    let frame = FRAME.get_ptr_mut(0)?;
    // SAFETY: the context is the one that the kernel called us with; the loader says a length of at most `LONGEST`, which
    // the verifier sees, and so many bytes are in the map's only element.
    let failed = unsafe { bpf_xdp_store_bytes(context.ctx, 0, frame.cast(), FRAME_LENGTH.load()) };
    (failed == 0).then_some(())
}
