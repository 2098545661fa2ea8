//! Values that are written as text, in a file as on the command line: prefixes, ports, instants.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use jiff::{Timestamp, civil};

use super::super::{Ports, Protocol};

/// What is wrong with a text, and what to write in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct Misspelt {
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub remedy: String,
}

fn misspelt(what: impl Into<String>, remedy: impl Into<String>) -> Misspelt {
    Misspelt {
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// Reads a prefix, or an address as the prefix that holds just that.
///
/// # Errors
///
/// What is neither, and prefixes that have bits beyond their length: half of those are addresses whose owner did not
/// mean the whole prefix.
pub fn prefix(text: &str) -> Result<IpNet, Misspelt> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let prefix: IpNet = text.parse().map_err(|_| {
        misspelt(
            format!("`{text}` is not a prefix and not an address"),
            "write a prefix like 192.0.2.0/24 or 2001:db8::/32, or an address",
        )
    })?;
    if prefix.trunc() != prefix {
        return Err(misspelt(
            format!("`{text}` has bits set beyond the prefix length"),
            format!(
                "write {} if you mean the whole prefix, or {} if you mean that address",
                prefix.trunc(),
                prefix.addr()
            ),
        ));
    }
    Ok(prefix)
}

/// Reads an instant: RFC 3339, with the offset from UTC.
///
/// # Errors
///
/// What is no instant. A local time is none: the same text would mean another instant on a server in another time
/// zone.
pub fn instant(text: &str) -> Result<Timestamp, Misspelt> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    if let Ok(local) = text.parse::<civil::DateTime>() {
        return Err(misspelt(
            format!("`{text}` does not say in which time zone"),
            format!("add the offset from UTC: {local}+08:00 for Beijing's time, {local}Z for UTC"),
        ));
    }
    Err(misspelt(
        format!("`{text}` is no instant"),
        "write date, time and offset from UTC, like 2024-07-09T00:00:00+08:00",
    ))
}

/// The address and port at which metrics are served where nobody names one.
pub const METRICS_ADDRESS: &str = "127.0.0.1:9469";

/// Reads the address and port at which metrics are to be served: `127.0.0.1:9469`, `[::1]:9469`.
///
/// # Errors
///
/// What is none. A host's name is none: it may stand for several addresses, and for others tomorrow.
pub fn socket_address(text: &str) -> Result<SocketAddr, Misspelt> {
    text.parse().map_err(|_| {
        misspelt(
            format!("`{text}` is no address with a port"),
            format!("write an IP address and a port, like {METRICS_ADDRESS} or [::1]:9469"),
        )
    })
}

/// Reads ports of a protocol: `tcp/22`, `udp/8000-8100`.
///
/// # Errors
///
/// What is none, and ports without a protocol: 443 is of TCP and of UDP (QUIC), and who forgets one of them has a hole.
pub fn ports(text: &str) -> Result<Ports, Misspelt> {
    let no_ports = || {
        misspelt(
            format!("`{text}` names no ports"),
            "write the protocol, then a port or a range of ports: tcp/22, udp/53, tcp/8000-8100",
        )
    };
    let Some((before, after)) = text.split_once('/') else {
        return Err(if port_numbers(text).is_some() {
            misspelt(
                format!("`{text}` does not say of which protocol"),
                format!("write \"tcp/{text}\", \"udp/{text}\", or both"),
            )
        } else if protocol(text).is_some() {
            misspelt(
                format!("`{text}` does not say which ports"),
                format!("write \"{text}/0-65535\" for all of them"),
            )
        } else {
            no_ports()
        });
    };
    match (protocol(before), port_numbers(after)) {
        (Some(protocol), Some((first, last))) if first <= last => Ok(Ports {
            protocol,
            numbers: first..=last,
        }),
        (Some(_), Some((first, last))) => Err(misspelt(
            format!("`{text}` begins above its end"),
            format!("write \"{before}/{last}-{first}\""),
        )),
        _ if protocol(after).is_some() && port_numbers(before).is_some() => Err(misspelt(
            format!("`{text}` has the protocol behind the port"),
            format!("write \"{after}/{before}\""),
        )),
        _ => Err(no_ports()),
    }
}

