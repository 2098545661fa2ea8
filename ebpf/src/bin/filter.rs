//! The filter: what geodrop attaches to an interface.
//!
//! One program under several names. For XDP `geodrop_frags` is loaded where the kernel knows packets of several buffers
//! (5.18), `geodrop` elsewhere; for tcx `geodrop_tcx`. Loaders without `CAP_PERFMON` get those whose names end with
//! `copied`. Its tables and constants are filled before it is attached and never change
//! after: a reload loads the program anew and swaps it under the link.
//!
//! Each program is inlined into the function that the kernel calls: as a function of its own, it would be handed the packet's
//! start and end as plain numbers.
#![no_std]
#![no_main]
#![allow(
    clippy::needless_pass_by_value,
    reason = "aya's macro hands a program its context by value"
)]

use aya_ebpf::{
    EbpfContext,
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    helpers::bpf_redirect,
    macros::{classifier, map, xdp},
    maps::ProgramArray,
    programs::{TcContext, XdpContext},
};
use geodrop_common::{Action, Frame, Judgement, Source, judge_source, watch::Ruling};
use geodrop_ebpf::{
    answer::{self, Replaceable, answer},
    apart::Apart,
    counters,
    far::{CopiedPacket, CopiedSegment, FarPacket, FirstBuffer, NearPacket, Segment},
    flows,
    packet::Packet,
    report,
    rules::{Plain, Policy, are_plain, only_monitor, trial_is_over},
    watch,
};

/// The program of the generation before, for one that is on trial; empty if there was none.
#[map]
static PREDECESSOR: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Leaves a packet to the generation before, or lets it `pass` as it did when there was none.
#[inline(always)]
fn give_way<T>(context: &impl EbpfContext, pass: T) -> T {
    // SAFETY: the context is the one that the kernel called us with, and the kernel puts programs of our type only into
    // the array. Where there is one, it takes this one's place, which holds nothing that would have to be dropped.
    unsafe { PREDECESSOR.tail_call(context, 0) };
    pass
}

/// Judges and counts a packet. Returns what becomes of it, and what would if the filter enforced.
#[inline(always)]
fn filter<C: EbpfContext, F: Frame, P: Apart>(
    context: &C,
    frame: &F,
    source: Source,
    packet: P,
) -> (Action, Judgement) {
    let judgement = judge_source(source, frame, &Policy(packet));
    let bytes = packet.length() as u64;
    counters::count(judgement.slot, bytes);
    let action = if only_monitor() {
        Action::Pass
    } else {
        judgement.action
    };
    if let Some(ip) = judgement.refused()
        && action == Action::Pass
    {
        flows::note_inbound(packet, ip);
        report::collect(packet, ip, judgement.slot, bytes);
    }
    aya_log_ebpf::debug!(
        context,
        "{} bytes: counted in slot {}, {}",
        bytes,
        judgement.slot.number(),
        match judgement.action {
            Action::Pass => "pass",
            Action::Drop => "drop",
        }
    );
    // Last, so that the verifier has little to remember meanwhile.
    if judgement.is_against() {
        watch::tell(packet, || Ruling {
            slot: judgement.slot,
            rule: judgement.rule,
            rejects: answer::are_sent() && judgement.refused().is_some(),
            passes: action == Action::Pass,
        });
    }
    (action, judgement)
}

/// The same of a frame as most are, under rules as most are, while nobody watches; `None` of any other, and nothing is done.
/// What [`filter`] has to ask, keep and tell apart for all the others takes longer than to look an address up. What can be asked
/// before is asked before: the processor does so while it waits for the address, and for the table.
#[inline(always)]
fn filter_usual(frame: FirstBuffer) -> Option<u32> {
    if !are_plain() || watch::is_watched() {
        return None;
    }
    let source = Source::of_usual(&frame)?;
    let packet = frame.packet(&source);
    let judgement = judge_source(source, &frame, &Plain(packet));
    counters::count(judgement.slot, packet.length() as u64);
    Some(xdp_action(judgement.action))
}

/// What XDP is to do.
#[inline(always)]
const fn xdp_action(action: Action) -> u32 {
    match action {
        Action::Drop => xdp_action::XDP_DROP,
        Action::Pass => xdp_action::XDP_PASS,
    }
}

