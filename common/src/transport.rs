//! From an IP header to the transport header behind it.
//!
//! Only rules for ports, replies and refusals look this far; a verdict by address alone never does.
//!
//! | packet | protocol | transport header |
//! |---|---|---|
//! | IPv4 | its protocol field | behind its options, by its header length (RFC 791) |
//! | IPv6 | the first next header that is no extension header (RFC 8200 section 4) | behind all of them |
//! | IPv6, next header ESP or none (50, 59) | that | what ESP hides cannot be known, and behind none is nothing |
//! | IPv6, more than [`DEEPEST`] extension headers | unreachable | |
//! | header or extension header past the frame's end | unreachable | |
//! | IPv6, a later fragment | what its fragment header says | the fragment's data, which is no header at all |
//!
//! A length that only the IP header gives is not believed: what stands behind the end of the packet in the padding
//! of a short frame is read as if it were part of it. The stack behind us trims it and drops such a packet, so
//! whatever we make of it, nothing comes of it.

use crate::frame::Frame;

/// TCP's protocol number (IANA, Assigned Internet Protocol Numbers).
pub const TCP: u8 = 6;
/// UDP's protocol number.
pub const UDP: u8 = 17;
/// ICMP's protocol number.
pub const ICMP: u8 = 1;
/// IGMP's protocol number.
pub const IGMP: u8 = 2;
/// The protocol number of ICMP for IPv6.
pub const ICMPV6: u8 = 58;

/// How many extension headers are walked: two more than nearly all packets have. Each one more multiplies the ways that the
/// verifier has to follow.
pub const DEEPEST: usize = 2;

/// The length of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;
/// The length of an IPv6 header without extension headers.
pub const IPV6_HEADER: usize = 40;

pub(crate) const IPV4_FRAGMENT: usize = 6;
/// Where in an IPv4 header the protocol's number stands.
pub const IPV4_PROTOCOL: usize = 9;
/// Where in an IPv4 header the source stands.
pub const IPV4_SOURCE: usize = 12;
/// Where in an IPv4 header the destination stands.
pub const IPV4_DESTINATION: usize = 16;
/// The offset in the word at [`IPV4_FRAGMENT`]; the rest is the flags.
pub(crate) const IPV4_FRAGMENT_OFFSET: u16 = 0x1fff;

/// Where in an IPv6 header the next header's number stands.
pub const IPV6_NEXT_HEADER: usize = 6;
/// Where in an IPv6 header the source stands.
pub const IPV6_SOURCE: usize = 8;
/// Where in an IPv6 header the destination stands.
pub const IPV6_DESTINATION: usize = 24;
/// The offset in a fragment header's third and fourth octet; the rest is reserved bits and the M flag.
const IPV6_FRAGMENT_OFFSET: u16 = 0xfff8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// The version of IP that a header is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Version 4.
    Ipv4,
    /// Version 6.
    Ipv6,
}

/// An IP header's place in a frame.
///
/// What stands at a fixed distance from it is read by [`Frame::read`]: so in the kernel both fields must be
/// constants on each way through the program, as they are when every depth of VLAN tags is a case of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Where it starts.
    pub offset: usize,
    /// Of which version it is.
    pub family: Family,
}

impl IpHeader {
    /// Where it ends, if neither options nor extension headers follow.
    #[inline(always)]
    pub(crate) const fn fixed_end(self) -> usize {
        match self.family {
            Family::Ipv4 => self.offset + IPV4_HEADER,
            Family::Ipv6 => self.offset + IPV6_HEADER,
        }
    }
}

/// What an IP packet carries, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    ip: IpHeader,
    protocol: u8,
    offset: usize,
    later_fragment: bool,
    /// Whether it follows the fixed part of the IP header at once, as nearly always: then the offset is a constant.
    at_once: bool,
}

/// The ports of a TCP segment or a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The sender's.
    pub source: u16,
    /// The receiver's.
    pub destination: u16,
}

impl Transport {
    /// Finds the transport header behind an IP header that [`Source::of`](crate::Source::of) found sound; `None` when
    /// it is unreachable: see the table above.
    #[inline(always)]
    pub fn of<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<Self> {
        let transport = match ip.family {
            Family::Ipv4 => Self::of_ipv4(frame, ip),
            Family::Ipv6 => Self::of_ipv6(frame, ip),
        }?;
        // The last header's own end, which nothing has been read at.
        (transport.offset <= frame.length()).then_some(transport)
    }

