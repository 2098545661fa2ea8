//! What is fetched together: the files of one source of data.

use std::fmt;

use jiff::civil::Date;

pub use super::checksum::Algorithm;
use super::{credentials::Account, providers};
use crate::geoip::Country;

/// An address of the web: always `https`.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`FeedError::Url`], when it is not `https`, has no host, or has a user or password in it.
    pub fn new(text: &str) -> Result<Self, FeedError> {
        let wrong = |problem| FeedError::Url {
            shown: Self(text.to_owned()).to_string(),
            problem,
        };
        let Some(rest) = text.strip_prefix("https://") else {
            return Err(wrong(
                "only https:// is fetched, so that nobody on the way can change the data",
            ));
        };
        let (host, _) = rest.split_once(['/', '?', '#']).unwrap_or((rest, ""));
        if host.contains('@') {
            return Err(FeedError::Url {
                shown: "https://…@…".to_owned(),
                problem: "a user or password does not belong into a URL, where everybody can read it",
            });
        }
        if host.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("write it like https://example.net/file.csv"));
        }
        Ok(Self(text.to_owned()))
    }

    /// All of it, to be asked for.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its last part, as a name for a file.
    fn file(&self) -> String {
        let shown = self.to_string();
        let (_, last) = shown.rsplit_once('/').unwrap_or(("", &shown));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let file: String = last.chars().filter(|c| is_plain(*c)).collect();
        let file = file.trim_start_matches('.');
        if file.is_empty() || shown.matches('/').count() < 3 {
            return "data".to_owned();
        }
        file.to_owned()
    }
}

/// Without the query, which some providers have a key in.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, _) = self.0.split_once(['?', '#']).unwrap_or((&self.0, ""));
        f.pad(shown)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// Why something is no feed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// A URL is not one that is fetched.
    #[error("{shown}: {problem}")]
    Url {
        /// The URL, as far as it is shown.
        shown: String,
        /// What is wrong, or what to write.
        problem: &'static str,
    },
    /// No provider is known by a name.
    #[error("`{word}` is no provider; write one of {}, or NAME=https://… for any other", providers::NAMES.join(", "))]
    Provider {
        /// What was written.
        word: String,
    },
    /// A provider has no such edition.
    #[error("{provider} has no edition `{edition}`; write {like}")]
    Edition {
        /// The provider.
        provider: &'static str,
        /// What was written.
        edition: String,
        /// What an edition is like.
        like: &'static str,
    },
    /// A URL without a name for what comes from there.
    #[error("give what comes from {url} a name: NAME={url}")]
    Nameless {
        /// The URL.
        url: String,
    },
    /// A name that is none for a directory.
    #[error("`{0}` is no name for data: write letters, digits, `-` and `_`")]
    Name(String),
}

/// A checksum that a provider publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Where it is.
    pub url: Url,
}

/// A file of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name where it is kept.
    pub name: String,
    /// Where it is; if it is not at the first of these, at the next.
    pub urls: Vec<Url>,
    /// What it has to sum up to.
    pub checksum: Option<Checksum>,
}

/// Under what terms data comes, where the data itself does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The licence, as an SPDX expression.
    pub licence: &'static str,
    /// Whom it asks to be named.
    pub attribution: &'static str,
}

/// What is fetched together: the files of one source of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The name of its directory.
    pub name: String,
    /// Its files.
    pub files: Vec<File>,
    /// The account that one needs.
    pub account: Option<Account>,
    /// Under what terms it comes, if they are known.
    pub terms: Option<Terms>,
    /// Whether it holds the whole world, so that the first of it can be judged by what this program carries with it.
    pub is_world: bool,
}

impl Feed {
    /// What a word stands for: a provider, `PROVIDER:EDITION`, or `NAME=URL`. `today` says which month's file is the latest.
    ///
    /// # Errors
    ///
    /// What is wrong with the word, and what to write.
    pub fn of(word: &str, today: Date) -> Result<Self, FeedError> {
        if let Some((name, url)) = word.split_once('=')
            && !name.contains("://")
        {
            return Self::of_url(name, Url::new(url)?);
        }
        if word.contains("://") {
            return Err(FeedError::Nameless {
                url: Url::new(word)?.to_string(),
            });
        }
        providers::feed(word, today)
    }

    fn of_url(name: &str, url: Url) -> Result<Self, FeedError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(FeedError::Name(name.to_owned()));
        }
        // A list of prefixes is of the country that it is named after.
        let file = match name.parse::<Country>() {
            Ok(_) => name.to_owned(),
            Err(_) => url.file(),
        };
        Ok(Self {
            name: name.to_owned(),
            files: vec![File {
                name: file,
                urls: vec![url],
                checksum: None,
            }],
            account: None,
            terms: None,
            is_world: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(word: &str) -> Result<Feed, FeedError> {
        Feed::of(word, Date::constant(2026, 1, 2))
    }

    #[test]
    fn any_address_can_be_given_a_name() {
        for (word, name, file) in [
            (
                "office=https://example.net/lists/office.csv",
                "office",
                "office.csv",
            ),
            (
                "office=https://example.net/get?file=1&token=x",
                "office",
                "get",
            ),
            ("office=https://example.net", "office", "data"),
            ("office=https://example.net/", "office", "data"),
            ("office=https://example.net/..", "office", "data"),
            ("office=https://example.net/a%2fb", "office", "a2fb"),
            ("cn=https://example.net/list.txt", "cn", "cn"),
        ] {
            let feed = of(word).unwrap();
            assert_eq!(
                (feed.name.as_str(), feed.files[0].name.as_str()),
                (name, file),
                "{word}"
            );
        }
    }

    #[test]
    fn what_is_refused_says_what_to_write_and_shows_no_secret() {
        for (word, expected) in [
            (
                "a=http://example.net/x",
                "http://example.net/x: only https:// is fetched",
            ),
            ("a=ftp://example.net/x", "only https:// is fetched"),
            (
                "a=https://user:secret@example.net/x",
                "https://…@…: a user or password",
            ),
            ("a=https://", "write it like https://example.net/file.csv"),
            ("a=https://example.net/x y", "write it like"),
            ("https://example.net/x?secret", "NAME=https://example.net/x"),
            ("a/b=https://example.net/x", "`a/b` is no name"),
            ("..=https://example.net/x", "`..` is no name"),
            ("=https://example.net/x", "`` is no name"),
            ("maxmynd", "maxmind, dbip, ipinfo, rir, ip-location-db"),
            ("maxmind:../x", "maxmind has no edition `../x`"),
            ("rir:apnic", "rir has no edition `apnic`"),
        ] {
            let error = of(word).unwrap_err().to_string();
            assert!(
                error.contains(expected) && !error.contains("secret"),
                "{word}: {error}"
            );
        }
    }
}
