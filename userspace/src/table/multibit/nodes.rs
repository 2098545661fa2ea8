//! Nodes: the cells of a table, equal ones stored once.

use std::collections::{HashMap, hash_map};

use geodrop_common::{
    Class,
    class::CAPACITY,
    multibit::{ROOT, Word},
};

use super::{TooLarge, runs::CELLS};

/// The words of a table that is being built, up to the last node.
#[derive(Debug)]
pub(super) struct Nodes {
    words: Vec<u32>,
    /// Where a node of a hash begins. When hashes collide the next number is the second node's.
    known: HashMap<u64, u32>,
    /// The cells of the nodes that are being made, the outermost first.
    unfinished: Vec<u32>,
}

impl Nodes {
    /// A table without nodes.
    pub(super) fn new() -> Self {
        let mut words = vec![0; (ROOT + CELLS) as usize];
        for (number, word) in (0..).zip(&mut words[..CAPACITY]) {
            *word = Word::of_class(Class::masked(number)).bits();
        }
        Self {
            words,
            known: HashMap::new(),
            unfinished: Vec::new(),
        }
    }

    /// Sets the cells of the root: each entry says where cells begin that are this word.
    pub(super) fn set_root(&mut self, entries: &[(u32, Word)]) {
        let ends = entries.iter().skip(1).map(|entry| entry.0).chain([CELLS]);
        for (&(first, word), end) in entries.iter().zip(ends) {
            self.words[(ROOT + first) as usize..(ROOT + end) as usize].fill(word.bits());
        }
    }

    /// The word of a segment with these levels: each entry says where cells begin that are this word, the first
    /// being cell 0. Words that are no class are each of one cell.
    pub(super) fn segment(
        &mut self,
        levels: &[u32],
        entries: &[(u32, Word)],
    ) -> Result<Word, TooLarge> {
        self.node(levels, entries, 0)
    }

    /// The word of a part of a segment that starts at cell `start` and has as many bits as the levels together;
    /// the first entry may begin before it.
    fn node(
        &mut self,
        levels: &[u32],
        entries: &[(u32, Word)],
        start: u32,
    ) -> Result<Word, TooLarge> {
        let Some((&level, below)) = levels.split_first() else {
            return Ok(entries[0].1);
        };
        if let [(_, word)] = entries
            && word.is_class()
        {
            return Ok(*word);
        }
        let bits_below: u32 = below.iter().sum();
        let unused = finest(entries).saturating_sub(bits_below).min(level);
        let unfinished = self.unfinished.len();
        let mut rest = entries;
        for cell in 0..1 << (level - unused) {
            let size = 1 << (bits_below + unused);
            let first = start + cell * size;
            while rest.get(1).is_some_and(|entry| entry.0 <= first) {
                rest = &rest[1..];
            }
            let inside = rest[1..].iter().take_while(|entry| entry.0 < first + size);
            let word = self.node(below, &rest[..=inside.count()], first)?;
            self.unfinished.push(word.bits());
        }
        let index = self.store(unfinished);
        Word::of_node(index, unused).ok_or(TooLarge)
    }

    /// Where the node stands whose cells are the unfinished ones from `first` on.
    fn store(&mut self, first: usize) -> u32 {
        let cells = &self.unfinished[first..];
        let mut hash = hash(cells);
        let index = loop {
            match self.known.entry(hash) {
                hash_map::Entry::Vacant(entry) => {
                    // More words than a word can name, and the caller ends it.
                    let index = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
                    self.words.extend_from_slice(cells);
                    break *entry.insert(index);
                }
                hash_map::Entry::Occupied(entry) => {
                    let index = *entry.get();
                    if self.words[index as usize..].starts_with(cells) {
                        break index;
                    }
                    hash = hash.wrapping_add(1);
                }
            }
        };
        self.unfinished.truncate(first);
        index
    }

    /// The words, the header's still zero.
    pub(super) fn into_words(self) -> Vec<u32> {
        self.words
    }
}

/// How many of the lowest bits of a cell's number make no difference.
fn finest(entries: &[(u32, Word)]) -> u32 {
    if entries.iter().any(|(_, word)| !word.is_class()) {
        return 0;
    }
    let changes = entries
        .iter()
        .skip(1)
        .map(|(first, _)| first.trailing_zeros());
    changes.min().unwrap_or(0)
}

/// Fowler, Noll and Vo's hash 1a (RFC 9923), by words instead of octets.
fn hash(cells: &[u32]) -> u64 {
    cells.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &cell| {
        (hash ^ u64::from(cell)).wrapping_mul(0x0100_0000_01b3)
    })
}
