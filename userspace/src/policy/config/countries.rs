//! Countries in a configuration: lists of codes and groups, and the user's own groups.

use std::collections::{BTreeMap, BTreeSet};

use toml::{
    Spanned,
    de::{DeString, DeTable},
};

use super::{
    super::{
        CountryRule,
        groups::{BadGroupName, Members},
    },
    reader::{Reader, Span, Text, Value},
    settings::{Countries, Placed},
};
use crate::geoip::Country;

/// How deep groups may be in groups: no bound to anybody but to those who try what happens.
const DEPTH: usize = 32;

const LIKE: &str = "\"CN\", \"EU\"";

impl Reader<'_> {
    /// `block` or `only` of a table; `None` if it has neither.
    pub(super) fn countries(&mut self, table: &DeTable<'_>) -> Option<Countries> {
        let block = table.get_key_value("block");
        let only = table.get_key_value("only");
        if let (Some((block, _)), Some((only, _))) = (block, only) {
            let (block, only) = (block.span(), only.span());
            let later = if only.start > block.start {
                only
            } else {
                block
            };
            self.refuse(
                &later,
                "`block` and `only` exclude each other",
                "keep `block` to admit all but some countries, or `only` to admit no others",
            );
        }
        // Both are read, for what else is wrong with them.
        let block = block.map(|(key, value)| self.listed(key, value, CountryRule::Block));
        let only = only.map(|(key, value)| self.listed(key, value, CountryRule::Only));
        block.or(only)
    }

    fn listed(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Value<'_>,
        rule: fn(BTreeSet<Country>) -> CountryRule,
    ) -> Countries {
        let mut countries = BTreeSet::new();
        let mut named = Vec::new();
        for (text, span) in self.texts(value, key.get_ref(), LIKE) {
            match self.groups.members(text) {
                Ok(members) => {
                    countries.extend(members.countries);
                    named.extend(members.named.into_iter().map(|country| Placed {
                        value: country,
                        location: Some(self.at(&span)),
                    }));
                }
                Err(unknown) => self.refuse(&span, unknown.what(), unknown.advice),
            }
        }
        Countries {
            rule: rule(countries),
            named,
            location: Some(self.at(&key.span())),
        }
    }

    /// `[groups]`. A group may have others in it, whichever of them is written first.
    pub(super) fn own_groups(&mut self, value: &Value<'_>, top_level: &[&[&str]]) {
        let Some(table) = self.table(value, "groups") else {
            return;
        };
        let mut pending = BTreeMap::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            if value.get_ref().as_array().is_none() && top_level.concat().contains(&name) {
                self.refuse(
                    &key.span(),
                    format!("`{name}` stands under [groups], and is no group"),
                    "it belongs above the first [table] of the file",
                );
                continue;
            }
            let problem = match self.groups.may_define(name) {
                Ok(()) if pending.contains_key(&name.to_ascii_uppercase()) => {
                    Some(BadGroupName::Taken)
                }
                Ok(()) => None,
                Err(problem) => Some(problem),
            };
            let span = key.span();
            if let Some(problem) = problem {
                self.refuse(
                    &span,
                    format!("`{name}` cannot be a group: {problem}"),
                    "give it another name",
                );
            }
            // Read in any case, for what else is wrong with it.
            let items = self.texts(value, name, LIKE);
            let name = name.to_ascii_uppercase();
            pending.entry(name).or_insert(Pending { span, items });
        }
        let names: Vec<_> = pending.keys().cloned().collect();
        for name in names {
            self.define(&name, &mut pending, &mut Vec::new());
        }
    }

    /// Defines a group, and before it those that it has in it.
    fn define(
        &mut self,
        name: &str,
        pending: &mut BTreeMap<String, Pending<'_>>,
        around: &mut Vec<String>,
    ) {
        let Some(Pending { span, items }) = pending.remove(name) else {
            return;
        };
        if around.len() > DEPTH {
            self.refuse(
                &span,
                format!("`{name}` is a group in a group, and so on, more than {DEPTH} deep"),
                "list countries in it",
            );
            return;
        }
        around.push(name.to_owned());
        let mut members = Members::default();
        for (text, span) in items {
            let inner = text.to_ascii_uppercase();
            if around.contains(&inner) {
                self.refuse(
                    &span,
                    format!("the group {inner} would be in itself"),
                    format!("take {inner} or {name} out of the other"),
                );
                continue;
            }
            self.define(&inner, pending, around);
            match self.groups.members(text) {
                Ok(found) => members.extend(&found),
                Err(unknown) => self.refuse(&span, unknown.what(), unknown.advice),
            }
        }
        around.pop();
        // A name that it must not have has been refused already.
        let _ = self.groups.define(name, members);
    }
}

/// A group that is not defined yet.
struct Pending<'v> {
    span: Span,
    items: Vec<Text<'v>>,
}
