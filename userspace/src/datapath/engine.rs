//! Which engine a filter's tables get.

use super::error::DatapathError;
use crate::table::Engine;

/// Which engine is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The fastest, and where it cannot be had, the kernel's trie.
    #[default]
    Auto,
    /// This one or none.
    Only(Engine),
}

impl EngineChoice {
    /// Does `work`, all or nothing of it, with the engine chosen. Returns what came of it, and under
    /// [`EngineChoice::Auto`], why it was not done with the fastest engine, if it was not.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub fn try_with<T>(
        self,
        mut work: impl FnMut(Engine) -> Result<T, DatapathError>,
    ) -> Result<(T, Option<DatapathError>), DatapathError> {
        match self {
            Self::Only(engine) => Ok((work(engine)?, None)),
            Self::Auto => match work(Engine::default()) {
                Err(error) if error.is_of_engine() => Ok((work(Engine::Lpm)?, Some(error))),
                result => Ok((result?, None)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::table::multibit::TooLarge;

    /// What a kernel before 6.0 answers to a table that is too large for one piece.
    fn refusal() -> DatapathError {
        DatapathError::ImageRefused {
            table: "IPV6_IMAGE",
            bytes: 5 << 20,
            source: io::Error::from_raw_os_error(libc::E2BIG),
        }
    }

    /// Work that the engine `multibit` cannot do.
    fn only_with_lpm(
        error: impl Fn() -> DatapathError,
    ) -> impl FnMut(Engine) -> Result<Engine, DatapathError> {
        move |engine| match engine {
            Engine::Multibit => Err(error()),
            Engine::Lpm => Ok(engine),
        }
    }

    #[test]
    fn auto_is_the_fastest_engine() {
        let (engine, reason) = EngineChoice::Auto.try_with(Ok).unwrap();
        assert_eq!(engine, Engine::Multibit);
        assert!(reason.is_none());
    }

    #[test]
    fn auto_falls_back_where_the_engine_cannot_and_says_why() {
        for (error, words) in [
            (
                refusal as fn() -> DatapathError,
                "more than 4 MiB need Linux 6.0",
            ),
            (|| TooLarge.into(), "a multibit trie of these ranges"),
        ] {
            let (engine, reason) = EngineChoice::Auto.try_with(only_with_lpm(error)).unwrap();
            assert_eq!(engine, Engine::Lpm);
            let reason = reason.unwrap().to_string();
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn an_engine_asked_for_is_had_or_none() {
        let only = |engine| EngineChoice::Only(engine).try_with(only_with_lpm(refusal));
        assert_eq!(only(Engine::Lpm).unwrap().0, Engine::Lpm);
        let error = only(Engine::Multibit).unwrap_err().to_string();
        assert!(error.contains("`--engine lpm`"), "{error}");
    }

    #[test]
    fn what_no_engine_can_help_is_no_reason_for_another() {
        let mut tried = 0;
        let result: Result<((), _), _> = EngineChoice::Auto.try_with(|_| {
            tried += 1;
            Err(DatapathError::NotAttached {
                interface: "eth0".to_owned(),
            })
        });
        assert!(result.is_err());
        assert_eq!(tried, 1);
    }
}
