//! The reference: drops every packet and looks at none. What a filter costs is what it takes longer than this.
#![no_std]
#![no_main]
#![allow(
    clippy::needless_pass_by_value,
    reason = "aya's macro hands a program its context by value"
)]

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
// The panic handler and the licence of every object.
use geodrop_ebpf as _;

/// Drops a packet.
#[xdp(frags)]
fn reference(_context: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}
