//! Brings the data of a feed up to date: fetches it, reads it, judges it, and puts it in force or aside.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date, fmt::rfc2822, tz::TimeZone};

use super::{
    credentials::{Credentials, CredentialsError, Secret},
    feed::{Algorithm, Feed, File},
    fetch::{Client, FetchError, FetchProblem, Fetched, Progress, Request},
    store::{About, Grounds, History, Kept, Lock, Part, Refusal, StoreError},
};
use crate::geoip::{
    self, Origin, Reading, Reconciliation, Source,
    plausible::{Doubt, Limits, Percent, State, doubts},
};

/// What share of the addresses of the built-in data the first data of a provider of the whole world may not know: makers
/// differ, but not by that much.
const LOST_OF_FIRST: Percent = Percent(50);

/// How often a file is fetched whose checksum is another: it may have been renewed in between.
const FETCHES: u32 = 2;

/// Why nothing came of an update. What was in force still is.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A server.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A key.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A file is not what its provider says it is.
    #[error(
        "{url}: its checksum is {found}, and the provider publishes {expected}; try again later"
    )]
    Checksum {
        /// The file.
        url: String,
        /// What it sums up to.
        found: String,
        /// What it should.
        expected: String,
    },
    /// Where a checksum should be is none.
    #[error("{url}: no checksum in it; has the provider changed how it publishes them?")]
    NoChecksum {
        /// Where it should be.
        url: String,
    },
    /// A fetched file cannot be moved or read.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// What came of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// New data is in force.
    Updated {
        /// The data.
        kept: Kept,
        /// What is doubtful about it, which was overridden.
        doubts: Vec<Doubt>,
    },
    /// The provider has nothing newer.
    Unchanged {
        /// The data in force.
        kept: Kept,
    },
    /// What the provider has is kept aside; what was in force still is.
    Refused {
        /// The data.
        kept: Kept,
        /// Why.
        refusal: Refusal,
        /// What is doubtful about it; nothing if it was refused before.
        doubts: Vec<Doubt>,
    },
}

/// Brings data up to date.
#[derive(Debug)]
pub struct Updater<'a> {
    /// Who fetches.
    pub client: &'a Client,
    /// The accounts that there are.
    pub credentials: &'a Credentials,
    /// The state directory.
    pub state: &'a Path,
    /// How many generations are kept, and how much of what was refused.
    pub keep: usize,
    /// How much may change.
    pub limits: Limits,
    /// Whether data is taken however doubtful it is. It has to be readable all the same.
    pub accept: bool,
}

