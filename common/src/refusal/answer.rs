//! The answers, built word by word in memory that the caller has.
//!
//! Not on the stack: an answer and what is read for it are more than there are registers, and the compiler keeps parts
//! of it where it kept a pointer, which the verifier takes from no loader without `CAP_PERFMON`.

use crate::{
    checksum::{fold, four_words, two_words, word},
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

/// In which word of an answer the header behind the IP header starts.
const BEHIND_IPV4: usize = IPV4_HEADER / 4;
const BEHIND_IPV6: usize = IPV6_HEADER / 4;

/// Room for the longest answer: an IP packet; and the addresses of the Ethernet header that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Answer {
    packet: [[u8; 4]; 24],
    ethernet: [[u8; 4]; 3],
}

impl Answer {
    /// Before there is an answer.
    pub const EMPTY: Self = Self {
        packet: [[0; 4]; 24],
        ethernet: [[0; 4]; 3],
    };

    /// The packet: as many of these bytes as it is [long](super::Refusal::length).
    #[inline(always)]
    #[must_use]
    pub const fn packet(&self) -> &[u8; 96] {
        flattened(&self.packet)
    }

    /// The destination and the source of its frame: those of the refused one the other way round. What stands between
    /// them and the packet, the EtherType and any VLAN tags, stays as it was.
    #[inline(always)]
    #[must_use]
    pub const fn ethernet(&self) -> &[u8; 12] {
        flattened(&self.ethernet)
    }

    /// Turns the addresses of a frame round.
    #[inline(always)]
    pub(super) fn turn<F: Frame + ?Sized>(&mut self, frame: &F) -> Option<()> {
        let [destination, source]: [[u8; 2]; 2] = [frame.read(0)?, frame.read(10)?];
        self.ethernet = [
            frame.read(6)?,
            [source[0], source[1], destination[0], destination[1]],
            frame.read(2)?,
        ];
        Some(())
    }

    /// Writes a word, and says what it adds to a sum.
    #[inline(always)]
    fn put(&mut self, place: usize, bytes: [u8; 4]) -> u64 {
        // Always there: every place is a constant.
        if let Some(word) = self.packet.get_mut(place) {
            *word = bytes;
        }
        word(bytes).into()
    }

    /// Copies a word from a frame, and says what it adds to a sum.
    #[inline(always)]
    fn copy<F: Frame + ?Sized>(&mut self, place: usize, frame: &F, offset: usize) -> Option<u64> {
        Some(self.put(place, frame.read(offset)?))
    }

    #[inline(always)]
    fn copy_two<F: Frame + ?Sized>(
        &mut self,
        place: usize,
        frame: &F,
        offset: usize,
    ) -> Option<u64> {
        let [first, second] = two_words(frame.read(offset)?).map(u32::to_ne_bytes);
        Some(self.put(place, first) + self.put(place + 1, second))
    }

    #[inline(always)]
    fn copy_four<F: Frame + ?Sized>(
        &mut self,
        place: usize,
        frame: &F,
        offset: usize,
    ) -> Option<u64> {
        let [first, second, third, fourth] = four_words(frame.read(offset)?).map(u32::to_ne_bytes);
        let head = self.put(place, first) + self.put(place + 1, second);
        let tail = self.put(place + 2, third) + self.put(place + 3, fourth);
        Some(head + tail)
    }

    /// The header of an answer of so many bytes in all, its addresses those of the packet at `ip` the other way round;
    /// gives their sum.
    #[inline(always)]
    fn header_ipv4<F: Frame + ?Sized>(
        &mut self,
        frame: &F,
        ip: IpHeader,
        length: u8,
        protocol: u8,
    ) -> Option<u64> {
        let source = self.copy(3, frame, ip.offset + IPV4_DESTINATION)?;
        let destination = self.copy(4, frame, ip.offset + IPV4_SOURCE)?;
        let addresses = source + destination;
        let fixed = self.put(0, [0x45, 0, 0, length]) + self.put(1, [0, 0, DONT_FRAGMENT, 0]);
        let rest = u64::from(word([HOP_LIMIT, protocol, 0, 0]));
        let [high, low] = fold(addresses + fixed + rest);
        self.put(2, [HOP_LIMIT, protocol, high, low]);
        Some(addresses)
    }

    /// The same of version 6; `length` is without the header.
    #[inline(always)]
    fn header_ipv6<F: Frame + ?Sized>(
        &mut self,
        frame: &F,
        ip: IpHeader,
        length: u8,
        protocol: u8,
    ) -> Option<u64> {
        self.put(0, [0x60, 0, 0, 0]);
        self.put(1, [0, length, protocol, HOP_LIMIT]);
        let source = self.copy_four(2, frame, ip.offset + IPV6_DESTINATION)?;
        let destination = self.copy_four(6, frame, ip.offset + IPV6_SOURCE)?;
        Some(source + destination)
    }

