//! Both families together.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{Memory, ipv4, ipv6};
use crate::{class::Class, table::Table};

/// A table of both families, each with a memory of its own.
#[derive(Clone, Copy, Debug)]
pub struct Multibit<V4, V6> {
    /// The IPv4 table.
    pub ipv4: V4,
    /// The IPv6 table.
    pub ipv6: V6,
}

impl<V4: Memory, V6: Memory> Table for Multibit<V4, V6> {
    #[inline(always)]
    fn ipv4(&self, address: Ipv4Addr) -> Class {
        ipv4::look_up(&self.ipv4, address)
    }

    #[inline(always)]
    fn ipv6(&self, address: Ipv6Addr) -> Class {
        ipv6::look_up(&self.ipv6, address)
    }
}
