//! A generation: one immutable program with its own filled tables.
//!
//! It is loaded and filled whole, and attached only then; a reload makes another one and swaps the two
//! under the link. Loaded without pins it ends with the process: that is what demo, tests and benches use.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData},
    programs::{
        Program, ProgramType, SchedClassifier, TestRun as _, TestRunOptions, TestRunResult,
    },
    sys::{BpfHelper, is_helper_supported},
};
use geodrop_common::control::Control;

use super::{
    Hook, clock, control,
    counters::Counters,
    draft::Pinning,
    error::DatapathError,
    interface::Interface,
    link::{Link, ModeChoice, NewLink},
    object, privileges,
    report::{self, Collected, Period},
    sys,
    tables::{self, IMAGES, TRIES, Tables},
    watch::{self, Watch},
};
use crate::{policy::Ruleset, table::Engine};
use jiff::Timestamp;

/// The map of what each class means.
pub(super) const CLASSES: &str = ".bss.CLASSES";

/// What a generation is to be made of.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the kernel program, and any may be set with any other"
)]
pub struct Plan<'a> {
    /// The rules, resolved.
    pub ruleset: &'a Ruleset,
    /// How its tables are laid out.
    pub engine: Engine,
    /// Where packets are to be filtered.
    pub hook: Hook,
    /// Count what would be dropped, and drop nothing.
    pub monitor: bool,
    /// Before this instant, country rules count what they would drop, and let it pass.
    pub effective_from: Option<Timestamp>,
    /// Let pass what answers connections that this host opens.
    pub replies: bool,
    /// Tell the senders of packets that are dropped.
    pub reject: bool,
    /// Log every packet's verdict through aya-log: for debugging, and slow.
    pub log: bool,
}

impl<'a> Plan<'a> {
    /// A filter at the hook XDP that judges by address alone, and drops from now on.
    #[must_use]
    pub const fn by_address(ruleset: &'a Ruleset, engine: Engine) -> Self {
        Self {
            ruleset,
            engine,
            hook: Hook::Xdp,
            monitor: false,
            effective_from: None,
            replies: false,
            reject: false,
            log: false,
        }
    }
}

/// A loaded program with its filled tables.
#[derive(Debug)]
pub struct Generation {
    ebpf: Ebpf,
    program: &'static str,
    engine: Engine,
    replies: bool,
    wants_replies: bool,
    held_back: bool,
    period: Option<Period>,
}

impl Generation {
    /// Loads and fills a generation of which nothing is pinned.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the program, or a table cannot be filled.
    pub fn load(plan: Plan<'_>) -> Result<Self, DatapathError> {
        Self::load_with(plan, &Tables::of(plan.ruleset, plan.engine)?, None)
    }

    /// The same with the program for kernels before 5.18, so that it can be tried on newer ones.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the program, or a table cannot be filled.
    pub fn load_without_frags(plan: Plan<'_>) -> Result<Self, DatapathError> {
        let tables = Tables::of(plan.ruleset, plan.engine)?;
        Self::load_program(plan, &tables, None, object::FILTER_PLAIN)
    }

    pub(super) fn load_with(
        plan: Plan<'_>,
        tables: &Tables,
        pinning: Option<&Pinning>,
    ) -> Result<Self, DatapathError> {
        Self::load_program(plan, tables, pinning, program_for_this_kernel(plan.hook)?)
    }

