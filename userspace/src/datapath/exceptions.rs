//! Exceptions: what is decided for single addresses while a filter runs (`geodrop allow`, `geodrop deny`).
//!
//! They stand in a hash map that belongs to the interface's place: they outlive generations, and end with the filter.
//! The kernel judges by its own clock which of them still hold; those that do not are removed whenever this module
//! touches the map. So that packets pay for no look-up where there is no exception, each generation holds the number of
//! them.

use std::{collections::BTreeSet, net::IpAddr, path::Path, time::Duration};

use aya::maps::{HashMap, Map, MapData, MapError};
use geodrop_common::{
    Action,
    control::{Exception, ExceptionKey, MOST_EXCEPTIONS},
};

use super::{
    brief::Turn,
    clock, control,
    error::DatapathError,
    interface::Interface,
    layout::Layout,
    link::Link,
    pins::{Place, Root},
    privileges, trial,
};

/// For ever, as the kernel holds it.
const NO_END: u64 = u64::MAX;

/// What was decided for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// For whom.
    pub address: IpAddr,
    /// What becomes of packets from there.
    pub action: Action,
    /// How long it still holds; `None` if for as long as the filter is there.
    pub left: Option<Duration>,
}

/// Why nothing can be decided, or taken back.
#[derive(Debug, thiserror::Error)]
pub enum ExceptionError {
    /// The map of exceptions takes no more.
    #[error(
        "{interface} has {most} exceptions already, as many as there can be; remove some (`geodrop allow --list` shows \
         them), or put those that are to last on `allow` and `deny` of the configuration, where there may be millions"
    )]
    FullOfExceptions {
        /// The interface.
        interface: String,
        /// How many there can be.
        most: u32,
    },

    /// Nothing was decided for an address.
    #[error(
        "nothing was decided for {address} on {interface}, or its time is up; `geodrop allow --list` shows what was"
    )]
    NoException {
        /// The interface.
        interface: String,
        /// The address.
        address: IpAddr,
    },

    /// The filter knows no exceptions.
    #[error(
        "the filter on {interface} was attached by a version of geodrop that knew no exceptions; attach it anew with \
         `geodrop attach`, which replaces it in one step"
    )]
    NoExceptions {
        /// The interface.
        interface: String,
    },
}

/// Decides for addresses, in place of what was decided for them before, on the interface's running filter: for all or
/// for none.
///
/// # Errors
///
/// [`DatapathError::NotAttached`] where there is no filter; [`ExceptionError::FullOfExceptions`].
pub fn decide(
    root: &Root,
    interface: &Interface,
    decisions: &[Decision],
) -> Result<(), DatapathError> {
    let full = || {
        DatapathError::from(ExceptionError::FullOfExceptions {
            interface: interface.name.clone(),
            most: MOST_EXCEPTIONS,
        })
    };
    change(root, interface, |map| {
        let present: BTreeSet<_> = map.entries()?.into_iter().map(|(key, _)| key).collect();
        let wanted: BTreeSet<_> = decisions.iter().map(|one| key(one.address)).collect();
        if present.union(&wanted).count() > MOST_EXCEPTIONS as usize {
            return Err(full());
        }
        decisions
            .iter()
            .try_for_each(|decision| map.put(decision, full))
    })
}

/// Takes back what was decided for an address, if it was this. Returns what is decided for it, if it is something else.
///
/// # Errors
///
/// [`DatapathError::NotAttached`] where there is no filter; [`ExceptionError::NoException`] if nothing was decided.
pub fn take_back(
    root: &Root,
    interface: &Interface,
    address: IpAddr,
    action: Action,
) -> Result<Option<Action>, DatapathError> {
    change(root, interface, |map| {
        let decided = map.all()?;
        match decided.iter().find(|decision| decision.address == address) {
            None => Err(ExceptionError::NoException {
                interface: interface.name.clone(),
                address,
            }
            .into()),
            Some(decision) if decision.action != action => Ok(Some(decision.action)),
            Some(_) => {
                map.0.remove(&key(address)).map_err(Exceptions::failed)?;
                Ok(None)
            }
        }
    })
}

/// Removes what holds no more, and lists the rest by address.
///
/// # Errors
///
/// [`DatapathError::NotAttached`] where there is no filter.
pub fn list(root: &Root, interface: &Interface) -> Result<Vec<Decision>, DatapathError> {
    change(root, interface, |map| map.all())
}

/// What is decided at a place, by address; nothing if it has no map for it. Changes nothing.
pub(super) fn read(place: &Place) -> Result<Vec<Decision>, DatapathError> {
    let path = place.exceptions();
    if !path.exists() {
        // A version that knew no exceptions attached the filter.
        return Ok(Vec::new());
    }
    Exceptions::open(&path)?.all()
}

