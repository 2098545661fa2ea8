//! The program that notes what this host begins, and its link.
//!
//! It stands at an interface's way out (tcx), beside the filter at its way in, and shares that one's tables. A link holds it, pinned
//! as the filter's, so that it is replaced in one step too. It goes in before the filter, and out after it: a
//! filter that lets replies pass finds them noted.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use super::{
    error::DatapathError,
    generation::Generation,
    interface::Interface,
    link::Link,
    pins::{GenerationPins, Place, remove_pin},
    sys,
};

/// What a commit has changed at an interface's way out.
#[derive(Debug)]
pub(super) enum Change {
    /// Nothing yet: what stands there, if anything does, is not needed any more.
    None,
    /// There was no program.
    Created,
    /// There was this one, if it could be opened.
    Replaced(Link, Option<OwnedFd>),
    /// The kernel takes no program there, for this reason.
    Refused(String),
}

/// Puts a generation's program under the link at the interface's way out, making one if there is none.
pub(super) fn commit(
    place: &Place,
    interface: &Interface,
    generation: &Generation,
    before: Option<&GenerationPins>,
) -> Result<Change, DatapathError> {
    let Some(program) = generation.egress()? else {
        return Ok(match generation.why_no_replies() {
            Some(reason) => Change::Refused(format!(
                "{}: {reason}, so packets that answer this host's own connections are judged as all others",
                interface.name
            )),
            None => Change::None,
        });
    };
    if let Some(link) = present(place, interface)? {
        let replaced = before.and_then(|pins| sys::object::open_pin(&pins.egress()).ok());
        link.replace(program)?;
        return Ok(Change::Replaced(link, replaced));
    }
    match Link::create_egress(program, interface) {
        Ok(link) => {
            link.pin(&place.egress_link())?;
            Ok(Change::Created)
        }
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(Change::Refused(format!(
            "{}: this kernel takes no program at an interface's way out (tcx needs Linux 6.6), so packets that \
                 answer this host's own connections are judged as all others",
            interface.name
        ))),
        Err(error) => Err(not_attached(interface)(error)),
    }
}

fn not_attached(interface: &Interface) -> impl FnOnce(io::Error) -> DatapathError {
    DatapathError::system(format!(
        "attaching the program that notes connections to the way out of {}",
        interface.name
    ))
}

/// Undoes a commit.
pub(super) fn roll_back(place: &Place, change: &Change) -> Result<(), DatapathError> {
    match change {
        Change::None | Change::Refused(_) | Change::Replaced(_, None) => Ok(()),
        Change::Created => detach(place),
        Change::Replaced(link, Some(program)) => link.replace(program.as_fd()),
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
        None => Ok(()),
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
    match Link::create_egress(program.as_fd(), interface) {
        Ok(link) => link.pin(&place.egress_link()),
        // What a kernel that takes none there means for replies was told when it was first tried.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        Err(error) => Err(not_attached(interface)(error)),
    }
}

/// Detaches the program, if there is one, and removes its pin.
pub(super) fn detach(place: &Place) -> Result<(), DatapathError> {
    let path = place.egress_link();
    if let Some(link) = Link::open(&path)? {
        link.detach()?;
    }
    remove_pin(&path)
}

/// The link that is there and still holds; one whose interface has gone is removed.
fn present(place: &Place, interface: &Interface) -> Result<Option<Link>, DatapathError> {
    let Some(link) = Link::open(&place.egress_link())? else {
        return Ok(None);
    };
    if link.info()?.interface == interface.index {
        return Ok(Some(link));
    }
    detach(place)?;
    Ok(None)
}
