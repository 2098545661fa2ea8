//! Addresses as they lie in maps: octets in network order, read as whole numbers.

use core::net::{Ipv4Addr, Ipv6Addr};

/// The address whose octets, read as one number, are this one.
#[inline(always)]
#[must_use]
pub const fn ipv4(octets: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from_be(octets))
}

/// The address whose octets, read as two numbers, are these.
#[inline(always)]
#[must_use]
pub const fn ipv6([high, low]: [u64; 2]) -> Ipv6Addr {
    Ipv6Addr::from_bits((u64::from_be(high) as u128) << 64 | u64::from_be(low) as u128)
}
