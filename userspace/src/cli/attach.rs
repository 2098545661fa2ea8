//! `geodrop attach`: leave a filter in the kernel and return.

use std::process::ExitCode;

use clap::Args;
use geodrop::{
    datapath::{
        filter::{self, Filter, Request},
        generation::Plan,
    },
    geoip,
    policy::CountryRule,
};

use super::{
    options::{FilterOptions, Resolved},
    say, warn,
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
  sudo geodrop attach -i eth0 --allow 203.0.113.0/24 block CN, HK and MO, but never this prefix")]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let resolved = arguments.filter.resolve()?;
    for filter in attach(&arguments.filter, &resolved, false)? {
        say(announcement(&filter, &resolved));
    }
    Ok(ExitCode::SUCCESS)
}

/// Attaches the filters; tells on standard error what an admin should know of how.
pub(super) fn attach(
    options: &FilterOptions,
    resolved: &Resolved,
    log: bool,
) -> anyhow::Result<Vec<Filter>> {
    let root = options.pins.root();
    if root.prepare()? {
        warn("mounted the bpf file system, which was missing, at /sys/fs/bpf");
    }
    let attach = |engine| {
        let request = Request {
            plan: Plan {
                ruleset: &resolved.ruleset,
                engine,
                monitor: resolved.policy.monitor,
                effective_from: resolved.policy.effective_from,
                log,
            },
            mode: resolved.mode,
            about: resolved.about.clone(),
        };
        filter::attach(&root, &resolved.interfaces, &request)
    };
    let (filters, reason) = resolved.engine.try_with(attach)?;
    if let Some(reason) = reason {
        warn(format_args!("{reason}; using the engine lpm instead"));
    }
    for filter in &filters {
        if let Some(reason) = &filter.fallback {
            warn(format_args!("{reason}; running in generic mode instead"));
        }
    }
    Ok(filters)
}

/// One line that says what is in force where.
pub(super) fn announcement(filter: &Filter, resolved: &Resolved) -> String {
    let verb = match (resolved.policy.monitor, &resolved.policy.countries) {
        (false, CountryRule::Block(_)) => "blocking",
        (true, CountryRule::Block(_)) => "only counting",
        (false, CountryRule::Only(_)) => "admitting only",
        (true, CountryRule::Only(_)) => "counting all but",
    };
    format!(
        "{}: {verb} {} ({} mode, {} IPv4 and {} IPv6 ranges{})",
        filter.interface.name,
        geoip::names(resolved.policy.countries.countries()),
        filter.mode,
        resolved.ruleset.ipv4().len(),
        resolved.ruleset.ipv6().len(),
        if filter.replaced {
            ", replaced the filter that was there"
        } else {
            ""
        }
    )
}
