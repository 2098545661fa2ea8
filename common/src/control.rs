//! What may change while a filter runs, without another program: deadlines and exceptions.
//!
//! Instants are nanoseconds of the kernel's boot-time clock (`CLOCK_BOOTTIME`), which goes on while the machine sleeps and
//! takes no steps. Zero is none: so no clock is read but while something lies ahead.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::class::Action;

/// The one element of the control map, one a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Control {
    /// A generation on trial gives way to the one before it from this instant on.
    pub trial_until: u64,
    /// Before this instant country rules count what they would drop, and let it pass.
    pub effective_from: u64,
    /// How many exceptions there may be: as long as it is zero, none is looked for.
    pub exceptions: u64,
}

/// Whom an exception is for: the octets of an IPv6 address, or of an IPv4-mapped one, as two numbers in network order.
///
/// Numbers, because the compiler fills octets with zero in a loop, which the verifier does not take from everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ExceptionKey([u64; 2]);

impl From<Ipv4Addr> for ExceptionKey {
    #[inline(always)]
    fn from(address: Ipv4Addr) -> Self {
        Self([0, (0xffff << 32 | u64::from(address.to_bits())).to_be()])
    }
}

impl From<Ipv6Addr> for ExceptionKey {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "it takes the lower half")]
    fn from(address: Ipv6Addr) -> Self {
        let bits = address.to_bits();
        Self([((bits >> 64) as u64).to_be(), (bits as u64).to_be()])
    }
}

impl ExceptionKey {
    /// The words of the key.
    #[must_use]
    pub const fn words(self) -> [u64; 2] {
        self.0
    }

    /// The address that a key's words stand for.
    #[must_use]
    pub const fn address([high, low]: [u64; 2]) -> IpAddr {
        let bits = (u64::from_be(high) as u128) << 64 | u64::from_be(low) as u128;
        Ipv6Addr::from_bits(bits).to_canonical()
    }
}

/// What was decided for an address while the filter runs, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Exception {
    /// The instant from which on it holds no more; the greatest there is for one without end.
    pub until: u64,
    /// 0: packets pass. All else: they drop.
    drop: u64,
}

impl Exception {
    /// That packets get this action before this instant.
    #[must_use]
    pub const fn new(action: Action, until: u64) -> Self {
        let drop = match action {
            Action::Pass => 0,
            Action::Drop => 1,
        };
        Self { until, drop }
    }

    /// What packets get.
    #[inline(always)]
    #[must_use]
    pub const fn action(&self) -> Action {
        if self.drop == 0 {
            Action::Pass
        } else {
            Action::Drop
        }
    }
}

/// How many exceptions there can be at a time.
pub const MOST_EXCEPTIONS: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_octets_of_an_address() {
        let (ipv4, ipv6) = (
            Ipv4Addr::new(1, 2, 3, 4),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7),
        );
        let keys = [ExceptionKey::from(ipv4), ExceptionKey::from(ipv6)];
        assert_eq!(
            keys.map(|key| ExceptionKey::address(key.words())),
            [ipv4.into(), IpAddr::V6(ipv6)]
        );
        assert_eq!(keys[0], ipv4.to_ipv6_mapped().into());
    }
}
