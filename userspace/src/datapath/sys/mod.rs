//! The bpf(2) commands that aya does not offer, as safe functions: batch updates ([`map`]), links by
//! descriptor ([`link`]), pins and what the kernel tells of an object ([`object`]).
//!
//! The kernel takes a command's attributes as a pointer and a size, and treats what lies beyond the size as
//! zero; so each command has a struct of its own here with just the fields it needs, in the order of `union
//! bpf_attr` in `include/uapi/linux/bpf.h`. Commands that hand out a descriptor give an [`OwnedFd`], so
//! that nothing leaks.

pub(super) mod link;
pub(super) mod map;
pub(super) mod object;

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

/// The attributes of one bpf(2) command: the first fields of `union bpf_attr`, as that command reads them.
///
/// # Safety
///
/// The type must be `repr(C)`, made of integers only and without padding, and every field that the kernel
/// takes for an address must point at memory of the size and kind that the command asks for, for as long as
/// the value is in use.
unsafe trait Attributes {
    const COMMAND: i32;
}

/// Calls bpf(2).
fn bpf<A: Attributes>(attributes: &mut A) -> io::Result<RawFd> {
    // SAFETY: the kernel reads and writes `size_of::<A>()` bytes at the pointer, which is a live, exclusive
    // reference to just so many. What the fields point at is sound by the contract of `Attributes`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            A::COMMAND,
            std::ptr::from_mut(attributes),
            size_of::<A>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // Descriptors and statuses are ints; the wider type is syscall(2)'s.
    RawFd::try_from(result).map_err(io::Error::other)
}

/// Calls a bpf(2) command that hands out a descriptor.
fn bpf_fd<A: Attributes>(attributes: &mut A) -> io::Result<OwnedFd> {
    let fd = bpf(attributes)?;
    // SAFETY: the command gave us this descriptor just now, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor's number as the attributes want it.
fn number(fd: BorrowedFd<'_>) -> u32 {
    // An open descriptor is never negative.
    fd.as_raw_fd().cast_unsigned()
}

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr().expose_provenance() as u64
}

fn address_mut(bytes: &mut [u8]) -> u64 {
    bytes.as_mut_ptr().expose_provenance() as u64
}
