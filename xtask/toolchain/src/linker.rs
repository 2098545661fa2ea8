//! The `bpf-linker` that fits a compiler.
//!
//! rustc hands the linker LLVM bitcode, which an older LLVM cannot read: a linker fits when it was built
//! against an LLVM at least as new as the compiler's. `bpf-linker --version` does not say which LLVM that
//! was, but a dynamically linked one needs that LLVM's shared library, and the dynamic loader lists what a
//! program needs without running it. A linker of unknown LLVM is not used, unless the user names it:
//! building our own takes a minute, a wrong one fails later in words that nobody understands.

use std::{
    fmt, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
};

use crate::places::{LINKER_VARIABLE, Places, is_executable};

/// The version that `cargo xtask setup` builds, and the oldest that will do.
pub const VERSION: Version = Version(0, 13, 0);

/// The LLVM majors that this version can be built against: its cargo features.
pub const LLVM: RangeInclusive<u32> = 21..=23;

/// A `bpf-linker` that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linker {
    /// The program.
    pub path: PathBuf,
    /// What it says of itself.
    pub version: Version,
    /// The major version of the LLVM that it was built against, if that can be told.
    pub llvm: Option<u32>,
}

/// Major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Why there is no linker.
#[derive(Debug, thiserror::Error)]
pub enum LinkerLack {
    /// None was found that fits.
    #[error("no bpf-linker {VERSION} or newer for LLVM {llvm} is installed")]
    None {
        /// The compiler's LLVM.
        llvm: u32,
    },
    /// The one that the user named does not run.
    #[error("{LINKER_VARIABLE} names {}, which does not run as a bpf-linker: {error}", .path.display())]
    Broken {
        /// What the variable says.
        path: PathBuf,
        /// Why it does not run.
        error: io::Error,
    },
    /// The one that the user named is too old.
    #[error(
        "{LINKER_VARIABLE} names {}, bpf-linker {} of LLVM {}: the compiler needs {VERSION} or newer, LLVM {llvm} or newer",
        .linker.path.display(),
        .linker.version,
        .linker.llvm.map_or_else(|| "unknown".to_owned(), |llvm| llvm.to_string())
    )]
    Unfit {
        /// The linker named.
        linker: Linker,
        /// The compiler's LLVM.
        llvm: u32,
    },
}

impl Linker {
    /// Asks a program whether it is a `bpf-linker`, and which.
    ///
    /// # Errors
    ///
    /// It does not run, or is something else.
    pub fn probe(path: &Path) -> io::Result<Self> {
        if !is_executable(path) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "it is no executable file",
            ));
        }
        let output = command(path).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let version = parse_version(&said).ok_or_else(|| {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let words = stderr
                .lines()
                .chain(said.lines())
                .next()
                .unwrap_or("it says nothing");
            io::Error::other(words.to_owned())
        })?;
        // A static program ignores the variable and prints its version again, which names no library.
        let libraries = command(path).env("LD_TRACE_LOADED_OBJECTS", "1").output()?;
        Ok(Self {
            path: path.to_path_buf(),
            version,
            llvm: parse_llvm(&String::from_utf8_lossy(&libraries.stdout)),
        })
    }

    /// Whether it is new enough and reads the bitcode of this LLVM; an unknown LLVM passes if `trusted`.
    fn fits(&self, llvm: u32, trusted: bool) -> bool {
        self.version >= VERSION && self.llvm.map_or(trusted, |own| own >= llvm)
    }
}

fn command(path: &Path) -> Command {
    let mut command = Command::new(path);
    // Inside cargo this names the libraries of the outer toolchain.
    command.arg("--version").env_remove("LD_LIBRARY_PATH");
    command
}

/// Finds the linker for a compiler of this LLVM: the one that the user named, else one on `PATH` that fits,
/// else one that `cargo xtask setup` built.
///
/// # Errors
///
/// There is none, or the one that the user named does not do.
pub fn find(llvm: u32, places: &Places) -> Result<Linker, LinkerLack> {
    choose(llvm, places, Linker::probe)
}

/// [`find`], with `probe` to ask each candidate.
fn choose(
    llvm: u32,
    places: &Places,
    probe: impl Fn(&Path) -> io::Result<Linker>,
) -> Result<Linker, LinkerLack> {
    if let Some(path) = &places.linker {
        let linker = probe(path).map_err(|error| LinkerLack::Broken {
            path: path.clone(),
            error,
        })?;
        return if linker.fits(llvm, true) {
            Ok(linker)
        } else {
            Err(LinkerLack::Unfit { linker, llvm })
        };
    }
    let on_path = places.program("bpf-linker");
    let ours =
        (llvm..=*LLVM.end()).filter_map(|llvm| Some(home(llvm, places)?.join("bin/bpf-linker")));
    on_path
        .into_iter()
        .chain(ours)
        .filter_map(|path| probe(&path).ok())
        .find(|linker| linker.fits(llvm, false))
        .ok_or(LinkerLack::None { llvm })
}

/// The directory of geodrop's own linker for this LLVM, in the layout of `cargo install --root`; `None` where
/// the user has no home.
#[must_use]
pub fn home(llvm: u32, places: &Places) -> Option<PathBuf> {
    Some(
        places
            .data
            .as_ref()?
            .join(format!("bpf-linker-{VERSION}-llvm{llvm}")),
    )
}

