//! What the verifier makes of each program: how much work it is, held against `baseline.txt` beside this file, so
//! that a program's growth shows in review. Needs root.
//!
//! Every program must load, on any machine. Its figures are those of one kernel and one compiler, which the baseline
//! names: there, a program whose processed instructions differ by more than [`baseline::TOLERANCE`] percent fails the
//! test; elsewhere differences are only shown (`cargo test --test kernel_verifier -- --nocapture`). To renew it:
//!
//! ```text
//! GEODROP_UPDATE_BASELINE=1 cargo test --test kernel_verifier
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load a program has failed"
)]

mod baseline;

use std::{collections::BTreeMap, env, fs, path::Path};

use aya::{Ebpf, EbpfLoader, include_bytes_aligned, programs::Program};
use geodrop_toolchain::{Places, Toolchain};

use baseline::{Baseline, Figures, UPDATE, compare};

static FILTER: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/filter"));
static GENERATOR: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator"));
static LOOKUP_BENCH: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lookup_bench"));
static REFERENCE: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/reference"));
static LOOKUP_TEST: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lookup_test"));

/// An object as it is loaded.
struct Load {
    object: &'static str,
    setting: &'static str,
    bytes: &'static [u8],
    /// The numbers that it is set with.
    globals: &'static [(&'static str, u8)],
}

impl Load {
    const fn plain(object: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            object,
            setting: "-",
            bytes,
            globals: &[],
        }
    }

    const fn filter(setting: &'static str, globals: &'static [(&'static str, u8)]) -> Self {
        Self {
            object: "filter",
            setting,
            bytes: FILTER,
            globals,
        }
    }
}

const LOADS: [Load; 11] = [
    Load::filter("multibit", &[("LPM", 0), (aya_log::LEVEL, 0), ("PLAIN", 1)]),
    Load::filter("multibit,log", &[("LPM", 0), (aya_log::LEVEL, DEBUG)]),
    Load::filter(
        "multibit,replies",
        &[
            ("LPM", 0),
            (aya_log::LEVEL, 0),
            ("PLAIN", 1),
            ("REPLIES", 1),
        ],
    ),
    Load::filter(
        "multibit,all",
        &[
            ("LPM", 0),
            (aya_log::LEVEL, 0),
            ("PORT_RULES", 1),
            ("HELD_BACK", 1),
            ("REPLIES", 1),
            ("REJECT", 1),
        ],
    ),
    Load::filter(
        "multibit,monitor",
        &[
            ("LPM", 0),
            (aya_log::LEVEL, 0),
            ("MONITOR", 1),
            ("TRIAL", 1),
        ],
    ),
    Load::filter("lpm", &[("LPM", 1), (aya_log::LEVEL, 0)]),
    Load::filter(
        "lpm,monitor",
        &[("LPM", 1), (aya_log::LEVEL, 0), ("MONITOR", 1)],
    ),
    Load::plain("generator", GENERATOR),
    Load::plain("lookup_bench", LOOKUP_BENCH),
    Load::plain("lookup_test", LOOKUP_TEST),
    Load::plain("reference", REFERENCE),
];

const DEBUG: u8 = aya_log::Level::Debug as u8;

/// The object's maps in the kernel.
fn maps(load: &Load) -> Ebpf {
    let mut loader = EbpfLoader::new();
    for (name, number) in load.globals {
        loader.override_global(name, number, true);
    }
    loader.load(load.bytes).expect("loading maps needs root")
}

/// Whether a program cannot look behind headers whose length only the packet knows.
fn is_near(program: &str) -> bool {
    program == "geodrop"
}

/// How many bytes an instruction has.
const INSTRUCTION: u32 = 8;

/// The figures of every program.
fn measure() -> BTreeMap<String, Figures> {
    let mut all = BTreeMap::new();
    for load in LOADS {
        let names: Vec<_> = maps(&load)
            .programs()
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in names {
            // What only loaders without `CAP_PERFMON` get, they get under other conditions. That it loads is `kernel_rules`' to
            // show.
            if name.ends_with("_copied") {
                continue;
            }
            // It is never loaded so: see `DatapathError::NeedsKernel`.
            if matches!(load.setting, "multibit,all" | "multibit,replies") && is_near(&name) {
                continue;
            }
            let title = format!("{} {} {name}", load.object, load.setting);
            // Maps of its own: an array of programs takes only programs like the first one that uses it.
            let mut ebpf = maps(&load);
            let loaded = match ebpf.program_mut(&name).unwrap() {
                Program::Xdp(program) => program.load().and_then(|()| program.info()),
                Program::SchedClassifier(program) => program.load().and_then(|()| program.info()),
                other => panic!("{title} is {other:?}"),
            };
            let info = loaded.unwrap_or_else(|error| panic!("{title}: {error}"));
            let figures = Figures {
                processed: info.verified_instruction_count().unwrap().into(),
                translated: (info.size_translated().unwrap() / INSTRUCTION).into(),
            };
            all.insert(title, figures);
        }
    }
    all
}

/// The kernel and the compiler, on which the figures depend.
fn made_by() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let toolchain = Toolchain::find(&Places::from_env().unwrap()).unwrap();
    let compiler = toolchain.rust.version;
    format!(
        "Linux {}, rustc {}, LLVM {}",
        kernel.trim(),
        compiler.text,
        compiler.llvm
    )
}

#[test]
fn the_verifier_has_no_more_work_than_it_had() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel_verifier/baseline.txt");
    let now = Baseline {
        made_by: made_by(),
        programs: measure(),
    };
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, now.to_string()).unwrap();
        return;
    }
    let before = Baseline::parse(&fs::read_to_string(&path).unwrap()).expect("a baseline");
    let (differences, failed) = compare(&before, &now);
    assert!(
        !failed || before.made_by != now.made_by,
        "the verifier's work is another than in {}:\n{differences}\nif it is to be, {UPDATE}=1 cargo test --test \
         kernel_verifier",
        path.display()
    );
    if before.programs != now.programs {
        println!("{differences}");
    }
}