impl Updater<'_> {
    /// Brings the data of a feed up to date.
    ///
    /// # Errors
    ///
    /// When something cannot be fetched or written. Data that is refused is no error, but an [`Outcome`].
    pub fn update(&self, feed: &Feed, progress: &mut dyn Progress) -> Result<Outcome, UpdateError> {
        let authorization = feed
            .account
            .map(|account| self.credentials.authorization(account));
        let authorization = authorization.transpose()?;
        let history = History::new(self.state, &feed.name);
        let lock = history.lock()?;
        history.tidy(&lock)?;
        let current = history.current()?;
        let refused = history.refused()?;
        // What is asked for is what is newer than the latest that came, in force or not: else what was refused would be
        // fetched again every day.
        let latest = refused.as_ref().map(|(kept, _)| kept).or(current.as_ref());
        let incoming = history.incoming(&lock)?;
        let mut parts = Vec::new();
        for file in &feed.files {
            let known =
                latest.and_then(|kept| kept.about.parts.iter().find(|part| part.file == file.name));
            let part = self.fetch(file, known, authorization.as_ref(), &incoming, progress)?;
            parts.push(part);
        }
        let is_new = |part: &(Part, bool)| part.1;
        if !parts.iter().any(is_new) {
            return match (refused, current) {
                (Some((kept, refusal)), _) => self.refused_before(&history, &lock, kept, refusal),
                (None, Some(kept)) => Ok(Outcome::Unchanged { kept }),
                // Nothing can be unchanged of what there is not.
                (None, None) => Err(StoreError::NothingBefore { path: incoming }.into()),
            };
        }
        let staging = history.staging(&lock)?;
        for (part, is_new) in &parts {
            let to = staging.join(&part.file);
            let unusable = |source| UpdateError::File {
                path: to.clone(),
                source,
            };
            if *is_new {
                fs::rename(incoming.join(&part.file), &to).map_err(unusable)?;
            } else if let Some(kept) = latest {
                fs::hard_link(kept.path.join(&part.file), &to).map_err(unusable)?;
            }
        }
        let parts = parts.into_iter().map(|(part, _)| part).collect();
        self.judge(&history, &lock, feed, parts, &staging, current.as_ref())
    }

    /// Decides on data that is put together.
    fn judge(
        &self,
        history: &History,
        lock: &Lock,
        feed: &Feed,
        parts: Vec<Part>,
        staging: &Path,
        current: Option<&Kept>,
    ) -> Result<Outcome, UpdateError> {
        let is_same = |kept: &Kept| {
            let sums = kept
                .about
                .parts
                .iter()
                .map(|part| (&part.file, &part.sha256));
            sums.eq(parts.iter().map(|part| (&part.file, &part.sha256)))
        };
        if let Some(kept) = current.filter(|kept| is_same(kept)) {
            let kept = kept.clone();
            history.discard(lock)?;
            return Ok(Outcome::Unchanged { kept });
        }
        let before = history.all_refused()?;
        if let Some((kept, refusal)) = before.into_iter().rfind(|(kept, _)| is_same(kept)) {
            history.discard(lock)?;
            return self.refused_before(history, lock, kept, refusal);
        }
        let mut about = about(feed, parts);
        let refuse = |about: About, grounds, why, doubts| {
            let refusal = Refusal {
                at: Timestamp::now(),
                grounds,
                why,
            };
            let kept = history.refuse(lock, &about, &refusal, self.keep)?;
            history.discard(lock)?;
            Ok(Outcome::Refused {
                kept,
                refusal,
                doubts,
            })
        };
        let reading = match read(staging) {
            Ok(reading) => reading,
            Err(error) => {
                let why = words_of(&error.to_string(), staging, &about);
                return refuse(about, Grounds::Unreadable, vec![why], Vec::new());
            }
        };
        // What data says of itself comes before what is known of its provider.
        about.source = Source {
            source: feed.name.clone(),
            ..reading.source.clone().or(about.source)
        };
        let doubts = self.doubts(feed, &reading, about.source.date, current);
        let words: Vec<_> = doubts.iter().map(ToString::to_string).collect();
        if !doubts.is_empty() && !self.accept {
            return refuse(about, Grounds::Implausible, words, doubts);
        }
        about.despite = words;
        let kept = history.accept(lock, &about, self.keep)?;
        history.discard(lock)?;
        Ok(Outcome::Updated { kept, doubts })
    }

    /// What is doubtful about data.
    fn doubts(
        &self,
        feed: &Feed,
        reading: &Reading,
        date: Option<Date>,
        current: Option<&Kept>,
    ) -> Vec<Doubt> {
        let after = State {
            regions: &reading.regions,
            date,
        };
        if let Some(before) = current.and_then(|kept| read(&kept.path).ok()) {
            let before = State {
                regions: &before.regions,
                date: before.source.date,
            };
            return doubts(before, after, &self.limits);
        }
        let Some(builtin) = geoip::builtin().ok().filter(|_| feed.is_world) else {
            return Vec::new();
        };
        let before = State {
            regions: &builtin.regions,
            date: None,
        };
        let limits = Limits {
            lost: LOST_OF_FIRST,
            ..self.limits.clone()
        };
        let mut doubts = doubts(before, after, &limits);
        // Which small countries there are, and how large the others, is what makers differ in.
        doubts.retain(|doubt| match doubt {
            Doubt::Vanished { country } => limits.named.contains(country),
            Doubt::Lost { .. } => true,
            Doubt::Changed { .. } | Doubt::RangesLost { .. } | Doubt::Older { .. } => false,
        });
        doubts
    }

    /// The provider still has what was refused.
    fn refused_before(
        &self,
        history: &History,
        lock: &Lock,
        kept: Kept,
        refusal: Refusal,
    ) -> Result<Outcome, UpdateError> {
        if !self.accept || refusal.grounds == Grounds::Unreadable {
            return Ok(Outcome::Refused {
                kept,
                refusal,
                doubts: Vec::new(),
            });
        }
        let about = About {
            despite: refusal.why,
            ..kept.about.clone()
        };
        let kept = history.accept_refused(lock, &kept, &about, self.keep)?;
        Ok(Outcome::Updated {
            kept,
            doubts: Vec::new(),
        })
    }

    /// Fetches a file, and whether it is another than the one that is known.
    fn fetch(
        &self,
        file: &File,
        known: Option<&Part>,
        authorization: Option<&Secret>,
        incoming: &Path,
        progress: &mut dyn Progress,
    ) -> Result<(Part, bool), UpdateError> {
        let mut urls = file.urls.iter().peekable();
        while let Some(url) = urls.next() {
            let known = known.filter(|part| part.url == url.to_string());
            let request = Request {
                url,
                authorization,
                known: known.map(|part| &part.validators),
            };
            let path = incoming.join(&file.name);
            let fetched = self.fetch_checked(file, &request, &path, progress);
            return match (fetched, known) {
                (Ok(Some(part)), _) => Ok((part, true)),
                (Ok(None), Some(part)) => Ok((part.clone(), false)),
                (Err(UpdateError::Fetch(error)), _)
                    if matches!(error.problem, FetchProblem::NotFound(_))
                        && urls.peek().is_some() =>
                {
                    continue;
                }
                (Err(error), _) => Err(error),
                (Ok(None), None) => continue,
            };
        }
        Err(UpdateError::File {
            path: incoming.join(&file.name),
            source: io::ErrorKind::NotFound.into(),
        })
    }

    /// Fetches a file until it is what its provider says it is; `None` if it is the one that is known.
    fn fetch_checked(
        &self,
        file: &File,
        request: &Request<'_>,
        path: &Path,
        progress: &mut dyn Progress,
    ) -> Result<Option<Part>, UpdateError> {
        let unusable = |source| UpdateError::File {
            path: path.to_owned(),
            source,
        };
        let mut fetches = 1;
        loop {
            let Fetched::New(validators) = self.client.file(request, path, progress)? else {
                return Ok(None);
            };
            let sum = |algorithm: Algorithm| algorithm.of_file(path).map_err(unusable);
            let sha256 = sum(Algorithm::Sha256)?;
            if let Some(checksum) = &file.checksum {
                let expected = self.client.text(
                    &Request {
                        url: &checksum.url,
                        known: None,
                        ..*request
                    },
                    progress,
                )?;
                let expected = checksum.algorithm.find_in(&expected);
                let expected = expected.ok_or_else(|| UpdateError::NoChecksum {
                    url: checksum.url.to_string(),
                })?;
                let found = match checksum.algorithm {
                    Algorithm::Sha256 => sha256.clone(),
                    Algorithm::Md5 => sum(Algorithm::Md5)?,
                };
                if found != expected {
                    fs::remove_file(path).map_err(unusable)?;
                    if fetches < FETCHES {
                        fetches += 1;
                        continue;
                    }
                    return Err(UpdateError::Checksum {
                        url: request.url.to_string(),
                        found,
                        expected,
                    });
                }
            }
            return Ok(Some(Part {
                file: file.name.clone(),
                url: request.url.to_string(),
                sha256,
                bytes: fs::metadata(path).map_err(unusable)?.len(),
                validators,
            }));
        }
    }
}

