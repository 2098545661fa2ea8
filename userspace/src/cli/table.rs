//! Plain tables for people: columns aligned, no lines drawn, no colour.

use std::io::{self, Write};

use comfy_table::{Table, presets};

/// Writes a table with a head.
pub(super) fn write<const N: usize>(
    output: &mut impl Write,
    head: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    for line in table.lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}