/// Lets all generations of a place know how many exceptions there are. The caller has its [`Turn`].
pub(super) fn count_anew(place: &Place) -> Result<(), DatapathError> {
    let path = place.exceptions();
    if !path.exists() {
        return Ok(());
    }
    let count = Exceptions::open(&path)?.without_expired()?;
    for pins in place.generations()? {
        // One of another version has none.
        if pins.control().exists() {
            control::change_pinned(&pins.control(), |control| control.exceptions = count)?;
        }
    }
    Ok(())
}

/// Changes the exceptions of a running filter.
fn change<T>(
    root: &Root,
    interface: &Interface,
    work: impl FnOnce(&mut Exceptions) -> Result<T, DatapathError>,
) -> Result<T, DatapathError> {
    privileges::check()?;
    let not_attached = || DatapathError::NotAttached {
        interface: interface.name.clone(),
    };
    let place = root.place(interface)?;
    let attached = |place: &Place| match Link::open(&place.link())? {
        Some(link) => Ok(link.info()?.interface == interface.index),
        None => Ok::<_, DatapathError>(false),
    };
    trial::settle_if_free(&place, interface)?;
    if !attached(&place)? {
        return Err(not_attached());
    }
    let _turn = Turn::at(&place)?;
    let path = place.exceptions();
    if !path.exists() {
        return Err(ExceptionError::NoExceptions {
            interface: interface.name.clone(),
        }
        .into());
    }
    let mut map = Exceptions::open(&path)?;
    map.without_expired()?;
    let result = work(&mut map);
    count_anew(&place)?;
    result
}

/// The words of a key, and those of what is decided for it.
type Entry = ([u64; 2], [u64; 2]);

/// The pinned map.
struct Exceptions(HashMap<MapData, [u64; 2], [u64; 2]>);

impl Exceptions {
    fn open(path: &Path) -> Result<Self, DatapathError> {
        let map = Layout::EXCEPTIONS.open(path)?;
        let map = HashMap::try_from(Map::HashMap(map)).map_err(Self::failed)?;
        Ok(Self(map))
    }

    fn failed(error: MapError) -> DatapathError {
        DatapathError::map("EXCEPTIONS")(error)
    }

    fn put(
        &mut self,
        decision: &Decision,
        full: impl FnOnce() -> DatapathError,
    ) -> Result<(), DatapathError> {
        let until = decision.left.map_or(NO_END, clock::in_time);
        let exception = words(Exception::new(decision.action, until));
        let inserted = self.0.insert(key(decision.address), exception, 0);
        inserted.map_err(|error| match error {
            MapError::SyscallError(error) if is_full(&error.io_error) => full(),
            error => Self::failed(error),
        })
    }

    /// Removes what holds no more; returns how many are left.
    fn without_expired(&mut self) -> Result<u64, DatapathError> {
        let mut left = 0;
        for entry in self.entries()? {
            if holds(entry.1) {
                left += 1;
                continue;
            }
            match self.0.remove(&entry.0) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(Self::failed(error)),
            }
        }
        Ok(left)
    }

    /// All that holds, by address.
    fn all(&self) -> Result<Vec<Decision>, DatapathError> {
        let mut decided: Vec<_> = self
            .entries()?
            .into_iter()
            .filter(|(_, exception)| holds(*exception))
            .map(|(key, [until, drop])| Decision {
                address: ExceptionKey::address(key),
                action: if drop == 0 {
                    Action::Pass
                } else {
                    Action::Drop
                },
                left: if until == NO_END {
                    None
                } else {
                    clock::until(until)
                },
            })
            .collect();
        decided.sort_by_key(|decision| decision.address);
        Ok(decided)
    }

    /// All entries, each a key and its value. They are collected first, because a key that is removed in between lets
    /// the kernel begin anew.
    fn entries(&self) -> Result<Vec<Entry>, DatapathError> {
        let entries: Result<_, _> = self.0.iter().collect();
        entries.map_err(Self::failed)
    }
}

/// Whether the value of an entry is still what the kernel goes by.
fn holds([until, _]: [u64; 2]) -> bool {
    until == NO_END || clock::until(until).is_some()
}

fn key(address: IpAddr) -> [u64; 2] {
    match address.to_canonical() {
        IpAddr::V4(address) => ExceptionKey::from(address),
        IpAddr::V6(address) => ExceptionKey::from(address),
    }
    .words()
}

fn words(exception: Exception) -> [u64; 2] {
    let drop = match exception.action() {
        Action::Pass => 0,
        Action::Drop => 1,
    };
    [exception.until, drop]
}

/// Whether the kernel's answer to one more entry means that there are as many as the map takes.
fn is_full(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::E2BIG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_by_its_key() {
        for (text, canonical) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(
                ExceptionKey::address(key(address)),
                canonical.parse::<IpAddr>().unwrap()
            );
        }
    }

    #[test]
    fn what_has_no_end_holds() {
        assert!(holds([NO_END, 0]));
        assert!(!holds([1, 0]));
    }
}
