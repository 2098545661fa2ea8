//! Ethernet frames that tests hand to programs.

use std::net::IpAddr;

use etherparse::{PacketBuilder, PacketBuilderStep};

/// The IP header of a packet from one address to another, in an Ethernet frame.
pub(crate) fn ip(source: IpAddr, destination: IpAddr) -> PacketBuilderStep<etherparse::IpHeaders> {
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet.ipv4(source.octets(), destination.octets(), 64)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ethernet.ipv6(source.octets(), destination.octets(), 64)
        }
        _ => panic!("{source} does not send to {destination}"),
    }
}

/// An address and a port.
pub(crate) type End = (IpAddr, u16);

/// A datagram.
pub(crate) fn udp((source, from): End, (destination, to): End) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = ip(source, destination).udp(from, to);
    builder.write(&mut frame, b"data").unwrap();
    frame
}

/// A segment with these flags, of `syn`, `ack`, `fin` and `rst`.
pub(crate) fn tcp((source, from): End, (destination, to): End, flags: &str) -> Vec<u8> {
    let mut builder = ip(source, destination).tcp(from, to, 1000, 1000);
    for flag in flags.split(' ') {
        builder = match flag {
            "syn" => builder.syn(),
            "ack" => builder.ack(7),
            "fin" => builder.fin(),
            "rst" => builder.rst(),
            other => panic!("{other} is no flag here"),
        };
    }
    let mut frame = Vec::new();
    builder.write(&mut frame, b"").unwrap();
    frame
}
