//! Where data is had from.

use std::path::{Path, PathBuf};

use super::{Country, UnknownCountry};

/// Where data is had from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// What this program carries with it.
    Builtin,
    /// A file, in the format that its content shows.
    File(PathBuf),
    /// A file of prefixes, all of them in one country.
    Prefixes {
        /// The country.
        country: Country,
        /// The file.
        path: PathBuf,
    },
}

impl Origin {
    /// The word for [`Self::Builtin`]. A file of that name is `./builtin`.
    pub const BUILTIN: &str = "builtin";

    /// What a word of the command line or a configuration stands for: [`Self::BUILTIN`], `CC=FILE`, or a file. A file whose
    /// name looks like one of the others is written with a directory: `./CN=list`.
    ///
    /// # Errors
    ///
    /// [`UnknownCountry`], when two letters and `=` come first and the letters are no country's.
    pub fn of(word: &Path) -> Result<Self, UnknownCountry> {
        if word == Path::new(Self::BUILTIN) {
            return Ok(Self::Builtin);
        }
        let of_country = word.to_str().and_then(|word| word.split_once('='));
        match of_country {
            Some((code, path))
                if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
            {
                Ok(Self::Prefixes {
                    country: code.parse()?,
                    path: path.into(),
                })
            }
            _ => Ok(Self::File(word.to_owned())),
        }
    }

    /// The file, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Builtin => None,
            Self::File(path) | Self::Prefixes { path, .. } => Some(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_may_say_a_country() {
        let of = |word: &str| Origin::of(Path::new(word));
        assert_eq!(of("builtin"), Ok(Origin::Builtin));
        assert_eq!(of("./builtin"), Ok(Origin::File("./builtin".into())));
        assert_eq!(of("a/b.csv"), Ok(Origin::File("a/b.csv".into())));
        assert_eq!(of("./CN=x"), Ok(Origin::File("./CN=x".into())));
        assert_eq!(of("day=7.csv"), Ok(Origin::File("day=7.csv".into())));
        let china = Origin::Prefixes {
            country: Country::CHINA,
            path: "lists/a=b.txt".into(),
        };
        assert_eq!(of("cn=lists/a=b.txt"), Ok(china));
        let words = of("UK=x.txt").unwrap_err().to_string();
        assert!(words.contains("`UK` is not a country code"), "{words}");
    }
}
