//! A table of one family laid out for an engine, and the way into the kernel.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use aya::maps::MapData;
use geodrop::{
    datapath::{fill, image},
    policy::Classified,
    table::{
        Engine, lpm,
        multibit::{Image, TooLarge},
    },
};

use crate::family::Family;

/// All engines, the reference first.
pub const ENGINES: [Engine; 2] = [Engine::Lpm, Engine::Multibit];

/// What `include/uapi/linux/bpf.h` calls `BPF_MAP_TYPE_ARRAY`, `BPF_MAP_TYPE_LPM_TRIE`, `BPF_F_NO_PREALLOC` and
/// `BPF_F_MMAPABLE`, which the filter's maps have.
const ARRAY: u32 = 2;
const LPM_TRIE: u32 = 11;
const NO_PREALLOC: u32 = 1;
const MMAPABLE: u32 = 1 << 10;

/// A table of one family, laid out for an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Built<A> {
    /// The entries of the kernel's trie.
    Lpm(Vec<lpm::Entry<A>>),
    /// The image of a multibit trie.
    Multibit(Image<A>),
}

impl<A: Family> Built<A> {
    /// Lays ranges, which are sorted and disjoint, out for an engine.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] when they are too many for the engine.
    pub fn new(engine: Engine, ranges: &[Classified<A>]) -> Result<Self, TooLarge> {
        Ok(match engine {
            Engine::Lpm => Self::Lpm(lpm::prefixes(ranges)),
            Engine::Multibit => Self::Multibit(A::image(ranges)?),
        })
    }

    /// Makes a map in the kernel that holds the table, and nothing else.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the map, or what is to be in it.
    pub fn into_kernel(&self) -> anyhow::Result<MapData> {
        let name = A::NAME;
        let create = |kind, key, value, entries, flags| {
            let map = aya_obj::Map::new_from_params(kind, key, value, entries, flags);
            MapData::create(map, name, None).with_context(|| format!("making a map for {name}"))
        };
        Ok(match self {
            Self::Lpm(entries) => {
                // The prefix's length, then the address.
                let key = 4 + u32::from(A::WIDTH / 8);
                let map = create(LPM_TRIE, key, 2, fill::capacity(entries.len()), NO_PREALLOC)?;
                fill::trie(name, &map, entries)?;
                map
            }
            Self::Multibit(image) => {
                let map = create(ARRAY, 4, u32::try_from(image.bytes().len())?, 1, MMAPABLE)?;
                image::fill(name, &map, image)?;
                map
            }
        })
    }
}

/// How long the kernel may take to give the memory of a trie with so many entries back, which it does later, on some CPU:
/// a microsecond an entry. A quarter of it was seen.
#[must_use]
pub const fn time_to_free(entries: usize) -> Duration {
    Duration::from_micros(entries as u64)
}

/// How much memory of the kernel a map takes, as the kernel reckons it.
///
/// Of a trie it counts the entries and not the nodes that hold them together, some of which it needs besides: at
/// least so much.
///
/// # Errors
///
/// When the kernel does not say.
pub fn memory(map: &MapData) -> anyhow::Result<u64> {
    let path = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok())
        .with_context(|| format!("{path} does not say how large the map is"))
}

/// How long the two parts of the way into the kernel took, for both families together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// From ranges to tables laid out for the engine.
    pub build: Duration,
    /// From these to filled maps in the kernel.
    pub fill: Duration,
    /// How much memory the maps take.
    pub memory: u64,
}

impl Way {
    /// Goes the way once, for the ranges of one family, and adds it to this.
    ///
    /// # Errors
    ///
    /// When the table cannot be made, or the kernel refuses it.
    pub fn go<A: Family>(
        &mut self,
        engine: Engine,
        ranges: &[Classified<A>],
    ) -> anyhow::Result<MapData> {
        let start = Instant::now();
        let built = Built::new(engine, ranges)?;
        let done = Instant::now();
        let map = built.into_kernel()?;
        self.fill += done.elapsed();
        self.build += done - start;
        self.memory += memory(&map)?;
        Ok(map)
    }

    /// All of it.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.build + self.fill
    }
}
