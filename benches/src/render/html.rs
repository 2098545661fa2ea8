//! The report as a page that stands alone: no script, nothing from the network, in the colours that its reader prefers.

use std::fmt::Write as _;

use super::{Section, environment, is_numeric, notice, plot, sections};
use crate::document::Document;

/// What is so in light and in dark.
const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1b1b;--quiet:#5c5c5c;--line:#d5d5d5;--shade:#f4f4f4}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:74rem;background:var(--paper);color:var(--ink);
 font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;line-height:1.2}h2{font-size:1.2rem;margin:2.5rem 0 .5rem}
p,li{max-width:46rem}
figure{margin:1rem 0}svg{display:block;width:100%;height:auto}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{color:var(--quiet);font-weight:600}
td{white-space:nowrap}.number{text-align:right}.words{white-space:normal;min-width:9rem}
pre{padding:.7rem;background:var(--shade);overflow-x:auto}
.facts td,.facts th{white-space:normal;overflow-wrap:anywhere}.facts th{color:var(--quiet);font-weight:600;min-width:9rem}
summary{cursor:pointer;color:var(--quiet)}nav ul{margin:.5rem 0;columns:24rem}a{color:inherit}
";

/// What is so in the dark only.
const DARK: &str = "--paper:#161616;--ink:#e8e8e8;--quiet:#a8a8a8;--line:#3a3a3a;--shade:#222";

/// What is so on narrow screens, and on paper.
const NARROW: &str = "@media(max-width:40rem){body{padding:1rem .75rem 3rem}h1{font-size:1.4rem}.plot{overflow-x:auto}
 .plot svg{min-width:32rem}}
@media print{body{max-width:none;padding:0;font-size:10pt}h2,figure,tr{break-inside:avoid}h2,section>p{break-after:avoid}.plot svg{max-width:15cm}
 .wide{overflow:visible}table{font-size:7.5pt}nav{display:none}}
";

/// What was found, as a page.
#[must_use]
pub fn render(document: &Document) -> String {
    let mut page = String::new();
    // Writing to a string does not fail, here and below.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>What blocking costs: geodrop {version}, {date}</title>\n\
         <style>\n{STYLE}{light}@media(prefers-color-scheme:dark){{@media not print{{:root{{{DARK}}}\n{dark}}}}}\n{NARROW}</style>\n\
         </head>\n<body>\n<h1>What blocking costs</h1>\n",
        version = escape(&document.version),
        date = escape(&document.date),
        light = plot::style(false),
        dark = plot::style(true),
    );
    let _ = write!(
        page,
        "<p>To repeat it, as root:</p>\n<pre>{}</pre>\n",
        escape(&document.command.join(" "))
    );
    if let Some(notice) = notice(document) {
        let _ = writeln!(page, "<p><strong>{}</strong></p>", escape(notice));
    }
    let sections = sections(document);
    add_contents(&mut page, &sections);
    for (number, section) in sections.iter().enumerate() {
        add_section(&mut page, number, section);
    }
    page.push_str("<h2 id=\"where\">Where</h2>\n<div class=\"wide\"><table class=\"facts\">\n");
    for (name, value) in environment(document) {
        let (name, value) = (escape(&name), escape(&value));
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>"
        );
    }
    page.push_str("</table></div>\n</body>\n</html>\n");
    page
}

/// What there is to be found, to be opened.
fn add_contents(page: &mut String, sections: &[Section]) {
    page.push_str("<nav><details><summary>Contents</summary>\n<ul>\n");
    for (number, section) in sections.iter().enumerate() {
        let title = escape(&section.title);
        let _ = writeln!(page, "<li><a href=\"#section-{number}\">{title}</a></li>");
    }
    page.push_str("<li><a href=\"#where\">Where</a></li>\n</ul></details></nav>\n");
}

fn add_section(page: &mut String, number: usize, section: &Section) {
    let title = escape(&section.title);
    let _ = writeln!(page, "<section id=\"section-{number}\">\n<h2>{title}</h2>");
    for paragraph in &section.before {
        let _ = writeln!(page, "<p>{}</p>", escape(paragraph));
    }
    // The table says the same, so a plot that cannot be drawn is only left out.
    if let Some(svg) = section
        .plot
        .as_ref()
        .and_then(|plot| plot.svg(&section.title).ok())
    {
        let _ = writeln!(page, "<figure class=\"plot\">{svg}</figure>");
    }
    if !section.rows.is_empty() {
        add_table(page, section);
    }
    if !section.after.is_empty() {
        page.push_str("<ul>\n");
        for line in &section.after {
            let _ = writeln!(page, "<li>{}</li>", escape(line));
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</section>\n");
}

/// Of how many characters a cell is at most that stands in one line.
const LONG: usize = 32;

fn add_table(page: &mut String, section: &Section) {
    let classes: Vec<_> = (0..section.head.len())
        .map(|column| {
            let cells = || section.rows.iter().filter_map(|row| row.get(column));
            if is_numeric(&section.rows, column) {
                " class=\"number\""
            } else if cells().any(|cell| cell.len() > LONG) {
                " class=\"words\""
            } else {
                ""
            }
        })
        .collect();
    let class = |column: usize| classes.get(column).copied().unwrap_or_default();
    page.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for (column, name) in section.head.iter().enumerate() {
        let _ = write!(
            page,
            "<th scope=\"col\"{}>{}</th>",
            class(column),
            escape(name)
        );
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &section.rows {
        page.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(page, "<td{}>{}</td>", class(column), escape(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// Text as it stands in HTML and its attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_takes_nothing_from_elsewhere() {
        let page = render(&Document {
            command: vec!["geodrop-bench".to_owned(), "<script>".to_owned()],
            ..Document::default()
        });
        assert!(page.contains("geodrop-bench &lt;script&gt;"));
        for elsewhere in ["<script", "<link", "@import", "src=", "url("] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
        assert!(page.contains("prefers-color-scheme:dark") && page.contains("@media print"));
    }

    #[test]
    fn a_table_says_which_columns_are_numbers() {
        let mut page = String::new();
        let section = Section {
            title: "A & B".to_owned(),
            head: vec!["name", "ns"],
            rows: vec![vec!["x".to_owned(), "1.5".to_owned()]],
            ..Section::default()
        };
        add_section(&mut page, 0, &section);
        assert!(page.contains("<h2>A &amp; B</h2>"));
        assert!(
            page.contains("<td>x</td><td class=\"number\">1.5</td>"),
            "{page}"
        );
        assert!(!page.contains("<figure"));
    }
}
