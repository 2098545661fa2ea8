//! A policy for other tools: which sources it drops, in what they load as it is.
//!
//! ```text
//! Ruleset ──blocklist──▶ Blocklist ──cidr · ipset · nft──▶ text
//!           ranges that drop          one file a format
//! ```
//!
//! What a packet meets here depends on more than its source. How much of that a format says:
//!
//! | | `cidr`, `ipset` | `nft` |
//! |---|---|---|
//! | countries, `allow`, `deny`, special-purpose and unknown addresses | yes | yes |
//! | addresses that carry an IPv4 address ([`carrier`]) | as IPv6 prefixes | as IPv6 ranges |
//! | rules for ports | no | yes |
//! | replies pass, but not from `deny` prefixes | no | by connection tracking |
//! | `monitor`, `effective_from`, `action` | no | yes |
//!
//! What a format does not say of a policy, it [names](LeftOut). Malformed packets are nobody's source; they are left to the
//! other tool altogether.
//!
//! [`carrier`]: crate::policy::carrier

mod blocklist;
pub mod cidr;
pub mod ipset;
mod left_out;
pub mod nft;

use std::io::{self, Write};

use jiff::Timestamp;

use crate::{
    geoip::{GeoData, Source},
    policy::{Policy, Ruleset},
};

pub use blocklist::{Blocklist, Sources};
pub use left_out::LeftOut;

/// A policy, and what the formats say of it.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The sources that it drops.
    pub blocklist: Blocklist,
    /// What it was made of, for people: comments of a file say it. A line each.
    pub about: Vec<String>,
    /// The interfaces that it is for; of none, all but the loopback.
    pub interfaces: Vec<String>,
    /// When it is made: an `effective_from` that is not later is of no more account.
    pub now: Timestamp,
}

impl<'a> Export<'a> {
    /// A policy applied to data, as of now, for all interfaces, with the sources of the data to tell of.
    #[must_use]
    pub fn new(policy: &'a Policy, data: &GeoData) -> Self {
        Self {
            policy,
            blocklist: Blocklist::new(&Ruleset::new(policy, data), policy.rules.len()),
            about: data.sources().map(source_text).collect(),
            interfaces: Vec::new(),
            now: Timestamp::now(),
        }
    }

    /// The instant from which on countries drop, if it is still to come.
    #[must_use]
    pub fn held_back_until(&self) -> Option<Timestamp> {
        self.policy
            .effective_from
            .filter(|instant| *instant > self.now)
    }
}

/// Where data comes from, and whom its licence asks to be named.
fn source_text(source: &Source) -> String {
    let version = source.version.as_ref();
    let parts = [
        Some(source.source.clone()),
        version.map(|version| format!("version {version}")),
        source.date.map(|date| format!("of {date}")),
        source.licence.clone(),
        source.attribution.clone(),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    format!("GeoIP data: {}", parts.join("; "))
}

/// Writes comments, as all these formats have them. Files name themselves in them, and may do it with anything: what could
/// end a line does not get through.
fn comment<T: AsRef<str>>(
    output: &mut impl Write,
    lines: impl IntoIterator<Item = T>,
) -> io::Result<()> {
    for line in lines {
        let line = line.as_ref().replace(char::is_control, " ");
        writeln!(output, "{}", format!("# {line}").trim_end())?;
    }
    Ok(())
}

/// Writes what every file begins with.
fn head(output: &mut impl Write, export: &Export<'_>, left_out: &[LeftOut]) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    comment(output, [format!("Made by geodrop {version}.")])?;
    comment(output, &export.about)?;
    comment(
        output,
        left_out.iter().map(|what| format!("Left out: {what}.")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_file_calls_itself_ends_a_comment() {
        let mut output = Vec::new();
        comment(&mut output, ["a\nadd rule\rb\u{85}c", ""]).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "# a add rule b c\n#\n");
    }
}
