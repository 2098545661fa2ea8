//! Makes a machine able to build the kernel object.
//!
//! A set-up is a loop: look at the machine ([`machine`]), decide what to do next ([`plan`]), do the first thing
//! of it ([`action`]), look again. So what one step brings to light, such as the LLVM of a compiler
//! that was not there before, shapes the next one; a second run finds nothing to do; and a way that fails gives
//! room to the next.

mod action;
mod machine;
mod plan;
mod programs;

use std::{
    fmt::Write as _,
    fs,
    io::{self, IsTerminal as _, Write as _},
    iter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use geodrop_toolchain::{Places, Toolchain, Way, linker, rust::NIGHTLY};

use self::{
    action::{Action, Packages},
    plan::{Candidate, Compiler, LinkerState, Machine, Outlook, Plan},
};
pub(crate) use self::{
    plan::Purpose,
    programs::{
        ensure_book, ensure_filters, ensure_fuzzer, ensure_musl, ensure_packager,
        ensure_prometheus, ensure_python, ensure_terminal,
    },
};
use crate::{
    bounded::{self, Stop},
    command::Privilege,
    workspace::{self, Workspace},
};

/// Whether a person has to agree before something is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Ask, where a person sits at a terminal.
    Ask,
    /// It was given beforehand.
    Given,
}

/// The LLVM in commands for a person, where that of the compiler is not known.
const EXAMPLE_LLVM: u32 = 22;

/// The lines of a log that are shown when a step fails.
const TAIL: usize = 15;

/// Finds the toolchain of the kernel object, having installed what was missing.
pub(crate) fn ensure(
    workspace: &Workspace,
    purpose: Purpose,
    consent: Consent,
) -> anyhow::Result<Toolchain> {
    let places = Places::from_env()?;
    if let Some(toolchain) = find(&places, purpose) {
        return Ok(toolchain);
    }
    let mut tried = Vec::new();
    let mut agreed = None;
    loop {
        let machine = machine::probe(&places);
        let plan = match plan::plan(&machine, &tried, purpose) {
            Outlook::Complete => return Ok(Toolchain::find(&places)?),
            Outlook::Stuck(reasons) => bail!(stuck(&reasons, &machine, &places)),
            Outlook::Open(plan) => plan,
        };
        if agreed != Some(plan.way) {
            eprint!("{}", announcement(&plan));
            agree(consent)?;
            agreed = Some(plan.way);
        }
        perform(&plan.next, workspace, &places)?;
        tried.push(plan.next);
    }
}

/// What is needed, if it is there: the quick look, which asks no package manager.
fn find(places: &Places, purpose: Purpose) -> Option<Toolchain> {
    let toolchain = Toolchain::find(places).ok()?;
    (purpose == Purpose::Build || toolchain.rust.has_clippy()).then_some(toolchain)
}

/// Looks whether all is there, and says what is missing if it is not.
pub(crate) fn check(purpose: Purpose) -> anyhow::Result<Result<Toolchain, String>> {
    let places = Places::from_env()?;
    if let Some(toolchain) = find(&places, purpose) {
        return Ok(Ok(toolchain));
    }
    let machine = machine::probe(&places);
    Ok(match plan::plan(&machine, &[], purpose) {
        Outlook::Complete => Ok(Toolchain::find(&places)?),
        Outlook::Stuck(reasons) => Err(stuck(&reasons, &machine, &places)),
        Outlook::Open(plan) => Err(format!("{}{}", lacks(&machine), announcement(&plan))),
    })
}

/// What each way lacks, a line each.
fn lacks(machine: &Machine) -> String {
    let mut text = String::new();
    for Candidate {
        way,
        compiler,
        linker,
    } in &machine.ways
    {
        let lack = match (compiler, linker) {
            (Err(lack), _) | (_, LinkerState::Refused(lack)) => lack.clone(),
            (Ok(Compiler { llvm, .. }), LinkerState::Missing) => {
                format!("no bpf-linker for its LLVM {llvm}")
            }
            (Ok(Compiler { clippy: false, .. }), LinkerState::Fits) => "no clippy".to_owned(),
            (Ok(_), LinkerState::Fits) => continue,
        };
        let _ = writeln!(text, "{way}: {lack}");
    }
    text
}

