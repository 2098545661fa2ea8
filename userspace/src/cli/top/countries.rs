//! The table by country.

use std::cmp::Ordering;

use geodrop::top::{Category, Filter, Series};
use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Row, Table},
};

use super::{
    choices::Choices,
    screen::View,
    text::{cut, exact, history, percent, scaled},
};

/// What rows can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Packets,
    Bits,
    Total,
}

impl Column {
    /// From left to right.
    const ALL: [Self; 4] = [Self::Name, Self::Packets, Self::Bits, Self::Total];

    pub(super) fn next(self) -> Self {
        self.further(1)
    }

    pub(super) fn previous(self) -> Self {
        self.further(Self::ALL.len() - 1)
    }

    fn further(self, steps: usize) -> Self {
        let place = Self::ALL.iter().position(|one| *one == self);
        Self::ALL[(place.unwrap_or_default() + steps) % Self::ALL.len()]
    }
}

/// What is counted, in the order that was chosen.
pub(super) fn rows<'a>(filter: &'a Filter, choices: &Choices) -> Vec<(Category, &'a Series)> {
    let tells_passed = tells_passed(filter);
    let mut rows: Vec<_> = filter
        .traffic
        .categories()
        .filter(|(category, _)| category.is_blocked() || tells_passed)
        .filter(|(category, _)| choices.wants(category.country()))
        .collect();
    rows.sort_by(|one, other| {
        let order = order(choices.sort, *one, *other);
        let order = if choices.reversed {
            order.reverse()
        } else {
            order
        };
        // Those that are alike keep their places.
        order.then(one.0.cmp(&other.0))
    });
    rows
}

/// Whether the policy counts by country what passes.
fn tells_passed(filter: &Filter) -> bool {
    let mut all = filter.traffic.categories();
    all.any(|(category, _)| matches!(category, Category::Admitted(_)))
}

/// Names from A on, and the most of all else first.
fn order(column: Column, one: (Category, &Series), other: (Category, &Series)) -> Ordering {
    let (rate, other_rate) = (one.1.rate(), other.1.rate());
    match column {
        Column::Name => name(one.0).cmp(&name(other.0)),
        Column::Packets => other_rate.packets.total_cmp(&rate.packets),
        Column::Bits => other_rate.bits.total_cmp(&rate.bits),
        Column::Total => other.1.total.packets.cmp(&one.1.total.packets),
    }
}

fn name(category: Category) -> String {
    match category {
        Category::Country(country) | Category::Admitted(country) => {
            format!("{country} {}", country.name())
        }
        Category::Denied => "denied".to_owned(),
        Category::Unknown => "unknown country".to_owned(),
        Category::Malformed => "malformed".to_owned(),
        Category::Replies => "replies".to_owned(),
        Category::NonIp => "not IP".to_owned(),
        Category::Passed => "others".to_owned(),
    }
}

const NUMBER: u16 = 10;
const SHARE: u16 = 6;
const VERDICT: u16 = 7;
/// How wide the history is at least.
const LATELY: u16 = 6;

/// Draws the table; how many rows there was no room for.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View<'_>, filter: &Filter) -> usize {
    let View { choices, looks, .. } = view;
    let tells_passed = tells_passed(filter);
    let names = (area.width / 4).clamp(16, 40);
    let verdict = if tells_passed { VERDICT } else { 0 };
    let mut widths = vec![names, NUMBER, NUMBER, NUMBER, SHARE];
    if tells_passed {
        widths.push(verdict);
    }
    let used = widths.iter().map(|width| width + 1).sum();
    let rest = area.width.saturating_sub(used);
    // Too few say nothing.
    let rest = if rest < LATELY { 0 } else { rest };
    widths.push(rest);

    let rows = rows(filter, choices);
    let room = usize::from(area.height.saturating_sub(1));
    let first = choices.scroll.min(rows.len().saturating_sub(1));
    let all = filter.traffic.blocked.rate().packets + filter.traffic.passed.rate().packets;
    let shown = rows.iter().skip(first).take(room);
    let lines = shown.clone().map(|(category, series)| {
        let rate = series.rate();
        let style = if category.is_blocked() {
            looks.blocked()
        } else {
            looks.passed()
        };
        let mut cells = vec![
            Line::from(cut(&name(*category), names.into())),
            right(scaled(rate.packets)),
            right(scaled(rate.bits)),
            right(exact(series.total.packets, NUMBER.into())),
            right(percent(rate.packets / all)),
        ];
        if tells_passed {
            let word = if category.is_blocked() {
                "block"
            } else {
                "pass"
            };
            cells.push(Line::from(word));
        }
        cells.push(Line::styled(
            history(series, rest.into(), looks.bars),
            style,
        ));
        Row::new(cells)
    });
    let lines: Vec<_> = lines.collect();
    let left = rows.len() - first - lines.len();

    let sorted = |column: Column, text: &str| {
        if column == choices.sort {
            let order = looks.orders[usize::from((column == Column::Name) != choices.reversed)];
            format!("{order}{text}")
        } else {
            text.to_owned()
        }
    };
    let mut heads = vec![
        Line::from(sorted(
            Column::Name,
            if tells_passed {
                "country"
            } else {
                view.blocked(filter)
            },
        )),
        right(sorted(Column::Packets, "packets/s")),
        right(sorted(Column::Bits, "bit/s")),
        right(sorted(Column::Total, "packets")),
        right("share".to_owned()),
    ];
    if tells_passed {
        heads.push(Line::from("verdict"));
    }
    heads.push(Line::from("lately").right_aligned());
    let table = Table::new(lines, widths.into_iter().map(Constraint::Length))
        .header(Row::new(heads).style(looks.heading()));
    frame.render_widget(table, area);
    left
}

fn right(text: String) -> Line<'static> {
    Line::from(text).right_aligned()
}
