//! Watching a filter: the packets that it drops, or would drop, as they come.
//!
//! Four maps stand in a directory of the interface's place, so that a watch goes on when the filter is replaced: what the
//! watcher wants to see, how much it has seen lately, the ring buffer of what was seen, and how many packets were not told of. The watcher says until when
//! it wants that, and says so anew each second: one that died costs nothing a moment later, and leaves nothing to be tidied
//! up. It holds an flock(2) on the directory, for two watchers would take events away from each other.

mod event;

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::Duration,
};

use aya::maps::{Map, MapData, PerCpuArray, RingBuf};
use geodrop_common::rate_limit::{Bucket, Rate};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    clock,
    error::DatapathError,
    interface::Interface,
    layout::Layout,
    pins::{Root, WatchPins},
    privileges, status, sys,
};

pub use event::{Event, Headers};
pub use geodrop_common::{transport::Ports, watch::Missed};

/// The maps of the kernel object.
pub(super) const CELL: &str = "WATCH";
pub(super) const BUCKET: &str = "WATCH_BUCKET";
pub(super) const EVENTS: &str = "WATCH_EVENTS";
pub(super) const MISSED: &str = "WATCH_MISSED";

/// How often a watcher says that it is there.
const RENEWAL: Duration = Duration::from_secs(1);

/// For how long the kernel believes it.
const LEASE: Duration = Duration::from_secs(3);

/// Why a filter cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Somebody watches it already.
    #[error(
        "{owner} watches the filter on {interface} already, and one can at a time; end that, or watch other interfaces with -i"
    )]
    Watched {
        /// The interface.
        interface: String,
        /// Who watches it, as words for a person.
        owner: String,
    },

    /// The filter tells nobody of packets.
    #[error(
        "the filter on {interface} was attached by a version of geodrop that could not be watched; attach it anew with `geodrop \
         attach`, which replaces it in one step"
    )]
    NotWatchable {
        /// The interface.
        interface: String,
    },
}

/// A watch over one filter, from now until it is dropped.
pub struct Watch {
    events: RingBuf<MapData>,
    missed: PerCpuArray<MapData, [u64; 2]>,
    /// What had been missed when it began.
    before: Missed,
    ids: [u32; 4],
    // Before the lock: nobody else is to begin while this one still says what it wants.
    keeper: Keeper,
    _lock: Option<File>,
}

/// Watches the filter on an interface, to see so many packets a second at most.
///
/// # Errors
///
/// [`DatapathError::NotAttached`] where there is no filter; [`WatchError`].
pub fn begin(root: &Root, interface: &Interface, rate: u32) -> Result<Watch, DatapathError> {
    privileges::check()?;
    if status::in_force(root, interface)?.is_none() {
        return Err(DatapathError::NotAttached {
            interface: interface.name.clone(),
        });
    }
    let pins = root.place(interface)?.watch();
    if !pins.events.exists() {
        return Err(WatchError::NotWatchable {
            interface: interface.name.clone(),
        }
        .into());
    }
    let lock = pins.lock(interface)?;
    Watch::of(Maps::open(&pins)?, rate, Some(lock))
}

/// The maps of a watch.
pub(super) struct Maps {
    pub(super) cell: MapData,
    pub(super) bucket: MapData,
    pub(super) events: MapData,
    pub(super) missed: MapData,
}

impl Maps {
    fn open(pins: &WatchPins) -> Result<Self, DatapathError> {
        Ok(Self {
            cell: Layout::WATCH.open(&pins.cell)?,
            bucket: Layout::WATCH_BUCKET.open(&pins.bucket)?,
            events: Layout::WATCH_EVENTS.open(&pins.events)?,
            missed: Layout::WATCH_MISSED.open(&pins.missed)?,
        })
    }

    fn ids(&self) -> Result<[u32; 4], DatapathError> {
        let mut ids = [0; 4];
        let maps = [&self.cell, &self.bucket, &self.events, &self.missed];
        for (id, map) in ids.iter_mut().zip(maps) {
            *id = map.info().map_err(DatapathError::map(CELL))?.id();
        }
        Ok(ids)
    }
}

impl Watch {
    pub(super) fn of(maps: Maps, rate: u32, lock: Option<File>) -> Result<Self, DatapathError> {
        let ids = maps.ids()?;
        let keeper = Keeper::new(&maps.cell, rate)?;
        set(maps.bucket.fd().as_fd(), &[Bucket::default().busy_until_ns])?;
        let events = Map::RingBuf(maps.events);
        let mut events: RingBuf<_> = events.try_into().map_err(DatapathError::map(EVENTS))?;
        let missed = Map::PerCpuArray(maps.missed);
        let missed = missed.try_into().map_err(DatapathError::map(MISSED))?;
        // What another one saw, and did not read.
        while events.next().is_some() {}
        let mut watch = Self {
            before: read_missed(&missed)?,
            events,
            missed,
            ids,
            keeper,
            _lock: lock,
        };
        watch.keeper.start()?;
        Ok(watch)
    }

