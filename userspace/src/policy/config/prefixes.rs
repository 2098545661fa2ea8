//! `allow` and `deny`: prefixes, in the configuration itself or in files of their own.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use ipnet::IpNet;

use super::{
    reader::{Reader, Span, Value},
    settings::Placed,
    source::{Problem, Problems, Source},
    words::{self, Misspelt},
};

/// What makes an item of a list the name of a file.
pub const FILE: &str = "file:";

/// More than any list of prefixes that can be meant, and little enough to read into memory.
const LARGEST: u64 = 256 << 20;

/// Reads the whole of a file as text.
///
/// # Errors
///
/// What the system says; text that is not UTF-8; files that are far too large.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
    if length as u64 == LARGEST {
        return Err(io::Error::other("the file is far too large"));
    }
    Ok(text)
}

/// Reads a file of prefixes: one a line, `#` begins a comment.
///
/// # Errors
///
/// When the file cannot be read, or else all lines that are no prefix.
pub fn read_prefixes(path: &Path) -> io::Result<Result<Vec<Placed<IpNet>>, Problems>> {
    let source = Source::new(path.display().to_string(), read_text(path)?);
    let mut prefixes = Vec::new();
    let mut problems = Vec::new();
    let mut start = 0;
    for line in source.text().split_inclusive('\n') {
        let said = line.split('#').next().unwrap_or_default();
        let word = said.trim();
        if !word.is_empty() {
            let first = start + (said.len() - said.trim_start().len());
            let location = source.at(first..first + word.len());
            match words::prefix(word) {
                Ok(value) => prefixes.push(Placed {
                    value,
                    location: Some(location),
                }),
                Err(Misspelt { what, remedy }) => problems.push(Problem {
                    location,
                    message: what,
                    remedy,
                }),
            }
        }
        start += line.len();
    }
    Ok(if problems.is_empty() {
        Ok(prefixes)
    } else {
        Err(Problems::of_one_file(problems))
    })
}

impl Reader<'_> {
    /// `allow` or `deny`.
    pub(super) fn prefixes(&mut self, value: &Value<'_>, key: &str) -> Vec<Placed<IpNet>> {
        let mut prefixes = Vec::new();
        for (text, span) in self.texts(value, key, "\"192.0.2.0/24\"") {
            if let Some(path) = text.strip_prefix(FILE) {
                self.prefixes_of_file(path.trim(), &span, &mut prefixes);
                continue;
            }
            match words::prefix(text) {
                Ok(value) => prefixes.push(Placed {
                    value,
                    location: Some(self.at(&span)),
                }),
                Err(problem) => self.refuse_misspelt(&span, problem),
            }
        }
        self.warn_of_repetitions(&prefixes, value.span().start, key);
        prefixes
    }

    fn prefixes_of_file(&mut self, path: &str, span: &Span, prefixes: &mut Vec<Placed<IpNet>>) {
        let path = self.directory.join(path);
        self.files.push(path.clone());
        match read_prefixes(&path) {
            Ok(Ok(read)) => {
                if read.is_empty() {
                    self.warn(
                        span.start,
                        self.at(span),
                        format!("{} has no prefix in it", path.display()),
                        "write prefixes into it, one a line, or take it off the list",
                    );
                }
                prefixes.extend(read);
            }
            Ok(Err(problems)) => {
                let problems = Vec::from(problems).into_iter();
                let problems = problems.map(|problem| (span.start, problem));
                self.problems.extend(problems);
            }
            Err(error) => self.refuse(
                span,
                format!("{} cannot be read: {error}", path.display()),
                "name a file of prefixes, one a line; a relative path begins where the configuration is",
            ),
        }
    }

    fn warn_of_repetitions(&mut self, prefixes: &[Placed<IpNet>], cause: usize, key: &str) {
        let mut seen = HashMap::new();
        let mut repeated = Vec::new();
        for prefix in prefixes {
            match seen.entry(prefix.value) {
                std::collections::hash_map::Entry::Occupied(first) => {
                    repeated.push((prefix, *first.get()));
                }
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(prefix);
                }
            }
        }
        let others = more(repeated.len());
        if let Some((again, first)) = repeated.first()
            && let (Some(again_at), Some(first_at)) = (&again.location, &first.location)
        {
            self.warn(
                cause,
                again_at.clone(),
                format!("{} is on `{key}` twice{others}", again.value),
                format!("take one off; the first is at {first_at}"),
            );
        }
    }

    /// Warns of prefixes that are on both lists. `allow` wins, which is not what everybody expects.
    pub(super) fn warn_of_contradictions(
        &mut self,
        allow: Option<&Vec<Placed<IpNet>>>,
        deny: Option<&Vec<Placed<IpNet>>>,
    ) {
        let (Some(allow), Some(deny)) = (allow, deny) else {
            return;
        };
        let allowed: HashMap<_, _> = allow.iter().map(|placed| (placed.value, placed)).collect();
        let both: Vec<_> = deny
            .iter()
            .filter_map(|denied| Some((denied, *allowed.get(&denied.value)?)))
            .collect();
        let others = more(both.len());
        if let Some((denied, allowed)) = both.first()
            && let (Some(denied_at), Some(allowed_at)) = (&denied.location, &allowed.location)
        {
            self.warn(
                usize::MAX,
                denied_at.clone(),
                format!(
                    "{} is on `allow` and on `deny`, and passes{others}",
                    denied.value
                ),
                format!("take it off one of them; it is allowed at {allowed_at}"),
            );
        }
    }

    /// Whether a file that is named, or a directory of files, can be had.
    pub(super) fn existing_file(&mut self, path: &Path, span: &Span) -> std::path::PathBuf {
        let path = self.directory.join(path);
        if let Err(error) = path.metadata() {
            self.refuse(
                span,
                format!("{} cannot be read: {error}", path.display()),
                "name a file of GeoIP data, a directory of such files, or \"builtin\"; a relative path begins where the \
                 configuration is",
            );
        }
        path
    }
}

/// What is said of those that are not named.
fn more(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        2 => ", and so is one more".to_owned(),
        _ => format!(", and so are {} more", count - 1),
    }
}
