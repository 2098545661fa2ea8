//! What the lines that begin with `#` say of a file.

use jiff::{civil::Date, fmt::rfc2822, tz::TimeZone};

use super::{Country, Source};

/// What remarks said so far.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// `Country: China (CN)`, as ipverse's lists have it.
    pub(super) country: Option<Country>,
    /// `Generated: Thu, 25 Jun 2026 04:33:59 GMT`, as what is made of IPFire's data has it.
    date: Option<Date>,
    /// `License: CC BY-SA 4.0`.
    licence: Option<String>,
    /// `Vendor: IPFire Project`.
    vendor: Option<String>,
}

impl Remarks {
    /// Reads a remark, without its `#`. What is not understood is passed over: a remark is for people.
    pub(super) fn note(&mut self, remark: &str) {
        let Some((key, value)) = remark.split_once(':') else {
            return;
        };
        let value = value.trim();
        match key.trim() {
            "Country" => {
                let code = value
                    .rsplit_once('(')
                    .and_then(|(_, code)| code.strip_suffix(')'));
                self.country = code.and_then(|code| code.parse().ok());
            }
            "Generated" => {
                let instant = rfc2822::DateTimeParser::new().parse_timestamp(value);
                self.date = instant
                    .ok()
                    .map(|instant| instant.to_zoned(TimeZone::UTC).date());
            }
            "License" => self.licence = Some(spdx(value)),
            "Vendor" => self.vendor = Some(value.to_owned()),
            _ => {}
        }
    }

    /// Adds what they say to what is known of a source.
    pub(super) fn describe(self, source: &mut Source) {
        source.date = source.date.or(self.date);
        source.licence = source.licence.take().or(self.licence);
        let attribution = self
            .vendor
            .map(|vendor| format!("Contains data of {vendor}"));
        source.attribution = source.attribution.take().or(attribution);
    }
}

/// A licence of Creative Commons by its SPDX identifier; any other in the words that were found.
fn spdx(licence: &str) -> String {
    if licence.starts_with("CC ") {
        licence.replace(' ', "-")
    } else {
        licence.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_say_what_a_file_is() {
        let mut remarks = Remarks::default();
        for remark in [
            "",
            " This file has been converted: see below",
            " Generated: Thu, 25 Jun 2026 04:33:59 GMT",
            " Vendor:    IPFire Project",
            " License:   CC BY-SA 4.0",
            " Country: China (CN)",
        ] {
            remarks.note(remark);
        }
        assert_eq!(remarks.country, "CN".parse().ok());
        let mut source = Source::default();
        remarks.describe(&mut source);
        assert_eq!(source.date, Some("2026-06-25".parse().unwrap()));
        assert_eq!(source.licence.as_deref(), Some("CC-BY-SA-4.0"));
        let attribution = source.attribution.unwrap();
        assert_eq!(attribution, "Contains data of IPFire Project");
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let mut remarks = Remarks::default();
        for remark in [
            " Generated: yesterday",
            " Country: Nowhere (ZZ)",
            " Country: x",
            "::",
        ] {
            remarks.note(remark);
        }
        let mut source = Source::default();
        assert_eq!(remarks.country, None);
        remarks.describe(&mut source);
        assert_eq!(source, Source::default());
    }
}
