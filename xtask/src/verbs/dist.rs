//! `cargo xtask dist`: what is handed out: packages of Debian, tarballs, and their checksums.
//!
//! The programs are linked with musl as a whole, so one file runs wherever the kernel is new enough, in an empty container
//! too. What the packages hold is said in the manifests of the two programs; what is generated (man pages, completions) comes
//! from the program that is packaged.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use sha2::{Digest as _, Sha256};

use crate::{
    licences,
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask dist                      all of it, into target/dist
  cargo xtask dist --check              and try the package of geodrop on a copy of this machine; needs root
  cargo xtask dist --glibc              linked with the C library of this machine, for machines like it
  cargo xtask dist geodrop --format deb --prebuilt target/debug --output /tmp/packages";

/// The target that programs are linked for as a whole.
#[cfg(target_arch = "x86_64")]
const MUSL: &str = "x86_64-unknown-linux-musl";
#[cfg(target_arch = "aarch64")]
const MUSL: &str = "aarch64-unknown-linux-musl";

/// Make packages of Debian, tarballs and their checksums, and print where they are.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to package [default: all]
    #[arg(value_enum)]
    programs: Vec<Program>,
    /// Link with this machine's C library: what is built here runs where that is as new, which the .deb says in its `Depends`
    #[arg(long)]
    glibc: bool,
    /// Package the programs of this directory as they are, and build nothing
    #[arg(long, value_name = "DIR", conflicts_with = "glibc")]
    prebuilt: Option<PathBuf>,
    /// Which packages to make
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["deb", "tar"])]
    format: Vec<Format>,
    /// How often this version was packaged
    #[arg(long, value_name = "N", default_value_t = 1)]
    revision: u32,
    /// Try to install, run, upgrade and purge the package of geodrop; needs root
    #[arg(long)]
    check: bool,
    /// Where to put them [default: dist in the target directory]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// What is packaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Program {
    /// The filter.
    Geodrop,
    /// What measures it.
    GeodropBench,
}

/// How it is packaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For Debian and its like.
    Deb,
    /// For all others.
    Tar,
}

impl Program {
    /// The names of the program, its crate, and its packages.
    const fn name(self) -> &'static str {
        match self {
            Self::Geodrop => "geodrop",
            Self::GeodropBench => "geodrop-bench",
        }
    }

    /// What a tarball has beside the program, out of the repository.
    const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Geodrop => &[
                "LICENSE-APACHE",
                "LICENSE-MIT",
                "README.md",
                "data/README.md",
                "docs",
                "examples",
                "packaging",
            ],
            Self::GeodropBench => &["LICENSE-APACHE", "LICENSE-MIT", "benches/README.md"],
        }
    }

    /// What a tarball has beside the program, out of what was generated.
    const fn generated(self) -> &'static [&'static str] {
        match self {
            Self::Geodrop => &["man7", "man8", "completions", "geodrop-third-party.txt"],
            Self::GeodropBench => &["geodrop-bench-third-party.txt"],
        }
    }
}

impl Args {
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        if self.format.contains(&Format::Deb) {
            setup::ensure_packager(workspace, consent)?;
        }
        let programs = if self.programs.is_empty() {
            Program::value_variants()
        } else {
            &self.programs
        };
        let built = match &self.prebuilt {
            Some(directory) => directory.clone(),
            None => self.build(programs, workspace, consent)?,
        };
        let output = match &self.output {
            Some(directory) => directory.clone(),
            None => workspace.target_directory()?.join("dist"),
        };
        fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
        let output = fs::canonicalize(&output)?;

