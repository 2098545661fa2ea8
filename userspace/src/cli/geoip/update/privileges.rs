//! Rights that fetching does not need.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::Context as _;
use rustix::{
    fs::{Gid, Uid},
    process::geteuid,
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use super::super::super::warn;

/// Goes on as the owner of a directory, if this is root: what talks to servers need not be, and what it writes must belong
/// to who writes there next time.
///
/// # Errors
///
/// When the kernel refuses.
pub(super) fn become_owner_of(directory: &Path) -> anyhow::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = match fs::metadata(directory) {
        Ok(metadata) if metadata.uid() != 0 => metadata,
        Ok(_) => {
            note_root(directory);
            return Ok(());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            note_root(directory);
            return Ok(());
        }
        Err(error) => return Err(error).with_context(|| directory.display().to_string()),
    };
    let (user, group) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    // The kernel knows these of a thread. There is one by now, and those that come later are as it is.
    set_thread_groups(&[group])
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and_then(|()| set_thread_res_uid(user, user, user))
        .with_context(|| {
            let directory = directory.display();
            format!("becoming the owner of {directory}; run this as that user")
        })
}

fn note_root(directory: &Path) {
    warn(format_args!(
        "note: fetching as root; give {} to a user of its own, and that user is gone on as",
        directory.display()
    ));
}
