//! Keys of accounts: where they come from, and that they go nowhere but to their provider.
//!
//! They are read from a file or from the environment, never from a command line, which every user of a machine can read.
//! They leave in the `Authorization` header of requests to the provider's own host over TLS; not in a URL, and not to where
//! a server redirects. [`Secret`] keeps them out of logs and errors.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

/// The environment's name for the number of a MaxMind account.
pub const MAXMIND_ACCOUNT: &str = "GEODROP_MAXMIND_ACCOUNT";
/// The environment's name for the licence key of a MaxMind account.
pub const MAXMIND_KEY: &str = "GEODROP_MAXMIND_KEY";
/// The environment's name for the token of an IPinfo account.
pub const IPINFO_TOKEN: &str = "GEODROP_IPINFO_TOKEN";

/// Text that nobody is to read. It cannot be printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The text, for the header that it goes into.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// With whom one has an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// MaxMind.
    Maxmind,
    /// IPinfo.
    Ipinfo,
}

/// The accounts that somebody has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    maxmind: Option<Maxmind>,
    ipinfo: Option<Ipinfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Maxmind {
    account: Secret,
    key: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ipinfo {
    token: Secret,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read the credentials in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Everybody may read or change the file.
    #[error("{} can be read or changed by every user (mode {mode:03o}); chmod 600 it, and consider new keys", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file does not say what it must. What stands in it is not shown.
    #[error(
        "{}:{line}: not understood; write [maxmind] with account = \"…\" and key = \"…\", [ipinfo] with token = \"…\", \
         and nothing else", path.display()
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
    },
    /// Only half of an account is in the environment.
    #[error("{there} is in the environment, and {missing} is not; set both, or neither")]
    Half {
        /// What is there.
        there: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// There is no key where one is needed.
    #[error("{0}")]
    Missing(&'static str),
}

/// How large a file of keys may be.
const LONGEST: u64 = 64 << 10;

impl Credentials {
    /// Those that a file has: a TOML file that not everybody may read.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it, in words that quote nothing of it.
    pub fn of_file(path: &Path) -> Result<Self, CredentialsError> {
        let unreadable = |source| CredentialsError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(CredentialsError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = String::new();
        file.take(LONGEST)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            CredentialsError::Syntax {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
            }
        })
    }

    /// Those that the environment has, and for the rest these.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Half`].
    pub fn with_environment(
        self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let get = |name: &str| variable(name).filter(|text| !text.is_empty()).map(Secret);
        let half = |there, missing| CredentialsError::Half { there, missing };
        let maxmind = match (get(MAXMIND_ACCOUNT), get(MAXMIND_KEY)) {
            (Some(account), Some(key)) => Some(Maxmind { account, key }),
            (Some(_), None) => return Err(half(MAXMIND_ACCOUNT, MAXMIND_KEY)),
            (None, Some(_)) => return Err(half(MAXMIND_KEY, MAXMIND_ACCOUNT)),
            (None, None) => None,
        };
        let ipinfo = get(IPINFO_TOKEN).map(|token| Ipinfo { token });
        Ok(Self {
            maxmind: maxmind.or(self.maxmind),
            ipinfo: ipinfo.or(self.ipinfo),
        })
    }

    /// The value of the `Authorization` header for an account.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Missing`].
    pub fn authorization(&self, account: Account) -> Result<Secret, CredentialsError> {
        match account {
            Account::Maxmind => {
                let Maxmind { account, key } =
                    self.maxmind.as_ref().ok_or(CredentialsError::Missing(
                        "MaxMind wants an account (free for GeoLite2); put its number and a licence key into \
                         GEODROP_MAXMIND_ACCOUNT and GEODROP_MAXMIND_KEY, or into a file for --credentials",
                    ))?;
                let pair = format!("{}:{}", account.reveal(), key.reveal());
                Ok(Secret(format!("Basic {}", BASE64_STANDARD.encode(pair))))
            }
            Account::Ipinfo => {
                let Ipinfo { token } = self.ipinfo.as_ref().ok_or(CredentialsError::Missing(
                    "IPinfo wants an account (free for Lite); put its token into GEODROP_IPINFO_TOKEN, or into a file \
                     for --credentials",
                ))?;
                Ok(Secret(format!("Bearer {}", token.reveal())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const BOTH: &str = "[maxmind]\naccount = \"123\"\nkey = \"k3y\"\n[ipinfo]\ntoken = \"t0ken\"\n";

    fn of(text: &str, mode: u32) -> Result<Credentials, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        Credentials::of_file(file.path()).map_err(|error| format!("{error} {error:?}"))
    }

    fn headers(credentials: &Credentials) -> [Option<String>; 2] {
        [Account::Maxmind, Account::Ipinfo].map(|account| {
            let secret = credentials.authorization(account).ok()?;
            Some(secret.reveal().to_owned())
        })
    }

    #[test]
    fn keys_come_from_a_file_or_the_environment_which_wins() {
        let credentials = of(BOTH, 0o640).unwrap();
        let of_file = ["Basic MTIzOmszeQ==", "Bearer t0ken"];
        assert_eq!(
            headers(&credentials),
            of_file.map(|header| Some(header.to_owned()))
        );
        let environment = |name: &str| (name == IPINFO_TOKEN).then(|| "other".to_owned());
        let both = credentials.with_environment(environment).unwrap();
        assert_eq!(headers(&both)[1].as_deref(), Some("Bearer other"));
        let none = Credentials::default();
        assert_eq!(headers(&none), [None, None]);
        let half = |name: &str| (name == MAXMIND_KEY).then(|| "k3y".to_owned());
        let error = none.with_environment(half).unwrap_err().to_string();
        assert_eq!(
            error,
            "GEODROP_MAXMIND_KEY is in the environment, and GEODROP_MAXMIND_ACCOUNT is not; set both, or neither"
        );
    }

    #[test]
    fn a_file_that_everybody_may_read_is_refused() {
        for mode in [0o644, 0o604, 0o602, 0o666] {
            let error = of(BOTH, mode).unwrap_err();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn nothing_of_a_file_is_shown() {
        for text in [
            "k3y",
            "[maxmind]\nkey = \"k3y\"\n",
            "[maxmind]\naccount = \"k3y\nkey = 1\n",
            "[k3y]\n",
            "[ipinfo]\nk3y = \"k3y\"\n",
        ] {
            let error = of(text, 0o600).unwrap_err();
            assert!(
                error.contains("not understood") && !error.contains("k3y"),
                "{error}"
            );
        }
        let told = format!("{:?}", of(BOTH, 0o600).unwrap());
        assert!(
            !told.contains("k3y") && !told.contains("t0ken") && !told.contains("123"),
            "{told}"
        );
    }
}
