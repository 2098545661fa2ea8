//! The terminal, and that it is afterwards as it was before.

use std::{
    env,
    io::{self, IsTerminal as _},
    thread,
};

use anyhow::Context as _;
use ratatui::DefaultTerminal;

use super::super::Usage;

/// A terminal that is drawn on. Dropped, it is as it was before; a panic sees to that before it says anything.
pub(super) struct Terminal(pub(super) DefaultTerminal);

/// Refuses what cannot be drawn on.
pub(super) fn check() -> Result<(), Usage> {
    let instead = "for scripts there are `geodrop status --json` and `geodrop watch --json`";
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Usage(format!(
            "top reads keys from a terminal and draws on it; {instead}"
        )));
    }
    let name = env::var("TERM").unwrap_or_default();
    if matches!(name.as_str(), "" | "dumb") {
        return Err(Usage(format!(
            "top cannot draw on this terminal, which TERM calls `{name}`; {instead}"
        )));
    }
    Ok(())
}

impl Terminal {
    /// Takes it over.
    pub(super) fn enter() -> anyhow::Result<Self> {
        let terminal = ratatui::try_init().inspect_err(|_| leave());
        terminal.map(Self).context("drawing on the terminal")
    }
}

/// If that fails, nobody is there to whom it makes a difference.
fn leave() {
    let _ = ratatui::try_restore();
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Then it was done: again would put the cursor onto what was said.
        if !thread::panicking() {
            leave();
        }
    }
}
