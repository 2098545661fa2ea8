//! What a running filter makes of a packet, found out without the filter noticing.
//!
//! The kernel can run the program that is attached on a packet that we make (`BPF_PROG_TEST_RUN`), but then the program counts
//! it, tells whoever watches, and notes flows: an answer that changes what it is about. So a replica is run, and what says that
//! it is one is the kernel:
//!
//! - **The same instructions**: its tag, the kernel's hash over a program's instructions, is that of the program in force.
//! - **The same constants and classes**: the maps of the program in force are opened by the ids that the kernel gives, and the
//!   frozen ones copied, constants (`.rodata`) included. What is frozen cannot have changed since it was loaded.
//! - **The same tables and exceptions**: these maps are shared, by their pins, whose ids have to be among the program's. A program
//!   only reads them, so they stay as they are. What was done to them behind our back shows.
//! - **Everything else of its own**, empty and small: counters, report, flows, what a watcher sees, how many answers may be sent.
//!   Of what may change while a filter runs (`control`) it gets a copy, without a trial's deadline: which generation is in force is
//!   decided by whoever loads the replica.
//!
//! So it has noted no flows, and takes no packet for an answer to one: it is to be asked about packets that begin something. What
//! it says of packets that the rules are against, it tells by a [`Watch`] of its own.
//!
//! Another version of geodrop has other instructions, so of its filters there is no replica: that is an error, not a guess.

use std::{collections::BTreeMap, io, net::IpAddr, os::fd::AsFd as _, path::PathBuf};

use aya::{
    EbpfLoader,
    maps::{Array, Map, MapData, MapInfo},
    programs::{ProgramInfo, TestRunOptions},
};
use geodrop_common::control::Control;

use super::{
    about::About,
    control,
    error::DatapathError,
    exceptions::{self, Decision},
    generation::{self, Generation},
    interface::Interface,
    object,
    pins::{GenerationPins, Place, Root},
    privileges,
    report::{self, Origin},
    status, sys,
    tables::{self, IMAGES, NO_IMAGE, TRIES},
    trial,
    watch::Watch,
};
use crate::{policy::Verdict, table::Engine};

/// Where the object's constants are, which are a map to the kernel.
const CONSTANTS: &str = ".rodata";

/// Maps that a replica has for itself, and has no use for: as small as there can be.
const UNUSED: [&str; 7] = [
    "FLOWS",
    "CONTACTED",
    "INBOUND",
    report::COUNTERS,
    report::SOURCES,
    report::PORTS,
    "AYA_LOGS",
];

/// How many packets a second it is to tell of: more than can be run.
const RATE: u32 = 1_000_000;

/// Why a running filter cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The process may not open what a program uses.
    #[error(
        "asking the filter on {interface} takes CAP_SYS_ADMIN, which this process does not have: without it the kernel does not \
         hand out what a program uses; run it as root, for example with `sudo`"
    )]
    Privileges {
        /// The interface.
        interface: String,
    },

    /// The filter's program is none that this geodrop can load.
    #[error(
        "the filter on {interface} was attached by another build of geodrop (version {version}), whose program this one cannot \
         run; ask that one, or put this one's in its place with `geodrop attach`, or by starting `geodrop run` again"
    )]
    OtherProgram {
        /// The interface.
        interface: String,
        /// The geodrop that attached it.
        version: String,
    },

    /// A pin is not what the program in force reads.
    #[error(
        "what is pinned at {} is not what the filter on {interface} reads: somebody put it there; put the pins right with \
         `geodrop attach`, which makes the filter anew",
        path.display()
    )]
    OtherPin {
        /// The interface.
        interface: String,
        /// The pin.
        path: PathBuf,
    },
}

/// A running filter, as it can be asked about packets.
pub struct Replica {
    /// What the filter was made of; of one whose trial is over, nothing.
    pub about: About,
    /// `None` if no program looks at packets: a trial is over, and there was no filter before.
    filter: Option<Filter>,
}

/// What is in force, loaded once more.
struct Filter {
    generation: Generation,
    watch: Watch,
    decided: Vec<Decision>,
}

/// What a running filter makes of a packet that begins something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What becomes of it, were the policy enforced.
    pub verdict: Verdict,
    /// Whether that is what becomes of it. If not, it passes: the policy only counts, or its day is ahead.
    pub enforced: bool,
    /// Why.
    pub cause: Cause,
}