    /// The next packet that was seen; `None` if there is none yet.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            let bytes = self.events.next()?;
            if let Some(event) = Event::of(&bytes, clock::Clocks::read()) {
                return Some(event);
            }
        }
    }

    /// What tells that there are events. To be called in an event loop of tokio's.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn arrivals(&self) -> Result<Arrivals, DatapathError> {
        let registered = self.events.as_fd().try_clone_to_owned().and_then(|events| {
            // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives.
            let events = unsafe { AsyncFd::register_with_interest(events, Interest::READABLE) };
            events.map_err(|error| error.into_parts().1)
        });
        let registered = registered.map_err(DatapathError::system("waiting for packets"));
        registered.map(Arrivals)
    }

    /// Ends it: what was seen by now, and what was missed, can still be read.
    pub fn stop(&mut self) {
        self.keeper.stop();
    }

    /// How many packets were not told of since it began, on all CPUs together.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn missed(&self) -> Result<Missed, DatapathError> {
        let now = read_missed(&self.missed)?;
        Ok(Missed {
            left_out: now.left_out.wrapping_sub(self.before.left_out),
            lost: now.lost.wrapping_sub(self.before.lost),
        })
    }

    /// Whether what the filter on an interface tells comes here: not if it was detached since, and another one attached.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be told.
    pub fn is_of(&self, root: &Root, interface: &Interface) -> Result<bool, DatapathError> {
        let maps = Maps::open(&root.place(interface)?.watch());
        Ok(maps
            .and_then(|maps| maps.ids())
            .is_ok_and(|ids| ids == self.ids))
    }
}

/// Tells that a watch has events.
#[derive(Debug)]
pub struct Arrivals(AsyncFd<OwnedFd>);

impl Arrivals {
    /// Ready when events have come since it was the last time: take them all then. To be called in an event loop of tokio's.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.0.poll_read_ready(context) {
            Poll::Ready(Ok(mut ready)) => {
                ready.clear_ready();
                Poll::Ready(())
            }
            // The event loop has ended, and nobody waits any more.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

/// How many packets were not told to watchers of a filter since it was attached; `None` if it cannot be watched.
pub(super) fn missed(pins: &WatchPins) -> Result<Option<Missed>, DatapathError> {
    // Not there, or another version's.
    let Ok(map) = Layout::WATCH_MISSED.open(&pins.missed) else {
        return Ok(None);
    };
    let map = Map::PerCpuArray(map);
    let map = map.try_into().map_err(DatapathError::map(MISSED))?;
    read_missed(&map).map(Some)
}

fn read_missed(map: &PerCpuArray<MapData, [u64; 2]>) -> Result<Missed, DatapathError> {
    let counts = map.get(&0, 0).map_err(DatapathError::map(MISSED))?;
    Ok(counts
        .iter()
        .fold(Missed::default(), |sum, [left_out, lost]| Missed {
            left_out: sum.left_out.wrapping_add(*left_out),
            lost: sum.lost.wrapping_add(*lost),
        }))
}

/// Says again and again that a watcher is there, in a thread of its own: one that waits for its output to be read is to have
/// what comes meanwhile counted.
struct Keeper {
    cell: OwnedFd,
    rate: Rate,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Keeper {
    /// Nobody watches yet.
    fn new(cell: &MapData, rate: u32) -> Result<Self, DatapathError> {
        let cell = cell.fd().as_fd().try_clone_to_owned();
        let keeper = Self {
            cell: cell.map_err(DatapathError::system("opening map WATCH anew"))?,
            // A second's worth at once: packets do not come evenly.
            rate: Rate::per_second(rate, rate),
            thread: None,
        };
        ask(&keeper.cell, keeper.rate, 0)?;
        Ok(keeper)
    }

    fn start(&mut self) -> Result<(), DatapathError> {
        let failed = || DatapathError::system("starting a watch");
        let cell = self.cell.try_clone().map_err(failed())?;
        let rate = self.rate;
        ask(&cell, rate, clock::in_time(LEASE))?;
        let (end, ended) = channel();
        let renew = move || {
            while ended.recv_timeout(RENEWAL) == Err(RecvTimeoutError::Timeout) {
                // It has worked before, and if it does no more, the next second's may.
                let _ = ask(&cell, rate, clock::in_time(LEASE));
            }
        };
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(renew);
        self.thread = Some((end, thread.map_err(failed())?));
        Ok(())
    }

    fn stop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            // It cannot panic, and if it did, nothing would be left to do.
            let _ = thread.join();
            // If that fails, the kernel forgets it all the same.
            let _ = ask(&self.cell, self.rate, 0);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks to see so many packets until an instant; at zero, none.
fn ask(cell: &OwnedFd, rate: Rate, until: u64) -> Result<(), DatapathError> {
    set(cell.as_fd(), &[until, rate.interval_ns, rate.burst_ns])
}

/// Writes the words of a map's only element.
fn set(map: BorrowedFd<'_>, words: &[u64]) -> Result<(), DatapathError> {
    sys::map::update(map, &0_u32.to_ne_bytes(), bytemuck::cast_slice(words))
        .map_err(DatapathError::system("writing what a watcher wants to see"))
}
