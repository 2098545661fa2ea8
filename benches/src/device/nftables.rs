//! nftables: a set of prefixes, and one rule that drops what comes from it.

use std::{fmt::Write as _, net::Ipv4Addr};

use anyhow::Context as _;
use geodrop::{range::Prefix, testbed::Namespace};
use serde_json::Value;

use super::tool;

/// Where in the way of a packet the set is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before the network stack, where its buffer has been made.
    Ingress,
    /// As the first thing in it.
    Raw,
}

impl Hook {
    const fn family(self) -> &'static str {
        match self {
            Self::Ingress => "netdev",
            Self::Raw => "ip",
        }
    }

    fn chain(self, interface: &str) -> String {
        match self {
            Self::Ingress => {
                format!(
                    "type filter hook ingress device \"{interface}\" priority 0; policy accept;"
                )
            }
            Self::Raw => "type filter hook prerouting priority raw; policy accept;".to_owned(),
        }
    }
}

/// Blocks prefixes in a namespace in which nothing is. Returns how much memory that took `nft`, in bytes.
///
/// # Errors
///
/// When `nft` fails.
pub fn set_up(
    namespace: &Namespace,
    interface: &str,
    hook: Hook,
    prefixes: &[Prefix<Ipv4Addr>],
) -> anyhow::Result<u64> {
    let script = format!(
        "table {family} geodrop_bench {{\n\
         counter dropped {{\n}}\n\
         set blocked {{\ntype ipv4_addr\nflags interval\nelements = {{ {elements} }}\n}}\n\
         chain filter {{\n{chain}\nip saddr @blocked counter name dropped drop\n}}\n}}\n",
        family = hook.family(),
        elements = elements(prefixes),
        chain = hook.chain(interface),
    );
    Ok(tool::run(namespace, "nft", &["-f", "-"], &script)?.memory)
}

/// Puts prefixes in the place of those that are blocked, in one transaction.
///
/// # Errors
///
/// When `nft` fails.
pub fn replace(
    namespace: &Namespace,
    hook: Hook,
    prefixes: &[Prefix<Ipv4Addr>],
) -> anyhow::Result<()> {
    let set = format!("{} geodrop_bench blocked", hook.family());
    let script = format!(
        "flush set {set}\nadd element {set} {{ {} }}\n",
        elements(prefixes)
    );
    tool::run(namespace, "nft", &["-f", "-"], &script).map(drop)
}

/// How many packets were dropped since this was asked before. (Asking with `list` has `nft` fetch all sets first: 20 s with half
/// a million prefixes.)
///
/// # Errors
///
/// When `nft` fails, or says something else.
pub fn dropped(namespace: &Namespace, hook: Hook) -> anyhow::Result<u64> {
    let arguments = [
        "-j",
        "reset",
        "counter",
        hook.family(),
        "geodrop_bench",
        "dropped",
    ];
    let said = tool::run(namespace, "nft", &arguments, "")?.said;
    packets(&said).context("`nft` does not say how many packets it dropped")
}

/// The first counter of what `nft -j` says.
fn packets(said: &str) -> Option<u64> {
    let said: Value = serde_json::from_str(said).ok()?;
    let mut objects = said.get("nftables")?.as_array()?.iter();
    objects.find_map(|object| object.get("counter")?.get("packets")?.as_u64())
}

fn elements(prefixes: &[Prefix<Ipv4Addr>]) -> String {
    let mut text = String::new();
    for prefix in prefixes {
        // Writing to a string does not fail.
        let _ = write!(text, "{prefix}, ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_among_other_things() {
        let said = r#"{"nftables": [{"metainfo": {"version": "1"}},
            {"counter": {"family": "ip", "name": "dropped", "packets": 17, "bytes": 3}}]}"#;
        assert_eq!(packets(said), Some(17));
        assert_eq!(packets(r#"{"nftables": []}"#), None);
        assert_eq!(packets("Error"), None);
    }
}
