//! `geodrop watch`: what is dropped, as it comes.

mod capture;
mod output;
mod text;
mod wanted;

use std::{
    collections::BTreeSet, future, path::PathBuf, process::ExitCode, task::Poll, time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use geodrop::datapath::{
    interface::Interface,
    pins::Root,
    status,
    watch::{self, Arrivals, Watch},
};
use tokio::{
    runtime::Runtime,
    time::{Instant, Interval, sleep_until},
};

use self::{
    output::{Output, Summary},
    wanted::Wanted,
};
use super::{PinOptions, is_broken_pipe, options, signals::Signals, time, warn};

/// How often to look which filters there are.
const LOOK: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  sudo geodrop watch                                all filters, up to 100 packets a second of each
  sudo geodrop watch -i eth0 --country CN --port 22
  sudo geodrop watch --proto udp --for 10s --json | jq -r .source | sort | uniq -c
  sudo geodrop watch --count 1000 --pcap dropped.pcapng
  sudo geodrop watch --pcap - | wireshark -k -i -   the same live";

const JSON: &str = r#"JSON, an object a line:
  {"time", "interface",
   "verdict",                             "drop" or "reject"
   "enforced",                            false: it passed, for the policy only counts (or held back until its day)
   "reason", "country",                   "country"; or "unknown", "deny", "malformed" and null
   "rule",                                which of the [[rules]] was against it, from 1 on; null for the country rule
   "source", "destination",               null if malformed
   "protocol",                            "tcp", "udp", "icmp", "icmpv6", the number of another; null if unreadable
   "source_port", "port",                 null where there are none
   "bytes"}                               of the whole frame
the last: {"summary": {"shown", "filtered", "left_out", "lost"}}"#;

/// Show packets that are dropped, as they come
///
/// Or would be, of a policy that only counts. The kernel hands over so many a second of each filter, as --rate says, and counts
/// those that it leaves out, and those that come faster than they are read: it never waits, and no packet does. Filters
/// (--country and the like) choose among what was handed over. How many packets were left out is said at the end.
///
/// It goes on when a filter is replaced, and ends with Ctrl-C, or when no filter is left (exit status 1). Packets that pass cost
/// nothing, and those that drop next to nothing while nobody watches.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Arguments {
    /// Watch the filters on these interfaces [default: all, also those that come later]
    #[arg(short, long, value_name = "IFACE", value_delimiter = ',', num_args = 1..)]
    interface: Vec<String>,

    /// Up to how many packets a second, of each filter
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,

    #[command(flatten)]
    wanted: wanted::Options,

    /// End after so many packets
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after this time (like 10s)
    #[arg(long = "for", value_name = "TIME", value_parser = time::parse)]
    time: Option<Duration>,

    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,

    /// Write the first 128 bytes of each packet to this file (pcapng, which Wireshark opens), with the verdict as a comment; -:
    /// to standard output, in place of lines
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,

    #[command(flatten)]
    pins: PinOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let wanted = arguments.wanted.resolve()?;
    let output = Output::of(arguments.json, arguments.pcap.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    let mut events = runtime.block_on(async { Events::new(arguments.time) })?;
    let root = arguments.pins.root();
    let mut session = Session {
        arguments,
        root: &root,
        runtime: &runtime,
        wanted,
        output,
        watched: Vec::new(),
        refused: BTreeSet::new(),
        summary: Summary::default(),
    };
    for interface in options::filtered(&root, &arguments.interface)? {
        session.begin(interface)?;
    }
    session.say_what();
    let is_left = match session.go_on(&mut events) {
        // Nobody reads what is shown any more, a summary neither, but there may be a person yet.
        Err(error) if is_broken_pipe(&error) => {
            session.stop()?;
            session.summary.tell();
            return Ok(ExitCode::SUCCESS);
        }
        result => result?,
    };
    session.stop()?;
    session.show()?;
    session.output.end(&session.summary)?;
    if is_left {
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::bail!("no filter is left to be watched; `geodrop attach -i IFACE` attaches one")
}

/// What a session waits for.
struct Events {
    signals: Signals,
    look: Interval,
    end: Option<Instant>,
}

enum Event {
    /// It is to end.
    End,
    /// It is time to look which filters there are.
    Look,
    /// Packets have come.
    Packets,
}

impl Events {
    /// To be called in an event loop.
    fn new(time: Option<Duration>) -> anyhow::Result<Self> {
        Ok(Self {
            signals: Signals::new(false)?,
            look: time::interval(LOOK),
            // An end that no clock reaches is none.
            end: time.and_then(|time| Instant::now().checked_add(time)),
        })
    }

    async fn next(&mut self, watched: &[Watched]) -> Event {
        tokio::select! {
            _ = self.signals.next() => Event::End,
            () = at(self.end) => Event::End,
            _ = self.look.tick() => Event::Look,
            () = packets(watched) => Event::Packets,
        }
    }
}

/// Waits for an instant; without one, for ever.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => future::pending().await,
    }
}

