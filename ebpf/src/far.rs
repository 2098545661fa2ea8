//! A packet's bytes behind headers whose length only the packet knows.
//!
//! What stands at a fixed distance is read where it is, if it is in the packet's first buffer. All else a helper copies out, which
//! costs a call: there the verifier need not know where it reads. It takes no stack on which a pointer and a number take turns, so
//! what looks that far is a function of its own in the kernel, which holds but one pointer: that of the context.

#![allow(
    clippy::cast_possible_truncation,
    reason = "offsets and lengths in a packet are far below 2^31"
)]

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, xdp_md},
    helpers::{
        bpf_xdp_get_buff_len,
        generated::{bpf_skb_load_bytes, bpf_xdp_load_bytes},
    },
    programs::{TcContext, XdpContext},
};
use geodrop_common::{Frame, Source, watch};

use crate::packet::{self, Packet};

/// A frame that is made of nothing but the context that the kernel called a program with.
pub trait Far: Frame + Copy {
    /// Whether there is anything to see: if not, nobody should look.
    const SEES: bool = true;

    /// Whether the main function may hold pointers into tables. The compiler puts pointers and numbers into the same place on
    /// the stack by turns, and without `CAP_PERFMON` the verifier takes a number of four bytes there for an attempt to tell
    /// what the pointer was.
    const KEEPS_POINTERS: bool = true;

    /// The frame of this context.
    ///
    /// # Safety
    ///
    /// The context has to be what [`Far::context`] gave, in the same run of the program.
    unsafe fn of_context(context: *mut c_void, length: usize) -> Self;

    /// The context.
    fn context(self) -> *mut c_void;

    /// The same frame, with its length asked anew: of a length that was handed on, the verifier remembers what each way has
    /// compared it with, and goes once more through what depends on it.
    #[must_use]
    fn measured(self) -> Self;

    /// Copies the packet's first bytes, no more than it has; returns how many that were.
    ///
    /// # Safety
    ///
    /// There is room for so many bytes.
    unsafe fn copy(self, bytes: *mut c_void, length: u32) -> u32;

    /// The outermost VLAN tag if it is kept apart from the packet's bytes: what it is a tag of, then what the tag says. Zero
    /// if it is not.
    #[inline(always)]
    fn tag_apart(self) -> u32 {
        0
    }
}

/// No header that we look for starts behind this: two VLAN tags, and all extension headers that we walk at their longest,
/// have room before it. The verifier wants a bound.
const FARTHEST: usize = 0x3fff;

/// A frame of Ethernet's usual size with two tags: no driver's buffer is too small for one, but some keep all behind the headers
/// in another.
const SHORT: usize = 1522;

/// Copies bytes out of a packet.
type Load = unsafe fn(*mut c_void, u32, *mut c_void, u32) -> i64;

/// # Safety
///
/// The context is that of this run, and there is room for so many bytes.
#[inline(always)]
unsafe fn load_packet(context: *mut c_void, offset: u32, bytes: *mut c_void, length: u32) -> i64 {
    // SAFETY: the caller vouches for what the helper asks.
    unsafe { bpf_xdp_load_bytes(context.cast(), offset, bytes, length) }
}

/// # Safety
///
/// The same.
#[inline(always)]
unsafe fn load_segment(context: *mut c_void, offset: u32, bytes: *mut c_void, length: u32) -> i64 {
    // SAFETY: the caller vouches for what the helper asks.
    unsafe { bpf_skb_load_bytes(context, offset, bytes, length) }
}

/// # Safety
///
/// The context is that of this run.
#[inline(always)]
unsafe fn measure_packet(context: *mut c_void) -> usize {
    // SAFETY: the caller vouches for what the helper asks.
    unsafe { bpf_xdp_get_buff_len(context.cast()) as usize }
}

/// # Safety
///
/// The same.
#[inline(always)]
unsafe fn measure_segment(context: *mut c_void) -> usize {
    let segment: *mut __sk_buff = context.cast();
    // SAFETY: the caller vouches for the context, which lets us read the field.
    unsafe { (*segment).len as usize }
}

#[inline(always)]
fn read<const N: usize>(context: *mut c_void, offset: usize, load: Load) -> Option<[u8; N]> {
    if offset > FARTHEST {
        return None;
    }
    let mut bytes = MaybeUninit::<[u8; N]>::uninit();
    // SAFETY: the context is the one that the kernel called us with, and `bytes` has room for N bytes.
    let failed = unsafe { load(context, offset as u32, bytes.as_mut_ptr().cast(), N as u32) };
    if failed != 0 {
        return None;
    }
    // SAFETY: the helper did not fail, so it wrote all N bytes.
    Some(unsafe { bytes.assume_init() })
}

