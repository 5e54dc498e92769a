//! What a client accepts as an answer.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, IF_MATCH, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::directives::Directives;
use crate::entry::Entry;

/// A request that may be answered from memory, if what is there is good enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// The answer must be known to be valid now.
    pub(crate) must_be_valid: bool,
    pub(crate) only_if_stored: bool,
    max_age: Option<Duration>,
    min_fresh: Duration,
}

impl Ask {
    /// `None`: the request goes to the origin as it is. `no-store` asks for exactly that.
    pub(crate) fn of(request: &Parts, has_body: bool) -> Option<Self> {
        if ![Method::GET, Method::HEAD].contains(&request.method) || has_body {
            return None;
        }
        let headers = &request.headers;
        let has_length = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
        let is_special = [RANGE, IF_RANGE, IF_UNMODIFIED_SINCE, UPGRADE]
            .iter()
            .any(|name| headers.contains_key(name));
        let is_forced = forces_validation(headers);
        let directives = Directives::of(headers);
        if is_special || has_length || directives.has("no-store") || (headers.contains_key(IF_MATCH) && !is_forced) {
            return None;
        }
        Some(Self {
            must_be_valid: is_forced || directives.has("no-cache"),
            only_if_stored: directives.has("only-if-cached"),
            max_age: directives.seconds("max-age"),
            min_fresh: directives.seconds("min-fresh").unwrap_or_default(),
        })
    }

    /// Whether a fresh answer will do. What the origin purges is as good as validated.
    pub(crate) fn takes(self, entry: &Entry, now: Duration) -> bool {
        let is_young = self.max_age.is_none_or(|limit| entry.age(now) <= limit);
        let is_valid = entry.terms().is_purgeable || (is_young && !self.must_be_valid);
        is_valid && entry.time_left(now) >= self.min_fresh
    }
}

/// How browsers of other makers than Chromium's are told to validate (protocol, 00 section 2).
fn forces_validation(headers: &HeaderMap) -> bool {
    headers.get(IF_MATCH).is_some_and(|tag| tag == "\"\"") && headers.get(IF_NONE_MATCH).is_some_and(|tag| tag == "-")
}
