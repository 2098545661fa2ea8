//! Opens what files are packed in: gzip, xz, zstd, bzip2, zip and tar, one in another too, recognised by how they begin. A
//! directory is one more thing that files are in.
//!
//! Everything streams: of what is packed no more is in memory than its packing needs (xz and zstd up to 128 MiB, if the
//! file asks for it). All layers of one depth together give [`LONGEST`] bytes at most, so that a small file cannot become an
//! endless one, nor an archive of many small ones. Every checksum that a packing has is compared: what was cut off or
//! damaged is an error, never a shorter file.

use std::{
    cell::Cell,
    fs::{self, File},
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder};

use super::{GeoipError, PackedProblem, text};

/// The most bytes that the layers of one depth may give: several times what files of cities have.
const LONGEST: u64 = 1 << 30;

/// How often a file may be packed: a file, in a tar archive, in gzip, in a zip archive.
const DEEPEST: usize = 4;

/// How many files an archive may have: one for each country, family and size of list is a few thousand.
const MOST_FILES: usize = 10_000;

/// How much of a beginning is looked at: as much as shows a tar archive, or that a file is no text.
const BEGINNING: usize = 4096;

/// How much is read at once.
const BUFFER: usize = 128 << 10;

/// How much memory xz may take, in KiB; as much as zstd's default.
const XZ_MEMORY: u32 = 128 << 10;

/// What a file is packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// A zip archive.
    Zip,
    /// A tar archive.
    Tar,
}

impl std::fmt::Display for Packing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Zip => "zip archive",
            Self::Tar => "tar archive",
        })
    }
}

impl Packing {
    /// What a file that begins like this is packed in.
    fn of(beginning: &[u8]) -> Option<Self> {
        let starts: [(&[u8], Self); 7] = [
            (b"\x1f\x8b\x08", Self::Gzip),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
            (b"BZh", Self::Bzip2),
            (b"PK\x03\x04", Self::Zip),
            (b"PK\x05\x06", Self::Zip),
            (b"PK\x07\x08", Self::Zip),
        ];
        let found = starts
            .iter()
            .find(|(start, _)| beginning.starts_with(start));
        let is_tar = || beginning.get(257..262) == Some(b"ustar");
        found
            .map(|(_, packing)| *packing)
            .or_else(|| is_tar().then_some(Self::Tar))
    }
}

/// A file that is not packed, or was unpacked.
pub(super) struct Unpacked<'a> {
    /// What it is called in messages: the path, and behind that the name in an archive.
    pub(super) name: &'a str,
    /// Whether it is one of an archive's.
    pub(super) is_archived: bool,
    /// How it begins.
    pub(super) beginning: &'a [u8],
    /// All of it, the beginning included.
    pub(super) content: &'a mut dyn BufRead,
}

/// What is done with each file.
pub(super) type Visit<'v> = dyn FnMut(Unpacked<'_>) -> Result<(), GeoipError> + 'v;

/// Opens a file, called `name` in messages, and hands each file in it to `visit`. A directory is read as an archive of the files that are right in it.
///
/// # Errors
///
/// Whatever is wrong with what it is packed in, and what `visit` refuses.
pub(super) fn unpack(name: &str, path: &Path, visit: &mut Visit<'_>) -> Result<(), GeoipError> {
    let left = Left::default();
    if !path.is_dir() {
        return open(name, path, 0, &left, visit);
    }
    let failed = |source| GeoipError::of_io(name, source);
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        refuse_many(name, files.len())?;
        // Neither pipes, which would be waited for, nor what a link leads out to.
        if entry.file_type().map_err(failed)?.is_file() {
            files.push(entry.file_name());
        }
    }
    files.sort();
    for file in files {
        let inside = format!("{name}{INSIDE}{}", file.to_string_lossy());
        open(&inside, &path.join(&file), 1, &left, visit)?;
    }
    Ok(())
}

