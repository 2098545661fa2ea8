//! The decisions, as tables of what is there and what was tried.

use super::*;

/// A Debian 12 machine with rustup's nightly, without its sources, as root.
fn machine() -> Machine {
    let candidate = |way| Candidate {
        way,
        compiler: Err("is missing".to_owned()),
        linker: LinkerState::Missing,
    };
    let offers = [
        ("rustc-web", "1.96.0+dfsg1-1~deb12u2"),
        ("cargo-web", "1.96.0+dfsg1-1~deb12u2"),
        ("rust-web-src", "1.96.0+dfsg1-1~deb12u2"),
        ("rust-web-clippy", "1.96.0+dfsg1-1~deb12u2"),
        ("build-essential", "12.9"),
        ("llvm-22-dev", "1:22.1.8-1~deb12u1"),
        ("libpolly-22-dev", "1:22.1.8-1~deb12u1"),
    ];
    Machine {
        ways: Way::ALL.map(candidate).into(),
        rustup: Rustup::Nightly,
        c_compilers: true,
        llvm: BTreeSet::new(),
        apt: Some(
            offers
                .map(|(name, version)| (name.to_owned(), version.to_owned()))
                .into(),
        ),
        may_install: true,
        home: true,
    }
}

fn compiler(machine: &mut Machine, way: usize, llvm: u32) {
    machine.ways[way].compiler = Ok(Compiler { llvm, clippy: true });
}

/// All that a plan wants done, and for which way.
fn actions(machine: &Machine, tried: &[Action]) -> Option<(Way, Vec<Action>)> {
    match plan(machine, tried, Purpose::Lint) {
        Outlook::Open(plan) => Some((plan.way, [vec![plan.next], plan.then].concat())),
        _ => None,
    }
}

fn reasons(machine: &Machine, tried: &[Action]) -> String {
    match plan(machine, tried, Purpose::Lint) {
        Outlook::Stuck(reasons) => format!("{reasons:?}"),
        outlook => format!("not stuck: {outlook:?}"),
    }
}

const fn apt(packages: Packages, refresh: bool) -> Action {
    Action::Apt { packages, refresh }
}

const SOURCES: Action = Action::RustupComponent("rust-src");

#[test]
fn what_fails_gives_room_to_the_next() {
    let machine = machine();
    let order = [
        (Way::Rustup, SOURCES),
        (Way::Rustup, Action::RustupNightly),
        (Way::Debian, apt(Packages::Rust, false)),
        (Way::Debian, apt(Packages::Rust, true)),
    ];
    let mut tried = Vec::new();
    for (way, action) in order {
        assert_eq!(actions(&machine, &tried), Some((way, vec![action])));
        tried.push(action);
    }
    assert_eq!(
        reasons(&machine, &tried),
        r#"[(Rustup, "is missing; what could be done about it was tried, see above"), (Debian, "is missing; what could be done about it was tried, see above")]"#
    );
}

#[test]
fn nothing_is_installed_without_need() {
    let mut machine = machine();
    compiler(&mut machine, 1, 22);
    machine.ways[1].linker = LinkerState::Fits;
    assert_eq!(plan(&machine, &[], Purpose::Lint), Outlook::Complete);
    // clippy is needed to lint only, and where it cannot be had no other way is begun for it.
    machine.ways[1].compiler = Ok(Compiler {
        llvm: 22,
        clippy: false,
    });
    assert_eq!(plan(&machine, &[], Purpose::Build), Outlook::Complete);
    assert_eq!(
        actions(&machine, &[]),
        Some((Way::Debian, vec![apt(Packages::Clippy, false)]))
    );
    machine.may_install = false;
    assert_eq!(
        reasons(&machine, &[]),
        r#"[(Debian, "installing rust-web-clippy needs root, or sudo")]"#
    );
}

