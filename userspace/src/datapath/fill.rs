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
    fill(table, &mut map.fd().as_fd(), &Entries::of(entries))
}

/// What can be done to a trie: what the kernel offers, and what a test has it answer.
pub(super) trait Trie {
    /// Sets many entries. Returns how many were set, and what stopped it when these are not all.
    fn update_batch(
        &mut self,
        keys: &[u8],
        values: &[u8],
    ) -> io::Result<(usize, Option<io::Error>)>;

    /// Sets one entry.
    fn update(&mut self, key: &[u8], value: &[u8]) -> io::Result<()>;

    /// Counts the entries.
    fn count(&mut self) -> io::Result<usize>;
}

impl Trie for BorrowedFd<'_> {
    fn update_batch(
        &mut self,
        keys: &[u8],
        values: &[u8],
    ) -> io::Result<(usize, Option<io::Error>)> {
        sys::map::update_batch(*self, keys, values)
    }

    fn update(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        sys::map::update(*self, key, value)
    }

    fn count(&mut self) -> io::Result<usize> {
        sys::map::count_entries(*self)
    }
}

/// Puts all entries into an empty trie and verifies that they are there.
///
/// In batches where the kernel has them, resumed where one stopped for want of memory; one by one where it
/// has none.
///
/// # Errors
///
/// [`DatapathError::Fill`] with how far it came; [`DatapathError::Verify`] when entries are missing after.
/// The trie is then of no use, and no program uses it yet.
pub(super) fn fill(
    table: &str,
    trie: &mut impl Trie,
    entries: &Entries,
) -> Result<(), DatapathError> {
    if entries.count == 0 {
        return Ok(());
    }
    let failed = |filled, source: io::Error| DatapathError::Fill {
        table: table.to_owned(),
        filled,
        wanted: entries.count,
        remedy: remedy(&source),
        source,
    };
    let mut filled = 0;
    let mut batches = true;
    let mut patience = PATIENCE;
    while filled < entries.count {
        let (added, stopped) = if batches {
            trie.update_batch(entries.keys_from(filled), entries.values_from(filled))
                .map_err(|error| failed(filled, error))?
        } else {
            match trie.update(entries.key(filled), entries.value(filled)) {
                Ok(()) => (1, None),
                Err(error) => (0, Some(error)),
            }
        };
        filled += added;
        if added > 0 {
            patience = PATIENCE;
        }
        match stopped {
            None => {}
            Some(error) if batches && filled == 0 && is_unsupported(&error) => batches = false,
            Some(error) if patience > 0 && may_pass(&error) => {
                patience -= 1;
                thread::sleep(PAUSE);
            }
            Some(error) => return Err(failed(filled, error)),
        }
    }
    verify(table, trie, entries.count)
}

/// What may help when the kernel refused to hold more.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOMEM) => {
            "; the kernel found no memory for more: raise the memory limit of this control group, or load fewer \
             countries"
        }
        _ => "",
    }
}

/// Whether the kernel does not have this operation for this type of map.
fn is_unsupported(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    matches!(number, Some(ENOTSUPP | libc::EOPNOTSUPP | libc::EINVAL))
}

/// Whether trying again may help.
fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOMEM | libc::EAGAIN | libc::EINTR | libc::EBUSY)
    )
}

fn verify(table: &str, trie: &mut impl Trie, wanted: usize) -> Result<(), DatapathError> {
    match trie.count() {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(DatapathError::Verify {
            table: table.to_owned(),
            found,
            wanted,
        }),
        // A kernel that cannot read a trie in batches; it acknowledged every entry.
        Err(error) if is_unsupported(&error) => Ok(()),
        Err(source) => Err(DatapathError::System {
            what: format!("counting the entries of table {table}"),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A trie that refuses updates as it is told.
    #[derive(Default)]
    struct Reluctant {
        entries: BTreeMap<Vec<u8>, Vec<u8>>,
        /// An error number for the call after so many entries, each used once.
        refusals: Vec<(usize, i32)>,
        /// Whether it has no batches.
        single: bool,
        /// How many entries it loses without a word.
        lost: usize,
    }

    impl Reluctant {
        fn refusal(&mut self) -> Option<io::Error> {
            let (after, number) = *self.refusals.last()?;
            (self.entries.len() == after).then(|| {
                self.refusals.pop();
                io::Error::from_raw_os_error(number)
            })
        }
    }

    impl Trie for Reluctant {
        fn update_batch(
            &mut self,
            keys: &[u8],
            values: &[u8],
        ) -> io::Result<(usize, Option<io::Error>)> {
            if self.single {
                return Ok((0, Some(io::Error::from_raw_os_error(ENOTSUPP))));
            }
            for (index, (key, value)) in keys.chunks(8).zip(values.chunks(2)).enumerate() {
                if let Err(error) = self.update(key, value) {
                    return Ok((index, Some(error)));
                }
            }
            Ok((values.len() / 2, None))
        }

        fn update(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
            if let Some(refusal) = self.refusal() {
                return Err(refusal);
            }
            self.entries.insert(key.to_vec(), value.to_vec());
            Ok(())
        }

        fn count(&mut self) -> io::Result<usize> {
            Ok(self.entries.len() - self.lost)
        }
    }

    fn ten_entries() -> Entries {
        Entries {
            keys: (0_u64..10).flat_map(u64::to_be_bytes).collect(),
            values: (0_u16..10).flat_map(u16::to_ne_bytes).collect(),
            count: 10,
        }
    }

    fn fill_ten(trie: &mut Reluctant) -> Result<(), String> {
        fill("IPV4", trie, &ten_entries()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_trie_that_wants_memory_in_between_is_filled_whole() {
        for single in [false, true] {
            let mut trie = Reluctant {
                refusals: vec![
                    (9, libc::ENOMEM),
                    (2, libc::ENOMEM),
                    (2, libc::ENOMEM),
                    (0, libc::EAGAIN),
                ],
                single,
                ..Reluctant::default()
            };
            assert_eq!(fill_ten(&mut trie), Ok(()));
            let expected = (0_u64..10).zip(0_u16..);
            let expected =
                expected.map(|(key, value)| (key.to_be_bytes().into(), value.to_ne_bytes().into()));
            assert_eq!(trie.entries, expected.collect());
        }
    }

    #[test]
    fn a_trie_that_stays_out_of_memory_is_an_error_with_a_remedy() {
        let mut trie = Reluctant {
            refusals: vec![(3, libc::ENOMEM); 1 + PATIENCE as usize],
            ..Reluctant::default()
        };
        let error = fill_ten(&mut trie).unwrap_err();
        assert!(
            error.starts_with("table IPV4 took 3 of 10 entries"),
            "{error}"
        );
        assert!(error.contains("memory limit"), "{error}");
    }

    #[test]
    fn any_other_refusal_ends_it_at_once() {
        let mut trie = Reluctant {
            refusals: vec![(4, libc::ENOSPC)],
            ..Reluctant::default()
        };
        let error = fill_ten(&mut trie).unwrap_err();
        assert!(
            error.starts_with("table IPV4 took 4 of 10 entries"),
            "{error}"
        );
    }

    #[test]
    fn entries_that_vanish_are_found_out() {
        let mut trie = Reluctant {
            lost: 1,
            ..Reluctant::default()
        };
        let error = fill_ten(&mut trie).unwrap_err();
        assert!(
            error.contains("holds 9 entries where 10 were put in"),
            "{error}"
        );
    }

    #[test]
    fn no_entries_are_no_work() {
        assert!(fill("IPV4", &mut Reluctant::default(), &Entries::default()).is_ok());
    }
}
