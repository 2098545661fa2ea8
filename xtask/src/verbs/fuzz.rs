//! `cargo xtask fuzz`: the fuzz targets, each for a while.
//!
//! No sanitizer is built in: what is fuzzed has no `unsafe`, and does without a nightly compiler then. What a run finds is kept
//! in `fuzz/corpus`, what made a target fail in `fuzz/artifacts`.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};

use crate::{
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask fuzz                       every target, two minutes each
  cargo xtask fuzz --seconds 600 mmdb    one of them, for longer
  cargo xtask fuzz --list                the targets";

/// Fuzz the parsers and the lookup; a failure names the input that it came of.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How long to run each target
    #[arg(long, value_name = "N", default_value_t = 120)]
    seconds: u32,
    /// Name the targets, and run none
    #[arg(long)]
    list: bool,
    /// Which targets [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Seconds that one input may take: the slowest of them unpack a gigabyte.
const TIMEOUT: u32 = 60;

/// Megabytes that a target may have: ten million ranges, and what made them.
const MEMORY: u32 = 3072;

/// What a target begins with, beside what is in `fuzz/seeds` for it alone.
const SEEDS: [&str; 2] = ["userspace/tests/geoip", "examples"];

impl Args {
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        let all = targets(workspace)?;
        if self.list {
            for target in all {
                println!("{target}");
            }
            return Ok(());
        }
        if let Some(unknown) = self.targets.iter().find(|target| !all.contains(target)) {
            bail!("there is no target {unknown}; there are {}", all.join(", "));
        }
        let chosen = if self.targets.is_empty() {
            &all
        } else {
            &self.targets
        };
        setup::ensure(workspace, Purpose::Build, consent)?;
        setup::ensure_fuzzer(workspace, consent)?;
        let mut failed = Vec::new();
        for target in chosen {
            println!("fuzz: {target}, {} s", self.seconds);
            if let Err(error) = self.fuzz(target, workspace) {
                eprintln!("fuzz: {target}: {error}");
                failed.push(target.as_str());
            }
        }
        if !failed.is_empty() {
            bail!(
                "{} failed; the inputs are in fuzz/artifacts: put each into fuzz/seeds, where the tests try it, and mend what it shows",
                failed.join(", ")
            );
        }
        Ok(())
    }

    fn fuzz(&self, target: &str, workspace: &Workspace) -> anyhow::Result<()> {
        let corpus = workspace.root.join("fuzz/corpus").join(target);
        fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
        let mut command = workspace.cargo();
        command.args(["fuzz", "run", "--sanitizer", "none", "--target-dir"]);
        command.arg(workspace.target_directory()?.join("fuzz"));
        command.arg(target).arg(corpus);
        command.args(seeds(target, workspace)).arg("--").args([
            format!("-max_total_time={}", self.seconds),
            format!("-timeout={TIMEOUT}"),
            format!("-rss_limit_mb={MEMORY}"),
            "-max_len=4096".to_owned(),
            "-len_control=10".to_owned(),
            "-verbosity=0".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        workspace::run(&mut command)
    }
}

/// The targets, by their files.
fn targets(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let directory = workspace.root.join("fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        names.extend(
            path.file_stem()
                .and_then(|stem| stem.to_str())
                .map(str::to_owned),
        );
    }
    names.sort_unstable();
    Ok(names)
}

/// The directories of what a target begins with.
fn seeds(target: &str, workspace: &Workspace) -> Vec<PathBuf> {
    let own = workspace.root.join("fuzz/seeds").join(target);
    let shared = SEEDS.map(|directory| workspace.root.join(directory));
    shared
        .into_iter()
        .chain(own.is_dir().then_some(own))
        .collect()
}
