//! What a run waits for.

use std::{future, time::Duration};

use geodrop::datapath::{clock::Steps, link_events::LinkEvents};
use tokio::time::Interval;

use super::{
    super::{
        signals::{Caught, Signals},
        time::interval,
    },
    Arguments,
};

/// How often to look whether the filter is still there.
const WATCH: Duration = Duration::from_secs(1);

/// How often to look whether a file has changed.
const POLL: Duration = Duration::from_secs(2);

/// How often to fetch what the kernel program logged.
const DRAIN: Duration = Duration::from_millis(50);

/// What there is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The run is to end.
    End,
    /// SIGHUP.
    Hangup,
    /// Something happened to interfaces.
    Interfaces,
    /// Somebody set the wall clock.
    Clock,
    /// It is time to look after the filters.
    Look,
    /// It is time to fetch the packets' log.
    Log,
    /// It is time to look at the files.
    Files,
    /// It is time to let the service manager know that this loop runs.
    Alive,
}

/// Where events come from.
pub(super) struct Events {
    signals: Signals,
    links: LinkEvents,
    clock: Steps,
    look: Interval,
    log: Interval,
    files: Option<Interval>,
    alive: Option<Interval>,
}

impl Events {
    /// Catches and collects them from now on. To be called in an event loop.
    pub(super) fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        Ok(Self {
            signals: Signals::new(arguments.filter.config().is_some())?,
            links: LinkEvents::new()?,
            clock: Steps::new()?,
            look: interval(WATCH),
            log: interval(DRAIN),
            files: arguments.watch.then(|| interval(POLL)),
            // Twice in the time after which it takes silence for death.
            alive: sd_notify::watchdog_enabled()
                .map(|time| time / 2)
                .filter(|half| !half.is_zero())
                .map(interval),
        })
    }

    /// Waits for one. Packets are logged, or they are not.
    pub(super) async fn next(&mut self, logs: bool) -> Event {
        tokio::select! {
            caught = self.signals.next() => match caught {
                Caught::End => Event::End,
                Caught::Reload => Event::Hangup,
            },
            () = self.links.next() => Event::Interfaces,
            () = self.clock.next() => Event::Clock,
            _ = self.look.tick() => Event::Look,
            _ = self.log.tick(), if logs => Event::Log,
            () = tick(self.files.as_mut()) => Event::Files,
            () = tick(self.alive.as_mut()) => Event::Alive,
        }
    }
}

/// Waits for a tick; without a clock, for ever.
async fn tick(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => future::pending().await,
    }
}
