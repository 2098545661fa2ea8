//! A packet in an XDP program's hands.

use core::arch::asm;

use aya_ebpf::programs::XdpContext;
use geodrop_common::Frame;

/// A packet, of which the program may touch all bytes directly, or if it spans several buffers (`xdp.frags`)
/// those of the first.
#[derive(Clone, Copy)]
pub struct Packet {
    start: usize,
    end: usize,
    length: u64,
}

impl Packet {
    /// The packet of this run of a program that takes packets of one buffer only.
    #[inline(always)]
    #[must_use]
    pub fn of_one_buffer(context: &XdpContext) -> Self {
        let (start, end) = (context.data(), context.data_end());
        Self {
            start,
            end,
            length: (end - start) as u64,
        }
    }

    /// How many bytes the packet has, in all its buffers.
    #[inline(always)]
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.length
    }

    /// Writes `bytes` at `offset`; `None`, and nothing written, when the packet ends before.
    #[inline(always)]
    #[must_use]
    pub fn write<const N: usize>(&self, offset: usize, bytes: [u8; N]) -> Option<()> {
        let place = place::<N>(self.start, self.end, offset)? as *mut [u8; N];
        // SAFETY: `place` checked that N bytes lie between the packet's start and end, which the kernel keeps
        // mapped and unshared while the program runs. An array of bytes has no alignment.
        unsafe { place.write(bytes) };
        Some(())
    }
}

/// Where `N` bytes at `offset` start, if they all lie between a packet's `start` and `end`. The verifier follows this
/// comparison: it is what makes the access legal.
///
/// Unless the loader has `CAP_PERFMON`, the verifier wants every offset to be a constant of the instruction that
/// adds it. The compiler would rather choose an offset on several ways and add it where they meet, so it is kept
/// from knowing that these sums are sums.
#[inline(always)]
fn place<const N: usize>(start: usize, end: usize, offset: usize) -> Option<usize> {
    let place = opaque(start + offset);
    if place + N > end {
        return None;
    }
    Some(place)
}

/// A number of which the compiler knows nothing any more.
#[inline(always)]
pub(crate) fn opaque(mut number: usize) -> usize {
    // SAFETY: it copies a register to itself. (The kernel takes no line of debug information without an
    // instruction, so there has to be one.)
    unsafe {
        asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack, preserves_flags));
    };
    number
}

/// The `N` bytes at `offset`, if they all lie between `start` and `end`.
///
/// # Safety
///
/// `start` and `end` are those of the packet of this run of the program.
#[inline(always)]
pub(crate) unsafe fn read<const N: usize>(
    start: usize,
    end: usize,
    offset: usize,
) -> Option<[u8; N]> {
    let place = place::<N>(start, end, offset)?;
    // SAFETY: `place` checked that N bytes lie between the packet's start and end, which the kernel keeps mapped while the
    // program runs.
    Some(unsafe { load(place) })
}

/// The `N` bytes at a place.
///
/// Of an array of bytes the compiler knows no alignment, so it would load one after the other and put them together. But a
/// header's fields lie as their sizes ask, once those two bytes are counted that drivers leave free before a frame where it
/// matters (`NET_IP_ALIGN`); the verifier reckons the same way. So what is as long as words, or a half, is read as such.
///
/// # Safety
///
/// There are so many bytes.
#[inline(always)]
unsafe fn load<const N: usize>(place: usize) -> [u8; N] {
    let mut bytes = [0; N];
    if N == 2 {
        // SAFETY: the caller vouches for them.
        bytes.copy_from_slice(&unsafe { load_half(place) }.to_ne_bytes());
    } else if N.is_multiple_of(4) {
        let (words, _) = bytes.as_chunks_mut();
        for (index, word) in words.iter_mut().enumerate() {
            // SAFETY: the same, and this is one of the words that they are.
            *word = unsafe { load_word(place + 4 * index) }.to_ne_bytes();
        }
    } else {
        // SAFETY: the same. An array of bytes has no alignment, and any bytes are a value of it.
        bytes = unsafe { (place as *const [u8; N]).read() };
    }
    bytes
}

macro_rules! load {
    ($name:ident, $number:ty, $instruction:literal) => {
        /// The number at a place, wherever that lies.
        ///
        /// # Safety
        ///
        /// Its bytes are there.
        #[inline(always)]
        #[allow(
            clippy::cast_possible_truncation,
            reason = "what is loaded leaves the rest of the register zero"
        )]
        unsafe fn $name(place: usize) -> $number {
            let number: u64;
            // SAFETY: the caller vouches for the bytes. Where a machine cannot load them from an odd place, the verifier refuses
            // the program.
            unsafe {
                asm!($instruction, out(reg) number, in(reg) place, options(pure, readonly, nostack, preserves_flags));
            }
            number as $number
        }
    };
}

load!(load_half, u16, "{} = *(u16 *)({} + 0)");
load!(load_word, u32, "{} = *(u32 *)({} + 0)");

impl Frame for Packet {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        // SAFETY: the start and the end are those that the kernel gave.
        unsafe { read(self.start, self.end, offset) }
    }

    #[inline(always)]
    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.read(offset)
    }

    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "BPF has no addresses of other than 64 bits"
    )]
    fn length(&self) -> usize {
        self.length as usize
    }
}
