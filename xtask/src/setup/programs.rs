//! Programs that some tasks run, besides what builds the kernel object.

use anyhow::bail;
use geodrop_toolchain::Places;

use super::{
    Consent,
    action::{Action, Packages},
    agree, perform,
};
use crate::workspace::Workspace;

/// Programs, and what installs them.
struct Needed {
    programs: &'static [&'static str],
    /// One after another, until the programs are there.
    actions: [Action; 2],
    by_hand: &'static str,
}

/// The filters of other makers that tests load what we export into.
const FILTERS: Needed = Needed {
    programs: &["nft", "ipset", "iptables", "ip6tables"],
    actions: apt(Packages::Filters),
    by_hand: "apt-get install nftables ipset iptables",
};

/// What the library of the fuzzer is built with.
const CPP: Needed = Needed {
    programs: &["c++"],
    actions: apt(Packages::CCompilers),
    by_hand: "apt-get install build-essential",
};

const CARGO_FUZZ: Needed = Needed {
    programs: &["cargo-fuzz"],
    actions: [Action::CargoFuzz; 2],
    by_hand: "cargo install cargo-fuzz --locked",
};

/// Packages from apt's lists as they are; else after a refresh.
const fn apt(packages: Packages) -> [Action; 2] {
    [
        Action::Apt {
            packages,
            refresh: false,
        },
        Action::Apt {
            packages,
            refresh: true,
        },
    ]
}

/// Sees to it that the filters of other makers are there.
pub(crate) fn ensure_filters(workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
    FILTERS.ensure(workspace, consent)
}

/// Sees to it that there is what fuzz targets are built and run with.
pub(crate) fn ensure_fuzzer(workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
    CPP.ensure(workspace, consent)?;
    CARGO_FUZZ.ensure(workspace, consent)
}

impl Needed {
    /// Installs what is missing.
    fn ensure(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        let places = Places::from_env()?;

        let is_missing = || {
            self.programs
                .iter()
                .any(|name| places.program(name).is_none())
        };
        if !is_missing() {
            return Ok(());
        }
        let [first, _] = &self.actions;
        eprintln!("To be installed: {first} ({})", first.cost());
        agree(consent)?;
        for action in &self.actions {
            perform(action, workspace, &places)?;
            if !is_missing() {
                return Ok(());
            }
        }
        let programs = self.programs.join(", ");
        bail!("not all of {programs} are on PATH: run `{}`", self.by_hand)
    }
}
