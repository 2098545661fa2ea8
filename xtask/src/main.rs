//! Developer tasks of geodrop: `cargo xtask help` lists them.
//!
//! Each verb is a file in [`verbs`]; each does the set-up that it needs first, which is what [`setup`] holds. Where
//! the toolchain of the kernel object is found, and how it is run, stands in the library `geodrop-toolchain`, which
//! `userspace/build.rs` uses as well.
//!
//! Exit status: 0 done, 1 failed, 2 wrong usage.

mod bounded;
mod command;
mod licences;
mod packages;
mod setup;
mod verbs;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{setup::Consent, workspace::Workspace};

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo            from a fresh machine to dropped packets
  cargo xtask test            every test; the kernel's need root
  cargo xtask bench --quick   what blocking costs, beside all else that blocks
  cargo xtask setup --check   what is missing here to build geodrop";

/// Developer tasks of geodrop.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Args {
    /// Install what is missing without asking
    #[arg(short, long, global = true)]
    yes: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Setup(verbs::setup::Args),
    BuildEbpf(verbs::build_ebpf::Args),
    Build(verbs::build::Args),
    Test(verbs::test::Args),
    Lint(verbs::lint::Args),
    Miri(verbs::miri::Args),
    Demo(verbs::demo::Args),
    Bench(verbs::bench::Args),
    Fuzz(verbs::fuzz::Args),
    Dist(verbs::dist::Args),
    Manifests(verbs::manifests::Args),
    Book(verbs::book::Args),
    Alerts(verbs::alerts::Args),
    Snapshot(verbs::snapshot::Args),
    WholeFiles(verbs::whole_files::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    let consent = if args.yes {
        Consent::Given
    } else {
        Consent::Ask
    };
    match &args.verb {
        Verb::Setup(args) => return args.run(&workspace, consent),
        Verb::BuildEbpf(args) => args.run(&workspace, consent),
        Verb::Build(args) => args.run(&workspace, consent),
        Verb::Test(args) => args.run(&workspace, consent),
        Verb::Lint(args) => args.run(&workspace, consent),
        Verb::Miri(args) => args.run(&workspace),
        Verb::Demo(args) => args.run(&workspace, consent),
        Verb::Bench(args) => args.run(&workspace, consent),
        Verb::Fuzz(args) => args.run(&workspace, consent),
        Verb::Dist(args) => args.run(&workspace, consent),
        Verb::Manifests(args) => args.run(&workspace, consent),
        Verb::Book(args) => args.run(&workspace, consent),
        Verb::Alerts(args) => args.run(&workspace, consent),
        Verb::Snapshot(args) => args.run(&workspace, consent),
        Verb::WholeFiles(args) => args.run(&workspace, consent),
    }?;
    Ok(ExitCode::SUCCESS)
}
