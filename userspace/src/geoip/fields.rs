//! The fields of one line, commas between them, quotes around some.
//!
//! No file that is read here has a field that goes on in the next line, so each line is split for itself. That keeps
//! a stray quote from swallowing the lines behind it, and the line numbers exact. Lines with quotes are split by the
//! csv crates' core, all others at their commas.

use super::LineProblem;

/// Splits lines, in memory that it keeps from line to line.
pub(super) struct Splitter {
    reader: csv_core::Reader,
    /// A line that has quotes, and its end.
    quoted: Vec<u8>,
    /// Its fields without quotes, one behind the other.
    unquoted: Vec<u8>,
    /// Where each of these ends.
    ends: Vec<usize>,
    /// Where each field stands in the text that it is in.
    bounds: Vec<(usize, usize)>,
}

/// The fields of a line, without the blanks around them.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    text: &'a str,
    bounds: &'a [(usize, usize)],
}

impl Splitter {
    pub(super) fn new() -> Self {
        Self {
            reader: csv_core::Reader::new(),
            quoted: Vec::new(),
            unquoted: Vec::new(),
            ends: Vec::new(),
            bounds: Vec::new(),
        }
    }

    /// Splits a line, which has no line end.
    ///
    /// # Errors
    ///
    /// [`LineProblem::Quote`] when a quote is opened and not closed.
    pub(super) fn split<'a>(&'a mut self, line: &'a str) -> Result<Fields<'a>, LineProblem> {
        self.bounds.clear();
        let text = if line.contains('"') {
            let length = self.unquote(line)?;
            // It was text, and only quotes, which are characters of their own, were taken out of it.
            str::from_utf8(&self.unquoted[..length]).map_err(|_| LineProblem::NotText)?
        } else {
            let mut start = 0;
            for comma in line.match_indices(',').map(|(comma, _)| comma) {
                self.bounds.push((start, comma));
                start = comma + 1;
            }
            self.bounds.push((start, line.len()));
            line
        };
        Ok(Fields {
            text,
            bounds: &self.bounds,
        })
    }

    /// Takes the quotes out of a line; how long the fields are together.
    fn unquote(&mut self, line: &str) -> Result<usize, LineProblem> {
        self.quoted.clear();
        self.quoted.extend_from_slice(line.trim().as_bytes());
        self.quoted.push(b'\n');
        // Nothing gets longer by being unquoted, and there is an end for each comma and one more.
        self.unquoted.resize(self.quoted.len(), 0);
        self.ends.resize(self.quoted.len(), 0);
        self.reader.reset();
        let (result, _, _, count) =
            self.reader
                .read_record(&self.quoted, &mut self.unquoted, &mut self.ends);
        if result != csv_core::ReadRecordResult::Record {
            // The line's end was taken for a part of a field.
            return Err(LineProblem::Quote);
        }
        let mut start = 0;
        for &end in &self.ends[..count] {
            self.bounds.push((start, end));
            start = end;
        }
        Ok(start)
    }
}

impl<'a> Fields<'a> {
    /// How many there are: at least one.
    pub(super) fn len(self) -> usize {
        self.bounds.len()
    }

    /// The field at a place; empty where there is none.
    pub(super) fn get(self, place: usize) -> &'a str {
        self.bounds
            .get(place)
            .and_then(|&(start, end)| self.text.get(start..end))
            .unwrap_or_default()
            .trim()
    }

    /// All of them.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).map(move |place| self.get(place))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(line: &str) -> Result<Vec<String>, LineProblem> {
        let mut splitter = Splitter::new();
        let fields = splitter.split(line)?;
        Ok(fields.iter().map(str::to_owned).collect())
    }

    #[test]
    fn commas_part_fields_and_quotes_hold_them_together() {
        for (line, fields) in [
            ("a,b", vec!["a", "b"]),
            (" a ,\tb ,", vec!["a", "b", ""]),
            ("", vec![""]),
            (
                "\"0\",\"16777215\",\"-\",\"-\"",
                vec!["0", "16777215", "-", "-"],
            ),
            ("x,\"Foo, Bar\",y", vec!["x", "Foo, Bar", "y"]),
            ("\"say \"\"hi\"\"\"", vec!["say \"hi\""]),
            ("a\"b,c", vec!["a\"b", "c"]),
            ("\"é\",ü", vec!["é", "ü"]),
        ] {
            assert_eq!(split(line).unwrap(), fields, "{line}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_an_error() {
        for line in ["\"a,b", "a,\"b", "\"a\",\"", "\""] {
            assert_eq!(split(line), Err(LineProblem::Quote), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_what_was_meant(fields in prop::collection::vec("[^\n\r\"]*", 1..6)) {
            let quoted: Vec<_> = fields.iter().map(|field| format!("\"{field}\"")).collect();
            let trimmed: Vec<_> = fields.iter().map(|field| field.trim()).collect();
            prop_assert_eq!(split(&quoted.join(",")).unwrap(), trimmed);
        }

        #[test]
        fn any_line_is_split_or_refused(line in "[^\n]*") {
            let _ = split(&line);
        }
    }
}
