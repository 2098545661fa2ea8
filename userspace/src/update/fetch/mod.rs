//! Gets files over HTTPS from servers that fail in every way that servers do.
//!
//! | what a server does | what becomes of it |
//! |---|---|
//! | it has nothing newer (304) | nothing is fetched |
//! | it ends in the middle | the rest is asked for (`Range`, `If-Range`), now or by a later command; of another version, all |
//! | it is slow, or silent | cut off when it gives less than [`Bounds::slowest`] over [`Bounds::window`], and gone on with |
//! | it fails (5xx), cannot be reached | asked again, each time after twice as long |
//! | it is asked too often (429, 503) | asked again when it says (`Retry-After`), or given up if that is too late |
//! | it refuses (other 4xx) | an error |
//! | it redirects | followed up to [`REDIRECTS`] times, over HTTPS only, without the key |
//! | its certificate is not good | an error |
//! | it gives too much | an error, at [`Bounds::most`] |
//!
//! A proxy is taken from the environment (`https_proxy`, `all_proxy`, `no_proxy`), as most programs do.

mod error;
mod headers;
mod partial;

use std::{
    fs::{self, File},
    io::{self, Read, Write as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use error::{Again, Failure, of_tls, unwritten};
use headers::{content_range, retry_after, validators};
use partial::Partial;
use ureq::{
    Agent, Body, Timeout,
    http::{Response, StatusCode, header},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{credentials::Secret, feed::Url, store::Validators};

pub use error::{CaError, FetchError, FetchProblem};

/// How often a redirect is followed.
pub const REDIRECTS: u32 = 5;

/// How much is read at once.
const BUFFER: usize = 64 << 10;

/// How much of a checksum is read.
const MOST_TEXT: u64 = 64 << 10;

/// What a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How often a file is asked for.
    pub attempts: u32,
    /// How long to wait before the second time; before the next, twice as long.
    pub back_off: Duration,
    /// How long to wait at most, also if a server asks for more.
    pub longest_wait: Duration,
    /// How many bytes a file may have.
    pub most: u64,
    /// How many bytes a second there must be.
    pub slowest: u64,
    /// Over what time that counts.
    pub window: Duration,
    /// How long a file may take, all attempts together.
    pub total: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            attempts: 5,
            back_off: Duration::from_secs(2),
            longest_wait: Duration::from_mins(5),
            most: 512 << 20,
            slowest: 1 << 10,
            window: Duration::from_secs(30),
            total: Duration::from_mins(30),
        }
    }
}

/// Whom to tell how far it is.
pub trait Progress {
    /// A file begins to arrive: so much of it is here already, and so long it is, if that is known.
    fn begin(&mut self, _url: &Url, _here: u64, _length: Option<u64>) {}
    /// So many more bytes are here.
    fn advance(&mut self, _bytes: u64) {}
    /// No more comes.
    fn end(&mut self) {}
    /// Something went wrong, and is tried again in so long.
    fn wait(&mut self, _problem: &FetchError, _pause: Duration) {}
}

/// Nobody is told.
impl Progress for () {}

/// What to ask for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where.
    pub url: &'a Url,
    /// The `Authorization` header, for this host only.
    pub authorization: Option<&'a Secret>,
    /// The version that is here, which need not be sent again.
    pub known: Option<&'a Validators>,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Nothing: the version that is known is the latest.
    Unchanged,
    /// A file, of this version.
    New(Validators),
}

/// Asks servers.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    bounds: Bounds,
}

impl Client {
    /// A client that trusts whom the system trusts; or those alone whose certificates are in a file.
    ///
    /// # Errors
    ///
    /// When there is no certificate in that file.
    pub fn new(bounds: Bounds, authorities: Option<&Path>) -> Result<Self, CaError> {
        let roots = match authorities {
            None => RootCerts::PlatformVerifier,
            Some(path) => RootCerts::new_with_certs(&certificates(path)?),
        };
        let agent = Agent::config_builder()
            .user_agent(concat!("geodrop/", env!("CARGO_PKG_VERSION")))
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_connect(Some(bounds.window))
            .timeout_recv_response(Some(bounds.window))
            .timeout_per_read(Some(bounds.window))
            .timeout_per_write(Some(bounds.window))
            .build()
            .new_agent();
        Ok(Self { agent, bounds })
    }

