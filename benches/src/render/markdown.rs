//! The report as Markdown: what to paste into an issue or to keep in a repository.

use std::fmt::Write as _;

use comfy_table::presets;

use super::{environment, notice, sections, text::table};
use crate::document::Document;

/// What was found, as Markdown.
#[must_use]
pub fn render(document: &Document) -> String {
    let mut text = String::from("# What blocking costs\n\n");
    // Writing to a string does not fail.
    let _ = writeln!(text, "    {}\n", document.command.join(" "));
    if let Some(notice) = notice(document) {
        let _ = writeln!(text, "**{notice}**\n");
    }
    for (name, value) in environment(document) {
        let _ = writeln!(text, "- {name}: {value}");
    }
    for section in sections(document) {
        let _ = writeln!(text, "\n## {}", section.title);
        for paragraph in &section.before {
            let _ = writeln!(text, "\n{paragraph}");
        }
        if !section.rows.is_empty() {
            let _ = writeln!(text, "\n{}", table(&section, presets::ASCII_MARKDOWN));
        }
        if !section.after.is_empty() {
            let _ = writeln!(text);
        }
        for line in &section.after {
            let _ = writeln!(text, "- {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{goals::Goal, report::Report},
        document::Document,
        measure::Estimate,
    };

    #[test]
    fn a_run_that_was_interrupted_says_so() {
        let document = |interrupted| Document {
            interrupted,
            ..Document::default()
        };
        assert!(render(&document(true)).contains("\n**Interrupted: "));
        assert!(!render(&document(false)).contains("Interrupted"));
    }

    #[test]
    fn a_section_is_a_heading_and_a_table() {
        let goal = Goal {
            what: "as fast | as can be".to_owned(),
            target: 2.0,
            at_most: false,
            measured: Estimate {
                median: 3.0,
                low: 2.5,
                high: 3.5,
            },
            met: true,
        };
        let document = Document {
            device: Some(Report {
                goals: vec![goal],
                ..Report::default()
            }),
            ..Document::default()
        };
        let text = render(&document);
        assert!(text.contains("\n## "), "{text}");
        assert!(text.contains("3.00 [2.50, 3.50]"), "{text}");
        assert!(text.contains("- Kernel: Linux"), "{text}");
    }
}
