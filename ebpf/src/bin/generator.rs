//! The generator: sends frames from many sources out of an interface.
//!
//! Run by `BPF_PROG_TEST_RUN` with live frames (kernel 5.18): each run writes the next source address into
//! the frame and redirects it. The kernel recycles the frames' pages without restoring them, so every run
//! must write.
#![no_std]
#![no_main]
#![allow(
    clippy::needless_pass_by_value,
    reason = "aya's macro hands a program its context by value"
)]

use aya_ebpf::{
    Global,
    bindings::xdp_action,
    helpers::bpf_redirect,
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
