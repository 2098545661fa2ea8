//! Any packets, and any bytes: no panics, replies come to the flow that they answer, answers are sound.

use etherparse::{Icmpv4Header, Icmpv6Slice, NetHeaders, PacketHeaders, TransportHeader};
use proptest::prelude::*;

use crate::{
    flow::{error, received, sent},
    refusal::refused,
    wire::{ACK, LEAD, OUTWARD, Pair, SYN, flags, raw, udp},
};

/// A protocol that is no extension header, for etherparse builds those only in their order.
fn plain() -> impl Strategy<Value = u8> {
    let extensions = [0, 43, 44, 51, 60, 135, 139, 140];
    any::<u8>().prop_filter("an extension header", move |protocol| {
        !extensions.contains(protocol)
    })
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes")]
    fn what_opens_a_flow_is_answered_by_its_reply(
        (local, remote) in any::<([u8; 16], [u8; 16])>(),
        is_v4 in any::<bool>(),
        ports in any::<(u16, u16)>(),
        is_tcp in any::<bool>(),
    ) {
        let first = |bytes: [u8; 16]| *bytes.first_chunk().unwrap();
        let out = if is_v4 { Pair::Ipv4(first(local), first(remote)) } else { Pair::Ipv6(local, remote) };
        let (swapped, back) = ((ports.1, ports.0), out.back());
        let (request, answer) = if is_tcp {
            (flags(out.step(), ports, SYN), flags(back.step(), swapped, SYN | ACK))
        } else {
            (udp(out.step(), ports), udp(back.step(), swapped))
        };
        let opened = sent(out, &request).unwrap();
        prop_assert!(opened.opens);
        prop_assert_eq!(received(back, &answer), Some(opened.key));
        let quoting = error(back.elsewhere(), 3, &request, 200);
        prop_assert_eq!(received(back, &quoting), Some(opened.key));
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes")]
    fn any_bytes_are_judged(mut bytes in prop::collection::vec(any::<u8>(), LEAD..160), protocol in prop::sample::select(vec![1, 6, 17, 58])) {
        for (pair, place) in OUTWARD.into_iter().zip([9, 6]) {
            if let Some(byte) = bytes.get_mut(LEAD + place) {
                *byte = protocol;
            }
            let _ = received(pair, &bytes);
            let _ = sent(pair, &bytes);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes")]
    fn answers_are_sound_and_never_answered(
        (from, to) in any::<([u8; 16], [u8; 16])>(),
        is_v4 in any::<bool>(),
        protocol in prop_oneof![Just(6), Just(17), Just(1), Just(58), plain()],
        payload in prop::collection::vec(any::<u8>(), 0..80),
        options in any::<bool>(),
    ) {
        let first = |bytes: [u8; 16]| *bytes.first_chunk().unwrap();
        let pair = if is_v4 { Pair::Ipv4(first(from), first(to)) } else { Pair::Ipv6(from, to) };
        let step = if options { pair.with_options() } else { pair.step() };
        let frame = raw(step, protocol, &payload);
        if let Some(answer) = refused(pair, &frame) {
            verify(&answer, pair.back());
            let answered = [&[0; LEAD], answer.as_slice()].concat();
            prop_assert_eq!(refused(pair.back(), &answered), None);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes")]
    fn any_bytes_are_answered_or_not(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        for pair in OUTWARD {
            let _ = refused(pair, &bytes);
        }
    }

}

/// Checks all checksums, lengths and addresses of an answer, by etherparse.
fn verify(answer: &[u8], way: Pair) {
    let headers = PacketHeaders::from_ip_slice(answer).unwrap();
    let payload = headers.payload.slice();
    match (headers.net.unwrap(), way) {
        (NetHeaders::Ipv4(ip, _), Pair::Ipv4(from, to)) => {
            assert_eq!((ip.source, ip.destination), (from, to));
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            assert_eq!(usize::from(ip.total_len), answer.len());
            match headers.transport.unwrap() {
                TransportHeader::Tcp(tcp) => {
                    assert_eq!(tcp.checksum, tcp.calc_checksum_ipv4(&ip, payload).unwrap());
                }
                TransportHeader::Icmpv4(icmp) => {
                    let right = Icmpv4Header::with_checksum(icmp.icmp_type.clone(), payload);
                    assert_eq!(icmp, right);
                }
                other => panic!("{other:?}"),
            }
        }
        (NetHeaders::Ipv6(ip, _), Pair::Ipv6(from, to)) => {
            assert_eq!((ip.source, ip.destination), (from, to));
            assert_eq!(usize::from(ip.payload_length), answer.len() - 40);
            match headers.transport.unwrap() {
                TransportHeader::Tcp(tcp) => {
                    assert_eq!(tcp.checksum, tcp.calc_checksum_ipv6(&ip, payload).unwrap());
                }
                TransportHeader::Icmpv6(_) => {
                    let slice = Icmpv6Slice::from_slice(&answer[40..]).unwrap();
                    assert!(slice.is_checksum_valid(from, to));
                }
                other => panic!("{other:?}"),
            }
        }
        (net, _) => panic!("{net:?}"),
    }
}
