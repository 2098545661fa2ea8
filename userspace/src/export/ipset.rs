//! What `ipset restore` reads: the sets `geodrop4` and `geodrop6`, of the type `hash:net`.
//!
//! They are filled beside those that are in use and then swapped with them, so that no packet meets a set that is half filled,
//! and rules that name them stay. What is left of an attempt that failed does not stand in the way of the next.

use std::io::{self, Write};

use super::{Export, LeftOut, comment, head};
use crate::{
    policy::Replies,
    range::{Address, Prefix},
};

/// How many entries a set may have: far more than any policy makes, and always the same, for sets that differ in it are not
/// the same to ipset. It takes no memory.
const MOST_ENTRIES: u32 = 1 << 24;

/// Writes the sources that drop of packets that come under no rule for ports.
///
/// # Errors
///
/// Those of the output.
pub fn write(output: &mut impl Write, export: &Export<'_>, left_out: &[LeftOut]) -> io::Result<()> {
    head(output, export, left_out)?;
    comment(output, ["Load it by `ipset restore`, and refer to it by:"])?;
    let interface = match export.interfaces.as_slice() {
        [] => "! -i lo".to_owned(),
        [one] => format!("-i {one}"),
        _ => "-i INTERFACE".to_owned(),
    };
    let replies = "-m conntrack --ctdir REPLY -j RETURN";
    for (program, set) in [("iptables", "geodrop4"), ("ip6tables", "geodrop6")] {
        let append = format!("  {program} -t mangle -A PREROUTING {interface}");
        let passing = (export.policy.replies == Replies::Pass).then_some(replies);
        let dropping = format!("-m set --match-set {set} src -j DROP");
        let rules = passing.into_iter().chain([dropping.as_str()]);
        comment(output, rules.map(|rule| format!("{append} {rule}")))?;
    }
    let sources = export.blocklist.all();
    set(output, "geodrop4", "inet", sources.ipv4_prefixes())?;
    set(output, "geodrop6", "inet6", sources.ipv6_prefixes())
}

fn set<A: Address>(
    output: &mut impl Write,
    name: &str,
    family: &str,
    prefixes: impl Iterator<Item = Prefix<A>>,
) -> io::Result<()> {
    for name in [name, &format!("{name}-new")] {
        writeln!(
            output,
            "create {name} hash:net family {family} maxelem {MOST_ENTRIES} -exist"
        )?;
    }
    writeln!(output, "flush {name}-new")?;
    for prefix in prefixes {
        // A set of this type has no prefix of no bits.
        let halves = (prefix.length() == 0).then(|| prefix.halves()).flatten();
        match halves {
            Some([one, other]) => {
                writeln!(output, "add {name}-new {one}\nadd {name}-new {other}")?;
            }
            None => writeln!(output, "add {name}-new {prefix}")?,
        }
    }
    writeln!(output, "swap {name}-new {name}\ndestroy {name}-new")
}
