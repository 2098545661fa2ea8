//! Which class an address has: programs for `BPF_PROG_TEST_RUN` that look up one address a run and write down what
//! they find, so that tests hold every answer against what it should be.
//!
//! Addresses and classes stand in arrays of many, in pages: one system call looks all of them up, and one writes or
//! reads a page.
#![no_std]
#![no_main]

use aya_ebpf::{
    bindings::xdp_action,
    macros::{map, xdp},
    maps::Array,
    programs::XdpContext,
};
use geodrop_common::{Class, Table};
use geodrop_ebpf::{address, lpm::LpmTries, multibit::Multibit};

/// How many addresses a page has.
const PAGE: u32 = 1024;

/// As many things.
type Page<T> = [T; PAGE as usize];

/// The IPv4 addresses to look up, in network order. The loader sets how many pages.
#[map]
static IPV4_ADDRESSES: Array<Page<u32>> = Array::with_max_entries(1, 0);

/// The IPv6 addresses to look up, in network order. The loader sets how many pages.
#[map]
static IPV6_ADDRESSES: Array<Page<[u64; 2]>> = Array::with_max_entries(1, 0);

/// The numbers of the classes that were found. The loader sets how many pages.
#[map]
static FOUND: Array<Page<u16>> = Array::with_max_entries(1, 0);

/// The number of runs, which is the place of the next address. Runs follow one another.
#[map]
static RUNS: Array<u32> = Array::with_max_entries(1, 0);

/// Looks the next address up, and writes down what is found; `None` after the last one.
#[inline(always)]
fn run<A: Copy>(addresses: &Array<Page<A>>, look_up: impl FnOnce(A) -> Class) -> Option<()> {
    let run = RUNS.get_ptr_mut(0)?;
    // SAFETY: the kernel returned the array's element, which lives as long as the program; nobody else writes it
    // while the test runs its program.
    let run = unsafe { &mut *run };
    let (page, place) = (*run / PAGE, (*run % PAGE) as usize);
    let class = look_up(addresses.get(page)?[place]);
    let found = FOUND.get_ptr_mut(page)?;
    // SAFETY: as for the number of runs.
    let found = unsafe { &mut *found };
    found[place] = class.number();
    *run += 1;
    Some(())
}

/// `XDP_PASS` when an address was looked up, `XDP_ABORTED` when there was none.
#[inline(always)]
const fn answer(done: Option<()>) -> u32 {
    match done {
        Some(()) => xdp_action::XDP_PASS,
        None => xdp_action::XDP_ABORTED,
    }
}

/// Looks one IPv4 address up.
#[inline(always)]
fn ipv4(table: &impl Table) -> u32 {
    answer(run(&IPV4_ADDRESSES, |octets| {
        table.ipv4(address::ipv4(octets))
    }))
}

/// Looks one IPv6 address up.
#[inline(always)]
fn ipv6(table: &impl Table) -> u32 {
    answer(run(&IPV6_ADDRESSES, |octets| {
        table.ipv6(address::ipv6(octets))
    }))
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
