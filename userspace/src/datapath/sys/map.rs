//! Maps: cells, updates one by one and in batches, freezing, counting, memory.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use super::{
    Attributes, address, address_mut, bpf, bpf_fd, number,
    object::{Info, object_info},
};

const BPF_MAP_CREATE: i32 = 0;
const BPF_MAP_LOOKUP_ELEM: i32 = 1;
const BPF_MAP_UPDATE_ELEM: i32 = 2;
const BPF_MAP_FREEZE: i32 = 22;
const BPF_MAP_LOOKUP_BATCH: i32 = 24;
const BPF_MAP_UPDATE_BATCH: i32 = 26;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_MAP_TYPE_PROG_ARRAY: u32 = 3;
const BPF_MAP_TYPE_LRU_HASH: u32 = 9;
const BPF_MAP_TYPE_LPM_TRIE: u32 = 11;

/// Creates an array map of one element of `value_size` bytes.
pub(in crate::datapath) fn create_cell(name: &str, value_size: usize) -> io::Result<OwnedFd> {
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
// SAFETY: integers only; the explicit `pad` leaves no other. Those who make one see to the addresses.
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
struct Shape {
    key: usize,
    value: usize,
}

/// The shape of a map of one of these types. The per-CPU types are never among them: their values are as many
/// times as large as there are CPUs.
fn shape(map: BorrowedFd<'_>, types: &[u32]) -> io::Result<Shape> {
    let info: MapInfo = object_info(map)?;
    check(types.contains(&info.map_type), "a map of another type")?;
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

/// Reads the only element of an array map of one, like those made by [`create_cell`].
pub(in crate::datapath) fn read_cell(map: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
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
pub(in crate::datapath) fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let shape = shape(map, &[BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_LPM_TRIE])?;
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

/// Puts a program into a program array of one element.
pub(in crate::datapath) fn set_program(
    array: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> io::Result<()> {
    check_program_array(array)?;
    let (key, value) = (0_u32.to_ne_bytes(), number(program).to_ne_bytes());
    bpf(&mut Update(Element {
        map_fd: number(array),
        pad: 0,
        key: address(&key),
        value: address(&value),
        flags: 0,
    }))?;
    Ok(())
}

/// The id of the program in a program array of one element; `None` if there is none.
pub(in crate::datapath) fn program_of(array: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    check_program_array(array)?;
    let (key, mut value) = (0_u32.to_ne_bytes(), [0; 4]);
    let found = bpf(&mut Lookup(Element {
        map_fd: number(array),
        pad: 0,
        key: address(&key),
        value: address_mut(&mut value),
        flags: 0,
    }));
    match found {
        Ok(_) => Ok(Some(u32::from_ne_bytes(value))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keys and values of program arrays are numbers of four bytes, whoever made them.
fn check_program_array(array: BorrowedFd<'_>) -> io::Result<()> {
    shape(array, &[BPF_MAP_TYPE_PROG_ARRAY]).map(drop)
}

/// Takes from everybody, this process too, the right to change a map by system calls, for as long as the map lives.
///
/// # Minimum kernel version
///
/// 5.2.
pub(in crate::datapath) fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Freeze {
        map_fd: u32,
    }
    // SAFETY: one integer, no address.
    unsafe impl Attributes for Freeze {
        const COMMAND: i32 = BPF_MAP_FREEZE;
    }

    bpf(&mut Freeze {
        map_fd: number(map),
    })?;
    Ok(())
}

#[repr(C)]
struct Batch {
    cursor: u64,
    next_cursor: u64,
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
// SAFETY: integers only, no padding. `read_batches` sees to the addresses.
unsafe impl Attributes for LookupBatch {
    const COMMAND: i32 = BPF_MAP_LOOKUP_BATCH;
}

/// Sets many elements of an LPM trie at once: `keys` and `values` stand end to end.
///
/// Returns how many were set, and the error that stopped the kernel when these are not all.
pub(in crate::datapath) fn update_batch(
    map: BorrowedFd<'_>,
    keys: &[u8],
    values: &[u8],
) -> io::Result<(usize, Option<io::Error>)> {
    let shape = shape(map, &[BPF_MAP_TYPE_LPM_TRIE])?;
    let entries = keys.len() / shape.key;
    check(
        keys.len() == entries * shape.key && values.len() == entries * shape.value,
        "keys and values do not pair up",
    )?;
    let mut batch = UpdateBatch(Batch {
        cursor: 0,
        next_cursor: 0,
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

/// Counts the entries of an LPM trie by reading them all.
///
/// # Errors
///
/// What the kernel answers, `ENOTSUPP` (524) or `EINVAL` where the map type has no batch look-up.
pub(in crate::datapath) fn count_entries(map: BorrowedFd<'_>) -> io::Result<usize> {
    let shape = shape(map, &[BPF_MAP_TYPE_LPM_TRIE])?;
    let mut entries = 0;
    read_batches(map, shape, |keys, _| entries += keys.len() / shape.key)?;
    Ok(entries)
}

/// Reads all entries of a hash map that forgets the least recently used: keys and values, each end to end. What comes and
/// goes meanwhile is among them or not.
pub(in crate::datapath) fn read_lru(map: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let shape = shape(map, &[BPF_MAP_TYPE_LRU_HASH])?;
    let (mut all_keys, mut all_values) = (Vec::new(), Vec::new());
    read_batches(map, shape, |keys, values| {
        all_keys.extend_from_slice(keys);
        all_values.extend_from_slice(values);
    })?;
    Ok((all_keys, all_values))
}

/// Hands all entries of a map on, batch by batch: keys and values, each end to end.
fn read_batches(
    map: BorrowedFd<'_>,
    shape: Shape,
    mut each: impl FnMut(&[u8], &[u8]),
) -> io::Result<()> {
    const CHUNK: u32 = 1 << 16;
    let mut keys = vec![0; CHUNK as usize * shape.key];
    let mut values = vec![0; CHUNK as usize * shape.value.next_multiple_of(8)];
    // The kernel keeps its place in a cursor of a key's size, or of a hash map in a number, read from one buffer and
    // written to the other.
    let size = shape.key.max(size_of::<u32>());
    let mut cursor = vec![0; size];
    let mut next = vec![0; size];
    let mut first = true;
    loop {
        let mut batch = LookupBatch(Batch {
            cursor: if first { 0 } else { address(&cursor) },
            next_cursor: address_mut(&mut next),
            keys: address_mut(&mut keys),
            values: address_mut(&mut values),
            count: CHUNK,
            map_fd: number(map),
            elem_flags: 0,
            flags: 0,
        });
        let is_last = match bpf(&mut batch) {
            Ok(_) => false,
            // The end; the last elements were still delivered.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Err(error) => return Err(error),
        };
        let count = batch.0.count as usize;
        each(&keys[..count * shape.key], &values[..count * shape.value]);
        if is_last {
            return Ok(());
        }
        std::mem::swap(&mut cursor, &mut next);
        first = false;
    }
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

/// How much memory a map takes, in bytes, as the kernel accounts for it in `/proc/self/fdinfo`.
///
/// From kernel 6.4 on the memory in use; before, what the map could grow to.
pub(in crate::datapath) fn memory(map: BorrowedFd<'_>) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("memlock:"))
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other("no `memlock` line in the map's fdinfo"))
}
