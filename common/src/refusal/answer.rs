//! The answers, built word by word.

use crate::{
    checksum::{bytes, fold, four_words, sum, two_words, word},
    frame::Frame,
    transport::{
        ICMP, ICMPV6, IPV4_DESTINATION, IPV4_HEADER, IPV4_SOURCE, IPV6_DESTINATION, IPV6_HEADER,
        IPV6_SOURCE, IpHeader, TCP, Transport,
    },
};

const HOP_LIMIT: u8 = 64;
const DONT_FRAGMENT: u8 = 0x40;

const TCP_HEADER: usize = 20;
const TCP_FIN: u8 = 0x01;
const TCP_SYN: u8 = 0x02;
const TCP_RST: u8 = 0x04;
const TCP_ACK: u8 = 0x10;

const ADMINISTRATIVELY_PROHIBITED: [u8; 2] = [3, 13];
const ADMINISTRATIVELY_PROHIBITED_V6: [u8; 2] = [1, 1];

/// The fields of a segment that its RST is made of, as words in memory.
struct Reset {
    ports: u32,
    sequence: u32,
    acknowledgment: u32,
    /// Data offset and flags, and a window of 0.
    flags: u32,
}

impl Reset {
    /// The RST for a segment; `None` for an RST, and where the lengths contradict each other.
    #[inline(always)]
    fn of<F: Frame + ?Sized>(frame: &F, transport: &Transport, length: usize) -> Option<Self> {
        let [offset, flags]: [u8; 2] = transport.read(frame, 12)?;
        let header = usize::from(offset >> 4) * 4;
        if flags & TCP_RST != 0 || header < TCP_HEADER || header > length {
            return None;
        }
        let [.., to_high, to_low]: [u8; 4] = transport.read(frame, 0)?;
        let [from_high, from_low, ..]: [u8; 4] = transport.read(frame, 0)?;
        let ports = word([to_high, to_low, from_high, from_low]);
        let has_ack = flags & TCP_ACK != 0;
        let (sequence, acknowledgment, answer) = if has_ack {
            (word(transport.read(frame, 8)?), 0, TCP_RST)
        } else {
            let sequence = u32::from_be_bytes(transport.read(frame, 4)?);
            // SEG.LEN (RFC 9293 section 3.4): the data, and SYN and FIN each as one octet.
            let data = u32::try_from(length - header).ok()?;
            let controls = u32::from(flags & TCP_SYN != 0) + u32::from(flags & TCP_FIN != 0);
            let next = sequence.wrapping_add(data).wrapping_add(controls);
            (0, next.to_be(), TCP_RST | TCP_ACK)
        };
        Some(Self {
            ports,
            sequence,
            acknowledgment,
            flags: word([0x50, answer, 0, 0]),
        })
    }

    /// The whole header; `addresses` is their sum.
    #[inline(always)]
    fn header(self, addresses: u64) -> [u32; 5] {
        let Self {
            ports,
            sequence,
            acknowledgment,
            flags,
        } = self;
        let pseudo = addresses + u64::from(word([0, TCP, 0, 20]));
        let [high, low] = fold(pseudo + sum([ports, sequence, acknowledgment, flags]));
        [
            ports,
            sequence,
            acknowledgment,
            flags,
            word([high, low, 0, 0]),
        ]
    }
}

#[inline(always)]
pub(super) fn reset_ipv4<F: Frame + ?Sized>(
    frame: &F,
    transport: &Transport,
    length: usize,
) -> Option<[u8; 40]> {
    let reset = Reset::of(frame, transport, length)?;
    let ip = Ipv4Addresses::of(frame, transport.ip())?.header(40, TCP);
    let tcp = reset.header(sum([ip[3], ip[4]]));
    Some(bytes([
        ip[0], ip[1], ip[2], ip[3], ip[4], //
        tcp[0], tcp[1], tcp[2], tcp[3], tcp[4],
    ]))
}

