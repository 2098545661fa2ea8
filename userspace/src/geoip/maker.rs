//! Who makes data, and what they ask of those who use it.

use super::Source;

/// A maker's data.
struct Terms {
    /// How the type of its MaxMind DBs begins.
    begins: &'static str,
    /// A word that this type has in it, where other data of the maker comes under other terms.
    has: &'static str,
    licence: Option<&'static str>,
    attribution: &'static str,
    url: &'static str,
}

/// Those whose terms are the same for all of one kind of data. Paid data comes under each customer's own contract.
const TERMS: [Terms; 5] = [
    Terms {
        begins: "GeoLite2-",
        has: "",
        licence: Some("LicenseRef-GeoLite2-EULA"),
        attribution: "This product includes GeoLite data created by MaxMind, available from https://www.maxmind.com",
        url: "https://www.maxmind.com",
    },
    Terms {
        begins: "GeoIP2-",
        has: "",
        licence: None,
        attribution: "Contains data of MaxMind, https://www.maxmind.com",
        url: "https://www.maxmind.com",
    },
    Terms {
        begins: "DBIP-",
        has: "Lite",
        licence: Some("CC-BY-4.0"),
        attribution: "IP Geolocation by DB-IP, https://db-ip.com",
        url: "https://db-ip.com",
    },
    Terms {
        begins: "ipinfo ",
        has: "lite",
        licence: Some("CC-BY-SA-4.0"),
        attribution: "IP address data powered by IPinfo, https://ipinfo.io",
        url: "https://ipinfo.io",
    },
    Terms {
        begins: "IP2LITE-",
        has: "",
        licence: Some("CC-BY-SA-4.0"),
        attribution: "This product includes IP2Location LITE data available from https://lite.ip2location.com",
        url: "https://lite.ip2location.com",
    },
];

/// Adds what is known of data of this type.
pub(super) fn describe(database_type: &str, source: &mut Source) {
    let mut all = TERMS.iter();
    let Some(terms) = all
        .find(|terms| database_type.starts_with(terms.begins) && database_type.contains(terms.has))
    else {
        return;
    };
    source.licence = terms.licence.map(str::to_owned);
    source.attribution = Some(terms.attribution.to_owned());
    source.url = Some(terms.url.to_owned());
}
