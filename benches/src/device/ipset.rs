//! ipset: a set `hash:net`, looked up by a rule of iptables in the table `raw`.

use std::{fmt::Write as _, net::Ipv4Addr};

use anyhow::Context as _;
use geodrop::{range::Prefix, testbed::Namespace};

use super::tool;

/// The set's name.
const SET: &str = "geodrop_bench";

/// Blocks prefixes in a namespace in which nothing is. Returns how much memory that took `ipset`, in bytes.
///
/// # Errors
///
/// When `ipset` or `iptables` fails.
pub fn set_up(namespace: &Namespace, prefixes: &[Prefix<Ipv4Addr>]) -> anyhow::Result<u64> {
    let filled = tool::run(namespace, "ipset", &["restore"], &restore(SET, prefixes))?;
    let rule = [
        "-t",
        "raw",
        "-A",
        "PREROUTING",
        "-m",
        "set",
        "--match-set",
        SET,
        "src",
        "-j",
        "DROP",
    ];
    tool::run(namespace, "iptables", &rule, "")?;
    Ok(filled.memory)
}

/// Puts prefixes in the place of those that are blocked: another set is filled, and the two are swapped.
///
/// # Errors
///
/// When `ipset` fails.
pub fn replace(namespace: &Namespace, prefixes: &[Prefix<Ipv4Addr>]) -> anyhow::Result<()> {
    let next = format!("{SET}_next");
    let script = format!(
        "{}swap {SET} {next}\ndestroy {next}\n",
        restore(&next, prefixes)
    );
    tool::run(namespace, "ipset", &["restore"], &script).map(drop)
}

/// How many packets have been dropped.
///
/// # Errors
///
/// When `iptables-save` fails, or says something else.
pub fn dropped(namespace: &Namespace) -> anyhow::Result<u64> {
    let said = tool::run(namespace, "iptables-save", &["-c", "-t", "raw"], "")?.said;
    packets(&said).context("`iptables-save` does not say how many packets it dropped")
}

/// How much memory of the kernel the set takes, as ipset says.
///
/// # Errors
///
/// When `ipset` fails, or says something else.
pub fn memory(namespace: &Namespace) -> anyhow::Result<u64> {
    let said = tool::run(namespace, "ipset", &["list", "-terse", SET], "")?.said;
    said.lines()
        .find_map(|line| line.strip_prefix("Size in memory:")?.trim().parse().ok())
        .context("`ipset` does not say how large the set is")
}

/// The script that makes and fills a set.
fn restore(set: &str, prefixes: &[Prefix<Ipv4Addr>]) -> String {
    let most = prefixes.len().max(1);
    let mut text = format!("create {set} hash:net family inet maxelem {most}\n");
    for prefix in prefixes {
        // Writing to a string does not fail.
        let _ = writeln!(text, "add {set} {prefix}");
    }
    text
}

/// The packets of the rule: `[packets:bytes] -A PREROUTING …`.
fn packets(said: &str) -> Option<u64> {
    said.lines().find_map(|line| {
        let (counter, rule) = line.strip_prefix('[')?.split_once("] ")?;
        let (packets, _) = counter.split_once(':')?;
        rule.contains(SET).then(|| packets.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_packets_are_found() {
        let said = "*raw\n:PREROUTING ACCEPT [5:300]\n\
                    [17:1020] -A PREROUTING -m set --match-set geodrop_bench src -j DROP\nCOMMIT\n";
        assert_eq!(packets(said), Some(17));
        assert_eq!(packets("*raw\n:PREROUTING ACCEPT [5:300]\nCOMMIT\n"), None);
    }

    #[test]
    fn a_set_has_room_for_all_prefixes() {
        let prefix = Prefix::around(Ipv4Addr::new(1, 0, 1, 0), 24).unwrap();
        assert_eq!(
            restore("s", &[prefix]),
            "create s hash:net family inet maxelem 1\nadd s 1.0.1.0/24\n"
        );
    }
}
