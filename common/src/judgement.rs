//! The verdict on a frame.

use crate::{
    class::{Action, Class, Entry},
    counter::Slot,
    frame::Frame,
    source::Source,
    table::Table,
};

/// What becomes of a frame, and where it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What becomes of it, were the filter to enforce.
    pub action: Action,
    /// Where it is counted.
    pub slot: Slot,
}

/// Judges one frame: what is not IP passes, what is malformed drops, all else is what its source's class
/// says. `entry` gives the meaning of a class.
#[inline(always)]
pub fn judge<F, T>(frame: &F, table: &T, entry: impl Fn(Class) -> Entry) -> Judgement
where
    F: Frame + ?Sized,
    T: Table + ?Sized,
{
    let class = match Source::of(frame) {
        Source::Ipv4(address) => table.ipv4(address),
        Source::Ipv6(address) => table.ipv6(address),
        Source::NotIp => {
            return Judgement {
                action: Action::Pass,
                slot: Slot::NON_IP,
            };
        }
        Source::Malformed => {
            return Judgement {
                action: Action::Drop,
                slot: Slot::MALFORMED,
            };
        }
    };
    let entry = entry(class);
    Judgement {
        action: entry.action(),
        slot: entry.slot(),
    }
}