    fn load_program(
        plan: Plan<'_>,
        tables: &Tables,
        pinning: Option<&Pinning>,
        program: &'static str,
    ) -> Result<Self, DatapathError> {
        if program == object::FILTER_PLAIN {
            privileges::check_for_pointers()?;
        }
        let far = [
            (!plan.ruleset.ports().is_empty(), "a rule for ports"),
            (plan.reject, "action = \"reject\""),
        ];
        if let Some((_, what)) = far.into_iter().find(|(wanted, _)| *wanted)
            && !object::sees_far(program)
        {
            return Err(DatapathError::NeedsKernel {
                what,
                version: "5.18",
            });
        }
        let engine = tables.engine();
        let lpm = u8::from(engine == Engine::Lpm);
        let images = tables.images();
        let words = images.map(|bytes| u32::try_from(bytes / size_of::<u32>()).unwrap_or(u32::MAX));
        let cell_bits = tables.cell_bits();
        let entries = tables.entries();
        let monitor = u8::from(plan.monitor);
        let ports = plan.ruleset.ports();
        let port_rules = u8::from(!ports.is_empty());
        let period = Period::of(&plan, Timestamp::now());
        let effective_from = plan.effective_from.map_or(0, clock::deadline);
        // What looks at addresses only can tell no reply.
        let has_replies = plan.replies && object::sees_far(program);
        let replies = u8::from(has_replies);
        let reject = u8::from(plan.reject);
        let held_back = u8::from(effective_from != 0);
        let predecessor = pinning.and_then(|pinning| pinning.predecessor.as_deref());
        let trial = u8::from(predecessor.is_some());
        let log_level = if plan.log {
            aya_log::Level::Debug as u8
        } else {
            0
        };

        // A trial is asked about before all else.
        let special = [lpm, port_rules, monitor, held_back, reject, log_level];
        let is_plain = u8::from(special == [0; 6]);

        let mut loader = EbpfLoader::new();
        loader
            .override_global("LPM", &lpm, true)
            .override_global("IPV4_WORDS", &words[0], true)
            .override_global("IPV6_WORDS", &words[1], true)
            .override_global("IPV4_CELL_BITS", &cell_bits[0], true)
            .override_global("IPV6_CELL_BITS", &cell_bits[1], true)
            .override_global("PLAIN", &is_plain, true)
            .override_global("MONITOR", &monitor, true)
            .override_global("PORT_RULES", &port_rules, true)
            .override_global("HELD_BACK", &held_back, true)
            .override_global("TRIAL", &trial, true)
            .override_global("REPLIES", &replies, true)
            .override_global("REJECT", &reject, true)
            .override_global(aya_log::LEVEL, &log_level, true);
        for (name, entries) in TRIES.into_iter().zip(entries) {
            loader.map_max_entries(name, entries);
        }
        // A kernel array has at least one element, also where there are no rules for ports.
        loader.map_max_entries(
            "PORTS",
            u32::try_from(ports.len()).unwrap_or(u32::MAX).max(1),
        );
        let lets_all_pass = plan.monitor || effective_from != 0;
        // What was ahead when the pins were made may have come since; the maps are there all the same.
        let collects = pinning.map_or(period.is_some(), |pinning| pinning.report.is_some());
        for (name, used) in [
            ("FLOWS", has_replies),
            ("CONTACTED", has_replies),
            ("INBOUND", has_replies && lets_all_pass),
            (report::COUNTERS, collects),
            (report::SOURCES, collects),
            (report::PORTS, collects),
        ] {
            if !used {
                loader.map_max_entries(name, 1);
            }
        }
        if !plan.log {
            // The kernel object has the log's ring buffer in any case: the smallest that there can be, which
            // aya rounds up to a page.
            loader.map_max_entries("AYA_LOGS", 1);
        }
        for (name, path) in pinning
            .into_iter()
            .flat_map(|pinning| pinning.maps(engine, has_replies))
        {
            loader.map_pin_path(name, path);
        }
        if let Some(predecessor) = predecessor {
            loader.map_pin_path("PREDECESSOR", predecessor);
        }
        let images: Vec<_> = IMAGES.into_iter().zip(images).collect();
        let mut ebpf = object::load(&mut loader, object::FILTER, &images)?;
        let classes: Vec<_> = plan
            .ruleset
            .classes()
            .iter()
            .map(|entry| entry.word())
            .collect();
        fill_element(&ebpf, CLASSES, &classes)?;
        fill_array(&mut ebpf, "PORTS", ports)?;
        control::write(
            tables::map(&ebpf, control::MAP)?,
            &Control {
                effective_from,
                ..Control::default()
            },
        )?;
        if pinning.is_some_and(|pinning| pinning.filled) {
            tables.verify(&ebpf)?;
        } else {
            tables.fill(&ebpf)?;
        }
        load_into_kernel(&mut ebpf, program)?;
        if has_replies {
            load_into_kernel(&mut ebpf, object::egress_of(program))?;
        }
        Ok(Self {
            ebpf,
            program,
            engine,
            replies: has_replies,
            wants_replies: plan.replies,
            held_back: effective_from != 0,
            period,
        })
    }

    /// One that was loaded to be run on packets made for it, and is never attached.
    pub(super) const fn of_loaded(ebpf: Ebpf, program: &'static str, engine: Engine) -> Self {
        Self {
            ebpf,
            program,
            engine,
            replies: false,
            wants_replies: false,
            held_back: false,
            period: None,
        }
    }

    /// Pins what was loaded without pins, where nothing is pinned yet.
    pub(super) fn pin(&self, pinning: &Pinning) -> Result<(), DatapathError> {
        for (name, path) in pinning.maps(self.engine, self.replies) {
            let map = self.ebpf.map(name).ok_or_else(|| DatapathError::Object {
                what: format!("map {name}"),
            })?;
            map.pin(path)
                .map_err(io::Error::other)
                .map_err(DatapathError::pin("pinning a map at", path))?;
        }
        Ok(())
    }

