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

use core::net::{Ipv4Addr, Ipv6Addr};

use aya_ebpf::{
    Global,
    bindings::xdp_action,
    macros::{map, xdp},
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use geodrop_common::{
    Action, Class, Counter, Entry, Judgement, Slot, Table, class, counter, judge,
};
use geodrop_ebpf::{lpm::LpmTries, multibit::Multibit, packet::Packet};

/// Packets and bytes by [`Slot`], one set a CPU. Outlives the program: a reload takes it over.
#[map]
static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(counter::CAPACITY, 0);

/// The side table: what each class means, as [`Entry`] words; zero is [`Entry::PASS`]. Filled and frozen before the
/// program is loaded.
///
/// A map of many elements, not one element or read-only data, because the verifier refuses a pointer that is moved
/// by a number known on one path and by a variable on another, unless the loader has `CAP_PERFMON`. Without
/// `BPF_F_RDONLY_PROG`, because of a frozen map that has it the verifier reads what a program will read, and fails
/// (`ENOTSUPP`) if the map has more than one element.
#[map]
#[allow(
    clippy::cast_possible_truncation,
    reason = "512 fits; const has no other conversion"
)]
static CLASSES: Array<u32> = Array::with_max_entries(class::CAPACITY as u32, 0);

/// Not 0: addresses are looked up in the kernel's LPM tries. 0: in the multibit tries. Set before the program is
/// loaded, so that the verifier removes the other engine's code.
#[unsafe(no_mangle)]
static LPM: Global<u8> = Global::new(0);

/// Not 0: count what would be dropped, and drop nothing. Set before the program is loaded.
#[unsafe(no_mangle)]
static MONITOR: Global<u8> = Global::new(0);

/// The tables of the engine that the loader chose.
struct Tables;

impl Table for Tables {
    #[inline(always)]
    fn ipv4(&self, address: Ipv4Addr) -> Class {
        if LPM.load() == 0 {
            Multibit.ipv4(address)
        } else {
            LpmTries.ipv4(address)
        }
    }

    #[inline(always)]
    fn ipv6(&self, address: Ipv6Addr) -> Class {
        if LPM.load() == 0 {
            Multibit.ipv6(address)
        } else {
            LpmTries.ipv6(address)
        }
    }
}

/// What a class means.
#[inline(always)]
fn entry(class: Class) -> Entry {
    // Never `None`: a class is below the array's capacity. The verifier wants to see the check.
    let word = CLASSES.get(class.number().into()).copied();
    word.map_or(Entry::PASS, Entry::from_word)
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
fn filter(context: &XdpContext, packet: &Packet) -> u32 {
    let Judgement { action, slot } = judge(packet, &Tables, entry);
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
    filter(&context, &Packet::of_one_buffer(&context))
}

/// The filter for packets of one or several buffers.
#[xdp(frags)]
fn geodrop_frags(context: XdpContext) -> u32 {
    filter(&context, &Packet::of_several_buffers(&context))
}
