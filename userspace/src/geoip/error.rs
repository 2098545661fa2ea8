//! What can be wrong with GeoIP data, in words that say what to do about it.

use std::{io, path::PathBuf};

use super::{Country, MmdbProblem, Packing, Place, UnknownCountry, snapshot};

/// Why GeoIP data could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GeoipError {
    /// A file could not be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// What a file is packed in could not be opened.
    #[error("{name}: damaged or cut off, as {packing}: {source}; fetch the file again")]
    Unpack {
        /// The file.
        name: String,
        /// What it is packed in.
        packing: Packing,
        /// What is wrong.
        source: io::Error,
    },
    /// A file is packed in a way that is not opened here.
    #[error("{name}: {problem}")]
    Packed {
        /// The file.
        name: String,
        /// What is wrong, and the remedy.
        problem: PackedProblem,
    },
    /// A file is longer than any that has countries in it, packed or unpacked.
    #[error(
        "{name}: more than {} MiB of data: too much for a file of countries; was it made to harm?",
        most >> 20
    )]
    TooLong {
        /// The file.
        name: String,
        /// How many bytes there may be.
        most: u64,
    },
    /// A line does not say what a line must say.
    #[error("{place}: {problem}\n  in the line `{text}`")]
    Line {
        /// The file and the line.
        place: Place,
        /// What is wrong, and the remedy.
        problem: LineProblem,
        /// The line; its beginning, where it is long.
        text: String,
    },
    /// A file of prefixes that does not say which country they are in.
    #[error(
        "{name}: prefixes, and no word of the country that they are in; \
         give it as CC=FILE (CN={name} for China), or name the file after it, as cn.zone is"
    )]
    WhichCountry {
        /// The file.
        name: String,
    },
    /// A file that says countries itself was given as one of a country.
    #[error(
        "{name}: given as {country}={name}, but it says countries itself; write {name} without the country"
    )]
    SaysCountries {
        /// The file.
        name: String,
        /// The country that was given.
        country: Country,
    },
    /// A binary file that no format is known of.
    #[error("{name}: {problem}")]
    Binary {
        /// The file.
        name: String,
        /// What it is, if that is known, and the remedy.
        problem: BinaryProblem,
    },
    /// A MaxMind database is not whole, or has no countries.
    #[error("{name}: {problem}")]
    Mmdb {
        /// The file.
        name: String,
        /// What is wrong, and the remedy.
        problem: MmdbProblem,
    },
    /// A file has places and no networks.
    #[error("{}: {}", path.display(), LineProblem::HalfOfMaxmind)]
    HalfOfMaxmind {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no ranges: it is empty, or was cut off while it was fetched.
    #[error("{}: no address range in it; fetch the file again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file holds ranges, and says a country of none.
    #[error(
        "{}: none of its {rows} rows says a country; is this a file of countries, and not of networks (ASN)?",
        path.display()
    )]
    NoCountries {
        /// The file.
        path: PathBuf,
        /// How many rows it has.
        rows: u64,
    },
    /// A snapshot is not whole, or not one that this version reads.
    #[error("{name}: {source}")]
    Snapshot {
        /// The file, or "the built-in snapshot".
        name: String,
        /// What is wrong, and the remedy.
        source: snapshot::SnapshotError,
    },
}

/// Why what is packed is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackedProblem {
    /// An archive in what is packed already.
    #[error("a zip archive that is packed once more; unpack it once, and give the zip archive")]
    ZipInside,
    /// Packed more often than anybody packs.
    #[error("packed {0} times over; unpack it")]
    TooDeep(usize),
    /// An archive with more files than data comes in.
    #[error("an archive of more than {0} files; give those of them that are data")]
    TooManyFiles(usize),
    /// A file of a zip archive that was compressed in a way that nobody who distributes data uses.
    #[error(
        "its file {file} is packed by {method}; unpack the archive, and give the files that are data"
    )]
    Method {
        /// The file in the archive.
        file: String,
        /// How it is compressed.
        method: String,
    },
    /// No file of an archive, or of a directory, is data.
    #[error(
        "an archive or directory with no data in it; give the one that the provider calls CSV or MMDB"
    )]
    NoData,
}

