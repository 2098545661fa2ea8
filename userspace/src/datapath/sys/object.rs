//! Objects of any kind: pins, and what the kernel tells of one.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use super::{Attributes, address, bpf, bpf_fd, number};

const BPF_OBJ_PIN: i32 = 6;
const BPF_OBJ_GET: i32 = 7;
const BPF_PROG_GET_FD_BY_ID: i32 = 13;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;

#[repr(C)]
struct Pin {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

#[repr(transparent)]
struct PinObject(Pin);
// SAFETY: integers only, no padding. `pin` keeps the path alive.
unsafe impl Attributes for PinObject {
    const COMMAND: i32 = BPF_OBJ_PIN;
}

#[repr(transparent)]
struct GetObject(Pin);
// SAFETY: integers only, no padding. `open_pin` keeps the path alive.
unsafe impl Attributes for GetObject {
    const COMMAND: i32 = BPF_OBJ_GET;
}

/// Pins an object under the bpf file system.
pub(in crate::datapath) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    bpf(&mut PinObject(Pin {
        pathname: address(path.as_bytes_with_nul()),
        bpf_fd: number(object),
        file_flags: 0,
    }))?;
    Ok(())
}

/// Opens a pinned object.
pub(in crate::datapath) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    bpf_fd(&mut GetObject(Pin {
        pathname: address(path.as_bytes_with_nul()),
        bpf_fd: 0,
        file_flags: 0,
    }))
}

/// Opens a program by its id. Needs `CAP_SYS_ADMIN`.
pub(in crate::datapath) fn open_program(id: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct GetById {
        id: u32,
        next_id: u32,
        open_flags: u32,
    }
    // SAFETY: integers only, no padding, no address.
    unsafe impl Attributes for GetById {
        const COMMAND: i32 = BPF_PROG_GET_FD_BY_ID;
    }

    bpf_fd(&mut GetById {
        id,
        next_id: 0,
        open_flags: 0,
    })
}

/// What the kernel tells of an object; the first fields of its `struct bpf_…_info`.
///
/// # Safety
///
/// `repr(C)`, integers only: any bytes are a value of it.
pub(super) unsafe trait Info: Default {}

pub(super) fn object_info<I: Info>(object: BorrowedFd<'_>) -> io::Result<I> {
    #[repr(C)]
    struct GetInfo {
        bpf_fd: u32,
        info_len: u32,
        info: u64,
    }
    // SAFETY: integers only, no padding; the address is that of `info` below, of `info_len` bytes.
    unsafe impl Attributes for GetInfo {
        const COMMAND: i32 = BPF_OBJ_GET_INFO_BY_FD;
    }

    let mut info = I::default();
    bpf(&mut GetInfo {
        bpf_fd: number(object),
        info_len: u32::try_from(size_of::<I>()).map_err(io::Error::other)?,
        info: std::ptr::from_mut(&mut info).expose_provenance() as u64,
    })?;
    Ok(info)
}

/// What the kernel tells of a program.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::datapath) struct ProgramInfo {
    program_type: u32,
    /// The program's id.
    pub(in crate::datapath) id: u32,
    tag: [u8; 8],
    jited_prog_len: u32,
    xlated_prog_len: u32,
    jited_prog_insns: u64,
    xlated_prog_insns: u64,
    load_time: u64,
    created_by_uid: u32,
    nr_map_ids: u32,
    map_ids: u64,
    name: [u8; 16],
    ifindex: u32,
    // The lowest bit; the compiler's bit field takes a whole word.
    gpl_compatible: u32,
    netns_dev: u64,
    netns_ino: u64,
    nr_jited_ksyms: u32,
    nr_jited_func_lens: u32,
    jited_ksyms: u64,
    jited_func_lens: u64,
    btf_id: u32,
    func_info_rec_size: u32,
    func_info: u64,
    nr_func_info: u32,
    nr_line_info: u32,
    line_info: u64,
    jited_line_info: u64,
    nr_jited_line_info: u32,
    line_info_rec_size: u32,
    jited_line_info_rec_size: u32,
    nr_prog_tags: u32,
    prog_tags: u64,
    /// For how long it ran while the kernel kept statistics (`kernel.bpf_stats_enabled`), in nanoseconds.
    pub(in crate::datapath) run_time_ns: u64,
    /// How often it ran meanwhile.
    pub(in crate::datapath) run_cnt: u64,
}
// SAFETY: integers only.
unsafe impl Info for ProgramInfo {}

impl ProgramInfo {
    /// The program's name, cut off at 15 bytes by the kernel.
    pub(in crate::datapath) fn name(&self) -> String {
        let bytes = self
            .name
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// What the kernel tells of a program.
pub(in crate::datapath) fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    object_info(program)
}
