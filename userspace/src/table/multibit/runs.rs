//! Runs: what ranges say, from the first address of a family to the last, cut into the cells of segments.

use geodrop_common::Class;

use super::segment::Value;
use crate::{policy::Classified, range::Address};

/// The bits of a segment.
pub(super) const SEGMENT: u32 = 16;

/// The cells of a segment.
pub(super) const CELLS: u32 = 1 << SEGMENT;

/// Addresses of one class, up to the next run.
///
/// Both families are numbers of 128 bits here, the first bit of an address being the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: u128,
    pub(super) class: Class,
}

/// The runs that sorted, disjoint ranges make of the whole address space. The first starts at zero.
pub(super) fn runs<A: Address>(ranges: &[Classified<A>]) -> Vec<Run> {
    let align = |address: A| address.number() << (128 - u32::from(A::WIDTH));
    let mut runs = Vec::with_capacity(2 * ranges.len() + 1);
    let mut say = |start, class| {
        if runs.last().is_none_or(|run: &Run| run.class != class) {
            runs.push(Run { start, class });
        }
    };
    let mut next = Some(A::MIN);
    for classified in ranges {
        let range = classified.range;
        if let Some(next) = next.filter(|&next| next < range.first()) {
            say(align(next), Class::DEFAULT);
        }
        say(align(range.first()), classified.label);
        next = range.last().successor();
    }
    if let Some(next) = next {
        say(align(next), Class::DEFAULT);
    }
    runs
}

/// All addresses that begin with the same bits, and their runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    /// The first address.
    start: u128,
    /// How many bits all addresses begin with.
    length: u32,
    /// The runs that have addresses in the block; the first may start before it.
    runs: &'a [Run],
}

/// What a cell of a segment says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// All its addresses are of this class.
    Class(Class),
    /// Its addresses are of several classes.
    Mixed(Block<'a>),
}

impl<'a> Block<'a> {
    /// The whole address space.
    pub(super) const fn all(runs: &'a [Run]) -> Self {
        Self {
            start: 0,
            length: 0,
            runs,
        }
    }

    /// The bits that all addresses begin with, as a number.
    /// The lowest 64 of them, when there are more.
    #[expect(clippy::cast_possible_truncation, reason = "said above")]
    pub(super) const fn prefix(&self) -> u64 {
        self.start.unbounded_shr(128 - self.length) as u64
    }

    /// The part of a mixed block where segments are zero outside of which all addresses are of one class: how many
    /// bits these segments have, that class, and the part. No bits, any class, and the whole block, if there is none.
    pub(super) fn without_zeros(self) -> (u32, Class, Self) {
        let otherwise = self.runs[self.runs.len() - 1].class;
        let mut part = self;
        let mut zeros = 0;
        while part.length + SEGMENT < 128 {
            // All that changes, changes within the first cell; what follows that is as it was at the end.
            let below = 128 - part.length - SEGMENT;
            let changes = &part.runs[1..];
            if changes
                .iter()
                .any(|run| (run.start - part.start) >> below != 0)
            {
                break;
            }
            part.length += SEGMENT;
            zeros += SEGMENT;
        }
        (zeros, otherwise, part)
    }

    /// The cells of the segment that follows the block's bits: where cells begin that say something else than those
    /// before them. Of cells that are mixed each is named.
    pub(super) fn cells(self) -> impl Iterator<Item = (u32, Cell<'a>)> {
        Cells {
            block: self,
            next: 0,
            run: 0,
        }
    }
}

struct Cells<'a> {
    block: Block<'a>,
    /// The first cell that nothing was said of yet.
    next: u32,
    /// The run that the last address before that cell is in, or the block's first.
    run: usize,
}

impl<'a> Iterator for Cells<'a> {
    type Item = (u32, Cell<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let Block {
            start,
            length,
            runs,
        } = self.block;
        if self.next == CELLS {
            return None;
        }
        let below = 128 - length - SEGMENT;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a cell's index is below 2^16"
        )]
        let cell_of = |run: &Run| ((run.start - start) >> below) as u32;
        let cell = self.next;
        let first = start + (u128::from(cell) << below);
        if runs.get(self.run + 1).is_some_and(|run| run.start == first) {
            self.run += 1;
        }
        let class = runs[self.run].class;
        let after = &runs[self.run + 1..];
        // Whole cells of one class come first.
        let changed = after.first().map_or(CELLS, cell_of);
        if changed > cell {
            self.next = changed;
            return Some((cell, Cell::Class(class)));
        }
        let inside = after.iter().take_while(|run| cell_of(run) == cell).count();
        let mixed = Block {
            start: first,
            length: length + SEGMENT,
            runs: &runs[self.run..=self.run + inside],
        };
        self.run += inside;
        self.next = cell + 1;
        Some((cell, Cell::Mixed(mixed)))
    }
}

