//! Cells: those of all nodes, equal nodes stored once.

use std::collections::{HashMap, hash_map::Entry};

use super::{TooLarge, leaves::Leaf};

/// The cells of all nodes, each the leaf that it names.
#[derive(Debug, Default)]
pub(super) struct Cells {
    all: Vec<Leaf>,
    /// Where a node of a hash begins. When hashes collide the next number is the second node's.
    known: HashMap<u64, u32>,
}

impl Cells {
    /// Where the node begins that has these cells.
    pub(super) fn node(&mut self, cells: &[Leaf]) -> Result<u32, TooLarge> {
        let mut hash = hash(cells);
        loop {
            match self.known.entry(hash) {
                Entry::Vacant(entry) => {
                    let first = u32::try_from(self.all.len()).map_err(|_| TooLarge)?;
                    self.all.extend_from_slice(cells);
                    return Ok(*entry.insert(first));
                }
                Entry::Occupied(entry) => {
                    let first = *entry.get();
                    if self.all[first as usize..].starts_with(cells) {
                        return Ok(first);
                    }
                    hash = hash.wrapping_add(1);
                }
            }
        }
    }

    /// The cells of all nodes.
    pub(super) fn all(&self) -> &[Leaf] {
        &self.all
    }
}

/// Fowler, Noll and Vo's hash 1a (RFC 9923), by cells instead of octets.
fn hash(cells: &[Leaf]) -> u64 {
    cells.iter().fold(0xcbf2_9ce4_8422_2325, |hash, cell| {
        (hash ^ cell.number()).wrapping_mul(0x0100_0000_01b3)
    })
}
