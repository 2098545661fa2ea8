//! Filling an LPM trie: a filter's, or that of a bench.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    thread,
    time::Duration,
};

use aya::maps::MapData;

use super::{error::DatapathError, sys};
use crate::{range::Address, table::lpm::Entry};

/// `ENOTSUPP`: what kernels answer, wrongly, for a map operation that a map type lacks. Not in libc.
const ENOTSUPP: i32 = 524;

/// How often an update that ran out of memory is tried again: the kernel refills its per-CPU reserve from a
/// work item, which a tight loop of updates outruns (seen on 6.18; amazonlinux/amazon-linux-2023#1129).
const PATIENCE: u32 = 200;
const PAUSE: Duration = Duration::from_millis(1);

/// The entries of a table, keys and values end to end in the layout that the map has.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) keys: Vec<u8>,
    pub(super) values: Vec<u8>,
    pub(super) count: usize,
}

impl Entries {
    /// The entries of an LPM trie: a key is the prefix length as a native `u32`, then the network's octets
    /// (`struct bpf_lpm_trie_key` of `include/uapi/linux/bpf.h`); a value is a class's number as a native `u16`.
    pub(super) fn of<A: Address>(prefixes: &[Entry<A>]) -> Self {
        let mut entries = Self {
            count: prefixes.len(),
            ..Self::default()
        };
        for entry in prefixes {
            let length = u32::from(entry.prefix.length());
            entries.keys.extend(length.to_ne_bytes());
            entries
                .keys
                .extend(entry.prefix.network().octets().as_ref());
            entries.values.extend(entry.class.number().to_ne_bytes());
        }
        entries
    }

    fn key(&self, index: usize) -> &[u8] {
        let size = self.keys.len() / self.count;
        &self.keys[index * size..][..size]
    }

    fn value(&self, index: usize) -> &[u8] {
        let size = self.values.len() / self.count;
        &self.values[index * size..][..size]
    }

    fn keys_from(&self, index: usize) -> &[u8] {
        &self.keys[index * (self.keys.len() / self.count)..]
    }

    fn values_from(&self, index: usize) -> &[u8] {
        &self.values[index * (self.values.len() / self.count)..]
    }
}

/// The `max_entries` of a trie that is to hold `entries`: older kernels refuse even to replace an entry of a
/// full trie, so some stay free.
#[must_use]
pub fn capacity(entries: usize) -> u32 {
    u32::try_from(entries + entries / 16 + 16).unwrap_or(u32::MAX)
}

/// Puts the entries into an empty trie, which errors call `table`, and verifies that they are there. The trie
/// is to hold no fewer than [`capacity`] says.
///
/// # Errors
///
/// [`DatapathError::Fill`] with how far it came; [`DatapathError::Verify`] when entries are missing after.
pub fn trie<A: Address>(
    table: &str,
    map: &MapData,
    entries: &[Entry<A>],
) -> Result<(), DatapathError> {
    fill(table, map.fd().as_fd(), &Entries::of(entries))
}

/// Puts all entries into an empty trie and verifies that they are there.
///
/// In batches where the kernel has them; one by one from where a batch stopped, or where it has none.
///
/// # Errors
///
/// [`DatapathError::Fill`] with how far it came; [`DatapathError::Verify`] when entries are missing after.
/// The trie is then of no use, and no program uses it yet.
pub(super) fn fill(
    table: &str,
    map: BorrowedFd<'_>,
    entries: &Entries,
) -> Result<(), DatapathError> {
    if entries.count == 0 {
        return Ok(());
    }
    let failed = |filled, source: io::Error| DatapathError::Fill {
        table: table.to_owned(),
        filled,
        wanted: entries.count,
        remedy: match source.raw_os_error() {
            Some(libc::ENOMEM) => {
                "; the kernel found no memory for more: raise the memory limit of this control group, or \
                 load fewer countries"
            }
            _ => "",
        },
        source,
    };
    let mut filled = 0;
    let mut batches = true;
    let mut patience = PATIENCE;
    while filled < entries.count {
        let (added, stopped) = if batches {
            sys::map::update_batch(map, entries.keys_from(filled), entries.values_from(filled))
                .map_err(|error| failed(filled, error))?
        } else {
            match sys::map::update(map, entries.key(filled), entries.value(filled)) {
                Ok(()) => (1, None),
                Err(error) => (0, Some(error)),
            }
        };
        filled += added;
        if added > 0 {
            patience = PATIENCE;
        }
        let Some(error) = stopped else { continue };
        match error.raw_os_error() {
            Some(ENOTSUPP | libc::EOPNOTSUPP | libc::EINVAL) if batches && filled == 0 => {
                batches = false;
            }
            Some(libc::ENOMEM | libc::EAGAIN | libc::EINTR | libc::EBUSY) if patience > 0 => {
                patience -= 1;
                thread::sleep(PAUSE);
            }
            _ => return Err(failed(filled, error)),
        }
    }
    verify(table, map, entries.count)
}

fn verify(table: &str, map: BorrowedFd<'_>, wanted: usize) -> Result<(), DatapathError> {
    let found = match sys::map::count_entries(map) {
        Ok(found) => found,
        // A kernel that cannot read a trie in batches; it acknowledged every entry.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(ENOTSUPP | libc::EOPNOTSUPP | libc::EINVAL)
            ) =>
        {
            return Ok(());
        }
        Err(source) => {
            return Err(DatapathError::System {
                what: format!("counting the entries of table {table}"),
                source,
            });
        }
    };
    if found == wanted {
        Ok(())
    } else {
        Err(DatapathError::Verify {
            table: table.to_owned(),
            found,
            wanted,
        })
    }
}
