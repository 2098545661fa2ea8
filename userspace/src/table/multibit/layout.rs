//! The layout: everything in its place.

use geodrop_common::{
    class::CAPACITY,
    multibit::{
        LEAVES, Link, ROOT, Word, header,
        leaf::{PLACES, WORDS},
    },
};

use super::{Image, Known, TooLarge, leaves::Content, runs::CELLS, segment::Segments, shortcuts};

/// The words of the links of a leaf that has some.
const LINK_WORDS: usize = 2 * (PLACES + 1);

/// The number of the first leaf that may have links.
#[expect(clippy::cast_possible_truncation, reason = "512 fits")]
const FIRST_LINKED: u32 = CAPACITY as u32;

/// What a table consists of.
#[derive(Debug)]
pub(super) struct Table {
    /// Where the root's cells begin that are this word.
    pub(super) root: Vec<(u32, Word)>,
    pub(super) segments: Segments,
    /// What is known to the shortcuts to the second and to the third segment.
    pub(super) shortcuts: Option<[Known; 2]>,
}

impl Table {
    /// Lays it out.
    pub(super) fn image<A>(&self) -> Result<Image<A>, TooLarge> {
        let Segments { cells, leaves } = &self.segments;
        let links = LEAVES as usize + leaves.count() * WORDS as usize;
        let first_word = links + leaves.links().count() * LINK_WORDS;
        // Cells of 16 bits where these can count the leaves.
        let cell_bits = if leaves.count() <= 1 << 16 { 16 } else { 32 };
        let first_cell = index(first_word * 32 / cell_bits)?;
        let links = index(links / 2)?;

        let mut words = vec![0; LEAVES as usize];
        let ends = self.root.iter().skip(1).map(|entry| entry.0);
        for ((first, word), end) in self.root.iter().zip(ends.chain([CELLS])) {
            let word = if word.is_flagged() {
                *word
            } else {
                word.moved(first_cell).ok_or(TooLarge)?
            };
            words[(ROOT + first) as usize..(ROOT + end) as usize].fill(word.bits());
        }
        for content in leaves.contents() {
            words.extend(bytemuck::cast::<Content, [u32; WORDS as usize]>(content));
        }
        for link in leaves.links().flatten() {
            let moved = |link: &Link| {
                let node = link.node().moved(first_cell).ok_or(TooLarge)?;
                Ok(link.with_node(node).bits())
            };
            words.extend(two_words(link.as_ref().map_or(Ok(0), moved)?));
        }
        if cell_bits == 16 {
            let position = |&leaf| u16::try_from(leaves.position(leaf)).map_err(|_| TooLarge);
            let mut cells: Vec<u16> = cells.all().iter().map(position).collect::<Result<_, _>>()?;
            cells.resize(cells.len().next_multiple_of(2), 0);
            words.extend(bytemuck::pod_collect_to_vec::<_, u32>(&cells));
        } else {
            for &leaf in cells.all() {
                words.push(index(leaves.position(leaf))?);
            }
        }
        words[header::CELL_BITS as usize] = index(cell_bits)?;
        words[header::LINKS as usize] = links.wrapping_sub(16 * FIRST_LINKED);
        if let Some(known) = &self.shortcuts {
            shortcuts::append(known, first_cell, &mut words)?;
        }
        Ok(Image::new(words))
    }
}

/// The two words that lie in memory as the number does.
pub(super) fn two_words(number: u64) -> [u32; 2] {
    bytemuck::cast(number)
}

/// An index of a word.
pub(super) fn index(index: usize) -> Result<u32, TooLarge> {
    u32::try_from(index)
        .ok()
        .filter(|&index| index <= Word::LAST_INDEX)
        .ok_or(TooLarge)
}
