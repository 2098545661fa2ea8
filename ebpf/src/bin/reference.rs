//! The references: programs that look at no packet. What a filter costs is what it takes longer than the first, and what noting
//! flows costs, what that takes longer than the second.
#![no_std]
#![no_main]
#![allow(
    clippy::needless_pass_by_value,
    reason = "aya's macro hands a program its context by value"
)]

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
// The panic handler and the licence of every object.
use geodrop_ebpf as _;

/// Drops a packet.
#[xdp(frags)]
fn reference(_context: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Leaves a packet that goes out to the next program.
#[classifier]
fn reference_egress(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}
