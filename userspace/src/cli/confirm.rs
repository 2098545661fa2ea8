//! `geodrop confirm`: keep policies that are on trial.

use std::process::ExitCode;

use clap::Args;
use geodrop::datapath::{status, trial};

use super::{PinOptions, options, say, warn};

/// Keep a policy that is on trial
///
/// What `--confirm 60s` has put in force goes after that time, and what was in force before comes back, unless this
/// is run in between. It takes a connection to the host to run it: so a policy that locks its admin out ends by itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop attach --config policy.toml --confirm 60s
  sudo geodrop confirm")]
pub(super) struct Arguments {
    /// Keep the policies of these interfaces [default: all that are on trial]
    #[arg(short, long, value_name = "IFACE", value_delimiter = ',', num_args = 1..)]
    interface: Vec<String>,

    #[command(flatten)]
    pins: PinOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let root = arguments.pins.root();
    let mut interfaces = options::interfaces(&arguments.interface)?;
    if arguments.interface.is_empty() {
        for interface in status::filtered(&root)? {
            if trial::of(&root, &interface)?.is_some() {
                interfaces.push(interface);
            }
        }
        if interfaces.is_empty() {
            anyhow::bail!(
                "no filter is on trial: either none was, or it was not confirmed in time; `geodrop status` shows what is \
                 in force"
            );
        }
    }
    let mut failed = false;
    for interface in &interfaces {
        match trial::confirm(&root, interface) {
            Ok(()) => say(format_args!("{}: confirmed", interface.name)),
            Err(error) => {
                warn(error);
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
