//! A generation: one immutable program with its own filled tables.
//!
//! It is loaded and filled whole, and attached only then; a reload makes another one and swaps the two
//! under the link. Loaded without pins it ends with the process: that is what demo, tests and benches use.

use std::{
    error::Error,
    io,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData},
    programs::{ProgramType, Xdp},
    sys::{BpfHelper, is_helper_supported},
};
use geodrop_common::{Entry, class};

use super::{
    counters::Counters,
    error::DatapathError,
    fill::{self, Entries},
    interface::Interface,
    link::{Link, ModeChoice, NewLink},
    object, sys,
};
use crate::{policy::Ruleset, table::lpm};

/// What a generation is to be made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The rules, resolved.
    pub ruleset: &'a Ruleset,
    /// Count what would be dropped, and drop nothing.
    pub monitor: bool,
    /// Log every packet's verdict through aya-log: for debugging, and slow.
    pub log: bool,
}

/// A loaded program with its filled tables.
#[derive(Debug)]
pub struct Generation {
    ebpf: Ebpf,
    program: &'static str,
}

/// Where a generation's maps are pinned, and which of them are there already.
pub(super) struct Pinning<'a> {
    pub(super) counters: &'a Path,
    pub(super) ipv4: &'a Path,
    pub(super) ipv6: &'a Path,
    /// The tables are pinned already, filled by a generation of the same plan on another interface.
    pub(super) filled: bool,
}

impl Generation {
    /// Loads and fills a generation of which nothing is pinned.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the program, or a table cannot be filled.
    pub fn load(plan: Plan<'_>) -> Result<Self, DatapathError> {
        Self::load_with(plan, None)
    }

    /// The same with the program for kernels before 5.18, so that it can be tried on newer ones.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the program, or a table cannot be filled.
    pub fn load_without_frags(plan: Plan<'_>) -> Result<Self, DatapathError> {
        Self::load_program(plan, None, object::FILTER_PLAIN)
    }

    pub(super) fn load_with(
        plan: Plan<'_>,
        pinning: Option<&Pinning<'_>>,
    ) -> Result<Self, DatapathError> {
        Self::load_program(plan, pinning, program_for_this_kernel()?)
    }

    fn load_program(
        plan: Plan<'_>,
        pinning: Option<&Pinning<'_>>,
        program: &'static str,
    ) -> Result<Self, DatapathError> {
        let classes = side_table(plan.ruleset.classes());
        let ipv4 = Entries::of(&lpm::prefixes(plan.ruleset.ipv4()));
        let ipv6 = Entries::of(&lpm::prefixes(plan.ruleset.ipv6()));
        let monitor = u8::from(plan.monitor);
        let log_level = if plan.log {
            aya_log::Level::Debug as u8
        } else {
            0
        };

        let mut loader = EbpfLoader::new();
        loader
            .override_global("CLASSES", classes.as_slice(), true)
            .override_global("MONITOR", &monitor, true)
            .override_global(aya_log::LEVEL, &log_level, true)
            .map_max_entries("IPV4", fill::capacity(ipv4.count))
            .map_max_entries("IPV6", fill::capacity(ipv6.count));
        if !plan.log {
            // The kernel object has the log's ring buffer in any case: the smallest that there can be, which
            // aya rounds up to a page.
            loader.map_max_entries("AYA_LOGS", 1);
        }
        if let Some(pinning) = pinning {
            loader
                .map_pin_path("COUNTERS", pinning.counters)
                .map_pin_path("IPV4", pinning.ipv4)
                .map_pin_path("IPV6", pinning.ipv6);
        }
        let mut ebpf = loader.load(object::FILTER).map_err(refused)?;
        if !pinning.is_some_and(|pinning| pinning.filled) {
            for (name, entries) in [("IPV4", &ipv4), ("IPV6", &ipv6)] {
                fill::fill(name, &mut map(&ebpf, name)?.fd().as_fd(), entries)?;
            }
        }
        program_mut(&mut ebpf, program)?.load().map_err(refused)?;
        Ok(Self { ebpf, program })
    }

