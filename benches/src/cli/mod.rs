//! The command line: one file a verb.
//!
//! Results go to standard output, all else to standard error. Exit status: 0 measured, whatever came out; 1 not all
//! measured; 2 wrong usage; 130 interrupted.

mod compare;
mod device;
mod lookup;
mod output;
mod program;
mod progress;
mod set_up;

use std::{
    env,
    fmt::Display,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};
use geodrop::geoip;
use geodrop_bench::{
    basis::Basis,
    device::tool,
    document::Document,
    machine::Machine,
    measure::{allowed_cpus, stay_on_this_cpu},
};

use self::{
    device::Against,
    output::Output,
    progress::{Interrupted, Progress},
};

const EXAMPLES: &str = "\
Examples:
  sudo geodrop-bench --quick                         the eight figures that count, in less than three minutes
  sudo geodrop-bench program                         what a packet costs, by what the filter does
  sudo geodrop-bench device --quick                  beside nftables, ipset and others, in a few minutes
  sudo geodrop-bench device --against nft,ipset      beside these, every case: some 20 minutes
  sudo geodrop-bench all --quick --html out.html --json > out.json
  sudo geodrop-bench all --policy /etc/geodrop/policy.toml      your policy, and your data
  geodrop-bench compare before.json after.json       what changed; exit status 1 if anything got worse
  cargo xtask bench --quick                          build it, and run it";

const EXIT_STATUS: &str = "\
Exit status:
  0    measured; that a figure misses its target is no failure, and is said
  1    not measured, or not all of it; of `compare`: something got worse
  2    wrong usage; of `compare`: a run cannot be read, or nothing can be compared
  130  interrupted; the report is of what was measured until then, and says so";

/// What `--json` prints, for the long help.
const JSON: &str = "\
JSON, the same for all levels; docs/benchmarking.md tells each field:
  {\"schema\": 2, \"command\", \"quick\", \"version\", \"date\", \"interrupted\", \"data\", \"policies\": {table: checksum}, \"machine\", \"tools\",
   \"lookup\": null or {\"rows\", \"rows_without_perfmon\", \"tables\", \"geometric_mean\", \"memory_bytes\", \"notes\", …},
   \"program\": null or {\"paths\", \"egress\", \"floods\"},
   \"device\": null or {\"rows\", \"starts\", \"goals\", \"skipped\", \"notes\"}}";

/// Measures what blocking by region costs in the kernel
///
/// Loads programs into the kernel and runs them there: it needs root, touches no interface but those in network
/// namespaces of its own, and leaves nothing behind. Nothing else should run meanwhile. Each figure is the median of rounds, with
/// the interval that holds the true one with a probability of 95 %; what is compared takes turns within a round.
#[derive(Debug, Parser)]
#[command(
    name = "geodrop-bench",
    version,
    about,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_STATUS}\n\n{JSON}"),
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Option<Verb>,

    #[command(flatten)]
    of_policy: OfPolicy,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What a lookup costs, next to the kernel's own trie; this is what is done without a verb
    ///
    /// In a round a program without lookup and the engine take turns side by side, then comes the kernel's trie, one lookup a
    /// run, over half a million addresses. A target is met when the lower end of the ratio's interval reaches it. With --quick
    /// only the rows that have a target.
    Lookup(OfPolicy),
    /// What a packet costs, by its way through the filter and by what the filter does
    ///
    /// One packet again and again, by `BPF_PROG_TEST_RUN`, so that all it reads is in the caches; what noting flows costs on the
    /// way out; and a flood of UDP packets from 65,536 blocked addresses. Each setting is compared with a program that drops
    /// everything unseen and with a filter that judges by address alone. With --quick only UDP packets that are blocked, that
    /// are allowed and that answer, and all floods.
    Program(Arguments),
    /// What packets cost in a device, beside all else that drops packets by their source
    ///
    /// Millions of frames through veth pairs in network namespaces of its own, each with another filter at its end: none, an XDP
    /// program that drops everything, geodrop, nftables, ipset, xdp-filter; all given the same prefixes, and tried before they are
    /// timed. Every packet is accounted for. Then how long each takes to be set up and to be replaced, and its memory.
    Device(Compared),
    /// All three levels
    All(Compared),
    Compare(compare::Arguments),
    #[command(hide = true)]
    SetUp(set_up::Arguments),
}