    /// Whether it can be held back until an instant: one that is in force when it is loaded stays so.
    pub(super) const fn can_be_held_back(&self) -> bool {
        self.held_back
    }

    /// Writes from when on it is in force, while nothing of it is attached or pinned.
    pub(super) fn hold_back_until(&self, deadline: u64) -> Result<(), DatapathError> {
        let control = Control {
            effective_from: deadline,
            ..Control::default()
        };
        control::write(tables::map(&self.ebpf, control::MAP)?, &control)
    }

    /// Runs the program on a frame, with no interface about it.
    ///
    /// # Errors
    ///
    /// When the kernel does not run it.
    pub fn test_run(&self, options: TestRunOptions<'_>) -> Result<TestRunResult, DatapathError> {
        let result = match self.program()? {
            Program::Xdp(program) => program.test_run(options),
            Program::SchedClassifier(program) => program.test_run(options),
            _ => return Err(no_program(self.program)),
        };
        Ok(result.map_err(Box::new)?)
    }

    /// The program.
    ///
    /// # Errors
    ///
    /// Only when the built-in kernel object is not the one this program was built with.
    pub fn program(&self) -> Result<&Program, DatapathError> {
        let program = self.ebpf.program(self.program);
        program.ok_or_else(|| no_program(self.program))
    }

    /// Attaches the program with a link that nothing pins: it ends with the link, at the latest with this
    /// process. For demo, tests and benches.
    ///
    /// # Errors
    ///
    /// [`DatapathError::Attach`] with what the kernel said, and what may help; [`DatapathError::NeedsKernel`] for tcx before
    /// Linux 6.6.
    pub fn attach_unpinned(
        &self,
        interface: &Interface,
        choice: ModeChoice,
    ) -> Result<NewLink, DatapathError> {
        Link::create(self.fd()?, interface, self.hook(), choice)
    }

    /// Where packets are filtered.
    #[must_use]
    pub fn hook(&self) -> Hook {
        match self.program {
            object::FILTER_TCX | object::FILTER_TCX_COPIED => Hook::Tcx,
            _ => Hook::Xdp,
        }
    }

    /// Puts the program in the place of the one under a link, in one step: every packet meets the one or the other.
    ///
    /// # Errors
    ///
    /// When the kernel refuses: one program takes packets of several buffers and the other does not, or the
    /// interface is gone.
    pub fn replace_under(&self, link: &Link) -> Result<(), DatapathError> {
        link.replace(self.fd()?)
    }

    /// Whether the program takes packets of several buffers.
    #[must_use]
    pub fn frags(&self) -> bool {
        self.program != object::FILTER_PLAIN
    }

    /// How its tables are laid out.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// What the program has counted, with what earlier generations counted before it.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn counters(&self) -> Result<Counters, DatapathError> {
        Counters::read(self.map_anew("COUNTERS")?)
    }

    /// What the program has collected of packets that it lets pass although it would drop them, with what earlier
    /// generations collected before it; `None` if it has dropped from the first moment on.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn collected(&self) -> Result<Option<Collected>, DatapathError> {
        if self.period.is_none() {
            return Ok(None);
        }
        let maps = report::Maps {
            counters: self.map_anew(report::COUNTERS)?,
            sources: self.map_anew(report::SOURCES)?,
            ports: self.map_anew(report::PORTS)?,
        };
        Collected::read(maps, self.sees_ports()).map(Some)
    }

    /// Watches it, to see so many packets a second at most; a filter on an interface [`watch::begin`] does.
    ///
    /// # Errors
    ///
    /// When its maps cannot be read.
    pub fn watch(&self, rate: u32) -> Result<Watch, DatapathError> {
        let maps = watch::Maps {
            cell: self.map_anew(watch::CELL)?,
            bucket: self.map_anew(watch::BUCKET)?,
            events: self.map_anew(watch::EVENTS)?,
            missed: self.map_anew(watch::MISSED)?,
        };
        Watch::of(maps, rate, None)
    }

    /// The period that begins if it is put in force now; `None` if it drops from the first moment on.
    pub(super) fn period_from_now(&self) -> Option<Period> {
        self.period?.begun(Timestamp::now())
    }

    /// A map of the program's, by another descriptor.
    fn map_anew(&self, name: &str) -> Result<MapData, DatapathError> {
        let fd = tables::map(&self.ebpf, name)?.fd().as_fd();
        let fd = fd
            .try_clone_to_owned()
            .map_err(DatapathError::system(format!("opening map {name} anew")))?;
        MapData::from_fd(fd).map_err(DatapathError::map(name))
    }

    /// Whether the program looks at ports, where a policy wants it to.
    pub(super) fn sees_ports(&self) -> bool {
        object::sees_far(self.program)
    }

    /// How much kernel memory the two tables take, in bytes.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn table_memory(&self) -> Result<u64, DatapathError> {
        tables::maps_of(self.engine)
            .into_iter()
            .map(|name| {
                sys::map::memory(tables::map(&self.ebpf, name)?.fd().as_fd()).map_err(
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

    /// Why it costs more than it would by another loader, if it does.
    #[must_use]
    pub fn why_slower(&self) -> Option<&'static str> {
        object::is_copied(self.program).then_some(
            "without CAP_PERFMON, which this process does not have, the kernel masks all that look-ups read: each packet costs \
             several times as much",
        )
    }

    /// Why replies do not pass, if they should.
    pub(super) const fn why_no_replies(&self) -> Option<&'static str> {
        if self.wants_replies && !self.replies {
            Some("telling replies takes Linux 5.18 or newer")
        } else {
            None
        }
    }

    /// The program that notes what this host begins, for test runs; `None` if replies are not to pass.
    ///
    /// # Errors
    ///
    /// Only when the built-in kernel object is not the one this program was built with.
    pub fn egress_program(&self) -> Result<Option<&SchedClassifier>, DatapathError> {
        if !self.replies {
            return Ok(None);
        }
        let name = object::egress_of(self.program);
        self.ebpf
            .program(name)
            .and_then(|program| program.try_into().ok())
            .map(Some)
            .ok_or_else(|| no_program(name))
    }

    /// The descriptor of the program that notes what this host begins, if replies are to pass.
    pub(super) fn egress(&self) -> Result<Option<BorrowedFd<'_>>, DatapathError> {
        Ok(match self.egress_program()? {
            Some(program) => Some(program.fd().map_err(Box::new)?.as_fd()),
            None => None,
        })
    }

    /// The program's descriptor.
    pub(super) fn fd(&self) -> Result<BorrowedFd<'_>, DatapathError> {
        Ok(self.program()?.fd().map_err(Box::new)?.as_fd())
    }
}

