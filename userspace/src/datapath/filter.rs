//! Attaching, replacing and detaching filters, on one interface or several.
//!
//! Everything that can fail is done before anything changes: each interface's generation is loaded, filled
//! and pinned first ([`Staged`]); then the programs go under their links, and what is already done is undone
//! if one refuses; only then what the new generations replace is removed.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use aya::maps::MapData;
use geodrop_common::{Counter, counter};
use jiff::Timestamp;

use super::{
    about::About,
    counters::Counters,
    error::DatapathError,
    generation::{Generation, Pinning, Plan},
    interface::{Interface, Mode},
    link::{Link, ModeChoice},
    pins::{GenerationPins, Lock, Place, Root},
    privileges, sys,
};

/// What is to be attached.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What its generations are made of.
    pub plan: Plan<'a>,
    /// In which mode.
    pub mode: ModeChoice,
    /// What is kept beside it, for `status`.
    pub about: About,
}

/// A filter that this process attached, and still looks after.
#[derive(Debug)]
pub struct Filter {
    /// Where it is attached.
    pub interface: Interface,
    /// In which mode it runs.
    pub mode: Mode,
    /// Why not in native mode, if that was tried and refused.
    pub fallback: Option<String>,
    /// Whether it took the place of one that was attached already.
    pub replaced: bool,
    /// Its program and tables.
    pub generation: Generation,
    place: Place,
    _lock: Lock,
}

impl Filter {
    /// Whether the filter is still on its interface: `detach`, a bare `rm` of its pins or the interface's end
    /// take it away.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub fn is_attached(&self) -> Result<bool, DatapathError> {
        match Link::open(&self.place.link())? {
            Some(link) => Ok(link.info()?.interface == self.interface.index),
            None => Ok(false),
        }
    }

    /// Detaches the filter and removes all that belongs to it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; the filter may then still be attached.
    pub fn detach(self) -> Result<(), DatapathError> {
        detach_place(&self.place)
    }
}

/// Attaches filters to all the interfaces, or to none; a filter of ours that is there already is replaced
/// in one step, and keeps its counters.
///
/// # Errors
///
/// Whatever the error, what was in force before is in force after.
pub fn attach(
    root: &Root,
    interfaces: &[Interface],
    request: &Request<'_>,
) -> Result<Vec<Filter>, DatapathError> {
    privileges::check()?;
    root.prepare()?;
    let mut staged: Vec<Staged> = Vec::new();
    for interface in interfaces {
        // Interfaces share their tables: the first one's are filled, the others pin them too.
        let tables = staged.first().map(|first| first.draft.pins.clone());
        staged.push(Staged::new(root, interface, request, tables.as_ref())?);
    }
    let mut committed: Vec<Committed> = Vec::new();
    for staged in staged {
        match staged.commit(request.mode) {
            Ok(filter) => committed.push(filter),
            Err(error) => {
                for filter in committed {
                    filter.roll_back();
                }
                return Err(error);
            }
        }
    }
    committed.into_iter().map(Committed::finish).collect()
}

/// Detaches the filter from one interface.
///
/// # Errors
///
/// [`DatapathError::NotAttached`] when there is none of ours.
pub fn detach(root: &Root, interface: &Interface) -> Result<(), DatapathError> {
    privileges::check()?;
    let place = root.place(interface)?;
    if !place.directory().exists() {
        return Err(DatapathError::NotAttached {
            interface: interface.name.clone(),
        });
    }
    detach_place(&place)?;
    root.tidy();
    Ok(())
}

/// Detaches every filter that is pinned under the root, in whatever network namespace, whatever version
/// attached it. Returns where they were.
///
/// # Errors
///
/// The first that could not be detached; all others are.
pub fn detach_all(root: &Root) -> Result<Vec<Place>, DatapathError> {
    privileges::check()?;
    let places = root.places()?;
    let mut failed = None;
    for place in &places {
        if let Err(error) = detach_place(place) {
            failed.get_or_insert(error);
        }
    }
    root.tidy();
    failed.map_or(Ok(places), Err)
}

fn detach_place(place: &Place) -> Result<(), DatapathError> {
    if let Some(link) = Link::open(&place.link())? {
        link.detach()?;
    }
    place.remove()
}

/// The filter that is on an interface already.
#[derive(Debug)]
struct Present {
    link: Link,
    mode: Mode,
    program: u32,
}

