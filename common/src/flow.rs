//! Flows that this host has opened, so that what answers them can be told from what does not.
//!
//! The egress program asks [`outgoing`] and notes what [opens](Outgoing::opens) a flow; the filter asks [`incoming`]
//! about a packet that it would drop, and lets it pass when its key is noted and not [idle](FlowState::is_idle).
//!
//! | inbound packet | may answer |
//! |---|---|
//! | TCP, but for a SYN without ACK | the flow of its addresses and ports |
//! | TCP, a SYN without ACK | nothing: it opens a connection (simultaneous open, RFC 9293 section 3.5, is not told) |
//! | UDP | the flow of its addresses and ports |
//! | ICMP echo reply | the flow of its addresses and identifier |
//! | ICMP destination unreachable, time exceeded, parameter problem | the flow of the packet that it quotes |
//! | ICMP for IPv6: errors 1 to 4, packet too big among them | the same |
//! | a later fragment | nothing: it has no ports; first fragments alone reassemble to nothing |
//! | any other | nothing |
//!
//! An error comes from wherever the quoted packet failed, so its source does not count; but it has to come to the
//! address that the quoted packet came from. Redirects and source quench (RFC 6633) answer nothing.

use crate::{
    address::Address,
    frame::Frame,
    transport::{
        self, Family, ICMP, ICMPV6, IPV4_DESTINATION, IPV4_FRAGMENT, IPV4_FRAGMENT_OFFSET,
        IPV4_HEADER, IPV4_PROTOCOL, IPV4_SOURCE, IPV6_DESTINATION, IPV6_HEADER, IPV6_SOURCE,
        IpHeader, Ports, TCP, Transport, UDP,
    },
};

/// How many flows are noted at a time.
pub const MOST_FLOWS: u32 = 1 << 16;

/// How many elements the table of contacted addresses has. A power of two, so that a mask bounds an index.
pub const CONTACTED: u32 = 1 << 14;

const SECOND: u64 = 1_000_000_000;

/// How long a TCP flow may be idle. Less than the 2 h 4 min that RFC 5382 (REQ-5) asks of a NAT, for a flow that is
/// forgotten here is only judged by its country again; a connection that is to outlast it sends keep-alives.
pub const TCP_IDLE_NS: u64 = 3600 * SECOND;
/// How long a UDP flow may be idle: the least that RFC 4787 (REQ-5) allows a NAT.
pub const UDP_IDLE_NS: u64 = 120 * SECOND;
/// How long after an echo request a reply passes: the least that RFC 5508 (REQ-2) allows a NAT.
pub const ICMP_IDLE_NS: u64 = 60 * SECOND;

const TCP_FLAGS: usize = 13;
const TCP_SYN: u8 = 0x02;
const TCP_ACK: u8 = 0x10;

const ICMP_IDENTIFIER: usize = 4;
const ICMP_HEADER: usize = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// A flow as this host sees it: the key of a BPF hash map, of which every byte counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey {
    /// The other's address.
    pub remote: Address,
    /// Ours.
    pub local: Address,
    /// The other's port, in network byte order; 0 for ICMP.
    pub remote_port: [u8; 2],
    /// Ours, or the identifier of an ICMP echo.
    pub local_port: [u8; 2],
    /// The number of the transport protocol: a whole word, so that no byte of a key is without a name, and the compiler
    /// has none to clear by a loop, which the verifier takes from nobody without `CAP_PERFMON`.
    pub protocol: u32,
}

const _: () = assert!(size_of::<FlowKey>() == 40);

impl FlowKey {
    /// A hash of the remote address, all bits of which are as good: for a small table of contacted addresses.
    #[inline(always)]
    #[must_use]
    pub const fn remote_hash(&self) -> u32 {
        remote_hash(self.remote)
    }

    /// How long the flow may be idle before it is forgotten, in nanoseconds.
    #[inline(always)]
    #[must_use]
    pub const fn idle_timeout_ns(&self) -> u64 {
        const TCP: u32 = transport::TCP as u32;
        const UDP: u32 = transport::UDP as u32;
        match self.protocol {
            TCP => TCP_IDLE_NS,
            UDP => UDP_IDLE_NS,
            _ => ICMP_IDLE_NS,
        }
    }
}

/// The same of an address of which there is no key yet.
#[inline(always)]
#[must_use]
pub const fn remote_hash(remote: Address) -> u32 {
    let [a, b, c, d, ..] = remote.hash().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// What is noted of a flow: the value in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FlowState {
    /// When a packet of it was last seen, by the kernel's clock.
    pub last_seen_ns: u64,
}

