//! Programs of the distribution that some tasks run, besides what builds the kernel object.

use anyhow::bail;
use geodrop_toolchain::Places;

use super::{
    Consent,
    action::{Action, Packages},
    agree, perform,
};
use crate::workspace::Workspace;

/// What tests of exports run.
const FILTERS: [&str; 4] = ["nft", "ipset", "iptables", "ip6tables"];

/// Sees to it that the filters of other makers are there which tests load exports into.
pub(crate) fn ensure_filters(workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
    ensure(&FILTERS, Packages::Filters, workspace, consent)
}

/// Installs packages unless all of their programs are there.
fn ensure(
    programs: &[&str],
    packages: Packages,
    workspace: &Workspace,
    consent: Consent,
) -> anyhow::Result<()> {
    let places = Places::from_env()?;
    let is_missing = || programs.iter().any(|name| places.program(name).is_none());
    if !is_missing() {
        return Ok(());
    }
    eprintln!(
        "To be installed: apt packages {packages} ({})",
        packages.cost()
    );
    agree(consent)?;
    // From apt's lists as they are; else after a refresh.
    for refresh in [false, true] {
        perform(&Action::Apt { packages, refresh }, workspace, &places)?;
        if !is_missing() {
            return Ok(());
        }
    }
    bail!(
        "{} are missing: run `apt-get install {packages}`",
        programs.join(", ")
    )
}
