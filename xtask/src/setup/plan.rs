//! What to do next, as data: decided from what a machine has and what was tried, without touching it.
//!
//! Nothing is tried twice, and a way is given up when it has nothing left to try; so a set-up always ends, at a
//! complete toolchain or at a list of what does not work.

use std::collections::{BTreeMap, BTreeSet};

use geodrop_toolchain::{
    Way,
    linker::{self, LLVM},
    rust,
};

use super::action::{Action, Packages};

/// What the toolchain is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To build the kernel object.
    Build,
    /// To check its sources as well: clippy.
    Lint,
}

/// What was found on a machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The ways that may be used, in order.
    pub(crate) ways: Vec<Candidate>,
    /// How far rustup has come.
    pub(crate) rustup: Rustup,
    /// Whether there are a C and a C++ compiler, to build the linker.
    pub(crate) c_compilers: bool,
    /// The LLVM majors whose development files are installed.
    pub(crate) llvm: BTreeSet<u32>,
    /// The packages that apt would install, and their versions; `None` where there is no apt.
    pub(crate) apt: Option<BTreeMap<String, String>>,
    /// Whether we may install packages: as root, or through sudo.
    pub(crate) may_install: bool,
    /// Whether the user has a home to keep the linker in.
    pub(crate) home: bool,
}

/// How far rustup has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rustup {
    /// It is not there.
    Missing,
    /// It is there without a nightly that is new enough.
    NoNightly,
    /// It has one, be it complete or not.
    Nightly,
}

/// How far one way has come.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The way.
    pub(crate) way: Way,
    /// Its compiler, or why it cannot be used.
    pub(crate) compiler: Result<Compiler, String>,
    /// The linker for that compiler.
    pub(crate) linker: LinkerState,
}

/// A compiler that is ready to build for BPF.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compiler {
    /// Its LLVM's major version.
    pub(crate) llvm: u32,
    /// Whether clippy came with it.
    pub(crate) clippy: bool,
}

/// Whether there is a linker for a compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkerState {
    /// One fits.
    Fits,
    /// None fits, or there is no compiler that it could fit.
    Missing,
    /// The user named one that does not do, and why.
    Refused(String),
}

/// What follows from a machine's state.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// All is there.
    Complete,
    /// Something is to be installed.
    Open(Plan),
    /// No way leads on: each of them, and why.
    Stuck(Vec<(Way, String)>),
}

/// The actions that complete one way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The way.
    pub(crate) way: Way,
    /// The action to take now.
    pub(crate) next: Action,
    /// Those that follow, if it does what it should.
    pub(crate) then: Vec<Action>,
    /// Whether more follows that depends on a compiler which is not there yet.
    pub(crate) linker_follows: bool,
}

/// Decides what to do next.
pub(crate) fn plan(machine: &Machine, tried: &[Action], purpose: Purpose) -> Outlook {
    let planner = Planner { machine, tried };
    // The way that will be used wins over one that would only be preferred: nothing is installed without need.
    let complete = machine
        .ways
        .iter()
        .find(|candidate| candidate.compiler.is_ok() && candidate.linker == LinkerState::Fits);
    let candidates = complete.map_or(&*machine.ways, std::slice::from_ref);
    let mut stuck = Vec::new();
    for candidate in candidates {
        match planner.complete(candidate, purpose) {
            Ok(None) => return Outlook::Complete,
            Ok(Some(plan)) => return Outlook::Open(plan),
            Err(reason) => stuck.push((candidate.way, reason)),
        }
    }
    Outlook::Stuck(stuck)
}

struct Planner<'a> {
    machine: &'a Machine,
    tried: &'a [Action],
}

