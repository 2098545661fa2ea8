//! The filters that a run looks after.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use geodrop::datapath::{
    clock::Clocks, filter::Filter, reload::Asked, standby::Standby, trial::Ended,
};

use super::{
    Arguments,
    files::Files,
    interfaces::Refused,
    kernel_log::Logs,
    metrics::Metrics,
    report::{Reports, report},
};
use crate::cli::{
    attach::{self, Attached, Terms},
    describe,
    options::Resolved,
    say, warn,
};

/// The exit status of a run some of whose filters are off because somebody wanted that: who starts it again without being
/// asked to, as a service manager would after a failure, undoes that.
pub(super) const TAKEN_AWAY: u8 = 3;

/// The filters that this process looks after.
pub(super) struct Care<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) filters: Vec<Filter>,
    /// Those whose interface has gone, and may come back.
    pub(super) lost: Vec<Filter>,
    /// What is ready for interfaces that are not there, by their names.
    pub(super) standbys: Vec<(String, Standby)>,
    /// What is in force for good; `None` if nothing is.
    pub(super) resolved: Option<Resolved>,
    /// What is on trial.
    pub(super) tried: Option<Tried>,
    /// The indexes of interfaces that are to be left alone: somebody else took the filter away.
    pub(super) released: Vec<u32>,
    /// Interfaces to which a filter could not be attached when they appeared.
    pub(super) refused: Vec<Refused>,
    /// Whether somebody else took a filter away, or nobody confirmed one.
    pub(super) taken_away: bool,
    /// Whether a filter could not be detached.
    failed: bool,
    pub(super) logs: Logs,
    reports: Reports,
    files: Files,
    metrics: Metrics,
}

/// A policy on trial.
pub(super) struct Tried {
    pub(super) resolved: Resolved,
    /// Whether time ran out on some interface.
    pub(super) failed: bool,
}

impl<'a> Care<'a> {
    /// Attaches the filters.
    pub(super) fn of(arguments: &'a Arguments) -> anyhow::Result<Self> {
        let config = arguments.filter.config();
        let mut care = Self {
            arguments,
            filters: Vec::new(),
            lost: Vec::new(),
            standbys: Vec::new(),
            resolved: None,
            tried: None,
            released: Vec::new(),
            refused: Vec::new(),
            taken_away: false,
            failed: false,
            logs: Logs::default(),
            reports: Reports::new(Duration::from_secs(arguments.interval)),
            files: Files::of(config.map(Into::into).into_iter().collect()),
            metrics: Metrics::new(arguments),
        };
        care.attach(&arguments.filter.terms())?;
        Ok(care)
    }

    /// Whether there is anything to look after, or will be.
    pub(super) fn goes_on(&self) -> bool {
        !(self.filters.is_empty() && self.lost.is_empty() && self.standbys.is_empty())
    }

    /// Reads everything and attaches the filters, or replaces those that there are. Whatever the error, what was in force
    /// before is in force after.
    fn attach(&mut self, terms: &Terms) -> anyhow::Result<()> {
        let began = SystemTime::now();
        let mut resolved = match self.arguments.filter.resolve_for_now() {
            Ok(resolved) => resolved,
            Err(error) => {
                // What is wrong may be put right in a file that was not known before.
                let files = self.arguments.filter.files();
                self.files.are_also(files, began);
                return Err(error);
            }
        };
        for share in &mut resolved.shares {
            share.about.attended = true;
        }
        tracing::debug!(files = ?resolved.files, "the policy was read");
        let files = std::mem::take(&mut resolved.files);
        self.files.are(files, began);
        // What it takes to expose them is there before anything changes, and is exposed when all has.
        let metrics = self.metrics.prepare(&resolved.metrics)?;
        self.put_in_force(resolved, terms)?;
        self.metrics.adopt(metrics);
        let took = began.elapsed().unwrap_or_default();
        tracing::debug!(milliseconds = took.as_millis(), "the policy is in force");
        Ok(())
    }

