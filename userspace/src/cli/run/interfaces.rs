//! Interfaces that come and go under a run.

use std::time::{Duration, Instant};

use geodrop::datapath::{
    DatapathError,
    filter::{self, Filter, Order},
    interface::Interface,
};

use super::care::{Care, Tried, taken_away};
use crate::cli::{
    attach::{self, Terms, announcement, request, warn_of},
    describe,
    options::Resolved,
    say, warn,
};

/// An interface to which a filter could not be attached when it appeared.
pub(super) struct Refused {
    index: u32,
    /// Why, the last time.
    why: String,
    /// How long nothing was tried before that, and is not after it.
    pause: Duration,
    /// When it was tried last.
    last: Instant,
}

impl Refused {
    /// How long nothing is tried after the first failure, and at most.
    const FIRST_PAUSE: Duration = Duration::from_millis(500);
    const LONGEST_PAUSE: Duration = Duration::from_mins(1);

    fn new(index: u32, why: String) -> Self {
        Self {
            index,
            why,
            pause: Self::FIRST_PAUSE,
            last: Instant::now(),
        }
    }

    /// It failed again. Returns whether that is news.
    fn again(&mut self, why: &str) -> bool {
        let is_news = self.why != why;
        why.clone_into(&mut self.why);
        self.pause = Self::LONGEST_PAUSE.min(self.pause * 2);
        self.last = Instant::now();
        is_news
    }

    /// Whether it is to be left alone for now.
    fn rests(&self) -> bool {
        self.last.elapsed() < self.pause
    }

    /// Whether it has failed so often that what fails will not do.
    fn is_hopeless(&self) -> bool {
        self.pause >= Self::FIRST_PAUSE * 8
    }
}

