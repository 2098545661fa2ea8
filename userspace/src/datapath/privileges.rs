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
    // CAP_SYS_ADMIN has held CAP_BPF in it since the latter was split off (kernel 5.8).
    let bpf = effective.intersects(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN);
    let net = effective.contains(CapabilitySet::NET_ADMIN);
    let missing = match (bpf, net) {
        (true, true) => return Ok(()),
        (false, true) => "CAP_BPF",
        (true, false) => "CAP_NET_ADMIN",
        (false, false) => "CAP_BPF and CAP_NET_ADMIN",
    };
    Err(DatapathError::Privileges {
        missing: missing.to_owned(),
    })
}
