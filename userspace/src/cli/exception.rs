//! `geodrop allow` and `geodrop deny`: exceptions on filters that run.

use std::{io, net::IpAddr, process::ExitCode, time::Duration};

use clap::Args;
use geodrop::{
    Action,
    datapath::{
        exceptions::{self, Decision},
        interface::Interface,
    },
};

use super::{PinOptions, guard, options, say, table, time, warn};

pub(super) const ALLOW_EXAMPLES: &str = "\
Examples:
  sudo geodrop allow 203.0.113.7 --for 1h        let a colleague in for an hour
  sudo geodrop allow --remove 203.0.113.7        what the policy says holds again
  sudo geodrop allow --list                      what is decided, and until when";

pub(super) const DENY_EXAMPLES: &str = "\
Examples:
  sudo geodrop deny 198.51.100.9 --for 30m
  sudo geodrop deny 2001:db8::bad -i eth0        on one interface only
  sudo geodrop deny --remove 198.51.100.9";

/// Decide for single addresses on running filters
///
/// What is decided goes before the policy, prefixes included, and holds at once; no new filter is made. It survives a
/// reload, and ends with its time or with the filter. What is to last longer belongs in the configuration, on `allow` or
/// `deny`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The addresses
    #[arg(value_name = "ADDRESS", required_unless_present = "list", value_parser = address)]
    addresses: Vec<IpAddr>,

    /// For how long, like 45s, 30m, 1h30m or 7d [default: for as long as the filter is there]
    #[arg(long = "for", value_name = "TIME", value_parser = time::parse, conflicts_with_all = ["remove", "list"])]
    time: Option<Duration>,

    /// On these interfaces [default: all that have a filter]
    #[arg(short, long, value_name = "IFACE", value_delimiter = ',')]
    interface: Vec<String>,

    /// Take it back
    #[arg(long, conflicts_with = "list")]
    remove: bool,

    /// Drop even what comes from this session, a default gateway, a name server or the host itself
    #[arg(long, hide_short_help = true)]
    force: bool,

    /// List what is decided, for whichever verdict
    #[arg(long, conflicts_with = "addresses")]
    list: bool,

    #[command(flatten)]
    pins: PinOptions,
}

fn address(text: &str) -> Result<IpAddr, super::Usage> {
    text.parse::<IpAddr>()
        .map(|address| address.to_canonical())
        .map_err(|_| {
            super::Usage(format!(
                "`{text}` is no address; exceptions are for single addresses (a prefix goes on `allow` or `deny` of the \
                 configuration)"
            ))
        })
}

pub(super) fn run(arguments: &Arguments, action: Action) -> anyhow::Result<ExitCode> {
    let root = arguments.pins.root();
    let interfaces = options::filtered(&root, &arguments.interface)?;
    if arguments.list {
        return list(arguments, &interfaces);
    }
    if action == Action::Drop && !arguments.remove && !arguments.force {
        guard::check_addresses(&interfaces, &arguments.addresses)?;
    }
    let mut failed = false;
    for interface in &interfaces {
        let done = if arguments.remove {
            take_back(arguments, interface, action)
        } else {
            decide(arguments, interface, action)
        };
        if let Err(error) = done {
            warn(super::describe(&error));
            failed = true;
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn decide(arguments: &Arguments, interface: &Interface, action: Action) -> anyhow::Result<()> {
    let addresses = arguments.addresses.iter();
    let decisions: Vec<_> = addresses
        .map(|address| Decision {
            address: *address,
            action,
            left: arguments.time,
        })
        .collect();
    exceptions::decide(&arguments.pins.root(), interface, &decisions)?;
    let how_long = match arguments.time {
        Some(time) => format!("for {}", time::text(time)),
        None => "until the filter is detached".to_owned(),
    };
    let name = &interface.name;
    for address in &arguments.addresses {
        let fate = fate(action);
        say(format_args!("{name}: {address} {fate} {how_long}"));
    }
    Ok(())
}

/// Takes back all that can be taken back.
fn take_back(arguments: &Arguments, interface: &Interface, action: Action) -> anyhow::Result<()> {
    let root = arguments.pins.root();
    let name = &interface.name;
    let mut result = Ok(());
    for address in &arguments.addresses {
        let other = match exceptions::take_back(&root, interface, *address, action) {
            Ok(None) => {
                say(format_args!(
                    "{name}: what the policy says of {address} holds again"
                ));
                continue;
            }
            Ok(Some(other)) => other,
            Err(error) => {
                result = result.and(Err(error.into()));
                continue;
            }
        };
        let verb = match other {
            Action::Pass => "allow",
            Action::Drop => "deny",
        };
        result = result.and(Err(anyhow::anyhow!(
            "{address} {} on {name}; `geodrop {verb} --remove {address}` takes that back",
            fate(other)
        )));
    }
    result
}

const fn fate(action: Action) -> &'static str {
    match action {
        Action::Pass => "passes",
        Action::Drop => "is dropped",
    }
}

fn list(arguments: &Arguments, interfaces: &[Interface]) -> anyhow::Result<ExitCode> {
    let root = arguments.pins.root();
    let mut rows = Vec::new();
    for interface in interfaces {
        for decision in exceptions::list(&root, interface)? {
            rows.push([
                interface.name.clone(),
                decision.address.to_string(),
                fate(decision.action).to_owned(),
                decision
                    .left
                    .map_or_else(|| table::NOTHING.to_owned(), time::text),
            ]);
        }
    }
    if rows.is_empty() {
        say("nothing is decided for any address");
    } else {
        let head = ["interface", "address", "verdict", "for another"];
        table::write(&mut io::stdout().lock(), head, &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}
