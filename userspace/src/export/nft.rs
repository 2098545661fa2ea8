//! What `nft -f` reads: the table `inet geodrop`, with all that the policy says.
//!
//! Loading it replaces the table of that name in one transaction. Packets meet it where they come in (`prerouting`), before
//! routing, and where replies pass behind connection tracking. What it lets pass goes on to all other tables.
//!
//! | in the order of the chain | is |
//! |---|---|
//! | other interfaces | `accept`: what comes in elsewhere, and what the host sends to itself |
//! | `denied` | `deny`, which nothing stays |
//! | replies | `accept`, by the direction of their connection |
//! | before the instant of `effective_from` | `accept` |
//! | rules for ports | a chain each |
//! | `blocked` | the country rule |
//!
//! Sets hold ranges, not prefixes: nft keeps them as such, and there are fewer.

use std::{
    fmt::{self, Display},
    io::{self, Write},
    net::{IpAddr, Ipv6Addr},
};

use super::{Export, LeftOut, Sources, head};
use crate::{
    policy::{PortRule, Protocol, Refusal, Replies, config::protocol_text},
    range::{Address, Range},
};

/// A name of an interface that nft cannot be told: it takes `*` for any end of a name, and has no way to write a quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nft cannot be told of an interface that is called `{0}`; rename it, or name others in the configuration"
)]
pub struct UnspeakableInterface(pub String);

/// What nft does not say of the policy.
#[must_use]
pub fn left_out(export: &Export<'_>) -> Vec<LeftOut> {
    // Connection tracking puts fragments together.
    let tracks = export.policy.replies == Replies::Pass;
    let fragments = !export.policy.rules.is_empty() && !tracks;
    fragments
        .then_some(LeftOut::LaterFragments)
        .into_iter()
        .collect()
}

/// The first interface that nft cannot be told of is an error.
///
/// # Errors
///
/// [`UnspeakableInterface`].
pub fn speakable(interfaces: &[String]) -> Result<(), UnspeakableInterface> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_@+:".contains(c);
    match interfaces.iter().find(|name| !name.chars().all(is_plain)) {
        Some(name) => Err(UnspeakableInterface(name.clone())),
        None => Ok(()),
    }
}

/// Writes the table. The interfaces have to be [`speakable`].
///
/// # Errors
///
/// Those of the output.
pub fn write(output: &mut impl Write, export: &Export<'_>, left_out: &[LeftOut]) -> io::Result<()> {
    head(output, export, left_out)?;
    // A table can be deleted only if it is there; both happen in one transaction.
    writeln!(output, "add table inet geodrop\ndelete table inet geodrop")?;
    writeln!(output, "table inet geodrop {{")?;
    let blocklist = &export.blocklist;
    sets(output, "denied", &blocklist.denied)?;
    sets(output, "blocked", &blocklist.blocked)?;
    for (number, sources) in (1..).zip(&blocklist.by_port) {
        sets(output, &of_rule(number), sources)?;
    }

    let policy = export.policy;
    let fate = match (policy.monitor, policy.refusal) {
        (true, _) => "accept",
        (false, Refusal::Drop) => "drop",
        (false, Refusal::Reject) => "goto reject_source",
    };
    if !policy.monitor && policy.refusal == Refusal::Reject {
        // As many answers as geodrop gives on a CPU.
        writeln!(
            output,
            "\tchain reject_source {{\n\
             \t\tmeta l4proto tcp limit rate 1000/second reject with tcp reset\n\
             \t\tmeta l4proto != tcp limit rate 1000/second reject with icmpx type admin-prohibited\n\
             \t\tdrop\n\t}}"
        )?;
    }
    for (number, sources) in (1..).zip(&blocklist.by_port) {
        let name = of_rule(number);
        writeln!(output, "\tchain {name} {{")?;
        rules(output, &name, sources, fate)?;
        writeln!(output, "\t}}")?;
    }
    writeln!(output, "\tchain incoming {{")?;
    let priority = match policy.replies {
        Replies::Pass => "mangle",
        Replies::Drop => "raw",
    };
    writeln!(
        output,
        "\t\ttype filter hook prerouting priority {priority}; policy accept;"
    )?;
    match export.interfaces.as_slice() {
        [] => writeln!(output, "\t\tiifname \"lo\" accept")?,
        names => {
            let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
            writeln!(output, "\t\tiifname != {{ {} }} accept", names.join(", "))?;
        }
    }
    rules(output, "denied", &blocklist.denied, fate)?;
    if policy.replies == Replies::Pass {
        writeln!(output, "\t\tct direction reply accept")?;
    }
    if let Some(instant) = export.held_back_until() {
        writeln!(output, "\t\tmeta time < {} accept", instant.as_second())?;
    }
    for (number, rule) in (1..).zip(&policy.rules) {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            if let Some(ports) = ports(rule, protocol) {
                let protocol = protocol_text(protocol);
                let chain = of_rule(number);
                writeln!(output, "\t\t{protocol} dport {{ {ports} }} goto {chain}")?;
            }
        }
    }
    rules(output, "blocked", &blocklist.blocked, fate)?;
    writeln!(output, "\t}}\n}}")
}

