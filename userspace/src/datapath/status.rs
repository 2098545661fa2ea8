//! What is running, read back from the kernel.

use std::{os::fd::AsFd as _, time::Duration};

use jiff::Timestamp;

use super::{
    Hook,
    about::About,
    counters::Counters,
    error::DatapathError,
    exceptions::{self, Decision},
    interface::{Interface, Mode},
    link::Link,
    pins::{GenerationPins, Place, Root},
    reload::Failure,
    sys,
    trial::{self, Trial},
    watch::{self, Missed},
};

/// What a filter does about packets that its rules are against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// It drops them.
    Drops,
    /// It only counts them until this instant, as `effective_from` says, and drops them then. What is denied drops now.
    Awaits(Timestamp),
    /// It only counts them, as `monitor` says.
    Counts,
    /// It lets all pass and counts nothing: nobody confirmed it, and there was no filter before.
    Lapsed,
}

/// What a program has cost, while the kernel kept statistics (`kernel.bpf_stats_enabled`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// How often it ran.
    pub count: u64,
    /// For how long, on all CPUs together.
    pub time: Duration,
}

/// A filter as the kernel has it.
#[derive(Clone, Debug)]
pub struct Running {
    /// Where it is attached.
    pub interface: Interface,
    /// At which hook.
    pub hook: Hook,
    /// In which mode; `None` at the hook tcx, which has no modes.
    pub mode: Option<Mode>,
    /// Its program's id.
    pub program: u32,
    /// The number of its generation: how often it was replaced, plus one.
    pub generation: u64,
    /// What it was made of.
    pub about: About,
    /// Kernel memory of its tables, its counters and its report, in bytes.
    pub memory: u64,
    /// What it has counted.
    pub counters: Counters,
    /// Whether it is on trial.
    pub trial: Option<Trial>,
    /// Why the last reload failed, if it did.
    pub failure: Option<Failure>,
    /// What was decided for single addresses while it runs.
    pub exceptions: Vec<Decision>,
    /// The process that looks after it, as words for a person; `None` if none does.
    pub owner: Option<String>,
    /// How many packets were not told to those who watched it, since it was attached; `None` if it cannot be watched.
    pub missed: Option<Missed>,
    /// What the program under the link has cost since it was loaded; `None` if the kernel kept no statistics.
    pub runs: Option<Runs>,
}

/// All that is pinned under a root, as the calling thread's network namespace sees it.
#[derive(Debug, Default)]
pub struct Status {
    /// The filters that are attached to interfaces of this network namespace.
    pub running: Vec<Running>,
    /// What is not as it should be, each with its remedy.
    pub warnings: Vec<String>,
}

impl Status {
    /// Reads all filters back.
    ///
    /// # Errors
    ///
    /// When the pins may not be read. A filter that cannot be read whole is a warning.
    pub fn read(root: &Root) -> Result<Self, DatapathError> {
        let mut status = Self::default();
        for place in root.places()? {
            match interface_of(root, &place)? {
                Some(interface) => status.add(&place, &interface),
                None => status.warn_of_absent(&place),
            }
        }
        Ok(status)
    }

    fn add(&mut self, place: &Place, interface: &Interface) {
        let name = &interface.name;
        match undisturbed(place, || Running::read(place, interface.clone())) {
            Ok(Some(running)) => self.running.push(running),
            // It was detached just now.
            Ok(None) if !place.directory().exists() => {}
            Ok(None) => self.warnings.push(format!(
                "{} holds pins of a filter that is not attached to {name} any more; the next `geodrop attach` \
                 or `geodrop detach -i {name}` removes them",
                place.directory().display()
            )),
            Err(error) => self
                .warnings
                .push(format!("the filter on {name} cannot be read: {error}")),
        }
    }

    fn warn_of_absent(&mut self, place: &Place) {
        let attached =
            link_info(place).is_ok_and(|info| info.is_some_and(|info| info.interface != 0));
        let directory = place.directory().display();
        self.warnings.push(if attached {
            format!(
                "a filter is attached to interface {} of another network namespace ({directory}); run `geodrop \
                 status` there, or `geodrop detach --all` if it moved there",
                place.index
            )
        } else if let Some(owner) = place.locked_by() {
            format!(
                "interface {} is gone, and {owner} waits for it to come back",
                place.index
            )
        } else {
            format!("{directory} is left of an interface that is gone; `rm -r {directory}` removes it")
        });
    }
}

/// The interfaces of this network namespace that have filters.
///
/// # Errors
///
/// When the pins may not be read.
pub fn filtered(root: &Root) -> Result<Vec<Interface>, DatapathError> {
    let mut interfaces = Vec::new();
    for place in root.places()? {
        let Some(interface) = interface_of(root, &place)? else {
            continue;
        };
        if link_info(&place)?.is_some_and(|info| info.interface == interface.index) {
            interfaces.push(interface);
        }
    }
    Ok(interfaces)
}

