//! The repository that the tasks work on, and the host's cargo to work on it with.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use geodrop_toolchain::objects;

/// The workspace of this checkout.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its directory.
    pub(crate) root: PathBuf,
}

impl Workspace {
    /// The workspace that this package belongs to, as cargo says when it runs us.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
        let root = Path::new(&package)
            .parent()
            .context("xtask is not in a workspace")?
            .to_path_buf();
        Ok(Self { root })
    }

    /// The host's cargo: the one that runs us.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    /// The compiler of the host's cargo.
    pub(crate) fn rustc(&self) -> Command {
        // Where rustup chose cargo's toolchain, it says so to the others.
        let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        command.current_dir(&self.root);
        command
    }

    /// The host's cargo with this subcommand, for every member that is built for the host.
    pub(crate) fn cargo_for_host(&self, subcommand: &str) -> Command {
        let mut command = self.cargo();
        command.args([subcommand, "--workspace", "--exclude", objects::PACKAGE]);
        command
    }

    /// What the host's cargo knows of this workspace, asked with these options.
    pub(crate) fn metadata(&self, options: &[&str]) -> anyhow::Result<Metadata> {
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        MetadataCommand::new()
            .current_dir(&self.root)
            .other_options(options)
            .exec()
            .context("cargo metadata failed")
    }

    /// Where the host's cargo puts what it builds.
    pub(crate) fn target_directory(&self) -> anyhow::Result<PathBuf> {
        Ok(self.metadata(&["--no-deps"])?.target_directory.into())
    }

    /// A path as a person in the workspace would write it.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// Runs a command in front of the person; its failure is an error that names it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// A command's program, without its directory, and its arguments.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy(),
    ];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy()),
    );
    words.join(" ")
}

/// Whether we may do what only root may.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A file's size, for a person.
pub(crate) fn size(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    Ok(if bytes < 1_000_000 {
        format!("{} kB", bytes.div_ceil(1000))
    } else {
        format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
    })
}
