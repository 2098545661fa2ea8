//! What a lookup costs: programs for `BPF_PROG_TEST_RUN` that look up one address a run, and the same
//! programs without the lookup, whose time is subtracted.
//!
//! The address comes from an array of many, because a benchmark that repeats one address measures a warm
//! cache. What is looked up goes into the program's return value, so that no compiler removes it.
#![no_std]
#![no_main]

use aya_ebpf::{
    Global,
    bindings::xdp_action,
    macros::{map, xdp},
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use geodrop_common::Table;
use geodrop_ebpf::{address, lpm::LpmTries, multibit::Multibit};

/// The IPv4 addresses to look up, in network order. The loader sets how many: a power of two.
#[map]
static IPV4_ADDRESSES: Array<u32> = Array::with_max_entries(1, 0);

/// The IPv6 addresses to look up, in network order. The loader sets how many: a power of two.
#[map]
static IPV6_ADDRESSES: Array<[u64; 2]> = Array::with_max_entries(1, 0);

/// The number of runs on this CPU.
#[map]
static RUNS: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// The number of addresses less one: a mask. Set before the program is loaded.
#[unsafe(no_mangle)]
static ADDRESS_MASK: Global<u32> = Global::new(0);

/// The next address of `addresses`.
#[inline(always)]
fn next<A: Copy>(addresses: &Array<A>) -> Option<A> {
    let run = RUNS.get_ptr_mut(0)?;
    // SAFETY: this CPU's element of a one-element array that lives as long as the program; test runs on one
    // CPU follow one another.
    let run = unsafe { &mut *run };
    let address = addresses.get(*run & ADDRESS_MASK.load())?;
    *run = run.wrapping_add(1);
    Some(*address)
}

/// An action that depends on `value`, so that what led to it is computed: `XDP_DROP` where it is odd, else
/// `XDP_PASS`. Without a branch: the processor's wrong guesses at the answer are not the lookup's.
#[inline(always)]
const fn answer(value: u16) -> u32 {
    xdp_action::XDP_PASS - (value as u32 & 1)
}
const _: () = assert!(answer(0) == xdp_action::XDP_PASS && answer(1) == xdp_action::XDP_DROP);

/// Looks one IPv4 address up.
#[inline(always)]
fn ipv4(table: &impl Table) -> u32 {
    match next(&IPV4_ADDRESSES) {
        Some(octets) => answer(table.ipv4(address::ipv4(octets)).number()),
        None => xdp_action::XDP_ABORTED,
    }
}

/// Looks one IPv6 address up.
#[inline(always)]
fn ipv6(table: &impl Table) -> u32 {
    match next(&IPV6_ADDRESSES) {
        Some(octets) => answer(table.ipv6(address::ipv6(octets)).number()),
        None => xdp_action::XDP_ABORTED,
    }
}

/// Looks up in the kernel's LPM trie.
#[xdp]
fn lpm_ipv4(_context: XdpContext) -> u32 {
    ipv4(&LpmTries)
}

/// Looks up in the kernel's LPM trie.
#[xdp]
fn lpm_ipv6(_context: XdpContext) -> u32 {
    ipv6(&LpmTries)
}

/// Looks up in the multibit trie.
#[xdp]
fn multibit_ipv4(_context: XdpContext) -> u32 {
    ipv4(&Multibit)
}

/// Looks up in the multibit trie.
#[xdp]
fn multibit_ipv6(_context: XdpContext) -> u32 {
    ipv6(&Multibit)
}

/// Does all that a program with a lookup does, but the lookup.
#[xdp]
fn baseline_ipv4(_context: XdpContext) -> u32 {
    match next(&IPV4_ADDRESSES) {
        Some(address) => answer((address >> 16) as u16),
        None => xdp_action::XDP_ABORTED,
    }
}

/// Does all that a program with a lookup does, but the lookup.
#[xdp]
fn baseline_ipv6(_context: XdpContext) -> u32 {
    match next(&IPV6_ADDRESSES) {
        Some([high, low]) => {
            let [a, b, ..] = (high ^ low).to_ne_bytes();
            answer(u16::from_ne_bytes([a, b]))
        }
        None => xdp_action::XDP_ABORTED,
    }
}
