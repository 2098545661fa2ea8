//! Links to interfaces.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use super::{
    Attributes, bpf, bpf_fd, number,
    object::{Info, object_info},
};
use crate::datapath::Hook;

const BPF_LINK_CREATE: i32 = 28;
const BPF_LINK_UPDATE: i32 = 29;
const BPF_LINK_DETACH: i32 = 34;

/// Where a program is attached: numbers of the kernel's `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in crate::datapath) enum Place {
    /// In the driver, or for generic mode behind it.
    Xdp = 37,
    /// In the network stack, on the way in. Since 6.6.
    TcxIngress = 46,
    /// In the network stack, on the way out. Since 6.6.
    TcxEgress = 47,
}

/// Attaches a program to an interface; for XDP, with `XDP_FLAGS_…` saying in which mode, for tcx with `BPF_F_…` saying in
/// which place among others: the last, if they say nothing.
///
/// # Minimum kernel version
///
/// 5.9.
pub(in crate::datapath) fn create(
    program: BorrowedFd<'_>,
    interface: u32,
    place: Place,
    flags: u32,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct LinkCreate {
        prog_fd: u32,
        target_ifindex: u32,
        attach_type: u32,
        flags: u32,
    }
    // SAFETY: integers only, no padding, no address.
    unsafe impl Attributes for LinkCreate {
        const COMMAND: i32 = BPF_LINK_CREATE;
    }

    bpf_fd(&mut LinkCreate {
        prog_fd: number(program),
        target_ifindex: interface,
        attach_type: place as u32,
        flags,
    })
}

/// Replaces the program under a link, in one step.
pub(in crate::datapath) fn update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct LinkUpdate {
        link_fd: u32,
        new_prog_fd: u32,
        flags: u32,
        old_prog_fd: u32,
    }
    // SAFETY: integers only, no padding, no address.
    unsafe impl Attributes for LinkUpdate {
        const COMMAND: i32 = BPF_LINK_UPDATE;
    }

    bpf(&mut LinkUpdate {
        link_fd: number(link),
        new_prog_fd: number(program),
        flags: 0,
        old_prog_fd: 0,
    })?;
    Ok(())
}

/// Detaches a link from its interface, whoever else holds it or has it pinned.
pub(in crate::datapath) fn detach(link: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct LinkDetach {
        link_fd: u32,
    }
    // SAFETY: one integer, no address.
    unsafe impl Attributes for LinkDetach {
        const COMMAND: i32 = BPF_LINK_DETACH;
    }

    bpf(&mut LinkDetach {
        link_fd: number(link),
    })?;
    Ok(())
}

/// What the kernel tells of a link to an interface, be it XDP's or tcx's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::datapath) struct LinkInfo {
    link_type: u32,
    /// The link's id.
    pub(in crate::datapath) id: u32,
    /// The id of the program that it holds.
    pub(in crate::datapath) program: u32,
    pad: u32,
    /// The interface that it is attached to; 0 when it was detached, or the interface is gone.
    pub(in crate::datapath) interface: u32,
    pad_end: u32,
}
// SAFETY: integers only. The kernel's union after `program` is aligned to 8 bytes: hence `pad`.
unsafe impl Info for LinkInfo {}

impl LinkInfo {
    /// The hook that it is at.
    pub(in crate::datapath) fn hook(&self) -> Hook {
        // A number of the kernel's `enum bpf_link_type`.
        const BPF_LINK_TYPE_TCX: u32 = 11;
        match self.link_type {
            BPF_LINK_TYPE_TCX => Hook::Tcx,
            _ => Hook::Xdp,
        }
    }
}

/// What the kernel tells of a link.
pub(in crate::datapath) fn info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    object_info(link)
}