/// Why a running filter does what it does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The policy is against it, the country rule or a rule for ports.
    Policy {
        /// Why it is.
        origin: Origin,
        /// Which of the rules for ports it came under, the first being 1; `None` for the country rule and for prefixes.
        rule: Option<u8>,
    },
    /// That was decided for its source while the filter runs.
    Exception,
    /// Its IP header is cut short, or contradicts itself.
    Malformed,
    /// Nothing is against it.
    Nothing,
    /// A trial is over that nobody confirmed, and there was no filter before: all passes.
    Lapsed,
}

impl Answer {
    /// What becomes of a packet that nothing is against, for that reason.
    const fn passes(cause: Cause) -> Self {
        Self {
            verdict: Verdict::Pass,
            enforced: true,
            cause,
        }
    }
}

impl Replica {
    /// Of the filter on an interface, as it is now: what is put in force later is not in it, but for exceptions.
    ///
    /// # Errors
    ///
    /// [`DatapathError::NotAttached`] where there is no filter; [`ReplicaError`].
    pub fn of(root: &Root, interface: &Interface) -> Result<Self, DatapathError> {
        if !privileges::has_admin()? {
            return Err(ReplicaError::Privileges {
                interface: interface.name.clone(),
            }
            .into());
        }
        privileges::check()?;
        let place = root.place(interface)?;
        status::undisturbed(&place, || {
            if let Some(pins) = status::in_force(root, interface)? {
                let about = About::read(&pins.about())?;
                return Ok(Self {
                    filter: Some(Filter::load(&place, &pins, interface, &about)?),
                    about,
                });
            }
            if trial::read(&place)?.is_some_and(|trial| trial.has_lapsed()) {
                return Ok(Self {
                    filter: None,
                    about: About::default(),
                });
            }
            Err(DatapathError::NotAttached {
                interface: interface.name.clone(),
            })
        })
    }

    /// Runs it on a frame whose source, by its IP header, is this.
    ///
    /// # Errors
    ///
    /// When the kernel does not run it.
    pub fn judge(&mut self, source: IpAddr, frame: &[u8]) -> Result<Answer, DatapathError> {
        match &mut self.filter {
            Some(filter) => filter.judge(source, frame),
            None => Ok(Answer::passes(Cause::Lapsed)),
        }
    }
}

/// The program in force, as the kernel has it.
struct InForce {
    info: ProgramInfo,
    /// The maps that it uses, by the names that the kernel keeps of them.
    maps: BTreeMap<String, MapData>,
}

impl InForce {
    fn read(pins: &GenerationPins) -> Result<Self, DatapathError> {
        let refused = |error| DatapathError::from(Box::new(error));
        let info = ProgramInfo::from_pin(pins.program()).map_err(refused)?;
        let mut maps = BTreeMap::new();
        for id in info.map_ids().map_err(refused)?.unwrap_or_default() {
            let failed = || DatapathError::map(format!("number {id}"));
            let map = MapData::from_id(id).map_err(failed())?;
            let name = map.info().map_err(failed())?;
            let name = String::from_utf8_lossy(name.name()).into_owned();
            maps.insert(name, map);
        }
        Ok(Self { info, maps })
    }

    /// The number of one of its maps; `None` if it has none of that name.
    fn id_of(&self, map: &str) -> Option<u32> {
        Some(self.maps.get(map)?.info().ok()?.id())
    }

    /// How the tables are laid out that it reads, by which of its maps is pinned; `None` if none is.
    fn engine(&self, pins: &GenerationPins) -> Option<Engine> {
        let pinned = MapInfo::from_pin(pins.ipv4()).ok()?.id();
        [Engine::Multibit, Engine::Lpm]
            .into_iter()
            .find(|engine| self.id_of(tables::maps_of(*engine)[0]) == Some(pinned))
    }

    /// The element of an array of one.
    fn element(&self, name: &str) -> Option<Vec<u8>> {
        sys::map::read_cell(self.maps.get(name)?.fd().as_fd()).ok()
    }

    /// All words of the element of an array of one.
    fn words_of_element(&self, name: &str) -> Option<Vec<u64>> {
        let element = self.element(name)?;
        let (words, _) = element.as_chunks();
        Some(words.iter().copied().map(u64::from_ne_bytes).collect())
    }

