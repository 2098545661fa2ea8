//! Options that several verbs share, and what they resolve to.

pub(super) mod data;
mod policy;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use geodrop::{
    datapath::{
        DatapathError, EngineChoice, ModeChoice,
        about::{About, GeoipSource, Ranges},
        interface::Interface,
        pins::Root,
        status,
    },
    geoip::GeoData,
    policy::{
        Count, CountryRule, Policy, Refusal, Replies, Ruleset,
        config::{self, Choice as _, Engine, Hook, MetricsSettings, Mode, Settings},
    },
    table,
};
use jiff::Timestamp;

use super::{PinOptions, Usage, attach::Terms, time, warn};
use data::{missing_families, refuse_countries_without_data};
use policy::Said;
pub(super) use policy::{members, word};

pub(super) use policy::PolicyOptions;

/// Finds interfaces by name, each once however often and by whichever of its names it is given.
pub(super) fn interfaces(names: &[String]) -> Result<Vec<Interface>, DatapathError> {
    let mut interfaces: Vec<Interface> = Vec::new();
    for name in names {
        let interface = Interface::by_name(name)?;
        if interfaces
            .iter()
            .all(|other| other.index != interface.index)
        {
            interfaces.push(interface);
        }
    }
    Ok(interfaces)
}

/// The interfaces of these names; of none, all that have a filter, of which there has to be one.
pub(super) fn filtered(root: &Root, names: &[String]) -> anyhow::Result<Vec<Interface>> {
    if !names.is_empty() {
        return Ok(interfaces(names)?);
    }
    let filtered = status::filtered(root)?;
    if filtered.is_empty() {
        anyhow::bail!("no filter is attached; `geodrop attach -i IFACE` attaches one");
    }
    Ok(filtered)
}

/// A filter and where it goes: what `run` and `attach` have in common.
#[derive(Debug, Args)]
pub(super) struct FilterOptions {
    /// Filter what these interfaces receive [default: those that the configuration names]
    #[arg(
        short, long, value_name = "IFACE", value_delimiter = ',', num_args = 1..,
        required_unless_present = "config"
    )]
    interface: Vec<String>,

    #[command(flatten)]
    policy: PolicyOptions,

    /// How tables are laid out [default: auto]
    #[arg(long, value_parser = word::<Engine>(), hide_short_help = true)]
    engine: Option<Engine>,

    /// Where in the kernel packets are filtered [default: xdp]; tcx needs Linux 6.6
    #[arg(long, value_parser = word::<Hook>(), hide_short_help = true)]
    hook: Option<Hook>,

    /// How XDP runs [default: auto]
    #[arg(long, value_parser = word::<Mode>())]
    mode: Option<Mode>,

    /// Count what would be dropped, and drop nothing; --monitor=false wins over the configuration
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    monitor: Option<bool>,

    /// Before this instant (like 2024-07-09T00:00:00+08:00) count what countries would have dropped, and let it pass
    #[arg(long, value_name = "INSTANT", value_parser = config::instant)]
    effective_from: Option<Timestamp>,

    /// What becomes of packets that answer what this host began [default: pass]
    #[arg(long, value_name = "WHAT", value_parser = word::<Replies>())]
    replies: Option<Replies>,

    /// What the sender of a packet that does not pass gets to know [default: drop]
    #[arg(long, value_name = "WHAT", value_parser = word::<Refusal>())]
    action: Option<Refusal>,

    /// Which packets are counted by country [default: blocked]
    #[arg(long, value_name = "WHAT", value_parser = word::<Count>())]
    count: Option<Count>,

    /// Try the policy: unless `geodrop confirm` comes in this time (like 60s), what was in force before is again, even if
    /// everything that could undo it has died
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(super) confirm: Option<Duration>,

    /// Put the policy in force even if it cuts off this session, a default gateway, a name server or the host's own
    /// addresses
    #[arg(long)]
    pub(super) force: bool,

    #[command(flatten)]
    pub(super) pins: PinOptions,
}

/// What [`FilterOptions`] resolve to.
pub(super) struct Resolved {
    /// The policies and their interfaces: at least one.
    pub(super) shares: Vec<Share>,
    pub(super) engine: EngineChoice,
    pub(super) hook: Hook,
    pub(super) mode: ModeChoice,
    /// Where the configuration wants metrics exposed.
    pub(super) metrics: MetricsSettings,
    /// All files that it was read from.
    pub(super) files: Vec<PathBuf>,
    /// Which country an address is in.
    pub(super) data: GeoData,
}