#[test]
fn the_linker_is_built_against_the_oldest_llvm_that_does() {
    let llvm = |major, refresh| apt(Packages::Llvm(major), refresh);
    let linker = |llvm| Action::Linker { llvm };
    let check =
        |compilers, installed: &[u32], offered: &[u32], tried: &[Action], expected: &[Action]| {
            let mut machine = machine();
            compiler(&mut machine, 0, compilers);
            machine.llvm = installed.iter().copied().collect();
            let names = offered
                .iter()
                .flat_map(|&llvm| Packages::Llvm(llvm).names());
            machine.apt = Some(names.map(|name| (name, "1".to_owned())).collect());
            let expected = Some((Way::Rustup, expected.to_vec()));
            let case = format!(
                "LLVM {compilers}, {installed:?} installed, {offered:?} on offer, tried {tried:?}"
            );
            assert_eq!(actions(&machine, tried), expected, "{case}");
        };
    check(22, &[], &[22], &[], &[llvm(22, false), linker(22)]);
    check(22, &[22], &[22], &[], &[linker(22)]);
    check(22, &[14, 21], &[22], &[], &[llvm(22, false), linker(22)]);
    check(22, &[23], &[22], &[], &[linker(23)]);
    // An old compiler takes the oldest LLVM that the linker knows.
    check(20, &[], &[21], &[], &[llvm(21, false), linker(21)]);
    // Not on offer: perhaps after a refresh. A newer one that is on offer comes first.
    check(22, &[], &[], &[], &[llvm(22, true), linker(22)]);
    check(22, &[], &[23], &[], &[llvm(23, false), linker(23)]);
    check(
        22,
        &[],
        &[22],
        &[llvm(22, false)],
        &[llvm(22, true), linker(22)],
    );
    // A build that failed is not repeated.
    check(
        22,
        &[22],
        &[22, 23],
        &[linker(22)],
        &[llvm(23, false), linker(23)],
    );
}

#[test]
fn a_compiler_too_new_for_the_linker_leads_to_the_other_way() {
    let mut machine = machine();
    compiler(&mut machine, 0, 24);
    assert_eq!(
        actions(&machine, &[]),
        Some((Way::Debian, vec![apt(Packages::Rust, false)]))
    );
    machine.ways.truncate(1);
    let stuck = reasons(&machine, &[]);
    assert!(
        stuck.contains("LLVM is 24, and bpf-linker 0.13.0 can be built for LLVM 21 to 23 only"),
        "{stuck}"
    );
}

#[test]
fn a_compiler_that_is_missing_comes_before_its_linker() {
    let Outlook::Open(plan) = plan(&machine(), &[], Purpose::Build) else {
        panic!("nothing to do")
    };
    assert_eq!(
        (plan.next, plan.then, plan.linker_follows),
        (SOURCES, Vec::new(), true)
    );
}

#[test]
fn old_lists_are_refreshed() {
    let mut machine = machine();
    machine.rustup = Rustup::Missing;
    let offers = machine.apt.as_mut().unwrap();
    offers.insert("rustc-web".to_owned(), "1.85.0+dfsg3-1~deb12u3".to_owned());
    assert_eq!(
        actions(&machine, &[]),
        Some((Way::Debian, vec![apt(Packages::Rust, true)]))
    );
}

/// Takes something away from a machine.
type Spoil = fn(&mut Machine);

#[test]
fn each_obstacle_has_a_name() {
    let cases: [(Spoil, &str); 5] = [
        (|it| it.rustup = Rustup::Missing, "not rustup itself"),
        (
            |it| it.apt = None,
            "there is no apt-get to install rustc-web",
        ),
        (|it| it.may_install = false, "needs root, or sudo"),
        (
            |it| {
                compiler(it, 0, 22);
                it.home = false;
            },
            "neither HOME nor XDG_DATA_HOME",
        ),
        (
            |it| it.ways[0].linker = LinkerState::Refused("a wrong one".to_owned()),
            "a wrong one",
        ),
    ];
    for (spoil, expected) in cases {
        let mut machine = machine();
        spoil(&mut machine);
        let stuck = reasons(
            &machine,
            &[
                SOURCES,
                Action::RustupNightly,
                apt(Packages::Rust, false),
                apt(Packages::Rust, true),
            ],
        );
        assert!(stuck.contains(expected), "{expected}: {stuck}");
    }
}

#[test]
fn missing_c_compilers_come_first() {
    let mut machine = machine();
    compiler(&mut machine, 0, 22);
    machine.c_compilers = false;
    let expected = [
        apt(Packages::CCompilers, false),
        apt(Packages::Llvm(22), false),
        Action::Linker { llvm: 22 },
    ];
    assert_eq!(
        actions(&machine, &[]),
        Some((Way::Rustup, expected.to_vec()))
    );
}