/// Opens a file that is in a directory (`depth` 1) or stands for itself (0).
fn open(
    name: &str,
    path: &Path,
    depth: usize,
    left: &Left,
    visit: &mut Visit<'_>,
) -> Result<(), GeoipError> {
    let unreadable = |source| GeoipError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut beginning = Vec::with_capacity(BEGINNING);
    (&file)
        .take(BEGINNING as u64)
        .read_to_end(&mut beginning)
        .map_err(unreadable)?;
    if Packing::of(&beginning) == Some(Packing::Zip) {
        return zip(name, file, left, visit);
    }
    let rest = Layer::bare(Cursor::new(beginning).chain(file), left, depth);
    let mut rest = BufReader::with_capacity(BUFFER, rest);
    unpack_stream(name, &mut rest, depth, left, visit)
}

/// How many bytes the layers of each depth may still give.
struct Left([Cell<u64>; DEEPEST + 1]);

impl Default for Left {
    fn default() -> Self {
        Self([const { Cell::new(LONGEST) }; DEEPEST + 1])
    }
}

/// The same for what comes as a stream, out of `depth` layers.
fn unpack_stream(
    name: &str,
    stream: &mut dyn BufRead,
    depth: usize,
    left: &Left,
    visit: &mut Visit<'_>,
) -> Result<(), GeoipError> {
    let failed = |source| GeoipError::of_io(name, source);
    let mut beginning = Vec::with_capacity(BEGINNING);
    stream
        .take(BEGINNING as u64)
        .read_to_end(&mut beginning)
        .map_err(failed)?;
    let packing = Packing::of(&beginning);
    let mut stream = Cursor::new(&beginning).chain(stream);
    let Some(packing) = packing else {
        return visit(Unpacked {
            name,
            is_archived: depth > 0 && name.contains(INSIDE),
            beginning: &beginning,
            content: &mut stream,
        });
    };
    if depth >= DEEPEST {
        return Err(GeoipError::Packed {
            name: name.to_owned(),
            problem: PackedProblem::TooDeep(DEEPEST),
        });
    }
    let stream: Box<dyn Read + '_> = match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(stream, true, XZ_MEMORY)),
        Packing::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(stream).map_err(failed)?)
        }
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(stream)),
        Packing::Tar => return tar(name, &mut stream, depth, left, visit),
        Packing::Zip => {
            return Err(GeoipError::Packed {
                name: name.to_owned(),
                problem: PackedProblem::ZipInside,
            });
        }
    };
    let mut stream = BufReader::with_capacity(BUFFER, Layer::of(packing, stream, left, depth + 1));
    unpack_stream(name, &mut stream, depth + 1, left, visit)
}

/// What stands between an archive and a file in it.
pub(super) const INSIDE: &str = ": ";

fn tar(
    name: &str,
    stream: &mut dyn Read,
    depth: usize,
    left: &Left,
    visit: &mut Visit<'_>,
) -> Result<(), GeoipError> {
    let failed = |source| GeoipError::of_io(name, failure(Packing::Tar, source));
    let mut archive = tar::Archive::new(stream);
    // Raw, because long names are of no use here, and would be read into memory whole.
    let entries = archive.entries().map_err(failed)?.raw(true);
    for (index, entry) in entries.enumerate() {
        refuse_many(name, index)?;
        let entry = entry.map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let inside = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut entry = BufReader::new(Layer::of(Packing::Tar, entry, left, depth + 1));
        let inside = format!("{name}{INSIDE}{inside}");
        unpack_stream(&inside, &mut entry, depth + 1, left, visit)?;
    }
    // To the end, where what it is packed in has its checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed)?;
    Ok(())
}

