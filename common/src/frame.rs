//! Bytes of an Ethernet frame, readable at an offset.

/// A frame whose bytes can be read at an offset, or not be there.
///
/// The kernel program reads the packet, with the bounds check that the verifier wants to see; tests read a
/// slice.
pub trait Frame {
    /// The `N` bytes from `offset` on; `None` when the frame ends before the last of them.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// How many bytes the frame has.
    fn length(&self) -> usize;
}

impl Frame for [u8] {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }

    fn length(&self) -> usize {
        self.len()
    }
}
