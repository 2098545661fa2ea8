//! `cargo xtask lint`: what a change must pass before it is looked at.

use anyhow::{Context as _, bail};
use geodrop_toolchain::Kernel;

use super::dist;
use crate::{
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

/// Check format, licences, clippy and documentation, of the kernel programs too; warnings are errors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// The host's own tools: cargo's name, rustup's component, Debian's package.
const TOOLS: [[&str; 3]; 2] = [
    ["fmt", "rustfmt", "rustfmt-web"],
    ["clippy", "clippy", "rust-web-clippy"],
];

impl Args {
    #[expect(clippy::unused_self, reason = "as every verb has it")]
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        for [subcommand, component, package] in TOOLS {
            let there = workspace.cargo().args([subcommand, "--version"]).output();
            if !there.is_ok_and(|output| output.status.success()) {
                bail!(
                    "there is no `cargo {subcommand}`: run `rustup component add {component}` or `apt-get install {package}`"
                );
            }
        }
        let toolchain = setup::ensure(workspace, Purpose::Lint, consent)?;
        let kernel = Kernel::for_this_machine(&workspace.root);

        step("format");
        workspace::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
        step("licences");
        dist::check_licences(workspace)?;
        step("clippy");
        let deny = ["--", "-D", "warnings"];
        workspace::run(
            workspace
                .cargo_for_host("clippy")
                .args(["--all-targets"])
                .args(deny),
        )?;
        step("clippy, without what can be left out");
        let without = [
            "--package",
            "geodrop",
            "--all-targets",
            "--no-default-features",
        ];
        workspace::run(workspace.cargo_for_host("clippy").args(without).args(deny))?;
        step("clippy, kernel programs");
        let mut clippy = kernel
            .clippy(&toolchain)
            .context("the toolchain of the kernel object has no clippy")?;
        workspace::run(clippy.args(deny))?;
        step("documentation");
        workspace::run(
            workspace
                .cargo_for_host("doc")
                .arg("--no-deps")
                .env("RUSTDOCFLAGS", "-D warnings"),
        )?;
        step("documentation, kernel programs");
        workspace::run(kernel.doc(&toolchain).env("RUSTDOCFLAGS", "-D warnings"))
    }
}

/// Heads what follows, so that the one that failed is found in a log.
fn step(name: &str) {
    eprintln!("lint: {name}");
}
