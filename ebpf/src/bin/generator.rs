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
    helpers::{bpf_redirect, bpf_xdp_store_bytes},
    macros::{map, xdp},
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use geodrop_ebpf::packet::Packet;

/// Source addresses in network order; an IPv4 address stands in the first four bytes. The loader sets how
/// many there are: a power of two.
#[map]
static SOURCES: Array<[u8; 16]> = Array::with_max_entries(1, 0);

/// The number of runs on this CPU.
#[map]
static RUNS: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// The number of sources less one: a mask. Set before the program is loaded.
#[unsafe(no_mangle)]
static SOURCE_MASK: Global<u32> = Global::new(0);

/// 4 or 6: the IP version of the frame, which says where its source address stands.
#[unsafe(no_mangle)]
static IP_VERSION: Global<u8> = Global::new(4);

/// The interface to send from.
#[unsafe(no_mangle)]
static INTERFACE: Global<u32> = Global::new(0);

/// The frame as it is to be sent, but for its source.
#[map]
static FRAME: Array<[u8; LONGEST]> = Array::with_max_entries(1, 0);

/// The longest frame that is written anew.
const LONGEST: usize = 128;

/// How long the frame is that every run writes anew; 0 where nobody changes more than its source. Set before the program
/// is loaded.
#[unsafe(no_mangle)]
static FRAME_LENGTH: Global<u32> = Global::new(0);

/// Where the source address stands in an untagged IPv4 frame.
const IPV4_SOURCE: usize = 14 + 12;
/// Where the source address stands in an untagged IPv6 frame.
const IPV6_SOURCE: usize = 14 + 8;

/// Sends one frame; a frame that is too short for its addresses is aborted.
#[xdp]
fn generate(context: XdpContext) -> u32 {
    send(&context).unwrap_or(xdp_action::XDP_ABORTED)
}

#[inline(always)]
fn send(context: &XdpContext) -> Option<u32> {
    let run = RUNS.get_ptr_mut(0)?;
    // SAFETY: this CPU's element of a one-element array that lives as long as the program; test runs on one
    // CPU follow one another.
    let run = unsafe { &mut *run };
    let source = SOURCES.get(*run & SOURCE_MASK.load())?;
    *run = run.wrapping_add(1);

    if FRAME_LENGTH.load() != 0 {
        renew(context)?;
    }
    let packet = Packet::of_one_buffer(context);
    if IP_VERSION.load() == 4 {
        let [a, b, c, d, ..] = *source;
        packet.write(IPV4_SOURCE, [a, b, c, d])?;
    } else {
        packet.write(IPV6_SOURCE, *source)?;
    }
    // SAFETY: the helper takes numbers only, and refuses an interface that does not exist.
    let action = unsafe { bpf_redirect(INTERFACE.load(), 0) };
    u32::try_from(action).ok()
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
