//! Finds what builds geodrop's kernel object, and builds it.
//!
//! The kernel object needs more than the host's cargo: a Rust compiler with a BPF target and unstable
//! features (the core library is built from its sources), and a `bpf-linker` that understands that
//! compiler's LLVM bitcode. `userspace/build.rs` and every `cargo xtask` verb find both here, so there is
//! one answer to "can this machine build geodrop".
//!
//! | module | what it answers |
//! |---|---|
//! | [`places`] | where this process looks: `PATH`, the user's data directory, the two variables below |
//! | [`rust`] | the Rust toolchains that can build for BPF, and what one of them lacks |
//! | [`linker`] | the `bpf-linker` that fits a compiler's LLVM |
//! | [`objects`] | cargo run with that toolchain: build, clippy, doc |
//! | [`build_script`] | all of it as a cargo build script |
//!
//! Finding reads only, and takes a tenth of a second: nothing is installed here (`cargo xtask setup` does
//! that) and nothing is remembered, so no answer can go stale.
//!
//! # Why not aya-build
//!
//! aya-build does the same for most projects. It finds `bpf-linker` on `PATH` only, where we must not
//! replace one that the user has for something else; it asks for rustup; and it keeps its target directory
//! in `OUT_DIR`, so the core library is built anew (half a minute) for debug, release, tests and clippy
//! alike. Here all of them share one directory, `ebpf` in the workspace's target directory. It is never the
//! outer cargo's own, which holds a lock on that while it runs us (rust-lang/cargo#6412). The flags are
//! those of aya-build 0.2.0.
//!
//! # Environment
//!
//! - `GEODROP_EBPF_TOOLCHAIN=rustup` or `debian`: use this way only. Otherwise the first complete one wins.
//! - `GEODROP_BPF_LINKER=/path/to/bpf-linker`: use this linker and look for no other.

pub mod build_script;
pub mod linker;
pub mod objects;
pub mod places;
pub mod rust;

pub use linker::Linker;
pub use objects::{Kernel, Object};
pub use places::Places;
pub use rust::{Rust, Way};

/// A compiler and a linker that fit each other: all that the kernel object needs.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// The compiler, its cargo and its sources.
    pub rust: Rust,
    /// The `bpf-linker` for the compiler's LLVM.
    pub linker: Linker,
}

/// What one way of building the kernel object lacks on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Lack {
    /// The Rust toolchain is missing, or not usable.
    #[error(transparent)]
    Rust(#[from] rust::RustLack),
    /// The Rust toolchain is there, a linker for it is not.
    #[error(transparent)]
    Linker(#[from] linker::LinkerLack),
}

/// No way is complete. One line, for a person.
#[derive(Debug, thiserror::Error)]
#[error(
    "nothing here builds the kernel object ({}); run `cargo xtask setup`",
    .0.iter().map(|(way, lack)| format!("{way}: {lack}")).collect::<Vec<_>>().join("; ")
)]
pub struct Unready(
    /// Each way that was tried, in order, and the first thing that it lacks.
    pub Vec<(Way, Lack)>,
);

impl Toolchain {
    /// Finds the first way whose compiler, sources and linker are all there.
    ///
    /// # Errors
    ///
    /// No way is complete: what each of them lacks.
    pub fn find(places: &Places) -> Result<Self, Unready> {
        let mut lacks = Vec::new();
        for &way in &places.ways {
            match Self::find_way(way, places) {
                Ok(toolchain) => return Ok(toolchain),
                Err(lack) => lacks.push((way, lack)),
            }
        }
        Err(Unready(lacks))
    }

    /// Finds the compiler and the linker of one way.
    ///
    /// # Errors
    ///
    /// The first thing that this way lacks.
    pub fn find_way(way: Way, places: &Places) -> Result<Self, Lack> {
        let rust = Rust::probe(way, places)?;
        let linker = linker::find(rust.version.llvm, places)?;
        Ok(Self { rust, linker })
    }
}
