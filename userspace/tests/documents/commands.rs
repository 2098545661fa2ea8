//! The commands of ours that documents show, for a test to try.
//!
//! A document shows commands in blocks: lines that are indented by four, or fenced. What an admin types there begins with
//! `geodrop`, `sudo geodrop`, or a prompt before either; what is handed to another program (`nsenter … geodrop`) is not
//! looked at.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A command in a document.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The document and the line, as compilers write it.
    pub(crate) place: String,
    /// Whether it is shown as root's.
    pub(crate) as_root: bool,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
}

/// The top of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All documents for users, by their paths in the repository.
pub(crate) fn documents() -> Vec<PathBuf> {
    let mut paths = vec!["README.md".into(), "data/README.md".into()];
    let pages = fs::read_dir(repository().join("docs")).unwrap();
    let names = pages.map(|page| Path::new("docs").join(page.unwrap().file_name()));
    paths.extend(names.filter(|name| name.extension().is_some_and(|extension| extension == "md")));
    paths.sort();
    paths
}

/// The commands of all documents.
pub(crate) fn shown() -> Vec<Shown> {
    documents().iter().flat_map(|path| shown_in(path)).collect()
}

fn shown_in(path: &Path) -> Vec<Shown> {
    let text = fs::read_to_string(repository().join(path)).unwrap();
    let mut commands = Vec::new();
    let mut fenced = false;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if !fenced && !line.starts_with("    ") {
            continue;
        }
        let mut whole = line.trim().to_owned();
        while let Some(begun) = whole.strip_suffix('\\') {
            let (_, rest) = lines.next().unwrap();
            whole = format!("{begun} {}", rest.trim());
        }
        let place = format!("{}:{}", path.display(), index + 1);
        for words in simple_commands(&whole) {
            commands.extend(ours(&place, words));
        }
    }
    commands
}

/// The commands that a line of shell joins by pipes and operators, each as its words; redirections and remarks are left out.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    for word in words(line) {
        match word.as_str() {
            "#" if commands.iter().any(|words| !words.is_empty()) => break,
            "|" | "&&" | ";" => commands.push(Vec::new()),
            _ => commands.last_mut().unwrap().push(word),
        }
    }
    for command in &mut commands {
        let end = command.iter().position(|word| word.starts_with(['>', '<']));
        // A placeholder (<FILE>) is no redirection.
        command.truncate(end.unwrap_or(command.len()));
    }
    commands
}

/// Splits at spaces that are not quoted.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        let word = words.last_mut().unwrap();
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(String::new()),
            (';', None) => words.extend([";".to_owned(), String::new()]),
            _ => word.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The command if it is ours, without what goes before it.
fn ours(place: &str, words: Vec<String>) -> Option<Shown> {
    let mut words = words.into_iter().peekable();
    let mut as_root = false;
    loop {
        match words.peek()?.as_str() {
            "$" => {}
            "#" | "sudo" => as_root = true,
            "-u" => drop(words.next()),
            "geodrop" => break,
            _ => return None,
        }
        words.next();
    }
    Some(Shown {
        place: place.to_owned(),
        as_root,
        words: words.collect(),
    })
}