    #[inline(always)]
    fn of_ipv4<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<Self> {
        let [first]: [u8; 1] = frame.read(ip.offset)?;
        let length = usize::from(first & 0xf) * 4;
        if length < IPV4_HEADER {
            return None;
        }
        let fragment = u16::from_be_bytes(frame.read(ip.offset + IPV4_FRAGMENT)?);
        let [protocol] = frame.read(ip.offset + IPV4_PROTOCOL)?;
        Some(Self {
            ip,
            protocol,
            offset: ip.offset + length,
            later_fragment: fragment & IPV4_FRAGMENT_OFFSET != 0,
            at_once: length == IPV4_HEADER,
        })
    }

    #[inline(always)]
    fn of_ipv6<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<Self> {
        let [first] = frame.read(ip.offset + IPV6_NEXT_HEADER)?;
        let mut transport = Self {
            ip,
            protocol: first,
            offset: ip.fixed_end(),
            later_fragment: false,
            at_once: !is_extension(first),
        };
        // No `while`: the verifier wants a bound, and so does a packet that is all extension headers.
        for _ in 0..DEEPEST {
            if !is_extension(transport.protocol) {
                return Some(transport);
            }
            let header: [u8; 4] = frame.read_at(transport.offset)?;
            let [next, length, third, fourth] = header;
            transport.offset += match transport.protocol {
                FRAGMENT => 8,
                // RFC 4302 section 2.2: in units of 4 octets, less 2; all others' in units of 8, less 1.
                AUTHENTICATION => (usize::from(length) + 2) * 4,
                _ => (usize::from(length) + 1) * 8,
            };
            let is_fragment = transport.protocol == FRAGMENT;
            transport.protocol = next;
            if is_fragment && u16::from_be_bytes([third, fourth]) & IPV6_FRAGMENT_OFFSET != 0 {
                transport.later_fragment = true;
                return Some(transport);
            }
        }
        (!is_extension(transport.protocol)).then_some(transport)
    }

    /// The IP header that it stands behind.
    #[inline(always)]
    #[must_use]
    pub const fn ip(&self) -> IpHeader {
        self.ip
    }

    /// Its protocol's number.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Where it starts in the frame; at most the frame's length.
    #[inline(always)]
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the packet is a fragment other than the first: then what stands here is some of the data, no header.
    #[inline(always)]
    #[must_use]
    pub const fn is_later_fragment(&self) -> bool {
        self.later_fragment
    }

    /// Whether it follows the fixed part of the IP header at once, with neither options nor extension headers between.
    #[inline(always)]
    #[must_use]
    pub const fn follows_at_once(&self) -> bool {
        self.at_once
    }

    /// The ports, if it is TCP or UDP, no later fragment, and not cut short.
    ///
    /// Others that have ports (SCTP, DCCP, UDP-Lite) have none here: rules for ports name only `tcp` and `udp`, and
    /// replies are told only of these.
    #[inline(always)]
    pub fn ports<F: Frame + ?Sized>(&self, frame: &F) -> Option<Ports> {
        if self.later_fragment || !matches!(self.protocol, TCP | UDP) {
            return None;
        }
        let [a, b, c, d] = self.read(frame, 0)?;
        Some(Ports {
            source: u16::from_be_bytes([a, b]),
            destination: u16::from_be_bytes([c, d]),
        })
    }

    /// The `N` bytes that stand `distance`, a constant, behind where the transport header starts.
    #[inline(always)]
    pub(crate) fn read<const N: usize, F: Frame + ?Sized>(
        &self,
        frame: &F,
        distance: usize,
    ) -> Option<[u8; N]> {
        if self.at_once {
            frame.read(self.ip.fixed_end() + distance)
        } else {
            frame.read_at(self.offset + distance)
        }
    }
}

/// Whether a next header is an extension header that says what follows it (IANA, IPv6 Extension Header Types, less
/// ESP and those for experiments).
#[inline(always)]
const fn is_extension(next_header: u8) -> bool {
    matches!(
        next_header,
        HOP_BY_HOP
            | ROUTING
            | FRAGMENT
            | AUTHENTICATION
            | DESTINATION_OPTIONS
            | MOBILITY
            | HOST_IDENTITY
            | SHIM6
    )
}
