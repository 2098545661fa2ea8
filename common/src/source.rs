//! From a frame to its source address.
//!
//! Only the way to the outer source address is parsed: the Ethernet header, up to two VLAN tags, the fixed
//! part of the IP header. A country verdict needs no more, so fragments and extension headers cost nothing
//! and tunnels are not opened.
//!
//! What is cut short or contradicts itself:
//!
//! | frame | is | because |
//! |---|---|---|
//! | shorter than an Ethernet header | [`Source::NotIp`] | nothing says that it is IP |
//! | cut inside a VLAN tag, or a third tag | [`Source::NotIp`] | what it carries cannot be known |
//! | says IPv4, shorter than 20 bytes | [`Source::Malformed`] | RFC 791: a header has at least 20 bytes |
//! | says IPv4, version is not 4 | [`Source::Malformed`] | the frame's type contradicts the header |
//! | says IPv4, header length below 20 bytes | [`Source::Malformed`] | RFC 791: the same |
//! | says IPv4, options run past the frame's end | [`Source::Malformed`] | the header is cut short |
//! | says IPv6, shorter than 40 bytes | [`Source::Malformed`] | RFC 8200: a header has 40 bytes |
//! | says IPv6, version is not 6 | [`Source::Malformed`] | the frame's type contradicts the header |
//!
//! The Linux IP stack drops all that is malformed here (`ip_rcv_core`, `ip6_rcv_core`), so to drop it earlier
//! costs no one a packet.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::frame::Frame;

/// How long an Ethernet header is: where an IP header starts behind no tag.
pub const ETHERNET_HEADER: usize = 14;
const VLAN_TAG: usize = 4;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;

const IPV4_HEADER: usize = 20;
const IPV4_SOURCE: usize = 12;
/// How an IPv4 header starts that has no options: the version, then its length in words.
const USUAL_IPV4: u8 = 0x45;
const _: () = assert!((USUAL_IPV4 & 0xf) as usize * 4 == IPV4_HEADER);
const IPV6_HEADER: usize = 40;
const IPV6_SOURCE: usize = 8;

/// Whom a frame comes from, as far as its outermost IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An IPv4 address.
    Ipv4 {
        /// It.
        address: Ipv4Addr,
        /// Where in the frame the IP header starts.
        header: usize,
        /// Where in the frame the IP packet ends, as its header says: nothing compares it with where the frame ends.
        end: usize,
    },
    /// An IPv6 address.
    Ipv6 {
        /// It.
        address: Ipv6Addr,
        /// Where in the frame the IP header starts.
        header: usize,
        /// Where in the frame the IP packet ends, as its header says.
        end: usize,
    },
    /// The frame carries neither IPv4 nor IPv6: ARP, LLDP, and the like.
    NotIp,
    /// The frame says that it carries IP, and its header is cut short or contradicts itself.
    Malformed,
}

impl Source {
    /// Reads the source of a frame that starts with its Ethernet header.
    #[inline(always)]
    pub fn of<F: Frame + ?Sized>(frame: &F) -> Self {
        // Each depth of tags is a case of its own, so that every offset is a constant: without CAP_PERFMON the
        // verifier takes no packet pointer moved by a variable.
        let Some(outer) = ethertype(frame, ETHERNET_HEADER) else {
            return Self::NotIp;
        };
        if !is_tag(outer) {
            return Self::of_payload(frame, outer, ETHERNET_HEADER);
        }
        let Some(inner) = ethertype(frame, ETHERNET_HEADER + VLAN_TAG) else {
            return Self::NotIp;
        };
        if !is_tag(inner) {
            return Self::of_payload(frame, inner, ETHERNET_HEADER + VLAN_TAG);
        }
        if frame.has_tag_apart() {
            return Self::NotIp;
        }
        let Some(innermost) = ethertype(frame, ETHERNET_HEADER + 2 * VLAN_TAG) else {
            return Self::NotIp;
        };
        Self::of_payload(frame, innermost, ETHERNET_HEADER + 2 * VLAN_TAG)
    }

