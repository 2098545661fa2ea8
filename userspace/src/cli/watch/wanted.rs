//! Which packets are to be shown.

use std::{collections::BTreeSet, ops::RangeInclusive};

use clap::Args;
use geodrop::{
    datapath::{
        report::Origin,
        watch::{Event, Headers},
    },
    geoip::Country,
    policy::{config, groups::Groups},
};
use ipnet::IpNet;

use super::super::{
    Usage, options,
    protocol::{protocol_name, protocol_number},
};

/// What chooses among the packets that the kernel hands over.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only from these countries: ISO 3166-1 codes, EU, continents (ASIA …)
    #[arg(long, value_name = "CC", value_delimiter = ',', num_args = 1..)]
    country: Vec<String>,

    /// Only from this prefix or address
    #[arg(long, value_name = "CIDR", value_parser = config::prefix)]
    source: Option<IpNet>,

    /// Only to this port, or these: 22, 8000-8100
    #[arg(long, value_name = "PORT", value_parser = ports)]
    port: Option<RangeInclusive<u16>>,

    /// Only of this protocol: tcp, udp, icmp (of both families), or a number
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol)]
    proto: Option<Protocol>,
}

/// What an argument of `--proto` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Number(u8),
    Icmp,
}

/// What is wanted of a packet: all that is said.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    countries: BTreeSet<Country>,
    source: Option<IpNet>,
    port: Option<RangeInclusive<u16>>,
    protocol: Option<Protocol>,
}

impl Options {
    pub(super) fn resolve(&self) -> Result<Wanted, Usage> {
        let members = options::members("--country", &self.country, &Groups::default())?;
        Ok(Wanted {
            countries: members.countries,
            source: self.source,
            port: self.port.clone(),
            protocol: self.proto,
        })
    }
}

impl Wanted {
    /// Whether a packet with these headers is wanted.
    pub(super) fn has(&self, event: &Event, headers: Option<&Headers>) -> bool {
        let country = match event.origin {
            Some(Origin::Country(country)) => Some(country),
            _ => None,
        };
        let port = headers.and_then(|headers| headers.ports);
        let protocol = headers.and_then(|headers| headers.protocol);
        (self.countries.is_empty() || holds(country, |one| self.countries.contains(&one)))
            && accepts(self.source.as_ref(), headers, |net, one| {
                net.contains(&one.source)
            })
            && accepts(self.port.as_ref(), port, |range, one| {
                range.contains(&one.destination)
            })
            && accepts(self.protocol, protocol, Protocol::is)
    }
}

/// Whether something is there, and right.
fn holds<T>(thing: Option<T>, is_right: impl FnOnce(T) -> bool) -> bool {
    thing.is_some_and(is_right)
}

/// Whether nothing is asked for, or what is there is it.
fn accepts<A, T>(asked: Option<A>, there: Option<T>, is_it: impl FnOnce(A, T) -> bool) -> bool {
    asked.is_none_or(|asked| holds(there, |there| is_it(asked, there)))
}

impl Protocol {
    fn is(self, number: u8) -> bool {
        match self {
            Self::Number(one) => one == number,
            Self::Icmp => ["icmp", "icmpv6"].contains(&&*protocol_name(number)),
        }
    }
}

fn protocol(text: &str) -> Result<Protocol, Usage> {
    if text.eq_ignore_ascii_case("icmp") {
        return Ok(Protocol::Icmp);
    }
    let number = protocol_number(&text.to_ascii_lowercase());
    let number = number.or_else(|| text.parse().ok());
    number.map(Protocol::Number).ok_or_else(|| {
        Usage(format!(
            "`{text}` is no protocol; write tcp, udp, icmp, icmpv6, or the number that IP headers have, like 47"
        ))
    })
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, Usage> {
    config::port_numbers(text)
        .filter(|(first, last)| first <= last)
        .map(|(first, last)| first..=last)
        .ok_or_else(|| Usage(format!("`{text}` is no port; write 22, or 8000-8100")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_protocols_are_read_or_refused_with_how_to_write_them() {
        assert_eq!(ports("22").unwrap(), 22..=22);
        assert_eq!(ports("8000-8100").unwrap(), 8000..=8100);
        for text in ["", "x", "70000", "9-8", "tcp/22", "+1"] {
            assert!(ports(text).unwrap_err().0.contains("write 22"), "{text}");
        }
        assert_eq!(protocol("TCP").unwrap(), Protocol::Number(6));
        assert_eq!(protocol("47").unwrap(), Protocol::Number(47));
        assert!(protocol("icmp").unwrap().is(1) && protocol("icmp").unwrap().is(58));
        assert!(protocol("300").unwrap_err().0.contains("like 47"));
    }
}
