//! What a run found, for people: the same sections as [`text`], [`markdown`] and [`html`].
//!
//! A level's file ([`lookup`], [`program`], [`device`]) says which sections there are; a section is a table, what one should know
//! before reading it, and a [`plot`](mod@plot) where one shows more than the table.

pub mod device;
pub mod html;
pub mod lookup;
pub mod markdown;
pub mod plot;
pub mod program;
pub mod text;

use crate::{document::Document, measure::Estimate};

pub use plot::Plot;

/// A part of a report.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// What is to be known before the table is read: a paragraph each.
    pub before: Vec<String>,
    /// What the table shows more plainly drawn.
    pub plot: Option<Plot>,
    /// The table's columns; none where there is no table.
    pub head: Vec<&'static str>,
    /// Its rows, each with as many cells.
    pub rows: Vec<Vec<String>>,
    /// What follows from it: a line each.
    pub after: Vec<String>,
}

impl Section {
    /// Whether there is a table, or anything else but what is to be known before it.
    fn says_something(&self) -> bool {
        !self.rows.is_empty() || !self.after.is_empty() || self.plot.is_some()
    }
}

/// The sections of all levels that were measured.
#[must_use]
pub fn sections(document: &Document) -> Vec<Section> {
    let device = document.device.iter().flat_map(device::sections);
    let lookup = document.lookup.iter().flat_map(lookup::sections);
    let program = document.program.iter().flat_map(program::sections);
    let mut sections: Vec<_> = device.chain(lookup).chain(program).collect();
    sections.retain(Section::says_something);
    sections
}

/// What is to be known of a run before anything else, if there is something.
#[must_use]
pub fn notice(document: &Document) -> Option<&'static str> {
    document.interrupted.then_some(
        "Interrupted: this run ended before all was measured. What is here was measured to its end.",
    )
}

/// What the run was made on, name and value.
#[must_use]
pub fn environment(document: &Document) -> Vec<(String, String)> {
    let machine = &document.machine;
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| NOTHING.to_owned());
    let mut lines = vec![
        ("Processor", format!("{} × {}", machine.cpus, machine.cpu)),
        ("Memory", format!("{} MiB", machine.memory_bytes >> 20)),
        (
            "Kernel",
            format!("Linux {} {}", machine.kernel, machine.architecture),
        ),
        ("Frequency governor", or_unknown(&machine.governor)),
        (
            "BPF JIT, hardening",
            format!(
                "{}, {}",
                or_unknown(&machine.bpf_jit),
                or_unknown(&machine.bpf_jit_harden)
            ),
        ),
        ("geodrop", document.version.clone()),
        ("Data", or_unknown(&document.data)),
        ("Checksum of the data", or_unknown(&document.data_checksum)),
        ("Begun", document.date.clone()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect::<Vec<_>>();
    lines.extend(
        document
            .tools
            .iter()
            .map(|(name, version)| (name.clone(), version.clone())),
    );
    let policies = document.policies.iter();
    lines.extend(
        policies.map(|(table, sum)| (format!("Prefixes of {table}"), format!("SHA-256 {sum}"))),
    );
    let mitigations = machine.mitigations.iter();
    lines.extend(mitigations.map(|(fault, state)| (format!("Against {fault}"), state.clone())));
    lines
}

/// What stands where there is nothing to tell.
const NOTHING: &str = "-";

/// Whether something is met, in a word.
fn answer(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "no",
        None => NOTHING,
    }
}

/// `[low, high]`, to a tenth.
fn interval([low, high]: [f64; 2]) -> String {
    format!("[{low:.1}, {high:.1}]")
}

/// A ratio with its interval, to a hundredth; nothing where there is none.
fn ratio(estimate: &Estimate) -> String {
    let Estimate { median, low, high } = estimate;
    if *median > 0.0 {
        format!("{median:.2} [{low:.2}, {high:.2}]")
    } else {
        NOTHING.to_owned()
    }
}

/// So many bytes in KiB.
fn kibibytes(bytes: u64) -> String {
    bytes.div_ceil(1024).to_string()
}

/// Whether a column has numbers only, and is to stand to the right.
fn is_numeric(rows: &[Vec<String>], column: usize) -> bool {
    rows.iter().all(|row| {
        row.get(column)
            .is_some_and(|cell| cell == NOTHING || cell.parse::<f64>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_met_is_told_in_a_word() {
        assert_eq!(
            [Some(true), Some(false), None].map(answer),
            ["yes", "no", "-"]
        );
        assert_eq!(kibibytes(1025), "2");
        assert_eq!(ratio(&Estimate::default()), "-");
    }

    #[test]
    fn columns_of_numbers_are_told() {
        let rows =
            [["a", "1.0"], ["long", "-"], ["b", "17.5"]].map(|row| row.map(str::to_owned).to_vec());
        assert!(!is_numeric(&rows, 0) && is_numeric(&rows, 1));
    }
}