/// The pins of a generation that is not in force for good yet: dropped, they are removed, so that a failure
/// leaves no trace.
#[derive(Debug)]
struct Draft {
    place: Place,
    pins: GenerationPins,
    kept: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // Nothing better can be done about an error here: the next command removes left-overs.
        let _ = self.pins.remove();
        if !self.place.link().exists() {
            let _ = self.place.remove();
        }
    }
}

/// A generation, whole and pinned, that is not under the link yet.
#[derive(Debug)]
struct Staged {
    interface: Interface,
    present: Option<Present>,
    generation: Generation,
    draft: Draft,
    // Last, so that the lock is held while the draft is removed.
    lock: Lock,
}

impl Staged {
    fn new(
        root: &Root,
        interface: &Interface,
        request: &Request<'_>,
        tables: Option<&GenerationPins>,
    ) -> Result<Self, DatapathError> {
        let place = root.place(interface)?;
        let lock = place.lock(interface)?;
        let present = present(&place, interface)?;
        if let Some(present) = &present {
            refuse_other_mode(interface, present.mode, request.mode)?;
        } else {
            // Left by a filter whose interface went away, or by a process that died half-way.
            clear(&place)?;
        }
        let draft = Draft {
            pins: place.next_generation()?,
            place,
            kept: false,
        };
        let generation = load(&draft, request, tables)?;
        Ok(Self {
            interface: interface.clone(),
            present,
            generation,
            draft,
            lock,
        })
    }

    /// Puts the program under the interface's link, making one if there is none.
    fn commit(self, choice: ModeChoice) -> Result<Committed, DatapathError> {
        let program = self.generation.fd()?;
        let (before, mode, fallback) = if let Some(present) = self.present {
            let replaced = program_in_force(&self.draft.place, present.program)?;
            present.link.replace(program)?;
            let before = Before::Filter {
                link: present.link,
                program: replaced,
            };
            (before, present.mode, None)
        } else {
            let new = Link::create(program, &self.interface, choice)?;
            new.link.pin(&self.draft.place.link())?;
            (Before::Nothing, new.mode, new.fallback)
        };
        Ok(Committed {
            interface: self.interface,
            before,
            mode,
            fallback,
            generation: self.generation,
            draft: self.draft,
            lock: self.lock,
        })
    }
}

/// Loads and fills a generation and pins all of it.
fn load(
    draft: &Draft,
    request: &Request<'_>,
    tables: Option<&GenerationPins>,
) -> Result<Generation, DatapathError> {
    let Draft { place, pins, .. } = draft;
    if let Some(tables) = tables {
        share(&tables.ipv4(), &pins.ipv4())?;
        share(&tables.ipv6(), &pins.ipv6())?;
    }
    discard_foreign_counters(&place.counters())?;
    let generation = Generation::load_with(
        request.plan,
        Some(&Pinning {
            counters: &place.counters(),
            ipv4: &pins.ipv4(),
            ipv6: &pins.ipv6(),
            filled: tables.is_some(),
        }),
    )?;
    sys::pin(generation.fd()?, &pins.program())
        .map_err(DatapathError::pin("pinning the program at", pins.program()))?;
    let about = About {
        since: Some(Timestamp::now()),
        ..request.about.clone()
    };
    about.pin(&pins.about())?;
    Ok(generation)
}

/// What stood on the interface before a commit.
#[derive(Debug)]
enum Before {
    Nothing,
    Filter {
        link: Link,
        program: Option<OwnedFd>,
    },
}

/// A generation that is in force, while others of the same request may still fail.
#[derive(Debug)]
struct Committed {
    interface: Interface,
    before: Before,
    mode: Mode,
    fallback: Option<String>,
    generation: Generation,
    draft: Draft,
    lock: Lock,
}

impl Committed {
    /// Puts back what was in force before.
    fn roll_back(self) {
        // The request has failed already, with an error that says more than one about the way back.
        let _ = match &self.before {
            Before::Nothing => detach_place(&self.draft.place),
            Before::Filter {
                link,
                program: Some(program),
            } => link.replace(program.as_fd()),
            Before::Filter { program: None, .. } => Ok(()),
        };
    }

