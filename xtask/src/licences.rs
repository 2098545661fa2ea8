//! The terms of what our programs are linked with besides our own code: which of them we accept, and their texts, which packages
//! have to hold.
//!
//! What is linked are a program's dependencies and those of the kernel programs in it, but for what only the compiler runs: macros, and
//! what builds. The texts are the files that crates are published with; one that is published without any gets the texts that
//! SPDX has for the terms that it names, with its authors.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use anyhow::{Context as _, bail, ensure};
use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};
use geodrop_toolchain::objects;
use spdx::{Expression, Licensee, ParseMode};

use crate::workspace::Workspace;

/// The terms that we accept of what we link: all let a program be handed on with its notices alone. Where a crate offers several,
/// the first of these is taken.
const ACCEPTED: [&str; 8] = [
    "MIT",
    "Apache-2.0",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Zlib",
    "bzip2-1.0.6",
    "CDLA-Permissive-2.0",
];

/// How the files begin that hold terms, in lower case.
const FILES: [&str; 6] = [
    "licence",
    "license",
    "copying",
    "copyright",
    "notice",
    "unlicense",
];

/// What is linked and no crate: whose it is, and under which terms.
const BESIDE_CRATES: [[&str; 3]; 2] = [
    [
        "Rust's standard library",
        "Copyright (c) The Rust Project contributors",
        "MIT",
    ],
    [
        "musl, where it is the C library",
        "Copyright (c) 2005-2020 Rich Felker, et al.",
        "MIT",
    ],
];

const RULE: &str =
    "================================================================================";

/// The terms of all that a program of this workspace carries, built for `target`; an error if any are not among those that we accept.
pub(crate) fn notices(
    workspace: &Workspace,
    program: &str,
    target: &str,
) -> anyhow::Result<String> {
    let metadata = workspace.metadata(&["--filter-platform", target])?;
    let crates = linked(&metadata, &[program, objects::PACKAGE])?;
    let mut text = format!(
        "What {program} is linked with besides its own code: the terms of each, and below them their texts.\n\n"
    );
    let mut texts = Texts::default();
    let mut refused = Vec::new();
    for package in crates {
        let name = format!("{} {}", package.name, package.version);
        let Some(terms) = &package.license else {
            refused.push(format!("{name}: names no terms"));
            continue;
        };
        match accepted(terms) {
            Ok(chosen) => {
                writeln!(text, "{name}: {terms}")?;
                texts.add(package, &name, &chosen)?;
            }
            Err(error) => refused.push(format!("{name}: {error:#}")),
        }
    }
    ensure!(
        refused.is_empty(),
        "{program} is linked with what is under terms that we do not accept (xtask/src/licences.rs):\n  {}",
        refused.join("\n  ")
    );
    for [name, copyright, terms] in BESIDE_CRATES {
        writeln!(text, "{name}: {terms}")?;
        texts.of_terms(name, copyright, &accepted(terms)?);
    }
    for (words, names) in texts.0.into_values() {
        let names: Vec<_> = names.into_iter().collect();
        write!(
            text,
            "\n{RULE}\n{}:\n\n{}\n",
            names.join(", "),
            words.trim_end()
        )?;
    }
    Ok(text)
}

/// The crates of others that are linked into any of these members of the workspace.
fn linked<'a>(metadata: &'a Metadata, members: &[&str]) -> anyhow::Result<Vec<&'a Package>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo metadata resolves no dependencies")?;
    let nodes: BTreeMap<&PackageId, _> =
        resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let packages: BTreeMap<&PackageId, _> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package))
        .collect();
    let mut open: Vec<&PackageId> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| members.contains(&package.name.as_str()))
        .map(|package| &package.id)
        .collect();
    ensure!(
        open.len() == members.len(),
        "not all of {} are members of the workspace",
        members.join(", ")
    );
    let mut found = BTreeMap::new();
    while let Some(id) = open.pop() {
        let package = *packages
            .get(id)
            .with_context(|| format!("cargo metadata says nothing of {id}"))?;
        let is_macro = package
            .targets
            .iter()
            .any(cargo_metadata::Target::is_proc_macro);
        if is_macro || found.insert(id, package).is_some() {
            continue;
        }
        let dependencies = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        open.extend(
            dependencies
                .filter(|dependency| {
                    let mut kinds = dependency.dep_kinds.iter();
                    kinds.any(|of| of.kind == DependencyKind::Normal)
                })
                .map(|dependency| &dependency.pkg),
        );
    }
    let mut crates: Vec<_> = found
        .into_values()
        .filter(|package| package.source.is_some())
        .collect();
    crates.sort_by_key(|package| (&package.name, &package.version));
    Ok(crates)
}

