//! Network namespaces without a name.
//!
//! `ip netns` keeps a namespace by a mount that someone must remove. Ours are kept by a descriptor, so the
//! kernel removes them, and every interface in them, when the last process that holds one is gone.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    panic, thread,
};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::error::TestbedError;

/// A network namespace that lives as long as this value, and whatever was started in it.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// Makes a network namespace. All that is in it is a loopback interface, which is down.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, as it does without `CAP_SYS_ADMIN`.
    pub fn new() -> Result<Self, TestbedError> {
        // A namespace is a thread's, so a thread is made for it: the caller's stays where it is.
        in_a_thread(|| {
            // SAFETY: what makes this unsafe is a table of descriptors that threads stop sharing
            // (CLONE_FILES). A network namespace is all that is asked for here.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            File::open("/proc/thread-self/ns/net")
        })
        .flatten()
        .map(|file| Self { file })
        .map_err(TestbedError::namespace("making"))
    }

    /// Runs `work` in this namespace, on a thread of its own, and returns what that returns.
    ///
    /// Sockets opened and processes spawned in it belong to the namespace; the mounts are the caller's, so
    /// `/sys/fs/bpf` is the same inside and outside. (`ip netns exec` changes the mounts too.)
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered; `work` was not called then.
    ///
    /// # Panics
    ///
    /// When `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, TestbedError> {
        in_a_thread(|| {
            move_into_link_name_space(self.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        })
        .flatten()
        .map_err(TestbedError::namespace("entering"))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Runs `work` on a thread of its own, and panics if it panics.
fn in_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("namespace".to_owned())
            .spawn_scoped(scope, work)?;
        Ok(thread
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}
