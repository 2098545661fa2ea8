//! IP packets as etherparse writes them, behind as many bytes as an Ethernet header has.

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6Extensions, Ipv6FlowLabel,
    Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader, PacketBuilder, PacketBuilderStep, TcpHeader,
};
use geodrop_common::{
    address::Address,
    transport::{Family, IpHeader, Transport},
};

/// Where the IP header starts.
pub(crate) const LEAD: usize = 14;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// The ends of a conversation: this host and another, or the other way round.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pair {
    Ipv4([u8; 4], [u8; 4]),
    Ipv6([u8; 16], [u8; 16]),
}

const OURS_6: [u8; 16] = *b"\x20\x01\x0d\xb8geodrop\0\0\0\0\x01";
const OTHER_6: [u8; 16] = *b"\x24\x00\x32\x00geodrop\0\0\0\0\x02";

/// From this host to another, in each family.
pub(crate) const OUTWARD: [Pair; 2] = [
    Pair::Ipv4([192, 0, 2, 1], [1, 0, 1, 2]),
    Pair::Ipv6(OURS_6, OTHER_6),
];

impl Pair {
    pub(crate) fn back(self) -> Self {
        match self {
            Self::Ipv4(from, to) => Self::Ipv4(to, from),
            Self::Ipv6(from, to) => Self::Ipv6(to, from),
        }
    }

    /// From somewhere else, a router between the two perhaps.
    pub(crate) fn elsewhere(self) -> Self {
        match self {
            Self::Ipv4(_, to) => Self::Ipv4([203, 0, 113, 77], to),
            Self::Ipv6(_, to) => Self::Ipv6([0x22; 16], to),
        }
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Ipv4(..) => Family::Ipv4,
            Self::Ipv6(..) => Family::Ipv6,
        }
    }

    pub(crate) fn addresses(self) -> (Address, Address) {
        match self {
            Self::Ipv4(from, to) => (Address::ipv4(from), Address::ipv4(to)),
            Self::Ipv6(from, to) => (Address::ipv6(from), Address::ipv6(to)),
        }
    }

    /// ICMP's number.
    pub(crate) fn icmp(self) -> u8 {
        match self {
            Self::Ipv4(..) => 1,
            Self::Ipv6(..) => 58,
        }
    }

    /// ICMP's echo request and reply.
    pub(crate) fn echo(self) -> (u8, u8) {
        match self {
            Self::Ipv4(..) => (8, 0),
            Self::Ipv6(..) => (128, 129),
        }
    }

    fn header(self) -> IpHeaders {
        match self {
            Self::Ipv4(from, to) => {
                let header = Ipv4Header::new(0, 61, IpNumber::UDP, from, to).unwrap();
                IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
            }
            Self::Ipv6(source, destination) => {
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: IpNumber::UDP,
                    hop_limit: 61,
                    source,
                    destination,
                };
                IpHeaders::Ipv6(header, Ipv6Extensions::default())
            }
        }
    }

    pub(crate) fn step(self) -> PacketBuilderStep<IpHeaders> {
        PacketBuilder::ip(self.header())
    }

    /// The same with what an answer of ours has in its header.
    pub(crate) fn answering(self) -> PacketBuilderStep<IpHeaders> {
        let mut header = self.header();
        match &mut header {
            IpHeaders::Ipv4(header, _) => {
                (header.time_to_live, header.dont_fragment) = (64, true);
            }
            IpHeaders::Ipv6(header, _) => header.hop_limit = 64,
        }
        PacketBuilder::ip(header)
    }

    /// The same with IPv4 options or an IPv6 extension header.
    pub(crate) fn with_options(self) -> PacketBuilderStep<IpHeaders> {
        let mut header = self.header();
        match &mut header {
            IpHeaders::Ipv4(header, _) => header.options = [1; 12].into(),
            IpHeaders::Ipv6(_, extensions) => {
                let options = Ipv6RawExtHeader::new_raw(IpNumber::UDP, &[0; 14]).unwrap();
                extensions.destination_options = Some(options);
            }
        }
        PacketBuilder::ip(header)
    }

    /// The same, so many units of 8 octets into a datagram.
    pub(crate) fn fragment(self, offset: u16) -> PacketBuilderStep<IpHeaders> {
        let mut header = self.header();
        let offset = IpFragOffset::try_new(offset).unwrap();
        match &mut header {
            IpHeaders::Ipv4(header, _) => {
                header.fragment_offset = offset;
                header.more_fragments = true;
            }
            IpHeaders::Ipv6(_, extensions) => {
                let fragment = Ipv6FragmentHeader::new(IpNumber::UDP, offset, true, 7);
                extensions.fragment = Some(fragment);
            }
        }
        PacketBuilder::ip(header)
    }
}

/// A segment: from and to port, SEQ, ACK.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) ports: (u16, u16),
    pub(crate) numbers: (u32, u32),
    pub(crate) flags: u8,
}

pub(crate) fn tcp(
    step: PacketBuilderStep<IpHeaders>,
    segment: Segment,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let (source, destination) = segment.ports;
    let (sequence, acknowledgment) = segment.numbers;
    let mut header = TcpHeader::new(source, destination, sequence, 1024);
    header.acknowledgment_number = acknowledgment;
    let has = |flag| segment.flags & flag != 0;
    (header.fin, header.syn, header.rst, header.ack) = (has(FIN), has(SYN), has(RST), has(ACK));
    (header.psh, header.urg, header.ece, header.cwr) = (has(8), has(32), has(64), has(128));
    header.set_options_raw(options).unwrap();
    let mut bytes = vec![0; LEAD];
    step.tcp_header(header).write(&mut bytes, payload).unwrap();
    bytes
}

/// A segment without data.
pub(crate) fn flags(step: PacketBuilderStep<IpHeaders>, ports: (u16, u16), flags: u8) -> Vec<u8> {
    let segment = Segment {
        ports,
        numbers: (1000, 2000),
        flags,
    };
    tcp(step, segment, &[], &[])
}

pub(crate) fn udp(step: PacketBuilderStep<IpHeaders>, ports: (u16, u16)) -> Vec<u8> {
    let mut bytes = vec![0; LEAD];
    step.udp(ports.0, ports.1)
        .write(&mut bytes, b"payload")
        .unwrap();
    bytes
}

/// An ICMP message of the family's own, or of the other's.
pub(crate) fn icmp(
    step: PacketBuilderStep<IpHeaders>,
    protocol: u8,
    (kind, code): (u8, u8),
    rest: [u8; 4],
    payload: &[u8],
) -> Vec<u8> {
    // Raw, for etherparse builds no ICMP in the wrong family.
    let message = [&[kind, code, 0, 0], &rest[..], payload].concat();
    raw(step, protocol, &message)
}

/// Any protocol at all.
pub(crate) fn raw(step: PacketBuilderStep<IpHeaders>, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; LEAD];
    step.write(&mut bytes, IpNumber(protocol), payload).unwrap();
    bytes
}

/// What is quoted: the IP packet without what stands before it.
pub(crate) fn packet(frame: &[u8]) -> &[u8] {
    &frame[LEAD..]
}

pub(crate) fn transport(family: Family, frame: &[u8]) -> Option<Transport> {
    let offset = LEAD;
    Transport::of(frame, IpHeader { offset, family })
}
