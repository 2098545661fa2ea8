//! Where a report goes.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use geodrop_bench::{document::Document, render};

/// Where a report goes.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Output {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Write a page with plots there, that needs nothing but itself
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write Markdown there
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Files that were opened before anything was measured, so that no run is lost for want of a place.
pub(super) struct Files {
    json: bool,
    html: Option<File>,
    markdown: Option<File>,
}

impl Output {
    pub(super) fn open(&self) -> anyhow::Result<Files> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(create).transpose();
        Ok(Files {
            json: self.json,
            html: open(&self.html)?,
            markdown: open(&self.markdown)?,
        })
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("writing {}", path.display()))
}

impl Files {
    pub(super) fn write(self, document: &Document) -> anyhow::Result<()> {
        let mut output = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut output, document)?;
            writeln!(output)?;
        } else {
            render::text::write(&mut output, document)?;
        }
        if let Some(mut file) = self.html {
            file.write_all(render::html::render(document).as_bytes())
                .context("writing the page")?;
        }
        if let Some(mut file) = self.markdown {
            file.write_all(render::markdown::render(document).as_bytes())
                .context("writing the Markdown")?;
        }
        Ok(())
    }
}
