//! The bpf(2) commands that aya does not offer, as safe functions: batch updates, links by descriptor, pins,
//! a map's memory.
//!
//! The kernel takes a command's attributes as a pointer and a size, and treats what lies beyond the size as
//! zero; so each command has a struct of its own here with just the fields it needs, in the order of `union
//! bpf_attr` in `include/uapi/linux/bpf.h`. Commands that hand out a descriptor give an [`OwnedFd`], so
//! that nothing leaks.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

const BPF_MAP_CREATE: i32 = 0;
const BPF_MAP_LOOKUP_ELEM: i32 = 1;
const BPF_MAP_UPDATE_ELEM: i32 = 2;
const BPF_OBJ_PIN: i32 = 6;
const BPF_OBJ_GET: i32 = 7;
const BPF_PROG_GET_FD_BY_ID: i32 = 13;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
const BPF_MAP_LOOKUP_BATCH: i32 = 24;
const BPF_MAP_UPDATE_BATCH: i32 = 26;
const BPF_LINK_CREATE: i32 = 28;
const BPF_LINK_UPDATE: i32 = 29;
const BPF_LINK_DETACH: i32 = 34;

const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_XDP: u32 = 37;

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

/// Creates an array map of one element of `value_size` bytes.
pub(super) fn create_cell(name: &str, value_size: usize) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct MapCreate {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        map_name: [u8; 16],
    }
    // SAFETY: integers only, no padding, no address.
    unsafe impl Attributes for MapCreate {
        const COMMAND: i32 = BPF_MAP_CREATE;
    }

    let mut map_name = [0; 16];
    // The last byte stays zero: the kernel wants a terminated string.
    for (place, byte) in map_name.iter_mut().take(15).zip(name.bytes()) {
        *place = byte;
    }
    bpf_fd(&mut MapCreate {
        map_type: BPF_MAP_TYPE_ARRAY,
        key_size: 4,
        value_size: u32::try_from(value_size).map_err(io::Error::other)?,
        max_entries: 1,
        map_flags: 0,
        inner_map_fd: 0,
        numa_node: 0,
        map_name,
    })
}

#[repr(C)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(transparent)]
struct Lookup(Element);
// SAFETY: integers only; the explicit `pad` leaves no other. `read_cell` and `update` see to the addresses.
unsafe impl Attributes for Lookup {
    const COMMAND: i32 = BPF_MAP_LOOKUP_ELEM;
}

#[repr(transparent)]
struct Update(Element);
// SAFETY: as for `Lookup`.
unsafe impl Attributes for Update {
    const COMMAND: i32 = BPF_MAP_UPDATE_ELEM;
}

/// Sizes of a map's key and value, in bytes, as the kernel has them. What these functions hand the kernel is
/// checked against them, so that a mistake is an error and never a stray read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) key: usize,
    pub(super) value: usize,
}

/// The shape of a map.
pub(super) fn shape(map: BorrowedFd<'_>) -> io::Result<Shape> {
    let info: MapInfo = object_info(map)?;
    Ok(Shape {
        key: info.key_size as usize,
        value: info.value_size as usize,
    })
}

fn check(holds: bool, what: &str) -> io::Result<()> {
    if holds {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
}

/// Reads the only element of a map made by [`create_cell`].
pub(super) fn read_cell(map: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let info: MapInfo = object_info(map)?;
    check(
        info.map_type == BPF_MAP_TYPE_ARRAY && info.key_size == 4 && info.max_entries == 1,
        "not an array of one element",
    )?;
    let key = 0_u32.to_ne_bytes();
    let mut value = vec![0; info.value_size as usize];
    bpf(&mut Lookup(Element {
        map_fd: number(map),
        pad: 0,
        key: address(&key),
        value: address_mut(&mut value),
        flags: 0,
    }))?;
    Ok(value)
}

/// Sets one element of a map.
pub(super) fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let shape = shape(map)?;
    check(
        key.len() == shape.key && value.len() == shape.value,
        "key or value of another size",
    )?;
    bpf(&mut Update(Element {
        map_fd: number(map),
        pad: 0,
        key: address(key),
        value: address(value),
        flags: 0,
    }))?;
    Ok(())
}

#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

#[repr(transparent)]
struct UpdateBatch(Batch);
// SAFETY: integers only, no padding. `update_batch` sees to the addresses.
unsafe impl Attributes for UpdateBatch {
    const COMMAND: i32 = BPF_MAP_UPDATE_BATCH;
}

#[repr(transparent)]
struct LookupBatch(Batch);
// SAFETY: integers only, no padding. `count_entries` sees to the addresses.
unsafe impl Attributes for LookupBatch {
    const COMMAND: i32 = BPF_MAP_LOOKUP_BATCH;
}