/// How much is measured, and where the report goes.
#[derive(Clone, Debug, Args)]
struct Arguments {
    /// Measure only what answers the first questions
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    output: Output,
}

/// The same, and of which policy.
#[derive(Clone, Debug, Args)]
struct OfPolicy {
    #[command(flatten)]
    arguments: Arguments,
    /// Measure the countries and prefixes that the top level of this policy file names, with the data that it names, and not
    /// CN-HK-MO and the world; of `all` the level `program` always has its own settings
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// The same, and who is compared.
#[derive(Clone, Debug, Args)]
struct Compared {
    #[command(flatten)]
    of_policy: OfPolicy,
    #[command(flatten)]
    against: Against,
}

/// Which levels are measured.
#[derive(Clone, Copy, Debug)]
struct Levels<'a> {
    lookup: bool,
    program: bool,
    policy: Option<&'a Path>,
    device: Option<&'a Against>,
}

const NONE: Levels<'_> = Levels {
    lookup: false,
    program: false,
    policy: None,
    device: None,
};

impl<'a> Levels<'a> {
    fn plans(self, quick: bool, cores: &'a [usize], basis: &'a Basis) -> Plans<'a> {
        Plans {
            lookup: self.lookup.then(|| lookup::Plan::of(quick, basis)),
            program: self.program.then(|| program::Plan::of(quick)),
            device: self
                .device
                .map(|against| device::Plan::of(quick, against, cores, basis)),
        }
    }
}

/// What is measured of the levels.
struct Plans<'a> {
    lookup: Option<lookup::Plan<'a>>,
    program: Option<program::Plan>,
    device: Option<device::Plan<'a>>,
}

impl Plans<'_> {
    /// How long all of it is expected to take.
    fn expected(&self) -> Duration {
        let Self {
            lookup,
            program,
            device,
        } = self;
        let levels = [
            lookup.as_ref().map(lookup::Plan::expected),
            program.as_ref().map(program::Plan::expected),
            device.as_ref().map(device::Plan::expected),
        ];
        levels.into_iter().flatten().sum()
    }

    /// Measures one level after the other, until all are done or something is in the way: what was found until then is in the
    /// document.
    fn measure(&self, progress: &Progress, document: &mut Document) -> anyhow::Result<()> {
        if let Some(plan) = &self.lookup {
            plan.measure(progress, document.lookup.get_or_insert_default())?;
        }
        if let Some(plan) = &self.program {
            plan.measure(
                &geoip::builtin()?.regions,
                progress,
                document.program.get_or_insert_default(),
            )?;
        }
        if let Some(plan) = &self.device {
            let policies = &mut document.policies;
            let report = document.device.get_or_insert_default();
            plan.measure(progress, report, |blocked| {
                policies.insert(blocked.countries.name().to_owned(), blocked.checksum());
            })?;
        }
        Ok(())
    }
}

/// What a shell reports of a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Parses the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    match run(&CommandLine::parse()) {
        Ok(status) => status,
        Err(error) if error.is::<Interrupted>() => {
            warn(error);
            ExitCode::from(INTERRUPTED)
        }
        // A reader of our output that has had enough is no failure of ours to tell of.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(CommandLine { verb, of_policy }: &CommandLine) -> anyhow::Result<ExitCode> {
    let (arguments, levels) = match verb {
        None => lookup(of_policy),
        Some(Verb::Lookup(of_policy)) => lookup(of_policy),
        Some(Verb::Program(arguments)) => (
            arguments,
            Levels {
                program: true,
                ..NONE
            },
        ),
        Some(Verb::Device(Compared { of_policy, against })) => (
            &of_policy.arguments,
            Levels {
                policy: of_policy.policy.as_deref(),
                device: Some(against),
                ..NONE
            },
        ),
        Some(Verb::All(Compared { of_policy, against })) => (
            &of_policy.arguments,
            Levels {
                lookup: true,
                program: true,
                policy: of_policy.policy.as_deref(),
                device: Some(against),
            },
        ),
        Some(Verb::Compare(arguments)) => return compare::run(arguments),
        Some(Verb::SetUp(arguments)) => return set_up::run(arguments),
    };
    measure(arguments, levels)?;
    Ok(ExitCode::SUCCESS)
}