macro_rules! far {
    ($(#[$doc:meta])* $name:ident, $context:ty, $raw:ty, $load:expr, $measure:expr $(, $frame:item, $far:item)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            context: *mut c_void,
            length: usize,
        }

        impl $name {
            /// The packet of this run.
            #[inline(always)]
            #[must_use]
            pub fn of(context: &$context) -> Self {
                let context = context.as_ptr();
                // SAFETY: the context is the one that the kernel called us with.
                let length = unsafe { $measure(context) };
                Self { context, length }
            }

            /// Where its first buffer starts and ends. The kernel writes that as numbers of 32 bits and lets programs read
            /// addresses; a compiler that knows of the 32 bits would copy no more.
            #[inline(always)]
            fn bounds(&self) -> (usize, usize) {
                let context: *const $raw = self.context.cast();
                // SAFETY: the context is the one that the kernel called us with.
                let start = unsafe { (*context).data };
                // SAFETY: the same.
                let end = unsafe { (*context).data_end };
                (packet::opaque(start as usize), packet::opaque(end as usize))
            }
        }

        impl Far for $name {
            #[inline(always)]
            unsafe fn of_context(context: *mut c_void, length: usize) -> Self {
                Self { context, length }
            }

            #[inline(always)]
            fn context(self) -> *mut c_void {
                self.context
            }

            #[inline(always)]
            fn measured(self) -> Self {
                // SAFETY: the context is the one that the kernel called us with.
                let length = unsafe { $measure(self.context) };
                Self { length, ..self }
            }

            #[inline(always)]
            unsafe fn copy(self, bytes: *mut c_void, length: u32) -> u32 {
                // SAFETY: the context is the one that the kernel called us with, and the caller vouches for the room.
                let failed = unsafe { $load(self.context, 0, bytes, length) };
                if failed == 0 { length } else { 0 }
            }

            $($far)?
        }

        impl Frame for $name {
            #[inline(always)]
            fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
                let (start, end) = self.bounds();
                let near = if offset > FARTHEST {
                    None
                } else {
                    // SAFETY: the start and the end are those that the kernel gave.
                    unsafe { packet::read(start, end, offset) }
                };
                match near {
                    None => self.read_at(offset),
                    bytes => bytes,
                }
            }

            #[inline(always)]
            fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
                read(self.context, offset, $load)
            }

            #[inline(always)]
            fn length(&self) -> usize {
                self.length
            }

            $($frame)?
        }
    };
}

far! {
    /// A packet of XDP, all its buffers. The helper came with packets of several buffers: with 5.18.
    FarPacket, XdpContext, xdp_md, load_packet, measure_packet
}

/// The first buffer of a packet. Needs `CAP_PERFMON`, to take one pointer from another.
#[derive(Clone, Copy, Debug)]
pub struct FirstBuffer {
    context: *mut c_void,
}

impl FirstBuffer {
    /// That of this run's packet.
    #[inline(always)]
    #[must_use]
    pub fn of(context: &XdpContext) -> Self {
        Self {
            context: context.as_ptr(),
        }
    }

    /// The packet, of which this was read.
    ///
    /// To ask the helper how long it is takes a third of what judging it takes. That is spared where this buffer has room left, and
    /// all of the IP packet in it.
    #[inline(always)]
    #[must_use]
    pub fn packet(self, source: &Source) -> FarPacket {
        let here = self.bytes().length();
        let length = match source.end() {
            Some(end) if end <= here && here <= SHORT => here,
            _ => self.length(),
        };
        FarPacket {
            context: self.context,
            length,
        }
    }

    #[inline(always)]
    fn bytes(self) -> Packet {
        Packet::of_one_buffer(&XdpContext::new(self.context.cast()))
    }
}

impl Frame for FirstBuffer {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes().read(offset)
    }

    #[inline(always)]
    fn read_at<const N: usize>(&self, _offset: usize) -> Option<[u8; N]> {
        None
    }

    #[inline(always)]
    fn length(&self) -> usize {
        // SAFETY: the context is the one that the kernel called us with.
        unsafe { measure_packet(self.context) }
    }
}

