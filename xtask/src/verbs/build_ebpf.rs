//! `cargo xtask build-ebpf`: the kernel objects alone.

use geodrop_toolchain::Kernel;

use crate::{
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

/// Build the kernel objects, and print where they are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "as every verb has it")]
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        let toolchain = setup::ensure(workspace, Purpose::Build, consent)?;
        for object in Kernel::for_this_machine(&workspace.root).build(&toolchain)? {
            println!(
                "{}  {}",
                workspace.relative(&object.path).display(),
                workspace::size(&object.path)?
            );
        }
        Ok(())
    }
}
