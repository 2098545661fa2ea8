//! What `geodrop status` prints for people: a screenful that says what is filtered, since when, by which policy and data,
//! how much was dropped, and what is wrong.

use std::{
    io::{self, Write},
    time::Duration,
};

use geodrop::{
    Action, Counter,
    datapath::{
        about::About,
        exceptions::Decision,
        status::{Enforcement, Running, Status},
        trial::Trial,
    },
    geoip::{self, Country},
    policy::config::Choice as _,
    warnings,
};
use indicatif::HumanBytes;
use jiff::Timestamp;

use crate::cli::{harmless, time, words};

/// How long a line may be that could be longer.
const WIDTH: usize = 80;

/// Writes it.
pub(super) fn write(
    output: &mut impl Write,
    status: &Status,
    warnings: &[String],
    now: Timestamp,
) -> io::Result<()> {
    if status.running.is_empty() {
        writeln!(
            output,
            "no filter is attached; `geodrop attach -i IFACE` attaches one"
        )?;
    }
    for running in &status.running {
        write_filter(output, running, now)?;
    }
    for source in warnings::sources(&status.running) {
        let age = warnings::age(&source, now);
        match (source.date, age) {
            (Some(date), Some(1)) => {
                writeln!(output, "data: {} of {date}, 1 day old", source.source)?;
            }
            (Some(date), Some(days @ 0..)) => {
                writeln!(output, "data: {} of {date}, {days} days old", source.source)?;
            }
            (Some(date), _) => writeln!(output, "data: {} of {date}", source.source)?,
            (None, _) => writeln!(output, "data: {}", source.source)?,
        }
    }
    for warning in warnings {
        writeln!(output, "warning: {}", harmless(warning))?;
    }
    if warnings.is_empty() && !status.running.is_empty() {
        writeln!(output, "nothing is wrong")?;
    }
    Ok(())
}

fn write_filter(output: &mut impl Write, running: &Running, now: Timestamp) -> io::Result<()> {
    let name = &running.interface.name;
    let about = &running.about;
    let enforcement = running.enforcement(now);
    writeln!(output, "{}", policy(name, about, enforcement))?;
    if let Enforcement::Awaits(instant) = enforcement {
        let ahead = length(instant, now);
        writeln!(
            output,
            "  drops by country from {instant:.0} on, which is in {ahead}"
        )?;
    }
    writeln!(output, "  {}", age(running, now))?;
    write_trial(output, running.trial)?;
    let config = about.config.as_ref().map_or_else(
        || "policy of the command line".to_owned(),
        |config| format!("policy {}", config.display()),
    );
    match &running.owner {
        Some(owner) => writeln!(output, "  {config}, looked after by {owner}")?,
        None => writeln!(
            output,
            "  {config}, stands alone until `geodrop detach -i {name}`"
        )?,
    }
    writeln!(
        output,
        "  {}{}, engine {}; {} IPv4 and {} IPv6 ranges in {} KiB",
        running.hook.word(),
        running
            .mode
            .map_or_else(String::new, |mode| format!(" {mode}")),
        about.engine,
        about.ranges.ipv4,
        about.ranges.ipv6,
        running.memory.div_ceil(1024)
    )?;
    write_counters(output, running, enforcement)?;
    let exceptions = running.exceptions.iter().map(exception);
    write_list(output, "  exceptions: ", exceptions.collect())
}

/// What becomes of which countries.
fn policy(name: &str, about: &About, enforcement: Enforcement) -> String {
    if enforcement == Enforcement::Lapsed {
        return format!("{name}: nobody confirmed the policy in time: it filters nothing any more");
    }
    let drops = enforcement == Enforcement::Drops;
    let (what, countries) = match (about.only.is_empty(), drops) {
        (true, true) => ("blocking", &about.block),
        (true, false) => ("only counting", &about.block),
        (false, true) => ("admitting only", &about.only),
        (false, false) => ("counting all but", &about.only),
    };
    let rules = match about.rules {
        0 => String::new(),
        1 => ", and 1 rule for ports".to_owned(),
        count => format!(", and {count} rules for ports"),
    };
    let begin = format!("{name}: {what} ");
    let names = format!("{begin}{}{rules}", geoip::names(countries));
    if countries.is_empty() {
        format!("{begin}no country{rules}")
    } else if names.chars().count() <= WIDTH {
        names
    } else {
        let codes = countries.iter().map(Country::to_string);
        fitted(&begin, codes.collect(), WIDTH.saturating_sub(rules.len())) + &rules
    }
}