/// Those of the terms of an expression of SPDX that we take.
fn accepted(terms: &str) -> anyhow::Result<Vec<spdx::LicenseId>> {
    let expression = Expression::parse_mode(terms, ParseMode::LAX)
        .map_err(|error| anyhow::anyhow!("`{terms}` is no expression of SPDX: {}", error.reason))?;
    let ours = ACCEPTED
        .iter()
        .map(|name| Licensee::parse(name).with_context(|| format!("SPDX knows no {name}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let Ok(chosen) = expression.minimized_requirements(&ours) else {
        bail!("`{terms}` asks for others than {}", ACCEPTED.join(", "));
    };
    Ok(chosen
        .into_iter()
        .filter_map(|term| term.license.id())
        .collect())
}

/// Texts by their words, each once, with the names of what it is for.
#[derive(Default)]
struct Texts(BTreeMap<String, (String, BTreeSet<String>)>);

impl Texts {
    /// Adds the files that a crate is published with, else what SPDX has for the terms that we take.
    fn add(
        &mut self,
        package: &Package,
        name: &str,
        chosen: &[spdx::LicenseId],
    ) -> anyhow::Result<()> {
        let directory = package
            .manifest_path
            .parent()
            .context("a manifest is in no directory")?;
        let mut is_published = false;
        let entries =
            fs::read_dir(directory).with_context(|| format!("cannot list {directory}"))?;
        for entry in entries {
            let path = entry?.path();
            let file = path
                .file_name()
                .map(|file| file.to_string_lossy().to_lowercase())
                .unwrap_or_default();
            if !FILES.iter().any(|begin| file.starts_with(begin)) || !path.is_file() {
                continue;
            }
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            self.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            is_published = true;
        }
        if !is_published {
            let authors = match package.authors.join(", ") {
                authors if authors.is_empty() => format!("the authors of {}", package.name),
                authors => authors,
            };
            self.of_terms(name, &format!("Copyright (c) {authors}"), chosen);
        }
        Ok(())
    }

    /// Adds what SPDX has for these terms.
    fn of_terms(&mut self, name: &str, copyright: &str, chosen: &[spdx::LicenseId]) {
        for terms in chosen {
            self.insert(name, format!("{copyright}\n\n{}", terms.text()));
        }
    }

    /// The same words, broken into other lines, are the same text.
    fn insert(&mut self, name: &str, text: String) {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (_, names) = self
            .0
            .entry(words)
            .or_insert_with(|| (text, BTreeSet::new()));
        names.insert(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_terms_one_that_we_accept_is_taken() {
        let names = |terms| -> Vec<_> {
            let chosen = accepted(terms).unwrap();
            chosen.into_iter().map(|terms| terms.name).collect()
        };
        assert_eq!(names("MIT OR Apache-2.0"), ["MIT"]);
        assert_eq!(names("Apache-2.0/MIT"), ["MIT"]);
        assert_eq!(names("GPL-2.0-only OR Zlib"), ["Zlib"]);
        assert_eq!(names("Apache-2.0 AND ISC"), ["Apache-2.0", "ISC"]);
    }

    #[test]
    fn other_terms_are_refused() {
        for terms in [
            "GPL-3.0-only",
            "MIT AND MPL-2.0",
            "LicenseRef-Proprietary",
            "no terms",
            "",
        ] {
            assert!(accepted(terms).is_err(), "{terms}");
        }
    }

    #[test]
    fn a_text_is_printed_once_for_all_that_it_is_for() {
        let mut texts = Texts::default();
        texts.insert("b 1.0", "Do as\nyou like.".to_owned());
        texts.insert("a 1.0", "Do as you like.\n".to_owned());
        texts.insert("c 1.0", "Do not.".to_owned());
        let for_whom: Vec<Vec<_>> = texts
            .0
            .into_values()
            .map(|(_, names)| names.into_iter().collect())
            .collect();
        assert_eq!(for_whom, [vec!["a 1.0", "b 1.0"], vec!["c 1.0"]]);
    }
}