/// Filters a packet, and answers it if it is to be answered.
#[inline(always)]
fn filter_or_answer<F: Frame, P: Apart + Replaceable>(
    context: &XdpContext,
    frame: &F,
    source: Source,
    packet: P,
) -> u32 {
    let (action, judgement) = filter(context, frame, source, packet);
    if action == Action::Drop
        && let Some(ip) = judgement.refused()
        && answer(packet, ip)
    {
        return xdp_action::XDP_TX;
    }
    xdp_action(action)
}

/// The filter for kernels older than 5.18, which hand a program packets of one buffer only.
#[xdp]
#[inline(always)]
fn geodrop(context: XdpContext) -> u32 {
    if trial_is_over() {
        return give_way(&context, xdp_action::XDP_PASS);
    }
    let frame = Packet::of_one_buffer(&context);
    let packet = NearPacket::of(&context, frame.length());
    xdp_action(filter(&context, &frame, Source::of(&frame), packet).0)
}

/// The filter for packets of one or several buffers.
#[xdp(frags)]
#[inline(always)]
fn geodrop_frags(context: XdpContext) -> u32 {
    if trial_is_over() {
        return give_way(&context, xdp_action::XDP_PASS);
    }
    // It holds no pointer into the packet: the verifier would go all ways behind a lookup anew for each depth of VLAN tags,
    // as it knows more or less of the packet then.
    let frame = FirstBuffer::of(&context);
    if let Some(action) = filter_usual(frame) {
        return action;
    }
    let source = Source::of(&frame);
    filter_or_answer(&context, &frame, source, frame.packet(&source))
}

/// The same for loaders without `CAP_PERFMON`.
#[xdp(frags)]
#[inline(always)]
fn geodrop_copied(context: XdpContext) -> u32 {
    if trial_is_over() {
        return give_way(&context, xdp_action::XDP_PASS);
    }
    let packet = CopiedPacket::of(FarPacket::of(&context));
    let frame = NearPacket::of(&context, packet.length());
    filter_or_answer(&context, &frame, Source::of(&frame), packet)
}

/// What traffic control is to do.
#[inline(always)]
const fn tcx_action(action: Action) -> i32 {
    match action {
        Action::Drop => TC_ACT_SHOT,
        // The next program decides, if there is one.
        Action::Pass => TC_ACT_UNSPEC,
    }
}

/// Sends a packet out of the interface that it came in by.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "an action is a small number"
)]
fn send_back(context: &TcContext) -> i32 {
    // SAFETY: the context is the one that the kernel called us with, which lets us read the field.
    let interface = unsafe { (*context.skb.skb).ifindex };
    // SAFETY: the helper takes numbers only, and looks the interface up.
    unsafe { bpf_redirect(interface, 0) as i32 }
}

/// The filter behind the driver, in the network stack, for interfaces whose XDP hook another program has.
#[classifier]
#[inline(always)]
fn geodrop_tcx(context: TcContext) -> i32 {
    if trial_is_over() {
        return give_way(&context, TC_ACT_UNSPEC);
    }
    filter_or_send_back(&context, Segment::of(&context))
}

/// The same for loaders without `CAP_PERFMON`.
#[classifier]
#[inline(always)]
fn geodrop_tcx_copied(context: TcContext) -> i32 {
    if trial_is_over() {
        return give_way(&context, TC_ACT_UNSPEC);
    }
    filter_or_send_back(&context, CopiedSegment::of(Segment::of(&context)))
}

/// Filters a packet, and sends the answer back if it is to be answered.
#[inline(always)]
fn filter_or_send_back<P: Apart + Replaceable>(context: &TcContext, packet: P) -> i32 {
    let (action, judgement) = filter(context, &packet, Source::of(&packet), packet);
    if action == Action::Drop
        && let Some(ip) = judgement.refused()
        && answer(packet, ip)
    {
        return send_back(context);
    }
    tcx_action(action)
}

/// Notes what this host begins, so that the filter lets pass what answers it.
#[classifier]
#[inline(always)]
fn geodrop_egress(context: TcContext) -> i32 {
    flows::note(&Segment::of(&context));
    TC_ACT_UNSPEC
}

/// The same for loaders without `CAP_PERFMON`.
#[classifier]
#[inline(always)]
fn geodrop_egress_copied(context: TcContext) -> i32 {
    flows::note(&CopiedSegment::of(Segment::of(&context)));
    TC_ACT_UNSPEC
}
