//! `geodrop geoip diff`: which addresses are in another country in one file than in another.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Args;
use geodrop::{
    geoip::{Country, Move, Regions, addresses},
    range::{Address, Range},
};
use serde::Serialize;

use super::super::{
    options::data::{ReconciliationOptions, read_data},
    table, warn,
};

/// How many moves people are shown.
const SHOWN: usize = 40;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  geodrop geoip diff builtin GeoLite2-Country.mmdb
  geodrop geoip diff old.csv new.csv --country CN,HK,MO --prefixes
  geodrop geoip diff old.csv new.csv --json")]
pub(super) struct Arguments {
    /// The one file, written as for --geoip of the other commands
    #[arg(value_name = "A")]
    before: PathBuf,

    /// The other
    #[arg(value_name = "B")]
    after: PathBuf,

    /// Show only what moved from or to these countries
    #[arg(long, value_name = "CC", value_delimiter = ',', num_args = 1..)]
    country: Vec<Country>,

    /// List the prefixes that moved
    #[arg(long)]
    prefixes: bool,

    #[command(flatten)]
    reconciliation: ReconciliationOptions,

    /// Print JSON: {moved: [{from, to, ipv4: {addresses, prefixes}, ipv6}]}; with --prefixes, the prefixes themselves
    #[arg(long)]
    json: bool,
}

/// What `geoip diff --json` prints.
#[derive(Debug, Serialize)]
struct Difference {
    moved: Vec<Moved>,
}

#[derive(Debug, Serialize)]
struct Moved {
    /// Null where A knows nothing of the addresses.
    from: Option<Country>,
    /// Null where B knows nothing of the addresses.
    to: Option<Country>,
    ipv4: Extent,
    ipv6: Extent,
}

#[derive(Debug, Serialize)]
struct Extent {
    addresses: u128,
    prefixes: Prefixes,
}

/// Prefixes, or how many there are.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Prefixes {
    Count(usize),
    All(Vec<String>),
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let read = |file: &PathBuf| {
        let settings = arguments
            .reconciliation
            .settings(std::slice::from_ref(file))?;
        read_data(&settings)
    };
    let (before, after) = (read(&arguments.before)?, read(&arguments.after)?);
    let wanted = |one: &Move| {
        let is_named = |country: &Country| arguments.country.contains(country);
        arguments.country.is_empty() || [one.from, one.to].iter().flatten().any(is_named)
    };
    let mut all = before.regions.moves_to(&after.regions);
    leave_out_absent_families(arguments, &before.regions, &after.regions, &mut all);
    let moved = all.into_iter().filter(wanted).map(|one| Moved {
        from: one.from,
        to: one.to,
        ipv4: Extent::new(&one.ipv4, arguments.prefixes),
        ipv6: Extent::new(&one.ipv6, arguments.prefixes),
    });
    let difference = Difference {
        moved: moved.collect(),
    };
    let mut output = io::stdout().lock();
    if arguments.json {
        super::super::json::write(&mut output, &difference)?;
    } else if arguments.prefixes {
        difference.write_prefixes(&mut output)?;
    } else {
        difference.write(&mut output)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Files often hold one family only; nothing moved because the other is not there.
fn leave_out_absent_families(
    arguments: &Arguments,
    before: &Regions,
    after: &Regions,
    moves: &mut Vec<Move>,
) {
    let absent = |before_has_none: bool, after_has_none: bool, family: &str| {
        if before_has_none == after_has_none {
            return false;
        }
        let file = if before_has_none {
            &arguments.before
        } else {
            &arguments.after
        };
        let file = file.display();
        warn(format_args!(
            "note: {file} has no {family} address; {family} is not compared"
        ));
        true
    };
    let no_ipv4 = absent(before.ipv4().is_empty(), after.ipv4().is_empty(), "IPv4");
    let no_ipv6 = absent(before.ipv6().is_empty(), after.ipv6().is_empty(), "IPv6");
    for one in &mut *moves {
        if no_ipv4 {
            one.ipv4.clear();
        }
        if no_ipv6 {
            one.ipv6.clear();
        }
    }
    moves.retain(|one| !one.ipv4.is_empty() || !one.ipv6.is_empty());
}

impl Extent {
    fn new<A: Address>(ranges: &[Range<A>], in_full: bool) -> Self {
        let prefixes = ranges.iter().flat_map(|range| range.prefixes());
        Self {
            addresses: addresses(ranges),
            prefixes: if in_full {
                Prefixes::All(prefixes.map(|prefix| prefix.to_string()).collect())
            } else {
                Prefixes::Count(prefixes.count())
            },
        }
    }
}

impl Prefixes {
    fn count(&self) -> usize {
        match self {
            Self::Count(count) => *count,
            Self::All(all) => all.len(),
        }
    }
}

impl Difference {
    fn write(&self, output: &mut impl io::Write) -> io::Result<()> {
        if self.moved.is_empty() {
            return writeln!(output, "no address moved");
        }
        let shown = self.moved.iter().take(SHOWN);
        let rows: Vec<[String; 6]> = shown
            .map(|moved| {
                [
                    code(moved.from),
                    code(moved.to),
                    moved.ipv4.addresses.to_string(),
                    moved.ipv4.prefixes.count().to_string(),
                    moved.ipv6.addresses.to_string(),
                    moved.ipv6.prefixes.count().to_string(),
                ]
            })
            .collect();
        let head = [
            "from",
            "to",
            "IPv4 addresses",
            "prefixes",
            "IPv6 addresses",
            "prefixes",
        ];
        table::write(output, head, &rows)?;
        match self.moved.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => writeln!(
                output,
                "and {more} more, of fewer addresses; --json shows all"
            ),
        }
    }

    fn write_prefixes(&self, output: &mut impl io::Write) -> io::Result<()> {
        for moved in &self.moved {
            for extent in [&moved.ipv4, &moved.ipv6] {
                let Prefixes::All(prefixes) = &extent.prefixes else {
                    continue;
                };
                for prefix in prefixes {
                    writeln!(output, "{}\t{}\t{prefix}", code(moved.from), code(moved.to))?;
                }
            }
        }
        Ok(())
    }
}

fn code(country: Option<Country>) -> String {
    country.map_or_else(|| table::NOTHING.to_owned(), |country| country.to_string())
}
