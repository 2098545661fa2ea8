//! xdp-filter of xdp-tools, which blocks single addresses.
//!
//! It keeps what it has in the bpf file system under a fixed name, and a lock in `/run`. So its commands run with a bpf file system
//! and a `/run` of their own, in a mount namespace that ends with them; what is attached stays with the interface.

use std::{fmt::Write as _, net::Ipv4Addr};

use geodrop::testbed::Namespace;

use super::tool;

/// How many addresses it is given. Each takes a command of 3 ms; it takes 10,000 at most.
pub const MOST: usize = 10_000;

/// Attaches it to an interface in native mode, and blocks addresses.
///
/// # Errors
///
/// When `xdp-filter` fails, or a bpf file system cannot be mounted.
pub fn set_up(
    namespace: &Namespace,
    interface: &str,
    addresses: &[Ipv4Addr],
) -> anyhow::Result<()> {
    let mut script = format!(
        "set -e\nmount -t tmpfs tmpfs /run\nmount -t bpf bpf /sys/fs/bpf\nxdp-filter load --mode native --features ipv4 {interface}\n"
    );
    for address in addresses {
        // Writing to a string does not fail.
        let _ = writeln!(script, "xdp-filter ip --mode src {address}");
    }
    let arguments = ["--mount", "--propagation", "private", "sh", "-s"];
    tool::run(namespace, "unshare", &arguments, &script).map(drop)
}
