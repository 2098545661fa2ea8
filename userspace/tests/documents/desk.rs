//! Where commands of documents are run: a directory that has the files of which documents speak.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::commands::{Shown, repository};

/// What the reader has, by what the repository has of the kind. Formats are told by content, so names are free.
const FILES: [(&str, &str); 9] = [
    ("policy.toml", "packaging/policy.toml"),
    ("etc/geodrop/policy.toml", "packaging/policy.toml"),
    ("A", "userspace/tests/geoip/dbip-country-lite.csv"),
    ("B", "userspace/tests/geoip/ip-location-db-ipv4.csv"),
    ("FILE…", "userspace/tests/geoip/geofeed.csv"),
    (
        "GeoLite2-Country.mmdb",
        "userspace/tests/geoip/dbip-country-lite.csv",
    ),
    (
        "GeoLite2-Country-CSV_20260707.zip",
        "userspace/tests/geoip/dbip-country-lite.csv",
    ),
    (
        "var/lib/geodrop/rir/current",
        "userspace/tests/geoip/delegated-apnic.txt",
    ),
    (
        "var/lib/geodrop/rir/refused/9",
        "userspace/tests/geoip/delegated-five-extended.txt",
    ),
];

/// A directory with these files.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let directory = desk.0.path();
        for (name, origin) in FILES {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(repository().join(origin), path).unwrap();
        }
        symlink(repository().join("examples"), directory.join("examples")).unwrap();
        fs::write(directory.join("extra.txt"), "192.0.2.0/24\n").unwrap();
        fs::write(directory.join("addresses.txt"), "1.0.1.1\n8.8.8.8\n").unwrap();
        desk
    }

    /// A word of a command: what it says of the machine's files is here.
    pub(crate) fn word(&self, word: &str) -> String {
        match word.strip_prefix('/') {
            Some(path) => self.path(path).to_str().unwrap().to_owned(),
            None => word.to_owned(),
        }
    }

    /// Has a command run here, as one is shown.
    pub(crate) fn prepare<'a>(&self, command: &'a mut Command, shown: &Shown) -> &'a mut Command {
        let input = shown.input.as_ref().map_or_else(Stdio::null, |file| {
            File::open(self.path(file)).unwrap().into()
        });
        let environment = shown.environment.iter().cloned();
        command.current_dir(&self.0).envs(environment).stdin(input)
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        Path::join(self.0.path(), file)
    }
}
