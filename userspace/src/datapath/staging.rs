//! A filter on its way to one interface: staged whole, committed, kept or rolled back.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    EgressChoice, Hook,
    about::About,
    brief::Turn,
    cell,
    draft::Draft,
    egress,
    error::DatapathError,
    exceptions,
    filter::{Filter, Request, detach_place},
    generation::Generation,
    interface::{Interface, Mode},
    layout,
    link::{Link, ModeChoice},
    pins::{GenerationPins, Lock, Place, Root, remove_pin, share},
    report::{self, Period, Prepared},
    sys,
    tables::Tables,
    trial::{self, TrialError},
};

/// The filter that is on an interface already.
#[derive(Debug)]
struct Present {
    link: Link,
    /// `None` at the hook tcx.
    mode: Option<Mode>,
    program: u32,
}

/// A generation, whole and pinned, that is not under the link yet.
#[derive(Debug)]
pub(super) struct Staged {
    interface: Interface,
    present: Option<Present>,
    generation: Generation,
    trial: Option<Duration>,
    egress: EgressChoice,
    draft: Draft,
    // Last, so that the lock is held while the draft is removed.
    lock: Arc<Lock>,
}

impl Staged {
    /// Makes a generation for an interface. `held` is the lock on its place, if this process has it already.
    pub(super) fn new(
        root: &Root,
        interface: &Interface,
        request: &Request<'_>,
        tables: &Tables,
        filled: Option<&GenerationPins>,
        held: Option<Arc<Lock>>,
    ) -> Result<Self, DatapathError> {
        let (place, lock) = take(root, interface, held)?;
        let present = present(&place, interface, request.plan.hook)?;
        if let Some(present) = &present {
            if let Some(mode) = present.mode {
                refuse_other_mode(interface, mode, request.mode)?;
            }
            if request.trial.is_some() && trial::read(&place)?.is_some() {
                return Err(TrialError::OnTrial {
                    interface: interface.name.clone(),
                }
                .into());
            }
        } else {
            // Left by a filter whose interface went away, or by a process that died half-way.
            egress::detach(&place)?;
            place.clear()?;
        }
        let draft = Draft::at(place)?;
        let before = match &present {
            Some(present) => draft.place.generation_of(present.program)?,
            None => None,
        };
        let generation = load(&draft, before.as_ref(), request, tables, filled)?;
        Ok(Self {
            interface: interface.clone(),
            present,
            generation,
            trial: request.trial,
            egress: request.egress,
            draft,
            lock,
        })
    }

    /// Takes a generation that was loaded without pins for an interface on which there is no filter.
    pub(super) fn of(
        root: &Root,
        interface: &Interface,
        generation: Generation,
        about: &About,
    ) -> Result<Self, DatapathError> {
        let (place, lock) = take(root, interface, None)?;
        if present(&place, interface, generation.hook())?.is_some() {
            return Err(DatapathError::Filtered {
                interface: interface.name.clone(),
            });
        }
        egress::detach(&place)?;
        place.clear()?;
        let draft = Draft::at(place)?;
        let report = report::prepare(None, &draft.pins, generation.period_from_now())?;
        generation.pin(&draft.pinning(false, false, report.as_ref()))?;
        pin(&generation, &draft.pins, about, report)?;
        Ok(Self {
            interface: interface.clone(),
            present: None,
            generation,
            trial: None,
            egress: EgressChoice::Auto,
            draft,
            lock,
        })
    }

    /// Where it is pinned.
    pub(super) const fn pins(&self) -> &GenerationPins {
        &self.draft.pins
    }

