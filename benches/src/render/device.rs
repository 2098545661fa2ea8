//! What packets cost in a device, in sections.

mod flood;

use super::{NOTHING, Plot, Section, answer, kibibytes, plot::Axis, plot::Bar, plot::Line, ratio};
use crate::{
    device::{
        case::Case,
        contestant::Contestant,
        goals::Goal,
        report::{Report, Row},
        start::Start,
    },
    measure::Estimate,
    tables::Countries,
};

/// The sections of the level.
#[must_use]
pub fn sections(report: &Report) -> Vec<Section> {
    let mut sections = vec![Section {
        title: "What was to be reached".to_owned(),
        before: vec![
            "One core, native mode, 64-byte frames, all of them from blocked addresses all over the table, with what it takes to \
             make and to receive them. A target is met when the worse end of the interval reaches it."
                .to_owned(),
        ],
        head: vec!["", "measured", "target", "met"],
        rows: report.goals.iter().map(goal_cells).collect(),
        ..Section::default()
    }];
    sections.extend(cases(&report.rows).into_iter().map(case_section));
    sections.extend(by_share(&report.rows));
    sections.extend(flood::sections(&report.floods));
    sections.push(starts(&report.starts));
    let skipped = report.skipped.iter();
    let skipped = skipped.map(|it| format!("{} ({}): {}", it.contestant, it.table, it.reason));
    sections.push(Section {
        title: "What else is to be known".to_owned(),
        before: vec![UNFAIR.to_owned()],
        after: skipped
            .map(|line| format!("Did not take part: {line}"))
            .chain(report.notes.iter().cloned())
            .collect(),
        ..Section::default()
    });
    sections
}

/// What is unfair.
const UNFAIR: &str = "Of a veth pair native XDP gets frames as they are, and the kernel makes a buffer (skb) for everybody else; \
    generic XDP always gets a buffer. A network card's driver would make it from its own memory, at another price. The pair has \
    one queue for each core. xdp-filter knows single addresses only, so its packets come from those that it was given.";

fn goal_cells(goal: &Goal) -> Vec<String> {
    let bound = if goal.at_most { "at most" } else { "at least" };
    vec![
        goal.what.clone(),
        ratio(&goal.measured),
        format!("{bound} {}", short(goal.target)),
        answer(Some(goal.met)).to_owned(),
    ]
}

/// A number without what it does not need behind the point.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The rows of each case, in their order.
fn cases(rows: &[Row]) -> Vec<&[Row]> {
    rows.chunk_by(|one, next| one.case() == next.case())
        .collect()
}

fn case_section(rows: &[Row]) -> Section {
    let case = rows.first().map(Row::case).unwrap_or_default();
    let is_first = Countries::ALL.map(|countries| Case::of(countries).to_string());
    let millions = |row: &Row| Estimate {
        median: 1e3 / row.ns.median,
        low: 1e3 / row.ns.high,
        high: 1e3 / row.ns.low,
    };
    let bars = || Plot::Bars {
        unit: "million packets a second, with making and receiving them".to_owned(),
        bars: rows
            .iter()
            .filter(|row| row.contestant != Contestant::Generator.name())
            .map(|row| bar(&row.contestant, millions(row)))
            .collect(),
    };
    let noisy = rows.iter().all(|row| row.place.is_none());
    Section {
        before: noisy
            .then(|| {
                "Too noisy to rank: the intervals are wider than a fifth of their medians."
                    .to_owned()
            })
            .into_iter()
            .collect(),
        plot: is_first.contains(&case).then(bars),
        head: vec![
            "place",
            "",
            "ns a packet",
            "million/s",
            "of XDP_DROP",
            "less generator",
            "geodrop is ×",
            "less generator",
        ],
        rows: rows.iter().map(row_cells).collect(),
        title: case,
        after: Vec::new(),
    }
}

/// What contestants are drawn in, the same in all plots: the place here is the number of the colour.
const COLOURS: [Contestant; 9] = [
    Contestant::Geodrop,
    Contestant::GeodropReplies,
    Contestant::GeodropLpm,
    Contestant::Drop,
    Contestant::NftablesIngress,
    Contestant::NftablesRaw,
    Contestant::Ipset,
    Contestant::XdpFilter,
    Contestant::NoFilter,
];

/// The line of a contestant.
fn line(contestant: &str, points: Vec<(f64, f64)>) -> Line {
    let mut painted = COLOURS.iter();
    let place = painted.position(|painted| painted.name() == contestant);
    Line {
        name: contestant.to_owned(),
        points,
        colour: place.unwrap_or(COLOURS.len()),
    }
}

/// A bar of a contestant, which is to be seen if it is ours.
fn bar(contestant: &str, length: Estimate) -> Bar {
    Bar {
        name: contestant.to_owned(),
        length,
        marked: contestant.starts_with(Contestant::Geodrop.name()),
    }
}

