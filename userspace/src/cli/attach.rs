//! `geodrop attach`: leave a filter in the kernel and return.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use geodrop::{
    datapath::{
        filter::{self, Filter, Order, Request},
        generation::Plan,
    },
    policy::{CountryRule, Refusal, Replies},
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
  sudo geodrop attach -i eth0 --allow 203.0.113.0/24 block CN, HK and MO, but never this prefix")]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let resolved = arguments.filter.resolve()?;
    for filter in attach(
        &arguments.filter,
        &resolved,
        false,
        arguments.filter.confirm,
        arguments.filter.force,
        &[],
    )? {
        say(announcement(&filter, &resolved));
    }
    Ok(ExitCode::SUCCESS)
}

/// Attaches the filters, all or none; tells on standard error what an admin should know of how. `held` are those that
/// this process looks after already.
pub(super) fn attach(
    options: &FilterOptions,
    resolved: &Resolved,
    log: bool,
    trial: Option<Duration>,
    force: bool,
    held: &[Filter],
) -> anyhow::Result<Vec<Filter>> {
    let root = options.pins.root();
    if root.prepare()? {
        warn("mounted the bpf file system, which was missing, at /sys/fs/bpf");
    }
    guard::check(resolved, force).inspect_err(|_| root.tidy())?;
    let order = |share, engine| {
        let Share {
            interfaces,
            policy,
            ruleset,
            about,
        }: &Share = share;
        Order {
            interfaces,
            request: Request {
                plan: Plan {
                    ruleset,
                    engine,
                    monitor: policy.monitor,
                    effective_from: policy.effective_from,
                    replies: policy.replies == Replies::Pass,
                    reject: policy.refusal == Refusal::Reject,
                    log,
                },
                mode: resolved.mode,
                about: about.clone(),
                trial,
            },
        }
    };
    let (filters, reason) = resolved.engine.try_with(|engine| {
        let orders: Vec<_> = resolved
            .shares
            .iter()
            .map(|share| order(share, engine))
            .collect();
        filter::attach(&root, &orders, held)
    })?;
    if let Some(reason) = reason {
        warn(format_args!("{reason}; using the engine lpm instead"));
    }
    for filter in &filters {
        if let Some(reason) = &filter.without_replies {
            warn(reason);
        }
        if let Some(reason) = &filter.fallback {
            warn(format_args!("{reason}; running in generic mode instead"));
        }
    }
    Ok(filters)
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
        "{}: {verb} {}{rules}{from} ({} mode, {} IPv4 and {} IPv6 ranges{}){}",
        filter.interface.name,
        words::countries(policy.countries.countries()),
        filter.mode,
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
