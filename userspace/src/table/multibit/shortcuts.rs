//! Shortcuts: prefixes in a perfect hash.

use std::cmp::Reverse;

use geodrop_common::multibit::{Word, header, shortcuts::Shortcuts};

use super::{
    Known, TooLarge,
    layout::{index, two_words},
};

/// How many prefixes there are to a bucket, on average: the fewer, the sooner a factor is found.
const LOAD: usize = 2;

/// How many factors are tried before there is more room.
const FACTORS: usize = 32;

/// Puts the shortcuts to the second and to the third segment at the end of a table whose nodes' cells begin at the
/// cell `cells`, and describes them in the header.
pub(super) fn append(known: &[Known; 2], cells: u32, words: &mut Vec<u32>) -> Result<(), TooLarge> {
    let (factor, hashes) = find(known);
    let [low, high] = two_words(factor);
    words[2 * header::FACTOR_PAIR as usize] = low;
    words[2 * header::FACTOR_PAIR as usize + 1] = high;
    for (shortcuts, hash) in [Shortcuts::SECOND, Shortcuts::THIRD]
        .into_iter()
        .zip(hashes)
    {
        hash.append(shortcuts, cells, words)?;
    }
    Ok(())
}

/// A factor with which both sets of prefixes hash without a collision.
fn find(known: &[Known; 2]) -> (u64, [PerfectHash<'_>; 2]) {
    // Any odd number may do. From a seed, so that the same ranges always make the same table.
    let mut random = fastrand::Rng::with_seed(0x6765_6f64_726f_7000);
    let mut room = 1;
    loop {
        for _ in 0..FACTORS {
            let factor = random.u64(..) | 1;
            let [second, third] = known;
            if let Some(second) = PerfectHash::new(second, factor, room)
                && let Some(third) = PerfectHash::new(third, factor, room)
            {
                return (factor, [second, third]);
            }
        }
        // Two prefixes of one bucket and one slot: with more of both it is rare at last.
        room *= 2;
    }
}

/// Displacements by bucket and prefixes by slot, as [`Shortcuts`] say it.
#[derive(Debug)]
struct PerfectHash<'a> {
    /// How many buckets and slots there are without displacements: powers of two.
    buckets: usize,
    slots: usize,
    displacements: Vec<usize>,
    prefixes: Vec<Option<&'a (u64, Word)>>,
}

/// A prefix, its word, and where it hashes to.
struct Hashed<'a> {
    bucket: usize,
    slot: usize,
    known: &'a (u64, Word),
}

impl<'a> PerfectHash<'a> {
    /// Finds displacements for distinct prefixes, `room` times as roomy as need be; `None` if there are none.
    fn new(known: &'a Known, factor: u64, room: usize) -> Option<Self> {
        // At least a fifth of the slots stays empty, or the last displacements would take long to find.
        let slots = (room * (known.len() + known.len() / 4))
            .next_power_of_two()
            .max(2);
        let buckets = (room * known.len() / LOAD).next_power_of_two().max(2);
        let mut hashed: Vec<_> = known
            .iter()
            .map(|known| {
                let (bucket, slot) = Shortcuts::hash(known.0, factor);
                Hashed {
                    bucket: bucket as usize & (buckets - 1),
                    slot: (slot >> 1) as usize & (slots - 1),
                    known,
                }
            })
            .collect();
        hashed.sort_unstable_by_key(|hashed| (hashed.bucket, hashed.slot));
        let same =
            |pair: &[Hashed<'_>]| (pair[0].bucket, pair[0].slot) == (pair[1].bucket, pair[1].slot);
        if hashed.windows(2).any(same) {
            return None;
        }
        let mut by_bucket: Vec<&[Hashed<'_>]> =
            hashed.chunk_by(|a, b| a.bucket == b.bucket).collect();
        by_bucket.sort_by_key(|bucket| Reverse(bucket.len()));

        let mut displacements = vec![0; buckets];
        let mut prefixes = vec![None; 2 * slots];
        for bucket in by_bucket {
            let fits = |displacement: &usize| {
                let mut places = bucket.iter().map(|hashed| hashed.slot + displacement);
                places.all(|place| prefixes[place].is_none())
            };
            let displacement = (0..slots).find(fits)?;
            for hashed in bucket {
                prefixes[hashed.slot + displacement] = Some(hashed.known);
            }
            displacements[bucket[0].bucket] = displacement;
        }
        // An unknown prefix may hash to any slot, and meet any displacement.
        let most = displacements.iter().max().copied().unwrap_or(0);
        prefixes.truncate(slots + most);
        Some(Self {
            buckets,
            slots,
            displacements,
            prefixes,
        })
    }

    fn append(
        &self,
        shortcuts: Shortcuts,
        cells: u32,
        words: &mut Vec<u32>,
    ) -> Result<(), TooLarge> {
        const SLOT_WORDS: usize = Shortcuts::SLOT_WORDS as usize;
        let displacements = words.len();
        // A slot is not to lie across two cache lines.
        let first = (displacements + self.buckets).next_multiple_of(SLOT_WORDS);
        for displacement in &self.displacements {
            words.push(index(first / 2 + displacement * (SLOT_WORDS / 2))?);
        }
        words.resize(first, 0);
        for slot in &self.prefixes {
            let (prefix, word) = match slot {
                None => (Shortcuts::EMPTY, 0),
                Some((prefix, word)) => (*prefix, word.moved(cells).ok_or(TooLarge)?.bits()),
            };
            words.extend(two_words(prefix));
            words.extend(two_words(word.into()));
        }
        let description = [displacements, self.buckets - 1, 2 * (self.slots - 1)];
        for (place, value) in (shortcuts.description() as usize..).zip(description) {
            words[place] = index(value)?;
        }
        Ok(())
    }
}
