//! `cargo xtask test`: all tests, or those that need no root.
//!
//! What needs root is in files of its own, `userspace/tests/kernel_*.rs`: as root everything runs, without it they
//! are left out and named, and no test ever skips itself.

use std::{ffi::OsString, fs, path::Path};

use anyhow::Context as _;

use crate::{
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

/// How the files of tests that need root begin.
const KERNEL: &str = "kernel_";

/// Where members of the workspace keep tests.
const MEMBERS: [&str; 5] = ["benches", "common", "userspace", "xtask", "xtask/toolchain"];

const EXAMPLES: &str = "\
Examples:
  sudo -E env \"PATH=$PATH\" cargo xtask test   everything
  cargo xtask test                            all but the tests that need root
  cargo xtask test -- nesting                 only tests with this in their name
  cargo xtask test -- -- --nocapture          what follows is for the tests themselves";

/// Run the tests; as root those of the kernel as well.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Passed on to `cargo test`
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

impl Args {
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        setup::ensure(workspace, Purpose::Build, consent)?;
        if workspace::is_root() {
            setup::ensure_filters(workspace, consent)?;
            setup::ensure_packager(workspace, consent)?;
            setup::ensure_prometheus(workspace, consent)?;
            setup::ensure_terminal(workspace, consent)?;
            return workspace::run(workspace.cargo_for_host("test").args(&self.arguments));
        }
        let (kernel, others): (Vec<_>, _) = test_files(workspace)?
            .into_iter()
            .partition(|name| name.starts_with(KERNEL));
        // Cargo can name what to test, not what to leave out; and documentation it tests apart.
        let mut command = workspace.cargo_for_host("test");
        command.args(["--lib", "--bins", "--examples"]);
        for name in &others {
            command.args(["--test", name]);
        }
        workspace::run(command.args(&self.arguments))?;
        workspace::run(
            workspace
                .cargo_for_host("test")
                .arg("--doc")
                .args(&self.arguments),
        )?;
        if !kernel.is_empty() {
            println!(
                "not root: {} kernel test files not run ({}); run `sudo -E env \"PATH=$PATH\" cargo xtask test`",
                kernel.len(),
                kernel.join(", ")
            );
        }
        Ok(())
    }
}

/// The integration tests of all members, by the names that cargo gives them.
fn test_files(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for member in MEMBERS {
        let directory = workspace.root.join(member).join("tests");
        if directory.is_dir() {
            let entries = fs::read_dir(&directory)
                .with_context(|| format!("cannot list {}", directory.display()))?;
            for entry in entries {
                names.extend(test_name(&entry?.path()));
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A test is a file, or a directory with a `main.rs`.
fn test_name(path: &Path) -> Option<String> {
    let is_test = path.extension().is_some_and(|extension| extension == "rs")
        || path.join("main.rs").is_file();
    is_test
        .then(|| path.file_stem()?.to_str().map(str::to_owned))
        .flatten()
}