    /// Puts the program under the interface's link, making one if there is none.
    pub(super) fn commit(self, choice: ModeChoice) -> Result<Committed, DatapathError> {
        let program = self.generation.fd()?;
        let _turn = Turn::at(&self.draft.place)?;
        exceptions::count_anew(&self.draft.place)?;
        let before = match self.present {
            None => None,
            Some(present) => {
                let pins = self.draft.place.generation_of(present.program)?;
                let program = program_in_force(pins.as_ref(), present.program);
                Some((present, pins, program))
            }
        };
        if let Some(time) = self.trial {
            let program = before.as_ref().and_then(|(.., program)| program.as_ref());
            trial::begin(&self.draft.pins, time, program.map(AsFd::as_fd))?;
        }
        let egress = egress::commit(
            &self.draft.place,
            &self.interface,
            &self.generation,
            self.egress,
            before.as_ref().and_then(|(_, pins, _)| pins.as_ref()),
        )?;
        let (before, link, mode, fallback) = if let Some((present, pins, replaced)) = before {
            let link = present.link.info()?.id;
            present.link.replace(program)?;
            let before = Before::Filter {
                pins,
                link: present.link,
                program: replaced,
            };
            (before, link, present.mode, None)
        } else {
            let hook = self.generation.hook();
            let new = Link::create(program, &self.interface, hook, choice)?;
            let link = new.link.info()?.id;
            new.link.pin(&self.draft.place.link())?;
            (Before::Nothing, link, new.mode, new.fallback)
        };
        Ok(Committed {
            interface: self.interface,
            before,
            egress,
            mode,
            fallback,
            generation: self.generation,
            trial: self.trial,
            link,
            draft: self.draft,
            lock: self.lock,
        })
    }
}

/// The place of an interface that a filter is to be attached to, and the lock on it. `held` is that lock, if this process
/// has it already.
fn take(
    root: &Root,
    interface: &Interface,
    held: Option<Arc<Lock>>,
) -> Result<(Place, Arc<Lock>), DatapathError> {
    let place = root.place(interface)?;
    let lock = if let Some(lock) = held {
        lock
    } else {
        let lock = place.lock(interface)?;
        // Asked of somebody who is gone.
        remove_pin(&place.request())?;
        Arc::new(lock)
    };
    if !interface.has_ethernet_frames()? {
        return Err(DatapathError::NotEthernet {
            interface: interface.name.clone(),
        });
    }
    trial::settle(&place)?;
    Ok((place, lock))
}

/// Loads and fills a generation and pins all of it. `before` are the pins of the one that it replaces, `filled` those of
/// another one whose tables are these.
fn load(
    draft: &Draft,
    before: Option<&GenerationPins>,
    request: &Request<'_>,
    tables: &Tables,
    filled: Option<&GenerationPins>,
) -> Result<Generation, DatapathError> {
    let Draft { place, pins, .. } = draft;
    if let Some(filled) = filled {
        share(&filled.ipv4(), &pins.ipv4())?;
        share(&filled.ipv6(), &pins.ipv6())?;
    }
    layout::discard_foreign(place)?;
    let period = Period::of(&request.plan, Timestamp::now());
    let report = report::prepare(before, pins, period)?;
    let pinning = draft.pinning(request.trial.is_some(), filled.is_some(), report.as_ref());
    let generation = Generation::load_with(request.plan, tables, Some(&pinning))?;
    let now = Timestamp::now();
    let about = About {
        since: Some(now),
        attached: before.map_or(Some(now), attached),
        ..request.about.clone()
    };
    pin(&generation, pins, &about, report)?;
    Ok(generation)
}

/// Since when there has been a filter, by a generation of it.
fn attached(pins: &GenerationPins) -> Option<Timestamp> {
    // What cannot be read, another version wrote.
    About::read(&pins.about()).ok()?.attached
}

/// Pins a generation's programs, what it was made of, and when it, or one before it, only counted.
fn pin(
    generation: &Generation,
    pins: &GenerationPins,
    about: &About,
    report: Option<Prepared>,
) -> Result<(), DatapathError> {
    sys::object::pin(generation.fd()?, &pins.program())
        .map_err(DatapathError::pin("pinning the program at", pins.program()))?;
    if let Some(egress) = generation.egress()? {
        sys::object::pin(egress, &pins.egress())
            .map_err(DatapathError::pin("pinning the program at", pins.egress()))?;
    }
    let about = About {
        engine: generation.engine().to_string(),
        effective_from: about
            .effective_from
            .filter(|_| generation.can_be_held_back()),
        ..about.clone()
    };
    about.pin(&pins.about())?;
    report.map_or(Ok(()), |report| report.pin(generation.sees_ports()))
}

