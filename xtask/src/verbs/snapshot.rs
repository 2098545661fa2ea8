//! `cargo xtask snapshot`: remake the GeoIP data that is built into geodrop.
//!
//! The data come as a package of the npm registry, taken through npm itself, which checks what it gets against the
//! registry's checksum; or from the package's files where they are here already. The encoding is geodrop's own: an example of the
//! library does it, reads the result back, and compares.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha512};

use crate::{
    packages,
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

/// Whose data these are.
pub(crate) const PACKAGE: &str = "@ip-location-db/geo-whois-asn-country";

/// The version that data/ holds.
pub(crate) const VERSION: &str = "2.3.2026061719";

/// The two files of the package that are read.
const FILES: [&str; 2] = [
    "geo-whois-asn-country-ipv4.csv",
    "geo-whois-asn-country-ipv6.csv",
];

const EXAMPLES: &str = "\
Examples:
  cargo xtask snapshot                                     the pinned version, through npm
  cargo xtask snapshot --package-version 2.3.2026071800    another version
  cargo xtask snapshot --tarball FILE.tgz                  a package that is here already
  cargo xtask snapshot --csv v4.csv v6.csv --package-version 2.3.2026061719";

/// Remake data/world.snapshot, the GeoIP data built into geodrop.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Version of the package; its last number is the day and hour of the data
    #[arg(long, value_name = "VERSION", default_value = VERSION)]
    package_version: String,
    /// Take this package, as `npm pack` makes it, instead of asking npm
    #[arg(long, value_name = "FILE.tgz")]
    tarball: Option<PathBuf>,
    /// Take the package's two files from here, unpacked
    #[arg(long, num_args = 2, value_names = ["IPV4", "IPV6"], conflicts_with = "tarball")]
    csv: Option<Vec<PathBuf>>,
    /// Day of the data (2026-06-17), if the version does not say it
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
}

/// What the snapshot is made of.
struct Input {
    /// The IPv4 file and the IPv6 file.
    files: [PathBuf; 2],
    /// The checksum of what they came in, as npm writes it.
    checksum: String,
}

impl Args {
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        let version = &self.package_version;
        let date = match &self.date {
            Some(date) => date.clone(),
            None => date_of(version).with_context(|| {
                format!("version {version} does not end in a date, as 2.3.2026061719 does: add --date YYYY-MM-DD")
            })?,
        };
        setup::ensure(workspace, Purpose::Build, consent)?;
        let scratch = tempfile::tempdir().context("cannot make a temporary directory")?;
        let Input {
            files: [ipv4, ipv6],
            checksum,
        } = self.input(scratch.path(), workspace)?;

        let mut command = workspace.cargo();
        command
            .args([
                "run",
                "--release",
                "--package",
                "geodrop",
                "--example",
                "snapshot",
                "--",
            ])
            .args([
                "--version",
                version,
                "--date",
                &date,
                "--source",
                &format!("npm {PACKAGE}"),
                "--checksum",
                &checksum,
            ]);
        command.arg("--ipv4").arg(ipv4).arg("--ipv6").arg(ipv6);
        command
            .arg("--output")
            .arg(workspace.root.join("data/world.snapshot"));
        workspace::run(&mut command)
    }

    fn input(&self, scratch: &Path, workspace: &Workspace) -> anyhow::Result<Input> {
        if let Some([ipv4, ipv6]) = self.csv.as_deref() {
            // The encoder runs in the workspace; these are relative to where we are.
            let files = [absolute(ipv4)?, absolute(ipv6)?];
            let checksum = integrity(&files)?;
            return Ok(Input { files, checksum });
        }
        let tarball = match &self.tarball {
            Some(tarball) => absolute(tarball)?,
            None => packages::npm(PACKAGE, &self.package_version, scratch, workspace)
                .context("with a file of it, use --tarball")?,
        };
        let mut unpack = Command::new("tar");
        unpack.arg("-xzf").arg(&tarball).arg("-C").arg(scratch);
        workspace::run(&mut unpack)?;
        let files = FILES.map(|name| scratch.join("package").join(name));
        for file in &files {
            if !file.is_file() {
                bail!(
                    "{} holds no {}: is it the package {PACKAGE}?",
                    tarball.display(),
                    file_name(file).display()
                );
            }
        }
        let checksum = integrity(&[tarball])?;
        Ok(Input { files, checksum })
    }
}

/// The day in a version's last number: 2.3.2026061719 is of 2026-06-17, at 19 hours.
fn date_of(version: &str) -> Option<String> {
    let stamp = version.rsplit('.').next()?;
    if stamp.len() != 10 || !stamp.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(format!("{}-{}-{}", &stamp[..4], &stamp[4..6], &stamp[6..8]))
}

/// The checksum of files, one after another, as npm writes it.
fn integrity(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut digest = Sha512::new();
    for file in files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        digest.update(bytes);
    }
    Ok(format!(
        "sha512-{}",
        BASE64_STANDARD.encode(digest.finalize())
    ))
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))
}

fn file_name(path: &Path) -> OsString {
    path.file_name().unwrap_or(path.as_os_str()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_says_its_day() {
        let cases = [
            (VERSION, Some("2026-06-17")),
            ("2.3.2026123100", Some("2026-12-31")),
            ("2.3.0", None),
            ("2.3.20260617", None),
            ("2.3.2026061719-beta", None),
            ("", None),
        ];
        for (version, expected) in cases {
            assert_eq!(date_of(version).as_deref(), expected, "{version}");
        }
    }

    #[test]
    fn a_checksum_is_written_as_npm_writes_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let empty = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
        assert_eq!(integrity(&[file.path().to_path_buf()]).unwrap(), empty);
    }
}