impl Care<'_> {
    /// Parts with filters that are not in place any more, and attaches filters to interfaces that appeared.
    pub(super) fn look_for_interfaces(&mut self) {
        // From when the event is known until filters are attached: what is told of how long an interface went unfiltered.
        let began = Instant::now();
        self.part_with_lost();
        for interface in self.unfiltered() {
            match self.take_up(&interface) {
                Ok(mut filter) => {
                    warn_of(&filter);
                    if let Some(resolved) = &self.resolved {
                        let announcement = announcement(&filter, resolved);
                        let after = began.elapsed().as_millis();
                        say(format_args!("{announcement}, {after} ms after it appeared"));
                    }
                    if self.arguments.log_packets
                        && let Err(error) = self.logs.add(&mut filter)
                    {
                        warn(describe(&error));
                    }
                    self.refused
                        .retain(|refused| refused.index != interface.index);
                    self.filters.push(filter);
                }
                Err(error) => self.put_off(&interface, &describe(&error)),
            }
        }
    }

    /// Leaves an interface for later to which no filter could be attached.
    fn put_off(&mut self, interface: &Interface, why: &str) {
        let name = &interface.name;
        let mut refused = self.refused.iter_mut();
        let is_news = if let Some(refused) = refused.find(|one| one.index == interface.index) {
            refused.again(why)
        } else {
            self.refused
                .push(Refused::new(interface.index, why.to_owned()));
            true
        };
        if is_news {
            warn(format_args!(
                "{name} appeared and is not filtered: {why}; it is tried again and again, and at once by a reload"
            ));
        }
    }

    /// Sets filters aside whose interface has gone, and leaves out those that somebody else took away.
    fn part_with_lost(&mut self) {
        for filter in std::mem::take(&mut self.filters) {
            let name = &filter.interface.name;
            let state = filter
                .is_attached()
                .and_then(|attached| Ok((attached, filter.has_lost_its_interface()?)));
            match state {
                Ok((true, _)) => self.filters.push(filter),
                Ok((false, true)) => {
                    warn(format_args!(
                        "{name} is gone; it will be filtered again as soon as it comes back"
                    ));
                    self.lost.push(filter);
                }
                Ok((false, false)) => {
                    warn(taken_away(name));
                    self.taken_away = true;
                    self.released.push(filter.interface.index);
                }
                Err(error) => {
                    warn(format_args!("{name}: {error}"));
                    self.filters.push(filter);
                }
            }
        }
    }

    /// The interfaces that are there and should be filtered, and are not.
    fn unfiltered(&self) -> Vec<Interface> {
        let rests = |index| {
            let mut refused = self.refused.iter();
            refused.any(|refused| refused.index == index && refused.rests())
        };
        let is_ours = |index| {
            !self.filters_interface(index) && !self.released.contains(&index) && !rests(index)
        };
        let lost = self.lost.iter().map(|filter| &filter.interface.name);
        let named = self.resolved.iter().flat_map(Resolved::names);
        let mut interfaces: Vec<Interface> = Vec::new();
        for name in lost.chain(named) {
            match Interface::present(name) {
                Ok(Some(interface)) if is_ours(interface.index) => {
                    if !interfaces.contains(&interface) {
                        interfaces.push(interface);
                    }
                }
                Ok(_) => {}
                Err(error) => warn(format_args!("{name}: {error}")),
            }
        }
        interfaces
    }

    /// Attaches a filter to an interface that appeared: what was on it before it went, or what is ready for it, or else one
    /// made now, which takes longer.
    fn take_up(&mut self, interface: &Interface) -> anyhow::Result<Filter> {
        self.look_anew();
        let root = self.arguments.filter.pins.root();
        let is_it = |filter: &Filter| filter.interface.name == interface.name;
        if let Some(index) = self.lost.iter().position(is_it) {
            let mut lost = self.lost.swap_remove(index);
            let resolved = self.resolved.as_ref();
            let tried = self.tried.as_ref().map(|tried| &tried.resolved);
            let mode = resolved.or(tried).map(|resolved| resolved.mode);
            let mut refused = self.refused.iter();
            match lost.return_to(&root, interface, mode.unwrap_or_default()) {
                Ok(()) => return Ok(lost),
                // Somebody removed what was pinned of it.
                Err(DatapathError::NotAttached { .. }) => {}
                Err(error)
                    if refused.any(|one| one.index == interface.index && one.is_hopeless()) =>
                {
                    warn(format_args!(
                        "{}: {error}; the filter that was on it is given up, and another one made",
                        interface.name
                    ));
                    lost.detach()?;
                }
                Err(error) => {
                    self.lost.push(lost);
                    return Err(error.into());
                }
            }
        }
        let ready = self
            .standbys
            .iter()
            .position(|(name, _)| *name == interface.name);
        if let Some(index) = ready {
            let (_, standby) = self.standbys.swap_remove(index);
            // Whatever the reason is, if it is one for what follows too, that tells it.
            if let Ok(filter) = standby.attach(&root, interface) {
                return Ok(filter);
            }
        }
        let Some((resolved, share)) = self
            .resolved
            .as_ref()
            .and_then(|resolved| Some((resolved, resolved.share_of(interface)?)))
        else {
            anyhow::bail!("it is gone again");
        };
        let (filters, _) = resolved.engine.try_with(|engine| {
            let order = Order {
                interfaces: std::slice::from_ref(interface),
                request: request(resolved, share, engine, self.arguments.log_packets, None),
            };
            filter::attach(&root, &[order], &self.filters)
        })?;
        let mut filters = filters.into_iter();
        filters
            .next()
            .ok_or_else(|| anyhow::anyhow!("there is no filter for it"))
    }

    /// Lets what is in force for good know which interfaces are there.
    fn look_anew(&mut self) {
        if let Some(resolved) = &mut self.resolved
            && let Err(error) = resolved.look_for_interfaces()
        {
            warn(error);
        }
    }

    /// Once it is decided whether a policy on trial is to stay, goes by it, or by the one before, also for interfaces that
    /// appear. One whose interface is lost is undecided as any other, until its time is over.
    pub(super) fn end_trial(&mut self) {
        let tried = self.held().filter(|filter| filter.trial.is_some());
        let tried: Vec<_> = tried.collect();
        // What cannot be read may yet be confirmed.
        let is_undecided = |filter: &&Filter| filter.is_on_trial().unwrap_or(true);
        if self.tried.is_none() || tried.iter().any(is_undecided) {
            return;
        }
        // Where none is left, nobody confirmed any.
        let confirmed = !tried.is_empty() && tried.into_iter().all(is_confirmed);
        let Some(Tried {
            mut resolved,
            failed: false,
            ..
        }) = self.tried.take()
        else {
            return;
        };
        if !confirmed {
            return;
        }
        let absent: Vec<_> = resolved.absent().cloned().collect();
        self.detach_unnamed(&resolved);
        let taken_over = resolved
            .look_for_interfaces()
            .map_err(Into::into)
            .and_then(|()| {
                if resolved.absent().eq(&absent) {
                    self.standbys = attach::stand_by(&resolved, self.arguments.log_packets)?;
                    self.resolved = Some(resolved);
                    self.discard(|filter| filter.trial.is_none());
                    Ok(())
                } else {
                    // One appeared meanwhile, and has the policy before, or none. The guard was asked when the trial began.
                    let terms = Terms {
                        force: true,
                        ..Terms::default()
                    };
                    self.put_in_force(resolved, &terms)
                }
            });
        if let Err(error) = taken_over {
            warn(format_args!(
                "interfaces that appear go by the policy before until the next reload: {}",
                describe(&error)
            ));
        }
    }

    /// Takes filters off that are of a policy before, and of interfaces that another one does not name.
    fn detach_unnamed(&mut self, resolved: &Resolved) {
        for filter in std::mem::take(&mut self.filters) {
            // One that was on trial is of that policy, whatever its interface is called now.
            if filter.trial.is_some() || resolved.share_of(&filter.interface).is_some() {
                self.filters.push(filter);
            } else {
                self.detach(filter);
            }
        }
    }
}

/// Whether somebody confirmed a filter that was on trial, and it is still there, or its interface is gone.
fn is_confirmed(filter: &Filter) -> bool {
    // Read before it is asked whether it is there: of one that was taken away no trial is left either.
    matches!(filter.trial(), Ok(None))
        && (filter.is_attached().unwrap_or_default()
            || filter.has_lost_its_interface().unwrap_or_default())
}
