//! `[[rules]]`: country rules for some ports.

use std::{ops::RangeInclusive, sync::Arc};

use geodrop_common::Rule;
use toml::de::DeTable;

use super::{
    super::Ports,
    reader::{Reader, Value},
    settings::RuleSetting,
    words,
};

/// How many rules a policy can have: each is a bit of a word in the kernel.
pub const MOST_RULES: usize = Rule::MOST_OF_PORTS;

/// The keys of a rule.
pub(super) const KEYS: &[&str] = &["ports", "block", "only"];

impl Reader<'_> {
    /// `[[rules]]`. `elsewhere` are the keys of other places, for advice.
    pub(super) fn rules(
        &mut self,
        value: &Value<'_>,
        elsewhere: &[(&[&str], &str)],
    ) -> Vec<RuleSetting> {
        let mut rules: Vec<RuleSetting> = Vec::new();
        for (table, span) in self.tables(value, "rules") {
            self.known_keys(table, &[KEYS], "in [[rules]]", elsewhere);
            let ports = self.ports(table);
            let countries = self.countries(table);
            if table.get("ports").is_none() {
                self.refuse(
                    &span,
                    "the rule does not say for which ports",
                    "write ports = [\"tcp/22\"], or for all ports `block` or `only` at the top level",
                );
            }
            let Some(countries) = countries else {
                self.refuse(
                    &span,
                    "the rule does not say which countries it blocks or admits",
                    "write block = [\"CN\"] or only = [\"DE\"]; block = [] blocks none",
                );
                continue;
            };
            if rules.len() == MOST_RULES {
                self.refuse(
                    &span,
                    format!("there are more than {MOST_RULES} rules, the most that the kernel program takes"),
                    "join rules for the same countries: one rule may name many ports",
                );
                break;
            }
            let earlier: Vec<&Ports> = rules.iter().flat_map(|rule| &rule.ports).collect();
            if !ports.is_empty() && ports.iter().all(|ports| is_covered(ports, &earlier)) {
                self.warn(
                    span.start,
                    self.at(&span),
                    "the rule decides nothing: earlier rules name all its ports",
                    "take it away, or put it before them; the first rule that names a port decides",
                );
            }
            rules.push(RuleSetting {
                ports,
                countries,
                location: Some(self.at(&span)),
            });
        }
        rules
    }

    fn ports(&mut self, table: &DeTable<'_>) -> Vec<Ports> {
        const LIKE: &str = "\"tcp/22\"";
        let Some(value) = table.get("ports") else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            // Says what is wrong with it.
            self.texts(value, "ports", LIKE);
            return Vec::new();
        };
        if items.is_empty() {
            self.refuse(
                &value.span(),
                "the rule is for no port at all",
                format!("write ports = [{LIKE}], or take the rule away"),
            );
        }
        let mut ports = Vec::new();
        for item in items {
            // A number is a likely slip, and it lacks more than the quotes.
            let (text, span) = if item.get_ref().is_integer() {
                let span = item.span();
                let source = Arc::clone(&self.source);
                let number = source.text().get(span.clone()).unwrap_or_default();
                (number.to_owned(), span)
            } else if let Some((text, span)) = self.text(item, "ports", LIKE) {
                (text.to_owned(), span)
            } else {
                continue;
            };
            match words::ports(&text) {
                Ok(read) => ports.push(read),
                Err(problem) => self.refuse_misspelt(&span, problem),
            }
        }
        ports
    }
}

/// Whether others, taken together, have all these ports.
fn is_covered(ports: &Ports, others: &[&Ports]) -> bool {
    let mut same: Vec<&RangeInclusive<u16>> = others
        .iter()
        .filter(|other| other.protocol == ports.protocol)
        .map(|other| &other.numbers)
        .collect();
    same.sort_by_key(|numbers| *numbers.start());
    // The first port that none seen so far has.
    let mut next = u32::from(*ports.numbers.start());
    for numbers in same {
        if u32::from(*numbers.start()) > next {
            break;
        }
        next = next.max(u32::from(*numbers.end()) + 1);
    }
    next > u32::from(*ports.numbers.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Protocol;

    #[test]
    fn ports_are_covered_by_others_together() {
        let tcp = |first, last| Ports {
            protocol: Protocol::Tcp,
            numbers: first..=last,
        };
        let (low, high, udp) = (
            tcp(0, 99),
            tcp(100, 65535),
            Ports {
                protocol: Protocol::Udp,
                numbers: 0..=65535,
            },
        );
        assert!(is_covered(&tcp(0, 65535), &[&high, &low]));
        assert!(is_covered(&tcp(100, 200), &[&high]));
        assert!(!is_covered(&tcp(99, 100), &[&high]));
        assert!(!is_covered(&tcp(0, 100), &[&low]));
        assert!(!is_covered(&tcp(1, 1), &[&udp]));
        assert!(!is_covered(&tcp(1, 1), &[]));
    }
}