/// What stood on the interface before a commit.
#[derive(Debug)]
enum Before {
    Nothing,
    Filter {
        link: Link,
        program: Option<OwnedFd>,
        pins: Option<GenerationPins>,
    },
}

/// A generation that is in force, while others of the same request may still fail.
#[derive(Debug)]
pub(super) struct Committed {
    interface: Interface,
    before: Before,
    egress: egress::Change,
    mode: Option<Mode>,
    fallback: Option<String>,
    generation: Generation,
    trial: Option<Duration>,
    link: u32,
    draft: Draft,
    lock: Arc<Lock>,
}

impl Committed {
    /// Puts back what was in force before.
    pub(super) fn roll_back(self) {
        // The request has failed already, with an error that says more than one about the way back.
        let _ = match &self.before {
            Before::Nothing => detach_place(&self.draft.place),
            Before::Filter {
                link,
                program: Some(program),
                ..
            } => link.replace(program.as_fd()),
            Before::Filter { program: None, .. } => Ok(()),
        };
        let _ = egress::roll_back(&self.draft.place, &self.egress);
    }

    /// Keeps the generation, and removes those that it replaces.
    pub(super) fn finish(mut self) -> Filter {
        self.draft.kept = true;
        // What went wrong before is of no interest any more.
        let _ = remove_pin(&self.draft.place.failure());
        for note in [self.draft.place.failure(), self.draft.place.request()] {
            let _ = cell::remove_draft(&note);
        }
        // A generation on trial can still give way to the one before.
        let kept = match &self.before {
            Before::Filter { pins, .. } if self.trial.is_some() => pins.as_ref(),
            _ => None,
        };
        // The filter is in force, and what notes flows for nobody does no harm until the next command removes it.
        // The generation before may need it yet.
        if self.trial.is_none() {
            let _ = egress::finish(&self.draft.place, &self.egress);
        }
        let warning = match self.egress {
            egress::Change::Refused(reason) => Some(reason),
            egress::Change::None | egress::Change::Created | egress::Change::Replaced(..) => None,
        };
        for pins in self.draft.place.generations().unwrap_or_default() {
            if pins != self.draft.pins && Some(&pins) != kept {
                // The filter is in force; left-overs are removed by the next command.
                let _ = pins.remove();
            }
        }
        Filter {
            interface: self.interface,
            mode: self.mode,
            fallback: self.fallback,
            without_replies: warning,
            replaced: matches!(self.before, Before::Filter { .. }),
            generation: self.generation,
            trial: self.trial,
            place: self.draft.place.clone(),
            link: self.link,
            lock: self.lock,
        }
    }
}

/// The filter of ours that is attached to the interface; an error if it is at another hook, or if a program of another's
/// is at that hook, and the hook takes but one.
fn present(
    place: &Place,
    interface: &Interface,
    hook: Hook,
) -> Result<Option<Present>, DatapathError> {
    if let Some(link) = Link::open(&place.link())? {
        let info = link.info()?;
        if info.interface == interface.index {
            let running = info.hook();
            if running != hook {
                return Err(DatapathError::OtherHook {
                    interface: interface.name.clone(),
                    running,
                });
            }
            return Ok(Some(Present {
                link,
                mode: interface.mode_at(running)?,
                program: info.program,
            }));
        }
    }
    if hook == Hook::Tcx {
        return Ok(None);
    }
    match interface.xdp()? {
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
    let name = sys::object::open_program(id)
        .and_then(|program| sys::object::program_info(program.as_fd()))
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

/// The program with this id, which these pins hold.
fn program_in_force(pins: Option<&GenerationPins>, program: u32) -> Option<OwnedFd> {
    match pins {
        Some(pins) => sys::object::open_pin(&pins.program()).ok(),
        // Its pin was removed; only CAP_SYS_ADMIN may open it by its id.
        None => sys::object::open_program(program).ok(),
    }
}
