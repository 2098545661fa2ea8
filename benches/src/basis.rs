//! What tables are made of: GeoIP data, and the policy of whoever measures, if one is given.

use std::path::{Path, PathBuf};

use geodrop::{
    geoip::{self, GeoData, GeoipError, Regions},
    policy::{
        CountryRule, Policy, Ruleset,
        config::{self, ConfigError},
    },
};

use crate::tables::Countries;

/// Data, and a policy in place of ours.
#[derive(Clone, Debug)]
pub struct Basis {
    data: GeoData,
    own: Option<Own>,
}

/// A policy that was given.
#[derive(Clone, Debug)]
struct Own {
    path: PathBuf,
    policy: Policy,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum BasisError {
    /// The policy file cannot be read, or something is wrong in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data cannot be read.
    #[error(transparent)]
    Geoip(#[from] GeoipError),
}

impl Basis {
    /// That of a policy file, or else the built-in one.
    ///
    /// # Errors
    ///
    /// As [`Self::of_policy`] and [`Self::builtin`].
    pub fn new(policy: Option<&Path>) -> Result<Self, BasisError> {
        match policy {
            Some(path) => Self::of_policy(path),
            None => Ok(Self::builtin()?),
        }
    }

    /// The built-in data, and the policies of [`Countries::ALL`].
    ///
    /// # Errors
    ///
    /// Should the program be damaged.
    pub fn builtin() -> Result<Self, GeoipError> {
        Ok(Self {
            data: geoip::builtin()?,
            own: None,
        })
    }

    /// What a policy file says: of its data, and of countries and prefixes at its top level.
    ///
    /// # Errors
    ///
    /// When it, or the data that it names, cannot be read.
    pub fn of_policy(path: &Path) -> Result<Self, BasisError> {
        let configuration = config::read(path)?;
        let geoip = &configuration.geoip;
        Ok(Self {
            data: geoip::read_origins(&geoip.origins(), geoip.reconciliation())?,
            own: Some(Own {
                path: path.to_owned(),
                policy: configuration.settings.policy(),
            }),
        })
    }

    /// The same, read anew.
    ///
    /// # Errors
    ///
    /// When it cannot be read any more.
    pub fn read_again(&self) -> Result<Self, BasisError> {
        Self::new(self.path())
    }

    /// The data.
    #[must_use]
    pub const fn data(&self) -> &GeoData {
        &self.data
    }

    /// Which country an address is in.
    #[must_use]
    pub const fn regions(&self) -> &Regions {
        &self.data.regions
    }

    /// The file of the policy that was given.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.path.as_path())
    }

    /// What is measured: the policy that was given, or else ours.
    #[must_use]
    pub const fn tables(&self) -> &'static [Countries] {
        match self.own {
            Some(_) => &[Countries::Own],
            None => &Countries::ALL,
        }
    }

    /// The policy that makes a table. That of the world admits no country: each is dropped, and each is counted apart from
    /// all others. Where none was given, the own one is the default.
    #[must_use]
    pub fn policy(&self, countries: Countries) -> Policy {
        match countries {
            Countries::China => Policy::default(),
            Countries::World => Policy {
                countries: CountryRule::Only([].into()),
                ..Policy::default()
            },
            Countries::Own => match &self.own {
                Some(own) => own.policy.clone(),
                None => Policy::default(),
            },
        }
    }

    /// A table's ranges and classes.
    #[must_use]
    pub fn ruleset(&self, countries: Countries) -> Ruleset {
        Ruleset::new(&self.policy(countries), &self.data)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_policy_is_measured_in_place_of_ours() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "block = [\"KP\"]\ndeny = [\"9.9.9.0/24\"]").unwrap();
        let basis = Basis::of_policy(file.path()).unwrap();
        assert_eq!(basis.tables(), [Countries::Own]);
        let ruleset = basis.ruleset(Countries::Own);
        let denied = ruleset.meaning("9.9.9.9".parse().unwrap());
        assert!(denied.is_against(geodrop::Rule::GENERAL));
        assert!(basis.ruleset(Countries::China).ipv4().len() > ruleset.ipv4().len());
    }

    #[test]
    fn what_is_wrong_in_a_policy_is_told_with_its_place() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "blok = [\"KP\"]").unwrap();
        let error = Basis::of_policy(file.path()).unwrap_err().to_string();
        assert!(error.contains(":1:1"), "{error}");
    }

    #[test]
    fn without_a_policy_ours_are_measured() {
        let basis = Basis::builtin().unwrap();
        assert_eq!(basis.tables(), Countries::ALL);
        assert_eq!(basis.path(), None);
    }
}
