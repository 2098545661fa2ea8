//! Looks at the machine: reads only.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use geodrop_toolchain::{
    Lack, Places, Rust, Way,
    linker::{self, LLVM, LinkerLack},
    rust::RustLack,
};

use super::{
    action::Packages,
    plan::{Candidate, Compiler, LinkerState, Machine, Rustup},
};
use crate::{command::Privilege, workspace};

/// Where Debian's packages of this LLVM have their `bin`, `include` and `lib`.
pub(crate) fn llvm_prefix(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}"))
}

/// How we may do what needs root.
pub(crate) fn privilege(places: &Places) -> Privilege {
    if workspace::is_root() {
        Privilege::Root
    } else if places.program("sudo").is_some() {
        Privilege::Sudo
    } else {
        Privilege::None
    }
}

/// What is there, and what could be.
pub(crate) fn probe(places: &Places) -> Machine {
    let ways: Vec<_> = places
        .ways
        .iter()
        .map(|&way| candidate(way, places))
        .collect();
    let rustup = match Rust::probe(Way::Rustup, places) {
        Err(RustLack::NoRustup) => Rustup::Missing,
        Ok(_) | Err(RustLack::NoSources(_)) => Rustup::Nightly,
        Err(_) => Rustup::NoNightly,
    };
    Machine {
        ways,
        rustup,
        c_compilers: ["cc", "c++"]
            .iter()
            .all(|name| places.program(name).is_some()),
        llvm: LLVM
            .filter(|&llvm| has_development_files(&llvm_prefix(llvm)))
            .collect(),
        apt: places.program("apt-get").map(|_| apt_offers()),
        may_install: privilege(places) != Privilege::None,
        home: places.data.is_some(),
    }
}

fn candidate(way: Way, places: &Places) -> Candidate {
    let rust = Rust::probe(way, places);
    // A linker that the user names and that is no good stays so whatever compiler comes.
    let llvm = rust.as_ref().map_or(0, |rust| rust.version.llvm);
    let linker = match linker::find(llvm, places) {
        Err(lack @ (LinkerLack::Broken { .. } | LinkerLack::Unfit { .. })) => {
            LinkerState::Refused(lack.to_string())
        }
        Ok(_) if rust.is_ok() || places.linker.is_some() => LinkerState::Fits,
        Ok(_) | Err(LinkerLack::None { .. }) => LinkerState::Missing,
    };
    let compiler = match rust {
        Ok(rust) => Ok(Compiler {
            llvm: rust.version.llvm,
            clippy: rust.has_clippy(),
        }),
        Err(lack) => Err(Lack::from(lack).to_string()),
    };
    Candidate {
        way,
        compiler,
        linker,
    }
}

fn has_development_files(prefix: &Path) -> bool {
    ["bin/llvm-config", "lib/libLLVM.so"]
        .iter()
        .all(|file| prefix.join(file).exists())
}

/// The versions that apt would install, of all packages that we might ask for.
fn apt_offers() -> BTreeMap<String, String> {
    let sets = [Packages::Rust, Packages::Clippy, Packages::CCompilers];
    let names = sets
        .into_iter()
        .chain(LLVM.map(Packages::Llvm))
        .flat_map(Packages::names);
    let output = Command::new("apt-cache")
        .arg("policy")
        .args(names)
        .env("LC_ALL", "C")
        .output();
    // Without an answer nothing is on offer, and a refresh of the lists comes first.
    output.map_or_else(
        |_| BTreeMap::new(),
        |output| parse_policy(&String::from_utf8_lossy(&output.stdout)),
    )
}

/// Reads the candidates from `apt-cache policy`.
fn parse_policy(output: &str) -> BTreeMap<String, String> {
    let mut offers = BTreeMap::new();
    let mut package = "";
    for line in output.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
            package = name;
        } else if let Some(version) = line
            .strip_prefix("  Candidate: ")
            .filter(|version| *version != "(none)")
        {
            offers.insert(package.to_owned(), version.to_owned());
        }
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_offers() {
        let policy = "\
rustc-web:
  Installed: (none)
  Candidate: 1.96.0+dfsg1-1~deb12u2
  Version table:
     1.96.0+dfsg1-1~deb12u2 500
        500 mirror bookworm-security/main amd64 Packages
gone:
  Installed: 1.0
  Candidate: (none)
  Version table:
";
        let offers = parse_policy(policy);
        assert_eq!(
            offers.get("rustc-web").map(String::as_str),
            Some("1.96.0+dfsg1-1~deb12u2")
        );
        assert_eq!(offers.len(), 1);
        assert!(parse_policy("").is_empty());
    }
}