impl FlowState {
    /// Whether the flow has been idle for longer than its protocol allows, and counts as forgotten.
    #[inline(always)]
    #[must_use]
    pub const fn is_idle(&self, key: &FlowKey, now_ns: u64) -> bool {
        // Another CPU may have noted a packet since this one asked for the time.
        now_ns.saturating_sub(self.last_seen_ns) > key.idle_timeout_ns()
    }
}

/// A packet that leaves this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The flow that it is of.
    pub key: FlowKey,
    /// Whether it opens that flow, if nothing came in first: a TCP SYN without ACK, a UDP datagram, an echo request.
    /// What does not can only keep alive a flow that is noted.
    pub opens: bool,
}

/// The flow of a packet that leaves this host; `None` when nothing could be told to answer it.
#[inline(always)]
pub fn outgoing<F: Frame + ?Sized>(frame: &F, transport: &Transport) -> Option<Outgoing> {
    if transport.is_later_fragment() {
        return None;
    }
    let ip = transport.ip();
    let protocol = transport.protocol();
    let (remote_port, local_port, opens) = match (protocol, ip.family) {
        (TCP | UDP, _) => {
            let Ports {
                source,
                destination,
            } = transport.ports(frame)?;
            let opens = protocol == UDP || is_bare_syn(frame, transport)?;
            (destination.to_be_bytes(), source.to_be_bytes(), opens)
        }
        (ICMP, Family::Ipv4) | (ICMPV6, Family::Ipv6) => {
            let [kind]: [u8; 1] = transport.read(frame, 0)?;
            if kind != echo_request(ip.family) {
                return None;
            }
            ([0; 2], transport.read(frame, ICMP_IDENTIFIER)?, true)
        }
        _ => return None,
    };
    let Addresses {
        source,
        destination,
    } = Addresses::of(frame, ip)?;
    let key = FlowKey {
        remote: destination,
        local: source,
        remote_port,
        local_port,
        protocol: protocol.into(),
    };
    Some(Outgoing { key, opens })
}

/// The flow that a packet to this host answers, if there is such a flow; `None` when it can answer none.
///
/// One of [`answered`] and [`quoted`]: apart they are for the kernel, whose stack has no room for both at once.
#[inline(always)]
pub fn incoming<F: Frame + ?Sized>(frame: &F, transport: &Transport) -> Option<FlowKey> {
    match answered(frame, transport) {
        None => quoted(frame, transport),
        key => key,
    }
}

/// The flow that a packet to this host is of, if it is no error about one.
#[inline(always)]
pub fn answered<F: Frame + ?Sized>(frame: &F, transport: &Transport) -> Option<FlowKey> {
    if transport.is_later_fragment() {
        return None;
    }
    let ip = transport.ip();
    let protocol = transport.protocol();
    let (remote_port, local_port) = match (protocol, ip.family) {
        (TCP | UDP, _) => {
            let Ports {
                source,
                destination,
            } = transport.ports(frame)?;
            if protocol == TCP && is_bare_syn(frame, transport)? {
                return None;
            }
            (source.to_be_bytes(), destination.to_be_bytes())
        }
        (ICMP, Family::Ipv4) | (ICMPV6, Family::Ipv6) => {
            let [kind]: [u8; 1] = transport.read(frame, 0)?;
            if kind != echo_reply(ip.family) {
                return None;
            }
            ([0; 2], transport.read(frame, ICMP_IDENTIFIER)?)
        }
        _ => return None,
    };
    let Addresses {
        source,
        destination,
    } = Addresses::of(frame, ip)?;
    Some(FlowKey {
        remote: source,
        local: destination,
        remote_port,
        local_port,
        protocol: protocol.into(),
    })
}

/// The flow that a packet to this host is an error about.
#[inline(always)]
pub fn quoted<F: Frame + ?Sized>(frame: &F, transport: &Transport) -> Option<FlowKey> {
    if transport.is_later_fragment() {
        return None;
    }
    match (transport.protocol(), transport.ip().family) {
        (ICMP, Family::Ipv4) => match transport.read(frame, 0)? {
            // Destination unreachable, time exceeded, parameter problem (RFC 792).
            [3 | 11 | 12] => quoted_ipv4(frame, transport),
            _ => None,
        },
        (ICMPV6, Family::Ipv6) => match transport.read(frame, 0)? {
            // Destination unreachable, packet too big, time exceeded, parameter problem (RFC 4443).
            [1..=4] => quoted_ipv6(frame, transport),
            _ => None,
        },
        _ => None,
    }
}