    /// The RST for a segment of `length` bytes; `None` for an RST, and where the lengths contradict each other.
    #[inline(always)]
    fn reset<F: Frame + ?Sized>(
        &mut self,
        place: usize,
        addresses: u64,
        frame: &F,
        transport: &Transport,
        length: usize,
    ) -> Option<()> {
        let [offset, flags]: [u8; 2] = transport.read(frame, 12)?;
        let header = usize::from(offset >> 4) * 4;
        if flags & TCP_RST != 0 || header < TCP_HEADER || header > length {
            return None;
        }
        let [from_high, from_low, to_high, to_low] = transport.read(frame, 0)?;
        let has_ack = flags & TCP_ACK != 0;
        let (sequence, acknowledgment, answer) = if has_ack {
            (transport.read(frame, 8)?, [0; 4], TCP_RST)
        } else {
            let sequence = u32::from_be_bytes(transport.read(frame, 4)?);
            // SEG.LEN (RFC 9293 section 3.4): the data, and SYN and FIN each as one octet.
            let data = u32::try_from(length - header).ok()?;
            let controls = u32::from(flags & TCP_SYN != 0) + u32::from(flags & TCP_FIN != 0);
            let next = sequence.wrapping_add(data).wrapping_add(controls);
            ([0; 4], next.to_be_bytes(), TCP_RST | TCP_ACK)
        };
        let pseudo = addresses + u64::from(word([0, TCP, 0, 20]));
        let segment = self.put(place, [to_high, to_low, from_high, from_low])
            + self.put(place + 1, sequence)
            + self.put(place + 2, acknowledgment)
            + u64::from(word([0x50, answer, 0, 0]));
        // Nobody looks at the window of an RST. This one makes the checksum the sum of the pseudo-header: see `Refusal`.
        let [window_high, window_low] = fold(segment + 2 * pseudo);
        self.put(place + 3, [0x50, answer, window_high, window_low]);
        let [high, low] = fold(pseudo);
        self.put(place + 4, [!high, !low, 0, 0]);
        Some(())
    }

    #[inline(always)]
    pub(super) fn reset_ipv4<F: Frame + ?Sized>(
        &mut self,
        frame: &F,
        transport: &Transport,
        length: usize,
    ) -> Option<()> {
        let addresses = self.header_ipv4(frame, transport.ip(), 40, TCP)?;
        self.reset(BEHIND_IPV4, addresses, frame, transport, length)
    }

    #[inline(always)]
    pub(super) fn reset_ipv6<F: Frame + ?Sized>(
        &mut self,
        frame: &F,
        transport: &Transport,
        length: usize,
    ) -> Option<()> {
        let addresses = self.header_ipv6(frame, transport.ip(), 20, TCP)?;
        self.reset(BEHIND_IPV6, addresses, frame, transport, length)
    }

    #[inline(always)]
    pub(super) fn prohibited_ipv4<F: Frame + ?Sized>(
        &mut self,
        frame: &F,
        ip: IpHeader,
    ) -> Option<()> {
        const PLACE: usize = BEHIND_IPV4;
        self.header_ipv4(frame, ip, 56, ICMP)?;
        let sum = self.copy_four(PLACE + 2, frame, ip.offset)?
            + self.copy(PLACE + 6, frame, ip.offset + 16)?
            + self.copy_two(PLACE + 7, frame, ip.offset + IPV4_HEADER)?;
        self.icmp(PLACE, ADMINISTRATIVELY_PROHIBITED, sum);
        Some(())
    }

    #[inline(always)]
    pub(super) fn prohibited_ipv6<F: Frame + ?Sized>(
        &mut self,
        frame: &F,
        ip: IpHeader,
    ) -> Option<()> {
        const PLACE: usize = BEHIND_IPV6;
        let addresses = self.header_ipv6(frame, ip, 56, ICMPV6)?;
        // The addresses are in the pseudo-header, and once more in what is quoted.
        let sum = addresses
            + u64::from(word([0, 56, 0, ICMPV6]))
            + self.copy_two(PLACE + 2, frame, ip.offset)?
            + self.copy_four(PLACE + 4, frame, ip.offset + IPV6_SOURCE)?
            + self.copy_four(PLACE + 8, frame, ip.offset + IPV6_DESTINATION)?
            + self.copy_two(PLACE + 12, frame, ip.offset + IPV6_HEADER)?;
        self.icmp(PLACE, ADMINISTRATIVELY_PROHIBITED_V6, sum);
        Some(())
    }

    /// The header of an ICMP error, of which the sum of all else is known.
    #[inline(always)]
    fn icmp(&mut self, place: usize, [kind, code]: [u8; 2], sum: u64) {
        let [high, low] = fold(sum + u64::from(word([kind, code, 0, 0])));
        self.put(place, [kind, code, high, low]);
        self.put(place + 1, [0; 4]);
    }
}

/// Words as the bytes that they are, of which there are `BYTES`.
#[inline(always)]
const fn flattened<const WORDS: usize, const BYTES: usize>(
    words: &[[u8; 4]; WORDS],
) -> &[u8; BYTES] {
    const { assert!(BYTES == 4 * WORDS) };
    match words.as_flattened().first_chunk() {
        Some(bytes) => bytes,
        // Never: the assertion says that they are there, and the compiler sees it.
        None => &[0; BYTES],
    }
}
