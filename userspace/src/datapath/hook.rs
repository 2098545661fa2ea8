//! What programs answer at each hook.

use super::Hook;

impl Hook {
    /// Whether what a program of ours returns there lets a packet go on: `XDP_PASS` of `include/uapi/linux/bpf.h`,
    /// `TC_ACT_UNSPEC` of `pkt_cls.h`.
    #[must_use]
    pub const fn lets_pass(self, returned: u32) -> bool {
        match self {
            Self::Xdp => returned == 2,
            Self::Tcx => returned.cast_signed() == -1,
        }
    }
}
