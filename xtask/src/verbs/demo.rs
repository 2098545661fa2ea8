//! `cargo xtask demo`: from a fresh machine to dropped packets.

use std::{ffi::OsString, process::Command};

use anyhow::bail;

use super::build::{self, Profile};
use crate::{
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

const EXAMPLES: &str = "\
Examples:
  sudo -E env \"PATH=$PATH\" cargo xtask demo   build it and run it
  cargo xtask demo                            build it; then it says how to run it as root";

/// Build geodrop and see it drop packets, in network namespaces of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Passed on to `geodrop demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Args {
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        setup::ensure(workspace, Purpose::Build, consent)?;
        let binary = build::build(workspace, Profile::Release)?;
        let mut command = Command::new(&binary);
        command.arg("demo").args(&self.arguments);
        if !workspace::is_root() {
            let binary = workspace.relative(&binary).display();
            let arguments = self.arguments.join(" ".as_ref());
            let command = format!("sudo {binary} demo {}", arguments.display());
            bail!(
                "geodrop is built; to load it into the kernel the demo needs root: run `{}`",
                command.trim_end()
            );
        }
        workspace::run(&mut command)
    }
}
