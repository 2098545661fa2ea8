//! What servers say in headers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use ureq::{
    Body,
    http::{Response, header},
};

use super::super::store::Validators;

/// A header's value, if it is text.
fn text_of(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Which version it is.
pub(super) fn validators(response: &Response<Body>) -> Validators {
    let get = |name| text_of(response, name).map(str::to_owned);
    Validators {
        etag: get(header::ETAG),
        last_modified: get(header::LAST_MODIFIED),
    }
}

/// The first byte and the length of all, as far as they are said: `bytes 5-9/10`, `bytes */10`.
pub(super) fn content_range(response: &Response<Body>) -> Option<(Option<u64>, Option<u64>)> {
    let text = text_of(response, header::CONTENT_RANGE)?;
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let first = range
        .split_once('-')
        .and_then(|(first, _)| first.parse().ok());
    Some((first, length.parse().ok()))
}

/// How long a server wants to be left alone: seconds, or until an instant.
pub(super) fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let text = text_of(response, header::RETRY_AFTER)?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(text).ok()?.timestamp();
    let left = until
        .duration_since(Timestamp::now())
        .max(SignedDuration::ZERO);
    Duration::try_from(left).ok()
}