/// The entries of a segment in which some cells may say whatever is convenient.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    entries: Vec<(u32, Value)>,
    /// Where the gap begins that the last cells are.
    gap: Option<u32>,
}

impl Gaps {
    /// From the cell `first` on, cells are of a class.
    pub(super) fn class(&mut self, first: u32, class: Class) {
        let value = Value::Class(class);
        let gap = self.gap.take().unwrap_or(first);
        match self.entries.last() {
            None => self.entries.push((0, value)),
            Some(&(_, before)) if before == value => {}
            // The rounder the number of the cell at which it changes, the more often it is where a leaf begins anyway.
            Some(_) => self.entries.push((roundest(gap, first), value)),
        }
    }

    /// What the cell `first` says does not matter.
    pub(super) fn gap(&mut self, first: u32) {
        self.gap.get_or_insert(first);
    }

    /// The entries; of one class, when no cell matters.
    pub(super) fn close(mut self) -> Vec<(u32, Value)> {
        if self.entries.is_empty() {
            self.entries.push((0, Value::Class(Class::DEFAULT)));
        }
        self.entries
    }
}

/// The number from `first` to `last` that is a multiple of the greatest power of two.
const fn roundest(first: u32, last: u32) -> u32 {
    if first == 0 {
        return 0;
    }
    // The highest bit in which the number before `first` differs from `last` is one in `last` alone.
    let highest = (first - 1) ^ last;
    last & !(u32::MAX >> highest.leading_zeros() >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roundest_number_is_the_one_with_most_zeros_at_its_end() {
        for (first, last) in [
            (0, 9),
            (1, 1),
            (3, 9),
            (5, 7),
            (0x1234, 0x1fff),
            (65_535, 65_535),
        ] {
            let zeros = |number: u32| {
                if number == 0 {
                    32
                } else {
                    number.trailing_zeros()
                }
            };
            let most = (first..=last).map(zeros).max();
            let found = roundest(first, last);
            assert!((first..=last).contains(&found), "{found} of {first}-{last}");
            assert_eq!(Some(zeros(found)), most, "{found} of {first}-{last}");
        }
    }

    #[test]
    fn cells_are_named_where_something_changes_and_where_they_are_mixed() {
        let class = Class::masked;
        let run = |start: u32, number| Run {
            start: u128::from(start) << 96,
            class: class(number),
        };
        // 0.0.0.0/15 is of class 0, but for 0.1.128.0-0.1.128.255; from 0.3.0.0 on class 2.
        let runs = [
            run(0, 0),
            run(0x0001_8000, 1),
            run(0x0001_8100, 0),
            run(0x0003_0000, 2),
        ];
        let cells: Vec<_> = Block::all(&runs)
            .cells()
            .map(|(first, cell)| match cell {
                Cell::Class(class) => (first, Some(class.number())),
                Cell::Mixed(block) => (first, (block.runs.len() == 3).then_some(100)),
            })
            .collect();
        let expected = [(0, 0), (1, 100), (2, 0), (3, 2)];
        assert_eq!(cells, expected.map(|(first, number)| (first, Some(number))));
    }

    #[test]
    fn zeros_are_skipped_as_far_as_all_changes_are_behind_them() {
        let block = |starts: &'static [u64]| {
            let first = Run {
                start: 0,
                class: Class::masked(7),
            };
            let changes = starts.iter().zip(8..).map(|(&start, number)| Run {
                start: start.into(),
                class: Class::masked(number),
            });
            std::iter::once(first).chain(changes).collect::<Vec<_>>()
        };
        for (starts, zeros) in [
            (&[1_u64][..], 48),
            (&[0xffff], 48),
            (&[1, 0x1_0000], 32),
            (&[1, 0xffff_ffff], 32),
            (&[1, 0x1_0000_0000], 16),
            (&[1, 0x1_0000_0000_0000], 0),
        ] {
            let runs = block(starts);
            let whole = Block {
                start: 0,
                length: 64,
                runs: &runs,
            };
            let (skipped, otherwise, part) = whole.without_zeros();
            assert_eq!((skipped, part.length), (zeros, 64 + zeros), "{starts:x?}");
            assert_eq!(otherwise, runs[runs.len() - 1].class);
        }
    }
}
