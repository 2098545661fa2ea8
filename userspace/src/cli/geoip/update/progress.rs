//! How far a file is, on a terminal; what is tried again, anywhere.

use std::time::Duration;

use geodrop::update::{
    feed::Url,
    fetch::{FetchError, Progress},
};
use indicatif::{ProgressBar, ProgressStyle};

use super::super::super::{time, warn};

/// A bar on standard error, if that is a terminal.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(super) fn new() -> Self {
        Self { bar: None }
    }
}

impl Progress for Bar {
    fn begin(&mut self, url: &Url, here: u64, length: Option<u64>) {
        let (bar, template) = match length {
            Some(length) => (
                ProgressBar::new(length),
                "{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left",
            ),
            None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes}"),
        };
        // The default is a bar as well, should the template be wrong.
        let style = ProgressStyle::with_template(template);
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let url = url.to_string();
        let (_, file) = url.rsplit_once('/').unwrap_or(("", &url));
        bar.set_message(file.to_owned());
        bar.set_position(here);
        self.bar = Some(bar);
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn wait(&mut self, problem: &FetchError, pause: Duration) {
        let pause = time::text(pause);
        warn(format_args!("{problem}; trying again in {pause}"));
    }
}
