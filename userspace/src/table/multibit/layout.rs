//! The layout: everything in its place.

use geodrop_common::multibit::{
    LEAST_WORDS, LEAVES, ROOT, Word, header,
    leaf::{PAIRS, WORDS},
    shortcuts::Shortcuts,
};

use super::{
    Image, Known, TooLarge, leaves::Content, runs::CELLS, segment::Segments, shortcuts::PerfectHash,
};

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
        let links = index(LEAVES as usize + leaves.count() * WORDS as usize)?;
        let first_cell = index(links as usize + leaves.links().count() * (WORDS as usize))?;

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
        for &link in leaves.links().flatten() {
            let word = link.map(|link| link.moved(first_cell).ok_or(TooLarge));
            words.push(word.transpose()?.map_or(0, Word::bits));
        }
        for &leaf in cells.all() {
            let position = index(leaves.position(leaf))?;
            words.push(LEAVES / 2 + position * PAIRS);
        }
        words[header::LINKS as usize] = links.wrapping_sub(LEAST_WORDS);
        if let Some([second, third]) = &self.shortcuts {
            PerfectHash::of(second).append(Shortcuts::SECOND, first_cell, &mut words)?;
            PerfectHash::of(third).append(Shortcuts::THIRD, first_cell, &mut words)?;
        }
        Ok(Image::new(words))
    }
}

/// An index of a word.
fn index(index: usize) -> Result<u32, TooLarge> {
    u32::try_from(index)
        .ok()
        .filter(|&index| index <= Word::LAST_INDEX)
        .ok_or(TooLarge)
}