fn lookup(OfPolicy { arguments, policy }: &OfPolicy) -> (&Arguments, Levels<'_>) {
    (
        arguments,
        Levels {
            lookup: true,
            policy: policy.as_deref(),
            ..NONE
        },
    )
}

/// Measures levels, and writes what came out.
fn measure(arguments: &Arguments, levels: Levels<'_>) -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "loading programs into the kernel needs root; run `sudo {}`",
        command().join(" ")
    );
    let files = arguments.output.open()?;
    let basis = &Basis::new(levels.policy)?;
    let mut document = Document {
        command: command(),
        quick: arguments.quick,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        date: jiff::Timestamp::now().to_string(),
        data: basis
            .data()
            .sources()
            .find_map(|source| source.version.clone()),
        data_checksum: basis
            .data()
            .sources()
            .find_map(|source| source.checksum.clone()),
        machine: Machine::this().context("reading what machine this is")?,
        tools: tool::versions(),
        ..Document::default()
    };
    let cores = allowed_cpus().context("asking which CPUs there are")?;
    stay_on_this_cpu().context("staying on one CPU")?;
    let plans = levels.plans(arguments.quick, &cores, basis);
    let progress = Progress::new(plans.expected())?;
    let measured = plans.measure(&progress, &mut document);
    progress.finish();
    document.interrupted = measured.is_err();
    let written = files.write(&document);
    measured
        .map_err(|error| progress.explain(error))
        .and(written)
}

/// The command line as a person would write it.
fn command() -> Vec<String> {
    let mut words: Vec<_> = env::args().collect();
    if let Some(program) = words.first_mut() {
        let name = Path::new(program.as_str()).file_name();
        *program = name.unwrap_or_default().to_string_lossy().into_owned();
    }
    words
}

/// Prints a line on standard error. That nobody reads it is no failure.
fn warn(line: impl Display) {
    let _ = writeln!(io::stderr(), "geodrop-bench: {line}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_verb_may_be_left_out() {
        CommandLine::command().debug_assert();
        let parsed = |line: &str| {
            let parsed = CommandLine::try_parse_from(line.split(' ')).unwrap();
            match parsed.verb {
                Some(Verb::Lookup(of_policy)) => of_policy.arguments,
                Some(verb) => panic!("{line}: {verb:?}"),
                None => parsed.of_policy.arguments,
            }
        };
        for line in [
            "geodrop-bench --quick --json",
            "geodrop-bench lookup --json --quick",
        ] {
            let arguments = parsed(line);
            assert!(arguments.quick && arguments.output.json, "{line}");
        }
        assert!(!parsed("geodrop-bench").quick);
        assert!(CommandLine::try_parse_from(["geodrop-bench", "--fast"]).is_err());
    }

    #[test]
    fn peers_are_named_in_a_list() {
        let parsed = |line: &str| CommandLine::try_parse_from(line.split(' '));
        for line in [
            "geodrop-bench device --against nft,xdp-filter --html out.html",
            "geodrop-bench all --quick --json --markdown out.md",
            "geodrop-bench lookup --policy policy.toml",
            "geodrop-bench compare a.json b.json --threshold 10",
        ] {
            assert!(parsed(line).is_ok(), "{line}");
        }
        for line in [
            "geodrop-bench device --against pf",
            "geodrop-bench program --policy policy.toml",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