/// Since when there is a filter, and this generation of it.
fn age(running: &Running, now: Timestamp) -> String {
    let number = running.generation;
    let About {
        attached, since, ..
    } = &running.about;
    match (attached, since) {
        (Some(attached), Some(since)) if attached != since => format!(
            "on for {}, since {attached:.0}; generation {number} for {}",
            length(now, *attached),
            length(now, *since)
        ),
        (_, Some(since)) => format!(
            "on for {}, since {since:.0}; generation {number}",
            length(now, *since)
        ),
        _ => format!("generation {number}"),
    }
}

fn write_trial(output: &mut impl Write, trial: Option<Trial>) -> io::Result<()> {
    match trial {
        Some(Trial {
            left: Some(left), ..
        }) => writeln!(
            output,
            "  on trial for another {}; `geodrop confirm` keeps it",
            time::text(left)
        ),
        Some(Trial {
            before: Some(_), ..
        }) => writeln!(
            output,
            "  nobody confirmed the one after it in time: it is in force again"
        ),
        Some(_) | None => Ok(()),
    }
}

fn write_counters(
    output: &mut impl Write,
    running: &Running,
    enforcement: Enforcement,
) -> io::Result<()> {
    let counters = &running.counters;
    let dropped = words::dropped(counters);
    let word = match enforcement {
        Enforcement::Drops | Enforcement::Lapsed => "dropped",
        // While it was another policy, perhaps, or what is denied.
        Enforcement::Awaits(_) | Enforcement::Counts => "dropped, or would have,",
    };
    write_counter(output, word, &dropped, Counter::default())?;
    let admitted: Vec<_> = words::by_country(&counters.admitted)
        .into_iter()
        .map(|(country, counter)| (country.to_string(), counter))
        .collect();
    let replies = ("replies".to_owned(), counters.replies);
    let other = ("not IP".to_owned(), counters.non_ip);
    let parts: Vec<_> = admitted
        .into_iter()
        .chain([replies, other])
        .filter(|(_, counter)| counter.packets > 0)
        .collect();
    write_counter(output, "passed", &parts, counters.passed)
}

/// Writes how much that was in all: the parts, and what is told in none of them.
fn write_counter(
    output: &mut impl Write,
    word: &str,
    parts: &[(String, Counter)],
    rest: Counter,
) -> io::Result<()> {
    let sum = parts.iter().fold(rest, |sum, (_, part)| Counter {
        packets: sum.packets + part.packets,
        bytes: sum.bytes + part.bytes,
    });
    let begin = format!(
        "  {word} {} packets, {}",
        sum.packets,
        HumanBytes(sum.bytes)
    );
    if parts.is_empty() {
        return writeln!(output, "{begin}");
    }
    let parts = parts.iter();
    let parts = parts.map(|(name, part)| format!("{name} {}", part.packets));
    write_list(output, &format!("{begin}: "), parts.collect())
}

fn exception(decision: &Decision) -> String {
    let verb = match decision.action {
        Action::Pass => "passes",
        Action::Drop => "drops",
    };
    let left = decision
        .left
        .map_or_else(String::new, |left| format!(" for {}", time::roughly(left)));
    format!("{} {verb}{left}", decision.address)
}

/// Writes a line of what there is any of.
fn write_list(output: &mut impl Write, begin: &str, items: Vec<String>) -> io::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(output, "{}", fitted(begin, items, WIDTH))
}

/// As many items as a line has room for, and how many more there are.
fn fitted(begin: &str, items: Vec<String>, width: usize) -> String {
    let all = items.len();
    let mut line = begin.to_owned();
    for (index, item) in items.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let left = all - index;
        let more = format!(", {left} more").len();
        let room = if left == 1 { 0 } else { more };
        if index > 0 && line.chars().count() + comma.len() + item.chars().count() + room > width {
            return format!("{line}, {left} more");
        }
        line.push_str(comma);
        line.push_str(&item);
    }
    line
}

