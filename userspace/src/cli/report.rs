//! `geodrop report`: whom a policy would affect.

use std::{io, process::ExitCode};

use clap::Args;
use geodrop::{
    Counter, Reach,
    datapath::{
        DatapathError,
        report::{self, Affected, Period, Ports},
    },
    geoip::Country,
    policy::config::protocol_text,
    sketch::STANDARD_ERROR,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{PinOptions, json::Count, options, table, time, words};

/// How many ports a line has room for.
const BUSIEST: usize = 3;

const EXAMPLES: &str = "\
Examples:
  sudo geodrop attach -i eth0 --monitor      count what would be dropped, and drop nothing
  sudo geodrop report                        some days later: whom it would have been
  sudo geodrop report --json | jq '.interfaces[].countries[] | {country, sources}'";

const JSON: &str = r#"JSON:
  {"sources_standard_error": 0.0325,                 of all "sources", as a share
   "interfaces": [{"name", "ifindex",
     "from", "until",                                the period; null while it goes on
     "enforced_from",                                from when on the policy drops; null if nothing says
     "packets", "bytes", "sources",                  in all
     "countries": [{                                 who has most packets first
       "country", "reason",                          "country"; or "unknown", "deny" and no country
       "packets", "bytes", "sources",
       "ports": [{                                   the busiest first; null if they were not looked at
         "protocol", "port",                         "tcp", "udp"; or "other", "fragment", "unreadable" and no port
         "packets", "bytes"}],
       "ports_forgotten"}]}]}                        packets to ports that others have taken the place of"#;

/// Show whom a policy would affect, while it only counts
///
/// While a policy only counts what it would drop (`monitor = true`, or `effective_from` ahead), its filter collects for each
/// country how many packets and bytes there were, from about how many distinct sources, and to which ports: enough to
/// announce a block before it bites. Reloads go on with it for as long as the policy only counts; when it drops, the report
/// stays as it is, until the policy only counts again or the filter is detached. Packets that answer what this host began,
/// and malformed ones, are not in it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Arguments {
    /// Of the filters on these interfaces [default: all that have a report]
    #[arg(short, long, value_name = "IFACE", value_delimiter = ',', num_args = 1..)]
    interface: Vec<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pins: PinOptions,
}

/// What `report --json` prints. Scripts rely on the names.
#[derive(Debug, Serialize)]
struct Report {
    sources_standard_error: f64,
    interfaces: Vec<InterfaceReport>,
}

#[derive(Debug, Serialize)]
struct InterfaceReport {
    name: String,
    ifindex: u32,
    from: Timestamp,
    until: Option<Timestamp>,
    enforced_from: Option<Timestamp>,
    #[serde(flatten)]
    count: Count,
    sources: u64,
    countries: Vec<CountryReport>,
}

#[derive(Debug, Serialize)]
struct CountryReport {
    country: Option<Country>,
    reason: &'static str,
    #[serde(flatten)]
    count: Count,
    sources: u64,
    ports: Option<Vec<PortReport>>,
    ports_forgotten: u64,
}

#[derive(Debug, Serialize)]
struct PortReport {
    protocol: &'static str,
    port: Option<u16>,
    #[serde(flatten)]
    count: Count,
}