/// What will be done, for a person to agree to.
fn announcement(plan: &Plan) -> String {
    let mut text = format!(
        "To be installed, to build the kernel object ({}'s way):\n",
        plan.way
    );
    for action in iter::once(&plan.next).chain(&plan.then) {
        let _ = writeln!(text, "  - {action} ({})", action.cost());
    }
    if plan.linker_follows {
        let _ = writeln!(
            text,
            "  - then, where missing: the development files of the compiler's LLVM ({}) and bpf-linker {} built against it \
             (1 to 4 minutes)",
            Packages::Llvm(0).cost(),
            linker::VERSION
        );
    }
    text
}

/// Asks, where there is somebody to ask.
fn agree(consent: Consent) -> anyhow::Result<()> {
    if consent == Consent::Given || !io::stdin().is_terminal() {
        return Ok(());
    }
    eprint!("Go on? [Y/n] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    // The end of input is no answer.
    let read = io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "" | "y" | "yes" if read > 0 => Ok(()),
        _ => bail!("nothing was installed; `cargo xtask setup` asks again"),
    }
}

/// Does one thing. That it fails is said, and no error: the next look at the machine decides what follows.
fn perform(action: &Action, workspace: &Workspace, places: &Places) -> anyhow::Result<()> {
    let scratch = scratch(workspace)?;
    let log = scratch.with_file_name(action.slug()).with_extension("log");
    let privilege = machine::privilege(places);
    if action.is_privileged() && privilege == Privilege::Sudo && io::stdin().is_terminal() {
        // Here sudo may ask for a password; later it could not, being in the background.
        workspace::run(Command::new("sudo").arg("-v"))?;
    }
    let commands = action.invocations(places, privilege, &scratch);
    match bounded::run(&action.to_string(), &commands, action.limit(), &log) {
        // What the linker was built in is of no use any more; left after a failure, it shortens the next attempt.
        Ok(()) => drop(fs::remove_dir_all(&scratch)),
        Err(Stop::Interrupted) => bail!(
            "interrupted: {action} is not complete, and `cargo xtask setup` goes on from here"
        ),
        Err(stop) => eprintln!("    {stop}{}", tail(workspace.relative(&log), &log)),
    }
    Ok(())
}

/// The directory that things are built in, and beside which is what stays of a set-up.
fn scratch(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    Ok(workspace.target_directory()?.join("setup/scratch"))
}

/// The end of a log, below its path.
fn tail(shown: &Path, log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let mut tail = format!("; the end of {}:", shown.display());
    for line in &lines[lines.len().saturating_sub(TAIL)..] {
        let _ = write!(tail, "\n    | {line}");
    }
    tail
}

/// Why nothing leads on, and what a person can do.
fn stuck(reasons: &[(Way, String)], machine: &Machine, places: &Places) -> String {
    let mut text = "this machine cannot build the kernel object, and the set-up does not know how to change that:\n".to_owned();
    for (way, reason) in reasons {
        let _ = writeln!(text, "  {way}: {reason}");
    }
    text.push_str("By hand, one of:\n");
    for &way in &places.ways {
        for line in by_hand(way, machine, places) {
            let _ = writeln!(text, "  {line}");
        }
        text.push('\n');
    }
    text.push_str("then `cargo xtask setup --check`");
    text
}

/// The commands that complete a way, for a person.
fn by_hand(way: Way, machine: &Machine, places: &Places) -> Vec<String> {
    let apt = |packages: &[Packages]| {
        let names: Vec<_> = packages.iter().map(Packages::to_string).collect();
        format!("sudo apt-get install {}", names.join(" "))
    };
    let (toolchain, rustc) = match way {
        Way::Rustup => {
            let install =
                "rustup toolchain install nightly --profile minimal -c rust-src -c clippy";
            (install.to_owned(), format!("rustc +{NIGHTLY} -vV"))
        }
        Way::Debian => (
            format!("sudo apt-get update; {}", apt(&[Packages::Rust])),
            "/usr/bin/rustc -vV".to_owned(),
        ),
    };
    let candidate = machine.ways.iter().find(|candidate| candidate.way == way);
    let known = candidate.and_then(|candidate| Some(candidate.compiler.as_ref().ok()?.llvm));
    let llvm = known.unwrap_or(EXAMPLE_LLVM);
    let origin = if known.is_some() {
        "as `{rustc}` says"
    } else {
        "an example: put in what `{rustc}` says"
    };
    vec![
        format!("# {way}'s way"),
        toolchain,
        format!("# LLVM {llvm} is {}", origin.replace("{rustc}", &rustc)),
        apt(&[Packages::CCompilers, Packages::Llvm(llvm)]),
        action::build_linker(llvm, places).to_string(),
    ]
}
