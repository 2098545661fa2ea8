//! The tables of a generation, laid out for its engine, and how they get into the kernel.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::AsFd as _,
};

use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use geodrop_common::multibit::LEAST_WORDS;

use super::{
    error::DatapathError,
    fill::{self, Entries},
    image,
};
use crate::{
    policy::Ruleset,
    table::{
        Engine, lpm,
        multibit::{self, Image},
    },
};

/// The two tables of a rule set. Made once, however many interfaces they are for.
#[derive(Debug)]
pub(super) enum Tables {
    Multibit {
        ipv4: Image<Ipv4Addr>,
        ipv6: Image<Ipv6Addr>,
    },
    Lpm {
        ipv4: Entries,
        ipv6: Entries,
    },
}

/// The maps of the engine `multibit`, IPv4's and IPv6's: arrays of one element, the image.
pub(super) const IMAGES: [&str; 2] = ["IPV4_IMAGE", "IPV6_IMAGE"];

/// The maps of the engine `lpm`, IPv4's and IPv6's.
pub(super) const TRIES: [&str; 2] = ["IPV4", "IPV6"];

/// The kernel object has the maps of all engines; those that are not in use are as small as there can be. Of an image that
/// is the least that programs take for granted: without `CAP_PERFMON` the verifier also follows the other engine's code,
/// which the processor could run ahead of time (before Linux 6.17 it refused what it would not have allowed there).
pub(super) const NO_IMAGE: usize = size_of::<u32>() * LEAST_WORDS as usize;
const NO_ENTRY: u32 = 1;

impl Tables {
    /// Lays the tables out.
    pub(super) fn of(ruleset: &Ruleset, engine: Engine) -> Result<Self, DatapathError> {
        Ok(match engine {
            Engine::Multibit => Self::Multibit {
                ipv4: multibit::ipv4(ruleset.ipv4())?,
                ipv6: multibit::ipv6(ruleset.ipv6())?,
            },
            Engine::Lpm => Self::Lpm {
                ipv4: Entries::of(&lpm::prefixes(ruleset.ipv4())),
                ipv6: Entries::of(&lpm::prefixes(ruleset.ipv6())),
            },
        })
    }

    /// The engine that they are laid out for.
    pub(super) const fn engine(&self) -> Engine {
        match self {
            Self::Multibit { .. } => Engine::Multibit,
            Self::Lpm { .. } => Engine::Lpm,
        }
    }

    /// The maps that hold them: IPv4's and IPv6's.
    pub(super) const fn maps(&self) -> [&'static str; 2] {
        maps_of(self.engine())
    }

    /// How large the elements of [`IMAGES`] are to be, in bytes.
    pub(super) fn images(&self) -> [usize; 2] {
        match self {
            Self::Multibit { ipv4, ipv6 } => [ipv4.bytes().len(), ipv6.bytes().len()],
            Self::Lpm { .. } => [NO_IMAGE; 2],
        }
    }

    /// How many bits the cells of both images have; of an engine that has none, any number.
    pub(super) fn cell_bits(&self) -> [u32; 2] {
        match self {
            Self::Multibit { ipv4, ipv6 } => [ipv4.cell_bits(), ipv6.cell_bits()],
            Self::Lpm { .. } => [0; 2],
        }
    }

    /// How many elements [`TRIES`] are to take.
    pub(super) fn entries(&self) -> [u32; 2] {
        match self {
            Self::Multibit { .. } => [NO_ENTRY; 2],
            Self::Lpm { ipv4, ipv6 } => [ipv4, ipv6].map(|entries| fill::capacity(entries.count)),
        }
    }

    /// Puts the tables into their maps, which are empty.
    pub(super) fn fill(&self, ebpf: &Ebpf) -> Result<(), DatapathError> {
        let [first, second] = self.maps();
        let (to_ipv4, to_ipv6) = (map(ebpf, first)?, map(ebpf, second)?);
        match self {
            Self::Multibit { ipv4, ipv6 } => {
                image::fill(first, to_ipv4, ipv4)?;
                image::fill(second, to_ipv6, ipv6)
            }
            Self::Lpm { ipv4, ipv6 } => {
                fill::fill(first, &mut to_ipv4.fd().as_fd(), ipv4)?;
                fill::fill(second, &mut to_ipv6.fd().as_fd(), ipv6)
            }
        }
    }

    /// Verifies that maps which another generation filled hold these tables. Of tries, that generation has counted
    /// the entries.
    pub(super) fn verify(&self, ebpf: &Ebpf) -> Result<(), DatapathError> {
        let [first, second] = self.maps();
        if let Self::Multibit { ipv4, ipv6 } = self {
            image::verify(first, map(ebpf, first)?, ipv4)?;
            image::verify(second, map(ebpf, second)?, ipv6)?;
        }
        Ok(())
    }
}

/// The maps that hold an engine's tables: IPv4's and IPv6's.
pub(super) const fn maps_of(engine: Engine) -> [&'static str; 2] {
    match engine {
        Engine::Multibit => IMAGES,
        Engine::Lpm => TRIES,
    }
}

/// A map of the kernel object, by name.
pub(super) fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData, DatapathError> {
    match ebpf.map(name) {
        Some(
            Map::Array(data)
            | Map::HashMap(data)
            | Map::LpmTrie(data)
            | Map::LruHashMap(data)
            | Map::PerCpuArray(data)
            | Map::RingBuf(data),
        ) => Ok(data),
        _ => Err(DatapathError::Object {
            what: format!("map {name}"),
        }),
    }
}