fn zip(name: &str, file: File, left: &Left, visit: &mut Visit<'_>) -> Result<(), GeoipError> {
    let failed = |error: rawzip::Error| GeoipError::Unpack {
        name: name.to_owned(),
        packing: Packing::Zip,
        source: io::Error::other(error),
    };
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(failed)?;
    let mut members = Vec::new();
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(failed)? {
        refuse_many(name, members.len())?;
        if !entry.is_dir() {
            members.push(Member {
                name: String::from_utf8_lossy(entry.file_path().as_ref()).into_owned(),
                method: entry.compression_method(),
                place: entry.wayfinder(),
            });
        }
    }
    let open = |member: &Member, left: &Left, visit: &mut Visit<'_>| {
        let entry = archive.get_entry(member.place).map_err(failed)?;
        let content: Box<dyn Read + '_> = match member.method {
            CompressionMethod::STORE => Box::new(entry.verifying_reader(entry.reader())),
            CompressionMethod::DEFLATE => {
                let content = flate2::read::DeflateDecoder::new(entry.reader());
                Box::new(entry.verifying_reader(content))
            }
            method => {
                return Err(GeoipError::Packed {
                    name: name.to_owned(),
                    problem: PackedProblem::Method {
                        file: member.name.clone(),
                        method: method.to_string(),
                    },
                });
            }
        };
        let content = Layer::of(Packing::Zip, content, left, 1);
        let mut content = BufReader::with_capacity(BUFFER, content);
        let inside = format!("{name}{INSIDE}{}", member.name);
        unpack_stream(&inside, &mut content, 1, left, visit)
    };
    // MaxMind's places come first, for its networks name them by numbers.
    let mut has_places = Vec::with_capacity(members.len());
    for member in &members {
        let mut found = false;
        // Of each no more is looked at than its beginning.
        open(member, &Left::default(), &mut |unpacked| {
            found = text::has_places(unpacked.beginning);
            Ok(())
        })?;
        has_places.push(found);
    }
    for first in [true, false] {
        for (member, has_places) in members.iter().zip(&has_places) {
            if *has_places == first {
                open(member, left, visit)?;
            }
        }
    }
    Ok(())
}

/// A file of a zip archive.
struct Member {
    name: String,
    method: CompressionMethod,
    place: ZipArchiveEntryWayfinder,
}

fn refuse_many(name: &str, files: usize) -> Result<(), GeoipError> {
    if files < MOST_FILES {
        return Ok(());
    }
    Err(GeoipError::Packed {
        name: name.to_owned(),
        problem: PackedProblem::TooManyFiles(MOST_FILES),
    })
}

/// A layer of a packed file, which gives so many bytes and no more, and whose errors say what it is.
struct Layer<'l, R> {
    packing: Option<Packing>,
    left: &'l Cell<u64>,
    inner: R,
}

impl<'l, R: Read> Layer<'l, R> {
    /// The file itself, at this depth.
    fn bare(inner: R, left: &'l Left, depth: usize) -> Self {
        Self {
            packing: None,
            left: &left.0[depth],
            inner,
        }
    }

    /// What comes out of a packing, which is at most [`DEEPEST`] deep.
    fn of(packing: Packing, inner: R, left: &'l Left, depth: usize) -> Self {
        Self {
            packing: Some(packing),
            left: &left.0[depth],
            inner,
        }
    }
}

impl<R: Read> Read for Layer<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self
            .inner
            .read(buffer)
            .map_err(|error| match self.packing {
                Some(packing) => failure(packing, error),
                None => error,
            })?;
        let left = self.left.get().checked_sub(count as u64);
        self.left
            .set(left.ok_or_else(|| io::Error::other(TooLong))?);
        Ok(count)
    }
}

/// A layer gave more bytes than it may.
#[derive(Debug, thiserror::Error)]
#[error("too long")]
struct TooLong;

/// A packing failed.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
struct Failure {
    packing: Packing,
    source: io::Error,
}

/// Says which packing failed, if no layer inside of it has said so.
fn failure(packing: Packing, source: io::Error) -> io::Error {
    let is_told = |error: &io::Error| {
        error
            .get_ref()
            .is_some_and(|inner| inner.is::<Failure>() || inner.is::<TooLong>())
    };
    if source.kind() == io::ErrorKind::Interrupted || is_told(&source) {
        return source;
    }
    io::Error::other(Failure { packing, source })
}

impl GeoipError {
    /// What a failed read means that went through layers.
    pub(super) fn of_io(name: &str, error: io::Error) -> Self {
        let name = name.to_owned();
        let error = match error.downcast::<Failure>() {
            Ok(Failure { packing, source }) => {
                return Self::Unpack {
                    name,
                    packing,
                    source,
                };
            }
            Err(error) => error,
        };
        match error.downcast::<TooLong>() {
            Ok(TooLong) => Self::TooLong {
                name,
                most: LONGEST,
            },
            Err(source) => Self::Read {
                path: name.into(),
                source,
            },
        }
    }
}
