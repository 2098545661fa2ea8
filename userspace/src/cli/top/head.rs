//! What is above the tables: the filter, its policy, and all its traffic.

use std::time::Duration;

use geodrop::{
    datapath::status::{Enforcement, Running},
    geoip::Country,
    top::{Filter, Series},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{
    super::{time, words},
    screen::View,
    text::{history, percent, scaled},
};

/// Which filter it is, and what it does.
pub(super) fn draw_filter(
    frame: &mut Frame<'_>,
    [first, second]: [Rect; 2],
    view: &View<'_>,
    place: usize,
    filter: &Filter,
) {
    let running = &filter.running;
    let heading = view.looks.heading();
    let interface = match view.top.filters.len() {
        1 => running.interface.name.clone(),
        all => format!("{} ({} of {all})", running.interface.name, place + 1),
    };
    let since = running.about.since.map_or_else(String::new, |since| {
        // Clocks are set back.
        let age = Duration::try_from(view.now.duration_since(since)).unwrap_or_default();
        format!(", {} old", time::roughly(age))
    });
    let what = format!(
        "  {}  engine {}  generation {}{since}",
        words::hook(running.hook, running.mode),
        running.about.engine,
        running.generation
    );
    let name = if view.choices.paused {
        Line::styled("paused", view.looks.warning())
    } else {
        Line::styled("geodrop", heading)
    };
    split(
        frame,
        first,
        Line::from(vec![Span::styled(interface, heading), Span::raw(what)]),
        name,
    );

    let enforcement = running.enforcement(view.now);
    let style = match enforcement {
        Enforcement::Drops => Style::new(),
        _ => view.looks.warning(),
    };
    split(
        frame,
        second,
        Line::from(vec![
            Span::styled(state(running, enforcement), style),
            Span::raw(format!(": {}", policy(running))),
        ]),
        Line::from(data(running)),
    );
}

/// A line with something at both ends, of which the right one goes first.
fn split(frame: &mut Frame<'_>, area: Rect, left: Line<'_>, right: Line<'_>) {
    let width = u16::try_from(right.width()).unwrap_or(u16::MAX);
    let areas = [Constraint::Fill(1), Constraint::Length(width)];
    let [begin, end] = Layout::horizontal(areas).spacing(1).areas(area);
    frame.render_widget(left, begin);
    frame.render_widget(right, end);
}

/// What becomes of what the policy is against.
fn state(running: &Running, enforcement: Enforcement) -> String {
    let state = match enforcement {
        Enforcement::Drops => "enforced".to_owned(),
        Enforcement::Awaits(instant) => format!("counts until {instant:.0}"),
        Enforcement::Counts => "monitor, drops nothing".to_owned(),
        Enforcement::Lapsed => "nobody confirmed it, all passes".to_owned(),
    };
    match running.trial.and_then(|trial| trial.left) {
        Some(left) => format!("{state}, on trial for {}", time::roughly(left)),
        None => state,
    }
}

fn policy(running: &Running) -> String {
    let codes = |countries: &[Country]| {
        let codes: Vec<_> = countries.iter().map(Country::as_str).collect();
        codes.join(" ")
    };
    let about = &running.about;
    let countries = match (about.block.as_slice(), about.only.as_slice()) {
        ([], []) => "blocks no country".to_owned(),
        (block, []) => format!("blocks {}", codes(block)),
        (_, only) => format!("only {}", codes(only)),
    };
    match about.rules {
        0 => countries,
        1 => format!("1 rule for ports, {countries}"),
        count => format!("{count} rules for ports, {countries}"),
    }
}

/// The newest of the data.
fn data(running: &Running) -> String {
    let dates = running.about.geoip.iter().filter_map(|source| source.date);
    let date = dates.max();
    date.map_or_else(String::new, |date| format!("data of {date}"))
}

/// How wide the words and numbers of totals are.
const LABEL: u16 = 12;
const NUMBER: u16 = 6;

/// All that is blocked, and all that passes.
pub(super) fn draw_totals(
    frame: &mut Frame<'_>,
    [first, second]: [Rect; 2],
    view: &View<'_>,
    filter: &Filter,
) {
    let traffic = &filter.traffic;
    let all = traffic.blocked.rate().packets + traffic.passed.rate().packets;
    let lines = [
        (
            first,
            view.blocked(filter),
            &traffic.blocked,
            view.looks.blocked(),
        ),
        (second, "passed", &traffic.passed, view.looks.passed()),
    ];
    for (area, label, series, style) in lines {
        let numbers = numbers(label, series, all);
        let width = usize::from(area.width).saturating_sub(numbers.len() + 1);
        let line = Line::from(vec![
            Span::styled(numbers, view.looks.heading()),
            Span::raw(" "),
            Span::styled(history(series, width, view.looks.bars), style),
        ]);
        frame.render_widget(line, area);
    }
}

fn numbers(label: &str, series: &Series, all: f64) -> String {
    let rate = series.rate();
    let (label_width, width) = (usize::from(LABEL), usize::from(NUMBER));
    format!(
        "{label:label_width$}{:>width$} packets/s{:>width$} bit/s{:>width$}",
        scaled(rate.packets),
        scaled(rate.bits),
        percent(rate.packets / all)
    )
}
