//! Bytes of an Ethernet frame, readable at an offset.

/// A frame whose bytes can be read at an offset, or not be there.
///
/// The kernel program reads the packet, with the bounds check that the verifier wants to see; tests read a
/// slice.
pub trait Frame {
    /// The `N` bytes from `offset` on; `None` when the frame ends before the last of them.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// The same at an offset that is known only when the packet is: behind a header whose length it says itself.
    ///
    /// Apart from [`Frame::read`] because the verifier takes a packet pointer moved by a variable only from a loader
    /// with `CAP_PERFMON`: in the kernel these bytes are copied out by a helper, which costs a call.
    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// How many bytes the frame has.
    fn length(&self) -> usize;

    /// Whether the outermost VLAN tag is kept apart from the frame's bytes, as the network stack does: then it belongs to
    /// the frame all the same, between the addresses and the type that stand next to each other here.
    fn has_tag_apart(&self) -> bool {
        false
    }
}

impl Frame for [u8] {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }

    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.read(offset)
    }

    fn length(&self) -> usize {
        self.len()
    }
}
