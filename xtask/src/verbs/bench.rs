//! `cargo xtask bench`: what blocking costs, beside all else that blocks.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, bail};

use super::build::{self, Profile};
use crate::{
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

const EXAMPLES: &str = "\
Examples:
  sudo -E env \"PATH=$PATH\" cargo xtask bench --quick         the figures that count, in less than three minutes
  sudo -E env \"PATH=$PATH\" cargo xtask bench --quick --json  the same for scripts, on standard output
  sudo -E env \"PATH=$PATH\" cargo xtask bench                 every table and every traffic
  sudo -E env \"PATH=$PATH\" cargo xtask bench all --quick --html out.html --json > out.json
  cargo xtask bench compare before.json after.json           what changed
  cargo xtask bench -- --help                                what geodrop-bench can do
  cargo xtask bench                                          build it; then it says how to run it as root";

/// Build geodrop-bench, optimised, and measure with it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Passed on to `geodrop-bench`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Args {
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        setup::ensure(workspace, Purpose::Build, consent)?;
        let binary = build::build_binary(workspace, "geodrop-bench", Profile::Release)?;
        let mut command = Command::new(&binary);
        command.args(&self.arguments);
        let needs_no_root = |argument: &OsString| argument == "--help" || argument == "compare";
        let needs_root = !self.arguments.iter().any(needs_no_root);
        if needs_root && !workspace::is_root() {
            let binary = workspace.relative(&binary).display();
            let arguments = self.arguments.join(" ".as_ref());
            let command = format!("sudo {binary} {}", arguments.display());
            bail!(
                "geodrop-bench is built; to load programs into the kernel it needs root: run `{}`",
                command.trim_end()
            );
        }
        // This process becomes it: Ctrl-C and the exit status are its own.
        let error = command.exec();
        Err(error).with_context(|| format!("cannot run {}", workspace::shown(&command)))
    }
}