    /// Fetches a file into `path`. What is there of it already, from an attempt that failed, is gone on with, if the server
    /// still has the same version; so what is left there after an error is of use.
    ///
    /// # Errors
    ///
    /// What went wrong the last time, when it was tried often enough or will not get better.
    pub fn file(
        &self,
        request: &Request<'_>,
        path: &Path,
        progress: &mut dyn Progress,
    ) -> Result<Fetched, FetchError> {
        self.patiently(request.url, progress, |deadline, progress| {
            let fetched = self.attempt(request, path, deadline, progress);
            progress.end();
            fetched
        })
    }

    /// Fetches a short text.
    ///
    /// # Errors
    ///
    /// As [`Self::file`].
    pub fn text(
        &self,
        request: &Request<'_>,
        progress: &mut dyn Progress,
    ) -> Result<String, FetchError> {
        self.patiently(request.url, progress, |deadline, _| {
            let response = self.ask(request, &[], deadline)?;
            if response.status() != StatusCode::OK {
                return Err(refused(&response));
            }
            let mut text = Vec::new();
            let reader = response.into_body().into_reader();
            reader
                .take(MOST_TEXT)
                .read_to_end(&mut text)
                .map_err(|error| self.broken(error.into()))?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        })
    }

    fn patiently<T>(
        &self,
        url: &Url,
        progress: &mut dyn Progress,
        mut attempt: impl FnMut(Instant, &mut dyn Progress) -> Result<T, Failure>,
    ) -> Result<T, FetchError> {
        let deadline = Instant::now() + self.bounds.total;
        let mut back_off = self.bounds.back_off;
        let mut attempts = 1;
        loop {
            let Failure { problem, again } = match attempt(deadline, progress) {
                Ok(fetched) => return Ok(fetched),
                Err(failure) => failure,
            };
            let error = FetchError {
                url: url.to_string(),
                problem,
            };
            let pause = match again {
                Again::Never => return Err(error),
                // Not all who failed together come again together.
                Again::Soon => back_off.mul_f64(1.0 + fastrand::f64() / 2.0),
                Again::After(pause) if pause > self.bounds.longest_wait => return Err(error),
                Again::After(pause) => pause,
            };
            if attempts >= self.bounds.attempts || Instant::now() + pause >= deadline {
                return Err(error);
            }
            progress.wait(&error, pause);
            thread::sleep(pause);
            back_off = (back_off * 2).min(self.bounds.longest_wait);
            attempts += 1;
        }
    }