        let stage = Stage::new(programs, &built, workspace)?;
        let mut packages = Vec::new();
        for &program in programs {
            if self.format.contains(&Format::Deb) {
                packages.push(self.deb(program, &stage, &output, workspace)?);
            }
            if self.format.contains(&Format::Tar) {
                packages.push(tarball(program, &stage, &output, workspace)?);
            }
        }
        let sums = output.join("SHA256SUMS");
        fs::write(&sums, checksums(&packages)?)
            .with_context(|| format!("cannot write {}", sums.display()))?;
        packages.push(sums);
        for package in packages {
            println!(
                "{}  {}",
                workspace.relative(&package).display(),
                workspace::size(&package)?
            );
        }
        if self.check {
            check(&built, workspace)?;
        }
        Ok(())
    }

    /// Builds the programs, optimised, and says in which directory they are.
    fn build(
        &self,
        programs: &[Program],
        workspace: &Workspace,
        consent: Consent,
    ) -> anyhow::Result<PathBuf> {
        setup::ensure(workspace, Purpose::Build, consent)?;
        let mut command = workspace.cargo();
        command.args(["build", "--release", "--bins"]);
        for program in programs {
            command.args(["--package", program.name()]);
        }
        // Names stay, for backtraces; lines are ten times as large.
        command.env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
        let mut directory = workspace.target_directory()?;
        if !self.glibc {
            setup::ensure_musl(workspace, consent, MUSL)?;
            command.args(["--target", MUSL]);
            directory.push(MUSL);
        }
        workspace::run(&mut command)?;
        Ok(directory.join("release"))
    }

    /// Makes a package of Debian, and says where it is.
    fn deb(
        &self,
        program: Program,
        stage: &Stage,
        output: &Path,
        workspace: &Workspace,
    ) -> anyhow::Result<PathBuf> {
        let mut command = workspace.cargo();
        command
            .args([
                "deb",
                "--no-build",
                "--strip",
                "--quiet",
                "--package",
                program.name(),
            ])
            .args(["--deb-revision", &self.revision.to_string(), "--output"])
            .arg(output)
            // There it looks for what the manifest says is in target/release.
            .env("CARGO_TARGET_DIR", stage.root.path())
            .stderr(Stdio::inherit());
        if self.prebuilt.is_some() {
            command.arg("--fast");
        }
        if let Some(time) = time_of_source(workspace) {
            command.env("SOURCE_DATE_EPOCH", time);
        }
        let printed = command
            .output()
            .with_context(|| format!("cannot run {}", workspace::shown(&command)))?;
        if !printed.status.success() {
            bail!("{} failed ({})", workspace::shown(&command), printed.status);
        }
        let path = String::from_utf8(printed.stdout).context("cargo deb prints no path")?;
        Ok(PathBuf::from(path.trim()))
    }
}

/// Whether we accept the terms of all that our programs are linked with.
pub(crate) fn check_licences(workspace: &Workspace) -> anyhow::Result<()> {
    for program in Program::value_variants() {
        licences::notices(workspace, program.name(), MUSL)?;
    }
    Ok(())
}

/// Has the package test try these programs.
fn check(built: &Path, workspace: &Workspace) -> anyhow::Result<()> {
    let mut test = workspace.cargo();
    test.args(["test", "--package", "geodrop", "--test", "kernel_filter"])
        .args(["--", "package::"])
        .env("GEODROP_PREBUILT", fs::canonicalize(built)?);
    workspace::run(&mut test)
}

/// A directory laid out as cargo's target directory, with all that packages hold and the repository has not.
struct Stage {
    root: tempfile::TempDir,
}

impl Stage {
    fn new(programs: &[Program], built: &Path, workspace: &Workspace) -> anyhow::Result<Self> {
        let root = tempfile::tempdir().context("cannot make a temporary directory")?;
        let stage = Self { root };
        fs::create_dir(stage.products())?;
        for program in programs {
            let from = built.join(program.name());
            fs::copy(&from, stage.products().join(program.name()))
                .with_context(|| format!("cannot copy {}", from.display()))?;
            // Those that are linked with another C library are no others.
            let notices = licences::notices(workspace, program.name(), MUSL)?;
            let name = format!("{}-third-party.txt", program.name());
            fs::write(stage.products().join(name), notices)?;
        }
        if programs.contains(&Program::Geodrop) {
            let mut generate = Command::new(stage.products().join(Program::Geodrop.name()));
            workspace::run(generate.arg("generate").arg(stage.products()))?;
            // As Debian's policy wants manuals to be installed.
            let mut gzip = Command::new("gzip");
            gzip.args(["-9", "--no-name", "--recursive", "man7", "man8"]);
            workspace::run(gzip.current_dir(stage.products()))?;
        }
        Ok(stage)
    }

