//! The demo's report for people.

use std::io;

use geodrop::{
    datapath::{Hook, counters::Counters},
    demo::{
        Outcome,
        burst::{Burst, Bursts},
        judge::Tally,
        sample::Group,
    },
    geoip::{self, GeoData},
    policy::{CountryRule, Policy},
};

use super::{
    super::{table, words},
    name,
};

/// What was tried, what became of the packets, and what the filter counted.
pub(super) fn write_report(
    output: &mut impl io::Write,
    outcome: &Outcome,
    policy: &Policy,
    data: &GeoData,
) -> io::Result<()> {
    for source in data.sources() {
        let of = source.date.map(|date| format!(" of {date}"));
        writeln!(
            output,
            "data    {}{}",
            source.source,
            of.unwrap_or_default()
        )?;
    }
    let (verb, countries) = match &policy.countries {
        CountryRule::Block(countries) => ("blocking", countries),
        CountryRule::Only(countries) => ("admitting only", countries),
    };
    writeln!(output, "policy  {verb} {}", geoip::names(countries))?;
    writeln!(
        output,
        "filter  {} IPv4 and {} IPv6 ranges, attached to a veth end in {}",
        grouped(outcome.ranges.0 as u64),
        grouped(outcome.ranges.1 as u64),
        words::hook(Hook::Xdp, outcome.mode)
    )?;
    if let Some(reason) = &outcome.fallback {
        writeln!(output, "        {reason}")?;
    }
    writeln!(output)?;

    let rows: Vec<_> = outcome.judged.tallies.iter().map(row).collect();
    let head = ["country", "name", "sources", "sent", "dropped", "delivered"];
    table::write(output, head, &rows)?;
    writeln!(output)?;
    writeln!(output, "the filter counted: {}", counted(&outcome.counters))
}

fn row(tally: &Tally) -> [String; 6] {
    let country = match tally.group {
        Group::Country(country) => country.to_string(),
        Group::Listed | Group::SpecialPurpose => table::NOTHING.to_owned(),
    };
    let [sources, sent, dropped, delivered] =
        [tally.sources, tally.sent, tally.dropped, tally.delivered].map(grouped);
    [
        country,
        name(tally.group).to_owned(),
        sources,
        sent,
        dropped,
        delivered,
    ]
}

/// "72 CN, 72 HK, 504 passed".
fn counted(counters: &Counters) -> String {
    let countries = counters
        .countries
        .iter()
        .map(|(country, counter)| (counter.packets, country.to_string()));
    let others = [
        (counters.denied.packets, "denied"),
        (counters.malformed.packets, "malformed"),
        (counters.unknown.packets, "unknown"),
        (counters.non_ip.packets, "not IP"),
        (counters.passed.packets, "passed"),
    ];
    let others = others.map(|(packets, name)| (packets, name.to_owned()));
    let named: Vec<_> = countries
        .chain(others)
        .filter(|(packets, _)| *packets > 0)
        .map(|(packets, name)| format!("{} {name}", grouped(packets)))
        .collect();
    named.join(", ")
}

/// The rest of a report that has no failures to tell of.
pub(super) fn write_end(output: &mut impl io::Write, outcome: &Outcome) -> io::Result<()> {
    let packets: u64 = outcome.judged.tallies.iter().map(|tally| tally.sent).sum();
    writeln!(
        output,
        "all {} packets met the fate that `geodrop lookup` says, and each was counted",
        grouped(packets)
    )?;
    writeln!(output)?;
    match &outcome.bursts {
        Bursts::Done(bursts) if bursts.is_empty() => {
            writeln!(output, "no burst: this policy drops nothing")?;
        }
        Bursts::Done(bursts) => write_bursts(output, bursts, outcome)?,
        Bursts::Skipped(reason) => writeln!(output, "no burst: {reason}")?,
    }
    writeln!(
        output,
        "\nNothing is left behind. Next:\n  \
         geodrop lookup 1.0.1.1                which country an address is in, and what would happen to it\n  \
         sudo geodrop run -i eth0 --monitor    count what would be dropped on eth0, and drop nothing"
    )
}

fn write_bursts(
    output: &mut impl io::Write,
    bursts: &[Burst],
    outcome: &Outcome,
) -> io::Result<()> {
    let mode = words::hook(Hook::Xdp, outcome.mode);
    writeln!(output, "one core dropped, in {mode}:")?;
    for burst in bursts {
        let lost = match burst.lost() {
            0 => String::new(),
            lost => format!("; {} more were lost, the machine is busy", grouped(lost)),
        };
        writeln!(
            output,
            "  {}  {:.2} million packets a second ({} packets from {} sources in {} ranges{lost})",
            burst.family,
            burst.rate() / 1e6,
            grouped(burst.dropped),
            grouped(burst.sources as u64),
            grouped(burst.ranges as u64),
        )?;
    }
    writeln!(
        output,
        "The core also made the packets and moved them through a veth pair; that time is in the figures."
    )
}

/// A number with its digits in groups of three: 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        let texts = [0, 999, 1000, 12_345, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
