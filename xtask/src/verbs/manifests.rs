//! `cargo xtask manifests`: whether Kubernetes would understand what is in `packaging/kubernetes`.
//!
//! The schemas of its API come with the checker, a package of PyPI; no cluster is asked.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};

use crate::{
    packages,
    setup::{self, Consent},
    workspace::{self, Workspace},
};

/// The checker.
const PACKAGE: &str = "kubernetes-validate";

/// Its version, which is that of the newest API that it knows.
const VERSION: &str = "1.37.0";

/// Validate the Kubernetes manifests against the schemas of its API.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "as every verb has it")]
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        let manifests = manifests(workspace)?;
        setup::ensure_python(workspace, consent)?;
        let programs = packages::pypi(PACKAGE, VERSION, workspace)?;
        let mut validate = Command::new(programs.join(PACKAGE));
        workspace::run(validate.arg("--strict").args(manifests))
    }
}

/// The files, at least one.
fn manifests(workspace: &Workspace) -> anyhow::Result<Vec<PathBuf>> {
    let directory = workspace.root.join("packaging/kubernetes");
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry?.path());
    }
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort_unstable();
    ensure!(!files.is_empty(), "{} has no manifest", directory.display());
    Ok(files)
}
