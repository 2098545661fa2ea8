//! Shortcuts: prefixes in a perfect hash.

use geodrop_common::multibit::{Word, shortcuts::Shortcuts};

use super::TooLarge;

/// How many prefixes there are to a bucket, on average.
const LOAD: usize = 3;

/// The least share of slots that stay empty: a fifth. Without any, the last displacements would take long to find.
const EMPTY: (usize, usize) = (1, 5);

/// Displacements by bucket and prefixes by slot, as [`Shortcuts`] say it.
#[derive(Debug)]
pub(super) struct PerfectHash<'a> {
    displacements: Vec<u32>,
    slots: Vec<Option<&'a (u64, Word)>>,
}

impl<'a> PerfectHash<'a> {
    /// Finds displacements for distinct prefixes.
    pub(super) fn of(prefixes: &'a [(u64, Word)]) -> Self {
        let least = prefixes.len() + prefixes.len() * EMPTY.0 / (EMPTY.1 - EMPTY.0);
        let mut slots = least.next_power_of_two().max(2);
        loop {
            // With more room prefixes of one bucket hash to different slots at last: the product is one to one.
            if let Some(found) = Self::with_slots(prefixes, slots) {
                return found;
            }
            slots *= 2;
        }
    }

    fn with_slots(prefixes: &'a [(u64, Word)], slots: usize) -> Option<Self> {
        let buckets = (prefixes.len() / LOAD).next_power_of_two().max(2);
        let shape = Shape::new(buckets, slots);
        let mut by_bucket: Vec<Vec<&(u64, Word)>> = vec![Vec::new(); buckets];
        for prefix in prefixes {
            by_bucket[shape.bucket(prefix.0)].push(prefix);
        }
        let mut order: Vec<usize> = (0..buckets).collect();
        order.sort_by_key(|&bucket| std::cmp::Reverse(by_bucket[bucket].len()));

        let mut hash = Self {
            displacements: vec![0; buckets],
            slots: vec![None; slots],
        };
        for bucket in order {
            let prefixes = &by_bucket[bucket];
            let displacement = (0..slots).find(|displacement| {
                prefixes.iter().enumerate().all(|(index, prefix)| {
                    let slot = shape.slot(prefix.0);
                    hash.slots[slot ^ displacement].is_none()
                        && prefixes[..index]
                            .iter()
                            .all(|other| shape.slot(other.0) != slot)
                })
            })?;
            for prefix in prefixes {
                hash.slots[shape.slot(prefix.0) ^ displacement] = Some(prefix);
            }
            hash.displacements[bucket] = u32::try_from(displacement).ok()?;
        }
        Some(hash)
    }

    /// Puts it at the end of a table whose nodes' cells begin at the word `cells`, and its description into the
    /// header.
    pub(super) fn append(
        &self,
        shortcuts: Shortcuts,
        cells: u32,
        words: &mut Vec<u32>,
    ) -> Result<(), TooLarge> {
        let index = |words: &Vec<u32>| u32::try_from(words.len()).map_err(|_| TooLarge);
        let shape = Shape::new(self.displacements.len(), self.slots.len());
        let displacements = index(words)?;
        words.extend(&self.displacements);
        // A slot is not to lie across two cache lines.
        words.resize(
            words.len().next_multiple_of(Shortcuts::SLOT_WORDS as usize),
            0,
        );
        let slots = index(words)?;
        for slot in &self.slots {
            let (prefix, word) = match slot {
                None => (Shortcuts::EMPTY, 0),
                Some((prefix, word)) => (*prefix, word.moved(cells).ok_or(TooLarge)?.bits()),
            };
            words.extend(pair(prefix));
            words.extend(pair(word.into()));
        }
        let mask = u32::try_from(self.slots.len() - 1).map_err(|_| TooLarge)?;
        let description = shortcuts.description() as usize;
        words[description..description + 5].copy_from_slice(&[
            displacements,
            slots / 2,
            shape.bucket_shift,
            shape.slot_shift,
            mask,
        ]);
        Ok(())
    }
}

/// How a product becomes a bucket and a slot.
#[derive(Clone, Copy, Debug)]
struct Shape {
    bucket_shift: u32,
    slot_shift: u32,
    slot_mask: usize,
}

impl Shape {
    /// For powers of two, at least 2 each: the bucket is the product's highest bits, the slot the bits below them.
    const fn new(buckets: usize, slots: usize) -> Self {
        let bucket_shift = u64::BITS - buckets.trailing_zeros();
        Self {
            bucket_shift,
            slot_shift: bucket_shift.saturating_sub(slots.trailing_zeros()),
            slot_mask: slots - 1,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "fewer bits than a word has"
    )]
    const fn bucket(self, prefix: u64) -> usize {
        (Shortcuts::product(prefix) >> self.bucket_shift) as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "cut on purpose")]
    const fn slot(self, prefix: u64) -> usize {
        (Shortcuts::product(prefix) >> self.slot_shift) as usize & self.slot_mask
    }
}

/// The two words that lie in memory as the number does.
fn pair(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_ne_bytes();
    [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
    ]
}