/// Sets many elements of a map at once: `keys` and `values` stand end to end.
///
/// Returns how many were set, and the error that stopped the kernel when these are not all.
pub(super) fn update_batch(
    map: BorrowedFd<'_>,
    keys: &[u8],
    values: &[u8],
) -> io::Result<(usize, Option<io::Error>)> {
    let shape = shape(map)?;
    let entries = keys.len() / shape.key;
    check(
        keys.len() == entries * shape.key && values.len() == entries * shape.value,
        "keys and values do not pair up",
    )?;
    let mut batch = UpdateBatch(Batch {
        in_batch: 0,
        out_batch: 0,
        keys: address(keys),
        values: address(values),
        count: u32::try_from(entries).map_err(io::Error::other)?,
        map_fd: number(map),
        elem_flags: 0,
        flags: 0,
    });
    let result = bpf(&mut batch);
    match result {
        Ok(_) => Ok((entries, None)),
        // The kernel writes the count back when it began; when it refused the command, all is as we set it.
        Err(error) if batch.0.count as usize == entries => Ok((0, Some(error))),
        Err(error) => Ok((batch.0.count as usize, Some(error))),
    }
}

/// Counts the entries of a map by reading them all.
///
/// # Errors
///
/// What the kernel answers, `ENOTSUPP` (524) or `EINVAL` where the map type has no batch look-up.
pub(super) fn count_entries(map: BorrowedFd<'_>) -> io::Result<usize> {
    const CHUNK: usize = 1 << 16;
    let shape = shape(map)?;
    let mut keys = vec![0; CHUNK * shape.key];
    let mut values = vec![0; CHUNK * shape.value.next_multiple_of(8)];
    // The kernel keeps its place in a cursor of a key's size, read from one buffer and written to the other.
    let mut cursor = vec![0; shape.key];
    let mut next = vec![0; shape.key];
    let mut entries = 0;
    let mut first = true;
    loop {
        let mut batch = LookupBatch(Batch {
            in_batch: if first { 0 } else { address(&cursor) },
            out_batch: address_mut(&mut next),
            keys: address_mut(&mut keys),
            values: address_mut(&mut values),
            count: CHUNK as u32,
            map_fd: number(map),
            elem_flags: 0,
            flags: 0,
        });
        let result = bpf(&mut batch);
        match result {
            Ok(_) => entries += batch.0.count as usize,
            // The end; the last elements were still delivered.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                return Ok(entries + batch.0.count as usize);
            }
            Err(error) => return Err(error),
        }
        std::mem::swap(&mut cursor, &mut next);
        first = false;
    }
}

/// Attaches an XDP program to an interface, with `XDP_FLAGS_…` saying in which mode.
///
/// # Minimum kernel version
///
/// 5.9.
pub(super) fn create_xdp_link(
    program: BorrowedFd<'_>,
    interface: u32,
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
        attach_type: BPF_XDP,
        flags,
    })
}

/// Replaces the program under a link, in one step.
pub(super) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
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
pub(super) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
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
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    bpf(&mut PinObject(Pin {
        pathname: address(path.as_bytes_with_nul()),
        bpf_fd: number(object),
        file_flags: 0,
    }))?;
    Ok(())
}

/// Opens a pinned object.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    bpf_fd(&mut GetObject(Pin {
        pathname: address(path.as_bytes_with_nul()),
        bpf_fd: 0,
        file_flags: 0,
    }))
}

/// Opens a program by its id. Needs `CAP_SYS_ADMIN`.
pub(super) fn open_program(id: u32) -> io::Result<OwnedFd> {
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
unsafe trait Info: Default {}

fn object_info<I: Info>(object: BorrowedFd<'_>) -> io::Result<I> {
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

#[repr(C)]
#[derive(Default)]
struct MapInfo {
    map_type: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}
// SAFETY: integers only.
unsafe impl Info for MapInfo {}

/// What the kernel tells of an XDP link.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LinkInfo {
    link_type: u32,
    /// The link's id.
    pub(super) id: u32,
    /// The id of the program that it holds.
    pub(super) program: u32,
    pad: u32,
    /// The interface that it is attached to; 0 when it was detached, or the interface is gone.
    pub(super) interface: u32,
    pad_end: u32,
}
// SAFETY: integers only. The kernel's union after `program` is aligned to 8 bytes: hence `pad`.
unsafe impl Info for LinkInfo {}

/// What the kernel tells of a link.
pub(super) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    object_info(link)
}

/// What the kernel tells of a program.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProgramInfo {
    program_type: u32,
    /// The program's id.
    pub(super) id: u32,
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
}
// SAFETY: integers only.
unsafe impl Info for ProgramInfo {}

impl ProgramInfo {
    /// The program's name, cut off at 15 bytes by the kernel.
    pub(super) fn name(&self) -> String {
        let bytes = self
            .name
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// What the kernel tells of a program.
pub(super) fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    object_info(program)
}

/// How much memory a map takes, in bytes, as the kernel accounts for it in `/proc/self/fdinfo`.
///
/// From kernel 6.4 on the memory in use; before, what the map could grow to.
pub(super) fn memory(map: BorrowedFd<'_>) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("memlock:"))
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other("no `memlock` line in the map's fdinfo"))
}