/// Waits for packets of any filter.
async fn packets(watched: &[Watched]) {
    future::poll_fn(|context| {
        let mut ready = Poll::Pending;
        // Each one, for each has to know who waits.
        for one in watched {
            if one.arrivals.poll(context).is_ready() {
                ready = Poll::Ready(());
            }
        }
        ready
    })
    .await;
}

/// A filter that is watched.
struct Watched {
    interface: Interface,
    watch: Watch,
    arrivals: Arrivals,
}

/// A command under way.
struct Session<'a> {
    arguments: &'a Arguments,
    root: &'a Root,
    runtime: &'a Runtime,
    wanted: Wanted,
    output: Output,
    watched: Vec<Watched>,
    /// The interfaces whose filters came later and cannot be watched.
    refused: BTreeSet<u32>,
    summary: Summary,
}

impl Session<'_> {
    fn begin(&mut self, interface: Interface) -> anyhow::Result<()> {
        let watch = watch::begin(self.root, &interface, self.arguments.rate)?;
        let arrivals = self.runtime.block_on(async { watch.arrivals() })?;
        self.watched.push(Watched {
            interface,
            watch,
            arrivals,
        });
        Ok(())
    }

    /// Says what is watched, which may say nothing for long.
    fn say_what(&self) {
        let names = self.watched.iter().map(|one| &*one.interface.name);
        let (names, rate) = (names.collect::<Vec<_>>().join(", "), self.arguments.rate);
        warn(format_args!(
            "watching {names}, up to {rate} packets a second of each"
        ));
    }

    /// Shows what comes, until it is to end; whether a filter is left then.
    fn go_on(&mut self, events: &mut Events) -> anyhow::Result<bool> {
        while self.show()? {
            // What is done about an event asks the kernel things that take event loops of their own.
            match self.runtime.block_on(events.next(&self.watched)) {
                Event::End => break,
                Event::Packets => {}
                Event::Look => self.look()?,
            }
            if self.watched.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether so many were shown as were asked for.
    fn is_enough(&self) -> bool {
        self.arguments.count == Some(self.summary.shown)
    }

    /// Shows what has come by now; whether there is room for more.
    fn show(&mut self) -> anyhow::Result<bool> {
        if self.is_enough() {
            return Ok(false);
        }
        for Watched {
            interface, watch, ..
        } in &mut self.watched
        {
            while let Some(event) = watch.next_event() {
                let headers = event.headers();
                if !self.wanted.has(&event, headers.as_ref()) {
                    self.summary.filtered += 1;
                    continue;
                }
                self.output.show(interface, &event, headers.as_ref())?;
                self.summary.shown += 1;
                if self.arguments.count == Some(self.summary.shown) {
                    return Ok(false);
                }
            }
        }
        self.output.flush()?;
        Ok(true)
    }

    /// Looks which filters there are.
    fn look(&mut self) -> anyhow::Result<()> {
        let filtered = status::filtered(self.root)?;
        let mut gone = Vec::new();
        for (place, one) in self.watched.iter_mut().enumerate() {
            let is_it = |other: &&Interface| other.index == one.interface.index;
            let is_there = match filtered.iter().find(is_it) {
                Some(interface) => {
                    one.interface.clone_from(interface);
                    one.watch.is_of(self.root, interface)?
                }
                None => false,
            };
            if !is_there {
                one.watch.stop();
                gone.push(place);
            }
        }
        // The last packets of those that have gone, too.
        self.show()?;
        for place in gone.into_iter().rev() {
            let one = self.watched.remove(place);
            self.summary.add(&one.watch)?;
            let name = &one.interface.name;
            warn(format_args!("{name}: the filter was taken off"));
        }
        for interface in filtered {
            self.take_up(interface);
        }
        Ok(())
    }

    /// Watches a filter too, if it came later, and is to be.
    fn take_up(&mut self, interface: Interface) {
        let names = &self.arguments.interface;
        let is_meant = names.is_empty() || names.contains(&interface.name);
        let is_watched = |one: &Watched| one.interface.index == interface.index;
        if !is_meant
            || self.watched.iter().any(is_watched)
            || self.refused.contains(&interface.index)
        {
            return;
        }
        let (name, index) = (interface.name.clone(), interface.index);
        match self.begin(interface) {
            Ok(()) => warn(format_args!(
                "{name}: watching the filter that was attached"
            )),
            Err(error) => {
                self.refused.insert(index);
                warn(format_args!("{}", super::describe(&error)));
            }
        }
    }

    /// Ends all watches, and counts what they missed.
    fn stop(&mut self) -> anyhow::Result<()> {
        for one in &mut self.watched {
            one.watch.stop();
            self.summary.add(&one.watch)?;
        }
        Ok(())
    }
}
