//! The sample of packets that drop, from which sources and ports are estimated.

use std::{collections::BTreeMap, iter, time::Instant};

use super::{Estimates, Filter, Top};
use crate::datapath::{
    DatapathError,
    interface::Interface,
    pins::Root,
    watch::{self, Missed, Watch},
};

/// Up to how many packets are taken up at once, however fast others come meanwhile: somewhat more than there is room for.
const AT_ONCE: usize = 1_000;

/// Watches filters to estimate who sends most of what they drop. Ends when it is dropped.
pub struct Sampling {
    rate: u32,
    /// By the index of the interface.
    watched: BTreeMap<u32, Watched>,
}

struct Watched {
    watch: Watch,
    /// What it had missed when it was read last.
    missed: Missed,
    read: Instant,
}

impl Sampling {
    /// Of up to so many packets a second of each filter.
    #[must_use]
    pub const fn new(rate: u32) -> Self {
        Self {
            rate,
            watched: BTreeMap::new(),
        }
    }

    /// Watches the filters that are there, and leaves those that are not. Where that cannot be done the filter says why: perhaps
    /// it can the next time.
    pub fn follow(&mut self, root: &Root, top: &mut Top) {
        let mut before = std::mem::take(&mut self.watched);
        for filter in &mut top.filters {
            let interface = &filter.running.interface;
            let watched = before.remove(&interface.index);
            match self.go_on(root, interface, watched) {
                Ok(watched) => {
                    filter.unsampled = None;
                    self.watched.insert(interface.index, watched);
                }
                Err(error) => filter.unsampled = Some(error.to_string()),
            }
        }
    }

    /// Goes on with a watch, if it is still of the filter on that interface; else begins another one.
    fn go_on(
        &self,
        root: &Root,
        interface: &Interface,
        watched: Option<Watched>,
    ) -> Result<Watched, DatapathError> {
        match watched {
            Some(watched) if watched.watch.is_of(root, interface)? => Ok(watched),
            ended => {
                // Before another one begins: only one can watch.
                drop(ended);
                Ok(Watched {
                    watch: watch::begin(root, interface, self.rate)?,
                    missed: Missed::default(),
                    read: Instant::now(),
                })
            }
        }
    }

    /// Takes up what has been seen since the last time. To be called several times a second: there is room for some hundred
    /// packets.
    ///
    /// # Errors
    ///
    /// When the kernel does not say what was missed.
    pub fn read(&mut self, top: &mut Top) -> Result<(), DatapathError> {
        for Filter {
            running, estimates, ..
        } in &mut top.filters
        {
            if let Some(watched) = self.watched.get_mut(&running.interface.index) {
                watched.read_into(estimates)?;
            }
        }
        Ok(())
    }
}

impl Watched {
    fn read_into(&mut self, estimates: &mut Estimates) -> Result<(), DatapathError> {
        let events = iter::from_fn(|| self.watch.next_event());
        let events: Vec<_> = events.take(AT_ONCE).collect();
        let missed = self.watch.missed()?;
        let before = std::mem::replace(&mut self.missed, missed);
        let left_out = missed.left_out.saturating_sub(before.left_out);
        let lost = missed.lost.saturating_sub(before.lost);
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut self.read, now);
        estimates.add(elapsed, &events, left_out + lost);
        Ok(())
    }
}
