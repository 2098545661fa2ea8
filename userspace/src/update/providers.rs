//! The providers that are known by name: where their files are, and on what terms.
//!
//! | name | files | checksums | account |
//! |---|---|---|---|
//! | `maxmind` or `maxmind:EDITION` | a tar archive with the MaxMind DB; of editions that end in `-CSV`, a zip archive | SHA-256 | yes |
//! | `dbip` | the MaxMind DB of this month; if there is none yet, of the last | | |
//! | `ipinfo` | the MaxMind DB of IPinfo Lite | SHA-256 | yes |
//! | `rir` | delegations of the five registries, extended | MD5 | |
//! | `ip-location-db` or `ip-location-db:DATASET` | the MaxMind DB of that npm package, from jsDelivr | | |

use jiff::civil::Date;

use super::{
    credentials::Account,
    feed::{Algorithm, Checksum, Feed, FeedError, File, Terms, Url},
};

/// Their names.
pub const NAMES: [&str; 5] = ["maxmind", "dbip", "ipinfo", "rir", "ip-location-db"];

/// The registries: what their files are called after, and where they are.
const REGISTRIES: [(&str, &str); 5] = [
    ("afrinic", "https://ftp.afrinic.net/pub/stats/afrinic"),
    ("apnic", "https://ftp.apnic.net/stats/apnic"),
    ("arin", "https://ftp.arin.net/pub/stats/arin"),
    ("lacnic", "https://ftp.lacnic.net/pub/stats/lacnic"),
    ("ripencc", "https://ftp.ripe.net/pub/stats/ripencc"),
];

const MAXMIND_EDITION: &str = "GeoLite2-Country";
const IP_LOCATION_DB_DATASET: &str = "geo-whois-asn-country";

/// The feed of a provider.
///
/// # Errors
///
/// When no provider has that name, or this one no such edition.
pub(super) fn feed(word: &str, today: Date) -> Result<Feed, FeedError> {
    let (provider, edition) = match word.split_once(':') {
        Some((provider, edition)) => (provider, Some(edition)),
        None => (word, None),
    };
    // What has no editions.
    let bare = |provider| match edition {
        None => Ok(()),
        Some(edition) => Err(FeedError::Edition {
            provider,
            edition: edition.to_owned(),
            like: "it without one",
        }),
    };
    match provider {
        "maxmind" => maxmind(edition),
        "dbip" => bare("dbip").and_then(|()| dbip(today)),
        "ipinfo" => bare("ipinfo").and_then(|()| ipinfo()),
        "rir" => bare("rir").and_then(|()| registries()),
        "ip-location-db" => ip_location_db(edition),
        _ => Err(FeedError::Provider {
            word: word.to_owned(),
        }),
    }
}

/// An edition's name, which becomes part of a URL and of a directory's name.
fn edition(
    provider: &'static str,
    given: Option<&str>,
    default: &'static str,
    like: &'static str,
) -> Result<String, FeedError> {
    let edition = given.unwrap_or(default);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if edition.is_empty() || !edition.chars().all(is_plain) {
        return Err(FeedError::Edition {
            provider,
            edition: edition.to_owned(),
            like,
        });
    }
    Ok(edition.to_owned())
}

/// The name of what is fetched: that of the provider, and behind it the edition if that is not the default one.
fn name(provider: &str, edition: &str, default: &str) -> String {
    if edition == default {
        return provider.to_owned();
    }
    format!("{provider}-{edition}")
}

fn maxmind(given: Option<&str>) -> Result<Feed, FeedError> {
    let edition = edition(
        "maxmind",
        given,
        MAXMIND_EDITION,
        "one like maxmind:GeoLite2-City",
    )?;
    let packing = if edition.ends_with("-CSV") {
        "zip"
    } else {
        "tar.gz"
    };
    let at =
        format!("https://download.maxmind.com/geoip/databases/{edition}/download?suffix={packing}");
    Ok(Feed {
        name: name("maxmind", &edition, MAXMIND_EDITION),
        files: vec![File {
            name: format!("{edition}.{packing}"),
            urls: vec![Url::new(&at)?],
            checksum: Some(Checksum {
                algorithm: Algorithm::Sha256,
                url: Url::new(&format!("{at}.sha256"))?,
            }),
        }],
        account: Some(Account::Maxmind),
        terms: edition.starts_with("GeoLite2-").then_some(Terms {
            licence: "LicenseRef-GeoLite2-EULA",
            attribution: "This product includes GeoLite data created by MaxMind, available from https://www.maxmind.com",
        }),
        is_world: true,
    })
}

