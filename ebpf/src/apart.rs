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
    Frame as _,
    reach::Reach,
    transport::{Family, IpHeader},
};

use crate::{
    answer::{self, Replaceable},
    far::{CopiedPacket, CopiedSegment, Far, FarPacket, NearPacket, Segment},
    flows,
};

/// A packet, and what functions of their own tell of it.
pub trait Apart: Far {
    /// Whether it answers a flow that is noted.
    #[inline(always)]
    fn is_answer(self, ip: IpHeader) -> bool {
        is_answer::<Self>(self.context(), self.length(), ip.offset, is_ipv6(ip))
    }

    /// Whether it is an ICMP error about a flow that is noted.
    #[inline(always)]
    fn is_error(self, ip: IpHeader) -> bool {
        is_error::<Self>(self.context(), self.length(), ip.offset, is_ipv6(ip))
    }

    /// Notes that it began a flow of UDP, if it did; whether it did.
    #[inline(always)]
    fn note_inbound(self, ip: IpHeader) -> bool {
        note_inbound::<Self>(self.context(), self.length(), ip.offset, is_ipv6(ip))
    }

    /// The word of the [`Reach`] that it has.
    #[inline(always)]
    fn reach(self, ip: IpHeader) -> u32 {
        reach::<Self>(self.context(), self.length(), ip.offset, is_ipv6(ip))
    }

    /// Turns it into the answer to it, if it is to get one; whether it did.
    #[inline(always)]
    fn answer(self, ip: IpHeader) -> bool
    where
        Self: Replaceable,
    {
        answer::<Self>(self.context(), self.length(), ip.offset, is_ipv6(ip))
    }
}

impl Apart for FarPacket {}
impl Apart for Segment {}
// It sees nothing that they could tell.
impl Apart for NearPacket {}

#[inline(always)]
fn is_ipv6(ip: IpHeader) -> bool {
    ip.family == Family::Ipv6
}

/// An IP header, by what can be handed to a function in the kernel.
#[inline(always)]
const fn ip_header(offset: usize, is_ipv6: bool) -> IpHeader {
    IpHeader {
        offset,
        family: if is_ipv6 { Family::Ipv6 } else { Family::Ipv4 },
    }
}

#[inline(always)]
fn reach_of<P: Far>(packet: P, ip: IpHeader) -> u32 {
    Reach::of(&packet, ip).word()
}

/// Defines functions of their own: one that is verified anew for each call, for any kind of packet, and for two kinds global
/// ones under these names.
macro_rules! functions {
    ($($name:ident: $kind:ident = $what:path => $result:ty; $packet:ident, $segment:ident)*) => {
        $(
            #[inline(never)]
            fn $name<P: $kind>(
                context: *mut c_void,
                length: usize,
                offset: usize,
                is_ipv6: bool,
            ) -> $result {
                // SAFETY: the caller has it from the packet of this run.
                let packet = unsafe { P::of_context(context, length) };
                $what(packet, ip_header(offset, is_ipv6))
            }

            functions!(@global $packet(xdp_md, CopiedPacket) = $what => $result);
            functions!(@global $segment(__sk_buff, CopiedSegment) = $what => $result);
        )*

        functions!(@methods CopiedPacket $($name $packet $result)*);
        functions!(@methods CopiedSegment $($name $segment $result)*);
    };

    // The kernel knows a context by its type, and a global function by its being seen from outside.
    (@global $name:ident($context:ty, $kind:ty) = $what:path => $result:ty) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(
            context: *mut $context,
            length: usize,
            offset: usize,
            is_ipv6: bool,
        ) -> $result {
            // SAFETY: the kernel lets nothing through but the context of this run.
            let packet = unsafe { <$kind>::of_context(context.cast(), length) };
            $what(packet, ip_header(offset, is_ipv6))
        }
    };

    (@methods $kind:ident $($name:ident $global:ident $result:ty)*) => {
        impl Apart for $kind {
            $(
                #[inline(always)]
                fn $name(self, ip: IpHeader) -> $result {
                    $global(self.context().cast(), self.length(), ip.offset, is_ipv6(ip))
                }
            )*
        }
    };
}

functions! {
    is_answer: Far = flows::is_answer => bool; packet_is_answer, segment_is_answer
    is_error: Far = flows::is_error => bool; packet_is_error, segment_is_error
    note_inbound: Far = flows::note_inbound_udp => bool; packet_note_inbound, segment_note_inbound
    reach: Far = reach_of => u32; packet_reach, segment_reach
    answer: Replaceable = answer::in_place => bool; packet_answer, segment_answer
}
