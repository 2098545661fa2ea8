//! The Rust toolchains that can build for BPF.
//!
//! Any recent compiler has the BPF target, but no precompiled core library for it, so cargo builds core
//! from the compiler's own sources (`-Z build-std`): an unstable feature. Two ways lead there: rustup's
//! nightly, and Debian's `rustc-web`, a stable compiler told by `RUSTC_BOOTSTRAP` to accept it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::places::{Places, is_executable};

/// The rustup toolchain that is used.
pub const NIGHTLY: &str = "nightly";

/// The oldest compiler that builds this workspace, as its manifest says.
pub const MINIMUM: &str = env!("CARGO_PKG_RUST_VERSION");

/// One way to have a Rust toolchain for BPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// rustup's nightly with its `rust-src` component.
    Rustup,
    /// Debian's `rustc-web`, `cargo-web` and `rust-web-src`.
    Debian,
}

impl Way {
    /// Every way, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Rustup, Self::Debian];

    /// The name in `GEODROP_EBPF_TOOLCHAIN` and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust toolchain that can build for BPF: compiler, cargo and sources are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rust {
    /// How it came here.
    pub way: Way,
    /// The directory of `rustc`, `cargo` and the others.
    pub bin: PathBuf,
    /// What `rustc -vV` says.
    pub version: Version,
}

/// Why a Rust toolchain cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RustLack {
    /// There is no rustup on `PATH`.
    #[error("rustup is not on PATH")]
    NoRustup,
    /// rustup has no nightly.
    #[error("no {NIGHTLY} toolchain is installed")]
    NoNightly,
    /// The distribution's compiler or its cargo is missing.
    #[error("there is no {}", .0.display())]
    NoProgram(PathBuf),
    /// The compiler is older than this workspace needs.
    #[error("{} is version {found}, and {MINIMUM} is the oldest that will do", .rustc.display())]
    TooOld {
        /// The compiler.
        rustc: PathBuf,
        /// Its release.
        found: String,
    },
    /// The sources of the core library are not there.
    #[error("the core library's sources are missing ({})", .0.display())]
    NoSources(PathBuf),
    /// The compiler could not be run.
    #[error("{} -vV: {error}", .rustc.display())]
    Broken {
        /// The compiler.
        rustc: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The compiler says something else than compilers say.
    #[error("{} -vV gives no release or no LLVM version", .0.display())]
    Unintelligible(PathBuf),
}

impl Rust {
    /// Looks whether this way's toolchain is there and complete.
    ///
    /// # Errors
    ///
    /// The first thing that it lacks.
    pub fn probe(way: Way, places: &Places) -> Result<Self, RustLack> {
        let bin = match way {
            Way::Rustup => nightly_bin(places)?,
            Way::Debian => places.system.clone(),
        };
        let rustc = bin.join("rustc");
        for program in [&rustc, &bin.join("cargo")] {
            if !is_executable(program) {
                return Err(RustLack::NoProgram(program.clone()));
            }
        }
        let version = Version::of(&rustc)?;
        if !is_new_enough(&version.text) {
            let found = version.text;
            return Err(RustLack::TooOld { rustc, found });
        }
        // Both ways lay a toolchain out alike: bin/ beside lib/ (the sysroot is their parent).
        let sources = bin.join("../lib/rustlib/src/rust/library");
        if !sources.join("core/Cargo.toml").is_file() {
            return Err(RustLack::NoSources(tidy(&sources)));
        }
        Ok(Self { way, bin, version })
    }

    /// Whether clippy came with this toolchain: Debian packages it apart, as does rustup's minimal profile.
    #[must_use]
    pub fn has_clippy(&self) -> bool {
        is_executable(&self.clippy()) && is_executable(&self.bin.join("clippy-driver"))
    }

    /// The program behind `cargo clippy`.
    pub(crate) fn clippy(&self) -> PathBuf {
        self.bin.join("cargo-clippy")
    }

    /// Says in the environment of `command` that this toolchain is meant, to cargo and to rustup's proxies.
    pub(crate) fn select(&self, command: &mut Command) {
        for (variable, program) in [
            ("CARGO", "cargo"),
            ("RUSTC", "rustc"),
            ("RUSTDOC", "rustdoc"),
        ] {
            command.env(variable, self.bin.join(program));
        }
        match self.way {
            Way::Rustup => command.env("RUSTUP_TOOLCHAIN", NIGHTLY),
            Way::Debian => command.env("RUSTC_BOOTSTRAP", "1"),
        };
    }
}

