//! `cargo xtask setup`: make this machine able to build geodrop.

use std::process::ExitCode;

use geodrop_toolchain::Toolchain;

use crate::{
    setup::{self, Consent, Purpose},
    workspace::Workspace,
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask setup           list what is missing, ask, install it
  cargo xtask setup --yes     the same without asking
  cargo xtask setup --check   only list it; exit status 1 if anything is missing

Environment:
  GEODROP_EBPF_TOOLCHAIN      `rustup` or `debian`: use this way to a Rust toolchain only
  GEODROP_BPF_LINKER          use this bpf-linker; otherwise one on PATH if it fits, else
                              one that is built into the user's data directory";

/// Make this machine able to build geodrop's kernel object.
///
/// Installs what is missing of: a Rust toolchain for BPF (rustup's nightly with rust-src, else Debian's rustc-web),
/// the development files of its LLVM, and a bpf-linker for them. Does nothing where all is there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only report what is missing
    #[arg(long)]
    check: bool,
}

impl Args {
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<ExitCode> {
        let toolchain = if self.check {
            match setup::check(Purpose::Lint)? {
                Ok(toolchain) => toolchain,
                Err(missing) => {
                    println!("{}", missing.trim_end());
                    return Ok(ExitCode::FAILURE);
                }
            }
        } else {
            setup::ensure(workspace, Purpose::Lint, consent)?
        };
        let Toolchain { rust, linker } = toolchain;
        println!("All is there to build the kernel object:");
        println!(
            "  Rust {} with LLVM {} in {} ({}'s)",
            rust.version.text,
            rust.version.llvm,
            rust.bin.display(),
            rust.way
        );
        println!(
            "  bpf-linker {} at {}",
            linker.version,
            linker.path.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}
