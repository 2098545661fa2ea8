//! Programs that some tasks run, besides what builds the kernel object.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use geodrop_toolchain::Places;

use super::{
    Consent,
    action::{Action, Packages, Tool, unpacked},
    agree, perform, scratch,
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

/// The terminal that tests type into.
const TERMINAL: Needed = Needed {
    programs: &["tmux"],
    actions: apt(Packages::Terminal),
    by_hand: "apt-get install tmux",
};

/// What the library of the fuzzer is built with.
const CPP: Needed = Needed {
    programs: &["c++"],
    actions: apt(Packages::CCompilers),
    by_hand: "apt-get install build-essential",
};

const CARGO_FUZZ: Needed = Needed {
    programs: &["cargo-fuzz"],
    actions: [Action::Cargo(Tool {
        name: "cargo-fuzz",
        version: "0.13.2",
        cost: "1 to 2 minutes",
    }); 2],
    by_hand: "cargo install cargo-fuzz --locked",
};

/// What makes packages of Debian.
const CARGO_DEB: Needed = Needed {
    programs: &["cargo-deb"],
    actions: [Action::Cargo(Tool {
        name: "cargo-deb",
        version: "3.8.0",
        cost: "2 to 4 minutes",
    }); 2],
    by_hand: "cargo install cargo-deb --locked",
};

/// What makes a book of pages.
const MDBOOK: Needed = Needed {
    programs: &["mdbook"],
    actions: [Action::Cargo(Tool {
        name: "mdbook",
        version: "0.5.4",
        cost: "2 to 5 minutes",
    }); 2],
    by_hand: "cargo install mdbook --locked",
};

/// What compiles C for programs that need no C library where they run.
const MUSL: Needed = Needed {
    programs: &["musl-gcc"],
    actions: apt(Packages::Musl),
    by_hand: "apt-get install musl-tools",
};

/// What packages of PyPI run in.
const PYTHON: Needed = Needed {
    programs: &["python3"],
    actions: apt(Packages::Python),
    by_hand: "apt-get install python3-venv",
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

/// Sees to it that there is a terminal to type into.
pub(crate) fn ensure_terminal(workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
    TERMINAL.ensure(workspace, consent)
}

/// Sees to it that there is what fuzz targets are built and run with.
pub(crate) fn ensure_fuzzer(workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
    CPP.ensure(workspace, consent)?;
    CARGO_FUZZ.ensure(workspace, consent)
}

/// Sees to it that packages of Debian can be made.
pub(crate) fn ensure_packager(workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
    CARGO_DEB.ensure(workspace, consent)
}

/// Sees to it that pages can be made a book.
pub(crate) fn ensure_book(workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
    MDBOOK.ensure(workspace, consent)
}

/// Sees to it that packages of PyPI can be used.
pub(crate) fn ensure_python(workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
    PYTHON.ensure(workspace, consent)
}

/// Sees to it that there are Prometheus and its `promtool`, and says in which directory.
pub(crate) fn ensure_prometheus(
    workspace: &Workspace,
    consent: Consent,
) -> anyhow::Result<PathBuf> {
    const PACKAGE: &str = "prometheus";
    let unpack = |refresh| Action::Unpack {
        package: PACKAGE,
        cost: "19 MB to download, 98 MB unpacked",
        refresh,
    };
    let programs = unpacked(PACKAGE, &scratch(workspace)?).join("usr/bin");
    let are_there = || {
        let mut names = ["prometheus", "promtool"].iter();
        names.all(|name| programs.join(name).is_file())
    };
    if are_there() {
        return Ok(programs);
    }
    let places = Places::from_env()?;
    eprintln!(
        "To be fetched: {} ({})",
        unpack(false),
        unpack(false).cost()
    );
    agree(consent)?;
    for refresh in [false, true] {
        perform(&unpack(refresh), workspace, &places)?;
        if are_there() {
            return Ok(programs);
        }
    }
    let directory = programs.display();
    bail!(
        "prometheus and promtool are not in {directory}: put them there, of the archive of prometheus.io for example"
    )
}

/// Sees to it that programs can be built for this target, whose C library is musl.
pub(crate) fn ensure_musl(
    workspace: &Workspace,
    consent: Consent,
    target: &'static str,
) -> anyhow::Result<()> {
    MUSL.ensure(workspace, consent)?;
    if has_standard_library(workspace, target)? {
        return Ok(());
    }
    let places = Places::from_env()?;
    let action = Action::RustupTarget(target);
    if places.program("rustup").is_some() {
        eprintln!("To be installed: {action} ({})", action.cost());
        agree(consent)?;
        perform(&action, workspace, &places)?;
    }
    if !has_standard_library(workspace, target)? {
        bail!(
            "the host's Rust has no standard library for {target}, which `rustup target add {target}` installs; \
             with --glibc none is needed"
        );
    }
    Ok(())
}

/// Whether the host's compiler can build programs for this target.
fn has_standard_library(workspace: &Workspace, target: &str) -> anyhow::Result<bool> {
    let mut command = workspace.rustc();
    command.args(["--print", "target-libdir", "--target", target]);
    let output = command.output().context("cannot run rustc")?;
    let directory = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(directory.trim()).is_dir())
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