/// The name of what belongs to a rule for ports.
fn of_rule(number: usize) -> String {
    format!("rule{number}")
}

/// The ports of a protocol that a rule names, if it names any.
fn ports(rule: &PortRule, protocol: Protocol) -> Option<String> {
    let ports = rule.ports.iter();
    let ports = ports.filter(|ports| ports.protocol == protocol);
    let mut ports: Vec<_> = ports
        .map(|ports| (*ports.numbers.start(), *ports.numbers.end()))
        .collect();
    ports.sort_unstable();
    // nft refuses ports that overlap.
    ports.dedup_by(|next, kept| {
        let touches = u32::from(next.0) <= u32::from(kept.1) + 1;
        if touches {
            kept.1 = kept.1.max(next.1);
        }
        touches
    });
    let ports: Vec<_> = ports
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    (!ports.is_empty()).then(|| ports.join(", "))
}

/// Writes a set for each family of which there are addresses.
fn sets(output: &mut impl Write, name: &str, sources: &Sources) -> io::Result<()> {
    set(output, &format!("{name}_ipv4"), "ipv4_addr", sources.ipv4())?;
    set(output, &format!("{name}_ipv6"), "ipv6_addr", sources.ipv6())
}

fn set<A: Address>(
    output: &mut impl Write,
    name: &str,
    kind: &str,
    ranges: impl ExactSizeIterator<Item = Range<A>>,
) -> io::Result<()> {
    if ranges.len() == 0 {
        return Ok(());
    }
    writeln!(
        output,
        "\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval\n\t\telements = {{"
    )?;
    for range in ranges {
        let (first, last) = (Plain(range.first().into()), Plain(range.last().into()));
        let mut prefixes = range.prefixes();
        match (prefixes.next(), prefixes.next()) {
            (Some(prefix), None) if prefix.length() == A::WIDTH => {
                writeln!(output, "\t\t\t{first},")
            }
            (Some(prefix), None) => writeln!(output, "\t\t\t{first}/{},", prefix.length()),
            _ => writeln!(output, "\t\t\t{first}-{last},"),
        }?;
    }
    writeln!(output, "\t\t}}\n\t}}")
}

/// Writes the rules that drop what comes from the sources of a pair of sets.
fn rules(output: &mut impl Write, name: &str, sources: &Sources, fate: &str) -> io::Result<()> {
    for (is_empty, protocol, family) in [
        (sources.ipv4().len() == 0, "ip", "ipv4"),
        (sources.ipv6().len() == 0, "ip6", "ipv6"),
    ] {
        if !is_empty {
            writeln!(
                output,
                "\t\t{protocol} saddr @{name}_{family} counter {fate}"
            )?;
        }
    }
    Ok(())
}

/// An address as nft reads it: it knows none that ends like an IPv4 address, as IPv4-mapped ones are mostly written.
struct Plain(IpAddr);

impl Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
                let [.., high, low] = Ipv6Addr::segments(&address);
                write!(f, "::ffff:{high:x}:{low:x}")
            }
            address => address.fmt(f),
        }
    }
}