/// Fills an array map from its first element on, and freezes it.
pub(super) fn fill_array(ebpf: &mut Ebpf, name: &str, words: &[u64]) -> Result<(), DatapathError> {
    let failed = || DatapathError::map(name);
    let map = ebpf.map_mut(name).ok_or_else(|| DatapathError::Object {
        what: format!("map {name}"),
    })?;
    let mut array: Array<_, u64> = map.try_into().map_err(failed())?;
    for (index, word) in (0..).zip(words) {
        array.set(index, word, 0).map_err(failed())?;
    }
    sys::map::freeze(tables::map(ebpf, name)?.fd().as_fd())
        .map_err(DatapathError::system(format!("freezing map {name}")))
}

/// Fills the element of an array map of one from its first word on, and freezes it.
pub(super) fn fill_element(ebpf: &Ebpf, name: &str, words: &[u64]) -> Result<(), DatapathError> {
    let map = tables::map(ebpf, name)?.fd().as_fd();
    let mut element =
        sys::map::read_cell(map).map_err(DatapathError::system(format!("reading map {name}")))?;
    for (place, word) in element.chunks_exact_mut(size_of::<u64>()).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    sys::map::update(map, &0_u32.to_ne_bytes(), &element)
        .map_err(DatapathError::system(format!("filling map {name}")))?;
    sys::map::freeze(map).map_err(DatapathError::system(format!("freezing map {name}")))
}

/// The filter's program for a hook, this kernel and this process.
fn program_for_this_kernel(hook: Hook) -> Result<&'static str, DatapathError> {
    let has_perfmon = privileges::has_perfmon()?;
    if hook == Hook::Tcx {
        return Ok(if has_perfmon {
            object::FILTER_TCX
        } else {
            object::FILTER_TCX_COPIED
        });
    }
    // The helper came with the packets that it measures (5.18).
    let frags = is_helper_supported(ProgramType::Xdp, BpfHelper::BPF_FUNC_xdp_get_buff_len)
        .map_err(DatapathError::refused)?;
    Ok(match (frags, has_perfmon) {
        (false, _) => object::FILTER_PLAIN,
        (true, true) => object::FILTER_FRAGS,
        (true, false) => object::FILTER_COPIED,
    })
}

/// Loads a program of the object.
pub(super) fn load_into_kernel(ebpf: &mut Ebpf, name: &str) -> Result<(), DatapathError> {
    match ebpf.program_mut(name) {
        Some(Program::Xdp(program)) => program.load(),
        Some(Program::SchedClassifier(program)) => program.load(),
        _ => return Err(no_program(name)),
    }
    .map_err(DatapathError::refused)
}

fn no_program(name: &str) -> DatapathError {
    DatapathError::Object {
        what: format!("program {name}"),
    }
}
