//! How protocols and ports are written.

use geodrop_common::transport::{ICMP, ICMPV6, TCP, UDP};

use super::table::NOTHING;

/// The protocols that have names here, by their numbers.
const PROTOCOLS: [(u8, &str); 4] = [
    (TCP, "tcp"),
    (UDP, "udp"),
    (ICMP, "icmp"),
    (ICMPV6, "icmpv6"),
];

/// The number of a protocol that has a name here.
pub(super) fn protocol_number(name: &str) -> Option<u8> {
    let mut all = PROTOCOLS.iter();
    all.find(|(_, other)| *other == name)
        .map(|(number, _)| *number)
}

/// The name of a protocol, or its number.
pub(super) fn protocol_name(number: u8) -> String {
    let mut all = PROTOCOLS.iter();
    let found = all.find(|(other, _)| *other == number);
    found.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// Where packets go to: the port, or else the protocol.
pub(super) fn destination(protocol: Option<u8>, port: Option<u16>) -> String {
    let protocol = protocol.map_or_else(|| NOTHING.to_owned(), protocol_name);
    match port {
        Some(port) => format!("{protocol}/{port}"),
        None => protocol,
    }
}