/// The flow of the packet of ours that an ICMP error quotes: its IP header, and at least 8 octets behind (RFC 792).
#[inline(always)]
fn quoted_ipv4<F: Frame + ?Sized>(frame: &F, error: &Transport) -> Option<FlowKey> {
    let [first]: [u8; 1] = error.read(frame, ICMP_HEADER)?;
    let fragment = u16::from_be_bytes(error.read(frame, ICMP_HEADER + IPV4_FRAGMENT)?);
    let [protocol] = error.read(frame, ICMP_HEADER + IPV4_PROTOCOL)?;
    let length = usize::from(first & 0xf) * 4;
    let is_later_fragment = fragment & IPV4_FRAGMENT_OFFSET != 0;
    if first >> 4 != 4 || length < IPV4_HEADER || is_later_fragment {
        return None;
    }
    let start = if length == IPV4_HEADER {
        error.read(frame, ICMP_HEADER + IPV4_HEADER)?
    } else {
        frame.read_at(error.offset() + ICMP_HEADER + length)?
    };
    let addresses = Addresses {
        source: Address::ipv4(error.read(frame, ICMP_HEADER + IPV4_SOURCE)?),
        destination: Address::ipv4(error.read(frame, ICMP_HEADER + IPV4_DESTINATION)?),
    };
    quoted_flow(frame, error, addresses, protocol, start)
}

/// The same of ICMP for IPv6, which quotes as much as fits. Extension headers in what is quoted are not stepped over:
/// of what this host sends with ports, little has any.
#[inline(always)]
fn quoted_ipv6<F: Frame + ?Sized>(frame: &F, error: &Transport) -> Option<FlowKey> {
    let [first, _, _, _, _, _, protocol, _] = error.read(frame, ICMP_HEADER)?;
    if first >> 4 != 6 {
        return None;
    }
    let addresses = Addresses {
        source: Address::ipv6(error.read(frame, ICMP_HEADER + IPV6_SOURCE)?),
        destination: Address::ipv6(error.read(frame, ICMP_HEADER + IPV6_DESTINATION)?),
    };
    let start = error.read(frame, ICMP_HEADER + IPV6_HEADER)?;
    quoted_flow(frame, error, addresses, protocol, start)
}

/// The flow of a quoted packet, by the first octets behind its IP header.
#[inline(always)]
fn quoted_flow<F: Frame + ?Sized>(
    frame: &F,
    error: &Transport,
    addresses: Addresses,
    protocol: u8,
    start: [u8; 8],
) -> Option<FlowKey> {
    let ip = error.ip();
    // What the error quotes has not left from here, if the error is not for the one who sent it.
    if Addresses::of(frame, ip)?.destination != addresses.source {
        return None;
    }
    let [source @ .., _, _, _, _, _, _] = start;
    let [_, _, destination @ .., _, _, _, _] = start;
    let [kind, _, _, _, identifier @ .., _, _] = start;
    let (remote_port, local_port) = match (protocol, ip.family) {
        (TCP | UDP, _) => (destination, source),
        (ICMP, Family::Ipv4) | (ICMPV6, Family::Ipv6) if kind == echo_request(ip.family) => {
            ([0; 2], identifier)
        }
        _ => return None,
    };
    Some(FlowKey {
        remote: addresses.destination,
        local: addresses.source,
        remote_port,
        local_port,
        protocol: protocol.into(),
    })
}

/// The addresses of an IP header.
#[derive(Clone, Copy)]
struct Addresses {
    source: Address,
    destination: Address,
}

impl Addresses {
    #[inline(always)]
    fn of<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<Self> {
        Some(match ip.family {
            Family::Ipv4 => Self {
                source: Address::ipv4(frame.read(ip.offset + IPV4_SOURCE)?),
                destination: Address::ipv4(frame.read(ip.offset + IPV4_DESTINATION)?),
            },
            Family::Ipv6 => Self {
                source: Address::ipv6(frame.read(ip.offset + IPV6_SOURCE)?),
                destination: Address::ipv6(frame.read(ip.offset + IPV6_DESTINATION)?),
            },
        })
    }
}

/// Whether a TCP segment has SYN set and ACK not: it asks for a connection.
#[inline(always)]
fn is_bare_syn<F: Frame + ?Sized>(frame: &F, transport: &Transport) -> Option<bool> {
    let [flags] = transport.read(frame, TCP_FLAGS)?;
    Some(flags & (TCP_SYN | TCP_ACK) == TCP_SYN)
}

#[inline(always)]
const fn echo_reply(family: Family) -> u8 {
    match family {
        Family::Ipv4 => ECHO_REPLY,
        Family::Ipv6 => ECHO_REPLY_V6,
    }
}

#[inline(always)]
const fn echo_request(family: Family) -> u8 {
    match family {
        Family::Ipv4 => ECHO_REQUEST,
        Family::Ipv6 => ECHO_REQUEST_V6,
    }
}