impl Planner<'_> {
    /// The actions that complete a way, if it needs any, or why it cannot be completed.
    fn complete(&self, candidate: &Candidate, purpose: Purpose) -> Result<Option<Plan>, String> {
        let way = candidate.way;
        if let LinkerState::Refused(reason) = &candidate.linker {
            return Err(reason.clone());
        }
        let missing = candidate.linker == LinkerState::Missing;
        let mut actions = Vec::new();
        match &candidate.compiler {
            Err(reason) => actions.push(
                self.toolchain(way)
                    .map_err(|stuck| format!("{reason}; {stuck}"))?,
            ),
            Ok(compiler) => {
                if purpose == Purpose::Lint && !compiler.clippy {
                    actions.push(self.clippy(way)?);
                }
                if missing {
                    actions.extend(self.linker(compiler.llvm)?);
                }
            }
        }
        let linker_follows = missing && candidate.compiler.is_err();
        let mut actions = actions.into_iter();
        Ok(actions.next().map(|next| Plan {
            way,
            next,
            then: actions.collect(),
            linker_follows,
        }))
    }

    fn toolchain(&self, way: Way) -> Result<Action, String> {
        match way {
            Way::Rustup => match self.machine.rustup {
                Rustup::Missing => {
                    Err("this installs toolchains with rustup, not rustup itself".to_owned())
                }
                Rustup::NoNightly => self.first_untried([Action::RustupNightly]),
                Rustup::Nightly => {
                    self.first_untried([Action::RustupComponent("rust-src"), Action::RustupNightly])
                }
            },
            Way::Debian => self.apt(Packages::Rust),
        }
    }

    fn clippy(&self, way: Way) -> Result<Action, String> {
        match way {
            Way::Rustup => self.first_untried([Action::RustupComponent("clippy")]),
            Way::Debian => self.apt(Packages::Clippy),
        }
    }

    /// Builds a linker, against the oldest LLVM that does: first one that is installed, then one that apt has.
    fn linker(&self, compiler: u32) -> Result<Vec<Action>, String> {
        if !self.machine.home {
            return Err(
                "neither HOME nor XDG_DATA_HOME is set: bpf-linker has no place to be".to_owned(),
            );
        }
        if compiler > *LLVM.end() {
            return Err(format!(
                "the compiler's LLVM is {compiler}, and bpf-linker {} can be built for LLVM {} to {} only",
                linker::VERSION,
                LLVM.start(),
                LLVM.end()
            ));
        }
        let majors = || {
            (compiler.max(*LLVM.start())..=*LLVM.end())
                .filter(|&llvm| !self.tried.contains(&Action::Linker { llvm }))
        };
        let mut actions = Vec::new();
        if !self.machine.c_compilers {
            actions.push(self.apt(Packages::CCompilers)?);
        }
        let mut installed = majors().filter(|llvm| self.machine.llvm.contains(llvm));
        if let Some(llvm) = installed.next() {
            actions.push(Action::Linker { llvm });
            return Ok(actions);
        }
        let offered = majors().filter(|&llvm| self.is_offered(Packages::Llvm(llvm)));
        let mut reason = format!("bpf-linker {} cannot be built", linker::VERSION);
        for llvm in offered.chain(majors()) {
            match self.apt(Packages::Llvm(llvm)) {
                Ok(action) => {
                    actions.extend([action, Action::Linker { llvm }]);
                    return Ok(actions);
                }
                Err(stuck) => reason = stuck,
            }
        }
        Err(reason)
    }

    /// Installs packages, from apt's lists as they are if these offer them, else after a refresh.
    fn apt(&self, packages: Packages) -> Result<Action, String> {
        if self.machine.apt.is_none() {
            return Err(format!("there is no apt-get to install {packages} with"));
        }
        if !self.machine.may_install {
            return Err(format!("installing {packages} needs root, or sudo"));
        }
        let at_once = self.is_offered(packages).then_some(Action::Apt {
            packages,
            refresh: false,
        });
        self.first_untried(at_once.into_iter().chain([Action::Apt {
            packages,
            refresh: true,
        }]))
    }

    /// Whether apt's lists have every one of these packages, and new enough.
    fn is_offered(&self, packages: Packages) -> bool {
        let Some(offers) = &self.machine.apt else {
            return false;
        };
        packages.names().iter().all(|name| {
            let version = offers.get(name);
            version
                .is_some_and(|version| packages != Packages::Rust || rust::is_new_enough(version))
        })
    }

    fn first_untried(&self, actions: impl IntoIterator<Item = Action>) -> Result<Action, String> {
        actions
            .into_iter()
            .find(|action| !self.tried.contains(action))
            .ok_or_else(|| "what could be done about it was tried, see above".to_owned())
    }
}

#[cfg(test)]
mod tests;