fn read(directory: &Path) -> Result<Reading, geoip::GeoipError> {
    let origin = Origin::File(directory.to_owned());
    let data = geoip::read_origins(&[origin], Reconciliation::default())?;
    // One origin, one reading.
    data.readings
        .into_iter()
        .next()
        .ok_or(geoip::GeoipError::Empty {
            path: directory.to_owned(),
        })
}

/// An error in words that name where files come from, and not where they are for the moment.
fn words_of(error: &str, staging: &Path, about: &About) -> String {
    let mut words = error.to_owned();
    let staging = staging.display();
    for part in &about.parts {
        words = words.replace(&format!("{staging}: {}", part.file), &part.url);
    }
    let from = about.source.url.as_deref().unwrap_or(&about.source.source);
    words.replace(&staging.to_string(), from)
}

fn about(feed: &Feed, parts: Vec<Part>) -> About {
    let day = |part: &Part| -> Option<Date> {
        let date = rfc2822::parse(part.validators.last_modified.as_deref()?).ok()?;
        Some(date.timestamp().to_zoned(TimeZone::UTC).date())
    };
    let only = match parts.as_slice() {
        [one] => Some(one),
        _ => None,
    };
    About {
        source: Source {
            source: feed.name.clone(),
            version: None,
            date: parts.iter().filter_map(day).min(),
            licence: feed.terms.map(|terms| terms.licence.to_owned()),
            attribution: feed.terms.map(|terms| terms.attribution.to_owned()),
            url: only.map(|part| part.url.clone()),
            checksum: only.map(|part| format!("sha256-{}", part.sha256)),
        },
        fetched: Timestamp::now(),
        parts,
        despite: Vec::new(),
    }
}
