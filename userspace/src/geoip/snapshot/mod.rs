//! The built-in format: the whole world in half a megabyte, read in a few milliseconds.
//!
//! A snapshot is, integers in little-endian order:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `geodrop` and a zero byte |
//! | 4 | version of the format: 1 |
//! | 4 | length of the metadata |
//! | … | metadata: a [`Source`] in JSON |
//! | 4, 4, … | IPv4: length of the columns, length of their zstd frame, the frame |
//! | 4, 4, … | IPv6: the same |
//! | 32 | SHA-256 of all bytes before |
//!
//! `columns.rs` says what the columns of a family are.
//!
//! The checksum is compared before anything behind the version is looked at, so that a snapshot that was
//! damaged or cut off is refused as a whole. A checksum is no signature, though: anyone can write one under
//! anything. So nothing that is read is trusted; every length is compared with what is there, and the memory
//! that a snapshot can ask for is bounded.

mod columns;

use std::{io, panic::resume_unwind, thread};

use sha2::{Digest, Sha256};

use super::{Regions, Source};

const MAGIC: &[u8; 8] = b"geodrop\0";
const VERSION: u32 = 1;
const CHECKSUM: usize = 32;

/// The best that zstd does without memory on the reader's side that only its "ultra" levels take.
const LEVEL: i32 = 19;

/// The most bytes that the columns of one family may have: ten times what the world takes.
const LARGEST: usize = 32 << 20;

/// How many times its packed size a family's columns may have, behind the first bytes, which may be any: those of the world have
/// three and five times. A small file that claims more was made to fill the memory.
const MOST_PACKED: usize = 256;
const SLACK: usize = 1 << 20;

/// Why a snapshot was refused, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It does not begin as a snapshot does.
    #[error("not a geodrop snapshot")]
    Foreign,
    /// It is shorter than any snapshot.
    #[error("cut off after {0} bytes; fetch the snapshot again")]
    CutOff(usize),
    /// It is of a later format.
    #[error(
        "snapshot of format {found}, while this geodrop reads format {VERSION}; \
         use the geodrop that it was made for, or make it again with `cargo xtask snapshot`"
    )]
    Version {
        /// The version that it says.
        found: u32,
    },
    /// It is not what was written.
    #[error("damaged: its checksum does not fit its content; fetch the snapshot again")]
    Checksum,
    /// Its checksum fits, and yet it makes no sense.
    #[error("not written by geodrop: {0}; make the snapshot again with `cargo xtask snapshot`")]
    Malformed(&'static str),
    /// No thread could be started to unpack it.
    #[error("cannot start a thread to unpack the snapshot: {0}")]
    Thread(io::Error),
    /// It could not be written.
    #[error("cannot make a snapshot: {0}")]
    Write(#[from] io::Error),
}

/// Whether a file that begins with these bytes is a snapshot, or was meant to be one.
#[must_use]
pub fn is_snapshot(beginning: &[u8]) -> bool {
    beginning.starts_with(MAGIC)
}

/// Writes regions, and where they come from, as a snapshot. The same regions give the same bytes.
///
/// # Errors
///
/// [`SnapshotError::Write`] when zstd fails, or when there is more than the format can hold.
pub fn encode(regions: &Regions, source: &Source) -> Result<Vec<u8>, SnapshotError> {
    let mut snapshot = MAGIC.to_vec();
    snapshot.extend(VERSION.to_le_bytes());
    let metadata = serde_json::to_vec(source).map_err(io::Error::from)?;
    snapshot.extend(sized(&metadata)?);
    for columns in [
        columns::encode(regions.ipv4())?,
        columns::encode(regions.ipv6())?,
    ] {
        let frame = zstd::bulk::compress(&columns, LEVEL)?;
        snapshot.extend(length(&columns)?);
        snapshot.extend(sized(&frame)?);
    }
    let checksum = Sha256::digest(&snapshot);
    snapshot.extend(checksum);
    Ok(snapshot)
}

/// Reads a snapshot.
///
/// # Errors
///
/// Whatever is wrong with the bytes: see [`SnapshotError`].
pub fn decode(snapshot: &[u8]) -> Result<(Regions, Source), SnapshotError> {
    let rest = snapshot.strip_prefix(MAGIC).ok_or(SnapshotError::Foreign)?;
    let cut_off = SnapshotError::CutOff(snapshot.len());
    let Some((version, rest)) = rest.split_first_chunk() else {
        return Err(cut_off);
    };
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(SnapshotError::Version { found: version });
    }
    let Some((content, checksum)) = rest.split_last_chunk::<CHECKSUM>() else {
        return Err(cut_off);
    };
    if *Sha256::digest(&snapshot[..snapshot.len() - CHECKSUM]) != *checksum {
        return Err(SnapshotError::Checksum);
    }

    let mut content = Reader(content);
    let source = serde_json::from_slice(content.sized()?)
        .map_err(|_| SnapshotError::Malformed("its metadata cannot be read"))?;
    let (ipv4, ipv6) = (content.packed()?, content.packed()?);
    if !content.0.is_empty() {
        return Err(SnapshotError::Malformed("it goes on behind its end"));
    }
    thread::scope(|scope| {
        let ipv6 = thread::Builder::new()
            .spawn_scoped(scope, move || columns::decode(&ipv6.unpacked()?))
            .map_err(SnapshotError::Thread)?;
        let ipv4 = columns::decode(&ipv4.unpacked()?)?;
        let ipv6 = ipv6.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok((Regions::of_disjoint(ipv4, ipv6), source))
    })
}

/// The bytes of a part and, before them, how many there are.
fn sized(part: &[u8]) -> Result<Vec<u8>, SnapshotError> {
    Ok([&length(part)?, part].concat())
}

fn length(part: &[u8]) -> Result<[u8; 4], SnapshotError> {
    let length = u32::try_from(part.len()).map_err(io::Error::other)?;
    Ok(length.to_le_bytes())
}

/// What is left to read of a snapshot.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn length(&mut self) -> Result<usize, SnapshotError> {
        let (length, rest) = self
            .0
            .split_first_chunk()
            .ok_or(SnapshotError::Malformed("a length is missing"))?;
        self.0 = rest;
        // Where a length does not fit into memory, neither does the part.
        Ok(usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX))
    }

    fn sized(&mut self) -> Result<&'a [u8], SnapshotError> {
        let length = self.length()?;
        let (part, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(SnapshotError::Malformed(
                "a part is shorter than its length",
            ))?;
        self.0 = rest;
        Ok(part)
    }

    fn packed(&mut self) -> Result<Packed<'a>, SnapshotError> {
        let length = self.length()?;
        let frame = self.sized()?;
        Ok(Packed { length, frame })
    }
}

/// The columns of a family, still packed.
struct Packed<'a> {
    /// How many bytes the columns are.
    length: usize,
    /// The zstd frame that holds them.
    frame: &'a [u8],
}

impl Packed<'_> {
    fn unpacked(&self) -> Result<Vec<u8>, SnapshotError> {
        let in_proportion = SLACK + self.frame.len().saturating_mul(MOST_PACKED);
        if self.length > LARGEST.min(in_proportion) {
            return Err(SnapshotError::Malformed("its columns are too long"));
        }
        zstd::bulk::decompress(self.frame, self.length)
            .ok()
            .filter(|columns| columns.len() == self.length)
            .ok_or(SnapshotError::Malformed("its columns cannot be unpacked"))
    }
}