#[inline(always)]
pub(super) fn reset_ipv6<F: Frame + ?Sized>(
    frame: &F,
    transport: &Transport,
    length: usize,
) -> Option<[u8; 60]> {
    let reset = Reset::of(frame, transport, length)?;
    let Ipv6Addresses { from, to } = Ipv6Addresses::of(frame, transport.ip())?;
    let tcp = reset.header(sum(from) + sum(to));
    Some(bytes([
        word([0x60, 0, 0, 0]),
        word([0, 20, TCP, HOP_LIMIT]),
        to[0],
        to[1],
        to[2],
        to[3],
        from[0],
        from[1],
        from[2],
        from[3],
        tcp[0],
        tcp[1],
        tcp[2],
        tcp[3],
        tcp[4],
    ]))
}

#[inline(always)]
pub(super) fn prohibited_ipv4<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<[u8; 56]> {
    let quoted = four_words(frame.read(ip.offset)?);
    let quoted_end = word(frame.read(ip.offset + 16)?);
    let payload = two_words(frame.read(ip.offset + IPV4_HEADER)?);
    let [kind, code] = ADMINISTRATIVELY_PROHIBITED;
    let whole = sum(quoted) + sum(payload) + sum([quoted_end, word([kind, code, 0, 0])]);
    let [high, low] = fold(whole);
    let icmp = [word([kind, code, high, low]), 0];
    let ip = Ipv4Addresses::of(frame, ip)?.header(56, ICMP);
    Some(bytes([
        ip[0], ip[1], ip[2], ip[3], ip[4], icmp[0], icmp[1], quoted[0], quoted[1], quoted[2],
        quoted[3], quoted_end, payload[0], payload[1],
    ]))
}

#[inline(always)]
pub(super) fn prohibited_ipv6<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<[u8; 96]> {
    let quoted = two_words(frame.read(ip.offset)?);
    let Ipv6Addresses { from, to } = Ipv6Addresses::of(frame, ip)?;
    let payload = two_words(frame.read(ip.offset + IPV6_HEADER)?);
    let [kind, code] = ADMINISTRATIVELY_PROHIBITED_V6;
    // The addresses once in the pseudo-header, and once in what is quoted.
    let addresses = 2 * (sum(from) + sum(to));
    let rest = sum([word([0, 56, 0, ICMPV6]), word([kind, code, 0, 0])]);
    let [high, low] = fold(addresses + rest + sum(quoted) + sum(payload));
    let icmp = [word([kind, code, high, low]), 0];
    Some(bytes([
        word([0x60, 0, 0, 0]),
        word([0, 56, ICMPV6, HOP_LIMIT]),
        to[0],
        to[1],
        to[2],
        to[3],
        from[0],
        from[1],
        from[2],
        from[3],
        icmp[0],
        icmp[1],
        quoted[0],
        quoted[1],
        from[0],
        from[1],
        from[2],
        from[3],
        to[0],
        to[1],
        to[2],
        to[3],
        payload[0],
        payload[1],
    ]))
}

/// The addresses of what is refused: an answer goes from `to` to `from`.
struct Ipv4Addresses {
    from: u32,
    to: u32,
}

impl Ipv4Addresses {
    #[inline(always)]
    fn of<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<Self> {
        Some(Self {
            from: word(frame.read(ip.offset + IPV4_SOURCE)?),
            to: word(frame.read(ip.offset + IPV4_DESTINATION)?),
        })
    }

    /// The header of an answer of so many bytes in all.
    #[inline(always)]
    fn header(self, length: u8, protocol: u8) -> [u32; 5] {
        let Self { from, to } = self;
        let (first, second) = (word([0x45, 0, 0, length]), word([0, 0, DONT_FRAGMENT, 0]));
        let third = word([HOP_LIMIT, protocol, 0, 0]);
        let [high, low] = fold(sum([first, second, third, to, from]));
        [
            first,
            second,
            word([HOP_LIMIT, protocol, high, low]),
            to,
            from,
        ]
    }
}

/// The same of version 6.
struct Ipv6Addresses {
    from: [u32; 4],
    to: [u32; 4],
}

impl Ipv6Addresses {
    #[inline(always)]
    fn of<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Option<Self> {
        Some(Self {
            from: four_words(frame.read(ip.offset + IPV6_SOURCE)?),
            to: four_words(frame.read(ip.offset + IPV6_DESTINATION)?),
        })
    }
}