/// Why a binary file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinaryProblem {
    /// IPFire's own format.
    #[error(
        "a database of IPFire's (libloc), which is not read here; export it: `location export --format=xt_geoip`, \
         or take Tor's geoip files, which are made of it"
    )]
    Libloc,
    /// None that is known.
    #[error(
        "neither text nor a database that is known here (a MaxMind DB, a snapshot of geodrop's): \
         was it cut off while it was fetched, or is it a format of its maker's own? Take its CSV or MMDB"
    )]
    Foreign,
}

/// There are more ranges than any data of countries has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {most} address ranges: too many for a file of countries; give one that tells no more than countries apart"
)]
pub struct TooMany {
    /// How many there may be.
    pub most: usize,
}

/// What is wrong with a line of a file, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// There are more or fewer fields than there must be.
    #[error("{found} fields where {needed} are needed: write `{like}`")]
    Fields {
        /// How many there are.
        found: usize,
        /// How many there must be.
        needed: &'static str,
        /// What a line is like.
        like: &'static str,
    },
    /// A quote is opened and not closed.
    #[error("a quote is opened and not closed: close it, or take it out")]
    Quote,
    /// A field that must be an address is none.
    #[error("`{0}` is no address: write an IPv4 or IPv6 address, or one as a decimal number")]
    Address(String),
    /// The two addresses are not of one family.
    #[error(
        "`{0}` and `{1}` are not written alike: write two IPv4 addresses, two IPv6 addresses or two decimal numbers"
    )]
    Unlike(String, String),
    /// The first address comes after the last.
    #[error("the range ends before it begins: write the lower address first")]
    Reversed,
    /// A field that must be a prefix is none.
    #[error("`{0}` is no prefix: write it like 192.0.2.0/24 or 2001:db8::/32")]
    Prefix(String),
    /// A prefix has bits set behind its length.
    #[error(
        "`{given}` is a prefix with host bits set, perhaps cut short: write {meant} if that is meant"
    )]
    HostBits {
        /// What was written.
        given: String,
        /// The prefix of that length.
        meant: String,
    },
    /// A number of addresses goes beyond the last one, or is none.
    #[error("`{0}` is no number of addresses from there on: write how many there are")]
    Count(String),
    /// A word that must be `ipv4`, `ipv6` or `asn` is another.
    #[error("`{0}` is no type of resource: write ipv4, ipv6 or asn")]
    Resource(String),
    /// The country has no such code.
    #[error(transparent)]
    Country(#[from] UnknownCountry),
    /// The country is not the one that the file was given for.
    #[error(
        "a country's name where its code is needed; take the file that has a column `country_code`"
    )]
    CountryName,
    /// A row names a place that no file of places has.
    #[error(
        "no file of locations has the geoname_id {0}: give the zip archive as MaxMind has it, \
         with its files Blocks and Locations of one day"
    )]
    Geoname(String),
    /// A file of places alone, or of networks alone.
    #[error(
        "one half of MaxMind's CSV: give the zip archive as MaxMind has it, Blocks and Locations together"
    )]
    HalfOfMaxmind,
    /// The line is like those of no known format.
    #[error(
        "a line of no known format: write `first address,last address,country code`; docs/data.md lists what is read"
    )]
    Foreign,
    /// A web page or a message of a server, where data should be.
    #[error("a web page or a server's message, no data: the download failed; fetch the file again")]
    Page,
    /// The line is not text.
    #[error("the line is not UTF-8: is this a text file, and whole?")]
    NotText,
    /// The line is longer than any that says a range.
    #[error("a line of more than {0} bytes: is this a text file with a range in each line?")]
    TooLong(u64),
    /// There are too many ranges.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}
