//! Attaching, replacing and detaching filters, on one interface or several.
//!
//! Everything that can fail is done before anything changes: each interface's generation is loaded, filled
//! and pinned first (`staging`); then the programs go under their links, and what is already done is undone
//! if one refuses; only then what the new generations replace is removed.

use std::{sync::Arc, time::Duration};

use super::{
    EgressChoice,
    about::About,
    brief::Turn,
    clock::Clocks,
    control, egress,
    error::DatapathError,
    generation::{Generation, Plan},
    interface::{Interface, Mode},
    link::{Link, ModeChoice},
    pins::{Lock, Place, Root},
    privileges,
    staging::{Committed, Staged},
    tables::Tables,
};

/// What is to be attached.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What its generations are made of.
    pub plan: Plan<'a>,
    /// In which mode, at the hook XDP.
    pub mode: ModeChoice,
    /// What is to hold the program that notes what this host begins.
    pub egress: EgressChoice,
    /// What is kept beside it, for `status`.
    pub about: About,
    /// Whether it gives way to what was there before, unless it is confirmed in this time.
    pub trial: Option<Duration>,
}

/// A filter that this process attached, and still looks after.
#[derive(Debug)]
pub struct Filter {
    /// Where it is attached.
    pub interface: Interface,
    /// In which mode it runs; `None` at the hook tcx, which has no modes.
    pub mode: Option<Mode>,
    /// Why not in native mode, if that was tried and refused.
    pub fallback: Option<String>,
    /// Why packets that answer this host's own connections do not pass, if they should and the kernel cannot.
    pub without_replies: Option<String>,
    /// Whether it took the place of one that was attached already.
    pub replaced: bool,
    /// Its program and tables.
    pub generation: Generation,
    /// For how long it is on trial, from when it was attached, if it is.
    pub trial: Option<Duration>,
    pub(super) place: Place,
    /// The id of the link that this process made or took over: whatever stands in its place later is not ours.
    pub(super) link: u32,
    pub(super) lock: Arc<Lock>,
}

impl Filter {
    /// Whether the filter is still on its interface: `detach`, a bare `rm` of its pins or the interface's end
    /// take it away.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub fn is_attached(&self) -> Result<bool, DatapathError> {
        match Link::open(&self.place.link())? {
            Some(link) => {
                let info = link.info()?;
                Ok(info.id == self.link && info.interface == self.interface.index)
            }
            None => Ok(false),
        }
    }

    /// Corrects what it holds as the instant from which it is in force, after the wall clock was set. Returns whether it
    /// was wrong.
    ///
    /// To be called once more a moment later: the kernel may have found the wrong one passed meanwhile. A filter that was
    /// in force from the beginning stays so.
    ///
    /// # Errors
    ///
    /// When the pins cannot be read or written.
    pub fn correct_deadline(&self, clocks: Clocks) -> Result<bool, DatapathError> {
        let _turn = Turn::at(&self.place)?;
        control::correct(&self.place, clocks)
    }

    /// Detaches the filter and removes all that belongs to it. Returns whether it was still there: what others
    /// attached since then stays.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; the filter may then still be attached.
    pub fn detach(self) -> Result<bool, DatapathError> {
        let ours = match Link::open(&self.place.link())? {
            Some(link) => link.info()?.id == self.link,
            None => false,
        };
        if ours {
            detach_place(&self.place)?;
        }
        Ok(ours)
    }
}

/// What is to be attached where.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The interfaces.
    pub interfaces: &'a [Interface],
    /// What they get.
    pub request: Request<'a>,
}

