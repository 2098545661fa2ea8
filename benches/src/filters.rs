//! The filter as a whole, as policies set it, and the programs of it that take a packet.
//!
//! What a policy does not use is dead code to the verifier, so each [`Setting`] is another program in the kernel. They have the
//! same tables (CN, HK and MO blocked) and differ in nothing else; [`Setting::Reference`] drops a packet and looks at nothing.

use std::time::Duration;

use anyhow::Context as _;
use aya::{
    Ebpf,
    programs::{SchedClassifier, Xdp, XdpMode, xdp::XdpLinkId},
};
use geodrop::{
    datapath::{
        Hook, ModeChoice, NewLink,
        generation::{Generation, Plan},
        interface::Interface,
        object,
        watch::Watch,
    },
    geoip::{Country, Regions},
    policy::{CountryRule, Policy, PortRule, Ports, Protocol, Ruleset},
    table::Engine,
    testbed::Namespace,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    privilege::Privilege,
    test_run::{self, awake},
};

/// How many packets a second a watcher asks to see, as `geodrop watch` does by default. It gets a second's worth at once, and reads
/// none: there is room for more.
const WATCHED: u32 = 100;

/// What a filter is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Not a filter: drops what comes, unseen.
    Reference,
    /// Judges by address alone: `replies = "drop"`.
    Addresses,
    /// Lets answers pass, as is the default.
    Replies,
    /// Has a rule for ports: SSH from China only.
    Ports,
    /// Counts what it would drop.
    Monitor,
    /// Begins to drop at a day to come.
    EffectiveFrom,
    /// Judges by address alone, while somebody watches what it drops.
    Watched,
    /// Tells senders that they are refused.
    Reject,
    /// Lets answers pass, and has a rule for ports.
    RepliesAndPorts,
}

impl Setting {
    /// What one packet's way is measured in, the reference first, and then what others are compared with. Without
    /// [`Setting::Reject`], which makes another packet of it.
    pub const PATHS: [Self; 8] = [
        Self::Reference,
        Self::Addresses,
        Self::Replies,
        Self::Ports,
        Self::RepliesAndPorts,
        Self::Monitor,
        Self::EffectiveFrom,
        Self::Watched,
    ];

    /// What a flood is measured in, in the same order: all that drop it.
    pub const FLOOD: [Self; 7] = [
        Self::Reference,
        Self::Addresses,
        Self::Replies,
        Self::Ports,
        Self::RepliesAndPorts,
        Self::Reject,
        Self::Watched,
    ];

    /// The name, as it stands in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Addresses => "addresses only",
            Self::Replies => "replies",
            Self::Ports => "ports",
            Self::RepliesAndPorts => "replies and ports",
            Self::Monitor => "monitor",
            Self::EffectiveFrom => "effective_from",
            Self::Watched => "watched",
            Self::Reject => "reject",
        }
    }

    /// Whether what would be dropped passes.
    #[must_use]
    pub const fn lets_all_pass(self) -> bool {
        matches!(self, Self::Monitor | Self::EffectiveFrom)
    }

    /// Whether answers to what this host began pass.
    #[must_use]
    pub const fn knows_replies(self) -> bool {
        matches!(self, Self::Replies | Self::RepliesAndPorts)
    }

    fn policy(self) -> Policy {
        let ssh = PortRule {
            ports: vec![Ports {
                protocol: Protocol::Tcp,
                numbers: 22..=22,
            }],
            countries: CountryRule::Only([Country::CHINA].into()),
        };
        Policy {
            rules: match self {
                Self::Ports | Self::RepliesAndPorts => vec![ssh],
                _ => Vec::new(),
            },
            ..Policy::default()
        }
    }

    fn load(self, regions: &Regions) -> anyhow::Result<Program> {
        if self == Self::Reference {
            return Program::reference();
        }
        let generation = Generation::load(Plan {
            monitor: self == Self::Monitor,
            effective_from: (self == Self::EffectiveFrom)
                .then(|| Timestamp::now() + SignedDuration::from_hours(24)),
            replies: self.knows_replies(),
            reject: self == Self::Reject,
            ..Plan::by_address(&Ruleset::new(&self.policy(), regions), Engine::default())
        })?;
        Ok(Program::Filter(Box::new(generation)))
    }
}

