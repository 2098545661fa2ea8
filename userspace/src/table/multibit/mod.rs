//! The multibit trie: from ranges to the image of a table.
//!
//! What a table looks like, and how an address is looked up in it, [`geodrop_common::multibit`] says. Here it is
//! built, from ranges and not from prefixes: the 2^16 cells of a segment are a few [`runs`] of equal ones, and
//! [`nodes`] are made of runs.

mod image;
mod nodes;
mod runs;
mod shortcuts;

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop_common::multibit::{Word, ipv4, ipv6, shortcuts::Shortcuts};

use self::{
    nodes::Nodes,
    runs::{Block, Cell, Gaps},
    shortcuts::PerfectHash,
};
use crate::policy::Classified;

pub use self::image::{Corrupt, Image};

/// Ranges whose table would be larger than its words can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a multibit trie of these ranges would take more than 1 GiB; the engine `lpm` may hold them"
)]
pub struct TooLarge;

/// The image of an IPv4 table.
///
/// # Errors
///
/// [`TooLarge`]: the whole world takes less than 4 MiB.
pub fn ipv4(ranges: &[Classified<Ipv4Addr>]) -> Result<Image<Ipv4Addr>, TooLarge> {
    let runs = runs::runs(ranges);
    let mut nodes = Nodes::new();
    let mut root = Vec::new();
    for (first, cell) in Block::all(&runs).cells() {
        let word = match cell {
            Cell::Class(class) => Word::of_class(class),
            Cell::Mixed(block) => {
                let entries: Vec<_> = block
                    .cells()
                    .map(|(first, cell)| (first, Word::of_class(cell.first_class())))
                    .collect();
                nodes.segment(&ipv4::LEVELS, &entries)?
            }
        };
        root.push((first, word));
    }
    nodes.set_root(&root);
    Ok(Image::new(nodes.into_words()))
}

/// The image of an IPv6 table.
///
/// # Errors
///
/// [`TooLarge`]: the whole world takes less than 4 MiB.
pub fn ipv6(ranges: &[Classified<Ipv6Addr>]) -> Result<Image<Ipv6Addr>, TooLarge> {
    let runs = runs::runs(ranges);
    let mut builder = Ipv6Builder {
        nodes: Nodes::new(),
        second: Vec::new(),
        third: Vec::new(),
    };
    let mut root = Vec::new();
    for (first, cell) in Block::all(&runs).cells() {
        let word = match cell {
            Cell::Class(class) => Word::of_class(class),
            Cell::Mixed(block) => builder.first_segment(block)?,
        };
        root.push((first, word));
    }
    builder.nodes.set_root(&root);
    let mut words = builder.nodes.into_words();
    for (shortcuts, known) in [
        (Shortcuts::SECOND, &builder.second),
        (Shortcuts::THIRD, &builder.third),
    ] {
        PerfectHash::of(known).append(shortcuts, &mut words)?;
    }
    Ok(Image::new(words))
}

/// What an IPv6 table is made of, as far as it is known.
struct Ipv6Builder {
    nodes: Nodes,
    /// The prefixes of 32 bits that need the second segment, with its word.
    second: Vec<(u64, Word)>,
    /// The prefixes of 48 bits that need the third segment, with its word.
    third: Vec<(u64, Word)>,
}

impl Ipv6Builder {
    fn first_segment(&mut self, block: Block<'_>) -> Result<Word, TooLarge> {
        let mut entries = Gaps::default();
        for (first, cell) in block.cells() {
            match cell {
                Cell::Class(class) => entries.class(first, class),
                Cell::Mixed(block) => {
                    entries.gap(first);
                    let word = self.second_segment(block)?;
                    self.second.push((block.prefix(), word));
                }
            }
        }
        let word = self.nodes.segment(&ipv6::LEVELS, &entries.close())?;
        // A root that is a class ends the lookup; the shortcuts of this segment are not to be passed over.
        Ok(word.as_node(ipv6::LEVELS[0]))
    }

    fn second_segment(&mut self, block: Block<'_>) -> Result<Word, TooLarge> {
        let mut entries = Gaps::default();
        for (first, cell) in block.cells() {
            match cell {
                Cell::Class(class) => entries.class(first, class),
                Cell::Mixed(block) => {
                    entries.gap(first);
                    let word = self.whole_segment(block)?;
                    self.third.push((block.prefix(), word));
                }
            }
        }
        self.nodes.segment(&ipv6::LEVELS, &entries.close())
    }

    /// A segment from which all that follow can be reached.
    fn whole_segment(&mut self, block: Block<'_>) -> Result<Word, TooLarge> {
        let mut entries = Vec::new();
        for (first, cell) in block.cells() {
            let word = match cell {
                Cell::Class(class) => Word::of_class(class),
                Cell::Mixed(block) => self.whole_segment(block)?,
            };
            entries.push((first, word));
        }
        self.nodes.segment(&ipv6::LEVELS, &entries)
    }
}

#[cfg(test)]
mod tests;
