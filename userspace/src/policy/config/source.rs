//! Places in files, and what is wrong there.

use std::{fmt, ops::Range, sync::Arc};

/// How much of a long line is shown.
const WIDTH: usize = 110;

/// How many problems are shown at most: one cause, such as a file that is no TOML at all, can make thousands.
const SHOWN: usize = 20;

/// A file that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    name: String,
    text: String,
}

impl Source {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            text: text.into(),
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place of these bytes.
    pub(super) fn at(self: &Arc<Self>, span: Range<usize>) -> Location {
        Location {
            source: Arc::clone(self),
            span,
        }
    }
}

/// A place in a file: the bytes that somebody wrote there.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    source: Arc<Source>,
    span: Range<usize>,
}

impl Location {
    /// The file, as the user named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The line, from 1 on.
    #[must_use]
    pub fn line(&self) -> usize {
        self.before().matches('\n').count() + 1
    }

    /// The column in characters, from 1 on.
    #[must_use]
    pub fn column(&self) -> usize {
        self.before_in_line().chars().count() + 1
    }

    /// All that stands before it. Spans that others computed are not trusted to lie between characters.
    fn before(&self) -> &str {
        let text = &self.source.text;
        let start = text.floor_char_boundary(self.span.start.min(text.len()));
        text.get(..start).unwrap_or_default()
    }

    fn before_in_line(&self) -> &str {
        let before = self.before();
        before.rsplit_once('\n').map_or(before, |(_, line)| line)
    }

    /// Its line, and below that marks under what it spans of it.
    fn excerpt(&self) -> (String, String) {
        let column = self.before_in_line().chars().count();
        let from_line = self
            .source
            .text
            .get(self.before().len() - self.before_in_line().len()..)
            .unwrap_or_default();
        let line = from_line.lines().next().unwrap_or_default();
        let spanned = self
            .source
            .text
            .get(self.before().len()..self.span.end.min(self.source.text.len()))
            .and_then(|spanned| spanned.lines().next())
            .map_or(0, |spanned| spanned.chars().count());
        // A long line is cut, so that what matters is on the screen.
        let cut = if line.chars().count() > WIDTH {
            column.saturating_sub(WIDTH / 2)
        } else {
            0
        };
        // What a terminal would take for an order is not passed on to it.
        let shown: String = line
            .chars()
            .skip(cut)
            .take(WIDTH)
            .map(|c| {
                if c.is_control() && c != '\t' {
                    char::REPLACEMENT_CHARACTER
                } else {
                    c
                }
            })
            .collect();
        let blanks = shown
            .chars()
            .take(column - cut)
            .map(|c| if c == '\t' { '\t' } else { ' ' });
        let room = shown.chars().count().saturating_sub(column - cut).max(1);
        let marks = "^".repeat(spanned.clamp(1, room));
        (shown.clone(), blanks.collect::<String>() + &marks)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file(), self.line(), self.column())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// What is wrong, or worth a second look, and where. Shown, it has the line with marks under what is meant, and the
/// remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub location: Location,
    /// What.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.location.line().to_string();
        let margin = " ".repeat(number.len());
        let (line, marks) = self.location.excerpt();
        writeln!(f, "{}: {}", self.location, self.message)?;
        writeln!(f, " {margin} |")?;
        writeln!(f, " {number} | {line}")?;
        writeln!(f, " {margin} | {marks}")?;
        write!(f, " {margin} = help: {}", self.remedy)
    }
}

/// All that is wrong with a file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Problems, each with the byte of the configuration that led to it: what a file has that is named there stands
    /// in its place.
    pub(super) fn new(mut problems: Vec<(usize, Problem)>) -> Self {
        problems.sort_by_key(|(cause, _)| *cause);
        Self(problems.into_iter().map(|(_, problem)| problem).collect())
    }

    /// Problems in their order.
    pub(super) fn of_one_file(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problems> for Vec<Problem> {
    fn from(problems: Problems) -> Self {
        problems.0
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{problem}")?;
        }
        match self.0.len() {
            0 | 1 => Ok(()),
            count if count > SHOWN => {
                write!(
                    f,
                    "\n\n{count} errors, of which the first {SHOWN} are shown"
                )
            }
            count => write!(f, "\n\n{count} errors"),
        }
    }
}
