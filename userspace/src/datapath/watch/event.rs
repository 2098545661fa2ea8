//! A packet that was seen.

use std::net::IpAddr;

use geodrop_common::{
    Frame, Rule, Slot, Source,
    transport::{Family, IPV4_DESTINATION, IPV6_DESTINATION, IpHeader, Ports, Transport},
    watch::{self, Head, Ruling, SNAPSHOT},
};
use jiff::Timestamp;

use crate::{
    datapath::{clock::Clocks, report::Origin},
    policy::Verdict,
};

/// A packet that the rules are against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it came.
    pub time: Timestamp,
    /// What becomes of it, were the policy enforced.
    pub verdict: Verdict,
    /// Whether it was enforced. If not, the packet passed.
    pub enforced: bool,
    /// Why; `None` if its IP header is cut short or contradicts itself.
    pub origin: Option<Origin>,
    /// Which of the policy's rules for ports was against it, the first being 1; `None` if none of them, or all.
    pub rule: Option<u8>,
    /// Its first bytes, from the Ethernet header on, VLAN tags included.
    pub bytes: Vec<u8>,
    /// How many bytes it has in all.
    pub length: u32,
}

/// What the headers of an IP packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Whom it comes from.
    pub source: IpAddr,
    /// Whom it goes to.
    pub destination: IpAddr,
    /// The number of its protocol; `None` if that stands too far behind.
    pub protocol: Option<u8>,
    /// Its ports, if it is TCP or UDP and no later fragment.
    pub ports: Option<Ports>,
}

const VLAN_TAG: u32 = 4;
/// Where the outermost tag stands: behind two addresses.
const TAG_AT: usize = 12;

impl Event {
    /// How many bytes of a packet there are at most.
    pub const MOST_BYTES: usize = SNAPSHOT + VLAN_TAG as usize;

    /// The one that the kernel wrote; `None` if it wrote something else.
    pub(super) fn of(bytes: &[u8], clocks: Clocks) -> Option<Self> {
        let (head, snapshot) = read(bytes)?;
        let captured = snapshot.get(..head.captured as usize)?;
        let mut event = Self::of_ruling(
            Ruling::from_word(head.ruling),
            clocks.instant(head.time),
            captured.to_vec(),
            head.length,
        );
        if head.tag != 0 && event.bytes.len() >= TAG_AT {
            event.bytes.splice(TAG_AT..TAG_AT, head.tag.to_be_bytes());
            // Never more than 2^32: no packet is.
            event.length = event.length.saturating_add(VLAN_TAG);
        }
        Some(event)
    }

    fn of_ruling(ruling: Ruling, time: Timestamp, bytes: Vec<u8>, length: u32) -> Self {
        let Ruling {
            slot,
            rule,
            rejects,
            passes,
        } = ruling;
        let number = u8::try_from(rule.number()).ok();
        let of_ports = number.filter(|number| Rule::of_ports(*number).is_some());
        Self {
            time,
            verdict: if rejects {
                Verdict::Reject
            } else {
                Verdict::Drop
            },
            enforced: !passes,
            origin: Origin::of(slot),
            rule: of_ports.filter(|_| slot != Slot::DENIED),
            bytes,
            length,
        }
    }

    /// What its headers say; `None` if it is malformed.
    #[must_use]
    pub fn headers(&self) -> Option<Headers> {
        Headers::of(self.bytes.as_slice())
    }
}

