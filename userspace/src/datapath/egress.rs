//! The program that notes what this host begins, and what holds it.
//!
//! It stands at an interface's way out, beside the filter at its way in, and shares that one's tables. A link of tcx holds it, pinned
//! as the filter's, so that it is replaced in one step too; before Linux 6.6 a filter of traffic control does (`clsact`),
//! which is replaced in one step as well. It goes in before the filter, and out after it: a filter that lets replies pass
//! finds them noted.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use serde::{Deserialize, Serialize};

use super::{
    cell, clsact,
    error::DatapathError,
    generation::Generation,
    interface::Interface,
    link::Link,
    pins::{GenerationPins, Place, remove_pin},
    sys,
};

/// What is to hold the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EgressChoice {
    /// A link of tcx, and where the kernel has none a filter of traffic control.
    #[default]
    Auto,
    /// A filter of traffic control: so that what older kernels get can be tried on newer ones.
    Clsact,
}

/// What holds the program.
#[derive(Debug)]
pub(super) enum Holder {
    /// A link of tcx.
    Link(Link),
    /// A filter of traffic control on the interface with this index.
    Filter(u32),
}

impl Holder {
    /// Replaces the program in one step.
    fn replace(&self, program: BorrowedFd<'_>) -> Result<(), DatapathError> {
        match self {
            Self::Link(link) => link.replace(program),
            Self::Filter(interface) => clsact::put(*interface, program),
        }
    }
}

/// What is to be known of a filter of traffic control, to remove it: kept beside it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    /// Its interface's index.
    interface: u32,
    /// Whether the qdisc that it is in was made for it.
    made_qdisc: bool,
}

/// What a commit has changed at an interface's way out.
#[derive(Debug)]
pub(super) enum Change {
    /// Nothing yet: what stands there, if anything does, is not needed any more.
    None,
    /// There was no program.
    Created,
    /// There was this one, if it could be opened.
    Replaced(Holder, Option<OwnedFd>),
    /// The kernel takes no program there, for this reason.
    Refused(String),
}

/// Puts a generation's program at the interface's way out: under what holds one there, making that if there is nothing.
pub(super) fn commit(
    place: &Place,
    interface: &Interface,
    generation: &Generation,
    choice: EgressChoice,
    before: Option<&GenerationPins>,
) -> Result<Change, DatapathError> {
    let refused = |reason: &dyn std::fmt::Display| {
        Change::Refused(format!(
            "{}: {reason}, so packets that answer this host's own connections are judged as all others",
            interface.name
        ))
    };
    let Some(program) = generation.egress()? else {
        let reason = generation.why_no_replies();
        return Ok(reason.map_or(Change::None, |reason| refused(&reason)));
    };
    if let Some(holder) = present(place, interface)? {
        let replaced = before.and_then(|pins| sys::object::open_pin(&pins.egress()).ok());
        holder.replace(program)?;
        return Ok(Change::Replaced(holder, replaced));
    }
    Ok(match attach(place, interface, program, choice)? {
        None => Change::Created,
        Some(reason) => refused(&reason),
    })
}

/// Attaches a program where there is none. Returns why the kernel takes none there, if it does not.
fn attach(
    place: &Place,
    interface: &Interface,
    program: BorrowedFd<'_>,
    choice: EgressChoice,
) -> Result<Option<DatapathError>, DatapathError> {
    if choice == EgressChoice::Auto {
        match Link::create_egress(program, interface) {
            Ok(link) => return link.pin(&place.egress_link()).map(|()| None),
            // No tcx.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => {
                return Err(DatapathError::system(format!(
                    "attaching the program that notes connections to the way out of {}",
                    interface.name
                ))(error));
            }
        }
    }
    let made_qdisc = !clsact::has_qdisc(interface.index)?;
    let note = Note {
        interface: interface.index,
        made_qdisc,
    };
    // First, so that whoever dies over the rest leaves nothing that nobody knows of.
    cell::replace(&place.egress_filter(), &note)?;
    let made = if made_qdisc {
        clsact::make_qdisc(interface.index)
    } else {
        Ok(())
    };
    match made.and_then(|()| clsact::put(interface.index, program)) {
        Ok(()) => Ok(None),
        Err(error) => {
            detach(place)?;
            Ok(Some(error))
        }
    }
}