fn protocol(text: &str) -> Option<Protocol> {
    if text.eq_ignore_ascii_case("tcp") {
        Some(Protocol::Tcp)
    } else if text.eq_ignore_ascii_case("udp") {
        Some(Protocol::Udp)
    } else {
        None
    }
}

/// The first and the last of some ports: `22`, `8000-8100`; `None` of what is none.
#[must_use]
pub fn port_numbers(text: &str) -> Option<(u16, u16)> {
    // `u16` reads "+22" too.
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    match text.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)),
        None => number(text).map(|number| (number, number)),
    }
}

/// A protocol as it is written before ports: `tcp`.
#[must_use]
pub const fn protocol_text(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// Ports as they are written: `tcp/22`, `udp/8000-8100`.
#[must_use]
pub fn ports_text(ports: &Ports) -> String {
    let protocol = protocol_text(ports.protocol);
    let (first, last) = (ports.numbers.start(), ports.numbers.end());
    if first == last {
        format!("{protocol}/{first}")
    } else {
        format!("{protocol}/{first}-{last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_a_protocol_and_a_range() {
        for (text, expected) in [
            ("tcp/22", "tcp/22"),
            ("UDP/53", "udp/53"),
            ("tcp/8000-8100", "tcp/8000-8100"),
            ("udp/0-65535", "udp/0-65535"),
            ("tcp/7-7", "tcp/7"),
        ] {
            assert_eq!(ports_text(&ports(text).unwrap()), expected);
        }
        for (text, problem) in [
            (
                "443",
                "`443` does not say of which protocol; write \"tcp/443\", \"udp/443\", or both",
            ),
            (
                "tcp",
                "`tcp` does not say which ports; write \"tcp/0-65535\" for all of them",
            ),
            (
                "22/tcp",
                "`22/tcp` has the protocol behind the port; write \"tcp/22\"",
            ),
            (
                "tcp/90-80",
                "`tcp/90-80` begins above its end; write \"tcp/80-90\"",
            ),
        ] {
            assert_eq!(ports(text).unwrap_err().to_string(), problem);
        }
        for text in [
            "",
            "/",
            "tcp/",
            "tcp/65536",
            "tcp/+1",
            "tcp/1-",
            "tcp/-1",
            "sctp/1",
            "tcp/ssh",
            "tcp/1,2",
            "tcp/1-2-3",
            "tcp/ 1",
        ] {
            let problem = ports(text).unwrap_err().to_string();
            assert!(problem.contains("names no ports"), "{text}: {problem}");
        }
    }

    #[test]
    fn an_instant_has_an_offset() {
        let begin: Timestamp = "2024-07-08T16:00:00Z".parse().unwrap();
        for text in [
            "2024-07-09T00:00:00+08:00",
            "2024-07-09 00:00:00+08:00",
            "2024-07-08T16:00:00Z",
            "2024-07-09T00:00+08:00",
        ] {
            assert_eq!(instant(text), Ok(begin), "{text}");
        }
        for text in ["2024-07-09T00:00:00", "2024-07-09", "2024-07-09 00:00"] {
            let problem = instant(text).unwrap_err().to_string();
            assert!(
                problem.contains("add the offset from UTC: 2024-07-09T00:00:00+08:00"),
                "{problem}"
            );
        }
        for text in ["", "tomorrow", "2024-13-09T00:00:00Z", "00:00:00"] {
            let problem = instant(text).unwrap_err().to_string();
            assert!(problem.contains("is no instant"), "{text}: {problem}");
        }
    }

    #[test]
    fn a_prefix_has_no_bits_beyond_its_length() {
        for (text, expected) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::", "2001:db8::/128"),
        ] {
            assert_eq!(prefix(text).unwrap().to_string(), expected);
        }
        let problem = prefix("192.0.2.7/24").unwrap_err().to_string();
        assert!(
            problem.contains("write 192.0.2.0/24 if you mean the whole prefix"),
            "{problem}"
        );
        assert!(prefix("example.org").is_err());
    }
}
