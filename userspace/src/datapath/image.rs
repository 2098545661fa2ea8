//! A multibit trie's image in the kernel: the only element of an array map.
//!
//! It is written in one system call, frozen, and read back: a program meets it whole, as it was built, and nothing
//! changes it after.

use std::{io, os::fd::AsFd as _};

use aya::maps::MapData;

use super::{error::DatapathError, fill, sys};
use crate::table::multibit::{Corrupt, Image};

/// Puts an image into a map, which errors call `table`, freezes the map, and verifies that the image is there. The
/// map is to be made with [`with_value_sizes`](super::object::with_value_sizes).
///
/// # Errors
///
/// [`DatapathError::Image`] when the kernel refuses; [`DatapathError::Corrupt`] when something else is there after.
pub fn fill<A: Eq>(table: &str, map: &MapData, image: &Image<A>) -> Result<(), DatapathError> {
    let fd = map.fd().as_fd();
    let failed = failed(table, image);
    sys::map::update(fd, &0_u32.to_ne_bytes(), image.bytes())
        .map_err(|source| failed("filling", source))?;
    sys::map::freeze(fd).map_err(|source| failed("freezing", source))?;
    verify(table, map, image)
}

/// Verifies that a map holds an image: this one, and a whole one.
///
/// # Errors
///
/// [`DatapathError::Image`] when the map cannot be read; [`DatapathError::Corrupt`] when something else is there.
pub fn verify<A: Eq>(table: &str, map: &MapData, image: &Image<A>) -> Result<(), DatapathError> {
    let bytes = sys::map::read_cell(map.fd().as_fd())
        .map_err(|source| failed(table, image)("reading back", source))?;
    let found = Image::from_bytes(&bytes);
    let corrupt = match found {
        Ok(found) if found == *image => return Ok(()),
        Ok(_) => Corrupt::Checksum,
        Err(corrupt) => corrupt,
    };
    Err(DatapathError::Corrupt {
        table: table.to_owned(),
        source: corrupt,
    })
}

/// An error of the kernel's about a table.
fn failed<A>(table: &str, image: &Image<A>) -> impl Fn(&'static str, io::Error) -> DatapathError {
    move |what, source| DatapathError::Image {
        what,
        table: table.to_owned(),
        bytes: image.bytes().len(),
        remedy: fill::remedy(&source),
        source,
    }
}
