//! One thing that a set-up can do, the commands that do it, and what a person is told of it.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use geodrop_toolchain::{Places, linker, rust::NIGHTLY};

use super::machine::llvm_prefix;
use crate::command::{Invocation, Privilege};

/// Something to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A component for the nightly that rustup has.
    RustupComponent(&'static str),
    /// rustup's nightly with all that we use of it; an older nightly is brought up to date.
    RustupNightly,
    /// Packages of the distribution.
    Apt {
        /// Which.
        packages: Packages,
        /// Whether to fetch apt's lists first.
        refresh: bool,
    },
    /// Programs of a package of the distribution that is only unpacked, for whoever installs it gets a service that runs.
    Unpack {
        /// The package.
        package: &'static str,
        /// What that costs, roughly.
        cost: &'static str,
        /// Whether to fetch apt's lists first.
        refresh: bool,
    },
    /// `bpf-linker`, built for us alone.
    Linker {
        /// The LLVM to build it against.
        llvm: u32,
    },
    /// A program that cargo builds, for the user.
    Cargo(Tool),
    /// The standard library of another target, for the host's toolchain of rustup.
    RustupTarget(&'static str),
}

/// A program for developers that is installed where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Its crate, which is also its name.
    pub(crate) name: &'static str,
    /// The version to install.
    pub(crate) version: &'static str,
    /// What that costs, roughly.
    pub(crate) cost: &'static str,
}

/// A set of packages that serve one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packages {
    /// Debian's Rust toolchain with its sources.
    Rust,
    /// clippy of that toolchain.
    Clippy,
    /// What the host needs to build and link the linker.
    CCompilers,
    /// The development files of one LLVM.
    Llvm(u32),
    /// The filters of other makers that tests load what we export into.
    Filters,
    /// The C library that programs can be linked with as a whole.
    Musl,
    /// Python, and what makes environments of its packages.
    Python,
    /// A terminal that tests can type into and read.
    Terminal,
}

impl Packages {
    /// The packages' names.
    pub(crate) fn names(self) -> Vec<String> {
        match self {
            Self::Rust => ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"]
                .map(str::to_owned)
                .into(),
            Self::Clippy => vec!["rust-web-clippy".to_owned()],
            Self::CCompilers => vec!["build-essential".to_owned()],
            Self::Llvm(llvm) => vec![format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")],
            Self::Filters => ["nftables", "ipset", "iptables"].map(str::to_owned).into(),
            Self::Musl => vec!["musl-tools".to_owned()],
            Self::Python => vec!["python3-venv".to_owned()],
            Self::Terminal => vec!["tmux".to_owned()],
        }
    }

    /// What they cost, roughly, on Debian 12.
    pub(crate) const fn cost(self) -> &'static str {
        match self {
            Self::Rust => "120 MB to download, 650 MB installed",
            Self::Clippy => "4 MB to download",
            Self::CCompilers => "up to 70 MB to download",
            Self::Python => "up to 10 MB to download",
            Self::Llvm(_) => "100 MB to download, 650 MB installed",
            Self::Filters | Self::Musl | Self::Terminal => "1 MB to download",
        }
    }
}

impl fmt::Display for Packages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RustupComponent(component) => write!(f, "rustup's {component} for {NIGHTLY}"),
            Self::RustupNightly => write!(f, "rustup's {NIGHTLY} with rust-src and clippy"),
            Self::Apt {
                packages,
                refresh: false,
            } => write!(f, "apt packages {packages}"),
            Self::Apt {
                packages,
                refresh: true,
            } => write!(f, "apt packages {packages}, after apt-get update"),
            Self::Unpack { package, .. } => {
                write!(f, "apt package {package}, unpacked and not installed")
            }
            Self::Linker { llvm } => write!(
                f,
                "bpf-linker {} built against LLVM {llvm}",
                linker::VERSION
            ),
            Self::Cargo(Tool { name, version, .. }) => write!(f, "{name} {version}"),
            Self::RustupTarget(target) => write!(f, "rustup's standard library for {target}"),
        }
    }
}

