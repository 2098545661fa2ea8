//! `geodrop detach`: take filters off interfaces.

use std::process::ExitCode;

use clap::Args;
use geodrop::datapath::{DatapathError, filter, interface::Interface, pins::Root};

use super::{PinOptions, options, say, warn};

/// Take filters off interfaces
///
/// Works whatever version attached them, and also while a `geodrop run` looks after them (which then ends).
/// Should this program be lost: `rm -r /sys/fs/bpf/geodrop` frees every interface.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop detach -i eth0
  sudo geodrop detach --all")]
pub(super) struct Arguments {
    /// Free these interfaces
    #[arg(
        short,
        long,
        value_name = "IFACE",
        value_delimiter = ',',
        num_args = 1..,
        required_unless_present = "all"
    )]
    interface: Vec<String>,

    /// Free every interface, in every network namespace that shares this bpf file system
    #[arg(long, conflicts_with = "interface")]
    all: bool,

    #[command(flatten)]
    pins: PinOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let root = arguments.pins.root();
    let detached = if arguments.all {
        detach_all(&root)?
    } else {
        detach_each(&root, &arguments.interface)?
    };
    if detached.is_empty() {
        say("no filter is attached anywhere");
    }
    let mut failed = false;
    for (name, result) in detached {
        match result {
            Ok(()) => say(format_args!("{name}: detached")),
            Err(error) => {
                warn(format_args!("{name}: {error}"));
                failed = true;
            }
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What came of detaching, by the interface's name: all of it is done before any of it is told.
type Detached = Vec<(String, Result<(), DatapathError>)>;

fn detach_each(root: &Root, names: &[String]) -> anyhow::Result<Detached> {
    let interfaces = options::interfaces(names)?;
    Ok(interfaces
        .into_iter()
        .map(|interface| {
            let result = filter::detach(root, &interface);
            (interface.name, result)
        })
        .collect())
}

fn detach_all(root: &Root) -> anyhow::Result<Detached> {
    let detached = filter::detach_all(root)?.into_iter();
    detached
        .map(|(place, result)| {
            let name = match Interface::by_index(place.index)? {
                Some(interface) if root.place(&interface)? == place => interface.name,
                _ => format!(
                    "interface {} of network namespace {}",
                    place.index, place.namespace
                ),
            };
            Ok((name, result))
        })
        .collect()
}
