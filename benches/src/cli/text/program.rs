//! What packets cost, for people.

use std::io::{self, Write};

use geodrop_bench::program::{Report, Row};

use super::write_table;

pub(in crate::cli) fn write(output: &mut impl Write, report: &Report) -> io::Result<()> {
    super::write_machine(output, &report.machine, report.version, &report.date)?;
    writeln!(
        output,
        "Nanoseconds of one packet, again and again the same: median [95 % interval]"
    )?;
    let (with, without): (Vec<&Row>, Vec<&Row>) = report.paths.iter().partition(|row| row.perfmon);
    write_rows(output, &with)?;
    writeln!(output, "\nThe same, loaded without CAP_PERFMON")?;
    write_rows(output, &without)?;
    writeln!(
        output,
        "\nNanoseconds of a packet that goes out, where replies are told"
    )?;
    write_rows(output, &report.egress.iter().collect::<Vec<_>>())?;
    writeln!(
        output,
        "\nNanoseconds of each packet of a flood on one core, with making and receiving it"
    )?;
    write_rows(output, &report.floods.iter().collect::<Vec<_>>())
}

fn write_rows(output: &mut impl Write, rows: &[&Row]) -> io::Result<()> {
    let head = [
        "family",
        "packet",
        "setting",
        "verdict",
        "ns",
        "over reference",
        "",
        "over addresses",
        "",
    ];
    let rows = rows.iter().map(|row| {
        let interval = |[low, high]: [f64; 2]| format!("[{low:.1}, {high:.1}]");
        [
            row.family.to_owned(),
            row.packet.to_owned(),
            row.setting.to_owned(),
            if row.passes { "pass" } else { "drop" }.to_owned(),
            format!("{:.1}", row.ns),
            format!("{:.1}", row.over_reference_ns),
            interval(row.over_reference_interval),
            format!("{:.1}", row.over_addresses_ns),
            interval(row.over_addresses_interval),
        ]
    });
    write_table(output, head, rows)
}
