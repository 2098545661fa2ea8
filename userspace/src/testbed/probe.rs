//! Frames whose fate can be followed.
//!
//! Each carries a number, in the payload of a UDP datagram or an echo request or as a SYN's sequence number, by which it is known
//! again behind the filter. Its source address is whatever one likes; its destination is an address of the
//! documentation's networks, which no host has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    IcmpEchoHeader, Icmpv4Type, Icmpv6Type, IpHeaders, Ipv4Header, Ipv6Header, PacketBuilder,
    SlicedPacket, TransportSlice, VlanId, err::packet::BuildVecWriteError,
};

use super::{
    error::TestbedError,
    veth::{CLIENT_MAC, SERVER_MAC},
};

/// Whom probes of IPv4 are for.
pub const DESTINATION_IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DESTINATION_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const SOURCE_PORT: u16 = 49_152;
const ECHO: IcmpEchoHeader = IcmpEchoHeader { id: 1, seq: 1 };
/// The UDP or TCP port that probes are for, if nothing else is said: the discard service's.
pub const DESTINATION_PORT: u16 = 9;
const HOPS: u8 = 64;
const WINDOW: u16 = 64_240;
const VLAN: VlanId = vlan(10);
const SERVICE_VLAN: VlanId = vlan(20);

const fn vlan(id: u16) -> VlanId {
    match VlanId::try_new(id) {
        Ok(id) => id,
        // Called with constants only, all below 4096.
        Err(_) => VlanId::ZERO,
    }
}

/// What a probe carries above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A UDP datagram.
    Udp,
    /// What opens a TCP connection.
    TcpSyn,
    /// An echo request of ICMP, or of `ICMPv6`: for no port.
    EchoRequest,
}

/// The VLAN tags that a probe bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tags {
    /// None.
    #[default]
    None,
    /// An 802.1Q tag.
    One,
    /// An 802.1Q tag inside an 802.1ad one.
    Two,
}

/// A frame from any source, with a number by which it is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its number.
    pub id: u32,
    /// Whom it says that it comes from.
    pub source: IpAddr,
    /// What it carries.
    pub transport: Transport,
    /// The VLAN tags that it bears.
    pub tags: Tags,
    /// How many bytes of padding its payload has: for large frames.
    pub padding: usize,
    /// The UDP or TCP port that it is for. Those for another one than [`DESTINATION_PORT`] are not known again.
    pub port: u16,
}

impl Probe {
    /// A probe without tags and padding.
    #[must_use]
    pub const fn new(id: u32, source: IpAddr, transport: Transport) -> Self {
        Self {
            id,
            source,
            transport,
            tags: Tags::None,
            padding: 0,
            port: DESTINATION_PORT,
        }
    }

    /// The frame, from its Ethernet header on.
    ///
    /// # Errors
    ///
    /// When there is more padding than a packet can hold.
    pub fn to_frame(&self) -> Result<Vec<u8>, TestbedError> {
        self.build().map_err(|source| TestbedError::Frame {
            padding: self.padding,
            source,
        })
    }

