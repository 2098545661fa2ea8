//! The multibit trie: from ranges to the image of a table.
//!
//! What a table looks like, and how an address is looked up in it, [`geodrop_common::multibit`] says. Here it is
//! built, from ranges and not from prefixes: `runs` cuts them into segments, `segment` decides on a node for each,
//! and `leaves` and `cells` keep what is equal once. `layout` puts all of it in its place.

mod cells;
mod image;
mod layout;
mod leaves;
mod runs;
mod segment;
mod shortcuts;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop_common::multibit::{Link, Word};

pub use self::image::{Corrupt, Image};
use self::{
    layout::Table,
    runs::{Block, Cell, Gaps},
    segment::{Segments, Value},
};
use crate::policy::Classified;

/// Ranges whose table would be larger than its words can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a multibit trie of these ranges would take more than 128 MiB; `--engine lpm` may hold them"
)]
pub struct TooLarge;

/// The image of an IPv4 table.
///
/// # Errors
///
/// [`TooLarge`]: the whole world takes less than 4 MiB.
pub fn ipv4(ranges: &[Classified<Ipv4Addr>]) -> Result<Image<Ipv4Addr>, TooLarge> {
    let runs = runs::runs(ranges);
    let mut segments = Segments::default();
    let root = root(&runs, |block| whole_segment(&mut segments, block))?;
    Table {
        root,
        segments,
        shortcuts: None,
    }
    .image()
}

/// The image of an IPv6 table.
///
/// # Errors
///
/// [`TooLarge`]: the whole world takes less than 4 MiB.
pub fn ipv6(ranges: &[Classified<Ipv6Addr>]) -> Result<Image<Ipv6Addr>, TooLarge> {
    let runs = runs::runs(ranges);
    let mut builder = Ipv6Builder::default();
    let root = root(&runs, |block| builder.segment(block, 2))?;
    Table {
        root,
        segments: builder.segments,
        shortcuts: Some(builder.known),
    }
    .image()
}

/// The entries of a root: where its cells begin that are this word.
fn root(
    runs: &[runs::Run],
    mut segment: impl FnMut(Block<'_>) -> Result<Word, TooLarge>,
) -> Result<Vec<(u32, Word)>, TooLarge> {
    Block::all(runs)
        .cells()
        .map(|(first, cell)| {
            let word = match cell {
                Cell::Class(class) => Word::of_class(class),
                Cell::Mixed(block) => segment(block)?,
            };
            Ok((first, word))
        })
        .collect()
}

/// The prefixes that a shortcut knows, each with the word of its segment.
type Known = Vec<(u64, Word)>;

/// The segments of an IPv6 table.
#[derive(Debug, Default)]
struct Ipv6Builder {
    segments: Segments,
    /// The prefixes of 32 bits that need the second segment, and those of 48 bits that need the third.
    known: [Known; 2],
}

impl Ipv6Builder {
    /// The first segment, which 2 are `following` in the address's first half, or the second, which 1 is: those that
    /// shortcuts lead to.
    fn segment(&mut self, block: Block<'_>, following: u32) -> Result<Word, TooLarge> {
        let mut entries = Gaps::default();
        for (first, cell) in block.cells() {
            match cell {
                Cell::Class(class) => entries.class(first, class),
                Cell::Mixed(block) => {
                    entries.gap(first);
                    let word = match following {
                        1 => whole_segment(&mut self.segments, block)?,
                        _ => self.segment(block, following - 1)?,
                    };
                    self.known[2 - following as usize].push((block.prefix(), word));
                }
            }
        }
        Ok(self.segments.node(&entries.close())?.before(following))
    }
}

/// A segment from which those that follow it are reached by links.
fn whole_segment(segments: &mut Segments, block: Block<'_>) -> Result<Word, TooLarge> {
    let mut entries = Vec::new();
    for (first, cell) in block.cells() {
        let value = match cell {
            Cell::Class(class) => Value::Class(class),
            Cell::Mixed(block) => {
                let (zeros, otherwise, block) = block.without_zeros();
                let node = whole_segment(segments, block)?;
                Value::Link(Link::to_segment(node, zeros, otherwise))
            }
        };
        entries.push((first, value));
    }
    segments.node(&entries)
}