    fn ask(
        &self,
        request: &Request<'_>,
        headers: &[(header::HeaderName, &str)],
        deadline: Instant,
    ) -> Result<Response<Body>, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut call = self.agent.get(request.url.as_str());
        if let Some(authorization) = request.authorization {
            call = call.header(header::AUTHORIZATION, authorization.reveal());
        }
        for (name, value) in headers {
            call = call.header(name, *value);
        }
        let call = call.config().timeout_global(Some(left)).build();
        call.call().map_err(|error| self.broken(error))
    }

    fn attempt(
        &self,
        request: &Request<'_>,
        path: &Path,
        deadline: Instant,
        progress: &mut dyn Progress,
    ) -> Result<Fetched, Failure> {
        let partial = Partial::of(path, request.url);
        let range = partial
            .as_ref()
            .map(|partial| format!("bytes={}-", partial.here));
        let mut headers = Vec::new();
        if let (Some(partial), Some(range)) = (&partial, &range) {
            headers.push((header::RANGE, range.as_str()));
            headers.push((header::IF_RANGE, partial.validator.as_str()));
        } else if let Some(known) = request.known {
            let (etag, date) = (known.etag.as_deref(), known.last_modified.as_deref());
            headers.extend(etag.map(|etag| (header::IF_NONE_MATCH, etag)));
            headers.extend(date.map(|date| (header::IF_MODIFIED_SINCE, date)));
        }
        let response = self.ask(request, &headers, deadline)?;
        let validators = validators(&response);
        let here = match (response.status(), &partial) {
            (StatusCode::OK, _) => 0,
            (StatusCode::NOT_MODIFIED, _) if request.known.is_some() => {
                return Ok(Fetched::Unchanged);
            }
            (StatusCode::PARTIAL_CONTENT, Some(partial))
                if content_range(&response)
                    .is_some_and(|(first, _)| first == Some(partial.here)) =>
            {
                partial.here
            }
            // All of it was here.
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(partial))
                if content_range(&response) == Some((None, Some(partial.here))) =>
            {
                Partial::forget(path).map_err(|source| unwritten(path, source))?;
                return Ok(Fetched::New(partial.validators.clone()));
            }
            (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
                Partial::forget(path).map_err(|source| unwritten(path, source))?;
                return Err(refused(&response).problem.for_now());
            }
            _ => return Err(refused(&response)),
        };
        let validators = match partial {
            Some(partial) if here > 0 => partial.validators,
            _ => validators,
        };
        let file = if here > 0 {
            File::options().append(true).open(path)
        } else {
            Partial::begin(path, request.url, &validators)
        };
        let file = file.map_err(|source| unwritten(path, source))?;
        let length = response.body().content_length().map(|length| here + length);
        progress.begin(request.url, here, length);
        self.receive(response, path, file, here, length, progress)?;
        Partial::forget(path).map_err(|source| unwritten(path, source))?;
        Ok(Fetched::New(validators))
    }

    /// Writes what comes behind what is there.
    fn receive(
        &self,
        response: Response<Body>,
        path: &Path,
        mut file: File,
        mut here: u64,
        length: Option<u64>,
        progress: &mut dyn Progress,
    ) -> Result<(), Failure> {
        let most = self.bounds.most;
        let too_large = || FetchProblem::TooLarge(most).for_good();
        if length.is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; BUFFER];
        let (mut since, mut came) = (Instant::now(), 0_u64);
        loop {
            let count = match body.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(FetchProblem::CutShort { here, length }.for_now());
                }
                Err(error) => return Err(self.broken(error.into())),
            };
            if count == 0 {
                break;
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            file.write_all(bytes)
                .map_err(|source| unwritten(path, source))?;
            here += count as u64;
            came += count as u64;
            progress.advance(count as u64);
            if here > most {
                return Err(too_large());
            }
            let passed = since.elapsed();
            if passed >= self.bounds.window {
                if u128::from(came) * 1000 < u128::from(self.bounds.slowest) * passed.as_millis() {
                    let words = format!("{came} bytes in {} s", passed.as_secs());
                    return Err(FetchProblem::Slow(words).for_now());
                }
                (since, came) = (Instant::now(), 0);
            }
        }
        file.sync_all().map_err(|source| unwritten(path, source))?;
        match length {
            Some(length) if here == length => Ok(()),
            // Without a length, the end of chunks (or of the connection) is all that is known of the end.
            None if here > 0 => Ok(()),
            _ => Err(FetchProblem::CutShort { here, length }.for_now()),
        }
    }

    /// What a call that failed means. Of the error only what names no address is shown: a redirect may have a key in it.
    fn broken(&self, error: ureq::Error) -> Failure {
        match error {
            ureq::Error::HostNotFound => FetchProblem::HostNotFound.for_now(),
            ureq::Error::TooManyRedirects => FetchProblem::Redirects.for_good(),
            ureq::Error::RequireHttpsOnly(_) => FetchProblem::Unencrypted.for_good(),
            ureq::Error::Timeout(Timeout::Global) => {
                FetchProblem::TooLong(self.bounds.total).for_good()
            }
            ureq::Error::Timeout(which) => FetchProblem::Slow(which.to_string()).for_now(),
            ureq::Error::Rustls(error) => of_tls(error),
            ureq::Error::BadUri(_) => {
                FetchProblem::Connection("not an address that can be asked".to_owned()).for_good()
            }
            ureq::Error::Io(error) => match error.downcast::<rustls::Error>() {
                Ok(error) => of_tls(error),
                // The standard library has no kind for it.
                Err(error) if error.to_string().starts_with("failed to lookup address") => {
                    FetchProblem::HostNotFound.for_now()
                }
                Err(error) => FetchProblem::Connection(error.to_string()).for_now(),
            },
            error => FetchProblem::Connection(error.to_string()).for_now(),
        }
    }
}

/// What an answer without a file means.
fn refused(response: &Response<Body>) -> Failure {
    let status = response.status();
    let code = status.as_u16();
    let rest = retry_after(response);
    match code {
        429 => Failure {
            again: rest.map_or(Again::Soon, Again::After),
            problem: FetchProblem::TooOften(rest),
        },
        503 => Failure {
            again: rest.map_or(Again::Soon, Again::After),
            problem: FetchProblem::Status(code),
        },
        401 | 403 | 407 => FetchProblem::Denied(code).for_good(),
        404 | 410 => FetchProblem::NotFound(code).for_good(),
        408 | 425 => FetchProblem::Status(code).for_now(),
        _ if status.is_server_error() => FetchProblem::Status(code).for_now(),
        _ => FetchProblem::Status(code).for_good(),
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, CaError> {
    let text = fs::read(path).map_err(|source| CaError::Read {
        path: path.to_owned(),
        source,
    })?;
    let certificates: Vec<_> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(CaError::None {
            path: path.to_owned(),
        });
    }
    Ok(certificates)
}