/// What is in the kernel for a setting.
#[derive(Debug)]
pub(crate) enum Program {
    /// Drops what comes, unseen.
    Reference(Ebpf),
    /// A filter.
    Filter(Box<Generation>),
}

impl Program {
    /// The program that drops what comes, and the one at the way out that looks at nothing.
    pub(crate) fn reference() -> anyhow::Result<Self> {
        let mut ebpf = Ebpf::load(object::REFERENCE)?;
        reference_mut(&mut ebpf)?.load()?;
        let egress: &mut SchedClassifier = ebpf
            .program_mut(REFERENCE_EGRESS)
            .and_then(|program| program.try_into().ok())
            .context(MISSING)?;
        egress.load()?;
        Ok(Self::Reference(ebpf))
    }

    fn xdp(&self) -> anyhow::Result<&Xdp> {
        match self {
            Self::Reference(ebpf) => ebpf
                .program(REFERENCE)
                .and_then(|program| program.try_into().ok())
                .context(MISSING),
            Self::Filter(generation) => Ok(generation.program()?.try_into()?),
        }
    }

    /// The program at the way out, if there is one.
    fn egress(&self) -> anyhow::Result<Option<&SchedClassifier>> {
        match self {
            Self::Reference(ebpf) => ebpf
                .program(REFERENCE_EGRESS)
                .and_then(|program| program.try_into().ok())
                .context(MISSING)
                .map(Some),
            Self::Filter(generation) => Ok(generation.egress_program()?),
        }
    }
}

/// The references' names in their kernel object.
const REFERENCE: &str = "reference";
const REFERENCE_EGRESS: &str = "reference_egress";
const MISSING: &str = "the kernel object has not both references";

fn reference_mut(ebpf: &mut Ebpf) -> anyhow::Result<&mut Xdp> {
    ebpf.program_mut(REFERENCE)
        .and_then(|program| program.try_into().ok())
        .context(MISSING)
}

/// What holds a program at an interface.
#[derive(Debug)]
pub(crate) enum Holder {
    Reference(XdpLinkId),
    Filter(#[expect(dead_code, reason = "it detaches when it is dropped")] NewLink),
}

/// Where filters are measured.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The network namespace.
    pub namespace: &'a Namespace,
    /// The interface in it.
    pub interface: &'a Interface,
    /// In native mode, or else in generic mode.
    pub native: bool,
}

/// The programs of some settings, of which one at a time is attached.
#[derive(Debug)]
pub struct Filters<'a> {
    place: Place<'a>,
    programs: Vec<(Setting, Program)>,
    attached: Option<(Setting, Holder)>,
}

impl<'a> Filters<'a> {
    /// Loads the programs of these settings, all with a privilege.
    ///
    /// # Errors
    ///
    /// When the kernel refuses one.
    pub fn load(
        settings: &[Setting],
        regions: &Regions,
        privilege: Privilege,
        place: Place<'a>,
    ) -> anyhow::Result<Self> {
        let load = || {
            let each = settings.iter().map(|setting| {
                let program = setting.load(regions);
                let program = program.with_context(|| format!("loading {}", setting.name()))?;
                Ok((*setting, program))
            });
            each.collect::<anyhow::Result<_>>()
        };
        Ok(Self {
            place,
            programs: privilege
                .with(load)
                .context("changing what this thread may do")??,
            attached: None,
        })
    }

    fn program(&self, setting: Setting) -> anyhow::Result<&Program> {
        let found = self.programs.iter().find(|(one, _)| *one == setting);
        let (_, program) = found.with_context(|| format!("{} is not loaded", setting.name()))?;
        Ok(program)
    }

