//! `cargo xtask alerts`: whether Prometheus understands the alert rules in `packaging/prometheus`, and whether each fires when
//! it should.

use std::process::Command;

use crate::{
    setup::{self, Consent},
    workspace::{self, Workspace},
};

/// The rules, and what is expected of them.
const RULES: &str = "geodrop.rules.yml";
const EXPECTED: &str = "geodrop.rules.test.yml";

/// Check the alert rules for Prometheus, and try them on series that are made up.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "as every verb has it")]
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        let promtool = setup::ensure_prometheus(workspace, consent)?.join("promtool");
        let directory = workspace.root.join("packaging/prometheus");
        for arguments in [["check", "rules", RULES], ["test", "rules", EXPECTED]] {
            let mut command = Command::new(&promtool);
            workspace::run(command.args(arguments).current_dir(&directory))?;
        }
        Ok(())
    }
}