fn row_cells(row: &Row) -> Vec<String> {
    let place = row.place.map(|place| place.to_string());
    let is_generator = row.ledger.is_none();
    let unless_generator = |estimate: &Estimate| {
        if is_generator {
            NOTHING.to_owned()
        } else {
            ratio(estimate)
        }
    };
    vec![
        place.unwrap_or_else(|| NOTHING.to_owned()),
        row.contestant.clone(),
        row.ns.to_string(),
        format!("{:.2}", row.packets_per_second / 1e6),
        unless_generator(&row.of_drop),
        unless_generator(&row.of_drop_without_generator),
        unless_generator(&row.geodrop_times),
        unless_generator(&row.geodrop_times_without_generator),
    ]
}

/// The cost by the share of blocked packets, where several shares were measured.
fn by_share(rows: &[Row]) -> Option<Section> {
    let base = |blocked| {
        Case {
            blocked,
            ..Case::of(Countries::China)
        }
        .to_string()
    };
    let shares: Vec<_> = SHARES
        .into_iter()
        .filter(|(share, _)| rows.iter().any(|row| row.case() == base(*share)))
        .collect();
    let mut lines = Vec::new();
    let mut cells = Vec::new();
    for contestant in COLOURS {
        let name = contestant.name();
        let of_share = |(share, _): &(u8, &str)| {
            let case = base(*share);
            let mut rows = rows.iter();
            rows.find(|row| row.contestant == name && row.case() == case)
        };
        let points: Vec<_> = shares
            .iter()
            .filter_map(|share| Some((f64::from(share.0), of_share(share)?.ns.median)))
            .collect();
        if points.len() > 1 {
            let costs = shares.iter().map(|share| {
                of_share(share).map_or_else(|| NOTHING.to_owned(), |row| row.ns.to_string())
            });
            cells.push(std::iter::once(name.to_owned()).chain(costs).collect());
            lines.push(line(name, points));
        }
    }
    let axis = |name: &str| Axis {
        name: name.to_owned(),
        logarithmic: false,
    };
    let head = shares.iter().map(|(_, name)| *name);
    (!lines.is_empty()).then(|| Section {
        title: "By the share of blocked packets".to_owned(),
        before: vec![
            "Nanoseconds a packet, by how many of a hundred are blocked. The others come from addresses that are not blocked, and are \
             delivered."
                .to_owned(),
        ],
        plot: Some(Plot::Lines {
            x: axis("blocked packets, %"),
            y: axis("ns a packet"),
            lines,
        }),
        head: std::iter::once("").chain(head).collect(),
        rows: cells,
        after: Vec::new(),
    })
}

/// The shares that are measured, and their names.
const SHARES: [(u8, &str); 4] = [(0, "0 %"), (50, "50 %"), (90, "90 %"), (100, "100 %")];

fn starts(starts: &[Start]) -> Section {
    let bars = starts
        .iter()
        .filter(|start| start.table == Countries::China.name())
        .map(|start| bar(&start.contestant, start.ready_ms))
        .collect();
    Section {
        title: "Set up, and replaced".to_owned(),
        before: vec![
            "Milliseconds from the start until the next packet is dropped, and until as many other prefixes are in the place of \
             those that were blocked. geodrop's begin with reading the built-in data, those of others with a list of prefixes. \
             The kernel's memory is that of the table; of nftables it is by how much the kernel's own memory grew. The process is the \
             one that sets it up, with all that it has in memory at a time. xdp-filter is not among them: it has no way to be given \
             prefixes, nor many addresses at once."
                .to_owned(),
        ],
        plot: Some(Plot::Bars {
            unit: format!("milliseconds until {} are blocked", Countries::China.name()),
            bars,
        }),
        head: vec![
            "table",
            "",
            "start ms",
            "replace ms",
            "kernel KiB",
            "process KiB",
            "data",
            "rules",
            "load",
            "attach",
            "BTF",
            "without BTF and attach",
        ],
        rows: starts.iter().map(start_cells).collect(),
        after: Vec::new(),
    }
}

fn start_cells(start: &Start) -> Vec<String> {
    let mut cells = vec![
        start.table.clone(),
        start.contestant.clone(),
        start.ready_ms.to_string(),
        start.replace_ms.to_string(),
        kibibytes(start.kernel_memory_bytes),
        start
            .process_memory_bytes
            .map_or_else(|| NOTHING.to_owned(), kibibytes),
    ];
    match &start.parts {
        Some(parts) => {
            let parts = [
                parts.decode_ms,
                parts.resolve_ms,
                parts.load_ms,
                parts.attach_ms,
                parts.btf_ms,
                parts.beyond_ms,
            ];
            cells.extend(parts.map(|part| format!("{:.1}", part.median)));
        }
        None => cells.extend([NOTHING; 6].map(str::to_owned)),
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_nothing_behind_the_point_that_they_do_not_need() {
        assert_eq!([5.0, 2.2, 0.75].map(short), ["5", "2.2", "0.75"]);
    }
}
