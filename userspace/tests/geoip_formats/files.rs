//! Files to read, in a directory of their own; and what was read, as text.

use std::{collections::BTreeMap, fs, path::PathBuf};

use geodrop::geoip::{
    self, CountryBy, GeoData, GeoipError, Merge, Origin, Reading, Reconciliation, Regions,
};
use tempfile::TempDir;

/// An excerpt, by its name.
pub(crate) fn excerpt(name: &str) -> Vec<u8> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip");
    fs::read(PathBuf::from(directory).join(name)).unwrap()
}

/// All excerpts, by their names.
pub(crate) fn excerpts() -> BTreeMap<String, Vec<u8>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip");
    let names = fs::read_dir(directory).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name != "README.md");
    names.map(|name| (name.clone(), excerpt(&name))).collect()
}

/// Files in a directory of their own.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Reads files as the command line would: `CC=NAME` too.
    pub(crate) fn read_by(
        &self,
        words: &[&str],
        reconciliation: Reconciliation,
    ) -> Result<GeoData, GeoipError> {
        let origin = |word: &&str| match word.split_once('=') {
            Some((country, name)) => Origin::Prefixes {
                country: country.parse().unwrap(),
                path: self.path(name),
            },
            None => Origin::File(self.path(word)),
        };
        let origins: Vec<_> = words.iter().map(origin).collect();
        geoip::read_origins(&origins, reconciliation)
    }

    pub(crate) fn read(&self, words: &[&str]) -> Result<GeoData, GeoipError> {
        self.read_by(words, Reconciliation::default())
    }

    /// The error's words, without the directory.
    pub(crate) fn error(&self, words: &[&str]) -> String {
        let directory = format!("{}/", self.0.path().display());
        let error = self.read(words).unwrap_err();
        error.to_string().replace(&directory, "")
    }
}

/// Reads one file of this name.
pub(crate) fn read(name: &str, content: &[u8]) -> Result<Reading, GeoipError> {
    let data = Files::new(&[(name, content)]).read(&[name])?;
    Ok(data.readings.into_iter().next().unwrap())
}

/// What one file of this name is refused for.
pub(crate) fn error(name: &str, content: &[u8]) -> String {
    Files::new(&[(name, content)]).error(&[name])
}

/// The same, with the country by where addresses are registered.
pub(crate) fn read_by_registration(name: &str, content: &[u8]) -> Reading {
    let reconciliation = Reconciliation {
        merge: Merge::First,
        country: CountryBy::Registered,
    };
    let data = Files::new(&[(name, content)]).read_by(&[name], reconciliation);
    data.unwrap().readings.into_iter().next().unwrap()
}

/// The ranges as `first-last country`, IPv4 first. Neighbours of one country are joined, as formats part them differently.
pub(crate) fn told(regions: &Regions) -> Vec<String> {
    fn family<A: geodrop::range::Address>(located: &[geoip::Located<A>]) -> Vec<String> {
        let mut joined = located.to_vec();
        geodrop::range::join_adjacent(&mut joined);
        let texts = joined
            .iter()
            .map(|one| format!("{} {}", one.range, one.label));
        texts.collect()
    }
    [family(regions.ipv4()), family(regions.ipv6())].concat()
}

/// How many rows were set aside, by reason.
pub(crate) fn set_aside(reading: &Reading) -> Vec<(String, u64)> {
    let reasons = reading.set_aside.iter();
    reasons
        .map(|(reason, rows)| (format!("{reason:?}"), *rows))
        .collect()
}
