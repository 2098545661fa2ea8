//! `geodrop attach`: leave a filter in the kernel and return.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use geodrop::{
    datapath::{
        DatapathError, EgressChoice,
        filter::{self, Filter, Order, Request},
        generation::Plan,
        reload::Session,
        standby::Standby,
    },
    policy::{CountryRule, Refusal, Replies},
    table::Engine,
};
use jiff::Timestamp;

use super::{
    guard,
    options::{FilterOptions, Resolved, Share},
    say, time, warn, words,
};

/// Leave a filter in the kernel and return
///
/// The filter stays until `geodrop detach`, whatever becomes of this process. Run again, it replaces the
/// filter in one step: no packet goes by unfiltered, and the counters go on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop attach -i eth0                        block CN, HK and MO
  sudo geodrop attach -i eth0 eth1 --only US,CA      admit two countries on two interfaces
  sudo geodrop attach --config policy.toml           what a file says, on the interfaces that it names
  sudo geodrop attach -i eth0 --hook tcx             beside another program that has the XDP hook
  sudo geodrop attach -i eth0 --allow 203.0.113.0/24 block CN, HK and MO, but never this prefix")]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let resolved = arguments.filter.resolve()?;
    let attached = attach(
        &arguments.filter,
        &resolved,
        false,
        &arguments.filter.terms(),
        &[],
    )?;
    for filter in attached.filters {
        say(announcement(&filter, &resolved));
    }
    Ok(ExitCode::SUCCESS)
}

/// On which terms a policy is put in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    /// For how long it is on trial, if it is.
    pub(super) trial: Option<Duration>,
    /// Whether the lock-out guard is overridden.
    pub(super) force: bool,
    /// Sessions to be guarded that this process need not see.
    pub(super) sessions: Vec<Session>,
}

/// What came of attaching.
pub(super) struct Attached {
    pub(super) filters: Vec<Filter>,
    /// Filters that are ready for interfaces which are not there, by their names.
    pub(super) standbys: Vec<(String, Standby)>,
}

/// Attaches the filters, all or none; tells on standard error what an admin should know of how. `held` are those that
/// this process looks after already.
pub(super) fn attach(
    options: &FilterOptions,
    resolved: &Resolved,
    log: bool,
    terms: &Terms,
    held: &[Filter],
) -> anyhow::Result<Attached> {
    let root = options.pins.root();
    if root.prepare()? {
        warn("mounted the bpf file system, which was missing, at /sys/fs/bpf");
    }
    guard::check(resolved, terms).inspect_err(|_| root.tidy())?;
    let trial = terms.trial;
    let (attached, reason) = resolved.engine.try_with(|engine| {
        // On trial is only what can be seen at work.
        let standbys = match trial {
            None => standbys(resolved, engine, log)?,
            Some(_) => Vec::new(),
        };
        let orders: Vec<_> = resolved
            .shares
            .iter()
            .map(|share| Order {
                interfaces: &share.interfaces,
                request: request(resolved, share, engine, log, trial),
            })
            .collect();
        let filters = filter::attach(&root, &orders, held)?;
        Ok(Attached { filters, standbys })
    })?;
    if let Some(reason) = reason {
        warn(format_args!("{reason}; using the engine lpm instead"));
    }
    attached.filters.iter().for_each(warn_of);
    Ok(attached)
}

/// Makes filters ready for all interfaces that are not there.
fn standbys(
    resolved: &Resolved,
    engine: Engine,
    log: bool,
) -> Result<Vec<(String, Standby)>, DatapathError> {
    let mut all = Vec::new();
    for share in &resolved.shares {
        let request = request(resolved, share, engine, log, None);
        let standbys = Standby::several(&request, share.absent.len())?;
        all.extend(share.absent.iter().cloned().zip(standbys));
    }
    Ok(all)
}

/// Makes filters ready again for interfaces that are not there, and attaches nothing.
pub(super) fn stand_by(resolved: &Resolved, log: bool) -> anyhow::Result<Vec<(String, Standby)>> {
    let ready = resolved
        .engine
        .try_with(|engine| standbys(resolved, engine, log))?;
    Ok(ready.0)
}

/// What the interfaces of a share are to get.
pub(super) fn request<'a>(
    resolved: &Resolved,
    share: &'a Share,
    engine: Engine,
    log: bool,
    trial: Option<Duration>,
) -> Request<'a> {
    let policy = &share.policy;
    Request {
        plan: Plan {
            ruleset: &share.ruleset,
            engine,
            hook: resolved.hook,
            monitor: policy.monitor,
            effective_from: policy.effective_from,
            replies: policy.replies == Replies::Pass,
            reject: policy.refusal == Refusal::Reject,
            log,
        },
        mode: resolved.mode,
        egress: EgressChoice::Auto,
        about: share.about.clone(),
        trial,
    }
}

/// Tells what an admin should know of how a filter was attached.
pub(super) fn warn_of(filter: &Filter) {
    if let Some(reason) = filter.generation.why_slower() {
        warn(format_args!("note: {reason}"));
    }
    if let Some(reason) = &filter.without_replies {
        warn(reason);
    }
    if let Some(reason) = &filter.fallback {
        warn(format_args!("{reason}; running in generic mode instead"));
    }
}

/// One line that says what is in force where.
pub(super) fn announcement(filter: &Filter, resolved: &Resolved) -> String {
    let Some(Share {
        policy, ruleset, ..
    }) = resolved.share_of(&filter.interface)
    else {
        return filter.interface.name.clone();
    };
    let verb = match (policy.monitor, &policy.countries) {
        (false, CountryRule::Block(_)) => "blocking",
        (true, CountryRule::Block(_)) => "only counting",
        (false, CountryRule::Only(_)) => "admitting only",
        (true, CountryRule::Only(_)) => "counting all but",
    };
    let rules = match policy.rules.len() {
        0 => String::new(),
        1 => ", and 1 rule for ports".to_owned(),
        count => format!(", and {count} rules for ports"),
    };
    let from = policy
        .effective_from
        .filter(|instant| *instant > Timestamp::now())
        .map_or_else(String::new, |instant| format!(" from {instant} on"));
    format!(
        "{}: {verb} {}{rules}{from} ({}, {} IPv4 and {} IPv6 ranges{}){}",
        filter.interface.name,
        words::countries(policy.countries.countries()),
        words::hook(filter.generation.hook(), filter.mode),
        ruleset.ipv4().len(),
        ruleset.ipv6().len(),
        if filter.replaced {
            ", replaced the filter that was there"
        } else {
            ""
        },
        filter.trial.map_or_else(String::new, |time| format!(
            "; on trial for {}: `geodrop confirm` keeps it",
            time::text(time)
        ))
    )
}
