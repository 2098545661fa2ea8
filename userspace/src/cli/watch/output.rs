//! What is shown of packets, and where.

use std::{
    io::{self, BufWriter, IsTerminal as _, Stdout, Write as _},
    net::IpAddr,
    path::Path,
};

use geodrop::{
    datapath::{
        interface::Interface,
        watch::{Event, Headers, Watch},
    },
    geoip::Country,
    policy::Verdict,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    super::{Usage, colour, protocol::protocol_name, warn, words},
    capture::Capture,
    text::Text,
};

/// Why a packet is refused: its country, if that is why, and the word for it.
pub(super) fn reason(event: &Event) -> (Option<Country>, &'static str) {
    event.origin.map_or((None, "malformed"), words::origin)
}

/// The same in one word, for a person.
pub(super) fn why(event: &Event) -> String {
    let (country, word) = reason(event);
    country.map_or_else(|| word.to_owned(), |country| country.to_string())
}

/// Where packets are shown.
pub(super) struct Output {
    standard: BufWriter<Stdout>,
    form: Form,
    capture: Option<Capture>,
}

enum Form {
    Text(Text),
    Json,
    /// Standard output has the capture.
    Nothing,
}

/// How many packets were shown, and how many not.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) shown: u64,
    /// Not shown because something else was asked for.
    pub(super) filtered: u64,
    left_out: u64,
    lost: u64,
}

impl Summary {
    /// Adds what a watch has missed.
    pub(super) fn add(&mut self, watch: &Watch) -> anyhow::Result<()> {
        let missed = watch.missed()?;
        self.left_out += missed.left_out;
        self.lost += missed.lost;
        Ok(())
    }

    /// Tells a person.
    pub(super) fn tell(&self) {
        warn(format_args!(
            "{} packets shown; not shown: {} that were not asked for, {} left out by --rate, {} that came faster than they were \
             read",
            self.shown, self.filtered, self.left_out, self.lost
        ));
    }
}

/// A packet in JSON. Scripts rely on the names.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: Timestamp,
    interface: &'a str,
    verdict: Verdict,
    enforced: bool,
    reason: &'static str,
    country: Option<Country>,
    rule: Option<u8>,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    protocol: Option<String>,
    source_port: Option<u16>,
    port: Option<u16>,
    bytes: u32,
}

impl<'a> Line<'a> {
    fn of(interface: &'a Interface, event: &Event, headers: Option<&Headers>) -> Self {
        let (country, reason) = reason(event);
        let ports = headers.and_then(|headers| headers.ports);
        Self {
            time: event.time,
            interface: &interface.name,
            verdict: event.verdict,
            enforced: event.enforced,
            reason,
            country,
            rule: event.rule,
            source: headers.map(|headers| headers.source),
            destination: headers.map(|headers| headers.destination),
            protocol: headers
                .and_then(|headers| headers.protocol)
                .map(protocol_name),
            source_port: ports.map(|ports| ports.source),
            port: ports.map(|ports| ports.destination),
            bytes: event.length,
        }
    }
}

impl Output {
    /// In lines for people or scripts, and as a capture in this file, or in their place if that is standard output.
    pub(super) fn of(json: bool, capture: Option<&Path>) -> anyhow::Result<Self> {
        let standard = io::stdout();
        let on_terminal = standard.is_terminal();
        let to_standard = capture == Some(Path::new("-"));
        let form = match (to_standard, json) {
            (true, true) => {
                return Err(Usage(
                    "--json and --pcap - both want standard output; name a file for --pcap"
                        .to_owned(),
                )
                .into());
            }
            (true, false) if on_terminal => {
                return Err(Usage(
                    "a capture is nothing for a terminal; pipe it to a program, as in `geodrop watch --pcap - | wireshark -k -i \
                     -`, or name a file"
                        .to_owned(),
                )
                .into());
            }
            (true, false) => Form::Nothing,
            (false, true) => Form::Json,
            (false, false) => Form::Text(Text::new(on_terminal && colour::is_wanted())),
        };
        Ok(Self {
            standard: BufWriter::new(standard),
            form,
            capture: capture.map(Capture::at).transpose()?,
        })
    }

    /// Shows a packet.
    pub(super) fn show(
        &mut self,
        interface: &Interface,
        event: &Event,
        headers: Option<&Headers>,
    ) -> anyhow::Result<()> {
        match &mut self.form {
            Form::Text(text) => {
                text.write(&mut self.standard, interface, event, headers)?;
            }
            Form::Json => self.object(&Line::of(interface, event, headers))?,
            Form::Nothing => {}
        }
        match &mut self.capture {
            Some(capture) => capture.add(interface, event),
            None => Ok(()),
        }
    }

    /// Hands on what was shown.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.standard.flush()?;
        match &mut self.capture {
            Some(capture) => capture.flush(),
            None => Ok(()),
        }
    }

    /// Says what was shown and what was not.
    pub(super) fn end(mut self, summary: &Summary) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Last<'a> {
            summary: &'a Summary,
        }
        if matches!(self.form, Form::Json) {
            self.object(&Last { summary })?;
        } else {
            summary.tell();
        }
        self.flush()
    }

    fn object(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.standard, object)?;
        writeln!(self.standard)
    }
}
