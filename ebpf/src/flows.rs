//! Flows that this host has opened to addresses which would not get in by themselves.
//!
//! The egress program [`note`]s them, the filter asks whether a packet that it would drop [`answers`] one. Nobody but
//! this host puts anything into the map, so that no flood from outside can fill it; and of what is
//! noted nothing, the filter learns by one load from a small table of contacted addresses.

use core::net::{Ipv4Addr, Ipv6Addr};

use aya_ebpf::{
    Global,
    helpers::generated::bpf_ktime_get_coarse_ns,
    macros::map,
    maps::{Array, LruHashMap},
};
use geodrop_common::{
    Frame, Rules as _, Source, Table as _,
    address::Address,
    flow::{self, FlowKey, FlowState},
    source::ETHERNET_HEADER,
    transport::{
        Family, IPV4_PROTOCOL, IPV4_SOURCE, IPV6_NEXT_HEADER, IPV6_SOURCE, IpHeader, TCP,
        Transport, UDP,
    },
};

use crate::{
    apart::Apart,
    far::Far,
    rules::{Policy, lets_all_pass},
};

/// The flows. Outlives generations. The loader leaves it small where replies are judged as all other packets.
#[map]
static FLOWS: LruHashMap<FlowKey, FlowState> = LruHashMap::with_max_entries(flow::MOST_FLOWS, 0);

/// When a flow to some address was last noted, by a hash of the address; several share an element. Outlives generations.
#[map]
static CONTACTED: Array<u64> = Array::with_max_entries(flow::CONTACTED, 0);

/// Flows of UDP that somebody outside began, while the filter let pass what it would drop: what this host answers then,
/// it has not opened. Of these a flood can fill the map, but only while all passes anyway.
#[map]
static INBOUND: LruHashMap<FlowKey, FlowState> = LruHashMap::with_max_entries(16384, 0);

/// Not 0: packets pass that answer what this host began. Set before the program is loaded.
#[unsafe(no_mangle)]
static REPLIES: Global<u8> = Global::new(0);

/// How much later a packet has to be for it to be written down, in nanoseconds.
const FRESH_NS: u64 = 1_000_000_000;

/// Whether a packet from outside answers a flow that this host has opened.
#[inline(always)]
pub fn answers<F: Frame + ?Sized, P: Apart>(frame: &F, packet: P, ip: IpHeader) -> bool {
    P::SEES
        && REPLIES.load() != 0
        && may_answer(frame, ip)
        && (packet.is_answer(ip) || packet.is_error(ip))
}

/// Whether this host has had anything to do with a packet's source; also true where that takes longer to be told.
#[inline(always)]
fn may_answer<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> bool {
    // Behind no tag, where headers stand is a constant.
    if ip.offset != ETHERNET_HEADER {
        return true;
    }
    // A number on each way, none of them an `Option`'s that the verifier would find unset.
    let number = |offset| frame.read(ETHERNET_HEADER + offset).map_or(0, |[it]| it);
    let (protocol, hash) = match ip.family {
        Family::Ipv4 => {
            let protocol = number(IPV4_PROTOCOL);
            let source = frame.read(ETHERNET_HEADER + IPV4_SOURCE);
            let hash = source.map_or(0, |source| flow::remote_hash(Address::ipv4(source)));
            (protocol, hash)
        }
        Family::Ipv6 => {
            let protocol = number(IPV6_NEXT_HEADER);
            let source = frame.read(ETHERNET_HEADER + IPV6_SOURCE);
            (
                protocol,
                source.map_or(0, |source| flow::remote_hash(Address::ipv6(source))),
            )
        }
    };
    // An ICMP error comes from anywhere, and behind an extension header may be one.
    !matches!(protocol, TCP | UDP) || was_contacted(hash)
}

/// Whether a flow to an address with this hash was ever noted.
#[inline(always)]
fn was_contacted(hash: u32) -> bool {
    let Some(contacted) = contacted(hash) else {
        return false;
    };
    // SAFETY: the element lives as long as the map and is aligned to 8 bytes; whoever else writes it writes it whole.
    unsafe { contacted.read_volatile() != 0 }
}

/// Whether a packet answers a flow that is noted.
#[inline(always)]
pub(crate) fn is_answer<P: Far>(packet: P, ip: IpHeader) -> bool {
    let Some(transport) = Transport::of(&packet, ip) else {
        return false;
    };
    match flow::answered(&packet, &transport) {
        Some(key) => is_noted(&FLOWS, &key, now()),
        None => false,
    }
}

