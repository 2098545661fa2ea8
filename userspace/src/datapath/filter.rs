//! Attaching, replacing and detaching filters, on one interface or several.
//!
//! Everything that can fail is done before anything changes: each interface's generation is loaded, filled
//! and pinned first (`staging`); then the programs go under their links, and what is already done is undone
//! if one refuses; only then what the new generations replace is removed.

use super::{
    about::About,
    error::DatapathError,
    generation::{Generation, Plan},
    interface::{Interface, Mode},
    link::{Link, ModeChoice},
    pins::{Lock, Place, Root},
    privileges,
    staging::{Committed, Staged},
};

/// What is to be attached.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What its generations are made of.
    pub plan: Plan<'a>,
    /// In which mode.
    pub mode: ModeChoice,
    /// What is kept beside it, for `status`.
    pub about: About,
}

/// A filter that this process attached, and still looks after.
#[derive(Debug)]
pub struct Filter {
    /// Where it is attached.
    pub interface: Interface,
    /// In which mode it runs.
    pub mode: Mode,
    /// Why not in native mode, if that was tried and refused.
    pub fallback: Option<String>,
    /// Whether it took the place of one that was attached already.
    pub replaced: bool,
    /// Its program and tables.
    pub generation: Generation,
    pub(super) place: Place,
    pub(super) _lock: Lock,
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
            Some(link) => Ok(link.info()?.interface == self.interface.index),
            None => Ok(false),
        }
    }

    /// Detaches the filter and removes all that belongs to it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; the filter may then still be attached.
    pub fn detach(self) -> Result<(), DatapathError> {
        detach_place(&self.place)
    }
}

/// Attaches filters to all the interfaces, or to none; a filter of ours that is there already is replaced
/// in one step, and keeps its counters.
///
/// # Errors
///
/// Whatever the error, what was in force before is in force after.
pub fn attach(
    root: &Root,
    interfaces: &[Interface],
    request: &Request<'_>,
) -> Result<Vec<Filter>, DatapathError> {
    root.prepare()?;
    let mut staged: Vec<Staged> = Vec::new();
    for interface in interfaces {
        // Interfaces share their tables: the first one's are filled, the others pin them too.
        let tables = staged.first().map(|first| first.pins().clone());
        staged.push(Staged::new(root, interface, request, tables.as_ref())?);
    }
    let mut committed: Vec<Committed> = Vec::new();
    for staged in staged {
        match staged.commit(request.mode) {
            Ok(filter) => committed.push(filter),
            Err(error) => {
                for filter in committed {
                    filter.roll_back();
                }
                return Err(error);
            }
        }
    }
    committed.into_iter().map(Committed::finish).collect()
}

/// Detaches the filter from one interface.
///
/// # Errors
///
/// [`DatapathError::NotAttached`] when there is none of ours.
pub fn detach(root: &Root, interface: &Interface) -> Result<(), DatapathError> {
    privileges::check()?;
    let place = root.place(interface)?;
    if !place.directory().exists() {
        return Err(DatapathError::NotAttached {
            interface: interface.name.clone(),
        });
    }
    detach_place(&place)?;
    root.tidy();
    Ok(())
}

/// Detaches every filter that is pinned under the root, in whatever network namespace, whatever version
/// attached it. Returns where they were.
///
/// # Errors
///
/// The first that could not be detached; all others are.
pub fn detach_all(root: &Root) -> Result<Vec<Place>, DatapathError> {
    privileges::check()?;
    let places = root.places()?;
    let mut failed = None;
    for place in &places {
        if let Err(error) = detach_place(place) {
            failed.get_or_insert(error);
        }
    }
    root.tidy();
    failed.map_or(Ok(places), Err)
}

pub(super) fn detach_place(place: &Place) -> Result<(), DatapathError> {
    if let Some(link) = Link::open(&place.link())? {
        link.detach()?;
    }
    place.remove()
}
