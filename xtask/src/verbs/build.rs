//! `cargo xtask build`: the binary that goes on a server.

use std::path::PathBuf;

use crate::{
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask build           target/release/geodrop, the file to copy to a server
  cargo xtask build --debug   target/debug/geodrop, sooner built and slower";

/// Build geodrop, the kernel objects inside, and print where it is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Build with optimisation, as is done anyway
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// Build for debugging
    #[arg(long)]
    debug: bool,
}

impl Args {
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        setup::ensure(workspace, Purpose::Build, consent)?;
        let profile = if self.debug {
            Profile::Debug
        } else {
            Profile::Release
        };
        let binary = build(workspace, profile)?;
        println!(
            "{}  {}",
            workspace.relative(&binary).display(),
            workspace::size(&binary)?
        );
        Ok(())
    }
}

/// How to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Optimised.
    Release,
    /// For debugging.
    Debug,
}

/// Builds the binary that goes on a server, and says where it is. The toolchain is there already.
pub(crate) fn build(workspace: &Workspace, profile: Profile) -> anyhow::Result<PathBuf> {
    build_binary(workspace, "geodrop", profile)
}

/// Builds the binary of a package that is called like it, and says where it is. The toolchain is there already.
pub(crate) fn build_binary(
    workspace: &Workspace,
    name: &str,
    profile: Profile,
) -> anyhow::Result<PathBuf> {
    let mut command = workspace.cargo();
    command.args(["build", "--package", name, "--bin", name]);
    let directory = match profile {
        Profile::Release => {
            command.arg("--release");
            "release"
        }
        Profile::Debug => "debug",
    };
    workspace::run(&mut command)?;
    Ok(workspace.target_directory()?.join(directory).join(name))
}