    /// Attaches filters, or replaces those that there are. Whatever the error, what was in force before is in force after.
    pub(super) fn put_in_force(
        &mut self,
        mut resolved: Resolved,
        terms: &Terms,
    ) -> anyhow::Result<()> {
        let Arguments {
            filter: options,
            log_packets,
            ..
        } = self.arguments;
        let trial = terms.trial;
        let absent: Vec<_> = resolved.absent().cloned().collect();
        if trial.is_some() && resolved.names().count() == absent.len() {
            anyhow::bail!(
                "none of the interfaces is there ({}), so nothing can be tried; leave out --confirm",
                absent.join(", ")
            );
        }
        let Attached { filters, standbys } =
            attach::attach(options, &resolved, *log_packets, terms, &self.filters)?;
        let before = std::mem::replace(&mut self.filters, filters);
        for filter in &self.filters {
            say(attach::announcement(filter, &resolved));
        }
        for mut filter in before {
            if self.filters_interface(filter.interface.index) {
                continue;
            }
            // The configuration names it no more.
            if trial.is_some() {
                filter.trial = None;
                self.filters.push(filter);
            } else {
                self.detach(filter);
            }
        }
        for name in &absent {
            warn(format_args!(
                "{name} is not there; {}",
                match trial {
                    None => "it will be filtered as soon as it appears",
                    Some(_) => "it will be filtered when it appears and the policy is confirmed",
                }
            ));
        }
        if *log_packets {
            match Logs::of(&mut self.filters) {
                Ok(logs) => self.logs = logs,
                // The filters are in force all the same.
                Err(error) => warn(describe(&error)),
            }
        }
        // They were needed to see whom it cuts off, and are large.
        resolved.data = geodrop::geoip::GeoData::default();
        if trial.is_some() {
            for filter in &mut self.lost {
                // Whatever it was tried with, that was something else.
                filter.trial = None;
            }
            self.tried = Some(Tried {
                resolved,
                failed: false,
            });
            return Ok(());
        }
        self.resolved = Some(resolved);
        self.tried = None;
        self.standbys = standbys;
        self.released.clear();
        self.refused.clear();
        self.discard(|_| true);
        Ok(())
    }

    /// Removes what waits for interfaces that have gone, with a policy that is not in force any more.
    pub(super) fn discard(&mut self, is_outdated: impl Fn(&Filter) -> bool) {
        for filter in std::mem::take(&mut self.lost) {
            if !is_outdated(&filter) {
                self.lost.push(filter);
            } else if let Err(error) = filter.detach() {
                warn(error);
            }
        }
    }

    /// What is filtered and what is waited for, in one line.
    pub(super) fn summary(&self) -> String {
        let names = |filters: &[Filter]| -> Vec<String> {
            let names = filters.iter().map(|filter| filter.interface.name.clone());
            names.collect()
        };
        let mut parts = Vec::new();
        let filtered = names(&self.filters);
        if !filtered.is_empty() {
            parts.push(format!("filtering {}", filtered.join(", ")));
        }
        let mut awaited = names(&self.lost);
        awaited.extend(self.standbys.iter().map(|(name, _)| name.clone()));
        if !awaited.is_empty() {
            parts.push(format!("waiting for {}", awaited.join(", ")));
        }
        if self.tried.is_some() {
            parts.push("on trial".to_owned());
        }
        parts.join("; ")
    }

    /// Lets metrics know which interfaces are to be filtered.
    pub(super) fn note_interfaces(&self) {
        let held = self.held().map(|filter| &filter.interface.name);
        let tried = self.tried.iter().map(|tried| &tried.resolved);
        let named = self.resolved.iter().chain(tried).flat_map(Resolved::names);
        self.metrics.note_interfaces(held.chain(named));
    }

    /// Whether one of the filters is on the interface with this index.
    pub(super) fn filters_interface(&self, index: u32) -> bool {
        let mut filters = self.filters.iter();
        filters.any(|filter| filter.interface.index == index)
    }

    /// Reads everything anew because of SIGHUP, unless that is the tail of a request that was taken up already: a policy on
    /// trial becomes permanent only if somebody says so.
    pub(super) fn reload_on_signal(&mut self) {
        let asked: Vec<_> = self.held().filter_map(Filter::asked).collect();
        if asked.is_empty() && self.is_on_trial() {
            warn(
                "a policy is on trial, so SIGHUP reloads nothing; `geodrop confirm` keeps it, `geodrop reload` puts another \
                 one in its place",
            );
            return;
        }
        self.reload(asked);
    }

    /// Reads everything anew if a file is another one.
    pub(super) fn reload_if_files_changed(&mut self) {
        // Not during a trial: what comes after it would be permanent.
        if self.files.have_changed() && !self.is_on_trial() {
            self.reload(Vec::new());
        }
    }

    /// Whether a policy is on trial.
    fn is_on_trial(&self) -> bool {
        // One that cannot be read is none that could become permanent.
        self.held()
            .any(|filter| filter.is_on_trial().unwrap_or_default())
    }

    /// The filters, also those whose interface has gone: each has a place where requests and trials are.
    pub(super) fn held(&self) -> impl Iterator<Item = &Filter> {
        self.filters.iter().chain(&self.lost)
    }

