//! How far a packet can be told by where it goes to: what rules for ports go by.

use crate::{
    frame::Frame,
    ports::Protocol,
    transport::{IpHeader, Transport},
};

/// How far a packet can be told by where it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It goes to this port.
    Port(Protocol, u16),
    /// Its protocol has no ports.
    NoPorts,
    /// It belongs to a packet that has ports, in another fragment.
    LaterFragment,
    /// It should have ports, or nobody knows, and they cannot be read.
    Hidden,
}

impl Reach {
    /// Reads it from the headers behind an IP header.
    #[inline(always)]
    pub fn of<F: Frame + ?Sized>(frame: &F, ip: IpHeader) -> Self {
        let Some(transport) = Transport::of(frame, ip) else {
            return Self::Hidden;
        };
        let Some(protocol) = Protocol::of_number(transport.protocol()) else {
            return Self::NoPorts;
        };
        if transport.is_later_fragment() {
            return Self::LaterFragment;
        }
        match transport.ports(frame) {
            Some(ports) => Self::Port(protocol, ports.destination),
            None => Self::Hidden,
        }
    }

    /// It as one number, which a function of the kernel program can return.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u32 {
        match self {
            Self::NoPorts => 0,
            Self::LaterFragment => 1 << 16,
            Self::Hidden => 2 << 16,
            Self::Port(Protocol::Tcp, port) => 3 << 16 | port as u32,
            Self::Port(Protocol::Udp, port) => 4 << 16 | port as u32,
        }
    }

    /// The inverse of [`Reach::word`].
    #[inline(always)]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "a port is in the low bits")]
    pub const fn from_word(word: u32) -> Self {
        match word >> 16 {
            0 => Self::NoPorts,
            1 => Self::LaterFragment,
            2 => Self::Hidden,
            3 => Self::Port(Protocol::Tcp, word as u16),
            _ => Self::Port(Protocol::Udp, word as u16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_the_same() {
        for reach in [
            Reach::NoPorts,
            Reach::LaterFragment,
            Reach::Hidden,
            Reach::Port(Protocol::Tcp, 0),
            Reach::Port(Protocol::Tcp, 65535),
            Reach::Port(Protocol::Udp, 443),
        ] {
            assert_eq!(Reach::from_word(reach.word()), reach);
        }
    }
}