/// The interface that a place is of, if it is one of this network namespace.
fn interface_of(root: &Root, place: &Place) -> Result<Option<Interface>, DatapathError> {
    Ok(match Interface::by_index(place.index)? {
        Some(interface) if root.place(&interface)? == *place => Some(interface),
        _ => None,
    })
}

/// The pins of the generation that packets meet on an interface; `None` if there is none, or its pins are gone.
pub(super) fn in_force(
    root: &Root,
    interface: &Interface,
) -> Result<Option<GenerationPins>, DatapathError> {
    let place = root.place(interface)?;
    if !root.places()?.contains(&place) {
        return Ok(None);
    }
    let Some(info) = link_info(&place)? else {
        return Ok(None);
    };
    let trial = trial::read(&place)?;
    if info.interface != interface.index || trial.is_some_and(|trial| trial.has_lapsed()) {
        return Ok(None);
    }
    pins_of(&place, info.program, trial)
}

/// The pins of the generation whose program the kernel runs, by the one that is under the link and its trial.
fn pins_of(
    place: &Place,
    program: u32,
    trial: Option<Trial>,
) -> Result<Option<GenerationPins>, DatapathError> {
    match trial {
        Some(Trial {
            left: None,
            before: Some(number),
            ..
        }) => {
            let mut generations = place.generations()?.into_iter();
            Ok(generations.find(|pins| pins.number == number))
        }
        _ => place.generation_of(program),
    }
}

/// What the kernel says of a place's link; `None` if there is none.
fn link_info(place: &Place) -> Result<Option<sys::link::LinkInfo>, DatapathError> {
    let link = Link::open(&place.link())?;
    link.map(|link| link.info()).transpose()
}

/// What is read of a generation, read again if another program came under the link meanwhile: nobody is kept from replacing a
/// generation, with which its pins go.
pub(super) fn undisturbed<T>(
    place: &Place,
    read: impl Fn() -> Result<T, DatapathError>,
) -> Result<T, DatapathError> {
    let program = || Ok::<_, DatapathError>(link_info(place)?.map(|info| info.program));
    loop {
        let before = program()?;
        let result = read();
        if program()? == before {
            return result;
        }
    }
}

impl Running {
    /// What it does at this instant about packets that its rules are against.
    #[must_use]
    pub fn enforcement(&self, now: Timestamp) -> Enforcement {
        if self.trial.is_some_and(|trial| trial.has_lapsed()) {
            return Enforcement::Lapsed;
        }
        let ahead = self.about.effective_from.filter(|instant| *instant > now);
        match ahead {
            _ if self.about.monitor => Enforcement::Counts,
            Some(instant) => Enforcement::Awaits(instant),
            None => Enforcement::Drops,
        }
    }

    fn read(place: &Place, interface: Interface) -> Result<Option<Self>, DatapathError> {
        let Some(info) = link_info(place)? else {
            return Ok(None);
        };
        if info.interface != interface.index {
            return Ok(None);
        }
        let hook = info.hook();
        let trial = trial::read(place)?;
        let pins = pins_of(place, info.program, trial)?;
        Ok(Some(Self {
            hook,
            mode: interface.mode_at(hook)?,
            trial,
            program: info.program,
            generation: pins.as_ref().map_or(0, |pins| pins.number),
            about: match &pins {
                Some(pins) => About::read(&pins.about())?,
                None => About::default(),
            },
            memory: memory(place, pins.as_ref())?,
            counters: Counters::read_pinned(&place.counters())?,
            exceptions: exceptions::read(place)?,
            failure: Failure::read(place)?,
            owner: place.locked_by(),
            missed: watch::missed(&place.watch())?,
            runs: runs(place, info.program)?,
            interface,
        }))
    }
}

/// What a program of a place has cost.
fn runs(place: &Place, program: u32) -> Result<Option<Runs>, DatapathError> {
    let Some(pins) = place.generation_of(program)? else {
        return Ok(None);
    };
    let path = pins.program();
    let info = sys::object::open_pin(&path)
        .and_then(|program| sys::object::program_info(program.as_fd()))
        .map_err(DatapathError::pin("asking for the cost of", path))?;
    Ok((info.run_cnt > 0).then(|| Runs {
        count: info.run_cnt,
        time: Duration::from_nanos(info.run_time_ns),
    }))
}

fn memory(place: &Place, pins: Option<&GenerationPins>) -> Result<u64, DatapathError> {
    let tables = pins.map(|pins| [pins.ipv4(), pins.ipv6()]);
    let report = pins.map(GenerationPins::report);
    let report = report.map(|pins| [pins.counters, pins.sources, pins.ports]);
    tables
        .into_iter()
        .flatten()
        .chain([place.counters()])
        // Of a policy that has always dropped there is none.
        .chain(report.into_iter().flatten().filter(|path| path.exists()))
        .map(|path| {
            sys::object::open_pin(&path)
                .and_then(|map| sys::map::memory(map.as_fd()))
                .map_err(DatapathError::pin("asking for the memory of", path))
        })
        .sum()
}
