//! The report on a terminal.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};

use super::{Section, is_numeric, notice, sections};
use crate::document::Document;

/// Writes what was found.
///
/// # Errors
///
/// Those of `output`.
pub fn write(output: &mut impl Write, document: &Document) -> io::Result<()> {
    let machine = &document.machine;
    writeln!(
        output,
        "{} × {}, Linux {}, geodrop {}, {}",
        machine.cpus, machine.cpu, machine.kernel, document.version, document.date
    )?;
    if let Some(notice) = notice(document) {
        writeln!(output, "{notice}")?;
    }
    for section in sections(document) {
        write_section(output, &section)?;
    }
    Ok(())
}

fn write_section(output: &mut impl Write, section: &Section) -> io::Result<()> {
    writeln!(output, "\n{}", section.title)?;
    for paragraph in &section.before {
        writeln!(output, "{paragraph}")?;
    }
    if !section.rows.is_empty() {
        for line in table(section, presets::NOTHING).lines() {
            writeln!(output, "{}", line.trim_end())?;
        }
    }
    for line in &section.after {
        writeln!(output, "{line}")?;
    }
    Ok(())
}

/// A section's table: columns aligned, numbers to the right, drawn as a preset says.
pub(super) fn table(section: &Section, preset: &str) -> Table {
    let mut table = Table::new();
    table.load_preset(preset).set_header(&section.head);
    for (index, column) in table.column_iter_mut().enumerate() {
        if is_numeric(&section.rows, index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in &section.rows {
        table.add_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let section = Section {
            title: "Things".to_owned(),
            head: vec!["name", "ratio"],
            rows: [["a", "1.0"], ["long", "-"], ["b", "17.5"]]
                .map(|row| row.map(str::to_owned).to_vec())
                .to_vec(),
            after: vec!["All of them.".to_owned()],
            ..Section::default()
        };
        let mut output = Vec::new();
        write_section(&mut output, &section).unwrap();
        assert_eq!(
            String::from_utf8(output).unwrap(),
            "\nThings\n name  ratio\n a       1.0\n long      -\n b      17.5\nAll of them.\n"
        );
    }
}
