//! What is a function of its own in the kernel.
//!
//! What looks at headers of unknown length is no part of the program's main function: the verifier would go through it once for
//! each way that leads there, and the stack would not do ([`far`](crate::far)). Such a function is handed numbers and the
//! context, and makes the packet anew.
//!
//! Without `CAP_PERFMON` that is not enough, for the verifier then also follows each way that the processor may try by
//! mistake, and a function's ways count anew for each call. What such a loader gets are global functions, by the kernel's word
//! for them: the verifier takes each by itself, for any numbers and any packet, and once.

use core::ffi::c_void;

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use geodrop_common::{
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
    #[inline(always)]
    fn is_answer(self, ip: IpHeader) -> bool {
        call(self, ip, is_answer::<Self>)
    }

    /// Whether it is an ICMP error about a flow that is noted.
    #[inline(always)]
    fn is_error(self, ip: IpHeader) -> bool {
        call(self, ip, is_error::<Self>)
    }

    /// Notes that it began a flow of UDP, if it did; whether it did.
    #[inline(always)]
    fn note_inbound(self, ip: IpHeader) -> bool {
        call(self, ip, note_inbound::<Self>)
    }

    /// The word of the [`Reach`] that it has.
    #[inline(always)]
    fn reach(self, ip: IpHeader) -> u32 {
        call(self, ip, reach::<Self>)
    }

    /// Tells whoever watches of it, with the word of its [`Ruling`](geodrop_common::watch::Ruling); whether that was done.
    #[inline(always)]
    fn tell(self, ruling: u32) -> bool {
        call(self, ruling, tell::<Self>)
    }

    /// Turns it into the answer to it, if it is to get one; whether it did.
    #[inline(always)]
    fn answer(self, ip: IpHeader) -> bool
    where
        Self: Replaceable,
    {
        call(self, ip, answer::<Self>)
    }
}

impl Apart for FarPacket {}
impl Apart for Segment {}
// It sees nothing that they could tell, and is told of all the same.
impl Apart for NearPacket {}

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

/// Calls a function of its own on a packet.
#[inline(always)]
fn call<P: Far, T>(
    packet: P,
    handed: impl Handed,
    function: impl FnOnce(*mut c_void, usize, usize, usize) -> T,
) -> T {
    let [first, second] = handed.numbers();
    function(packet.context(), packet.length(), first, second)
}

#[inline(always)]
fn reach_of<P: Far>(packet: P, ip: IpHeader) -> u32 {
    Reach::of(&packet, ip).word()
}

/// Defines functions of their own: one that is verified anew for each call, for any kind of packet, and for two kinds global
/// ones under these names.
macro_rules! functions {
    ($($name:ident($handed:ty): $kind:ident = $what:path => $result:ty; $packet:ident, $segment:ident)*) => {
        $(
            #[inline(never)]
            fn $name<P: $kind>(
                context: *mut c_void,
                length: usize,
                first: usize,
                second: usize,
            ) -> $result {
                // SAFETY: the caller has it from the packet of this run.
                let packet = unsafe { P::of_context(context, length) };
                $what(packet, <$handed>::of_numbers([first, second]))
            }

            functions!(@global $packet(xdp_md, CopiedPacket, $handed) = $what => $result);
            functions!(@global $segment(__sk_buff, CopiedSegment, $handed) = $what => $result);
        )*

        functions!(@methods CopiedPacket $($name($handed) $packet $result)*);
        functions!(@methods CopiedSegment $($name($handed) $segment $result)*);
    };

    // The kernel knows a context by its type, and a global function by its being seen from outside.
    (@global $name:ident($context:ty, $kind:ty, $handed:ty) = $what:path => $result:ty) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(
            context: *mut $context,
            length: usize,
            first: usize,
            second: usize,
        ) -> $result {
            // SAFETY: the kernel lets nothing through but the context of this run.
            let packet = unsafe { <$kind>::of_context(context.cast(), length) };
            $what(packet, <$handed>::of_numbers([first, second]))
        }
    };

    (@methods $kind:ident $($name:ident($handed:ty) $global:ident $result:ty)*) => {
        impl Apart for $kind {
            $(
                #[inline(always)]
                fn $name(self, handed: $handed) -> $result {
                    call(self, handed, |context, length, first, second| {
                        $global(context.cast(), length, first, second)
                    })
                }
            )*
        }
    };
}

functions! {
    is_answer(IpHeader): Far = flows::is_answer => bool; packet_is_answer, segment_is_answer
    is_error(IpHeader): Far = flows::is_error => bool; packet_is_error, segment_is_error
    note_inbound(IpHeader): Far = flows::note_inbound_udp => bool; packet_note_inbound, segment_note_inbound
    reach(IpHeader): Far = reach_of => u32; packet_reach, segment_reach
    tell(u32): Far = watch::sample => bool; packet_tell, segment_tell
    answer(IpHeader): Replaceable = answer::in_place => bool; packet_answer, segment_answer
}
