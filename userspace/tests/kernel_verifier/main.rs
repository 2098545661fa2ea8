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

use std::{
    collections::BTreeMap,
    env, fs, io,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    path::Path,
};

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Map, MapData},
    programs::Program,
};
use aya_obj::{Function, Object, ProgramSection, generated::bpf_insn};
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
    Load::filter("multibit", &[("LPM", 0), (aya_log::LEVEL, 0)]),
    Load::filter("multibit,log", &[("LPM", 0), (aya_log::LEVEL, DEBUG)]),
    Load::filter(
        "multibit,replies",
        &[("LPM", 0), (aya_log::LEVEL, 0), ("REPLIES", 1)],
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

/// The attributes of `BPF_PROG_LOAD`: the first fields of `union bpf_attr`, as `include/uapi/linux/bpf.h` has them.
#[repr(C)]
struct ProgramLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// What kind of program it is.
#[derive(Clone, Copy)]
enum Kind {
    Xdp { frags: bool },
    TrafficControl,
}

/// What the verifier logs of a program's figures. aya throws the log of a program away that loads.
fn verify(instructions: &[bpf_insn], kind: Kind) -> io::Result<String> {
    const BPF_PROG_LOAD: i32 = 5;
    const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
    const BPF_PROG_TYPE_XDP: u32 = 6;
    const BPF_LOG_STATS: u32 = 4;
    const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
    const BPF_XDP: u32 = 37;
    let (prog_type, prog_flags, expected_attach_type) = match kind {
        Kind::Xdp { frags: false } => (BPF_PROG_TYPE_XDP, 0, BPF_XDP),
        Kind::Xdp { frags: true } => (BPF_PROG_TYPE_XDP, BPF_F_XDP_HAS_FRAGS, BPF_XDP),
        Kind::TrafficControl => (BPF_PROG_TYPE_SCHED_CLS, 0, 0),
    };
    let mut log = vec![0_u8; 4096];
    let attributes = ProgramLoad {
        prog_type,
        insn_cnt: instructions.len().try_into().unwrap(),
        insns: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: BPF_LOG_STATS,
        log_size: log.len().try_into().unwrap(),
        log_buf: log.as_mut_ptr() as u64,
        kern_version: 0,
        prog_flags,
        prog_name: [0; 16],
        prog_ifindex: 0,
        expected_attach_type,
    };
    // SAFETY: the kernel reads just these attributes, which have no padding; its pointers lead to the instructions, a
    // string with its end, and the log, which it may write to; all are as large as is said and outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_LOAD,
            &raw const attributes,
            size_of::<ProgramLoad>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel gave us this descriptor just now, and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(result.try_into().unwrap()) });
    log.retain(|&byte| byte != 0);
    Ok(String::from_utf8(log).unwrap())
}

/// The object's maps in the kernel.
fn maps(load: &Load) -> Ebpf {
    let mut loader = EbpfLoader::new();
    for (name, number) in load.globals {
        loader.override_global(name, number, true);
    }
    loader.load(load.bytes).expect("loading maps needs root")
}

fn map(ebpf: &Ebpf, name: &str) -> i32 {
    let data: &MapData = match ebpf.map(name) {
        Some(
            Map::Array(data)
            | Map::HashMap(data)
            | Map::LpmTrie(data)
            | Map::LruHashMap(data)
            | Map::PerCpuArray(data)
            | Map::ProgramArray(data)
            | Map::RingBuf(data),
        ) => data,
        other => panic!("{name} is {other:?}"),
    };
    data.fd().as_fd().as_raw_fd()
}

/// The programs of an object, with the descriptors of its maps in them.
fn programs(object: &[u8], ebpf: &Ebpf) -> Vec<(String, Function, Kind)> {
    let mut object = Object::parse(object).unwrap();
    let text = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let maps = object.maps.clone();
    let maps = maps
        .iter()
        .map(|(name, definition)| (name.as_str(), map(ebpf, name), definition));
    object.relocate_maps(maps, &text).unwrap();
    object.relocate_calls(&text).unwrap();
    let functions = &object.functions;
    let programs = object.programs.iter().map(|(name, program)| {
        let kind = match program.section {
            ProgramSection::Xdp { frags, .. } => Kind::Xdp { frags },
            ProgramSection::SchedClassifier => Kind::TrafficControl,
            ref other => panic!("{name} is in {other:?}"),
        };
        (
            name.clone(),
            functions[&program.function_key()].clone(),
            kind,
        )
    });
    programs.collect()
}

/// Whether a program cannot look behind headers whose length only the packet knows.
fn is_near(program: &str) -> bool {
    program == "geodrop"
}

/// The figures of every program.
fn measure() -> BTreeMap<String, Figures> {
    let mut all = BTreeMap::new();
    for load in LOADS {
        let names = programs(load.bytes, &maps(&load));
        for (name, ..) in &names {
            // Maps of its own: an array of programs takes only programs like the first one that uses it.
            let mut ebpf = maps(&load);
            let found = programs(load.bytes, &ebpf).into_iter();
            let Some((_, function, kind)) = found.into_iter().find(|(other, ..)| other == name)
            else {
                panic!("{name} is gone");
            };
            // Here their global functions would be none, for want of debug information. That they load is `kernel_rules`'
            // to show.
            if name.ends_with("_copied") {
                continue;
            }
            // It is never loaded so: see `DatapathError::NeedsKernel`.
            if matches!(load.setting, "multibit,all" | "multibit,replies") && is_near(name) {
                continue;
            }
            let title = format!("{} {} {name}", load.object, load.setting);
            let log = verify(&function.instructions, kind)
                .unwrap_or_else(|error| panic!("{title}: {error}"));
            let figures = Figures::parse(&log, function.instructions.len()).expect(&log);

            // As it is loaded otherwise, with debug information, it is the same program.
            let program = ebpf.program_mut(name).unwrap();
            match program {
                Program::Xdp(program) => program.load().unwrap(),
                Program::SchedClassifier(program) => program.load().unwrap(),
                other => panic!("{name} is {other:?}"),
            }
            let processed = program.info().unwrap().verified_instruction_count();
            assert_eq!(
                processed.map(u64::from),
                Some(figures.processed),
                "{name}: {log}"
            );

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