/// A policy, and the interfaces that share it.
pub(super) struct Share {
    pub(super) interfaces: Vec<Interface>,
    /// Those that are not there, by name.
    pub(super) absent: Vec<String>,
    pub(super) policy: Policy,
    pub(super) ruleset: Ruleset,
    pub(super) about: About,
}

impl Resolved {
    /// The names of those that are not there.
    pub(super) fn absent(&self) -> impl Iterator<Item = &String> {
        self.shares.iter().flat_map(|share| &share.absent)
    }

    /// The names of all interfaces, whether they are there or not.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.shares.iter().flat_map(|share| {
            let present = share.interfaces.iter().map(|interface| &interface.name);
            present.chain(&share.absent)
        })
    }

    /// Looks anew which interfaces are there.
    pub(super) fn look_for_interfaces(&mut self) -> Result<(), DatapathError> {
        for share in &mut self.shares {
            let present = share.interfaces.drain(..).map(|interface| interface.name);
            let names: Vec<_> = present.chain(share.absent.drain(..)).collect();
            for name in names {
                share.add(match Interface::present(&name)? {
                    Some(interface) => Named::Present(interface),
                    None => Named::Absent(name),
                });
            }
        }
        Ok(())
    }

    /// The policy of an interface.
    pub(super) fn share_of(&self, interface: &Interface) -> Option<&Share> {
        let is_it = |other: &Interface| other.index == interface.index;
        let mut shares = self.shares.iter();
        shares.find(|share| share.interfaces.iter().any(is_it))
    }
}

impl FilterOptions {
    /// The policy file, if one is given.
    pub(super) fn config(&self) -> Option<&Path> {
        self.policy.config()
    }

    /// The files that are named, as far as that can be told: something may be wrong with them.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.policy.named_files()
    }

    /// On which terms the policy is to be put in force.
    pub(super) fn terms(&self) -> Terms {
        Terms {
            trial: self.confirm,
            force: self.force,
            sessions: Vec::new(),
        }
    }

    /// Looks everything up that the options name, the interfaces included.
    pub(super) fn resolve(&self) -> anyhow::Result<Resolved> {
        self.resolve_with(Absence::IsAnError)
    }

    /// The same, but interfaces that the configuration names need not be there.
    pub(super) fn resolve_for_now(&self) -> anyhow::Result<Resolved> {
        self.resolve_with(if self.interface.is_empty() {
            Absence::MayEnd
        } else {
            Absence::IsAnError
        })
    }

    fn resolve_with(&self, absence: Absence) -> anyhow::Result<Resolved> {
        let mut said = self.policy.resolve()?;
        said.flags = Settings {
            monitor: self.monitor,
            effective_from: self.effective_from,
            replies: self.replies,
            action: self.action,
            count: self.count,
            ..said.flags
        };
        let configuration = &said.configuration;
        let hook = self.hook.or(configuration.hook).unwrap_or_default();
        let mode = self.mode.or(configuration.mode);
        refuse(mode_without_xdp(hook, mode))?;
        let settings = self.settings_of_interfaces(&said, absence)?;
        let data = said.data()?;
        // It is told to people who are in other directories.
        let config = self.policy.config().map(std::path::absolute).transpose()?;
        let mut shares: Vec<Share> = Vec::new();
        for (one, settings) in settings {
            let policy = settings.policy();
            if let Some(share) = shares.iter_mut().find(|share| share.policy == policy) {
                share.add(one);
                continue;
            }
            refuse_countries_without_data(&settings, &data)?;
            for warning in missing_families(&policy, &data) {
                warn(format_args!("warning: {warning}"));
            }
            let ruleset = Ruleset::new(&policy, &data);
            let mut share = Share {
                about: About {
                    config: config.clone(),
                    ..about(hook, &policy, &ruleset, &data)
                },
                interfaces: Vec::new(),
                absent: Vec::new(),
                policy,
                ruleset,
            };
            share.add(one);
            shares.push(share);
        }
        Ok(Resolved {
            shares,
            engine: engine(self.engine.or(configuration.engine).unwrap_or_default()),
            hook,
            mode: mode_choice(mode.unwrap_or_default()),
            metrics: configuration.metrics.clone(),
            files: said.files.clone(),
            data,
        })
    }

    /// The interfaces to filter, each once, and what is said of the policy of each.
    fn settings_of_interfaces(
        &self,
        said: &Said,
        absence: Absence,
    ) -> anyhow::Result<Vec<(Named, Settings)>> {
        let names = if self.interface.is_empty() {
            &said.configuration.interfaces
        } else {
            &self.interface
        };
        if names.is_empty() {
            return Err(Usage(
                "the configuration names no interface; write interfaces = [\"eth0\"] in it, or give --interface eth0"
                    .to_owned(),
            )
            .into());
        }
        let mut all: Vec<(Named, Settings)> = Vec::new();
        for name in names {
            let one = match (Interface::present(name)?, absence) {
                (Some(interface), _) => Named::Present(interface),
                (None, Absence::MayEnd) => Named::Absent(name.clone()),
                (None, Absence::IsAnError) => Named::Present(Interface::by_name(name)?),
            };
            let settings = said.settings_of(name);
            let same = all.iter().find(|(other, _)| other.is_same(&one));
            match same {
                None => all.push((one, settings)),
                Some((_, other)) if *other == settings => {}
                Some((other, _)) => {
                    let other = other.name();
                    return Err(Usage(format!(
                        "{name} and {other} are one interface, and have policies of their own; name it once"
                    ))
                    .into());
                }
            }
        }
        Ok(all)
    }
}

