//! Trials: a generation that gives way to the one before it unless somebody confirms it in time.
//!
//! The kernel judges by itself: the program of a generation on trial looks at the deadline in its control map, and once that
//! has passed it hands every packet on to its predecessor by a tail call, or lets it pass where there was none. So the
//! filter goes back also when every process has died. What is left to userspace is to tidy up: the next command that
//! changes a place, or the process that looks after it, puts the predecessor's own program back under the link.
//!
//! ```text
//! generation-7/                 the predecessor
//! generation-8/                 under the link
//!   predecessor                 a program array that holds the program of generation 7, or nothing
//!   control                     the deadline; 0 once it is confirmed
//! ```

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    time::Duration,
};

use super::{
    about::About,
    brief::Turn,
    clock, control, egress,
    error::DatapathError,
    filter::Filter,
    interface::Interface,
    link::Link,
    pins::{GenerationPins, Place, Root, remove_pin},
    privileges, sys,
};

/// A trial of the generation that is under the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// How long it goes on; `None` if it is over, so that what was in force before is in force again.
    pub left: Option<Duration>,
    /// The generation before it; `None` if there was no filter.
    pub before: Option<u64>,
    /// Whether the process that began it was to look after it.
    pub attended: bool,
}

impl Trial {
    /// Whether all passes: it is over, and there was no filter before.
    #[must_use]
    pub const fn has_lapsed(&self) -> bool {
        self.left.is_none() && self.before.is_none()
    }
}

/// What became of a trial that nobody confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The generation before is in force again.
    Restored(u64),
    /// There was no filter before, and there is none now.
    Detached,
}

/// Why there is no trial, or no end to one.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The filter is on trial already.
    #[error(
        "the filter on {interface} is on trial already; keep it with `geodrop confirm -i {interface}`, wait for the trial \
         to end, or leave out --confirm, which puts the new filter in its place for good"
    )]
    OnTrial {
        /// The interface.
        interface: String,
    },

    /// Nothing is on trial.
    #[error("no filter on {interface} is on trial; `geodrop status` shows what is in force")]
    NotOnTrial {
        /// The interface.
        interface: String,
    },

    /// A trial is over.
    #[error(
        "too late: the trial on {interface} is over, and {what}; attach or reload again, with a longer --confirm"
    )]
    TooLate {
        /// The interface.
        interface: String,
        /// What is in force now.
        what: String,
    },

    /// The kernel cannot go back to the filter that is there.
    #[error(
        "the kernel would not go back to the filter that is there: {source}; another version of geodrop attached it: \
         attach once without --confirm"
    )]
    NoWayBack {
        /// What the kernel said.
        source: io::Error,
    },
}

/// What is pinned of a trial.
#[derive(Debug)]
struct Pinned {
    link: Link,
    /// The generation under the link.
    pins: GenerationPins,
    /// When it gives way; 0 if it was confirmed, and not all is tidied up.
    until: u64,
    /// The id of its predecessor's program.
    predecessor: Option<u32>,
}

impl Pinned {
    /// What there is at a place.
    fn at(place: &Place) -> Result<Option<Self>, DatapathError> {
        let Some(link) = Link::open(&place.link())? else {
            return Ok(None);
        };
        let Some(pins) = place.generation_of(link.info()?.program)? else {
            return Ok(None);
        };
        let path = pins.predecessor();
        let predecessor = match sys::object::open_pin(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            array => array.and_then(|array| sys::map::program_of(array.as_fd())),
        };
        let predecessor = predecessor.map_err(DatapathError::pin("reading", path))?;
        let until = control::read_pinned(&pins.control())?.trial_until;
        Ok(Some(Self {
            link,
            pins,
            until,
            predecessor,
        }))
    }

    /// As [`Trial`], unless it was confirmed.
    fn trial(&self, place: &Place) -> Result<Option<Trial>, DatapathError> {
        if self.until == 0 {
            return Ok(None);
        }
        let before = match self.predecessor {
            Some(program) => place.generation_of(program)?.map(|pins| pins.number),
            None => None,
        };
        Ok(Some(Trial {
            left: clock::until(self.until),
            before,
            attended: About::read(&self.pins.about())?.attended,
        }))
    }

    /// Removes what only a trial needs, after it was confirmed.
    fn tidy(&self, place: &Place) -> Result<(), DatapathError> {
        if let Some(program) = self.predecessor
            && let Some(before) = place.generation_of(program)?
        {
            before.remove()?;
        }
        if !self.pins.egress().exists() {
            egress::detach(place)?;
        }
        remove_pin(&self.pins.predecessor())
    }