impl InterfaceReport {
    fn of(report: report::Report, now: Timestamp) -> Self {
        let report::Report {
            interface,
            period,
            collected,
        } = report;
        let Period {
            from,
            enforced_from,
            ..
        } = period;
        let affected = collected.affected.iter();
        let count = affected.fold(Count::default(), |sum, one| Count {
            packets: sum.packets + one.counter.packets,
            bytes: sum.bytes + one.counter.bytes,
        });
        Self {
            name: interface.name,
            ifindex: interface.index,
            from,
            until: period.until(now),
            enforced_from,
            count,
            sources: collected.sources,
            countries: collected.affected.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Affected> for CountryReport {
    fn from(affected: Affected) -> Self {
        let Affected {
            origin,
            counter,
            sources,
            ports,
        } = affected;
        let (country, reason) = words::origin(origin);
        let (ports, ports_forgotten) = match ports {
            None => (None, 0),
            Some(Ports { busiest, forgotten }) => (
                Some(busiest.into_iter().map(Into::into).collect()),
                forgotten,
            ),
        };
        Self {
            country,
            reason,
            count: counter.into(),
            sources,
            ports,
            ports_forgotten,
        }
    }
}

impl From<(Reach, Counter)> for PortReport {
    fn from((reach, counter): (Reach, Counter)) -> Self {
        let (protocol, port) = match reach {
            Reach::Port(protocol, port) => (protocol_text(protocol), Some(port)),
            Reach::NoPorts => ("other", None),
            Reach::LaterFragment => ("fragment", None),
            Reach::Hidden => ("unreadable", None),
        };
        Self {
            protocol,
            port,
            count: counter.into(),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let root = arguments.pins.root();
    let now = Timestamp::now();
    let mut interfaces = Vec::new();
    for interface in options::filtered(&root, &arguments.interface)? {
        match report::read(&root, &interface) {
            Ok(Some(report)) => interfaces.push(InterfaceReport::of(report, now)),
            // Detached since it was looked for, perhaps.
            Ok(None) | Err(DatapathError::NotAttached { .. }) if arguments.interface.is_empty() => {
            }
            Ok(None) => return Err(no_report(&interface.name)),
            Err(error) => return Err(error.into()),
        }
    }
    if interfaces.is_empty() {
        return Err(no_report("any interface"));
    }
    let report = Report {
        sources_standard_error: STANDARD_ERROR,
        interfaces,
    };
    let mut output = io::stdout().lock();
    if arguments.json {
        super::json::write(&mut output, &report)?;
    } else {
        write_report(&mut output, &report, now)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn no_report(place: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no report of {place}: a filter makes one while its policy only counts what it would drop, which is with \
         `--monitor`, or with an `--effective-from` that is ahead"
    )
}

fn write_report(output: &mut impl io::Write, report: &Report, now: Timestamp) -> io::Result<()> {
    for interface in &report.interfaces {
        write_interface(output, interface, now)?;
    }
    writeln!(
        output,
        "sources are estimates: their standard error is {:.0} %",
        report.sources_standard_error * 100.0
    )?;
    let mut countries = report.interfaces.iter().flat_map(|one| &one.countries);
    if countries.any(|country| country.ports.is_none()) {
        writeln!(
            output,
            "ports were not looked at all the time: that takes Linux 5.18"
        )?;
    }
    Ok(())
}

fn write_interface(
    output: &mut impl io::Write,
    interface: &InterfaceReport,
    now: Timestamp,
) -> io::Result<()> {
    let InterfaceReport {
        name,
        from,
        until,
        enforced_from,
        ..
    } = interface;
    match until {
        None => write!(
            output,
            "{name}: would have been dropped since {from:.0} ({} so far)",
            time::text(now.duration_since(*from).unsigned_abs())
        )?,
        Some(until) => write!(
            output,
            "{name}: would have been dropped from {from:.0} to {until:.0}; since then it is"
        )?,
    }
    match enforced_from.filter(|_| until.is_none()) {
        Some(instant) => writeln!(output, "; will be from {instant:.0} on")?,
        None => writeln!(output)?,
    }
    if interface.countries.is_empty() {
        return writeln!(output, "  nothing");
    }
    let mut rows: Vec<_> = interface.countries.iter().map(row).collect();
    rows.push([
        "total".to_owned(),
        interface.count.packets.to_string(),
        interface.count.bytes.to_string(),
        interface.sources.to_string(),
        String::new(),
    ]);
    let head = ["source", "packets", "bytes", "sources", "busiest ports"];
    table::write(output, head, &rows)
}

fn row(country: &CountryReport) -> [String; 5] {
    let name = match (country.country, country.reason) {
        (Some(country), _) => format!("{country} {}", country.name()),
        (None, "deny") => "denied".to_owned(),
        (None, reason) => reason.to_owned(),
    };
    [
        name,
        country.count.packets.to_string(),
        country.count.bytes.to_string(),
        country.sources.to_string(),
        country.ports.as_ref().map_or_else(
            || table::NOTHING.to_owned(),
            |ports| busiest(ports, country.count.packets),
        ),
    ]
}

/// The busiest ports, each with its share of all packets: `tcp/443 81 %, udp/53 12 %, 5 more`.
fn busiest(ports: &[PortReport], all: u64) -> String {
    let shown = ports.iter().take(BUSIEST).map(|port| {
        let name = match (port.protocol, port.port) {
            (protocol, Some(number)) => format!("{protocol}/{number}"),
            ("other", None) => "other protocols".to_owned(),
            ("fragment", None) => "later fragments".to_owned(),
            (protocol, None) => protocol.to_owned(),
        };
        format!("{name} {}", share(port.count.packets, all))
    });
    let more = ports.len().saturating_sub(BUSIEST);
    let more = (more > 0).then(|| format!("{more} more"));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}

/// A share in percent, which is never told as none or all if it is neither.
fn share(part: u64, all: u64) -> String {
    // Some came while it was read.
    let part = part.min(all);
    match u128::from(part) * 100 / u128::from(all.max(1)) {
        0 => "<1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(protocol: &'static str, port: Option<u16>, packets: u64) -> PortReport {
        let bytes = packets * 60;
        PortReport {
            protocol,
            port,
            count: Count { packets, bytes },
        }
    }

    #[test]
    fn the_busiest_ports_have_their_shares() {
        let ports = [
            port("tcp", Some(443), 811),
            port("udp", Some(53), 180),
            port("other", None, 5),
            port("tcp", Some(22), 3),
            port("fragment", None, 1),
        ];
        assert_eq!(
            busiest(&ports, 1000),
            "tcp/443 81 %, udp/53 18 %, other protocols <1 %, 2 more"
        );
        assert_eq!(busiest(&ports[..1], 811), "tcp/443 100 %");
        assert_eq!(busiest(&[], 0), "");
    }

    #[test]
    fn a_share_is_within_its_whole() {
        assert_eq!(share(11, 10), "100 %");
        assert_eq!(share(999, 1000), "99 %");
        assert_eq!(share(1, u64::MAX), "<1 %");
        assert_eq!(share(0, 0), "<1 %");
    }
}
