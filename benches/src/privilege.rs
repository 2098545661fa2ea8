//! What the kernel lets who loads a program leave out.
//!
//! A processor may read ahead of a bounds check, and what it reads can be found out by timing (Spectre, variant 1).
//! So the verifier masks the index of every array map, and refuses or guards some reads more, unless the one who
//! loads has `CAP_PERFMON`, who may read the kernel's memory anyway. The answers are the same and the speed is not.
//! Maps and programs alike are made with or without: the kernel looks at both.

use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// What a program is loaded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// With all that this thread may do.
    Full,
    /// Without `CAP_PERFMON`, and without `CAP_SYS_ADMIN`, which has it in it.
    WithoutPerfmon,
}

impl Privilege {
    /// All ways of loading.
    pub const ALL: [Self; 2] = [Self::Full, Self::WithoutPerfmon];

    /// Does something with this privilege, in this thread; afterwards the thread may do what it could before.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell or does not change what this thread may do.
    pub fn with<T>(self, work: impl FnOnce() -> T) -> io::Result<T> {
        let before = capabilities(None)?;
        let _restore = match self {
            Self::Full => None,
            Self::WithoutPerfmon => {
                let mut sets = before;
                sets.effective
                    .remove(CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN);
                set_capabilities(None, sets)?;
                Some(Restore(before))
            }
        };
        Ok(work())
    }
}

/// Gives this thread back what it could do.
struct Restore(CapabilitySets);

impl Drop for Restore {
    fn drop(&mut self) {
        // Whoever has a capability permitted may take it up again, so this cannot fail; and if it did, the next
        // load would be refused, and say so.
        let _ = set_capabilities(None, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_down_is_taken_up_again() {
        let effective = || capabilities(None).unwrap().effective;
        let before = effective();
        let perfmon = CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN;
        let without = Privilege::WithoutPerfmon.with(effective).unwrap();
        assert_eq!(without, before - perfmon);
        assert_eq!(effective(), before);
        assert_eq!(Privilege::Full.with(effective).unwrap(), before);
    }
}
