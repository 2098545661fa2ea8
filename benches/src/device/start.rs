//! How long it takes to be set up, and to be replaced, and what memory it takes.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use aya_obj::btf::Btf;
use geodrop::{
    datapath::{ModeChoice, NewLink, generation::Generation},
    policy::Ruleset,
    testbed::{Probe, Veth, Wire, probe::Transport, veth::Settings},
};
use serde::{Deserialize, Serialize};

use super::{
    blocked::Blocked,
    contestant::Contestant,
    ipset,
    nftables::{self, Hook},
    rig::{plan, set_up},
};
use crate::{basis::Basis, machine::kibibytes, measure::Estimate, tables::Countries};

/// Who is measured: those that can be replaced.
pub const CONTESTANTS: [Contestant; 5] = [
    Contestant::Geodrop,
    Contestant::GeodropLpm,
    Contestant::NftablesIngress,
    Contestant::NftablesRaw,
    Contestant::Ipset,
];

/// What it takes to be set up. Times are milliseconds by the clock on the wall.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// `CN-HK-MO` or `world`.
    pub table: String,
    /// Who is set up.
    pub contestant: String,
    /// From the start until the next packet is dropped: of geodrop with reading the data and working the policy out, in this
    /// process; of others from when their command is started, with the prefixes in the form that it reads.
    pub ready_ms: Estimate,
    /// The parts of that, of geodrop only.
    pub parts: Option<Parts>,
    /// Until other prefixes are in the place of those that were blocked; as many of them.
    pub replace_ms: Estimate,
    /// How much memory of the kernel the prefixes take, by the account of who holds them.
    pub kernel_memory_bytes: u64,
    /// Whether that is known from the kernel's memory as a whole only (general slabs, `vmalloc` and per-CPU memory), before and after,
    /// as nftables does not say.
    pub memory_by_difference: bool,
    /// The most memory that a process had which did that, its resident set: the command that filled the table, or a process of ours.
    /// Null where nobody looked.
    #[serde(default)]
    pub process_memory_bytes: Option<u64>,
    /// Of how many times these are the medians.
    pub times: usize,
}

/// The parts of a start of geodrop, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parts {
    /// Reading the data, and the policy if one is given.
    pub decode_ms: Estimate,
    /// From data and policy to rules.
    pub resolve_ms: Estimate,
    /// From rules to a program in the kernel with its tables filled, with reading the kernel's types.
    pub load_ms: Estimate,
    /// The attach call.
    pub attach_ms: Estimate,
    /// Reading the kernel's types (BTF), measured alone: it is in `load_ms`.
    pub btf_ms: Estimate,
    /// All but reading the kernel's types and the attach call.
    pub beyond_ms: Estimate,
}

/// How long one start took, and what came of it.
#[derive(Clone, Debug, Default)]
struct Once {
    ready: Duration,
    parts: Option<[Duration; 5]>,
    replace: Duration,
    memory: u64,
    process_memory: Option<u64>,
}