    /// Where the programs are.
    fn products(&self) -> PathBuf {
        self.root.path().join("release")
    }
}

/// Makes a tarball, and says where it is.
fn tarball(
    program: Program,
    stage: &Stage,
    output: &Path,
    workspace: &Workspace,
) -> anyhow::Result<PathBuf> {
    let directory = format!(
        "{}-{}-{}-linux",
        program.name(),
        env!("CARGO_PKG_VERSION"),
        env::consts::ARCH
    );
    let path = output.join(format!("{directory}.tar.gz"));
    let mut command = Command::new("tar");
    // Whoever makes it of the same sources gets the same bytes.
    command.args([
        "--sort=name",
        "--owner=root:0",
        "--group=root:0",
        "--mode=u=rwX,go=rX",
    ]);
    if let Some(time) = time_of_source(workspace) {
        command.arg(format!("--mtime=@{time}"));
    }
    command
        .args(["--use-compress-program", "gzip -9n"])
        .arg(format!("--transform=s,^,{directory}/,"))
        .arg("--create")
        .arg("--file")
        .arg(&path)
        .arg("--directory")
        .arg(stage.products())
        .arg(program.name())
        .args(program.generated())
        .arg("--directory")
        .arg(&workspace.root)
        .args(program.files());
    workspace::run(&mut command)?;
    Ok(path)
}

/// When what is packaged was written, in seconds since 1970, if that can be told.
fn time_of_source(workspace: &Workspace) -> Option<String> {
    if let Ok(time) = env::var("SOURCE_DATE_EPOCH") {
        return Some(time);
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"])
        .current_dir(&workspace.root);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The checksums of files, as `sha256sum --check` reads them in their directory.
fn checksums(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut text = String::new();
    for file in files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.file_name().unwrap_or(file.as_os_str());
        for byte in Sha256::digest(bytes) {
            write!(text, "{byte:02x}")?;
        }
        writeln!(text, "  {}", name.display())?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_what_sha256sum_reads() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.tar.gz");
        fs::write(&file, "abc").unwrap();
        let sums = checksums(&[file]).unwrap();
        let mut check = Command::new("sh");
        check
            .args(["-c", "printf %s \"$1\" | sha256sum --check --quiet", "sh"])
            .arg(sums)
            .current_dir(directory.path());
        assert!(check.status().unwrap().success());
    }

    #[test]
    fn the_image_is_made_of_what_the_tarball_has() {
        let program = Program::Geodrop;
        let mut held = vec![program.name()];
        held.extend(program.files().iter().chain(program.generated()));
        let image = include_str!("../../../packaging/Containerfile");
        let copied: Vec<Vec<_>> = image
            .lines()
            .filter_map(|line| Some(line.strip_prefix("COPY ")?.split(' ').collect()))
            .collect();
        assert!(!copied.is_empty());
        for words in copied {
            let [files @ .., _] = &words[..] else {
                panic!("COPY copies nothing");
            };
            assert!(files.iter().all(|file| held.contains(file)), "{files:?}");
        }
    }

    #[test]
    fn the_newest_change_is_of_this_version() {
        let changelog = include_str!("../../../packaging/debian/changelog");
        let newest = format!("geodrop ({}-1) ", env!("CARGO_PKG_VERSION"));
        assert!(changelog.starts_with(&newest), "{changelog}");
    }
}
