//! Packets as lines for people.

use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};
use geodrop::datapath::{
    interface::Interface,
    watch::{Event, Headers},
};
use jiff::tz::TimeZone;

use super::{
    super::{protocol, table::NOTHING},
    output::why,
};

const COLUMNS: usize = 6;
const HEAD: [&str; COLUMNS] = ["time", "why", "source", "to", "verdict", "interface"];

/// Which of the columns says what became of the packet.
const VERDICT: usize = 4;

/// Lines that stand below each other: a column is as wide as what was widest in it so far.
pub(super) struct Text {
    zone: TimeZone,
    coloured: bool,
    begun: bool,
    widths: [usize; COLUMNS],
}

impl Text {
    /// Times are local, and colours are for terminals.
    pub(super) fn new(coloured: bool) -> Self {
        Self {
            zone: TimeZone::system(),
            coloured,
            begun: false,
            // A time, a code or a word, an IPv4 address.
            widths: [12, 9, 15, 9, 10, 0],
        }
    }

    /// Writes a packet's line, and before the first one a head.
    pub(super) fn write(
        &mut self,
        output: &mut impl Write,
        interface: &Interface,
        event: &Event,
        headers: Option<&Headers>,
    ) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.line(output, &HEAD.map(str::to_owned), Style::new())?;
        }
        let local = event.time.to_zoned(self.zone.clone());
        let cells = [
            local.strftime("%H:%M:%S.%3f").to_string(),
            why(event),
            headers.map_or_else(|| NOTHING.to_owned(), |headers| headers.source.to_string()),
            headers.map_or_else(|| NOTHING.to_owned(), destination),
            verdict(event),
            interface.name.clone(),
        ];
        self.line(output, &cells, colour(event))
    }

    fn line(
        &mut self,
        output: &mut impl Write,
        cells: &[String; COLUMNS],
        verdict: Style,
    ) -> io::Result<()> {
        for (index, (cell, width)) in cells.iter().zip(&mut self.widths).enumerate() {
            *width = (*width).max(cell.len());
            let style = if index == VERDICT && self.coloured {
                verdict
            } else {
                Style::new()
            };
            let is_last = index + 1 == COLUMNS;
            let (width, end) = if is_last { (0, "\n") } else { (*width, "  ") };
            write!(output, "{style}{cell:width$}{style:#}{end}")?;
        }
        Ok(())
    }
}

/// Where a packet goes to: its port, or else its protocol.
fn destination(headers: &Headers) -> String {
    protocol::destination(
        headers.protocol,
        headers.ports.map(|ports| ports.destination),
    )
}

/// What became of a packet, and by which rule if that is one for ports.
pub(super) fn verdict(event: &Event) -> String {
    let would = if event.enforced { "" } else { "would " };
    let verdict = event.verdict;
    match event.rule {
        Some(rule) => format!("{would}{verdict}, rule {rule}"),
        None => format!("{would}{verdict}"),
    }
}

const fn colour(event: &Event) -> Style {
    let colour = if event.enforced {
        AnsiColor::Red
    } else {
        AnsiColor::Yellow
    };
    colour.on_default()
}

#[cfg(test)]
mod tests {
    use geodrop::{datapath::report::Origin, geoip::Country, policy::Verdict};
    use jiff::Timestamp;

    use super::*;

    fn interface() -> Interface {
        Interface {
            name: "eth0".to_owned(),
            index: 2,
        }
    }

    fn event(origin: Option<Origin>) -> Event {
        Event {
            time: Timestamp::UNIX_EPOCH,
            verdict: Verdict::Drop,
            enforced: true,
            origin,
            rule: None,
            bytes: Vec::new(),
            length: 60,
        }
    }

    fn headers(source: &str, protocol: u8) -> Headers {
        Headers {
            source: source.parse().unwrap(),
            destination: "192.0.2.1".parse().unwrap(),
            protocol: Some(protocol),
            ports: None,
        }
    }

    fn text(coloured: bool) -> Text {
        Text {
            zone: TimeZone::UTC,
            ..Text::new(coloured)
        }
    }

    #[test]
    fn a_column_is_as_wide_as_what_was_widest_in_it() {
        let mut output = Vec::new();
        let mut text = text(false);
        let rejected = Event {
            verdict: Verdict::Reject,
            rule: Some(2),
            ..event(Some(Origin::Country(Country::CHINA)))
        };
        let long = headers("2001:db8:1234:5678::1", 58);
        for (event, headers) in [
            (&event(Some(Origin::Denied)), Some(headers("9.9.9.9", 47))),
            (&rejected, Some(long)),
            (&event(None), None),
        ] {
            text.write(&mut output, &interface(), event, headers.as_ref())
                .unwrap();
        }
        let lines = [
            "time          why        source           to         verdict     interface",
            "00:00:00.000  deny       9.9.9.9          47         drop        eth0",
            "00:00:00.000  CN         2001:db8:1234:5678::1  icmpv6     reject, rule 2  eth0",
            "00:00:00.000  malformed  -                      -          drop            eth0",
        ];
        let output = String::from_utf8(output).unwrap();
        assert_eq!(output.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn on_a_terminal_what_is_dropped_has_another_colour_than_what_would_be() {
        let shown = |coloured, enforced| {
            let mut output = Vec::new();
            let event = Event {
                enforced,
                ..event(None)
            };
            text(coloured)
                .write(&mut output, &interface(), &event, None)
                .unwrap();
            String::from_utf8(output).unwrap()
        };
        assert!(shown(true, true).contains("\u{1b}[31mdrop "));
        assert!(shown(true, false).contains("\u{1b}[33mwould drop\u{1b}[0m"));
        assert!(!shown(false, true).contains('\u{1b}'));
    }
}
