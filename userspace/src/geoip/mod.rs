//! From GeoIP files to [`Regions`]: one file of this room a format.
//!
//! ```text
//! file ──unpack──▶ text, MaxMind DB or snapshot ──▶ rows ──intake──▶ Reading: regions of one source
//!                                                                        │ several, in order
//!                                                                        ▼
//!                                                                     GeoData
//! ```
//!
//! Files are opened as far as they are packed, and then read in the format that their content shows. Rows that say no country
//! are set aside and counted ([`SetAside`]); all others go through one [`Builder`], which makes them disjoint. What comes out is
//! a [`Reading`] for each source, and [`GeoData`] for all of them together. The user's page on all this is docs/data.md.
//!
//! | format | read by | recognised by |
//! |---|---|---|
//! | the built-in [`snapshot`] | `snapshot/` | its first eight bytes |
//! | MaxMind DB | `mmdb.rs` | no text, and a marker near its end |
//! | MaxMind's CSV archive | `maxmind.rs` | the names of its columns |
//! | CSV with names of columns | `columns.rs` | these names |
//! | `first,last,country` | `ranges.rs` | three or four fields |
//! | delegations of the registries | `delegated.rs` | `|` between fields |
//! | geofeed (RFC 8805) | `geofeed.rs` | a prefix, and a second field |
//! | list of prefixes | `prefixes.rs` | a prefix, and nothing else |

mod any_range;
mod columns;
mod country;
mod delegated;
mod difference;
mod error;
mod fields;
mod geofeed;
mod intake;
mod location;
mod maker;
mod maxmind;
mod mmdb;
mod opinions;
mod origin;
pub mod plausible;
mod prefixes;
mod ranges;
mod reading;
mod regions;
mod remarks;
pub mod snapshot;
mod source;
mod text;
mod unpack;

pub use any_range::AnyRange;
pub(crate) use country::simplified;
pub use country::{Country, UnknownCountry, names};
pub use difference::{Move, addresses};
pub use error::{BinaryProblem, GeoipError, LineProblem, PackedProblem, TooMany};
pub use location::SetAside;
pub use mmdb::MmdbProblem;
pub use opinions::Opinions;
pub use origin::Origin;
pub use reading::{CountryBy, Format, Reading};
pub use regions::{Builder, Contradiction, Located, Place, Regions};
pub use source::{Source, Summary, Totals};
pub use unpack::Packing;

use std::path::Path;

/// The snapshot that `cargo xtask snapshot` made.
const BUILTIN: &[u8] = include_bytes!("../../../data/world.snapshot");

/// What several sources make of an address that they disagree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// The first source that knows the address decides.
    #[default]
    First,
    /// Each source is heard: the address is refused if what any of them says is against it.
    Any,
}

/// How data is read that can be read in more than one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// What becomes of disagreement between sources.
    pub merge: Merge,
    /// Which country counts where a source says two.
    pub country: CountryBy,
}

/// What was read: regions, and where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoData {
    /// Which country an address is in: as the first source says that knows it.
    pub regions: Regions,
    /// The sources, in their order.
    pub readings: Vec<Reading>,
    /// What becomes of disagreement between them.
    pub merge: Merge,
}

impl GeoData {
    /// What several sources say together.
    #[must_use]
    pub fn new(readings: Vec<Reading>, merge: Merge) -> Self {
        let each: Vec<_> = readings
            .iter()
            .map(|reading| reading.regions.clone())
            .collect();
        Self {
            regions: Regions::first_of(&each),
            readings,
            merge,
        }
    }

    /// Where it comes from.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.readings.iter().map(|reading| &reading.source)
    }

    /// What sources contradict themselves in. That one source contradicts another is no contradiction: their order, or
    /// [`Merge`], says what counts.
    pub fn contradictions(&self) -> impl Iterator<Item = &Contradiction> {
        self.readings
            .iter()
            .flat_map(|reading| &reading.contradictions)
    }
}

/// The data that this program carries with it: the whole world.
///
/// # Errors
///
/// [`GeoipError::Snapshot`], should the program be damaged.
pub fn builtin() -> Result<GeoData, GeoipError> {
    let reading = Reading::of_snapshot("the built-in snapshot", BUILTIN)?;
    Ok(GeoData::new(vec![reading], Merge::default()))
}

/// Reads files, each in the format that its content shows; the first that knows an address decides.
///
/// # Errors
///
/// The first thing that is wrong: a file that cannot be read, that is damaged or empty, or a bad line.
pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<GeoData, GeoipError> {
    let files = paths
        .iter()
        .map(|path| Origin::File(path.as_ref().to_owned()));
    read_origins(&files.collect::<Vec<_>>(), Reconciliation::default())
}

/// Reads data from several places, in the order in which they count.
///
/// # Errors
///
/// As [`read`] and [`builtin`].
pub fn read_origins(
    origins: &[Origin],
    reconciliation: Reconciliation,
) -> Result<GeoData, GeoipError> {
    let Reconciliation { merge, country } = reconciliation;
    let readings = origins
        .iter()
        .map(|origin| match origin {
            Origin::Builtin => Reading::of_snapshot("the built-in snapshot", BUILTIN),
            Origin::File(path) => Reading::of_file(path, None, country),
            Origin::Prefixes { country: of, path } => Reading::of_file(path, Some(*of), country),
        })
        .collect::<Result<_, _>>()?;
    Ok(GeoData::new(readings, merge))
}
