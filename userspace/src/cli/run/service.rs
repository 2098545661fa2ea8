//! What a service manager gets to know of a run, as `sd_notify(3)` has it. Without one nothing is told.

use sd_notify::NotifyState;

use super::warn;

/// What the service manager was told of the state of things.
#[derive(Debug, Default)]
pub(super) struct Manager {
    /// The last line.
    status: String,
}

impl Manager {
    /// The filters are in force: at the start, and after a reload, whatever came of it.
    pub(super) fn ready(&mut self, status: String) {
        tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
        self.status = status;
    }

    /// Whether it was told something else last.
    pub(super) fn is_new(&self, status: &str) -> bool {
        status != self.status
    }

    /// What there is to know in one line.
    pub(super) fn status(&mut self, status: String) {
        if self.is_new(&status) {
            tell(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }
}

/// A reload begins; [`Manager::ready`] ends it.
pub(super) fn reloading() {
    // The time tells this reload's messages from an earlier one's.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn(format_args!("asking for the time: {error}")),
    }
}

/// The event loop runs.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The run is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn(format_args!(
            "telling the service manager (NOTIFY_SOCKET): {error}"
        ));
    }
}
