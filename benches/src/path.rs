//! Packets, each of which takes another way through the filter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use geodrop::testbed::{
    Probe,
    probe::{Tags, Transport},
};

use crate::filters::{Filters, Setting};

/// Which way a packet takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// A datagram from a blocked country, from where nobody was contacted.
    Blocked,
    /// The same with a VLAN tag.
    BlockedTagged,
    /// What opens a TCP connection, from there.
    BlockedSyn,
    /// A datagram from a blocked address that this host has contacted, and that answers nothing.
    Stray,
    /// One that answers what this host sent.
    Reply,
    /// What ends a TCP connection, from a blocked country; nobody answers it.
    Reset,
    /// A datagram from an address that is not blocked.
    Allowed,
    /// What opens a TCP connection, from there.
    AllowedSyn,
}

/// By the built-in data two addresses in China, and one elsewhere; of each family.
const BLOCKED: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(1, 0, 1, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 1)),
];
const CONTACTED: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(1, 0, 1, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 2)),
];
const ALLOWED: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0, 0, 0, 0, 0, 0x8888)),
];

impl Path {
    /// All ways but [`Path::Reset`], which is for filters that answer.
    pub const ALL: [Self; 7] = [
        Self::Blocked,
        Self::BlockedTagged,
        Self::BlockedSyn,
        Self::Stray,
        Self::Reply,
        Self::Allowed,
        Self::AllowedSyn,
    ];

    /// The name, as it stands in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked, UDP",
            Self::BlockedTagged => "blocked, UDP, VLAN",
            Self::BlockedSyn => "blocked, TCP SYN",
            Self::Stray => "blocked, UDP, contacted",
            Self::Reply => "reply, UDP",
            Self::Reset => "blocked, TCP RST",
            Self::Allowed => "allowed, UDP",
            Self::AllowedSyn => "allowed, TCP SYN",
        }
    }

    /// Whether the filter of a setting is to let it pass.
    #[must_use]
    pub const fn passes(self, setting: Setting) -> bool {
        if matches!(setting, Setting::Reference) {
            return false;
        }
        setting.lets_all_pass()
            || match self {
                Self::Allowed | Self::AllowedSyn => true,
                Self::Reply => setting.knows_replies(),
                Self::Blocked
                | Self::BlockedTagged
                | Self::BlockedSyn
                | Self::Stray
                | Self::Reset => false,
            }
    }

    /// The frame, of IPv4 or IPv6, after what it answers has been sent.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to send.
    pub fn frame(self, is_ipv6: bool, filters: &Filters<'_>) -> anyhow::Result<Vec<u8>> {
        let sources = match self {
            Self::Blocked | Self::BlockedTagged | Self::BlockedSyn | Self::Reset => BLOCKED,
            Self::Stray | Self::Reply => CONTACTED,
            Self::Allowed | Self::AllowedSyn => ALLOWED,
        };
        let transport = match self {
            Self::BlockedSyn | Self::AllowedSyn | Self::Reset => Transport::TcpSyn,
            _ => Transport::Udp,
        };
        let probe = Probe::new(0, sources[usize::from(is_ipv6)], transport);
        let tags = match self {
            Self::BlockedTagged => Tags::One,
            _ => Tags::None,
        };
        let mut frame = Probe { tags, ..probe }.to_frame()?;
        if matches!(self, Self::Reply | Self::Stray) {
            filters.send(&reversed(&frame, is_ipv6))?;
        }
        if self == Self::Reset {
            frame[transport_offset(is_ipv6) + TCP_FLAGS] = TCP_RST;
        }
        if self == Self::Stray {
            // From another port.
            frame[transport_offset(is_ipv6)] ^= 1;
        }
        Ok(frame)
    }
}

/// What this host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A datagram to an address that is not blocked.
    Datagram,
    /// One to a blocked address: that is noted.
    DatagramToBlocked,
    /// A TCP segment that opens nothing, as nearly all are, to a blocked address.
    Segment,
}

impl Sent {
    /// All that is measured.
    pub const ALL: [Self; 3] = [Self::Datagram, Self::DatagramToBlocked, Self::Segment];

    /// The name, as it stands in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Datagram => "out, UDP to allowed",
            Self::DatagramToBlocked => "out, UDP to blocked",
            Self::Segment => "out, TCP ACK to blocked",
        }
    }

    /// The frame, of IPv4 or IPv6.
    ///
    /// # Errors
    ///
    /// Never, as there is no padding.
    pub fn frame(self, is_ipv6: bool) -> anyhow::Result<Vec<u8>> {
        let (peers, transport) = match self {
            Self::Datagram => (ALLOWED, Transport::Udp),
            Self::DatagramToBlocked => (BLOCKED, Transport::Udp),
            Self::Segment => (BLOCKED, Transport::TcpSyn),
        };
        let mut frame = Probe::new(0, peers[usize::from(is_ipv6)], transport).to_frame()?;
        if self == Self::Segment {
            frame[transport_offset(is_ipv6) + TCP_FLAGS] = TCP_ACK;
        }
        Ok(reversed(&frame, is_ipv6))
    }
}

const ETHERNET: usize = 14;

/// Where in a TCP header the flags stand, and those that say RST and ACK (RFC 9293 section 3.1).
const TCP_FLAGS: usize = 13;
const TCP_RST: u8 = 0x04;
const TCP_ACK: u8 = 0x10;

const fn transport_offset(is_ipv6: bool) -> usize {
    ETHERNET + if is_ipv6 { 40 } else { 20 }
}

/// What the receiver of a frame without a tag would send back: both ends change places.
fn reversed(frame: &[u8], is_ipv6: bool) -> Vec<u8> {
    let (source, length) = if is_ipv6 { (8, 16) } else { (12, 4) };
    let ports = transport_offset(is_ipv6);
    let mut frame = frame.to_vec();
    for (first, length) in [(0, 6), (ETHERNET + source, length), (ports, 2)] {
        frame[first..first + 2 * length].rotate_left(length);
    }
    frame
}
