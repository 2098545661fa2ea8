//! Plain tables for people: columns aligned, numbers to the right, no lines drawn, no colour.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};

/// What stands where there is nothing to tell.
pub(super) const NOTHING: &str = "-";

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
    for (index, column) in table.column_iter_mut().enumerate() {
        let of_numbers = rows.iter().all(|row| is_number(&row[index]));
        if of_numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    text == NOTHING
        || text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = [["a", "1,000"], ["long", "-"], ["b", "7"]].map(|row| row.map(str::to_owned));
        let mut output = Vec::new();
        write(&mut output, ["name", "packets"], &rows).unwrap();
        assert_eq!(
            String::from_utf8(output).unwrap(),
            " name  packets\n a       1,000\n long        -\n b           7\n"
        );
    }
}
