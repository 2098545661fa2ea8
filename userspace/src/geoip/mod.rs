//! From GeoIP files to [`Regions`]: one file of this room a format.
//!
//! Whatever the format, a file's ranges go through one [`Builder`], which makes them disjoint. What comes
//! out is [`GeoData`]: the regions, where they come from ([`Source`]), and what the files contradict each
//! other in ([`Contradiction`]).
//!
//! | format | read by | recognised by |
//! |---|---|---|
//! | the built-in [`snapshot`] | [`builtin`], [`read`] | its first eight bytes |
//! | `first,last,country` | [`read`] | anything else |

mod country;
mod csv;
mod error;
mod regions;
pub mod snapshot;
mod source;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

pub(crate) use country::simplified;
pub use country::{Country, UnknownCountry, names};
pub use error::{GeoipError, LineProblem};
pub use regions::{AnyRange, Builder, Contradiction, Located, Place, Regions};
pub use source::{Source, Summary, Totals};

/// The snapshot that `cargo xtask snapshot` made.
const BUILTIN: &[u8] = include_bytes!("../../../data/world.snapshot");

/// Where data is had from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// What this program carries with it.
    Builtin,
    /// A file, in the format that its content shows.
    File(PathBuf),
}

impl Origin {
    /// The word for [`Self::Builtin`]. A file of that name is `./builtin`.
    pub const BUILTIN: &str = "builtin";

    /// What a word of the command line or a configuration stands for.
    #[must_use]
    pub fn of(word: &Path) -> Self {
        if word == Path::new(Self::BUILTIN) {
            Self::Builtin
        } else {
            Self::File(word.to_owned())
        }
    }
}

/// What was read: regions, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoData {
    /// Which country an address is in.
    pub regions: Regions,
    /// What the regions were made from: at least one source.
    pub sources: Vec<Source>,
    /// What the sources contradict themselves or each other in.
    pub contradictions: Vec<Contradiction>,
}

/// The data that this program carries with it: the whole world.
///
/// # Errors
///
/// [`GeoipError::Snapshot`], should the program be damaged.
pub fn builtin() -> Result<GeoData, GeoipError> {
    let (regions, source) = snapshot::decode(BUILTIN).map_err(|source| GeoipError::Snapshot {
        name: "the built-in snapshot".to_owned(),
        source,
    })?;
    Ok(GeoData {
        regions,
        sources: vec![source],
        contradictions: Vec::new(),
    })
}

/// Reads files, each in the format that its content shows. Ranges of several files count together, as if
/// they stood in one: the most specific wins, whichever file it is in.
///
/// # Errors
///
/// The first thing that is wrong: a file that cannot be read, that is damaged or empty, or a bad line.
pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<GeoData, GeoipError> {
    let files = paths
        .iter()
        .map(|path| Origin::File(path.as_ref().to_owned()));
    read_origins(&files.collect::<Vec<_>>())
}

/// Reads data from several places. Ranges count together, as in [`read`].
///
/// # Errors
///
/// As [`read`] and [`builtin`].
pub fn read_origins(origins: &[Origin]) -> Result<GeoData, GeoipError> {
    if let [Origin::Builtin] = origins {
        return builtin();
    }
    let mut builder = Builder::default();
    let mut sources = Vec::new();
    for origin in origins {
        sources.push(match origin {
            Origin::Builtin => {
                let GeoData {
                    regions,
                    mut sources,
                    ..
                } = builtin()?;
                let source = sources.pop().unwrap_or_default();
                builder.begin_file(&source.source);
                builder.add_regions(&regions);
                source
            }
            Origin::File(path) => read_file(path, &mut builder)?,
        });
    }
    let (regions, contradictions) = builder.build();
    Ok(GeoData {
        regions,
        sources,
        contradictions,
    })
}

fn read_file(path: &Path, builder: &mut Builder) -> Result<Source, GeoipError> {
    let name = path.display().to_string();
    let unreadable = |source| GeoipError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let before = builder.len();
    builder.begin_file(&name);
    let source = if snapshot::is_snapshot(file.fill_buf().map_err(unreadable)?) {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        let (regions, source) =
            snapshot::decode(&bytes).map_err(|source| GeoipError::Snapshot { name, source })?;
        builder.add_regions(&regions);
        source
    } else {
        csv::read(file, builder).map_err(|failure| failure.in_file(path))?;
        Source::of_file(name)
    };
    if builder.len() == before {
        return Err(GeoipError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(source)
}
