//! What geodrop's kernel programs share: a packet as a [`Frame`](geodrop_common::Frame), and each engine's maps as
//! a [`Table`](geodrop_common::Table).
//!
//! The programs themselves are the binaries of this crate, one object file each:
//!
//! - `filter`: the product. Reads a packet's source, looks it up, counts it, drops or passes it.
//! - `generator`: sends frames from many sources through a veth, for demo, tests and benches.
//! - `lookup_bench`: one table lookup a run, and the same without the lookup, for benches.
//! - `lookup_test`: one table lookup a run, with the class written down, for tests.
//! - `reference`: drops everything unseen, for benches.
//!
//! All that decides a verdict stands in `geodrop-common`; here is only what touches the kernel.
#![no_std]
// Inline assembly for BPF is not stable yet; this crate needs an unstable compiler in any case, to build `core`.
#![feature(asm_experimental_arch)]

pub mod address;
pub mod answer;
pub mod apart;
pub mod counters;
mod element;
pub mod far;
pub mod flows;
pub mod lpm;
pub mod multibit;
pub mod packet;
pub mod report;
pub mod rules;
pub mod watch;

/// Nothing in these programs can panic, and the verifier would refuse a loop that never ends: this only
/// satisfies the compiler.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The licence that the kernel asks for before it lets a program call GPL-only helpers.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