impl Action {
    /// What it costs, roughly.
    pub(crate) const fn cost(&self) -> &'static str {
        match self {
            Self::RustupComponent(_) => "5 MB to download",
            Self::RustupNightly => "150 MB to download, 900 MB installed",
            Self::Apt { packages, .. } => packages.cost(),
            Self::Unpack { cost, .. } => cost,
            Self::Linker { .. } => "1 to 4 minutes",
            Self::Cargo(subcommand) => subcommand.cost,
            Self::RustupTarget(_) => "40 MB to download",
        }
    }

    /// How long it may take before something else is tried.
    pub(crate) const fn limit(&self) -> Duration {
        let minutes = match self {
            Self::RustupComponent(_) | Self::RustupTarget(_) => 2,
            Self::RustupNightly => 5,
            Self::Apt { .. } | Self::Unpack { .. } | Self::Cargo(_) => 8,
            Self::Linker { .. } => 15,
        };
        Duration::from_mins(minutes)
    }

    /// A name for its log.
    pub(crate) fn slug(&self) -> String {
        match self {
            Self::RustupComponent(component) => format!("rustup-{component}"),
            Self::RustupNightly => format!("rustup-{NIGHTLY}"),
            Self::Apt { packages, .. } => format!("apt-{}", packages.names()[0]),
            Self::Unpack { package, .. } => format!("unpack-{package}"),
            Self::Linker { llvm } => format!("bpf-linker-llvm{llvm}"),
            Self::Cargo(subcommand) => subcommand.name.to_owned(),
            Self::RustupTarget(target) => format!("rustup-{target}"),
        }
    }

    /// Whether it needs root.
    pub(crate) const fn is_privileged(&self) -> bool {
        matches!(self, Self::Apt { .. } | Self::Unpack { refresh: true, .. })
    }

    /// The commands that do it, one after another. `scratch` is a directory for what they build.
    pub(crate) fn invocations(
        &self,
        places: &Places,
        privilege: Privilege,
        scratch: &Path,
    ) -> Vec<Invocation> {
        match self {
            Self::RustupComponent(component) => {
                vec![Invocation::new(
                    "rustup",
                    ["component", "add", component, "--toolchain", NIGHTLY],
                )]
            }
            Self::RustupNightly => vec![Invocation::new(
                "rustup",
                [
                    "toolchain",
                    "install",
                    NIGHTLY,
                    "--profile",
                    "minimal",
                    "-c",
                    "rust-src",
                    "-c",
                    "clippy",
                    "--no-self-update",
                ],
            )],
            Self::Apt { packages, refresh } => {
                let install = Invocation::new(
                    "apt-get",
                    // Never at the price of something that the user installed: rustc-web conflicts with rustc.
                    [
                        "install",
                        "-q",
                        "--yes",
                        "--no-remove",
                        "--no-install-recommends",
                        "-o",
                        "DPkg::Lock::Timeout=60",
                    ],
                )
                .args(packages.names());
                let invocations = if *refresh {
                    vec![update_lists(), install]
                } else {
                    vec![install]
                };
                invocations
                    .into_iter()
                    .map(|invocation| {
                        invocation
                            .env("DEBIAN_FRONTEND", "noninteractive")
                            .privileged(privilege, self.limit())
                    })
                    .collect()
            }
            Self::Unpack {
                package, refresh, ..
            } => {
                let update = update_lists().privileged(privilege, self.limit());
                let directory = unpacked(package, scratch);
                let unpack = Invocation::new("sh", ["-c", UNPACK, "sh", package]).args([directory]);
                if *refresh {
                    vec![update, unpack]
                } else {
                    vec![unpack]
                }
            }
            Self::Linker { llvm } => {
                vec![build_linker(*llvm, places).env("CARGO_TARGET_DIR", scratch)]
            }
            Self::Cargo(Tool { name, version, .. }) => {
                let install = ["install", name, "--locked", "--version", version];
                vec![Invocation::new("cargo", install).env("CARGO_TARGET_DIR", scratch)]
            }
            Self::RustupTarget(target) => {
                vec![Invocation::new("rustup", ["target", "add", target])]
            }
        }
    }
}

/// Fetches apt's lists.
fn update_lists() -> Invocation {
    // An unrelated source that is broken fails it; what we want may be there all the same.
    Invocation::new("apt-get", ["update", "-q"]).may_fail()
}

/// Fetches the package `$1`, and leaves of it what is in `usr/bin`, below the directory `$2`.
const UNPACK: &str = "rm -rf \"$2\" && mkdir -p \"$2\" && cd \"$2\" && apt-get download \"$1\" && \
    dpkg-deb --fsys-tarfile \"$1\"_*.deb | tar --extract --wildcards './usr/bin/*' && rm \"$1\"_*.deb";

/// Where a package is unpacked: beside what is only built in `scratch`.
pub(super) fn unpacked(package: &str, scratch: &Path) -> PathBuf {
    scratch.with_file_name(package)
}

/// `cargo install` for a linker of ours. Both variables are needed: its own build script and that of its LLVM
/// bindings look for LLVM separately, and the former takes the first `llvm-config` on `PATH`, whatever its version.
pub(super) fn build_linker(llvm: u32, places: &Places) -> Invocation {
    let prefix = llvm_prefix(llvm);
    // A set-up never builds one where there is no home to keep it in, but a person may choose a place.
    let root = linker::home(llvm, places).unwrap_or_else(|| PathBuf::from("DIRECTORY"));
    let (version, feature) = (linker::VERSION.to_string(), format!("llvm-{llvm}"));
    Invocation::new(
        "cargo",
        [
            "install",
            "bpf-linker",
            "--locked",
            "--force",
            "--no-default-features",
        ],
    )
    .args(["--version", &version, "--features", &feature, "--root"])
    .args([root])
    .env("LLVM_PREFIX", &prefix)
    .env(&format!("LLVM_SYS_{llvm}1_PREFIX"), &prefix)
}