/// Whether a packet is an ICMP error about a flow that is noted.
#[inline(always)]
pub(crate) fn is_error<P: Far>(packet: P, ip: IpHeader) -> bool {
    let Some(transport) = Transport::of(&packet, ip) else {
        return false;
    };
    match flow::quoted(&packet, &transport) {
        Some(key) => is_noted(&FLOWS, &key, now()),
        None => false,
    }
}

/// Notes that somebody outside began a flow of UDP, if the filter lets pass what it would drop.
#[inline(always)]
pub fn note_inbound<P: Apart>(packet: P, ip: IpHeader) {
    if P::SEES && REPLIES.load() != 0 && lets_all_pass() {
        packet.note_inbound(ip);
    }
}

/// Notes that a packet began a flow of UDP, if it did; whether it did.
#[inline(always)]
pub(crate) fn note_inbound_udp<P: Far>(packet: P, ip: IpHeader) -> bool {
    let Some(transport) = Transport::of(&packet, ip) else {
        return false;
    };
    if transport.protocol() != UDP {
        return false;
    }
    let Some(key) = flow::answered(&packet, &transport) else {
        return false;
    };
    refresh(&INBOUND, &key, now());
    true
}

/// Notes the flow of a packet that leaves this host, if it opens one to an address that would not get in by itself.
#[inline(always)]
pub fn note<P: Apart>(frame: &P) {
    let ip = match Source::of(frame) {
        Source::Ipv4 { header, .. } => IpHeader {
            family: Family::Ipv4,
            offset: header,
        },
        Source::Ipv6 { header, .. } => IpHeader {
            family: Family::Ipv6,
            offset: header,
        },
        Source::NotIp | Source::Malformed => return,
    };
    let Some(transport) = Transport::of(frame, ip) else {
        return;
    };
    let Some(outgoing) = flow::outgoing(frame, &transport) else {
        return;
    };
    if !outgoing.opens || !would_be_refused(Policy(*frame), &outgoing.key, ip.family) {
        return;
    }
    let (key, now) = (outgoing.key, now());
    if lets_all_pass() && key.protocol == UDP.into() && is_noted(&INBOUND, &key, now) {
        return;
    }
    refresh(&FLOWS, &key, now);
    if let Some(contacted) = contacted(key.remote_hash()) {
        // SAFETY: the element lives as long as the map and is aligned to 8 bytes; whoever else writes it writes it whole.
        unsafe { contacted.write_volatile(now) };
    }
}

/// Whether packets of the other end may be dropped for the country that they come from.
#[inline(always)]
fn would_be_refused<P: Apart>(policy: Policy<P>, key: &FlowKey, family: Family) -> bool {
    let entry = match family {
        Family::Ipv4 => {
            let [.., a, b, c, d] = key.remote.octets();
            policy.entry(policy.ipv4(Ipv4Addr::new(a, b, c, d)))
        }
        Family::Ipv6 => {
            let address = Ipv6Addr::from_octets(key.remote.octets());
            policy.entry_of_ipv6(address)
        }
    };
    entry.is_ever_against() && !entry.is_firm()
}

/// The element of the table of contacted addresses for a hash; never `None`, as it is inside.
#[inline(always)]
fn contacted(hash: u32) -> Option<*mut u64> {
    CONTACTED.get_ptr_mut(hash & (flow::CONTACTED - 1))
}

/// Whether a flow is noted, and was not idle for too long; then this packet counts as its last.
#[inline(always)]
fn is_noted(flows: &LruHashMap<FlowKey, FlowState>, key: &FlowKey, now: u64) -> bool {
    let Some(state) = flows.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: the element may be given to another flow while we look at it, and is then one number of that flow: at worst a
    // packet more or less passes. It lives as long as the map, and is aligned to 8 bytes.
    let noted = unsafe { state.read_volatile() };
    if noted.is_idle(key, now) {
        return false;
    }
    if now.wrapping_sub(noted.last_seen_ns) > FRESH_NS {
        // SAFETY: as above.
        unsafe { state.write_volatile(FlowState { last_seen_ns: now }) };
    }
    true
}

/// Notes that a packet of a flow was seen.
#[inline(always)]
fn refresh(flows: &LruHashMap<FlowKey, FlowState>, key: &FlowKey, now: u64) {
    if !is_noted(flows, key, now) {
        // The map is never full: it forgets whom it has not seen for the longest time.
        let _ = flows.insert(key, FlowState { last_seen_ns: now }, 0);
    }
}

/// Nanoseconds of the monotonic clock, as of its last tick: cheap, and exact enough.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes nothing and returns a number.
    unsafe { bpf_ktime_get_coarse_ns() }
}
