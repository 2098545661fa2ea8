//! Trials whose process has died before they were decided.
//!
//! A process that looks after filters and begins a trial is there to go on with what comes of it. Where it dies, a service
//! manager starts another one, which reads what is on trial as its configuration. To put that in force would be to keep what
//! nobody has confirmed. So it looks for such trials first, and waits.

use super::{
    error::DatapathError,
    interface::Interface,
    link::Link,
    pins::{Place, Root},
    privileges, status, trial,
};

/// A trial that a process began which looked after the filter, and does so no more.
#[derive(Debug)]
pub struct Abandoned {
    /// The interface.
    pub interface: Interface,
    place: Place,
    /// The generation on trial.
    generation: u64,
}

/// What comes of an abandoned trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody has confirmed it, and there is time left.
    Open,
    /// Somebody confirmed it.
    Kept,
    /// It is not what is in force: its time is over, or somebody put something else in its place, or nothing.
    Dropped,
}

impl Abandoned {
    /// Those of the filters that the calling thread's network namespace sees, also if their time is over.
    ///
    /// # Errors
    ///
    /// When this process may not look after filters, or the pins cannot be read.
    pub fn all(root: &Root) -> Result<Vec<Self>, DatapathError> {
        privileges::check()?;
        let mut all = Vec::new();
        for interface in status::filtered(root)? {
            let place = root.place(&interface)?;
            let Some(trial) = trial::read(&place)? else {
                continue;
            };
            if !trial.attended || place.holder().is_some() {
                continue;
            }
            if let Some(generation) = generation(&place)? {
                all.push(Self {
                    interface,
                    place,
                    generation,
                });
            }
        }
        Ok(all)
    }

    /// What has come of it. If its time is over, what the kernel does since then is made for good.
    ///
    /// # Errors
    ///
    /// When the pins may not be read.
    pub fn outcome(&self) -> Result<Outcome, DatapathError> {
        if generation(&self.place)? != Some(self.generation) {
            return Ok(Outcome::Dropped);
        }
        match trial::read(&self.place)? {
            None => Ok(Outcome::Kept),
            Some(trial) if trial.left.is_some() => Ok(Outcome::Open),
            Some(_) => {
                trial::settle_if_free(&self.place, &self.interface)?;
                Ok(Outcome::Dropped)
            }
        }
    }
}

/// The generation under the link of a place.
fn generation(place: &Place) -> Result<Option<u64>, DatapathError> {
    let Some(link) = Link::open(&place.link())? else {
        return Ok(None);
    };
    let pins = place.generation_of(link.info()?.program)?;
    Ok(pins.map(|pins| pins.number))
}
