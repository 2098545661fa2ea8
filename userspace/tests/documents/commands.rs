//! The commands that documents show, for a test to try.
//!
//! A document shows commands in blocks: lines that are indented by four, or fenced. What an admin types there begins with
//! `geodrop`, with `sudo`, with another program of [`UNTRIED`], or with a prompt before either; and a line that begins so is
//! nothing but commands.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which commands no test of documents runs, by how they begin, and why.
pub(crate) const UNTRIED: [(&str, &str); 22] = [
    (
        "apt",
        "installs on the machine of the test; so does `cargo xtask dist`",
    ),
    ("cargo", "builds, tests or measures all of this again"),
    ("chown", "takes a user of the machine"),
    (
        "geodrop geoip rollback",
        "takes back an update; `geoip_update` does",
    ),
    (
        "geodrop geoip update",
        "asks providers; `geoip_update` asks a server of its own",
    ),
    ("geodrop-bench", "compares runs of the reader's"),
    ("install", "installs on the machine of the test"),
    (
        "ipset",
        "is another's; `kernel_export` has it read what is exported",
    ),
    ("jq", "is another's"),
    ("kubectl", "takes a cluster"),
    ("mkdir", "is another's"),
    ("mount", "mounts what the machine of the test has mounted"),
    ("mv", "is another's"),
    (
        "nft",
        "is another's; `kernel_export` has it read what is exported",
    ),
    (
        "nsenter",
        "takes a namespace with a name; the tests' have none",
    ),
    ("podman", "takes an image"),
    (
        "setpriv",
        "takes a user of the machine; `privileges` runs without root",
    ),
    ("sort", "is another's"),
    (
        "systemctl",
        "takes a service manager; `service` has what it does",
    ),
    ("tar", "unpacks what a release brings"),
    ("tee", "is another's"),
    ("uniq", "is another's"),
];

/// A command in a document.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The document and the line, as compilers write it.
    pub(crate) place: String,
    /// Whether it is shown as root's.
    pub(crate) as_root: bool,
    /// What is said of its environment.
    pub(crate) environment: Vec<(String, String)>,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// The file that it reads as its standard input.
    pub(crate) input: Option<String>,
}

impl Shown {
    /// Whether it is a command of this program.
    pub(crate) fn is_ours(&self) -> bool {
        self.words[0] == "geodrop"
    }

    /// The entry of [`UNTRIED`] that it comes under.
    pub(crate) fn untried(&self) -> Option<&'static str> {
        let mut entries = UNTRIED.into_iter().map(|(entry, _)| entry);
        entries.find(|entry| {
            let mut words = self.words.iter();
            entry
                .split(' ')
                .all(|word| words.next().is_some_and(|one| one == word))
        })
    }

    /// Whether it takes no filter and changes none.
    pub(crate) fn needs_no_filter(&self) -> bool {
        let words: Vec<_> = self.words.iter().map(String::as_str).collect();
        let asks = matches!(
            words[1..],
            ["lookup" | "check" | "export" | "help", ..] | ["geoip", "info" | "diff", ..]
        );
        asks && !words.contains(&"--running")
    }
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
        if !is_typed(&words(&whole).0) {
            continue;
        }
        loop {
            let begun = match whole.strip_suffix('\\') {
                Some(begun) => begun,
                None if words(&whole).1 => &whole,
                None => break,
            };
            let (_, rest) = lines.next().unwrap();
            whole = format!("{begun} {}", rest.trim());
        }
        let place = format!("{}:{}", path.display(), index + 1);
        let joined = simple_commands(&whole).into_iter();
        commands.extend(joined.map(|words| command(place.clone(), words)));
    }
    commands
}

/// Whether somebody types a line that begins with these words.
fn is_typed(words: &[String]) -> bool {
    let mut words = words.iter().map(String::as_str);
    let first = words.find(|word| !matches!(*word, "$" | "#"));
    let is_known = |word| word == "geodrop" || UNTRIED.iter().any(|(entry, _)| *entry == word);
    first.is_some_and(|word| word == "sudo" || is_known(word))
}

/// The commands that a line of shell joins by pipes and operators, each as its words.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    for word in words(line).0 {
        match word.as_str() {
            "|" | "&&" | ";" => commands.push(Vec::new()),
            _ => commands.last_mut().unwrap().push(word),
        }
    }
    commands.retain(|words| !words.is_empty());
    commands
}

/// Splits at spaces that are not quoted, up to a remark; tells besides whether a quotation goes on in the next line.
fn words(line: &str) -> (Vec<String>, bool) {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        let is_first = words.len() == 1;
        let word = words.last_mut().unwrap();
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(String::new()),
            (';', None) => words.extend([";".to_owned(), String::new()]),
            // The first one is a prompt.
            ('#', None) if word.is_empty() && !is_first => break,
            _ => word.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    (words, quote.is_some())
}

/// A command, without what goes before it and behind it.
fn command(place: String, words: Vec<String>) -> Shown {
    let mut shown = Shown {
        place,
        as_root: false,
        environment: Vec::new(),
        words: Vec::new(),
        input: None,
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let begun = !shown.words.is_empty();
        match word.as_str() {
            "<" => shown.input = words.next(),
            ">" => drop(words.next()),
            "$" | "-E" | "env" if !begun => {}
            "#" | "sudo" if !begun => shown.as_root = true,
            "-u" if !begun => drop(words.next()),
            _ => match word.split_once('=') {
                Some((name, value)) if !begun => {
                    shown.environment.push((name.to_owned(), value.to_owned()));
                }
                _ => shown.words.push(word),
            },
        }
    }
    shown
}
