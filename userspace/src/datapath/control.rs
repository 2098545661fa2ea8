//! What may change while a filter runs: its deadlines, and how many exceptions there are.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

use aya::maps::MapData;
use geodrop_common::control::Control;

use super::{about::About, clock::Clocks, error::DatapathError, pins::Place, sys};

/// Its map.
pub(super) const MAP: &str = ".bss.CONTROL";

/// Writes it into the map of a program that is not attached yet.
pub(super) fn write(map: &MapData, control: &Control) -> Result<(), DatapathError> {
    write_to(map.fd().as_fd(), control).map_err(DatapathError::system(format!("writing map {MAP}")))
}

/// Reads the one that is pinned.
pub(super) fn read_pinned(path: &Path) -> Result<Control, DatapathError> {
    let read = sys::object::open_pin(path).and_then(|map| sys::map::read_cell(map.as_fd()));
    let bytes = read.map_err(DatapathError::pin("reading", path))?;
    let foreign = || io::Error::other("it has another layout: another version of geodrop made it");
    let [trial_until, effective_from, exceptions]: [u64; 3] =
        bytemuck::try_pod_read_unaligned(&bytes)
            .map_err(|_| DatapathError::pin("reading", path)(foreign()))?;
    Ok(Control {
        trial_until,
        effective_from,
        exceptions,
    })
}

/// Changes the one that is pinned. The caller has its [`Turn`](super::brief::Turn), or is alone to know of it.
pub(super) fn change_pinned(
    path: &Path,
    change: impl FnOnce(&mut Control),
) -> Result<(), DatapathError> {
    let mut control = read_pinned(path)?;
    change(&mut control);
    sys::object::open_pin(path)
        .and_then(|map| write_to(map.as_fd(), &control))
        .map_err(DatapathError::pin("writing", path))
}

/// Corrects the deadlines of all generations of a place after the wall clock was set. Returns whether one was wrong. The
/// caller has the place's [`Turn`](super::brief::Turn).
///
/// The kernel may find a deadline passed at that very moment, and write 0 over the right one: so this is to be done once
/// more later.
pub(super) fn correct(place: &Place, clocks: Clocks) -> Result<bool, DatapathError> {
    let mut corrected = false;
    for pins in place.generations()? {
        let Some(instant) = About::read(&pins.about())?.effective_from else {
            continue;
        };
        let path = pins.control();
        let held = read_pinned(&path)?.effective_from;
        if let Some(deadline) = clocks.corrected(held, instant) {
            change_pinned(&path, |control| control.effective_from = deadline)?;
            corrected = true;
        }
    }
    Ok(corrected)
}

fn write_to(map: BorrowedFd<'_>, control: &Control) -> io::Result<()> {
    let Control {
        trial_until,
        effective_from,
        exceptions,
    } = *control;
    let words = [trial_until, effective_from, exceptions];
    sys::map::update(map, &0_u32.to_ne_bytes(), bytemuck::bytes_of(&words))
}