/// What is to be made of an interface that is not there.
#[derive(Clone, Copy)]
enum Absence {
    IsAnError,
    MayEnd,
}

/// An interface that is to be filtered.
enum Named {
    Present(Interface),
    Absent(String),
}

impl Named {
    fn name(&self) -> &str {
        match self {
            Self::Present(interface) => &interface.name,
            Self::Absent(name) => name,
        }
    }

    /// An interface has several names, and one that is not there is known by none but the one given.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present(one), Self::Present(other)) => one.index == other.index,
            (Self::Absent(one), Self::Absent(other)) => one == other,
            _ => false,
        }
    }
}

impl Share {
    fn add(&mut self, named: Named) {
        match named {
            Named::Present(interface) => self.interfaces.push(interface),
            Named::Absent(name) => self.absent.push(name),
        }
    }
}

fn refuse(reason: Option<String>) -> Result<(), Usage> {
    reason.map_or(Ok(()), |reason| Err(Usage(reason)))
}

/// What is wrong with a mode at a hook that has none.
pub(super) fn mode_without_xdp(hook: Hook, mode: Option<Mode>) -> Option<String> {
    match (hook, mode) {
        (Hook::Xdp, _) | (Hook::Tcx, None | Some(Mode::Auto)) => None,
        (Hook::Tcx, Some(mode @ (Mode::Native | Mode::Generic))) => Some(format!(
            "the mode {} is one of XDP, and the hook tcx has no modes; leave the mode out, or use the hook xdp",
            mode.word()
        )),
    }
}

fn engine(engine: Engine) -> EngineChoice {
    match engine {
        Engine::Auto => EngineChoice::Auto,
        Engine::Multibit => EngineChoice::Only(table::Engine::Multibit),
        Engine::Lpm => EngineChoice::Only(table::Engine::Lpm),
    }
}

fn mode_choice(mode: Mode) -> ModeChoice {
    match mode {
        Mode::Auto => ModeChoice::Auto,
        Mode::Native => ModeChoice::Native,
        Mode::Generic => ModeChoice::Generic,
    }
}

fn about(hook: Hook, policy: &Policy, ruleset: &Ruleset, data: &GeoData) -> About {
    let countries = policy.countries.countries().iter().copied().collect();
    let (block, only) = match &policy.countries {
        CountryRule::Block(_) => (countries, Vec::new()),
        CountryRule::Only(_) => (Vec::new(), countries),
    };
    About {
        hook: hook.word().to_owned(),
        monitor: policy.monitor,
        block,
        only,
        rules: policy.rules.len(),
        effective_from: policy.effective_from,
        ranges: Ranges {
            ipv4: ruleset.ipv4().len(),
            ipv6: ruleset.ipv6().len(),
        },
        geoip: data
            .sources()
            .map(|source| GeoipSource {
                source: source.source.clone(),
                date: source.date,
            })
            .collect(),
        ..About::default()
    }
}
