//! `cargo xtask miri`: the lookup code of `common/` in an interpreter that finds what no test shows.

use std::process::Command;

use anyhow::bail;
use geodrop_toolchain::rust::NIGHTLY;

use crate::workspace::{self, Workspace};

/// Run the tests of the table lookup under Miri, which finds undefined behaviour; installs nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// What installs Miri: only rustup has it.
const REMEDY: &str = "rustup toolchain install nightly --component miri --component rust-src";

impl Args {
    #[expect(clippy::unused_self, reason = "as every verb has it")]
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<()> {
        let there = nightly(workspace).args(["miri", "--version"]).output();
        if !there.is_ok_and(|output| output.status.success()) {
            bail!("there is no Miri here: run `{REMEDY}`");
        }
        workspace::run(
            nightly(workspace)
                .args(["miri", "test", "--package", "geodrop-common"])
                .args(["--test", "multibit", "--target-dir"])
                .arg(workspace.target_directory()?.join("miri")),
        )
    }
}

/// The nightly's cargo, through rustup: Miri asks the nightly for its sources, and takes that toolchain's compiler.
fn nightly(workspace: &Workspace) -> Command {
    let mut command = Command::new("rustup");
    command
        .current_dir(&workspace.root)
        .args(["run", NIGHTLY, "cargo"]);
    // Of the cargo that runs us.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}