/// Undoes a commit.
pub(super) fn roll_back(place: &Place, change: &Change) -> Result<(), DatapathError> {
    match change {
        Change::None | Change::Refused(_) | Change::Replaced(_, None) => Ok(()),
        Change::Created => detach(place),
        Change::Replaced(holder, Some(program)) => holder.replace(program.as_fd()),
    }
}

/// After the filter is in force: takes away what it does not need.
pub(super) fn finish(place: &Place, change: &Change) -> Result<(), DatapathError> {
    match change {
        Change::None | Change::Refused(_) => detach(place),
        Change::Created | Change::Replaced(..) => Ok(()),
    }
}

/// Puts the program of a generation back that is in force again, or takes away what that one does not need.
pub(super) fn restore(place: &Place, pins: &GenerationPins) -> Result<(), DatapathError> {
    let path = pins.egress();
    let program = match sys::object::open_pin(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return detach(place),
        program => program.map_err(DatapathError::pin("opening", path))?,
    };
    match Link::open(&place.egress_link())? {
        Some(link) if link.info()?.interface != 0 => link.replace(program.as_fd()),
        // A detach that was killed has severed it already; what is attached next makes a new one.
        Some(_) => detach(place),
        None => match filter(place)? {
            Some(note) => clsact::put(note.interface, program.as_fd()),
            None => Ok(()),
        },
    }
}

/// Puts the program of a generation on an interface that has none, if it has one.
pub(super) fn renew(
    place: &Place,
    interface: &Interface,
    pins: &GenerationPins,
) -> Result<(), DatapathError> {
    let path = pins.egress();
    let program = match sys::object::open_pin(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        program => program.map_err(DatapathError::pin("opening", path))?,
    };
    // What a kernel that takes none there means for replies was told when it was first tried.
    attach(place, interface, program.as_fd(), EgressChoice::Auto).map(drop)
}

/// Detaches the program, if there is one, and removes what is pinned of it. A filter of traffic control in another network
/// namespace stays: it notes flows for nobody, until the next filter takes its place.
pub(super) fn detach(place: &Place) -> Result<(), DatapathError> {
    let path = place.egress_link();
    if let Some(link) = Link::open(&path)? {
        link.detach()?;
    }
    remove_pin(&path)?;
    if let Some(note) = filter(place)? {
        clsact::remove(note.interface, note.made_qdisc)?;
    }
    remove_pin(&place.egress_filter())?;
    cell::remove_draft(&place.egress_filter())
}

/// What there is to know of a filter of traffic control, if there is one, or was when somebody died over it. None of another
/// network namespace, and none of an interface that has gone.
fn filter(place: &Place) -> Result<Option<Note>, DatapathError> {
    let note: Option<Note> = cell::read(&place.egress_filter())?;
    Ok(match note {
        Some(note) if note.interface == place.index && place.is_of_this_namespace()? => Some(note),
        _ => None,
    })
}

/// What holds a program there; what has lost its interface is removed.
fn present(place: &Place, interface: &Interface) -> Result<Option<Holder>, DatapathError> {
    if let Some(link) = Link::open(&place.egress_link())? {
        if link.info()?.interface == interface.index {
            return Ok(Some(Holder::Link(link)));
        }
        detach(place)?;
    }
    if filter(place)?.is_some() {
        if clsact::is_present(interface.index)? {
            return Ok(Some(Holder::Filter(interface.index)));
        }
        detach(place)?;
    }
    Ok(None)
}
