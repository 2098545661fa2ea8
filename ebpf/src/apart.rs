//! What is a function of its own in the kernel.
//!
//! What looks at headers of unknown length is no part of the program's main function: the verifier would go through it once for
//! each way that leads there, and the stack would not do ([`far`](crate::far)). Such a function is handed numbers and the
//! context, and makes the packet anew.
//!
//! They are global functions, by the kernel's word for them: the verifier takes each by itself, for any numbers and any packet,
//! and once, however many ways lead there. Without `CAP_PERFMON` nothing else would do, for then it also follows each
//! way that the processor may try by mistake.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use geodrop_common::{
    Frame as _,
    reach::Reach,
    transport::{Family, IpHeader},
};

use crate::{
    answer::{self, Replaceable},
    far::{CopiedPacket, CopiedSegment, Far, FarPacket, NearPacket, Segment},
    flows, watch,
};

/// A packet, and what functions of their own tell of it.
pub trait Apart: Far {
    /// Whether it answers a flow that is noted.
    fn is_answer(self, ip: IpHeader) -> bool;

    /// Whether it is an ICMP error about a flow that is noted.
    fn is_error(self, ip: IpHeader) -> bool;

    /// Notes that it began a flow of UDP, if it did; whether it did.
    fn note_inbound(self, ip: IpHeader) -> bool;

    /// The word of the [`Reach`] that it has.
    fn reach(self, ip: IpHeader) -> u32;

    /// Tells whoever watches of it, with the word of its [`Ruling`](geodrop_common::watch::Ruling); whether that was done.
    fn tell(self, ruling: u32) -> bool;

    /// Turns it into the answer to it, if it is to get one; whether it did.
    fn answer(self, ip: IpHeader) -> bool
    where
        Self: Replaceable;
}

/// What can be handed to a function in the kernel: two numbers.
trait Handed {
    fn numbers(self) -> [usize; 2];

    fn of_numbers(numbers: [usize; 2]) -> Self;
}

impl Handed for IpHeader {
    #[inline(always)]
    fn numbers(self) -> [usize; 2] {
        [self.offset, (self.family == Family::Ipv6).into()]
    }

    #[inline(always)]
    fn of_numbers([offset, is_ipv6]: [usize; 2]) -> Self {
        Self {
            offset,
            family: if is_ipv6 == 0 {
                Family::Ipv4
            } else {
                Family::Ipv6
            },
        }
    }
}

/// By halves: what a global function makes no use of, the compiler does not hand to it, and the verifier wants to see it.
impl Handed for u32 {
    #[inline(always)]
    fn numbers(self) -> [usize; 2] {
        [(self & 0xffff) as usize, (self >> 16) as usize]
    }

    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "they were halves of 32 bits"
    )]
    fn of_numbers([lower, upper]: [usize; 2]) -> Self {
        lower as Self | (upper as Self) << 16
    }
}

#[inline(always)]
fn reach_of<P: Far>(packet: P, ip: IpHeader) -> u32 {
    Reach::of(&packet, ip).word()
}

/// A method that calls a global function of the same name behind a prefix.
macro_rules! global {
    ($kind:ident, $context:ty, $prefix:literal, $name:ident($handed:ty) -> $result:ty = $what:path) => {
        #[inline(always)]
        fn $name(self, handed: $handed) -> $result {
            // The kernel knows a context by its type, and a global function by its being seen from outside.
            #[unsafe(export_name = concat!($prefix, "_", stringify!($name)))]
            #[inline(never)]
            extern "C" fn apart(
                context: *mut $context,
                length: usize,
                first: usize,
                second: usize,
            ) -> $result {
                // SAFETY: the kernel lets nothing through but the context of this run.
                let packet = unsafe { $kind::of_context(context.cast(), length) };
                $what(packet, <$handed>::of_numbers([first, second]))
            }
            let [first, second] = handed.numbers();
            apart(self.context().cast(), self.length(), first, second)
        }
    };
}

/// Gives a kind of packet its methods.
macro_rules! apart {
    ($kind:ident, $context:ty, $prefix:literal) => {
        impl Apart for $kind {
            global!($kind, $context, $prefix, is_answer(IpHeader) -> bool = flows::is_answer);
            global!($kind, $context, $prefix, is_error(IpHeader) -> bool = flows::is_error);
            global!($kind, $context, $prefix, note_inbound(IpHeader) -> bool = flows::note_inbound_udp);
            global!($kind, $context, $prefix, reach(IpHeader) -> u32 = reach_of);
            global!($kind, $context, $prefix, tell(u32) -> bool = watch::sample);
            global!($kind, $context, $prefix, answer(IpHeader) -> bool = answer::in_place);
        }
    };
}

apart!(FarPacket, xdp_md, "packet");
apart!(CopiedPacket, xdp_md, "copied_packet");
apart!(Segment, __sk_buff, "segment");
apart!(CopiedSegment, __sk_buff, "copied_segment");

/// It sees nothing that these could tell, but is told of all the same.
impl Apart for NearPacket {
    #[inline(always)]
    fn is_answer(self, _: IpHeader) -> bool {
        false
    }

    #[inline(always)]
    fn is_error(self, _: IpHeader) -> bool {
        false
    }

    #[inline(always)]
    fn note_inbound(self, _: IpHeader) -> bool {
        false
    }

    #[inline(always)]
    fn reach(self, _: IpHeader) -> u32 {
        Reach::Hidden.word()
    }

    global!(NearPacket, xdp_md, "near_packet", tell(u32) -> bool = watch::sample);

    #[inline(always)]
    fn answer(self, _: IpHeader) -> bool {
        false
    }
}