/// How long it was from one instant to another, about.
fn length(to: Timestamp, from: Timestamp) -> String {
    let time = Duration::try_from(to.duration_since(from));
    // Clocks are set back.
    time::roughly(time.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use geodrop::datapath::{
        about::{About, Ranges},
        counters::Counters,
        interface::Mode,
    };

    use super::*;

    fn counter(packets: u64) -> Counter {
        let bytes = packets * 64;
        Counter { packets, bytes }
    }

    fn now() -> Timestamp {
        "2026-07-01T12:00:00Z".parse().unwrap()
    }

    fn running() -> Running {
        let running = crate::cli::running::running();
        Running {
            mode: Some(Mode::Generic),
            about: About {
                attached: "2026-06-01T12:00:00Z".parse().ok(),
                since: "2026-07-01T10:30:00Z".parse().ok(),
                rules: 2,
                ranges: Ranges {
                    ipv4: 334_373,
                    ipv6: 216_295,
                },
                config: Some("/etc/geodrop/policy.toml".into()),
                ..running.about
            },
            counters: Counters {
                passed: counter(5_000),
                denied: counter(2),
                replies: counter(10),
                countries: [
                    (Country::CHINA, counter(7)),
                    (Country::HONG_KONG, counter(9)),
                ]
                .into(),
                ..Counters::default()
            },
            owner: Some("process 123 (geodrop)".to_owned()),
            ..running
        }
    }

    fn screen(running: Running, warnings: &[&str]) -> String {
        let status = Status {
            running: vec![running],
            warnings: Vec::new(),
        };
        let warnings: Vec<_> = warnings.iter().map(|&text| text.to_owned()).collect();
        let mut output = Vec::new();
        write(&mut output, &status, &warnings, now()).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn it_answers_what_somebody_asks_who_looks() {
        assert_eq!(
            screen(running(), &[]),
            "\
eth0: blocking China (CN), Hong Kong (HK), and 2 rules for ports
  on for 30d, since 2026-06-01T12:00:00Z; generation 3 for 1h 30m
  policy /etc/geodrop/policy.toml, looked after by process 123 (geodrop)
  xdp generic, engine multibit; 334373 IPv4 and 216295 IPv6 ranges in 12288 KiB
  dropped 18 packets, 1.12 KiB: HK 9, CN 7, denied 2
  passed 5010 packets, 313.12 KiB: replies 10
data: builtin of 2026-06-17, 14 days old
nothing is wrong
"
        );
    }

    #[test]
    fn what_only_counts_says_so() {
        let mut held_back = running();
        held_back.about.effective_from = "2026-07-03T13:00:00Z".parse().ok();
        let said = screen(held_back, &["eth0 is wrong; mend it"]);
        assert!(said.starts_with("eth0: only counting China (CN)"), "{said}");
        for line in [
            "  drops by country from 2026-07-03T13:00:00Z on, which is in 2d 1h\n",
            "  dropped, or would have, 18 packets, ",
            "\nwarning: eth0 is wrong; mend it\n",
        ] {
            assert!(said.contains(line), "{said}");
        }
        assert!(!said.contains("nothing is wrong"));
    }

    #[test]
    fn however_much_there_is_to_tell_it_fits() {
        let mut running = running();
        let codes =
            "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN";
        let countries: Vec<Country> = codes.split(' ').map(|code| code.parse().unwrap()).collect();
        let counters = countries.iter().map(|country| (*country, counter(1 << 40)));
        running.counters.countries = counters.clone().collect();
        running.counters.admitted = counters.collect();
        running.about.only = countries;
        let decision = |last| Decision {
            address: format!("2001:db8:1111:2222:3333:4444:5555:{last}")
                .parse()
                .unwrap(),
            action: Action::Pass,
            left: Some(Duration::from_secs(90)),
        };
        running.exceptions = (0..9).map(decision).collect();
        let said = screen(running, &[]);
        assert!(said.lines().count() <= 12, "{said}");
        for line in said.lines() {
            assert!(line.chars().count() <= WIDTH + 2, "{line}");
        }
        assert!(said.contains(" more, and 2 rules for ports\n"), "{said}");
        assert!(said.contains(" for 1m 30s, 8 more\n"), "{said}");
    }
}