    /// Reads everything anew, tells whoever asked for it, and keeps a failure for `status`.
    fn reload(&mut self, asked: Vec<Asked>) {
        tracing::debug!(requests = asked.len(), "reloading");
        // Before they are read: what changes from here on is reason for another reload.
        self.files.renew();
        let requests = || asked.iter().map(|asked| &asked.request);
        let terms = Terms {
            trial: requests().filter_map(|request| request.trial).max(),
            force: self.arguments.filter.force || requests().any(|request| request.force),
            sessions: requests()
                .flat_map(|request| request.sessions.iter().cloned())
                .collect(),
        };
        let reloaded = self.attach(&terms);
        self.metrics.note_reload(reloaded.is_ok());
        if let Err(error) = reloaded {
            let why = describe(&error);
            warn(format_args!(
                "the reload failed, and what was in force stays: {why}"
            ));
            for filter in self.held() {
                if let Err(error) = filter.note_failure(&why) {
                    warn(format_args!("{}: {error}", filter.interface.name));
                }
            }
        }
        for asked in asked {
            asked.answer();
        }
    }

    /// Looks after trials and interfaces, and prints a report if one is due. What cannot be read is told of, and no reason
    /// to end a filter.
    pub(super) fn look(&mut self) {
        self.settle();
        self.look_for_interfaces();
        self.end_trial();
        // Also because the kernel may have found a wrong deadline passed while it was corrected.
        self.follow_clock();
        if !self.reports.due() {
            return;
        }
        for filter in &self.filters {
            let name = &filter.interface.name;
            match filter.generation.counters() {
                Ok(counters) => say(format_args!("{name}: {}", report(&counters))),
                Err(error) => warn(format_args!("{name}: {error}")),
            }
        }
    }

    /// Corrects from when on policies are in force, if the wall clock was set.
    pub(super) fn follow_clock(&self) {
        let tried = self.tried.iter().map(|tried| &tried.resolved);
        let resolved = self.resolved.iter().chain(tried);
        let mut policies = resolved.flat_map(|resolved| &resolved.shares);
        if policies.all(|share| share.policy.effective_from.is_none()) {
            return;
        }
        for filter in self.held() {
            let name = &filter.interface.name;
            match filter.correct_deadline(Clocks::read()) {
                Ok(false) => {}
                Ok(true) => warn(format_args!(
                    "{name}: the wall clock was set; the policy is in force from the same instant by the new time"
                )),
                Err(error) => warn(format_args!("{name}: {error}")),
            }
        }
    }

    /// Makes for good what the kernel does where nobody confirmed a policy.
    fn settle(&mut self) {
        let (mut ended, mut detached) = (false, false);
        self.filters.retain(|filter| {
            let name = &filter.interface.name;
            match filter.settle() {
                Ok(None) => return true,
                Ok(Some(Ended::Restored(number))) => warn(format_args!(
                    "{name}: nobody confirmed the policy in time; the filter before, generation {number}, is in force again"
                )),
                Ok(Some(Ended::Detached)) => {
                    warn(format_args!(
                        "{name}: nobody confirmed the policy in time; the filter is detached, as before"
                    ));
                    (ended, detached) = (true, true);
                    return false;
                }
                Err(error) => {
                    warn(format_args!("{name}: {error}"));
                    return true;
                }
            }
            ended = true;
            true
        });
        if let Some(tried) = &mut self.tried {
            tried.failed |= ended;
        }
        self.taken_away |= detached;
    }

    /// Whether the packets' log is to be fetched.
    pub(super) const fn logs_packets(&self) -> bool {
        !self.logs.is_empty()
    }

    pub(super) fn print_log(&mut self) {
        self.logs.flush();
    }

    /// Takes the filters off, unless they are to stay.
    pub(super) fn end(mut self) -> ExitCode {
        self.logs.flush();
        for filter in std::mem::take(&mut self.filters) {
            if self.arguments.keep {
                let name = &filter.interface.name;
                say(format_args!(
                    "{name}: the filter stays; `geodrop detach -i {name}` removes it"
                ));
            } else {
                self.detach(filter);
            }
        }
        // Of no use to anybody who does not wait for the interfaces.
        self.discard(|_| true);
        self.arguments.filter.pins.root().tidy();
        if self.failed {
            ExitCode::FAILURE
        } else if self.taken_away {
            ExitCode::from(TAKEN_AWAY)
        } else {
            ExitCode::SUCCESS
        }
    }

    pub(super) fn detach(&mut self, filter: Filter) {
        let name = filter.interface.name.clone();
        match filter.detach() {
            Ok(true) => say(format_args!("{name}: detached")),
            Ok(false) => warn(taken_away(&name)),
            Err(error) => {
                warn(format_args!("{name}: {error}"));
                self.failed = true;
            }
        }
    }
}

pub(super) fn taken_away(name: &str) -> String {
    format!(
        "the filter on {name} was taken away by somebody else (`geodrop detach`, or a removed pin); this process looks \
         after it no more"
    )
}