    /// The program, for test runs.
    ///
    /// # Errors
    ///
    /// Only when the built-in kernel object is not the one this program was built with.
    pub fn program(&self) -> Result<&Xdp, DatapathError> {
        self.ebpf
            .program(self.program)
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| DatapathError::Object {
                what: format!("program {}", self.program),
            })
    }

    /// Attaches the program with a link that nothing pins: it ends with the link, at the latest with this
    /// process. For demo, tests and benches.
    ///
    /// # Errors
    ///
    /// [`DatapathError::Attach`] with what the kernel said, and what may help.
    pub fn attach_unpinned(
        &self,
        interface: &Interface,
        choice: ModeChoice,
    ) -> Result<NewLink, DatapathError> {
        Link::create(self.fd()?, interface, choice)
    }

    /// Whether the program takes packets of several buffers.
    #[must_use]
    pub fn frags(&self) -> bool {
        self.program == object::FILTER_FRAGS
    }

    /// What the program has counted, with what earlier generations counted before it.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn counters(&self) -> Result<Counters, DatapathError> {
        let fd = map(&self.ebpf, "COUNTERS")?
            .fd()
            .as_fd()
            .try_clone_to_owned()
            .map_err(DatapathError::system("opening the counters anew"))?;
        Counters::read(MapData::from_fd(fd).map_err(DatapathError::map("COUNTERS"))?)
    }

    /// How much kernel memory the two tables take, in bytes.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn table_memory(&self) -> Result<u64, DatapathError> {
        ["IPV4", "IPV6"]
            .into_iter()
            .map(|name| {
                sys::map::memory(map(&self.ebpf, name)?.fd().as_fd()).map_err(
                    DatapathError::system(format!("asking how large table {name} is")),
                )
            })
            .sum()
    }

    /// The reader of what the program logs, if [`Plan::log`] was set. To be called once.
    ///
    /// # Errors
    ///
    /// When the log's ring buffer cannot be mapped.
    pub fn logger(&mut self) -> Result<aya_log::EbpfLogger<&'static dyn log::Log>, DatapathError> {
        aya_log::EbpfLogger::init(&mut self.ebpf)
            .map_err(io::Error::other)
            .map_err(DatapathError::system("opening the kernel program's log"))
    }

    /// The program's descriptor.
    pub(super) fn fd(&self) -> Result<BorrowedFd<'_>, DatapathError> {
        Ok(self.program()?.fd().map_err(Box::new)?.as_fd())
    }
}

/// The words of the kernel's side table. Classes that are not used pass.
fn side_table(entries: &[Entry]) -> [u32; class::CAPACITY] {
    let mut words = [Entry::PASS.word(); class::CAPACITY];
    for (word, entry) in words.iter_mut().zip(entries) {
        *word = entry.word();
    }
    words
}

/// The filter's program for packets of several buffers where the kernel knows these, else the other one.
fn program_for_this_kernel() -> Result<&'static str, DatapathError> {
    // The helper came with the packets that it measures (5.18).
    let frags = is_helper_supported(ProgramType::Xdp, BpfHelper::BPF_FUNC_xdp_get_buff_len)
        .map_err(refused)?;
    Ok(if frags {
        object::FILTER_FRAGS
    } else {
        object::FILTER_PLAIN
    })
}

fn program_mut<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, DatapathError> {
    ebpf.program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| DatapathError::Object {
            what: format!("program {name}"),
        })
}

/// The kernel's refusal to load something. Capabilities were checked before: where it still is not permitted, they
/// are not the host's.
fn refused<E: Error>(error: E) -> DatapathError
where
    Box<E>: Into<DatapathError>,
{
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        let number = error.downcast_ref().and_then(io::Error::raw_os_error);
        if number == Some(libc::EPERM) {
            return DatapathError::Forbidden(io::Error::from_raw_os_error(libc::EPERM));
        }
        cause = error.source();
    }
    Box::new(error).into()
}

/// A map of the kernel object, by name.
fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData, DatapathError> {
    match ebpf.map(name) {
        Some(Map::LpmTrie(data) | Map::PerCpuArray(data)) => Ok(data),
        _ => Err(DatapathError::Object {
            what: format!("map {name}"),
        }),
    }
}
