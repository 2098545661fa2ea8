//! The reports for people.

pub(super) mod program;

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use geodrop_bench::{
    machine::Machine,
    report::{Report, Row, TableRow},
};

/// What stands where there is nothing to tell.
const NOTHING: &str = "-";

pub(super) fn write(output: &mut impl Write, report: &Report) -> io::Result<()> {
    write_machine(output, &report.machine, report.version, &report.date)?;
    writeln!(
        output,
        "Nanoseconds of a lookup in the kernel, one a run, the baseline subtracted: median [95 % interval]"
    )?;
    let with: Vec<&Row> = report.rows.iter().collect();
    let without: Vec<&Row> = report.rows_without_perfmon.iter().collect();
    write_rows(output, &with)?;
    if !without.is_empty() {
        writeln!(
            output,
            "\nThe same, loaded without CAP_PERFMON: the verifier masks what is read"
        )?;
        write_rows(output, &without)?;
    }
    writeln!(
        output,
        "\nFrom ranges to tables in the kernel, both families, milliseconds; and their memory there"
    )?;
    write_tables(output, &report.tables)?;
    writeln!(output)?;
    if let Some(mean) = report.geometric_mean {
        let target = report.geometric_mean_target;
        let met = answer(report.geometric_mean_met);
        writeln!(
            output,
            "Geometric mean of the rows with a target: {mean:.1}; target {target:.0}; met: {met}"
        )?;
    }
    let missed = missed(report);
    if missed.is_empty() {
        writeln!(output, "Every target is met.")?;
    } else {
        writeln!(output, "Not met: {}.", missed.join("; "))?;
    }
    for note in &report.notes {
        writeln!(output, "Note: {note}")?;
    }
    Ok(())
}

/// What was measured, on what and when.
fn write_machine(
    output: &mut impl Write,
    machine: &Machine,
    version: &str,
    date: &str,
) -> io::Result<()> {
    let Machine {
        cpus, cpu, kernel, ..
    } = machine;
    writeln!(
        output,
        "{cpus} × {cpu}, Linux {kernel}, geodrop {version}, {date}\n"
    )
}

fn write_rows(output: &mut impl Write, rows: &[&Row]) -> io::Result<()> {
    let head = [
        "family",
        "table",
        "addresses",
        "baseline",
        "lpm",
        "engine",
        "ratio",
        "",
        "target",
        "aim",
        "met",
    ];
    let rows = rows.iter().map(|row| {
        let whole = |number: Option<f64>| {
            number.map_or_else(|| NOTHING.to_owned(), |number| format!("{number:.0}"))
        };
        let [low, high] = row.ratio_interval;
        [
            row.family.to_owned(),
            row.table.to_owned(),
            row.traffic.to_owned(),
            format!("{:.1}", row.baseline_ns),
            format!("{:.1}", row.lpm_ns),
            format!("{:.1}", row.engine_ns),
            format!("{:.1}", row.ratio),
            format!("[{low:.1}, {high:.1}]"),
            whole(row.target),
            whole(row.aim),
            answer(row.met).to_owned(),
        ]
    });
    write_table(output, head, rows)
}

fn write_tables(output: &mut impl Write, rows: &[TableRow]) -> io::Result<()> {
    let head = [
        "table",
        "engine",
        "build",
        "fill",
        "both",
        "at most",
        "met",
        "memory KiB",
        "at most",
        "met",
    ];
    let rows = rows.iter().map(|row| {
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
        [
            row.table.to_owned(),
            row.engine.clone(),
            format!("{:.1}", row.build_ms),
            format!("{:.1}", row.fill_ms),
            format!("{:.1}", row.ready_ms),
            or_nothing(row.ready_target_ms.map(|target| format!("{target:.0}"))),
            answer(row.ready_met).to_owned(),
            kibibytes(row.memory_bytes),
            or_nothing(row.memory_target_bytes.map(kibibytes)),
            answer(row.memory_met).to_owned(),
        ]
    });
    write_table(output, head, rows)
}

fn kibibytes(bytes: u64) -> String {
    bytes.div_ceil(1024).to_string()
}

fn answer(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "no",
        None => NOTHING,
    }
}

/// What misses its target.
fn missed(report: &Report) -> Vec<String> {
    let is_missed = |met: Option<bool>| met == Some(false);
    let mut missed = Vec::new();
    for row in report.rows.iter().filter(|row| is_missed(row.met)) {
        missed.push(format!("{} {}/{}", row.family, row.table, row.traffic));
    }
    if is_missed(report.geometric_mean_met) {
        missed.push("the geometric mean".to_owned());
    }
    for row in &report.tables {
        if is_missed(row.ready_met) {
            missed.push(format!("the time of {}", row.table));
        }
        if is_missed(row.memory_met) {
            missed.push(format!("the memory of {}", row.table));
        }
    }
    missed
}

/// Writes a table: columns aligned, numbers to the right, no lines drawn.
fn write_table<const N: usize>(
    output: &mut impl Write,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let rows: Vec<_> = rows.collect();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head);
    for (index, column) in table.column_iter_mut().enumerate() {
        let is_number =
            |row: &[String; N]| row[index] == NOTHING || row[index].parse::<f64>().is_ok();
        if rows.iter().all(is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in &rows {
        table.add_row(row);
    }
    for line in table.lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = [["a", "1.0"], ["long", "-"], ["b", "17.5"]].map(|row| row.map(str::to_owned));
        let mut output = Vec::new();
        write_table(&mut output, ["name", "ratio"], rows.into_iter()).unwrap();
        assert_eq!(
            String::from_utf8(output).unwrap(),
            " name  ratio\n a       1.0\n long      -\n b      17.5\n"
        );
    }

    #[test]
    fn what_is_met_is_told_in_a_word() {
        assert_eq!(
            [Some(true), Some(false), None].map(answer),
            ["yes", "no", "-"]
        );
        assert_eq!(kibibytes(1025), "2");
    }
}
