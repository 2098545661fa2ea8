//! Interfaces that are not there: filters that are ready for those which appear, and return to those which come back.
//!
//! Loading and filling a generation takes longer than an interface that has just appeared should go unfiltered. So it is
//! done beforehand, without pins, for these are kept by an interface's index; what is left for the moment when the
//! interface is there is to pin it and to make a link.
//!
//! Of a filter whose interface has gone everything is still there but its links, which are dead. When the interface comes
//! back, under another index mostly, the whole place is renamed, and the program that was in force gets new links: so
//! counters, exceptions, noted flows and a trial go on.

use std::os::fd::AsFd as _;

use super::{
    about::About,
    brief::Turn,
    clock, egress,
    error::DatapathError,
    filter::{Filter, Request},
    generation::Generation,
    interface::Interface,
    link::{Link, ModeChoice},
    pins::{Root, remove_pin},
    staging::Staged,
    sys,
    tables::Tables,
};

/// A filter that is ready for an interface.
#[derive(Debug)]
pub struct Standby {
    generation: Generation,
    mode: ModeChoice,
    about: About,
}

impl Standby {
    /// Makes so many of the same kind. A trial is none of theirs.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the program, or a table cannot be filled.
    pub fn several(request: &Request<'_>, number: usize) -> Result<Vec<Self>, DatapathError> {
        if number == 0 {
            return Ok(Vec::new());
        }
        let tables = Tables::of(request.plan.ruleset, request.plan.engine)?;
        (0..number)
            .map(|_| {
                Ok(Self {
                    generation: Generation::load_with(request.plan, &tables, None)?,
                    mode: request.mode,
                    about: request.about.clone(),
                })
            })
            .collect()
    }

    /// Attaches it to an interface on which there is no filter.
    ///
    /// # Errors
    ///
    /// [`DatapathError::Filtered`] if there is one; nothing has changed then, nor after any other error.
    pub fn attach(self, root: &Root, interface: &Interface) -> Result<Filter, DatapathError> {
        root.prepare()?;
        if let Some(instant) = self.about.effective_from
            && self.generation.can_be_held_back()
        {
            // Since it was made ready the wall clock may have been set.
            self.generation.hold_back_until(clock::deadline(instant))?;
        }
        let staged = Staged::of(root, interface, self.generation, &self.about)?;
        Ok(staged.commit(self.mode)?.finish())
    }
}

impl Filter {
    /// Whether the interface has gone: nobody has taken the filter off, and it may come back.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub fn has_lost_its_interface(&self) -> Result<bool, DatapathError> {
        let Some(link) = Link::open(&self.place.link())? else {
            return Ok(false);
        };
        let info = link.info()?;
        Ok(info.id == self.link
            && info.interface == 0
            && Interface::by_index(self.interface.index)?.is_none())
    }

    /// Puts in force on an interface what was in force on the one that has gone.
    ///
    /// # Errors
    ///
    /// [`DatapathError::NotAttached`] if somebody removed what is pinned of it; otherwise when the kernel refuses, and then
    /// this may be tried again.
    pub fn return_to(
        &mut self,
        root: &Root,
        interface: &Interface,
        mode: ModeChoice,
    ) -> Result<(), DatapathError> {
        if !interface.has_ethernet_frames()? {
            return Err(DatapathError::NotEthernet {
                interface: interface.name.clone(),
            });
        }
        let place = root.place(interface)?;
        if place != self.place {
            self.place.rename(&place)?;
            self.lock = self.lock.renamed(&place)?.into();
            self.place = place;
        }
        let _turn = Turn::at(&self.place)?;
        let path = self.place.link();
        // A dead link still knows its program, which after a trial need not be the one that this process loaded.
        let in_force = match Link::open(&path)? {
            Some(link) => self.place.generation_of(link.info()?.program)?,
            None => None,
        };
        let pins = in_force.ok_or_else(|| DatapathError::NotAttached {
            interface: interface.name.clone(),
        })?;
        egress::detach(&self.place)?;
        egress::renew(&self.place, interface, &pins)?;
        let program = sys::object::open_pin(&pins.program())
            .map_err(DatapathError::pin("opening", pins.program()))?;
        let new = Link::create(program.as_fd(), interface, self.generation.hook(), mode)?;
        // Not before: it tells which program was in force.
        remove_pin(&path)?;
        self.link = new.link.info()?.id;
        new.link.pin(&path)?;
        self.interface = interface.clone();
        self.mode = new.mode;
        self.fallback = new.fallback;
        Ok(())
    }
}
