//! A packet in an XDP program's hands.

use aya_ebpf::programs::XdpContext;
use geodrop_common::Frame;

/// The bytes of a packet that the program may touch directly: all of it, or of a packet that spans several
/// buffers (`xdp.frags`) the first buffer.
#[derive(Clone, Copy)]
pub struct Packet {
    start: usize,
    end: usize,
}

impl Packet {
    /// The packet of this run of the program.
    #[inline(always)]
    #[must_use]
    pub fn of(context: &XdpContext) -> Self {
        Self {
            start: context.data(),
            end: context.data_end(),
        }
    }

    /// How many bytes there are.
    #[inline(always)]
    #[must_use]
    pub const fn len(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// Whether there are none: never so for a packet that the kernel hands us.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Writes `bytes` at `offset`; `None`, and nothing written, when the packet ends before.
    #[inline(always)]
    #[must_use]
    pub fn write<const N: usize>(&self, offset: usize, bytes: [u8; N]) -> Option<()> {
        let place = self.place::<N>(offset)? as *mut [u8; N];
        // SAFETY: `place` checked that N bytes lie between the packet's start and end, which the kernel keeps
        // mapped and unshared while the program runs. An array of bytes has no alignment.
        unsafe { place.write(bytes) };
        Some(())
    }

    /// Where `N` bytes at `offset` start, if they all lie inside the packet. The verifier follows this
    /// comparison: it is what makes the access legal.
    #[inline(always)]
    const fn place<const N: usize>(&self, offset: usize) -> Option<usize> {
        let place = self.start + offset;
        if place + N > self.end {
            return None;
        }
        Some(place)
    }
}

impl Frame for Packet {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let place = self.place::<N>(offset)? as *const [u8; N];
        // SAFETY: `place` checked that N bytes lie between the packet's start and end, which the kernel keeps
        // mapped while the program runs. An array of bytes has no alignment, and any bytes are a value of it.
        Some(unsafe { place.read() })
    }
}
