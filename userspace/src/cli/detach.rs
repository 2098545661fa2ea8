//! `geodrop detach`: take filters off interfaces.

use std::process::ExitCode;

use clap::Args;
use geodrop::datapath::{filter, interface::Interface};

use super::PinOptions;

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
    if arguments.all {
        let places = filter::detach_all(&root)?;
        if places.is_empty() {
            println!("no filter is attached anywhere");
        }
        for place in places {
            match Interface::by_index(place.index)? {
                Some(interface) if root.place(&interface)? == place => {
                    println!("{}: detached", interface.name);
                }
                _ => println!(
                    "interface {} of network namespace {}: detached",
                    place.index, place.namespace
                ),
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let interfaces = arguments
        .interface
        .iter()
        .map(|name| Interface::by_name(name))
        .collect::<Result<Vec<_>, _>>()?;
    for interface in interfaces {
        filter::detach(&root, &interface)?;
        println!("{}: detached", interface.name);
    }
    Ok(ExitCode::SUCCESS)
}
