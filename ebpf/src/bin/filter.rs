//! The filter: what geodrop attaches to an interface.
//!
//! One program under two names: `geodrop_frags` is loaded where the kernel knows packets of several buffers
//! (5.18), `geodrop` elsewhere. Its tables and constants are filled before it is attached and never change
//! after: a reload loads the program anew and swaps it under the link.
#![no_std]
#![no_main]
#![allow(
    clippy::needless_pass_by_value,
    reason = "aya's macro hands a program its context by value"
)]

use aya_ebpf::{
    Global,
    bindings::xdp_action,
    macros::{map, xdp},
    maps::{PerCpuArray, ProgramArray},
    programs::XdpContext,
};
use geodrop_common::{Action, Counter, Judgement, Slot, counter, judge};
use geodrop_ebpf::{
    packet::Packet,
    rules::{Policy, trial_is_over},
};

/// Packets and bytes by [`Slot`], one set a CPU. Outlives the program: a reload takes it over.
#[map]
static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(counter::CAPACITY, 0);

/// Not 0: count what would be dropped, and drop nothing. Set before the program is loaded.
#[unsafe(no_mangle)]
static MONITOR: Global<u8> = Global::new(0);

/// The program of the generation before, for one that is on trial; empty if there was none.
#[map]
static PREDECESSOR: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Leaves a packet to the generation before, or lets it pass as it did when there was none.
#[inline(always)]
fn give_way(context: &XdpContext) -> u32 {
    // SAFETY: the context is the one that the kernel called us with, and the kernel puts programs of our type only into
    // the array. Where there is one, it takes this one's place, which holds nothing that would have to be dropped.
    unsafe { PREDECESSOR.tail_call(context, 0) };
    xdp_action::XDP_PASS
}

/// Counts one packet of `bytes` bytes.
#[inline(always)]
fn count(slot: Slot, bytes: u64) {
    // Never `None`: a slot is below the array's capacity. The verifier wants to see the check.
    let Some(counter) = COUNTERS.get_ptr_mut(slot.number().into()) else {
        return;
    };
    // SAFETY: the kernel returned this CPU's element of the array, which lives as long as the map and is
    // aligned to 8 bytes. No other CPU writes it, and a receiving CPU runs one packet through XDP at a time.
    let counter = unsafe { &mut *counter };
    counter.packets = counter.packets.wrapping_add(1);
    counter.bytes = counter.bytes.wrapping_add(bytes);
}

/// Judges, counts, and answers the kernel.
#[inline(always)]
fn filter<const SEVERAL: bool>(context: &XdpContext, packet: &Packet<SEVERAL>) -> u32 {
    let Judgement { action, slot, .. } = judge(packet, &Policy);
    let bytes = packet.bytes();
    count(slot, bytes);
    aya_log_ebpf::debug!(
        context,
        "{} bytes: counted in slot {}, {}",
        bytes,
        slot.number(),
        match action {
            Action::Pass => "pass",
            Action::Drop => "drop",
        }
    );
    match action {
        Action::Drop if MONITOR.load() == 0 => xdp_action::XDP_DROP,
        Action::Drop | Action::Pass => xdp_action::XDP_PASS,
    }
}

/// The filter for kernels older than 5.18, which hand a program packets of one buffer only.
#[xdp]
fn geodrop(context: XdpContext) -> u32 {
    if trial_is_over() {
        return give_way(&context);
    }
    filter(&context, &Packet::of_one_buffer(&context))
}

/// The filter for packets of one or several buffers.
#[xdp(frags)]
fn geodrop_frags(context: XdpContext) -> u32 {
    if trial_is_over() {
        return give_way(&context);
    }
    filter(&context, &Packet::of_several_buffers(&context))
}
