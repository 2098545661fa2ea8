//! What the fuzz targets hold of every parser, held of all seeds, and of what becomes of them by chance.
//!
//! Seeds are the excerpts of `tests/geoip`, the policies of `examples`, and what `fuzz/seeds` has for a target: what a fuzzer
//! found wrong is there as well. `cargo xtask fuzz` goes on from there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot have what it needs has failed"
)]

#[path = "../../fuzz/src/memory.rs"]
#[allow(unreachable_pub, reason = "there it is a library's")]
mod memory;
#[path = "../../fuzz/src/parsers.rs"]
#[allow(unreachable_pub, reason = "there it is a library's")]
mod parsers;

use std::{fs, path::Path};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};

use parsers::TARGETS;

/// What a target begins with.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("../fuzz/seeds").join(target);
    let mut seeds = vec![Vec::new()];
    for directory in [root.join("tests/geoip"), root.join("../examples"), own] {
        let entries = fs::read_dir(directory).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        seeds.extend(paths.iter().map(|path| fs::read(path).unwrap()));
    }
    seeds
}

/// A change to bytes.
#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, Index),
    /// Bytes of another seed.
    Splice(Index, Index, Index),
    Repeat(Index, Index, u8),
}

/// What parsers look for.
const TOKENS: [&str; 12] = [
    "0", "/", "::", ",", "\"", "|", "\n", "255", "CN", "#", "\0", "é",
];

fn any_change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let token = prop::sample::select(&TOKENS[..]).prop_map(|token| token.as_bytes().to_vec());
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (index(), token).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (index(), index()).prop_map(|(from, to)| Change::Cut(from, to)),
        (index(), index(), index()).prop_map(|(at, seed, from)| Change::Splice(at, seed, from)),
        (index(), index(), any::<u8>())
            .prop_map(|(from, to, times)| Change::Repeat(from, to, times)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        // One place is behind the last byte.
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        let span = |one: &Index, other: &Index, bytes: &[u8]| {
            let (one, other) = (place(one, bytes), place(other, bytes));
            one.min(other)..one.max(other)
        };
        match self {
            Self::Replace(at, byte) => {
                let at = place(at, bytes);
                if let Some(there) = bytes.get_mut(at) {
                    *there = *byte;
                }
            }
            Self::Insert(at, inserted) => {
                let at = place(at, bytes);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Cut(from, to) => {
                bytes.drain(span(from, to, bytes));
            }
            Self::Splice(at, seed, from) => {
                let seed = &seeds[seed.index(seeds.len())];
                let from = place(from, seed);
                let at = place(at, bytes);
                bytes.splice(at.., seed[from..].iter().copied());
            }
            Self::Repeat(from, to, times) => {
                let part = bytes[span(from, to, bytes)].to_vec();
                for _ in 0..times % 8 {
                    bytes.extend(&part);
                }
            }
        }
    }
}

/// Holds a target of its seeds, and of as many variants of them.
fn check(name: &str, cases: u32) {
    let seeds = seeds(name);
    for seed in &seeds {
        parsers::check(name, seed);
    }
    let changes = prop::collection::vec(any_change(), 1..6);
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    };
    let outcome = TestRunner::new(config).run(&(any::<Index>(), changes), |(seed, changes)| {
        let mut bytes = seeds[seed.index(seeds.len())].clone();
        for change in changes {
            change.apply(&mut bytes, &seeds);
        }
        parsers::check(name, &bytes);
        Ok(())
    });
    outcome.unwrap();
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), 256);
            }
        )*

        #[test]
        fn every_target_is_tested_here_and_fuzzed() {
            let names = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|target| target.name), names);
            let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
            for name in names {
                assert!(targets.join(name).with_extension("rs").is_file(), "{name}");
            }
        }
    };
}

tests! {
    columns config delegated detection geofeed maxmind merge mmdb packed prefix_list prefixes ranges snapshot
}