    /// Makes for good what the kernel does since the deadline. Returns `None` if there is nothing to put back: then the
    /// kernel goes on as it does.
    fn end(self, place: &Place) -> Result<Option<Ended>, DatapathError> {
        let Some(program) = self.predecessor else {
            self.link.detach()?;
            egress::detach(place)?;
            place.clear()?;
            return Ok(Some(Ended::Detached));
        };
        let Some(before) = place.generation_of(program)? else {
            return Ok(None);
        };
        if self.link.info()?.interface == 0 {
            // The interface has gone, or a detach that was killed has severed the link: no packet meets anything.
            return Ok(None);
        }
        let path = before.program();
        let program = sys::object::open_pin(&path).map_err(DatapathError::pin("opening", path))?;
        egress::restore(place, &before)?;
        self.link.replace(program.as_fd())?;
        self.pins.remove()?;
        Ok(Some(Ended::Restored(before.number)))
    }
}

/// The trial at a place. Changes nothing.
pub(super) fn read(place: &Place) -> Result<Option<Trial>, DatapathError> {
    Pinned::at(place)?.map_or(Ok(None), |pinned| pinned.trial(place))
}

/// Lets a trial begin as soon as the program is under the link: from now on so long, and after that `before` is to be
/// run. The caller has the place's [`Turn`].
pub(super) fn begin(
    pins: &GenerationPins,
    time: Duration,
    before: Option<BorrowedFd<'_>>,
) -> Result<(), DatapathError> {
    if let Some(program) = before {
        let array = pins.predecessor();
        sys::object::open_pin(&array)
            .and_then(|array| sys::map::set_program(array.as_fd(), program))
            .map_err(|source| TrialError::NoWayBack { source })?;
    }
    control::change_pinned(&pins.control(), |control| {
        control.trial_until = clock::in_time(time);
    })
}

/// Makes for good what the kernel does since a deadline has passed, and removes what is left of a trial that was
/// confirmed. The caller holds the place's lock.
pub(super) fn settle(place: &Place) -> Result<Option<Ended>, DatapathError> {
    if Link::open(&place.link())?.is_none() {
        return Ok(None);
    }
    let _turn = Turn::at(place)?;
    match Pinned::at(place)? {
        None => Ok(None),
        Some(pinned) if pinned.until == 0 => {
            pinned.tidy(place)?;
            Ok(None)
        }
        Some(pinned) if clock::until(pinned.until).is_some() => Ok(None),
        Some(pinned) => pinned.end(place),
    }
}

/// The same, unless somebody looks after the place, who will do it.
pub(super) fn settle_if_free(place: &Place, interface: &Interface) -> Result<(), DatapathError> {
    let unsettled = Pinned::at(place)?.is_some_and(|pinned| clock::until(pinned.until).is_none());
    if !unsettled {
        return Ok(());
    }
    match place.lock(interface) {
        Ok(_lock) => settle(place).map(drop),
        Err(DatapathError::Owned { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The trial of the filter on an interface.
///
/// # Errors
///
/// When the pins may not be read.
pub fn of(root: &Root, interface: &Interface) -> Result<Option<Trial>, DatapathError> {
    read(&root.place(interface)?)
}

/// Keeps a generation that is on trial, and removes the one before it.
///
/// # Errors
///
/// [`TrialError::NotOnTrial`]; [`TrialError::TooLate`] if the deadline has passed: what was in force before then is.
pub fn confirm(root: &Root, interface: &Interface) -> Result<(), DatapathError> {
    privileges::check()?;
    let name = || interface.name.clone();
    let place = root.place(interface)?;
    let not_on_trial = || DatapathError::from(TrialError::NotOnTrial { interface: name() });
    if !place.link().exists() {
        return Err(not_on_trial());
    }
    let turn = Turn::at(&place)?;
    let pinned = Pinned::at(&place)?.ok_or_else(not_on_trial)?;
    if pinned.until == 0 {
        return Err(not_on_trial());
    }
    if clock::until(pinned.until).is_none() {
        let what = match pinned.trial(&place)?.and_then(|trial| trial.before) {
            Some(number) => format!("the filter before, generation {number}, is in force again"),
            None => "all traffic passes, as before".to_owned(),
        };
        drop(turn);
        settle_if_free(&place, interface)?;
        return Err(TrialError::TooLate {
            interface: name(),
            what,
        }
        .into());
    }
    control::change_pinned(&pinned.pins.control(), |control| control.trial_until = 0)?;
    // It is confirmed. What cannot be removed now, the next command removes.
    let _ = pinned.tidy(&place);
    Ok(())
}

impl Filter {
    /// Its trial, if it was neither confirmed nor settled.
    ///
    /// # Errors
    ///
    /// When the pins cannot be read.
    pub fn trial(&self) -> Result<Option<Trial>, DatapathError> {
        read(&self.place)
    }

    /// Whether it is on trial, and that is not over.
    ///
    /// # Errors
    ///
    /// When the pins cannot be read.
    pub fn is_on_trial(&self) -> Result<bool, DatapathError> {
        Ok(self.trial()?.is_some_and(|trial| trial.left.is_some()))
    }

    /// Makes for good what the kernel does since a trial was over. Returns what that is, once.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; it goes on as it does, and this may be tried again.
    pub fn settle(&self) -> Result<Option<Ended>, DatapathError> {
        settle(&self.place)
    }
}