/// What the kernel wrote, by its layout.
fn read(bytes: &[u8]) -> Option<(Head, &[u8])> {
    const HEAD: usize = size_of::<Head>();
    const _: () = assert!(HEAD == 24 && size_of::<watch::Event>() == HEAD + SNAPSHOT);
    let (head, snapshot) = bytes.split_first_chunk::<HEAD>()?;
    let [time @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *head;
    let numbers: [u32; HEAD / 4] = bytemuck::cast(*head);
    let [_, _, ruling, length, tag, captured] = numbers;
    let head = Head {
        time: u64::from_ne_bytes(time),
        ruling,
        length,
        tag,
        captured,
    };
    Some((head, snapshot))
}

impl Headers {
    fn of(frame: &[u8]) -> Option<Self> {
        let (source, ip): (IpAddr, _) = match Source::of(frame) {
            Source::Ipv4 {
                address, header, ..
            } => (address.into(), header_at(header, Family::Ipv4)),
            Source::Ipv6 {
                address, header, ..
            } => (address.into(), header_at(header, Family::Ipv6)),
            Source::NotIp | Source::Malformed => return None,
        };
        let destination = match ip.family {
            Family::Ipv4 => Frame::read::<4>(frame, ip.offset + IPV4_DESTINATION)?.into(),
            Family::Ipv6 => Frame::read::<16>(frame, ip.offset + IPV6_DESTINATION)?.into(),
        };
        let transport = Transport::of(frame, ip);
        Some(Self {
            source,
            destination,
            protocol: transport.map(|transport| transport.protocol()),
            ports: transport.and_then(|transport| transport.ports(frame)),
        })
    }
}

const fn header_at(offset: usize, family: Family) -> IpHeader {
    IpHeader { offset, family }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geoip::Country;

    /// An event as the kernel writes it.
    fn written(ruling: Ruling, tag: u32, packet: &[u8], length: u32) -> Vec<u8> {
        let captured = u32::try_from(packet.len()).unwrap();
        let mut bytes = 7_u64.to_ne_bytes().to_vec();
        for number in [ruling.word(), length, tag, captured] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(packet);
        bytes.resize(size_of::<watch::Event>(), 0xee);
        bytes
    }

    fn ruling(slot: Slot, rule: Rule) -> Ruling {
        Ruling {
            slot,
            rule,
            rejects: false,
            passes: false,
        }
    }

    #[test]
    fn what_the_kernel_writes_is_read() {
        let clocks = Clocks::read();
        let china = Slot::of_country(*b"CN").unwrap();
        let second = Rule::of_ports(2).unwrap();
        let bytes = written(ruling(china, second), 0, b"frame", 1500);
        let event = Event::of(&bytes, clocks).unwrap();
        assert_eq!(event.time, clocks.instant(7));
        assert_eq!(event.origin, Some(Origin::Country(Country::CHINA)));
        assert_eq!((event.rule, event.length), (Some(2), 1500));
        assert_eq!(event.bytes, b"frame");
        for (slot, rule) in [
            (Slot::DENIED, second),
            (china, Rule::GENERAL),
            (china, Rule::LATER_FRAGMENT),
            (china, Rule::NO_PORTS),
        ] {
            let bytes = written(ruling(slot, rule), 0, b"", 0);
            assert_eq!(Event::of(&bytes, clocks).unwrap().rule, None);
        }
    }

    #[test]
    fn a_tag_that_is_kept_apart_is_put_where_it_was() {
        let ruling = ruling(Slot::UNKNOWN, Rule::GENERAL);
        let bytes = written(ruling, 0x8100_2007, b"to_to_from_from", 60);
        let event = Event::of(&bytes, Clocks::read()).unwrap();
        assert_eq!(event.bytes, b"to_to_from_f\x81\0\x20\x07rom");
        assert_eq!(event.length, 64);
    }

    #[test]
    fn more_than_there_is_room_for_is_no_event() {
        let mut bytes = written(ruling(Slot::UNKNOWN, Rule::GENERAL), 0, b"", 0);
        bytes[20..24].copy_from_slice(&129_u32.to_ne_bytes());
        assert_eq!(Event::of(&bytes, Clocks::read()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(event) = Event::of(&bytes, Clocks::read()) {
                let _ = event.headers();
                prop_assert!(event.bytes.len() <= Event::MOST_BYTES);
            }
        }
    }
}
