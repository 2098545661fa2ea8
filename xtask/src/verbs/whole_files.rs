//! `cargo xtask whole-files`: read whole files of GeoIP data, and compare with independent readers.
//!
//! The files are those that package registries carry: ip-location-db as CSV and as MaxMind DB (npm), and Tor's (Debian).
//! An example of the library does the comparing.

use std::process::Command;

use anyhow::Context as _;

use super::snapshot::{PACKAGE, VERSION};
use crate::{
    packages,
    setup::{self, Consent, Purpose},
    workspace::{self, Workspace},
};

/// Read whole files of GeoIP data, and compare with independent readers; fetches 22 MB through npm and apt.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "as every verb has it")]
    pub(crate) fn run(&self, workspace: &Workspace, consent: Consent) -> anyhow::Result<()> {
        setup::ensure(workspace, Purpose::Build, consent)?;
        let scratch = tempfile::tempdir().context("cannot make a temporary directory")?;
        let [csv, mmdb, tor] = ["csv", "mmdb", "tor"].map(|name| scratch.path().join(name));
        for directory in [&csv, &mmdb, &tor] {
            std::fs::create_dir(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let tarball = packages::npm(PACKAGE, VERSION, &csv, workspace)?;
        unpack(&tarball, &csv)?;
        let twin = packages::npm(&format!("{PACKAGE}-mmdb"), VERSION, &mmdb, workspace)?;
        unpack(&twin, &mmdb)?;
        packages::debian("tor-geoipdb", &tor, workspace)?;

        let mut command = workspace.cargo();
        command.args(["run", "--release", "--package", "geodrop"]);
        command.args(["--example", "whole_files", "--", "--csv"]);
        for family in ["ipv4", "ipv6"] {
            let name = format!("package/geo-whois-asn-country-{family}.csv");
            command.arg(csv.join(name));
        }
        let database = mmdb.join("package/geo-whois-asn-country.mmdb");
        command.arg("--mmdb").arg(database).arg("--tor");
        for name in ["geoip", "geoip6"] {
            command.arg(tor.join("usr/share/tor").join(name));
        }
        workspace::run(&mut command)
    }
}

fn unpack(tarball: &std::path::Path, directory: &std::path::Path) -> anyhow::Result<()> {
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(tarball).arg("-C").arg(directory);
    workspace::run(&mut unpack)
}