/// Reads `bpf-linker 0.13.0`.
fn parse_version(said: &str) -> Option<Version> {
    let mut numbers = said
        .trim()
        .strip_prefix("bpf-linker ")?
        .split(['.', '-', '+', ' '])
        .map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Version(next()?, next()?, next()?))
}

/// Reads the LLVM major from the loader's list: `libLLVM.so.22.1 => …`, or `libLLVM-22.so.1 => …`.
fn parse_llvm(libraries: &str) -> Option<u32> {
    libraries.lines().find_map(|line| {
        let name = line.trim().strip_prefix("libLLVM")?;
        let major = name
            .strip_prefix(".so.")
            .or_else(|| name.strip_prefix('-'))?;
        major.split(['.', ' ']).next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn reads_its_version() {
        let cases = [
            ("bpf-linker 0.13.0\n", Some(Version(0, 13, 0))),
            ("bpf-linker 1.0.0-rc.1", Some(Version(1, 0, 0))),
            ("bpf-linker 0.13", None),
            ("GNU ld 2.40", None),
            ("", None),
        ];
        for (said, expected) in cases {
            assert_eq!(parse_version(said), expected, "{said}");
        }
    }

    #[test]
    fn reads_the_llvm_that_the_loader_lists() {
        let cases = [
            (
                "\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibLLVM.so.22.1 => /usr/lib/libLLVM.so.22.1 (0x2)\n",
                Some(22),
            ),
            ("\tlibLLVM-21.so.1 => not found\n", Some(21)),
            ("\tlibc.so.6 => /lib/libc.so.6 (0x1)\n", None),
            ("bpf-linker 0.13.0\n", None),
        ];
        for (listed, expected) in cases {
            assert_eq!(parse_llvm(listed), expected, "{listed}");
        }
    }

    #[test]
    fn an_older_llvm_or_version_does_not_fit() {
        let linker = |version, llvm| Linker {
            path: PathBuf::new(),
            version,
            llvm,
        };
        let cases = [
            (linker(VERSION, Some(22)), false, true),
            (linker(VERSION, Some(23)), false, true),
            (linker(VERSION, Some(21)), false, false),
            (linker(VERSION, Some(21)), true, false),
            (linker(VERSION, None), false, false),
            (linker(VERSION, None), true, true),
            (linker(Version(0, 12, 9), Some(22)), true, false),
        ];
        for (linker, trusted, expected) in cases {
            assert_eq!(linker.fits(22, trusted), expected, "{linker:?}");
        }
    }

    #[test]
    fn takes_the_first_that_fits() {
        let scratch = tempfile::tempdir().unwrap();
        let on_path = scratch.path().join("bpf-linker");
        fs::write(&on_path, "").unwrap();
        fs::set_permissions(&on_path, fs::Permissions::from_mode(0o755)).unwrap();
        let places = Places {
            path: vec![scratch.path().join("empty"), scratch.path().to_path_buf()],
            ways: Vec::new(),
            linker: None,
            data: Some(scratch.path().join("data")),
            system: PathBuf::new(),
        };
        let ours = |llvm| home(llvm, &places).unwrap().join("bin/bpf-linker");
        // The path that is chosen when the linkers there are these.
        let chosen = |places: &Places, there: &[(&Path, Version, Option<u32>)]| {
            choose(22, places, |path| {
                let &(path, version, llvm) = there
                    .iter()
                    .find(|(other, ..)| *other == path)
                    .ok_or_else(|| io::Error::other("it is none"))?;
                let path = path.to_path_buf();
                Ok(Linker {
                    path,
                    version,
                    llvm,
                })
            })
            .map(|linker| linker.path)
            .map_err(|lack| lack.to_string())
        };

        let none = "no bpf-linker 0.13.0 or newer for LLVM 22 is installed";
        assert_eq!(chosen(&places, &[]).unwrap_err(), none);
        assert_eq!(
            chosen(&places, &[(&ours(21), VERSION, Some(21))]).unwrap_err(),
            none
        );
        assert_eq!(
            chosen(&places, &[(&ours(23), VERSION, Some(23))]),
            Ok(ours(23))
        );
        // One on PATH that does not fit is passed over, one that does is preferred.
        let own = ours(22);
        let both = |llvm| [(&*on_path, VERSION, llvm), (&*own, VERSION, Some(22))];
        assert_eq!(chosen(&places, &both(Some(21))), Ok(ours(22)));
        assert_eq!(chosen(&places, &both(None)), Ok(ours(22)));
        assert_eq!(chosen(&places, &both(Some(22))), Ok(on_path.clone()));

        // The one that the user names is used or complained about, never passed over.
        let named = PathBuf::from("/named");
        let places = Places {
            linker: Some(named.clone()),
            ..places.clone()
        };
        let fits = (&*on_path, VERSION, Some(22));
        let broken = chosen(&places, &[fits]).unwrap_err();
        assert!(
            broken.contains("GEODROP_BPF_LINKER names /named, which"),
            "{broken}"
        );
        let old = chosen(&places, &[fits, (&named, Version(0, 12, 0), Some(22))]).unwrap_err();
        assert!(old.contains("bpf-linker 0.12.0 of LLVM 22"), "{old}");
        assert_eq!(
            chosen(&places, &[fits, (&named, VERSION, None)]),
            Ok(named.clone())
        );
    }
}