far! {
    /// A packet of the network stack, from its Ethernet header on: of its bytes only some lie side by side.
    Segment, TcContext, __sk_buff, load_segment, measure_segment,
    #[inline(always)]
    fn has_tag_apart(&self) -> bool {
        let segment: *mut __sk_buff = self.context.cast();
        // SAFETY: the context is the one that the kernel called us with, which lets us read the field.
        unsafe { (*segment).vlan_present != 0 }
    },
    #[inline(always)]
    fn tag_apart(self) -> u32 {
        if !self.has_tag_apart() {
            return 0;
        }
        let segment: *mut __sk_buff = self.context.cast();
        // SAFETY: the context is the one that the kernel called us with, which lets us read the field.
        let protocol = unsafe { (*segment).vlan_proto };
        // SAFETY: the same.
        let control = unsafe { (*segment).vlan_tci };
        u32::from(u16::from_be(protocol as u16)) << 16 | u32::from(control as u16)
    }
}

/// What looks far where nothing can: in kernels before 5.18. It has the bytes at offsets that are constants, and no others; no
/// policy that needs these is loaded there.
#[derive(Clone, Copy, Debug)]
pub struct NearPacket {
    context: *mut c_void,
    length: usize,
}

impl NearPacket {
    /// The packet of this run, which has so many bytes.
    #[inline(always)]
    #[must_use]
    pub fn of(context: &XdpContext, length: usize) -> Self {
        Self {
            context: context.as_ptr(),
            length,
        }
    }
}

impl Far for NearPacket {
    const SEES: bool = false;

    #[inline(always)]
    unsafe fn of_context(context: *mut c_void, length: usize) -> Self {
        // The compiler would rather keep the packet's start and end since the verdict than load them anew; then the verifier
        // takes no two ways there for alike, for each has seen the packet to another depth. So it is kept from knowing that
        // this is the same context.
        let context = packet::opaque(context as usize) as *mut c_void;
        Self { context, length }
    }

    #[inline(always)]
    fn context(self) -> *mut c_void {
        self.context
    }

    #[inline(always)]
    fn measured(self) -> Self {
        let context = XdpContext::new(self.context.cast());
        Self::of(&context, Packet::of_one_buffer(&context).length())
    }

    /// Eight at a time, as there is no helper for it: up to seven at the end are not copied.
    #[inline(always)]
    unsafe fn copy(self, bytes: *mut c_void, length: u32) -> u32 {
        const STEP: usize = 8;
        let bytes: *mut [u8; STEP] = bytes.cast();
        let mut copied = 0;
        while copied + STEP <= watch::SNAPSHOT {
            let step = self
                .read(copied)
                .filter(|_| copied + STEP <= length as usize);
            let Some(step) = step else {
                break;
            };
            // SAFETY: the caller vouches for the room, which this is in.
            let place = unsafe { bytes.add(copied / STEP) };
            // SAFETY: as above; an array of bytes has no alignment.
            unsafe { place.write(step) };
            copied += STEP;
        }
        copied as u32
    }
}

impl Frame for NearPacket {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let Self { context, .. } = *self;
        FirstBuffer { context }.read(offset)
    }

    #[inline(always)]
    fn read_at<const N: usize>(&self, _offset: usize) -> Option<[u8; N]> {
        None
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.length
    }
}

macro_rules! copied {
    ($(#[$doc:meta])* $name:ident($kind:ident)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(pub(crate) $kind);

        impl $name {
            /// The same packet.
            #[inline(always)]
            #[must_use]
            pub const fn of(packet: $kind) -> Self {
                Self(packet)
            }
        }

        impl Far for $name {
            const KEEPS_POINTERS: bool = false;

            #[inline(always)]
            unsafe fn of_context(context: *mut c_void, length: usize) -> Self {
                // SAFETY: the caller vouches for the context.
                Self(unsafe { $kind::of_context(context, length) })
            }

            #[inline(always)]
            fn context(self) -> *mut c_void {
                self.0.context()
            }

            #[inline(always)]
            fn measured(self) -> Self {
                Self(self.0.measured())
            }

            #[inline(always)]
            unsafe fn copy(self, bytes: *mut c_void, length: u32) -> u32 {
                // SAFETY: the caller vouches for the room.
                unsafe { self.0.copy(bytes, length) }
            }

            #[inline(always)]
            fn tag_apart(self) -> u32 {
                self.0.tag_apart()
            }
        }

        impl Frame for $name {
            #[inline(always)]
            fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
                self.0.read_at(offset)
            }

            #[inline(always)]
            fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
                self.0.read_at(offset)
            }

            #[inline(always)]
            fn length(&self) -> usize {
                self.0.length()
            }

            #[inline(always)]
            fn has_tag_apart(&self) -> bool {
                self.0.has_tag_apart()
            }
        }
    };
}

copied! {
    /// A packet of XDP for loaders without `CAP_PERFMON`, whose programs must not add variables to the packet's start: all
    /// bytes are copied out.
    CopiedPacket(FarPacket)
}

copied! {
    /// The same of the network stack.
    CopiedSegment(Segment)
}
