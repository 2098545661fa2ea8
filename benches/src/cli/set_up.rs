//! `geodrop-bench set-up`: loads a filter once and ends. A process that does no more than that shows how much memory it takes.

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, ValueEnum as _};
use geodrop_bench::{
    basis::Basis,
    device::{contestant::Contestant, start, tool},
    tables::Countries,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    table: Countries,
    /// By the kernel's trie.
    #[arg(long)]
    lpm: bool,
    #[arg(long)]
    policy: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let basis = Basis::new(arguments.policy.as_deref())?;
    let contestant = if arguments.lpm {
        Contestant::GeodropLpm
    } else {
        Contestant::Geodrop
    };
    start::load_once(contestant, arguments.table, &basis)?;
    Ok(ExitCode::SUCCESS)
}

/// The most memory that a process takes which loads one of our filters, in bytes.
pub(super) fn memory(
    contestant: Contestant,
    countries: Countries,
    basis: &Basis,
) -> anyhow::Result<u64> {
    let program = env::current_exe().context("asking which program this is")?;
    let table = countries.to_possible_value();
    let table = table.context("every table has a name")?;
    let mut arguments = vec!["set-up", table.get_name()];
    if contestant == Contestant::GeodropLpm {
        arguments.push("--lpm");
    }
    if let Some(path) = basis.path() {
        let path = path.to_str();
        let path = path.context("the policy file's name is no UTF-8; rename it")?;
        arguments.extend(["--policy", path]);
    }
    Ok(tool::run_here(program, &arguments, "")?.memory)
}
