//! Whether this process may do what a filter takes.

use rustix::thread::{CapabilitySet, capabilities};

use super::error::DatapathError;

/// Checks for the capabilities that load and attach a program, so that their lack is said in one line and
/// not found out at the first system call that refuses.
pub(crate) fn check() -> Result<(), DatapathError> {
    let effective = capabilities(None)
        .map_err(std::io::Error::from)
        .map_err(DatapathError::system(
            "asking for this process's capabilities",
        ))?
        .effective;
    // CAP_SYS_ADMIN has held the first two in it since they were split off (kernel 5.8).
    let wanted = [
        ("CAP_BPF", CapabilitySet::BPF | CapabilitySet::SYS_ADMIN),
        // Without it the verifier refuses to read the side table at a variable index.
        (
            "CAP_PERFMON",
            CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN,
        ),
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
    ];
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(_, any)| !effective.intersects(*any))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(DatapathError::Privileges {
        missing: missing.join(", "),
    })
}
