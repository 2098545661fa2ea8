//! What a packet costs in the program, in sections.

use super::{Section, interval};
use crate::program::{Report, Row};

/// The sections of the level.
#[must_use]
pub fn sections(report: &Report) -> Vec<Section> {
    let (with, without): (Vec<&Row>, Vec<&Row>) = report.paths.iter().partition(|row| row.perfmon);
    let section = |title: &str, before: &str, rows: Vec<&Row>| Section {
        title: title.to_owned(),
        before: vec![before.to_owned()],
        head: HEAD.to_vec(),
        rows: rows.into_iter().map(cells).collect(),
        ..Section::default()
    };
    vec![
        section(
            "A packet, by its way through the filter",
            "Nanoseconds of one packet, again and again the same: medians, with the interval that holds the true one with a \
             probability of 95 %.",
            with,
        ),
        section(
            "A packet, by its way through the filter, loaded without CAP_PERFMON",
            "The verifier masks what is read, against Spectre.",
            without,
        ),
        section(
            "A packet that goes out",
            "Where replies are told, it is noted.",
            report.egress.iter().collect(),
        ),
        section(
            "A packet of a flood",
            "On one core, with making and receiving it.",
            report.floods.iter().collect(),
        ),
    ]
}

const HEAD: [&str; 9] = [
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

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.family.clone(),
        row.packet.clone(),
        row.setting.clone(),
        if row.passes { "pass" } else { "drop" }.to_owned(),
        format!("{:.1}", row.ns),
        format!("{:.1}", row.over_reference_ns),
        interval(row.over_reference_interval),
        format!("{:.1}", row.over_addresses_ns),
        interval(row.over_addresses_interval),
    ]
}
