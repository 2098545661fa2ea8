//! The kernel objects, embedded: one file to copy to a server.

use aya::{Ebpf, EbpfError, EbpfLoader, include_bytes_aligned, maps::MapError};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use super::error::DatapathError;

/// The filter.
pub(super) static FILTER: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/filter"));

/// The filter's program for kernels that know packets of several buffers.
pub(super) const FILTER_FRAGS: &str = "geodrop_frags";

/// The same for loaders without `CAP_PERFMON`.
pub(super) const FILTER_COPIED: &str = "geodrop_copied";

/// The filter's program for kernels that do not.
pub(super) const FILTER_PLAIN: &str = "geodrop";

/// The filter's program for the hook tcx.
pub(super) const FILTER_TCX: &str = "geodrop_tcx";

/// The same for loaders without `CAP_PERFMON`.
pub(super) const FILTER_TCX_COPIED: &str = "geodrop_tcx_copied";

/// The filter's program that the kernel calls so: it keeps the first 15 bytes of a name.
pub(super) fn filter_named(name: &[u8]) -> Option<&'static str> {
    [
        FILTER_FRAGS,
        FILTER_COPIED,
        FILTER_PLAIN,
        FILTER_TCX,
        FILTER_TCX_COPIED,
    ]
    .into_iter()
    .find(|program| program.bytes().take(15).eq(name.iter().copied()))
}

/// Whether a program of the filter can look behind headers whose length only the packet knows.
pub(super) fn sees_far(program: &str) -> bool {
    program != FILTER_PLAIN
}

/// Whether a program of the filter is one for loaders without `CAP_PERFMON`.
pub(super) fn is_copied(program: &str) -> bool {
    matches!(program, FILTER_COPIED | FILTER_TCX_COPIED)
}

/// The program that notes what this host begins.
pub(super) const EGRESS: &str = "geodrop_egress";

/// The same for loaders without `CAP_PERFMON`.
pub(super) const EGRESS_COPIED: &str = "geodrop_egress_copied";

/// The program that notes what this host begins, for a program of the filter.
pub(super) fn egress_of(program: &str) -> &'static str {
    if is_copied(program) {
        EGRESS_COPIED
    } else {
        EGRESS
    }
}

/// The generator of frames, for demo, tests and benches.
pub static GENERATOR: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator"));

/// The programs that measure lookups.
pub static LOOKUP_BENCH: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lookup_bench"));

/// The programs that look at no packet, for benches.
pub static REFERENCE: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/reference"));

/// Where `value_size` stands in a map's definition, `struct bpf_map_def`: after its type and the size of its key.
const VALUE_SIZE: usize = 8;

/// The kernel object with other sizes of values: `sizes` are names of maps, each with the bytes of a value.
///
/// How large a table's image is, is known only when the table is. aya sets from outside how many elements a map has,
/// but not how large they are, and takes no map that it has not made, except from a pin, which not everybody has a
/// place for. So the object itself says it, before aya reads it, and all that aya does with maps goes on working.
///
/// # Errors
///
/// [`DatapathError::Object`] when the object has no such map.
pub fn with_value_sizes(object: &[u8], sizes: &[(&str, usize)]) -> Result<Vec<u8>, DatapathError> {
    let mut changed = object.to_vec();
    for (name, size) in sizes {
        let place = value_size(object, name).and_then(|place| changed.get_mut(place..place + 4));
        let size = u32::try_from(*size).ok();
        let (Some(place), Some(size)) = (place, size) else {
            return Err(DatapathError::Object {
                what: format!("map {name}"),
            });
        };
        place.copy_from_slice(&size.to_ne_bytes());
    }
    Ok(changed)
}

/// The kernel object with other constants: all bytes of a section. `None` if the section is not so large.
pub(super) fn with_constants(object: &[u8], section: &str, constants: &[u8]) -> Option<Vec<u8>> {
    let file = object::File::parse(object).ok()?;
    let (start, size) = file.section_by_name(section)?.file_range()?;
    let (start, size) = (usize::try_from(start).ok()?, usize::try_from(size).ok()?);
    if size != constants.len() {
        return None;
    }
    let mut changed = object.to_vec();
    changed
        .get_mut(start..start + size)?
        .copy_from_slice(constants);
    Some(changed)
}

/// Loads a kernel object whose maps `images`, each of one element, are to be so many bytes large.
///
/// # Errors
///
/// [`DatapathError::ImageRefused`] when the kernel takes no element as large as that; another when it refuses something
/// else.
pub fn load(
    loader: &mut EbpfLoader<'_>,
    object: &[u8],
    images: &[(&'static str, usize)],
) -> Result<Ebpf, DatapathError> {
    loader
        .load(&with_value_sizes(object, images)?)
        .map_err(|error| match error {
            EbpfError::MapError(MapError::CreateError { name, io_error })
                if io_error.raw_os_error() == Some(libc::E2BIG) =>
            {
                match images.iter().find(|(image, _)| *image == name) {
                    Some(&(table, bytes)) => DatapathError::ImageRefused {
                        table,
                        bytes,
                        source: io_error,
                    },
                    None => {
                        DatapathError::map(name.clone())(MapError::CreateError { name, io_error })
                    }
                }
            }
            error => DatapathError::refused(error),
        })
}

/// Where in the file the size of a map's values stands.
fn value_size(object: &[u8], map: &str) -> Option<usize> {
    let file = object::File::parse(object).ok()?;
    let symbol = file.symbol_by_name(map)?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let (start, _) = section.file_range()?;
    // In an object that is not linked, a symbol's address is its place in its section.
    let definition = usize::try_from(start + symbol.address()).ok()?;
    Some(definition + VALUE_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_what_the_kernel_keeps_of_its_name() {
        for (name, program) in [
            (&b"geodrop"[..], Some(FILTER_PLAIN)),
            (b"geodrop_tcx", Some(FILTER_TCX)),
            (b"geodrop_tcx_cop", Some(FILTER_TCX_COPIED)),
            (b"geodrop_egress", None),
            (b"", None),
        ] {
            assert_eq!(filter_named(name), program);
        }
    }

    #[test]
    fn constants_are_replaced_whole_or_not_at_all() {
        let section = |object: &[u8]| {
            let file = object::File::parse(object).unwrap();
            let section = file.section_by_name(".rodata").unwrap();
            section.data().unwrap().to_vec()
        };
        let other: Vec<_> = section(FILTER).iter().map(|byte| !byte).collect();
        let changed = with_constants(FILTER, ".rodata", &other).unwrap();
        assert_eq!(section(&changed), other);
        assert_eq!(changed.len(), FILTER.len());
        assert_eq!(with_constants(FILTER, ".rodata", &other[1..]), None);
        assert_eq!(with_constants(FILTER, ".data", &other), None);
    }
}
