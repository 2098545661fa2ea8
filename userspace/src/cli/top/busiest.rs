//! Who sends most of what drops, and to which ports.

use geodrop::{
    datapath::report::Origin,
    geoip::Country,
    top::{Estimate, Filter, Sender, Target},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::{Paragraph, Row, Table, Wrap},
};

use super::{
    super::protocol,
    screen::View,
    text::{percent, scaled},
};

const NUMBER: u16 = 6;
const SHARE: u16 = 5;
/// A country's code, or `deny`.
const WHY: u16 = 4;
/// IPv4 and IPv6 addresses at their longest.
const ADDRESS: [u16; 2] = [15, 39];

/// How wide the table of ports is at least: `tcp/65535` and its numbers.
const TARGETS: u16 = 9 + 1 + NUMBER + 1 + SHARE;

/// What is less than this, in packets a second, is no more than a memory.
const LEAST: f64 = 0.05;

/// Draws both tables, or says why there are none.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View<'_>, filter: &Filter) {
    if let Some(why) = &filter.unsampled {
        let text = format!("sources and ports are not known: {why}");
        let text = Paragraph::new(text).wrap(Wrap { trim: true });
        frame.render_widget(text, area);
        return;
    }
    let room = usize::from(area.height.saturating_sub(1));
    let mut senders = stand_out(filter.estimates.senders());
    senders.retain(|one| view.choices.wants(country(one)));
    senders.truncate(room);
    let mut targets = stand_out(filter.estimates.targets());
    targets.truncate(room);

    let addresses = senders.iter().map(|one| one.key.address.to_string().len());
    let [least, most] = ADDRESS;
    let widest = addresses.max().and_then(|width| u16::try_from(width).ok());
    let width = widest.unwrap_or(least).clamp(least, most);
    let left = (WHY + 1 + width + 1 + NUMBER).max(area.width / 2);
    let areas = [Constraint::Length(left), Constraint::Min(TARGETS)];
    let [left, right] = Layout::horizontal(areas).spacing(2).areas(area);
    draw_senders(frame, left, view, &senders);
    if senders.is_empty() {
        let below = Rect {
            y: left.y + 1,
            height: left.height.saturating_sub(1),
            ..left
        };
        frame.render_widget(Paragraph::new(none(filter)), below);
    }
    draw_targets(frame, right, view, targets);
}

fn draw_senders(frame: &mut Frame<'_>, area: Rect, view: &View<'_>, senders: &[Estimate<Sender>]) {
    let rows = senders.iter().map(|one| {
        Row::new([
            Line::from(why(one)),
            Line::from(one.key.address.to_string()),
            Line::from(scaled(one.packets)).right_aligned(),
        ])
    });
    let widths = [
        Constraint::Length(WHY),
        Constraint::Fill(1),
        Constraint::Length(NUMBER),
    ];
    let head = [
        Line::from("top"),
        Line::from("sources"),
        Line::from("~pkt/s").right_aligned(),
    ];
    let head = Row::new(head).style(view.looks.heading());
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

fn draw_targets(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View<'_>,
    targets: Vec<Estimate<Target>>,
) {
    let rows = targets.into_iter().map(|one| {
        let Target { protocol, port } = one.key;
        Row::new([
            Line::from(protocol::destination(protocol, port)),
            Line::from(scaled(one.packets)).right_aligned(),
            Line::from(percent(one.share)).right_aligned(),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(NUMBER),
        Constraint::Length(SHARE),
    ];
    let head = [
        Line::from("top ports"),
        Line::from("~pkt/s").right_aligned(),
        Line::from("share").right_aligned(),
    ];
    let head = Row::new(head).style(view.looks.heading());
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

/// Those of which at least half is certain.
fn stand_out<K>(mut estimates: Vec<Estimate<K>>) -> Vec<Estimate<K>> {
    estimates.retain(|one| one.packets >= LEAST && one.error * 2.0 <= one.packets);
    estimates
}

fn none(filter: &Filter) -> &'static str {
    let mut senders = filter.estimates.senders().into_iter();
    if senders.any(|one| one.packets >= LEAST && one.error > 0.0) {
        "many, and none of them stands out"
    } else {
        "none lately"
    }
}

fn country(estimate: &Estimate<Sender>) -> Option<Country> {
    match estimate.key.origin {
        Some(Origin::Country(country)) => Some(country),
        _ => None,
    }
}

fn why(estimate: &Estimate<Sender>) -> String {
    match estimate.key.origin {
        Some(Origin::Country(country)) => country.to_string(),
        Some(Origin::Denied) => "deny".to_owned(),
        Some(Origin::Unknown) | None => "?".to_owned(),
    }
}