    /// All words of a frozen array.
    fn words(&self, name: &str) -> Option<Vec<u64>> {
        let array = MapData::from_id(self.id_of(name)?).ok()?;
        let array = Array::<_, u64>::try_from(Map::Array(array)).ok()?;
        array.iter().collect::<Result<_, _>>().ok()
    }

    /// Loads it once more, for itself; `None` if that is another program.
    fn replicate(
        &self,
        place: &Place,
        pins: &GenerationPins,
        interface: &Interface,
    ) -> Result<Option<Generation>, DatapathError> {
        let (Some(program), Some(constants), Some(classes), Some(ports)) = (
            object::filter_named(self.info.name()),
            self.element(CONSTANTS),
            self.words_of_element(generation::CLASSES),
            self.words("PORTS"),
        ) else {
            return Ok(None);
        };
        let Some(object) = object::with_constants(object::FILTER, CONSTANTS, &constants) else {
            return Ok(None);
        };
        let other_pin = |path| {
            DatapathError::from(ReplicaError::OtherPin {
                interface: interface.name.clone(),
                path,
            })
        };
        let engine = self.engine(pins).ok_or_else(|| other_pin(pins.ipv4()))?;
        let [ipv4, ipv6] = tables::maps_of(engine);
        let shared = [
            (ipv4, pins.ipv4()),
            (ipv6, pins.ipv6()),
            ("EXCEPTIONS", place.exceptions()),
        ];
        let mut loader = EbpfLoader::new();
        for name in UNUSED.into_iter().chain(TRIES) {
            loader.map_max_entries(name, 1);
        }
        loader.map_max_entries("PORTS", u32::try_from(ports.len()).unwrap_or(u32::MAX));
        for (name, path) in &shared {
            loader.map_pin_path(name, path);
        }
        let images = IMAGES.map(|name| (name, NO_IMAGE));
        let mut ebpf = object::load(&mut loader, &object, &images)?;
        for (name, path) in shared {
            let map = tables::map(&ebpf, name)?.info();
            let map = map.map_err(DatapathError::map(name))?;
            if self.id_of(name) != Some(map.id()) {
                return Err(other_pin(path));
            }
        }
        generation::fill_element(&ebpf, generation::CLASSES, &classes)?;
        generation::fill_array(&mut ebpf, "PORTS", &ports)?;
        control::write(
            tables::map(&ebpf, control::MAP)?,
            &Control {
                trial_until: 0,
                ..control::read_pinned(&pins.control())?
            },
        )?;
        generation::load_into_kernel(&mut ebpf, program)?;
        let generation = Generation::of_loaded(ebpf, program, engine);
        let copy = generation.program()?.info().map_err(Box::new)?;
        Ok((copy.tag() == self.info.tag()).then_some(generation))
    }
}

impl Filter {
    fn load(
        place: &Place,
        pins: &GenerationPins,
        interface: &Interface,
        about: &About,
    ) -> Result<Self, DatapathError> {
        let in_force = InForce::read(pins)?;
        let Some(generation) = in_force.replicate(place, pins, interface)? else {
            return Err(ReplicaError::OtherProgram {
                interface: interface.name.clone(),
                version: about.version.clone(),
            }
            .into());
        };
        Ok(Self {
            watch: generation.watch(RATE)?,
            generation,
            decided: exceptions::read(place)?,
        })
    }

    fn judge(&mut self, source: IpAddr, frame: &[u8]) -> Result<Answer, DatapathError> {
        let result = self.generation.test_run(TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::default()
        })?;
        let passed = self.generation.hook().lets_pass(result.return_value);
        let source = source.to_canonical();
        let mut decided = self.decided.iter();
        let is_decided = decided.any(|decision| decision.address == source);
        let Some(event) = self.watch.next_event() else {
            if !passed {
                let silent = io::Error::other("it does not tell of a packet that it drops");
                return Err(DatapathError::system("running the filter's program")(
                    silent,
                ));
            }
            return Ok(Answer::passes(if is_decided {
                Cause::Exception
            } else {
                Cause::Nothing
            }));
        };
        Ok(Answer {
            verdict: event.verdict,
            enforced: !passed,
            cause: match event.origin {
                None => Cause::Malformed,
                Some(Origin::Denied) if is_decided => Cause::Exception,
                Some(origin) => Cause::Policy {
                    origin,
                    rule: event.rule,
                },
            },
        })
    }
}
