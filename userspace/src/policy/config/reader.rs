//! Reading typed values out of TOML, and gathering all that is wrong on the way.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    super::groups::Groups,
    choice::Choice,
    source::{Location, Problem, Source},
    words::Misspelt,
};

/// How alike two words must be, as Jaro and Winkler measure it, for one to be taken for the other misspelt.
const ALIKE: f64 = 0.8;

pub(super) type Value<'t> = Spanned<DeValue<'t>>;
pub(super) type Span = Range<usize>;

/// A text and where it stands.
pub(super) type Text<'v> = (&'v str, Span);

/// A configuration that is being read.
pub(super) struct Reader<'a> {
    pub(super) source: Arc<Source>,
    /// What relative paths in it are relative to.
    pub(super) directory: &'a Path,
    pub(super) groups: Groups,
    /// The files of prefixes that are named in it.
    pub(super) files: Vec<PathBuf>,
    /// What is wrong, each with the byte of the configuration that led to it.
    pub(super) problems: Vec<(usize, Problem)>,
    pub(super) warnings: Vec<(usize, Problem)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: Arc<Source>, directory: &'a Path) -> Self {
        Self {
            source,
            directory,
            groups: Groups::default(),
            files: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn at(&self, span: &Span) -> Location {
        self.source.at(span.clone())
    }

    pub(super) fn refuse(
        &mut self,
        span: &Span,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let problem = Problem {
            location: self.at(span),
            message: message.into(),
            remedy: remedy.into(),
        };
        self.problems.push((span.start, problem));
    }

    pub(super) fn refuse_misspelt(&mut self, span: &Span, Misspelt { what, remedy }: Misspelt) {
        self.refuse(span, what, remedy);
    }

    /// Notes what is worth a second look, at a place that the bytes at `cause` led to.
    pub(super) fn warn(
        &mut self,
        cause: usize,
        location: Location,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let problem = Problem {
            location,
            message: message.into(),
            remedy: remedy.into(),
        };
        self.warnings.push((cause, problem));
    }

    /// Refuses keys that are none of `known`. `place` says where they stand, and `elsewhere` which keys there are in
    /// other places.
    pub(super) fn known_keys(
        &mut self,
        table: &DeTable<'_>,
        known: &[&[&str]],
        place: &str,
        elsewhere: &[(&[&str], &str)],
    ) {
        let known = || known.iter().copied().flatten().copied();
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known().any(|known| known == name) {
                continue;
            }
            let belongs = elsewhere.iter().find(|(keys, _)| keys.contains(&name));
            let remedy = match (belongs, nearest(name, known())) {
                (Some((_, where_to)), _) => format!("it belongs {where_to}"),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => format!("keys here are {}", listed(known())),
            };
            self.refuse(
                &key.span(),
                format!("there is no key `{name}` {place}"),
                remedy,
            );
        }
    }

    pub(super) fn text<'v>(
        &mut self,
        value: &'v Value<'_>,
        key: &str,
        like: &str,
    ) -> Option<Text<'v>> {
        if let DeValue::String(text) = value.get_ref() {
            return Some((text, value.span()));
        }
        self.refuse(
            &value.span(),
            format!("`{key}` takes a text, and this is {}", kind(value)),
            format!("write it in quotes, like {like}"),
        );
        None
    }

    /// The texts of a list.
    pub(super) fn texts<'v>(
        &mut self,
        value: &'v Value<'_>,
        key: &str,
        like: &str,
    ) -> Vec<Text<'v>> {
        let Some(items) = value.get_ref().as_array() else {
            self.refuse(
                &value.span(),
                format!("`{key}` takes a list, and this is {}", kind(value)),
                match value.get_ref() {
                    DeValue::String(text) => format!("write it in brackets: {key} = [{text:?}]"),
                    _ => format!("write a list of texts, like {key} = [{like}]"),
                },
            );
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| self.text(item, key, like))
            .collect()
    }

    pub(super) fn boolean(&mut self, value: &Value<'_>, key: &str) -> Option<bool> {
        if let DeValue::Boolean(boolean) = value.get_ref() {
            return Some(*boolean);
        }
        self.refuse(
            &value.span(),
            format!("`{key}` is true or false, and this is {}", kind(value)),
            match value.get_ref() {
                DeValue::String(_) => "write it without quotes: true, or false",
                _ => "write true, or false",
            },
        );
        None
    }

    pub(super) fn choice<T: Choice>(&mut self, value: &Value<'_>, key: &str) -> Option<T> {
        let words = || T::ALL.iter().map(|(_, word, _)| *word);
        let like = words().next().unwrap_or_default();
        let (text, span) = self.text(value, key, &format!("{key} = {like:?}"))?;
        let chosen = T::of(text);
        if chosen.is_none() {
            let remedy = nearest(text, words()).map_or_else(
                || {
                    let quoted: Vec<_> = words().map(|word| format!("{word:?}")).collect();
                    format!("write {}", quoted.join(" or "))
                },
                |near| format!("did you mean {near:?}?"),
            );
            self.refuse(&span, format!("`{text}` is no value of `{key}`"), remedy);
        }
        chosen
    }

    /// The tables of an array of tables: `[[key]]`.
    pub(super) fn tables<'v, 't>(
        &mut self,
        value: &'v Value<'t>,
        key: &str,
    ) -> Vec<(&'v DeTable<'t>, Span)> {
        let one_each = || format!("write [[{key}]], and its keys below, for each");
        let Some(items) = value.get_ref().as_array() else {
            self.refuse(
                &value.span(),
                format!("`{key}` is a list of tables, and this is {}", kind(value)),
                one_each(),
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(table) => tables.push((table, item.span())),
                None => self.refuse(
                    &item.span(),
                    format!("`{key}` is a list of tables, and this is {}", kind(item)),
                    one_each(),
                ),
            }
        }
        tables
    }

    /// A table: `[key]`.
    pub(super) fn table<'v, 't>(
        &mut self,
        value: &'v Value<'t>,
        key: &str,
    ) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.refuse(
                &value.span(),
                format!("`{key}` is a table, and this is {}", kind(value)),
                format!("write [{key}], and its keys below"),
            );
        }
        table
    }
}

/// What a value is, in the user's words.
pub(super) fn kind(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The word that was probably meant.
fn nearest<'w>(given: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let given = given.to_ascii_lowercase().replace('-', "_");
    words
        .map(|word| (strsim::jaro_winkler(word, &given), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let quoted: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
