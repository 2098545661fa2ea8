//! What the person at the keys has chosen.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use geodrop::{geoip::Country, top};

use super::countries::{self, Column};

/// The intervals that `+` and `-` go through.
const INTERVALS: [Duration; 8] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
];

/// How many rows a page has.
const PAGE: usize = 10;

/// The longest filter.
const LONGEST: usize = 30;

/// What is shown, and how.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    /// The index of the interface; another one if it has no filter.
    pub(super) interface: Option<u32>,
    pub(super) sort: Column,
    /// The other way round than is usual for the column.
    pub(super) reversed: bool,
    /// How country codes begin; several of them, with commas between. Empty: all.
    pub(super) filter: String,
    /// What keys do now.
    pub(super) keys: Keys,
    pub(super) paused: bool,
    /// The first row that is shown.
    pub(super) scroll: usize,
    pub(super) interval: Duration,
}

/// What keys do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// They choose.
    Choose,
    /// They write the filter.
    Filter,
    /// They put the help away.
    Help,
}

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Show what was chosen.
    Show,
    /// Show it on a terminal that something else has written on.
    Redraw,
    /// Look at another interval.
    Interval,
    Quit,
}

impl Choices {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interface: None,
            sort: Column::Packets,
            reversed: false,
            filter: String::new(),
            keys: Keys::Choose,
            paused: false,
            scroll: 0,
            interval,
        }
    }

    /// The filter that is shown, and its place among them.
    pub(super) fn filter<'a>(&self, top: &'a top::Top) -> Option<(usize, &'a top::Filter)> {
        let mut all = top.filters.iter().enumerate();
        all.find(|(_, filter)| Some(filter.running.interface.index) == self.interface)
            .or_else(|| top.filters.first().map(|filter| (0, filter)))
    }

    /// Whether what comes from a country is shown; `None` stands for what is counted by none.
    pub(super) fn wants(&self, country: Option<Country>) -> bool {
        let mut parts = self
            .filter
            .split(',')
            .filter(|part| !part.is_empty())
            .peekable();
        parts.peek().is_none()
            || country.is_some_and(|country| parts.any(|part| country.as_str().starts_with(part)))
    }

    /// Does what a key says.
    pub(super) fn press(&mut self, key: KeyEvent, top: &top::Top) -> Wish {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Wish::Quit,
            KeyCode::Char('l') if control => return Wish::Redraw,
            KeyCode::Char(_) if control => return Wish::Show,
            _ => {}
        }
        match self.keys {
            Keys::Choose => self.choose(key.code, top),
            Keys::Filter => {
                self.write(key.code);
                Wish::Show
            }
            Keys::Help => {
                self.keys = Keys::Choose;
                Wish::Show
            }
        }
    }

    fn choose(&mut self, key: KeyCode, top: &top::Top) -> Wish {
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Char('s') | KeyCode::Right => self.sort = self.sort.next(),
            KeyCode::Left => self.sort = self.sort.previous(),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char('/') => self.keys = Keys::Filter,
            KeyCode::Char('i') | KeyCode::Tab => self.next_interface(top),
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('+' | '=') => return self.change_interval(true),
            KeyCode::Char('-') => return self.change_interval(false),
            KeyCode::Char('?' | 'h') => self.keys = Keys::Help,
            KeyCode::Down => self.scroll_to(top, self.scroll + 1),
            KeyCode::PageDown => self.scroll_to(top, self.scroll + PAGE),
            KeyCode::Up => self.scroll_to(top, self.scroll.saturating_sub(1)),
            KeyCode::PageUp => self.scroll_to(top, self.scroll.saturating_sub(PAGE)),
            KeyCode::Home => self.scroll = 0,
            KeyCode::End => self.scroll_to(top, usize::MAX),
            _ => {}
        }
        Wish::Show
    }

    fn write(&mut self, key: KeyCode) {
        self.scroll = 0;
        match key {
            KeyCode::Enter => self.keys = Keys::Choose,
            KeyCode::Esc => {
                self.filter.clear();
                self.keys = Keys::Choose;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter)
                if (letter.is_ascii_alphabetic() || letter == ',')
                    && self.filter.len() < LONGEST =>
            {
                self.filter.push(letter.to_ascii_uppercase());
            }
            _ => {}
        }
    }

    fn next_interface(&mut self, top: &top::Top) {
        let next = self.filter(top).map_or(0, |(place, _)| place + 1);
        let filter = top.filters.get(next).or_else(|| top.filters.first());
        self.interface = filter.map(|filter| filter.running.interface.index);
        self.scroll = 0;
    }

    fn change_interval(&mut self, longer: bool) -> Wish {
        let next = if longer {
            INTERVALS.iter().find(|one| **one > self.interval)
        } else {
            INTERVALS.iter().rev().find(|one| **one < self.interval)
        };
        match next {
            Some(next) => {
                self.interval = *next;
                Wish::Interval
            }
            None => Wish::Show,
        }
    }

    /// The last row is the last that comes first.
    fn scroll_to(&mut self, top: &top::Top, row: usize) {
        let rows = self
            .filter(top)
            .map_or(0, |(_, filter)| countries::rows(filter, self).len());
        self.scroll = row.min(rows.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{self, FIRST, SECOND},
        *,
    };

    fn press(choices: &mut Choices, top: &top::Top, keys: &[KeyCode]) -> Wish {
        let mut wish = Wish::Show;
        for key in keys {
            wish = choices.press((*key).into(), top);
        }
        wish
    }

    fn characters(text: &str) -> Vec<KeyCode> {
        text.chars().map(KeyCode::Char).collect()
    }

    #[test]
    fn keys_that_end_it_end_it_unless_they_end_something_else() {
        let top = tests::traffic();
        let mut choices = Choices::new(Duration::from_secs(1));
        for key in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(press(&mut choices, &top, &[key]), Wish::Quit);
        }
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        choices.keys = Keys::Filter;
        assert_eq!(choices.press(control_c, &top), Wish::Quit);
        assert_eq!(press(&mut choices, &top, &[KeyCode::Esc]), Wish::Show);
        assert_eq!(choices.keys, Keys::Choose);
        choices.keys = Keys::Help;
        assert_eq!(press(&mut choices, &top, &[KeyCode::Char('q')]), Wish::Show);
        assert_eq!(choices.keys, Keys::Choose);
    }

    #[test]
    fn a_filter_is_how_codes_begin() {
        let top = tests::traffic();
        let mut choices = Choices::new(Duration::from_secs(1));
        let wants = |choices: &Choices, code: &str| {
            choices.wants(Some(code.parse().expect("it is a country")))
        };
        assert!(choices.wants(None));
        press(&mut choices, &top, &characters("/cn,m1"));
        assert_eq!(choices.filter, "CN,M");
        assert!(wants(&choices, "CN") && wants(&choices, "MO") && !wants(&choices, "HK"));
        assert!(!choices.wants(None));
        press(&mut choices, &top, &[KeyCode::Backspace, KeyCode::Enter]);
        assert!(!wants(&choices, "MO"));
        assert_eq!(choices.keys, Keys::Choose);
        let mut again = characters("/");
        again.push(KeyCode::Esc);
        press(&mut choices, &top, &again);
        assert!(choices.wants(None));
    }

    #[test]
    fn interfaces_come_by_turns_and_one_that_goes_gives_way() {
        let mut top = tests::traffic();
        let mut choices = Choices::new(Duration::from_secs(1));
        let shown = |choices: &Choices, top: &top::Top| {
            let (_, filter) = choices.filter(top).unwrap();
            filter.running.interface.index
        };
        assert_eq!(shown(&choices, &top), FIRST);
        press(&mut choices, &top, &characters("i"));
        assert_eq!(shown(&choices, &top), SECOND);
        let second = top.filters.pop();
        assert_eq!(shown(&choices, &top), FIRST);
        top.filters.extend(second);
        press(&mut choices, &top, &characters("i"));
        assert_eq!(shown(&choices, &top), FIRST);
        press(&mut choices, &top::Top::default(), &characters("i"));
        assert_eq!(choices.interface, None);
    }

    #[test]
    fn intervals_have_ends() {
        let top = tests::traffic();
        let mut choices = Choices::new(Duration::from_millis(1_500));
        assert_eq!(press(&mut choices, &top, &characters("+")), Wish::Interval);
        assert_eq!(choices.interval, Duration::from_secs(2));
        assert_eq!(press(&mut choices, &top, &characters("----")), Wish::Show);
        assert_eq!(choices.interval, INTERVALS[0]);
    }

    #[test]
    fn scrolling_ends_with_the_rows() {
        let top = tests::traffic();
        let mut choices = Choices::new(Duration::from_secs(1));
        press(&mut choices, &top, &[KeyCode::End]);
        let last = choices.scroll;
        assert!(last > 0);
        press(&mut choices, &top, &[KeyCode::PageDown, KeyCode::Down]);
        assert_eq!(choices.scroll, last);
        press(&mut choices, &top, &[KeyCode::Up]);
        assert_eq!(choices.scroll, last - 1);
        press(&mut choices, &top, &[KeyCode::Home, KeyCode::PageUp]);
        assert_eq!(choices.scroll, 0);
    }
}