    fn build(&self) -> Result<Vec<u8>, BuildVecWriteError> {
        let mut payload = match self.transport {
            Transport::Udp | Transport::EchoRequest => self.id.to_be_bytes().to_vec(),
            Transport::TcpSyn => Vec::new(),
        };
        payload.resize(payload.len() + self.padding, 0);
        let ethernet = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC);
        let ip = match self.tags {
            Tags::None => ethernet.ip(self.ip()),
            Tags::One => ethernet.single_vlan(VLAN).ip(self.ip()),
            Tags::Two => ethernet.double_vlan(SERVICE_VLAN, VLAN).ip(self.ip()),
        };
        let mut frame = Vec::new();
        match self.transport {
            Transport::Udp => ip
                .udp(SOURCE_PORT, self.port)
                .write_to_vec(&mut frame, &payload)?,
            Transport::TcpSyn => ip
                .tcp(SOURCE_PORT, self.port, self.id, WINDOW)
                .syn()
                .write_to_vec(&mut frame, &payload)?,
            Transport::EchoRequest => match self.source {
                IpAddr::V4(_) => ip
                    .icmpv4_echo_request(ECHO.id, ECHO.seq)
                    .write_to_vec(&mut frame, &payload)?,
                IpAddr::V6(_) => ip
                    .icmpv6_echo_request(ECHO.id, ECHO.seq)
                    .write_to_vec(&mut frame, &payload)?,
            },
        }
        Ok(frame)
    }

    /// The IP header; lengths and checksums are filled in when the frame is written.
    fn ip(&self) -> IpHeaders {
        match self.source {
            IpAddr::V4(source) => IpHeaders::Ipv4(
                Ipv4Header {
                    source: source.octets(),
                    destination: DESTINATION_IPV4.octets(),
                    time_to_live: HOPS,
                    dont_fragment: true,
                    ..Ipv4Header::default()
                },
                etherparse::Ipv4Extensions::default(),
            ),
            IpAddr::V6(source) => IpHeaders::Ipv6(
                Ipv6Header {
                    source: source.octets(),
                    destination: DESTINATION_IPV6.octets(),
                    hop_limit: HOPS,
                    ..Ipv6Header::default()
                },
                etherparse::Ipv6Extensions::default(),
            ),
        }
    }

    /// The number of the probe that a received frame is; `None` if it is none.
    #[must_use]
    pub fn id_of(frame: &[u8]) -> Option<u32> {
        match SlicedPacket::from_ethernet(frame).ok()?.transport? {
            TransportSlice::Udp(udp) if udp.destination_port() == DESTINATION_PORT => {
                number_at_start(udp.payload())
            }
            TransportSlice::Tcp(tcp) if tcp.destination_port() == DESTINATION_PORT && tcp.syn() => {
                Some(tcp.sequence_number())
            }
            TransportSlice::Icmpv4(icmp) if icmp.icmp_type() == Icmpv4Type::EchoRequest(ECHO) => {
                number_at_start(icmp.payload())
            }
            TransportSlice::Icmpv6(icmp) if icmp.icmp_type() == Icmpv6Type::EchoRequest(ECHO) => {
                number_at_start(icmp.payload())
            }
            _ => None,
        }
    }
}

/// The number that a payload begins with.
fn number_at_start(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().copied().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use geodrop_common::Source;

    use super::*;

    fn probes() -> impl Iterator<Item = Probe> {
        let sources: [IpAddr; 2] = ["1.0.1.1".parse().unwrap(), "2400:3200::1".parse().unwrap()];
        let transports = [Transport::Udp, Transport::TcpSyn, Transport::EchoRequest];
        let tags = [Tags::None, Tags::One, Tags::Two];
        sources.into_iter().flat_map(move |source| {
            transports.into_iter().flat_map(move |transport| {
                tags.into_iter().map(move |tags| Probe {
                    tags,
                    ..Probe::new(0xdead_beef, source, transport)
                })
            })
        })
    }

    #[test]
    fn a_probe_is_known_again_whatever_it_carries() {
        for probe in probes() {
            let frame = probe.to_frame().unwrap();
            assert_eq!(Probe::id_of(&frame), Some(probe.id), "{probe:?}");
        }
    }

    #[test]
    fn a_probe_comes_from_its_source() {
        for probe in probes() {
            let source = match Source::of(probe.to_frame().unwrap().as_slice()) {
                Source::Ipv4 { address, .. } => IpAddr::V4(address),
                Source::Ipv6 { address, .. } => IpAddr::V6(address),
                other => panic!("{probe:?} is {other:?}"),
            };
            assert_eq!(source, probe.source);
        }
    }

    #[test]
    fn padding_makes_a_probe_longer_by_just_that() {
        for probe in probes() {
            let padded = Probe {
                padding: 4000,
                ..probe
            };
            let (short, long) = (probe.to_frame().unwrap(), padded.to_frame().unwrap());
            assert_eq!(long.len(), short.len() + 4000);
            assert_eq!(Probe::id_of(&long), Some(probe.id));
        }
    }

    #[test]
    fn more_padding_than_a_packet_holds_is_an_error_that_says_so() {
        let probe = Probe {
            padding: 70_000,
            ..probes().next().unwrap()
        };
        let error = probe.to_frame().unwrap_err().to_string();
        assert!(error.contains("70000 bytes of padding"), "{error}");
    }

    #[test]
    fn other_frames_are_no_probes() {
        let frame = probes().next().unwrap().to_frame().unwrap();
        for length in 0..frame.len() {
            assert_eq!(Probe::id_of(&frame[..length]), None, "cut at {length}");
        }
        let mut elsewhere = frame;
        let port = 14 + 20 + 2;
        elsewhere[port..port + 2].copy_from_slice(&53_u16.to_be_bytes());
        assert_eq!(Probe::id_of(&elsewhere), None);
    }
}