/// Attaches filters to all the interfaces of all orders, or to none; a filter of ours that is there already is replaced
/// in one step, and keeps its counters. `held` are filters that this process looks after: it goes on to do so, also
/// when this fails.
///
/// # Errors
///
/// Whatever the error, what was in force before is in force after.
pub fn attach(
    root: &Root,
    orders: &[Order<'_>],
    held: &[Filter],
) -> Result<Vec<Filter>, DatapathError> {
    root.prepare()?;
    remove_orphans(root);
    let mut staged: Vec<(Staged, ModeChoice)> = Vec::new();
    for Order {
        interfaces,
        request,
    } in orders
    {
        if interfaces.is_empty() {
            continue;
        }
        let tables = Tables::of(request.plan.ruleset, request.plan.engine)?;
        let mut filled = None;
        for interface in *interfaces {
            let lock = lock_of(root, interface, held)?;
            // Interfaces share their tables: the first one's are filled, the others pin them too.
            let one = Staged::new(root, interface, request, &tables, filled.as_ref(), lock)?;
            filled.get_or_insert_with(|| one.pins().clone());
            staged.push((one, request.mode));
        }
    }
    let mut committed: Vec<Committed> = Vec::new();
    for (staged, mode) in staged {
        match staged.commit(mode) {
            Ok(filter) => committed.push(filter),
            Err(error) => {
                for filter in committed {
                    filter.roll_back();
                }
                return Err(error);
            }
        }
    }
    Ok(committed.into_iter().map(Committed::finish).collect())
}

/// Removes what is left of interfaces that are gone, and that nobody waits for.
fn remove_orphans(root: &Root) {
    // Left-overs keep nothing from being attached, so no error about them is worth one here.
    for place in root.places().unwrap_or_default() {
        let _ = remove_orphan(root, &place);
    }
}

fn remove_orphan(root: &Root, place: &Place) -> Result<(), DatapathError> {
    let interface = nameless(place);
    let is_of_here = root.place(&interface)? == *place;
    if !is_of_here || Interface::by_index(place.index)?.is_some() {
        return Ok(());
    }
    let _lock = place.lock(&interface)?;
    // It may have moved to another network namespace, and be filtered there.
    let link = Link::open(&place.link())?;
    if let Some(link) = link
        && link.info()?.interface != 0
    {
        return Ok(());
    }
    detach_place(place)
}

/// The lock on an interface's place, if one of these filters holds it.
fn lock_of(
    root: &Root,
    interface: &Interface,
    held: &[Filter],
) -> Result<Option<Arc<Lock>>, DatapathError> {
    let place = root.place(interface)?;
    match held.iter().find(|filter| filter.place == place) {
        // Once it is taken away, the directory that is locked is not the one that is there.
        Some(filter) if filter.is_attached()? => Ok(Some(Arc::clone(&filter.lock))),
        _ => Ok(None),
    }
}

/// Detaches the filter from one interface.
///
/// # Errors
///
/// [`DatapathError::NotAttached`] when there is none of ours.
pub fn detach(root: &Root, interface: &Interface) -> Result<(), DatapathError> {
    privileges::check()?;
    let place = root.place(interface)?;
    if !root.places()?.contains(&place) {
        return Err(DatapathError::NotAttached {
            interface: interface.name.clone(),
        });
    }
    detach_in_turn(&place, interface)?;
    root.tidy();
    Ok(())
}

/// Where a filter was, and what came of detaching it.
pub type Detached = (Place, Result<(), DatapathError>);

/// Detaches every filter that is pinned under the root, in whatever network namespace, whatever version
/// attached it. Returns where they were, each with what came of it: one that fails keeps no other attached.
///
/// # Errors
///
/// When this process may not, or cannot see what is pinned.
pub fn detach_all(root: &Root) -> Result<Vec<Detached>, DatapathError> {
    privileges::check()?;
    let places = root.places()?.into_iter();
    let detached = places
        .map(|place| {
            let result = detach_in_turn(&place, &nameless(&place));
            (place, result)
        })
        .collect();
    root.tidy();
    Ok(detached)
}

/// The interface of a place, which may be none of this network namespace, or gone.
fn nameless(place: &Place) -> Interface {
    Interface {
        name: format!("interface {}", place.index),
        index: place.index,
    }
}

/// Detaches what is in force at a place, but does not pull the rug from under an attach in progress.
fn detach_in_turn(place: &Place, interface: &Interface) -> Result<(), DatapathError> {
    match place.lock(interface) {
        Ok(_lock) => detach_place(place),
        // Somebody looks after the filter and will find it gone; without a link it is only being made.
        Err(DatapathError::Owned { .. }) if place.link().exists() => detach_place(place),
        Err(error) => Err(error),
    }
}

/// Detaches the link, if one can be opened there, and removes all that is pinned.
pub(super) fn detach_place(place: &Place) -> Result<(), DatapathError> {
    // Whatever comes of it: the filter is what has to go. Its pin goes with the others below.
    let _ = egress::detach(place);
    match Link::open(&place.link()) {
        Ok(Some(link)) => link.detach()?,
        Ok(None) => {}
        // No link of a kind that we know. If its pin cannot be removed either, that is the error to tell.
        Err(_) => return place.remove(),
    }
    place.remove()
}
