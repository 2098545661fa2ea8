//! What a lookup costs, in sections.

use super::{NOTHING, Plot, Section, answer, interval, kibibytes, plot::Axis, plot::Line};
use crate::lookup::{Report, Row, TableRow};

/// The sections of the level.
#[must_use]
pub fn sections(report: &Report) -> Vec<Section> {
    let mut sections = vec![Section {
        title: "A lookup in the kernel".to_owned(),
        before: vec![
            "Nanoseconds of a lookup, one a run, the baseline subtracted: medians, and the interval of the ratio that holds the \
             true one with a probability of 95 %."
                .to_owned(),
        ],
        plot: by_size(&report.rows, &report.tables),
        head: HEAD.to_vec(),
        rows: report.rows.iter().map(cells).collect(),
        after: Vec::new(),
    }];
    if !report.rows_without_perfmon.is_empty() {
        sections.push(Section {
            title: "A lookup in the kernel, loaded without CAP_PERFMON".to_owned(),
            before: vec!["The verifier masks what is read, against Spectre.".to_owned()],
            head: HEAD.to_vec(),
            rows: report.rows_without_perfmon.iter().map(cells).collect(),
            ..Section::default()
        });
    }
    sections.push(Section {
        title: "From ranges to tables in the kernel".to_owned(),
        before: vec!["Both families, milliseconds; and their memory there.".to_owned()],
        head: vec![
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
        ],
        rows: report.tables.iter().map(table_cells).collect(),
        after: conclusions(report),
        plot: None,
    });
    sections
}

const HEAD: [&str; 11] = [
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

fn cells(row: &Row) -> Vec<String> {
    let whole = |number: Option<f64>| {
        number.map_or_else(|| NOTHING.to_owned(), |number| format!("{number:.0}"))
    };
    vec![
        row.family.clone(),
        row.table.clone(),
        row.traffic.clone(),
        format!("{:.1}", row.baseline_ns),
        format!("{:.1}", row.lpm_ns),
        format!("{:.1}", row.engine_ns),
        format!("{:.1}", row.ratio),
        interval(row.ratio_interval),
        whole(row.target),
        whole(row.aim),
        answer(row.met).to_owned(),
    ]
}

fn table_cells(row: &TableRow) -> Vec<String> {
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    vec![
        row.table.clone(),
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
}

/// The cost of a lookup by how many ranges a table has, where addresses are drawn from all ranges alike.
fn by_size(rows: &[Row], tables: &[TableRow]) -> Option<Plot> {
    if tables.is_empty() {
        return None;
    }
    let line = |family: &str, engine: &str, of: fn(&Row) -> f64| {
        let rows = rows
            .iter()
            .filter(|row| row.family == family && row.traffic == "over ranges");
        // Nobody has 2^52 ranges.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let mut points: Vec<_> = rows.map(|row| (row.ranges as f64, of(row))).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        (format!("{family}, {engine}"), points)
    };
    let mut lines = Vec::new();
    for family in ["ipv4", "ipv6"] {
        lines.push(line(family, "lpm", |row| row.lpm_ns));
        lines.push(line(family, "multibit", |row| row.engine_ns));
    }
    let drawn = |(colour, (name, points)): (usize, (String, Vec<_>))| Line {
        name,
        points,
        colour,
    };
    let mut lines: Vec<_> = lines.into_iter().enumerate().map(drawn).collect();
    lines.retain(|line| line.points.len() > 1);
    let axis = |name: &str| Axis {
        name: name.to_owned(),
        logarithmic: true,
    };
    (!lines.is_empty()).then(|| Plot::Lines {
        x: axis("ranges in the table"),
        y: axis("ns a lookup, addresses over ranges"),
        lines,
    })
}

fn conclusions(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(mean) = report.geometric_mean {
        let target = report.geometric_mean_target;
        let met = answer(report.geometric_mean_met);
        lines.push(format!(
            "Geometric mean of the rows with a target: {mean:.1}; target {target:.0}; met: {met}"
        ));
    }
    let missed = missed(report);
    if !missed.is_empty() {
        lines.push(format!("Not met: {}.", missed.join("; ")));
    } else if report.geometric_mean.is_some() {
        lines.push("Every target is met.".to_owned());
    }
    lines.extend(report.notes.iter().map(|note| format!("Note: {note}")));
    lines
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