    /// Keeps the generation, and removes those that it replaces.
    fn finish(mut self) -> Result<Filter, DatapathError> {
        self.draft.kept = true;
        for pins in self.draft.place.generations()? {
            if pins != self.draft.pins {
                pins.remove()?;
            }
        }
        Ok(Filter {
            interface: self.interface,
            mode: self.mode,
            fallback: self.fallback,
            replaced: matches!(self.before, Before::Filter { .. }),
            generation: self.generation,
            place: self.draft.place.clone(),
            _lock: self.lock,
        })
    }
}

/// The filter of ours that is attached to the interface; an error if a program of another's is.
fn present(place: &Place, interface: &Interface) -> Result<Option<Present>, DatapathError> {
    let link = Link::open(&place.link())?;
    let attached = interface.xdp()?;
    if let Some(link) = link {
        let info = link.info()?;
        if info.interface == interface.index {
            return Ok(Some(Present {
                link,
                mode: attached.map_or(Mode::Native, |attached| attached.mode),
                program: info.program,
            }));
        }
    }
    match attached {
        None => Ok(None),
        Some(attached) => Err(DatapathError::OtherProgram {
            interface: interface.name.clone(),
            program: describe_program(attached.program),
            mode: attached.mode,
        }),
    }
}

fn describe_program(id: u32) -> String {
    // Only CAP_SYS_ADMIN may look at programs by id; without it the number must do.
    let name = sys::open_program(id)
        .and_then(|program| sys::program_info(program.as_fd()))
        .map(|info| info.name());
    match name {
        Ok(name) if !name.is_empty() => format!("another XDP program, `{name}` (id {id}),"),
        _ => format!("another XDP program (id {id})"),
    }
}

fn refuse_other_mode(
    interface: &Interface,
    running: Mode,
    choice: ModeChoice,
) -> Result<(), DatapathError> {
    match (choice, running) {
        (ModeChoice::Native, Mode::Generic)
        | (ModeChoice::Generic, Mode::Native | Mode::Offload) => Err(DatapathError::OtherMode {
            interface: interface.name.clone(),
            running,
        }),
        _ => Ok(()),
    }
}

/// Removes all that is pinned at a place where no filter is attached.
fn clear(place: &Place) -> Result<(), DatapathError> {
    for pins in place.generations()? {
        pins.remove()?;
    }
    for pin in [place.link(), place.counters()] {
        match std::fs::remove_file(&pin) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DatapathError::pin("removing the pin", pin)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Pins the map at `from` also at `to`.
fn share(from: &Path, to: &Path) -> Result<(), DatapathError> {
    sys::open_pin(from)
        .and_then(|map| sys::pin(map.as_fd(), to))
        .map_err(DatapathError::pin("pinning a shared table at", to))
}

/// Removes pinned counters of another layout, which another version left: aya would take them unchecked.
fn discard_foreign_counters(path: &Path) -> Result<(), DatapathError> {
    let Ok(map) = MapData::from_pin(path) else {
        return Ok(());
    };
    let info = map.info().map_err(DatapathError::map("COUNTERS"))?;
    let ours = info.map_type().ok() == Some(aya::maps::MapType::PerCpuArray)
        && info.key_size() == 4
        && info.value_size() as usize == size_of::<Counter>()
        && info.max_entries() as usize == counter::CAPACITY;
    if ours {
        return Ok(());
    }
    std::fs::remove_file(path).map_err(DatapathError::pin("removing the pin", path))
}

/// The id of a generation's program, if that is pinned.
fn program_id(pins: &GenerationPins) -> Option<u32> {
    let program = sys::open_pin(&pins.program()).ok()?;
    Some(sys::program_info(program.as_fd()).ok()?.id)
}

/// The pins of the generation whose program has this id.
pub(super) fn generation_in_force(
    place: &Place,
    program: u32,
) -> Result<Option<GenerationPins>, DatapathError> {
    Ok(place
        .generations()?
        .into_iter()
        .find(|pins| program_id(pins) == Some(program)))
}

/// The program with this id, from its generation's pins.
fn program_in_force(place: &Place, program: u32) -> Result<Option<OwnedFd>, DatapathError> {
    Ok(generation_in_force(place, program)?.and_then(|pins| sys::open_pin(&pins.program()).ok()))
}

/// Reads the counters pinned at a place.
pub(super) fn pinned_counters(place: &Place) -> Result<Counters, DatapathError> {
    let path = place.counters();
    let map = MapData::from_pin(&path).map_err(DatapathError::map(path.display().to_string()))?;
    Counters::read(map)
}