    /// The source of a frame as most are: with IPv4 behind no tag, in a header without options. `None` of any other, for
    /// [`Source::of`] to read: this one looks once whether there is enough of the frame, and tells no two ways apart.
    #[inline(always)]
    pub fn of_usual<F: Frame + ?Sized>(frame: &F) -> Option<Self> {
        // From the frame's words on that the address is one of.
        const FROM: usize = ETHERNET_HEADER - 4;
        let bytes: [u8; 4 + IPV4_HEADER] = frame.read(FROM)?;
        let [_, _, upper, lower, first, _, high, low, ..] = bytes;
        if u16::from_be_bytes([upper, lower]) != ETHERTYPE_IPV4 || first != USUAL_IPV4 {
            return None;
        }
        let [.., a, b, c, d, _, _, _, _] = bytes;
        Some(Self::Ipv4 {
            address: Ipv4Addr::from_octets([a, b, c, d]),
            header: ETHERNET_HEADER,
            end: ETHERNET_HEADER + usize::from(u16::from_be_bytes([high, low])),
        })
    }

    /// Where in the frame the IP packet ends, as its header says; `None` where none is.
    #[inline(always)]
    #[must_use]
    pub const fn end(&self) -> Option<usize> {
        match self {
            Self::Ipv4 { end, .. } | Self::Ipv6 { end, .. } => Some(*end),
            Self::NotIp | Self::Malformed => None,
        }
    }

    #[inline(always)]
    fn of_payload<F: Frame + ?Sized>(frame: &F, ethertype: u16, header: usize) -> Self {
        match ethertype {
            ETHERTYPE_IPV4 => Self::of_ipv4(frame, header).unwrap_or(Self::Malformed),
            ETHERTYPE_IPV6 => Self::of_ipv6(frame, header).unwrap_or(Self::Malformed),
            _ => Self::NotIp,
        }
    }

    #[inline(always)]
    fn of_ipv4<F: Frame + ?Sized>(frame: &F, header: usize) -> Option<Self> {
        let bytes: [u8; IPV4_HEADER] = frame.read(header)?;
        let [first, _, high, low, ..] = bytes;
        let (version, words) = (first >> 4, usize::from(first & 0xf));
        if version != 4 || words * 4 < IPV4_HEADER {
            return None;
        }
        // A comparison of numbers: to read the options' last byte would move a pointer by a variable.
        if words * 4 > IPV4_HEADER && header + words * 4 > frame.length() {
            return None;
        }
        let [.., a, b, c, d, _, _, _, _] = bytes;
        const { assert!(IPV4_SOURCE + 8 == IPV4_HEADER) };
        Some(Self::Ipv4 {
            address: Ipv4Addr::from_octets([a, b, c, d]),
            header,
            end: header + usize::from(u16::from_be_bytes([high, low])),
        })
    }

    #[inline(always)]
    fn of_ipv6<F: Frame + ?Sized>(frame: &F, header: usize) -> Option<Self> {
        let [first, _, _, _, high, low, _, _]: [u8; IPV6_SOURCE] = frame.read(header)?;
        if first >> 4 != 6 {
            return None;
        }
        // The whole header must be there, the destination behind the source included.
        let _: [u8; 1] = frame.read(header + IPV6_HEADER - 1)?;
        let source: [u8; 16] = frame.read(header + IPV6_SOURCE)?;
        Some(Self::Ipv6 {
            address: Ipv6Addr::from_octets(source),
            header,
            end: header + IPV6_HEADER + usize::from(u16::from_be_bytes([high, low])),
        })
    }
}

/// The type of what follows at `payload`: the two bytes before it, after a MAC header or a tag alike.
#[inline(always)]
fn ethertype<F: Frame + ?Sized>(frame: &F, payload: usize) -> Option<u16> {
    frame.read(payload - 2).map(u16::from_be_bytes)
}

/// Whether a VLAN tag follows.
#[inline(always)]
const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN)
}
