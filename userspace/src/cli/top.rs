//! `geodrop top`: what filters do, on the whole screen.

mod busiest;
mod choices;
mod countries;
mod head;
mod looks;
mod screen;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use crossterm::event::{Event as Input, EventStream, KeyEvent, KeyEventKind};
use futures_util::StreamExt as _;
use geodrop::{
    datapath::{pins::Root, status::Status},
    top::{Sampling, Top},
    warnings,
};
use jiff::Timestamp;
use tokio::time::Interval;

use self::{
    choices::{Choices, Wish},
    looks::Looks,
    screen::View,
    terminal::Terminal,
};
use super::{PinOptions, Usage, options, signals::Signals, time};

/// How often to take up packets that were seen: before there are more than there is room for.
const READING: Duration = Duration::from_millis(100);

/// Show what filters drop and let pass, on the whole screen
///
/// Packets and bits a second, blocked and passed, and by country with their history (what passes by country only under
/// `count = "all"`); below that who sends most of what is blocked, and to which ports. These are estimates, from a sample of
/// packets that the kernel hands over as for `geodrop watch`; while that is at work on the same interface, they are left out.
///
/// Filters may be replaced, come and go meanwhile. Press ? for the keys.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop top
  sudo geodrop top -i eth0 --interval 5s
  NO_COLOR=1 sudo -E geodrop top             without colours
  geodrop status --json                      the same numbers for scripts")]
pub(super) struct Arguments {
    /// Show the filters on these interfaces [default: all]
    #[arg(short, long, value_name = "IFACE", value_delimiter = ',', num_args = 1..)]
    interface: Vec<String>,

    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,

    /// Up to how many blocked packets a second to look at, of each filter, to estimate who sends most
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,

    #[command(flatten)]
    pins: PinOptions,
}

fn interval(text: &str) -> Result<Duration, Usage> {
    let interval = time::parse(text)?;
    if (READING..=Duration::from_hours(1)).contains(&interval) {
        Ok(interval)
    } else {
        Err(Usage(format!("`{text}` is not between 100ms and 1h")))
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    terminal::check()?;
    let interfaces = options::interfaces(&arguments.interface)?;
    let mut session = Session {
        root: arguments.pins.root(),
        interfaces: interfaces.into_iter().map(|one| one.name).collect(),
        top: Top::default(),
        sampling: Sampling::new(arguments.rate),
        choices: Choices::new(arguments.interval),
        frozen: None,
    };
    // What cannot be read is said before the screen is taken.
    session.look()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    let mut events = runtime.block_on(async { Events::new(arguments.interval) })?;
    let looks = Looks::of_terminal();
    let mut terminal = Terminal::enter()?;
    loop {
        let (top, choices) = (session.shown(), &session.choices);
        let now = Timestamp::now();
        let view = View {
            top,
            choices,
            looks,
            now,
        };
        let drawn = terminal.0.draw(|frame| screen::draw(frame, &view));
        drawn.context("drawing on the terminal")?;
        // What is done about an event asks the kernel things that take event loops of their own.
        let event = loop {
            match runtime.block_on(events.next())? {
                Event::Packets => session.sampling.read(&mut session.top)?,
                event => break event,
            }
        };
        let wish = match event {
            Event::End => Wish::Quit,
            Event::Look => {
                session.look()?;
                Wish::Show
            }
            Event::Key(key) => session.press(key),
            Event::Packets | Event::Resize => Wish::Show,
        };
        match wish {
            Wish::Show => {}
            Wish::Redraw => terminal.0.clear().context("drawing on the terminal")?,
            Wish::Interval => {
                let interval = session.choices.interval;
                runtime.block_on(async { events.look_every(interval) });
            }
            Wish::Quit => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// A command under way.
struct Session {
    root: Root,
    /// The names of those that are shown; none for all.
    interfaces: Vec<String>,
    top: Top,
    sampling: Sampling,
    choices: Choices,
    /// What is shown while it is paused.
    frozen: Option<Top>,
}

impl Session {
    /// Looks what filters there are, and what they have counted.
    fn look(&mut self) -> anyhow::Result<()> {
        let mut status = Status::read(&self.root)?;
        if !self.interfaces.is_empty() {
            let names = &self.interfaces;
            status
                .running
                .retain(|running| names.contains(&running.interface.name));
        }
        status.warnings = warnings::all(&status, Timestamp::now());
        self.top.sample(Instant::now(), status);
        self.sampling.follow(&self.root, &mut self.top);
        Ok(())
    }

    fn shown(&self) -> &Top {
        self.frozen.as_ref().unwrap_or(&self.top)
    }

    fn press(&mut self, key: KeyEvent) -> Wish {
        let shown = self.frozen.as_ref().unwrap_or(&self.top);
        let wish = self.choices.press(key, shown);
        match (self.choices.paused, &self.frozen) {
            (true, None) => self.frozen = Some(self.top.clone()),
            (false, Some(_)) => self.frozen = None,
            _ => {}
        }
        wish
    }
}

/// What a session waits for.
struct Events {
    signals: Signals,
    input: EventStream,
    look: Interval,
    packets: Interval,
}

enum Event {
    /// It is to end.
    End,
    /// It is time to look.
    Look,
    /// It is time to take up packets that were seen.
    Packets,
    Key(KeyEvent),
    /// The terminal has another size.
    Resize,
}

impl Events {
    /// To be called in an event loop.
    fn new(interval: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            signals: Signals::new(false)?,
            input: EventStream::new(),
            look: later(interval),
            packets: time::interval(READING),
        })
    }

    /// Looks at another interval from now on. To be called in an event loop.
    fn look_every(&mut self, interval: Duration) {
        self.look = later(interval);
    }

    async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            tokio::select! {
                _ = self.signals.next() => return Ok(Event::End),
                _ = self.look.tick() => return Ok(Event::Look),
                _ = self.packets.tick() => return Ok(Event::Packets),
                input = self.input.next() => match input {
                    Some(Ok(Input::Key(key))) if key.kind == KeyEventKind::Press => return Ok(Event::Key(key)),
                    Some(Ok(Input::Resize(..))) => return Ok(Event::Resize),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error).context("reading keys from the terminal"),
                    None => return Ok(Event::End),
                },
            }
        }
    }
}

/// Ticks that begin an interval from now. To be called in an event loop.
fn later(interval: Duration) -> Interval {
    let mut interval = time::interval(interval);
    interval.reset();
    interval
}
