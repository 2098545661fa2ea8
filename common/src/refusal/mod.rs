//! What is sent back to who sent a packet that is refused.
//!
//! | refused | answer |
//! |---|---|
//! | a TCP segment with ACK | RST, its SEQ what the segment acknowledges (RFC 9293 section 3.10.7.1) |
//! | a TCP segment without | RST and ACK, SEQ 0, ACK what comes behind the segment |
//! | IPv4, any other protocol | ICMP type 3 code 13, administratively prohibited (RFC 1812 section 5.2.7.1) |
//! | IPv6, any other protocol | ICMP for IPv6 type 1 code 1, administratively prohibited (RFC 4443 section 3.1) |
//!
//! An ICMP error quotes the IP header and the 8 octets behind it: ports, or an echo's identifier. Answers are of fixed
//! sizes, so that the verifier sees their ends.
//!
//! What is dropped without an answer:
//!
//! | refused | because |
//! |---|---|
//! | RST; ICMP other than a query; IGMP | RFC 9293, RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): no answers to answers |
//! | neighbour discovery, MLD | the link's own business |
//! | a later fragment | RFC 1122 section 3.2.2: one answer a datagram, and here are no ports |
//! | to a multicast or broadcast address, on the wire or in the header | the same: no storm of answers |
//! | from an address that stands for no one host | the same |
//! | IPv4 with options, IPv6 with extension headers, if not TCP | there is no one size for what would be quoted |
//! | less than 8 octets behind the IP header, if not TCP | there is nothing to quote that tells whose it is |
//! | lengths that contradict each other, or the frame | no one has sent it so |
//!
//! **Checksums in the network stack.** A packet there may be one whose checksum the network card is to complete when it
//! is sent: then it has the sum of the pseudo-header in its place, and who sends it adds the rest. So are packets that
//! receive offload (GRO) has joined, and those of a virtual machine or container on the same host. No program can see or
//! change that, and the answer inherits it. So the window of an RST is chosen such that its checksum is just the sum of the
//! pseudo-header: completed or not, it is right. An ICMP error for IPv4 has no pseudo-header; of a datagram that was to be
//! completed, zero (as 0xffff) is written into a field of it that is not used. For IPv6 it would get a wrong checksum,
//! which the other end throws away, as if it had never been sent.
//!
//! That a directed broadcast is one, only its Ethernet destination shows. Checksums of what is refused are not looked
//! at, for a network card may check and forget them: the stack would have dropped such a packet without an answer.

mod answer;

pub use answer::Answer;

use crate::{
    checksum::two_words,
    frame::Frame,
    transport::{
        Family, ICMP, ICMPV6, IGMP, IPV4_DESTINATION, IPV4_SOURCE, IPV6_DESTINATION, IPV6_HEADER,
        IPV6_SOURCE, IpHeader, TCP, Transport,
    },
};

/// How much an ICMP error quotes behind the IP header (RFC 792; RFC 4443 allows more).
const QUOTED_PAYLOAD: usize = 8;

/// What an answer is, and so how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A TCP RST in IPv4.
    ResetIpv4,
    /// A TCP RST in IPv6.
    ResetIpv6,
    /// An ICMP error.
    ProhibitedIpv4,
    /// An error of ICMP for IPv6.
    ProhibitedIpv6,
}

impl Refusal {
    /// Writes the answer to the packet in a frame that starts with its Ethernet header; `None` when it gets none, and
    /// what was written is of no meaning.
    #[inline(always)]
    pub fn of<F: Frame + ?Sized>(
        frame: &F,
        transport: &Transport,
        answer: &mut Answer,
    ) -> Option<Self> {
        let ip = transport.ip();
        let [ethernet_destination]: [u8; 1] = frame.read(0)?;
        let is_group = ethernet_destination & 1 != 0;
        if is_group || transport.is_later_fragment() || !is_between_hosts(frame, ip)? {
            return None;
        }
        answer.turn(frame)?;
        let payload = payload_length(frame, transport)?;
        let answered = match transport.protocol() {
            TCP => {
                return match ip.family {
                    Family::Ipv4 => {
                        answer.reset_ipv4(frame, transport, payload)?;
                        Some(Self::ResetIpv4)
                    }
                    Family::Ipv6 => {
                        answer.reset_ipv6(frame, transport, payload)?;
                        Some(Self::ResetIpv6)
                    }
                };
            }
            IGMP => false,
            protocol @ (ICMP | ICMPV6) => is_query(protocol, transport.read(frame, 0)?),
            _ => true,
        };
        if !answered || !transport.follows_at_once() || payload < QUOTED_PAYLOAD {
            return None;
        }
        match ip.family {
            Family::Ipv4 => {
                answer.prohibited_ipv4(frame, ip)?;
                Some(Self::ProhibitedIpv4)
            }
            Family::Ipv6 => {
                answer.prohibited_ipv6(frame, ip)?;
                Some(Self::ProhibitedIpv6)
            }
        }
    }

    /// How many bytes of an [`Answer`] it is.
    #[inline(always)]
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::ResetIpv4 => 40,
            Self::ResetIpv6 => 60,
            Self::ProhibitedIpv4 => 56,
            Self::ProhibitedIpv6 => 96,
        }
    }
}

/// Whether an ICMP type asks for something, of either version: echo, timestamp, information, address mask, extended
/// echo; echo, node information, extended echo (IANA, ICMP Parameters). Of any other may come an answer to
/// an answer.
#[inline(always)]
const fn is_query(protocol: u8, [kind]: [u8; 1]) -> bool {
    match protocol {
        ICMP => matches!(kind, 8 | 13 | 15 | 17 | 42),
        _ => matches!(kind, 128 | 139 | 160),
    }
}

/// Whether a packet comes from an address that stands for one host and goes to an address that may.
#[inline(always)]
fn is_between_hosts<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<bool> {
    Some(match ip.family {
        Family::Ipv4 => {
            let [source]: [u8; 1] = frame.read(ip.offset + IPV4_SOURCE)?;
            let [destination]: [u8; 1] = frame.read(ip.offset + IPV4_DESTINATION)?;
            // From "this network", loopback, multicast and reserved, broadcast among it, comes nothing (RFC 1122
            // section 3.2.1.3); 240/4 is no more a destination than a source.
            !matches!(source, 0 | 127 | 224..) && destination < 224
        }
        Family::Ipv6 => {
            let [first, second] = two_words(frame.read(ip.offset + IPV6_SOURCE)?);
            let [source]: [u8; 1] = frame.read(ip.offset + IPV6_SOURCE)?;
            let [destination]: [u8; 1] = frame.read(ip.offset + IPV6_DESTINATION)?;
            // In ::/64 are unspecified, loopback, and what only looks like IPv4.
            (first | second) != 0 && source != 0xff && destination != 0xff
        }
    })
}

/// How many octets of transport header and data a packet says it has; `None` when that contradicts the frame.
#[inline(always)]
fn payload_length<F: Frame + ?Sized>(frame: &F, transport: &Transport) -> Option<usize> {
    let ip = transport.ip();
    let (place, header) = match ip.family {
        Family::Ipv4 => (ip.offset + 2, 0),
        Family::Ipv6 => (ip.offset + 4, IPV6_HEADER),
    };
    let total = usize::from(u16::from_be_bytes(frame.read(place)?)) + header;
    let end = ip.offset + total;
    if end > frame.length() || end < transport.offset() {
        return None;
    }
    Some(end - transport.offset())
}
