//! The whole screen, drawn from what is known and what was chosen.

use geodrop::{
    datapath::status::Enforcement,
    top::{Filter, Top},
};
use jiff::Timestamp;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Margin, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use super::{
    busiest,
    choices::{Choices, Keys},
    countries, head,
    looks::Looks,
    text::cut,
};

/// What is drawn.
pub(super) struct View<'a> {
    pub(super) top: &'a Top,
    pub(super) choices: &'a Choices,
    pub(super) looks: Looks,
    pub(super) now: Timestamp,
}

impl View<'_> {
    /// What becomes of packets that the policy is against.
    pub(super) fn blocked(&self, filter: &Filter) -> &'static str {
        match filter.running.enforcement(self.now) {
            Enforcement::Drops => "blocked",
            Enforcement::Awaits(_) | Enforcement::Counts | Enforcement::Lapsed => "would block",
        }
    }
}

/// The least that there is room in.
const LEAST: (u16, u16) = (60, 14);

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View<'_>) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!(
            "top needs {} columns and {} lines, and here are {} and {}; q quits",
            LEAST.0, LEAST.1, area.width, area.height
        );
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let areas = [Constraint::Fill(1), Constraint::Length(1)];
    let [body, foot] = Layout::vertical(areas).areas(area);
    let body = body.inner(Margin::new(1, 0));
    frame.render_widget(keys(view), foot.inner(Margin::new(1, 0)));
    if view.choices.keys == Keys::Help {
        frame.render_widget(Paragraph::new(HELP).wrap(Wrap { trim: false }), body);
        return;
    }
    match view.choices.filter(view.top) {
        Some((place, filter)) => draw_filter(frame, body, view, place, filter),
        None => draw_none(frame, body, view),
    }
}

fn draw_filter(frame: &mut Frame<'_>, area: Rect, view: &View<'_>, place: usize, filter: &Filter) {
    // A quarter of a large screen, five lines of a small one.
    let busiest = (area.height / 4).clamp(3, 20) + 1;
    let areas = [
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(busiest),
    ];
    let [head, warning, totals, _, table, more, below] = Layout::vertical(areas).areas(area);
    head::draw_filter(frame, lines(head), view, place, filter);
    draw_warning(frame, warning, view);
    head::draw_totals(frame, lines(totals), view, filter);
    let left = countries::draw(frame, table, view, filter);
    if left > 0 {
        frame.render_widget(Line::from(format!("{left} more below")), more);
    }
    busiest::draw(frame, below, view, filter);
}

/// The two lines of an area.
fn lines(area: Rect) -> [Rect; 2] {
    Layout::vertical([Constraint::Length(1); 2]).areas(area)
}

fn draw_warning(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    if let Some(warning) = view.top.warnings.first() {
        let more = match view.top.warnings.len() {
            1 => String::new(),
            all => format!(" (1 of {all})"),
        };
        let text = cut(&format!("warning{more}: {warning}"), area.width.into());
        frame.render_widget(Line::styled(text, view.looks.warning()), area);
    }
}

fn draw_none(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let mut text = vec![
        Line::styled("geodrop", view.looks.heading()),
        Line::from(
            "No filter is attached; `geodrop attach -i IFACE` attaches one. Waiting for it.",
        ),
    ];
    for warning in &view.top.warnings {
        text.push(Line::styled(
            format!("warning: {warning}"),
            view.looks.warning(),
        ));
    }
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
}

/// What keys do.
fn keys(view: &View<'_>) -> Line<'static> {
    let choices = view.choices;
    match choices.keys {
        Keys::Choose => {}
        Keys::Filter => {
            return Line::from(format!(
                "countries whose codes begin with: {}_   Enter keeps it, Esc shows all",
                choices.filter
            ));
        }
        Keys::Help => return Line::from("any key goes back"),
    }
    let filter = match choices.filter.as_str() {
        "" => "filter".to_owned(),
        filter => format!("filter {filter}"),
    };
    let interval = format!("{:?}", choices.interval);
    let keys = [
        ("q", "quit"),
        ("s", "sort"),
        ("r", "reverse"),
        ("/", &filter),
        ("i", "interface"),
        ("p", "pause"),
        ("+-", &interval),
        ("?", "help"),
    ];
    let spans = keys.into_iter().flat_map(|(key, what)| {
        [
            Span::styled(key, view.looks.key()),
            Span::raw(format!(" {what}  ")),
        ]
    });
    Line::from(spans.collect::<Vec<_>>())
}

const HELP: &str = "\
geodrop top: what filters drop and let pass

  q, Esc, Ctrl-C      quit
  s, right, left      sort by the next column, or the one before
  r                   the other way round
  /                   show only countries whose codes begin like this: CN,H
  up, down, PgUp ...  scroll
  i, Tab              the next interface
  p, space            pause: the screen stays, and counting goes on
  +, -                look less often, or more often
  Ctrl-L              draw anew

Packets are all since the filter was attached. Shares are of all packets
that come now, blocked or not. Bits are those of whole frames. What came
lately is drawn with a scale of its own in each row. What passes is shown
by country only under `count = \"all\"`.

Sources and ports are those of blocked packets, estimated from a sample: an
average of the last half minute. Shown are those of which at least half is
certain.";