/// The directory of the nightly's own programs. Those, not rustup's proxies, are run: a proxy may decide to
/// install something.
fn nightly_bin(places: &Places) -> Result<PathBuf, RustLack> {
    let rustup = places.program("rustup").ok_or(RustLack::NoRustup)?;
    let output = Command::new(&rustup)
        .args(["which", "--toolchain", NIGHTLY, "rustc"])
        .env("RUSTUP_AUTO_INSTALL", "0")
        .output()
        .map_err(|error| RustLack::Broken {
            rustc: rustup,
            error,
        })?;
    if !output.status.success() {
        return Err(RustLack::NoNightly);
    }
    let rustc = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    rustc
        .parent()
        .map(Path::to_path_buf)
        .ok_or(RustLack::NoNightly)
}

/// `a/bin/../lib` as `a/lib`, for messages.
fn tidy(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut tidied, part| {
        if part.as_os_str() == ".." {
            tidied.pop();
        } else {
            tidied.push(part);
        }
        tidied
    })
}

/// What `rustc -vV` says of a compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The release as printed: `1.97.0-nightly`.
    pub text: String,
    /// The major version of the LLVM that writes the bitcode: the linker's must not be older.
    pub llvm: u32,
}

impl Version {
    fn of(rustc: &Path) -> Result<Self, RustLack> {
        let output = Command::new(rustc)
            .arg("-vV")
            .env_remove("LD_LIBRARY_PATH")
            .output()
            .map_err(|error| RustLack::Broken {
                rustc: rustc.to_path_buf(),
                error,
            })?;
        Self::parse(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| RustLack::Unintelligible(rustc.to_path_buf()))
    }

    /// Reads the output of `rustc -vV`.
    #[must_use]
    pub fn parse(verbose: &str) -> Option<Self> {
        let field = |name| verbose.lines().find_map(|line| line.strip_prefix(name));
        let text = field("release: ")?.trim();
        Some(Self {
            text: text.to_owned(),
            llvm: field("LLVM version: ")?
                .trim()
                .split('.')
                .next()?
                .parse()
                .ok()?,
        })
    }
}

/// Whether a compiler of this release builds this workspace.
#[must_use]
pub fn is_new_enough(release: &str) -> bool {
    parse_release(release) >= parse_release(MINIMUM)
}

/// Reads the major and minor number of `1.97.0-nightly`, or of the manifest's `1.95`.
fn parse_release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_compilers_say() {
        let said = |release: &str, llvm: &str| {
            format!(
                "rustc {release} (e50aa6fba 2026-05-19)\nbinary: rustc\nrelease: {release}\nLLVM version: {llvm}\n"
            )
        };
        let cases = [
            (said("1.97.0-nightly", "22.1.4"), Some(22)),
            (said("1.96.0", "22.1"), Some(22)),
            (said("1.96.0", "23"), Some(23)),
            // A compiler with another backend (cranelift alone) has no LLVM line.
            ("release: 1.96.0\n".to_owned(), None),
            (said("1.96.0", "unknown"), None),
            (String::new(), None),
        ];
        for (output, expected) in cases {
            let version = Version::parse(&output).map(|version| version.llvm);
            assert_eq!(version, expected, "{output}");
        }
    }

    #[test]
    fn the_manifests_minimum_decides() {
        assert!(parse_release(MINIMUM).is_some(), "{MINIMUM}");
        let cases = [
            (MINIMUM, true),
            ("1.1000.0-nightly", true),
            ("2.0.0", true),
            ("1.85.0+dfsg3-1~deb12u3", false),
            ("", false),
        ];
        for (release, expected) in cases {
            assert_eq!(is_new_enough(release), expected, "{release}");
        }
    }

    #[test]
    fn a_path_in_a_message_has_no_detours() {
        assert_eq!(
            tidy(Path::new("/usr/bin/../lib/rustlib")),
            Path::new("/usr/lib/rustlib")
        );
    }
}
