//! A table: what an engine looks an address up in.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::class::Class;

/// The class of every address, as one engine lays it out.
///
/// Addresses are `core::net`'s: octets in network order, so that no integer of unknown byte order crosses
/// this boundary.
pub trait Table {
    /// The class of an IPv4 address; [`Class::DEFAULT`] when the table says nothing of it.
    fn ipv4(&self, address: Ipv4Addr) -> Class;

    /// The class of an IPv6 address; [`Class::DEFAULT`] when the table says nothing of it.
    fn ipv6(&self, address: Ipv6Addr) -> Class;
}
