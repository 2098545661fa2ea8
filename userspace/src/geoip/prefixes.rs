//! Reads lists of prefixes, one a line: zone files as ipdeny and ipverse publish them, and a user's own.
//!
//! ```text
//! # Country: China (CN)
//! 1.0.1.0/24
//! 2001:250::/30
//! ```
//!
//! All of a list's prefixes are in one country, which the lines do not say. It is the one that the user gives (`CN=FILE`);
//! or else the one of a remark like that above; or else the one that the file is named after (`cn.zone`,
//! `cn-aggregated.zone`), or its directory (`cn/ipv4-aggregated.txt`).

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AnyRange, Country, LineProblem, intake::Intake, location::Location, unpack::INSIDE};

/// Reads a line.
pub(super) fn read(
    line: &str,
    country: Country,
    number: u32,
    intake: &mut Intake,
) -> Result<(), LineProblem> {
    // Some end a line with a remark.
    let text = line.split('#').next().unwrap_or_default().trim();
    Ok(intake.add(prefix(text)?, Location::In(country), number)?)
}

/// The addresses of a prefix, or a single address.
///
/// # Errors
///
/// When it is neither, and when it has bits set behind its length: 1.0.1.0/2 is what is left of 1.0.1.0/24.
pub(super) fn prefix(text: &str) -> Result<AnyRange, LineProblem> {
    let prefix = match text.parse::<IpNet>() {
        Ok(prefix) => prefix,
        Err(_) => match text.parse::<IpAddr>() {
            Ok(address) => address.into(),
            Err(_) => return Err(LineProblem::Prefix(text.to_owned())),
        },
    };
    if prefix.addr() != prefix.network() {
        return Err(LineProblem::HostBits {
            given: text.to_owned(),
            meant: prefix.trunc().to_string(),
        });
    }
    Ok(AnyRange::of_prefix(prefix))
}

/// The country that a file is named after.
pub(super) fn country_of_name(name: &str) -> Option<Country> {
    // Of a file in an archive, by its name there.
    let (_, name) = name.rsplit_once(INSIDE).unwrap_or(("", name));
    let mut parts = name.rsplit('/');
    let of_part = |part: &str| {
        let word = part.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
        word.parse().ok()
    };
    let of_file = parts.next().and_then(of_part);
    of_file.or_else(|| parts.next().and_then(|directory| directory.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_country() {
        for (name, code) in [
            ("cn.zone", Some("CN")),
            ("/var/lib/zones/cn-aggregated.zone", Some("CN")),
            ("CN", Some("CN")),
            ("hk_ipv6.txt", Some("HK")),
            ("country/cn/ipv4-aggregated.txt", Some("CN")),
            ("zones.tar.gz: ./cn.zone", Some("CN")),
            ("office.txt", None),
            ("zz.zone", None),
            ("cn/nested/list.txt", None),
            ("cnx.zone", None),
            ("", None),
        ] {
            let found = country_of_name(name).map(|country| country.to_string());
            assert_eq!(found.as_deref(), code, "{name}");
        }
    }

    #[test]
    fn a_prefix_that_was_cut_short_is_noticed() {
        assert!(prefix("1.0.1.0/24").is_ok() && prefix("2001:250::/30").is_ok());
        assert!(prefix("1.0.1.7").is_ok() && prefix("::1").is_ok());
        let words = prefix("1.0.1.0/2").unwrap_err().to_string();
        assert_eq!(
            words,
            "`1.0.1.0/2` is a prefix with host bits set, perhaps cut short: write 0.0.0.0/2 if that is meant"
        );
        for text in ["1.0.1.0/", "1.0.1.0/33", "1.0.1", "", "x"] {
            assert!(prefix(text).is_err(), "{text}");
        }
    }
}
