//! The tables of a configuration: its top level, `[[interface]]` and `[geoip]`.

use toml::de::DeTable;

use super::{
    Configuration, instant,
    reader::{Reader, Span, Value},
    rules,
    settings::{GeoipSettings, MetricsSettings, Settings},
    words::{METRICS_ADDRESS, socket_address},
};
use crate::geoip::Origin;

/// The keys of a policy: at the top level, and for an interface.
const POLICY: &[&str] = &[
    "block",
    "only",
    "allow",
    "deny",
    "unknown",
    "monitor",
    "effective_from",
    "replies",
    "action",
    "count",
    "rules",
];

/// The keys that only the top level has.
const TOP: &[&str] = &[
    "interfaces",
    "engine",
    "hook",
    "mode",
    "metrics",
    "metrics_file",
    "geoip",
    "groups",
    "interface",
];

/// The keys of `[geoip]`.
const GEOIP: &[&str] = &["sources", "merge", "country"];

/// What is said of a key that stands below a table's header, and belongs above it.
const ABOVE: &str = "at the top level: move it above the first [table]";

impl Reader<'_> {
    pub(super) fn refuse_syntax(&mut self, errors: &[toml::de::Error]) {
        let mut errors: Vec<_> = errors
            .iter()
            .map(|error| (error.span().unwrap_or_default(), error))
            .collect();
        errors.sort_by_key(|(span, _)| span.start);
        // What follows on a line follows from what came before.
        errors.dedup_by_key(|(span, _)| self.at(span).line());
        for (span, error) in errors {
            let remedy = if error.message().contains("duplicate key") {
                "keep one of them"
            } else {
                "mend it: this is no TOML; a line is key = value, texts stand in quotes, lists in brackets"
            };
            self.refuse(&span, error.message(), remedy);
        }
    }

    pub(super) fn configuration(&mut self, table: &DeTable<'_>) -> Configuration {
        let elsewhere: [(&[&str], &str); 3] = [
            (GEOIP, "below [geoip]"),
            (rules::KEYS, "below [[rules]]"),
            (&["name"], "below [[interface]]"),
        ];
        self.known_keys(table, &[TOP, POLICY], "at the top level", &elsewhere);
        if let Some(groups) = table.get("groups") {
            self.own_groups(groups, &[TOP, POLICY]);
        }
        let settings = self.settings(table);
        let mut interfaces = Vec::new();
        if let Some(value) = table.get("interfaces") {
            for (name, span) in self.texts(value, "interfaces", "\"eth0\"") {
                if self.is_interface_name(name, &span) && !interfaces.contains(&name.to_owned()) {
                    interfaces.push(name.to_owned());
                }
            }
        }
        let own = self.own_settings(table, &settings);
        for (name, _) in &own {
            if !interfaces.contains(name) {
                interfaces.push(name.clone());
            }
        }
        self.warn_of_contradictions(settings.allow.as_ref(), settings.deny.as_ref());
        Configuration {
            engine: table
                .get("engine")
                .and_then(|value| self.choice(value, "engine")),
            hook: table
                .get("hook")
                .and_then(|value| self.choice(value, "hook")),
            mode: table
                .get("mode")
                .and_then(|value| self.choice(value, "mode")),
            metrics: self.metrics(table),
            geoip: self.geoip(table),
            settings,
            own,
            interfaces,
            ..Configuration::default()
        }
    }

    /// What a table says of the policy.
    fn settings(&mut self, table: &DeTable<'_>) -> Settings {
        Settings {
            countries: self.countries(table),
            rules: table.get("rules").map(|value| {
                let elsewhere: [(&[&str], &str); 2] = [(TOP, ABOVE), (POLICY, ABOVE)];
                self.rules(value, &elsewhere)
            }),
            allow: table
                .get("allow")
                .map(|value| self.prefixes(value, "allow")),
            deny: table.get("deny").map(|value| self.prefixes(value, "deny")),
            unknown: table
                .get("unknown")
                .and_then(|value| self.choice(value, "unknown")),
            monitor: table
                .get("monitor")
                .and_then(|value| self.boolean(value, "monitor")),
            effective_from: table
                .get("effective_from")
                .and_then(|value| self.instant(value, "effective_from")),
            replies: table
                .get("replies")
                .and_then(|value| self.choice(value, "replies")),
            action: table
                .get("action")
                .and_then(|value| self.choice(value, "action")),
            count: table
                .get("count")
                .and_then(|value| self.choice(value, "count")),
        }
    }

    /// `metrics` and `metrics_file`.
    fn metrics(&mut self, table: &DeTable<'_>) -> MetricsSettings {
        let like = format!("metrics = {METRICS_ADDRESS:?}");
        let address = table.get("metrics").and_then(|value| {
            let (text, span) = self.text(value, "metrics", &like)?;
            let read = socket_address(text);
            read.map_err(|problem| self.refuse_misspelt(&span, problem))
                .ok()
        });
        let file = table.get("metrics_file").and_then(|value| {
            let like = "metrics_file = \"/run/geodrop/geodrop.prom\"";
            let (text, _) = self.text(value, "metrics_file", like)?;
            Some(self.directory.join(text))
        });
        MetricsSettings { address, file }
    }

    /// `[[interface]]`.
    fn own_settings(&mut self, table: &DeTable<'_>, top: &Settings) -> Vec<(String, Settings)> {
        let Some(value) = table.get("interface") else {
            return Vec::new();
        };
        if value.get_ref().is_str() {
            self.refuse(
                &value.span(),
                "`interface` begins a table for one interface, and this is a text",
                "write interfaces = [\"eth0\"] to name those that are filtered",
            );
            return Vec::new();
        }
        let mut all: Vec<(String, Settings)> = Vec::new();
        for (table, span) in self.tables(value, "interface") {
            let elsewhere: [(&[&str], &str); 2] =
                [(TOP, ABOVE), (rules::KEYS, "below [[interface.rules]]")];
            self.known_keys(table, &[&["name"], POLICY], "in [[interface]]", &elsewhere);
            let own = self.settings(table);
            if own.allow.is_some() || own.deny.is_some() {
                let whole = own.clone().over(top);
                self.warn_of_contradictions(whole.allow.as_ref(), whole.deny.as_ref());
            }
            let Some(name) = table.get("name") else {
                self.refuse(
                    &span,
                    "the table does not say of which interface it is",
                    "write name = \"eth1\" in it",
                );
                continue;
            };
            let Some((name, span)) = self.text(name, "name", "name = \"eth1\"") else {
                continue;
            };
            if all.iter().any(|(other, _)| other == name) {
                self.refuse(
                    &span,
                    format!("{name} has a table already"),
                    "join the two tables",
                );
            } else if self.is_interface_name(name, &span) {
                all.push((name.to_owned(), own));
            }
        }
        all
    }

    /// `[geoip]`.
    fn geoip(&mut self, table: &DeTable<'_>) -> GeoipSettings {
        let table = table
            .get("geoip")
            .and_then(|value| self.table(value, "geoip"));
        let Some(table) = table else {
            return GeoipSettings::default();
        };
        let elsewhere: [(&[&str], &str); 2] = [(TOP, ABOVE), (POLICY, ABOVE)];
        self.known_keys(table, &[GEOIP], "in [geoip]", &elsewhere);
        GeoipSettings {
            sources: table.get("sources").map(|value| self.sources(value)),
            merge: table
                .get("merge")
                .and_then(|value| self.choice(value, "merge")),
            country: table
                .get("country")
                .and_then(|value| self.choice(value, "country")),
        }
    }

    fn sources(&mut self, value: &Value<'_>) -> Vec<Origin> {
        let mut sources = Vec::new();
        for (text, span) in self.texts(value, "sources", "\"builtin\"") {
            match Origin::of(text.as_ref()) {
                Ok(Origin::Builtin) => sources.push(Origin::Builtin),
                Ok(Origin::File(path)) => {
                    let path = self.existing_file(&path, &span);
                    sources.push(Origin::File(path));
                }
                Ok(Origin::Prefixes { country, path }) => {
                    let path = self.existing_file(&path, &span);
                    sources.push(Origin::Prefixes { country, path });
                }
                Err(unknown) => self.refuse(
                    &span,
                    format!("`{}` is not a country code", unknown.given),
                    format!(
                        "{}; a file of such a name is written ./{text}",
                        unknown.advice
                    ),
                ),
            }
        }
        let is_empty = |array: &toml::de::DeArray<'_>| array.is_empty();
        if value.get_ref().as_array().is_some_and(is_empty) {
            self.refuse(
                &value.span(),
                "without a source no country is known",
                "write sources = [\"builtin\"], or the names of files",
            );
        }
        sources
    }

    /// An instant: a text, or a date and time of TOML's own, which is the same without quotes.
    fn instant(&mut self, value: &Value<'_>, key: &str) -> Option<jiff::Timestamp> {
        let span = value.span();
        let read = if let Some(datetime) = value.get_ref().as_datetime() {
            instant(&datetime.to_string())
        } else {
            let like = format!("{key} = \"2024-07-09T00:00:00+08:00\"");
            instant(self.text(value, key, &like)?.0)
        };
        read.map_err(|problem| self.refuse_misspelt(&span, problem))
            .ok()
    }

    fn is_interface_name(&mut self, name: &str, span: &Span) -> bool {
        let fits = !name.is_empty()
            && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
        if !fits {
            self.refuse(
                span,
                format!("`{name}` cannot be the name of an interface"),
                "write it as `ip link` shows it, like eth0",
            );
        }
        fits
    }
}
