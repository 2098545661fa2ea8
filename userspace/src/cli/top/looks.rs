//! What the terminal can show.

use std::env;

use ratatui::style::{Color, Modifier, Style};

use super::super::colour;

/// How things look. No colour says anything that words do not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    coloured: bool,
    /// For histories, from nothing to most.
    pub(super) bars: &'static [char; 9],
    /// For what the rows are sorted by: the most first, or the least.
    pub(super) orders: [char; 2],
}

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 9] = [' ', '.', ':', '-', '=', '+', '*', '#', '@'];

impl Looks {
    /// With colours or without, and with symbols that are in Unicode or only those in ASCII.
    pub(super) const fn new(coloured: bool, unicode: bool) -> Self {
        Self {
            coloured,
            bars: if unicode { &BLOCKS } else { &ASCII },
            orders: if unicode { ['▼', '▲'] } else { ['v', '^'] },
        }
    }

    /// As the environment says of the terminal.
    pub(super) fn of_terminal() -> Self {
        let terminal = env::var("TERM").unwrap_or_default();
        Self::new(
            colour::is_wanted() && has_colours(&terminal),
            is_utf8() && terminal != "linux",
        )
    }

    const fn in_colour(&self, colour: Color) -> Style {
        if self.coloured {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// What the policy is against.
    pub(super) const fn blocked(&self) -> Style {
        self.in_colour(Color::Red)
    }

    /// What passes.
    pub(super) const fn passed(&self) -> Style {
        self.in_colour(Color::Green)
    }

    /// What somebody should look at.
    pub(super) const fn warning(&self) -> Style {
        self.in_colour(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// What stands above something else.
    #[expect(clippy::unused_self, reason = "it is one of the looks")]
    pub(super) const fn heading(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// A key that can be pressed.
    pub(super) const fn key(&self) -> Style {
        self.in_colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }
}

/// Whether a terminal of this name has colours: nearly all do but the oldest, and those whose names say that they have none.
fn has_colours(terminal: &str) -> bool {
    let old = ["vt52", "vt100", "vt102", "vt220", "vt320", "vt420"];
    let words = || terminal.split('-');
    !words().any(|word| old.contains(&word) || ["m", "mono"].contains(&word))
}

/// Whether the locale's characters are those of Unicode: the first of these that is set says so.
fn is_utf8() -> bool {
    let mut all = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| env::var(name).ok());
    let locale = all.find(|text| !text.is_empty()).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_terminals_have_no_colours() {
        for terminal in ["xterm-256color", "screen", "linux", "tmux", "xterm"] {
            assert!(has_colours(terminal), "{terminal}");
        }
        for terminal in ["vt100", "vt220-am", "xterm-mono", "linux-m"] {
            assert!(!has_colours(terminal), "{terminal}");
        }
    }
}
