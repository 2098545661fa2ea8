//! `geodrop-bench compare`: what changed from one run to another.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use geodrop_bench::{
    compare::{Change, Comparison, Direction},
    document::Document,
};

/// What changed from one run to another, and whether it is more than noise
///
/// Compares what geodrop's own programs cost. A figure changed if its intervals in the two runs do not touch, and if it differs
/// by more than the threshold, and by more than runs of the same version were seen to (3 ns, 3 ms, 0.03 times `XDP_DROP`). Exit
/// status: 0 nothing got worse, 1 something did, 2 the runs cannot be read or have no figure in common.
#[derive(Clone, Debug, Args)]
pub(super) struct Arguments {
    /// What `--json` printed before
    before: PathBuf,
    /// What it printed after
    after: PathBuf,
    /// By how many percent a figure must differ
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT")]
    threshold: f64,
    /// Print JSON: `changes`, `only_in_one`, `warnings`
    #[arg(long)]
    json: bool,
}

/// Runs that cannot be read, or not be compared.
const UNREADABLE: u8 = 2;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let read = || Ok::<_, anyhow::Error>((read(&arguments.before)?, read(&arguments.after)?));
    let (before, after) = match read() {
        Ok(documents) => documents,
        Err(error) => {
            super::warn(format_args!("{error:#}"));
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    let comparison = Comparison::of(&before, &after, arguments.threshold / 100.0);
    let mut output = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut output, &comparison)?;
        writeln!(output)?;
    } else {
        write(&mut output, &comparison)?;
    }
    if comparison.changes.is_empty() {
        super::warn("the runs have no figure in common; compare runs of the same level");
        return Ok(ExitCode::from(UNREADABLE));
    }
    Ok(if comparison.has_regression() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn read(path: &Path) -> anyhow::Result<Document> {
    let what = || format!("reading {}", path.display());
    let text = fs::read_to_string(path).with_context(what)?;
    Document::parse(&text).with_context(what)
}

fn write(output: &mut impl io::Write, comparison: &Comparison) -> io::Result<()> {
    for warning in &comparison.warnings {
        writeln!(output, "Note: {warning}")?;
    }
    let all = |direction| {
        let changes = comparison.changes.iter();
        changes.filter(move |change| change.direction == direction)
    };
    for (direction, word) in [(Direction::Worse, "worse"), (Direction::Better, "better")] {
        for change in all(direction) {
            let Change {
                name,
                unit,
                before,
                after,
                ..
            } = change;
            let percent = (after.median / before.median - 1.0) * 100.0;
            writeln!(
                output,
                "{word:6} {name}: {:.2} [{:.2}, {:.2}] → {:.2} [{:.2}, {:.2}] {unit} ({percent:+.0} %)",
                before.median, before.low, before.high, after.median, after.low, after.high
            )?;
        }
    }
    writeln!(
        output,
        "{} worse, {} better, {} the same as far as can be told, {} in one run only",
        all(Direction::Worse).count(),
        all(Direction::Better).count(),
        all(Direction::Same).count(),
        comparison.only_in_one.len()
    )
}