/// Sets a contestant up so many times, each in a namespace of its own, and replaces it. A packet shows each time that it drops what
/// it should. `before_each` is called before each of the times.
///
/// # Errors
///
/// When it cannot be set up, or lets the packet pass; and those of `before_each`.
pub fn measure(
    contestant: Contestant,
    blocked: &Blocked,
    basis: &Basis,
    times: usize,
    mut before_each: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Start> {
    let mut all = Vec::new();
    for _ in 0..times.max(1) {
        before_each()?;
        let veth = Veth::new(Settings::default())?;
        all.push(if contestant.peer().is_some() {
            peer(contestant, blocked, &veth)?
        } else {
            geodrop(contestant, blocked, basis, &veth)?
        });
    }
    let milliseconds = |of: &dyn Fn(&Once) -> Duration| {
        Estimate::of(
            all.iter()
                .map(|once| of(once).as_secs_f64() * 1e3)
                .collect(),
        )
    };
    let part = |place: usize| {
        milliseconds(&|once| once.parts.map_or(Duration::ZERO, |parts| parts[place]))
    };
    let parts = contestant.peer().is_none().then(|| Parts {
        decode_ms: part(0),
        resolve_ms: part(1),
        load_ms: part(2),
        attach_ms: part(3),
        btf_ms: part(4),
        beyond_ms: milliseconds(&|once| {
            let [.., attach, btf] = once.parts.unwrap_or_default();
            once.ready.saturating_sub(attach + btf)
        }),
    });
    Ok(Start {
        table: blocked.countries.name().to_owned(),
        contestant: contestant.name().to_owned(),
        ready_ms: milliseconds(&|once| once.ready),
        parts,
        replace_ms: milliseconds(&|once| once.replace),
        kernel_memory_bytes: all.iter().map(|once| once.memory).max().unwrap_or(0),
        memory_by_difference: matches!(
            contestant,
            Contestant::NftablesIngress | Contestant::NftablesRaw
        ),
        process_memory_bytes: all.iter().filter_map(|once| once.process_memory).max(),
        times: all.len(),
    })
}

/// Loads a filter once, for the sake of how much memory this process takes for it.
///
/// # Errors
///
/// When the data cannot be read, or the kernel refuses.
pub fn load_once(
    contestant: Contestant,
    countries: Countries,
    basis: &Basis,
) -> anyhow::Result<()> {
    let blocked = Blocked::of(countries, basis)?;
    Generation::load(plan(contestant, &blocked))?;
    Ok(())
}

fn geodrop(
    contestant: Contestant,
    blocked: &Blocked,
    basis: &Basis,
    veth: &Veth,
) -> anyhow::Result<Once> {
    let begin = Instant::now();
    let basis = basis.read_again()?;
    let decoded = Instant::now();
    let ruleset = Ruleset::new(&blocked.policy, basis.data());
    let resolved = Instant::now();
    let plan = geodrop::datapath::generation::Plan {
        ruleset: &ruleset,
        ..plan(contestant, blocked)
    };
    let generation = Generation::load(plan)?;
    let loaded = Instant::now();
    let NewLink { link, .. } = veth
        .server
        .run(|| generation.attach_unpinned(&veth.server.interface, ModeChoice::Native))??;
    let ready = Instant::now();
    let counted = || Ok(generation.counters()?.dropped());
    check(contestant, blocked, veth, counted)?;

    let before = Instant::now();
    let next = Generation::load(plan)?;
    next.replace_under(&link)?;
    let replace = before.elapsed();
    let before = Instant::now();
    // Where there are none, nothing reads them either.
    drop(Btf::from_sys_fs());
    let btf = before.elapsed();
    Ok(Once {
        ready: ready - begin,
        parts: Some([
            decoded - begin,
            resolved - decoded,
            loaded - resolved,
            ready - loaded,
            btf,
        ]),
        replace,
        memory: next.table_memory()?,
        process_memory: None,
    })
}

fn peer(contestant: Contestant, blocked: &Blocked, veth: &Veth) -> anyhow::Result<Once> {
    let namespace = &veth.server.namespace;
    let memory_before = settled_kernel_memory()?;
    let begin = Instant::now();
    let process_memory = set_up(contestant, &veth.server, blocked)?;
    let ready = begin.elapsed();
    let memory = match contestant {
        Contestant::Ipset => ipset::memory(namespace)?,
        _ => kernel_memory()?.saturating_sub(memory_before),
    };
    let counted = || match contestant {
        Contestant::Ipset => ipset::dropped(namespace),
        Contestant::NftablesIngress => nftables::dropped(namespace, Hook::Ingress),
        _ => nftables::dropped(namespace, Hook::Raw),
    };
    check(contestant, blocked, veth, counted)?;
    let begin = Instant::now();
    match contestant {
        Contestant::Ipset => ipset::replace(namespace, &blocked.prefixes)?,
        Contestant::NftablesIngress => {
            nftables::replace(namespace, Hook::Ingress, &blocked.prefixes)?;
        }
        _ => nftables::replace(namespace, Hook::Raw, &blocked.prefixes)?,
    }
    Ok(Once {
        ready,
        parts: None,
        replace: begin.elapsed(),
        memory,
        process_memory: Some(process_memory),
    })
}

/// Checks that a packet from a blocked address is dropped.
fn check(
    contestant: Contestant,
    blocked: &Blocked,
    veth: &Veth,
    counted: impl FnOnce() -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let first = blocked.ranges.first().context("nothing is blocked")?;
    let probe = Probe::new(0, first.range.first().into(), Transport::Udp);
    Wire::open(veth)?.send(&probe.to_frame()?)?;
    let dropped = counted()?;
    ensure!(
        dropped == 1,
        "{} dropped {dropped} of one packet that is blocked",
        contestant.name()
    );
    Ok(())
}

/// How much memory the kernel uses for itself, as far as it may be for a set: what is allocated of its general slabs, and
/// `vmalloc` and per-CPU memory.
fn kernel_memory() -> anyhow::Result<u64> {
    let read = |path| fs::read_to_string(path).with_context(|| format!("reading {path}"));
    let memory = read("/proc/meminfo")?;
    let rest = ["VmallocUsed", "Percpu"].map(|name| kibibytes(&memory, name));
    Ok(allocated(&read("/proc/slabinfo")?) + rest.into_iter().sum::<u64>())
}

/// How many bytes of general slabs are in use, by what `/proc/slabinfo` says: name, objects in use, objects, size of one.
fn allocated(slabs: &str) -> u64 {
    let bytes = |line: &str| {
        let mut fields = line.split_whitespace();
        let in_use: u64 = fields.next()?.parse().ok()?;
        let size: u64 = fields.nth(1)?.parse().ok()?;
        Some(in_use * size)
    };
    let general = |line: &str| bytes(line.strip_prefix("kmalloc-")?.split_once(' ')?.1);
    slabs.lines().filter_map(general).sum()
}

/// What the kernel uses for itself when what others used before is given back, which it does a while after they are gone.
fn settled_kernel_memory() -> anyhow::Result<u64> {
    let deadline = Instant::now() + SETTLING;
    let mut before = kernel_memory()?;
    loop {
        thread::sleep(SETTLING / 20);
        let now = kernel_memory()?;
        if now.abs_diff(before) < SETTLED || Instant::now() > deadline {
            return Ok(now);
        }
        before = now;
    }
}

/// How long that may take, and by how little it is to change meanwhile.
const SETTLING: Duration = Duration::from_secs(2);
const SETTLED: u64 = 64 << 10;

/// How often a table is set up: as that of the world takes others many seconds, less often.
#[must_use]
pub const fn times(countries: Countries, quick: bool) -> usize {
    match (countries, quick) {
        (Countries::China | Countries::Own, _) => 7,
        (Countries::World, false) => 3,
        (Countries::World, true) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_slabs_are_added_up() {
        let slabs = "slabinfo - version: 2.1\n\
                     # name            <active_objs> <num_objs> <objsize>\n\
                     dentry               900    900    192   21    1 : tunables\n\
                     kmalloc-cg-8k         32     40   8192    4    8 : tunables\n\
                     kmalloc-64           100    128     64   64    1 : tunables\n";
        assert_eq!(allocated(slabs), 32 * 8192 + 100 * 64);
    }
}
