//! Packages of registries that hold data, fetched by the registries' own clients.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use geodrop_toolchain::Places;

use crate::{bounded, command::Invocation, workspace::Workspace};

/// How long a client may take for some ten megabytes.
const LIMIT: Duration = Duration::from_mins(5);

/// Has npm fetch a package of this version into `directory`; gives the file.
pub(crate) fn npm(
    package: &str,
    version: &str,
    directory: &Path,
    workspace: &Workspace,
) -> anyhow::Result<PathBuf> {
    if Places::from_env()?.program("npm").is_none() {
        bail!("npm is not on PATH: install it (Debian: apt-get install npm)");
    }
    let package = format!("{package}@{version}");
    let pack = Invocation::new("npm", ["pack", &package, "--pack-destination"]).args([directory]);
    fetch(&format!("npm package {package}"), pack, workspace)?;
    with_extension(directory, "tgz")
        .with_context(|| format!("npm pack {package} left no .tgz in {}", directory.display()))
}

/// Has apt fetch a package of Debian's into `directory`, and unpacks it there.
pub(crate) fn debian(package: &str, directory: &Path, workspace: &Workspace) -> anyhow::Result<()> {
    let change = directory.display().to_string();
    let script = "cd \"$1\" && apt-get download \"$2\" && dpkg-deb -x \"$2\"_*.deb .";
    let download = Invocation::new("sh", ["-c", script, "sh", &change, package]);
    fetch(&format!("Debian package {package}"), download, workspace)
}

/// Has pip install a package of this version into an environment of its own, and gives that environment's programs.
pub(crate) fn pypi(package: &str, version: &str, workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let package = format!("{package}=={version}");
    let environment = workspace.target_directory()?.join("python").join(&package);
    let programs = environment.join("bin");
    // Written last, so that what was cut short is begun anew.
    let complete = environment.join("complete");
    if !complete.exists() {
        let make = Invocation::new("python3", ["-m", "venv", "--clear"]).args([&environment]);
        let install = Invocation::new(programs.join("pip"), ["install", "--quiet", &package]);
        fetch_all(
            &format!("PyPI package {package}"),
            &[make, install],
            workspace,
        )?;
        fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
    }
    Ok(programs)
}

fn fetch(what: &str, command: Invocation, workspace: &Workspace) -> anyhow::Result<()> {
    fetch_all(what, &[command], workspace)
}

fn fetch_all(what: &str, commands: &[Invocation], workspace: &Workspace) -> anyhow::Result<()> {
    let log = workspace.target_directory()?.join("packages.log");
    bounded::run(what, commands, LIMIT, &log)
        .with_context(|| format!("the {what} could not be had (see {})", log.display()))
}

fn with_extension(directory: &Path, extension: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|found| found == extension))
}
