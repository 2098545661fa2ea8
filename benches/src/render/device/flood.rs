//! What a peer got under floods, in sections.

use super::{
    super::{Plot, Section, plot::Axis, plot::Line},
    line,
};
use crate::{device::flood::Row, measure::Estimate};

/// What was measured, with a plot of goodput and one of latency; nothing where there were no floods.
pub(super) fn sections(rows: &[Row]) -> Vec<Section> {
    if rows.is_empty() {
        return Vec::new();
    }
    let goodput = Section {
        title: "What a peer gets under a flood".to_owned(),
        before: vec![BEFORE.to_owned()],
        plot: Some(plot(rows, "goodput, Mbit/s", false, |row| row.goodput_mbit)),
        ..Section::default()
    };
    let latency = Section {
        title: "How long a peer waits under a flood".to_owned(),
        before: vec![
            "What 99 of a hundred answers did not exceed. An answer is given up after 20 ms."
                .to_owned(),
        ],
        plot: Some(plot(rows, "microseconds, 99th percentile", true, |row| {
            row.round_trip_p99_us
        })),
        head: vec![
            "flood asked",
            "",
            "sent, million/s",
            "goodput, Mbit/s",
            "answer after, µs",
            "99th percentile",
            "unanswered, %",
        ],
        rows: rows.iter().map(cells).collect(),
        after: Vec::new(),
    };
    vec![goodput, latency]
}

const BEFORE: &str = "A peer that is not blocked talks to the host over the queue that the flood fills. It and its server are on one \
    core; the flood is made on the other. Where that core also filters it, a slow filter slows it down; where the peer's does, the queue loses what it cannot \
    hold. So what was sent is shown, not what was asked for. Packets go one by one, as on a cable.";

fn plot(rows: &[Row], y: &str, logarithmic: bool, of: fn(&Row) -> Estimate) -> Plot {
    let axis = |name: &str, logarithmic| Axis {
        name: name.to_owned(),
        logarithmic,
    };
    let mut lines = Vec::<Line>::new();
    for row in rows {
        let point = (row.flood_per_second.median / 1e6, of(row).median);
        match lines.iter_mut().find(|line| line.name == row.contestant) {
            Some(line) => line.points.push(point),
            None => lines.push(line(&row.contestant, vec![point])),
        }
    }
    Plot::Lines {
        x: axis("flood, million packets a second", false),
        y: axis(y, logarithmic),
        lines,
    }
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.asked.clone(),
        row.contestant.clone(),
        format!("{:.2}", row.flood_per_second.median / 1e6),
        row.goodput_mbit.to_string(),
        row.round_trip_us.to_string(),
        row.round_trip_p99_us.to_string(),
        format!("{:.1}", row.unanswered_percent.median),
    ]
}