fn dbip(today: Date) -> Result<Feed, FeedError> {
    let this = today.first_of_month();
    let last = this.yesterday().unwrap_or(this).first_of_month();
    let at = |month: Date| {
        let (year, month) = (month.year(), month.month());
        Url::new(&format!(
            "https://download.db-ip.com/free/dbip-country-lite-{year:04}-{month:02}.mmdb.gz"
        ))
    };
    Ok(Feed {
        name: "dbip".to_owned(),
        files: vec![File {
            name: "dbip-country-lite.mmdb.gz".to_owned(),
            urls: vec![at(this)?, at(last)?],
            checksum: None,
        }],
        account: None,
        terms: Some(Terms {
            licence: "CC-BY-4.0",
            attribution: "IP Geolocation by DB-IP, https://db-ip.com",
        }),
        is_world: true,
    })
}

fn ipinfo() -> Result<Feed, FeedError> {
    const AT: &str = "https://ipinfo.io/data/ipinfo_lite.mmdb";
    Ok(Feed {
        name: "ipinfo".to_owned(),
        files: vec![File {
            name: "ipinfo_lite.mmdb".to_owned(),
            urls: vec![Url::new(AT)?],
            checksum: Some(Checksum {
                algorithm: Algorithm::Sha256,
                url: Url::new(&format!("{AT}/checksums"))?,
            }),
        }],
        account: Some(Account::Ipinfo),
        terms: Some(Terms {
            licence: "CC-BY-SA-4.0",
            attribution: "IP address data powered by IPinfo, https://ipinfo.io",
        }),
        is_world: true,
    })
}

fn registries() -> Result<Feed, FeedError> {
    let files = REGISTRIES.iter().map(|(registry, at)| {
        let file = format!("delegated-{registry}-extended-latest");
        let at = format!("{at}/{file}");
        Ok(File {
            urls: vec![Url::new(&at)?],
            checksum: Some(Checksum {
                algorithm: Algorithm::Md5,
                url: Url::new(&format!("{at}.md5"))?,
            }),
            name: file,
        })
    });
    Ok(Feed {
        name: "rir".to_owned(),
        files: files.collect::<Result<_, _>>()?,
        account: None,
        terms: None,
        is_world: true,
    })
}

fn ip_location_db(given: Option<&str>) -> Result<Feed, FeedError> {
    let dataset = edition(
        "ip-location-db",
        given,
        IP_LOCATION_DB_DATASET,
        "one like ip-location-db:dbip-country",
    )?;
    let at = format!("https://cdn.jsdelivr.net/npm/@ip-location-db/{dataset}-mmdb/{dataset}.mmdb");
    let is_default = dataset == IP_LOCATION_DB_DATASET;
    Ok(Feed {
        name: name("ip-location-db", &dataset, IP_LOCATION_DB_DATASET),
        files: vec![File {
            name: format!("{dataset}.mmdb"),
            urls: vec![Url::new(&at)?],
            checksum: None,
        }],
        account: None,
        // Others of its sets come under the terms of those whose data they hold.
        terms: is_default.then_some(Terms {
            licence: "CC0-1.0 AND CC-BY-4.0",
            attribution: "Contains data of the NRO, https://www.nro.net",
        }),
        is_world: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_month_may_not_be_there_yet() {
        let months = |year, month| {
            let feed = feed("dbip", Date::constant(year, month, 1)).unwrap();
            let urls = feed.files[0].urls.iter().map(ToString::to_string);
            let files = urls.map(|url| url.rsplit_once("lite-").unwrap().1.to_owned());
            files.collect::<Vec<_>>()
        };
        assert_eq!(months(2026, 7), ["2026-07.mmdb.gz", "2026-06.mmdb.gz"]);
        assert_eq!(months(2026, 1), ["2026-01.mmdb.gz", "2025-12.mmdb.gz"]);
    }

    #[test]
    fn editions_have_directories_of_their_own() {
        let today = Date::constant(2026, 7, 7);
        for (word, name, file) in [
            ("maxmind", "maxmind", "GeoLite2-Country.tar.gz"),
            (
                "maxmind:GeoLite2-Country",
                "maxmind",
                "GeoLite2-Country.tar.gz",
            ),
            (
                "maxmind:GeoLite2-City-CSV",
                "maxmind-GeoLite2-City-CSV",
                "GeoLite2-City-CSV.zip",
            ),
            (
                "ip-location-db",
                "ip-location-db",
                "geo-whois-asn-country.mmdb",
            ),
            (
                "ip-location-db:dbip-country",
                "ip-location-db-dbip-country",
                "dbip-country.mmdb",
            ),
        ] {
            let feed = feed(word, today).unwrap();
            assert_eq!(
                (feed.name.as_str(), feed.files[0].name.as_str()),
                (name, file),
                "{word}"
            );
        }
    }
}
