//! Whether this process may do what a filter takes.

use rustix::thread::{CapabilitySet, capabilities};

use super::error::DatapathError;

/// Checks for the capabilities that load and attach a program, so that their lack is said in one line and
/// not found out at the first system call that refuses.
pub(crate) fn check() -> Result<(), DatapathError> {
    check_for(&[
        ("CAP_BPF", CapabilitySet::BPF),
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
    ])
}

/// Checks for the capability that a program takes which subtracts packet pointers, as the one for kernels before
/// 5.18 does: these have no other way to tell how long a packet is, and the result could tell an address.
pub(super) fn check_for_pointers() -> Result<(), DatapathError> {
    check_for(&[(
        "CAP_PERFMON (as kernels before 5.18 do)",
        CapabilitySet::PERFMON,
    )])
}

/// Whether the verifier lets this process's programs move packet pointers by variables.
pub(super) fn has_perfmon() -> Result<bool, DatapathError> {
    has("CAP_PERFMON", CapabilitySet::PERFMON)
}

/// Whether the kernel lets this process open a map by its id.
pub(super) fn has_admin() -> Result<bool, DatapathError> {
    has("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN)
}

fn has(name: &'static str, capability: CapabilitySet) -> Result<bool, DatapathError> {
    match check_for(&[(name, capability)]) {
        Ok(()) => Ok(true),
        Err(DatapathError::Privileges { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Checks for capabilities, each given by the name to call it by.
fn check_for(wanted: &[(&str, CapabilitySet)]) -> Result<(), DatapathError> {
    let effective = capabilities(None)
        .map_err(std::io::Error::from)
        .map_err(DatapathError::system(
            "asking for this process's capabilities",
        ))?
        .effective;
    let missing: Vec<_> = wanted
        .iter()
        // CAP_SYS_ADMIN has held CAP_BPF and CAP_PERFMON in it since they were split off (kernel 5.8).
        .filter(|(_, one)| {
            !effective.contains(*one)
                && (*one == CapabilitySet::NET_ADMIN
                    || !effective.contains(CapabilitySet::SYS_ADMIN))
        })
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(DatapathError::Privileges {
        missing: missing.join(", "),
    })
}