    /// Attaches the program of a setting in the place of what is attached.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn attach(&mut self, setting: Setting) -> anyhow::Result<()> {
        if self
            .attached
            .as_ref()
            .is_some_and(|(one, _)| *one == setting)
        {
            return Ok(());
        }
        awake(|| {
            self.detach()?;
            let place = self.place;
            let found = self.programs.iter_mut().find(|(one, _)| *one == setting);
            let (_, program) =
                found.with_context(|| format!("{} is not loaded", setting.name()))?;
            let holder = place.namespace.run(|| program.attach(place))?;
            let holder = holder.with_context(|| format!("attaching {}", setting.name()))?;
            self.attached = Some((setting, holder));
            Ok(())
        })
    }

    fn detach(&mut self) -> anyhow::Result<()> {
        let Some((setting, holder)) = self.attached.take() else {
            return Ok(());
        };
        match self.programs.iter_mut().find(|(one, _)| *one == setting) {
            Some((_, program)) => program.detach(holder),
            None => Ok(()),
        }
    }

    /// How much CPU time so many runs of a setting's program on a frame take.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn time(&mut self, setting: Setting, frame: &[u8], runs: u64) -> anyhow::Result<Duration> {
        self.attach(setting)?;
        let _watch = self.watch(setting)?;
        test_run::time(self.program(setting)?.xdp()?, frame, runs)
            .with_context(|| format!("running {}", setting.name()))
    }

    /// Begins to watch what a setting's program drops, where the setting says so.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn watch(&self, setting: Setting) -> anyhow::Result<Option<Watch>> {
        Ok(match self.program(setting)? {
            Program::Filter(generation) if setting == Setting::Watched => {
                Some(generation.watch(WATCHED)?)
            }
            _ => None,
        })
    }

    /// Whether a setting's program lets a frame pass.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the run.
    pub fn passes(&self, setting: Setting, frame: &[u8]) -> anyhow::Result<bool> {
        let result = test_run::run(self.program(setting)?.xdp()?, frame, 1)?;
        Ok(Hook::Xdp.lets_pass(result.return_value))
    }

    /// How many packets a setting's program has let pass in all.
    ///
    /// # Errors
    ///
    /// When its counters cannot be read.
    pub fn passed(&self, setting: Setting) -> anyhow::Result<u64> {
        Ok(match self.program(setting)? {
            Program::Reference(_) => 0,
            Program::Filter(generation) => generation.counters()?.passed.packets,
        })
    }

    /// Has the programs that know replies see a frame that this host sends.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the run.
    pub fn send(&self, frame: &[u8]) -> anyhow::Result<()> {
        for (setting, program) in &self.programs {
            if setting.knows_replies()
                && let Some(egress) = program.egress()?
            {
                test_run::run(egress, frame, 1)?;
            }
        }
        Ok(())
    }

    /// How much CPU time so many runs of what a setting has at the way out take, on a frame that this host sends.
    ///
    /// # Errors
    ///
    /// When it has nothing there, and when the kernel refuses.
    pub fn time_egress(
        &self,
        setting: Setting,
        frame: &[u8],
        runs: u64,
    ) -> anyhow::Result<Duration> {
        let egress = self.program(setting)?.egress()?;
        let egress = egress.with_context(|| format!("{} looks at nothing", setting.name()))?;
        Ok(test_run::time(egress, frame, runs)?)
    }
}

impl Program {
    /// Attaches it; to be called in the place's namespace.
    pub(crate) fn attach(&mut self, place: Place<'_>) -> anyhow::Result<Holder> {
        let (mode, choice) = if place.native {
            (XdpMode::Driver, ModeChoice::Native)
        } else {
            (XdpMode::Skb, ModeChoice::Generic)
        };
        Ok(match self {
            Self::Reference(ebpf) => Holder::Reference(
                reference_mut(ebpf)?.attach_to_if_index(place.interface.index, mode)?,
            ),
            Self::Filter(generation) => {
                Holder::Filter(generation.attach_unpinned(place.interface, choice)?)
            }
        })
    }

    /// Takes it away from where a holder holds it.
    pub(crate) fn detach(&mut self, holder: Holder) -> anyhow::Result<()> {
        match (self, holder) {
            (Self::Reference(ebpf), Holder::Reference(link)) => {
                Ok(reference_mut(ebpf)?.detach(link)?)
            }
            // A filter's link ends with its holder.
            _ => Ok(()),
        }
    }
}
