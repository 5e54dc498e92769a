//! Who the edge's clients are, as the origin says it, and who may have what.
//!
//! Tokens are signed with secrets, and who can check such a signature can make one. So the edge does not check: it has the origin do that when
//! a token is first seen, with the request that it came in, and remembers what the token is worth under the token's hash. That is as fresh as
//! anything else here: it counts from when the request was sent, ends with the token and with a purge, and is of no use while the stream of
//! purges is lost. An edge that is stolen has the tokens of its clients, and cannot make any.

use std::sync::Arc;
use std::time::Duration;

use fb_auth::{LoadRules, Principal, PrincipalNote, fingerprint};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use quick_cache::sync::Cache;
use serde::de::DeserializeOwned;

use crate::entry::Sent;
use crate::proof::{CALLER, GUARD};
use crate::purge::{Coherence, FenceKey};

/// Tokens that are remembered, about a kilobyte each.
const MAX_CALLERS: usize = 1 << 16;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 4096;

/// Who may have an answer.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Guard {
    app: String,
    rules: LoadRules,
}

/// As the origin describes a caller.
#[derive(serde::Deserialize)]
struct Described {
    app: String,
    caller: PrincipalNote,
    seconds: u64,
    names: Vec<String>,
}

/// What a token is worth.
#[derive(Debug)]
pub(crate) struct Caller {
    app: String,
    principal: Principal,
    until: Duration,
    sent: Sent,
    fences: Box<[FenceKey]>,
}

/// A token, by its hash. In a URL it is good for one path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey(String);

/// A request with a token.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) key: TokenKey,
    /// Path and query without the token; `None` if it is not in the URL.
    pub(crate) path: Option<String>,
}

impl Presented {
    /// `None` if there is no token, or it is not clear which one counts.
    pub(crate) fn of(request: &Parts) -> Option<Self> {
        let mut values = request.headers.get_all(AUTHORIZATION).iter();
        let query = request.uri.query().unwrap_or_default();
        let mut in_url = query.split('&').filter_map(|pair| pair.strip_prefix("BAT="));
        match (values.next(), values.next(), in_url.next(), in_url.next()) {
            (Some(value), None, None, _) => {
                let value = value.to_str().ok()?;
                let token = value.strip_prefix("BAT ").or_else(|| value.strip_prefix("Bearer "))?;
                Some(Self {
                    key: TokenKey::new(token.trim(), "")?,
                    path: None,
                })
            }
            (None, None, Some(token), None) => {
                let path = request.uri.path();
                let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("BAT=")).collect();
                let rest = match rest.is_empty() {
                    true => path.to_owned(),
                    false => format!("{path}?{}", rest.join("&")),
                };
                Some(Self {
                    key: TokenKey::new(token, path)?,
                    path: Some(rest),
                })
            }
            _ => None,
        }
    }
}

impl TokenKey {
    fn new(token: &str, path: &str) -> Option<Self> {
        let is_sound = !token.is_empty() && token.len() <= MAX_TOKEN;
        is_sound.then(|| Self(fingerprint(&format!("{token}\n{path}"))))
    }

    /// As part of a key. No answer is stored by it, because variants end in a newline.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Guard {
    /// `None` if an answer has none, or one that is not understood.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        read(headers, &GUARD)
    }
}

impl Caller {
    /// `None` if an answer does not say what the token of its request is worth.
    pub(crate) fn of(headers: &HeaderMap, sent: Sent, coherence: &Coherence) -> Option<Self> {
        let described: Described = read(headers, &CALLER)?;
        let fences = described
            .names
            .iter()
            .map(|name| coherence.fence_of_key(name))
            .collect();
        Some(Self {
            app: described.app,
            principal: described.caller.principal()?,
            until: sent.at + Duration::from_secs(described.seconds),
            sent,
            fences,
        })
    }

    /// Whether the token is known to be worth this now.
    pub(crate) fn is_current(&self, coherence: &Coherence, now: Duration) -> bool {
        now < self.until && coherence.is_intact(now) && coherence.is_current(self.sent.stamp, &self.fences)
    }

    /// Decides. Tokens of one app are worth nothing in another one.
    pub(crate) fn may_have(&self, guard: &Guard) -> bool {
        self.app == guard.app && guard.rules.permit(&self.principal)
    }
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, name: &HeaderName) -> Option<T> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let json = data_encoding::BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
    serde_json::from_slice(&json).ok()
}

/// The callers that are known.
pub(crate) struct Callers(Cache<TokenKey, Arc<Caller>>);

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callers").field("n_callers", &self.0.len()).finish()
    }
}

impl Callers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_CALLERS))
    }

    pub(crate) fn get(&self, key: &TokenKey) -> Option<Arc<Caller>> {
        self.0.get(key)
    }

    pub(crate) fn put(&self, key: TokenKey, caller: Caller) {
        self.0.insert(key, Arc::new(caller));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(url: &str, tokens: &[&str]) -> Option<(Option<String>, TokenKey)> {
        let mut request = http::Request::get(url);
        for token in tokens {
            request = request.header(AUTHORIZATION, *token);
        }
        let presented = Presented::of(&request.body(()).unwrap().into_parts().0)?;
        Some((presented.path, presented.key))
    }

    #[test]
    fn tokens_are_found_where_the_origin_finds_them() {
        let (path, key) = presented("/v1/db/Todo/1", &["BAT abc"]).unwrap();
        assert_eq!((path, &key), (None, &TokenKey::new("abc", "").unwrap()));
        assert_eq!(presented("/x", &["Bearer abc"]).unwrap().1, key);
        let (path, key) = presented("/f?a=1&BAT=abc&b=2", &[]).unwrap();
        assert_eq!(path.as_deref(), Some("/f?a=1&b=2"));
        assert_ne!(
            key,
            presented("/g?a=1&BAT=abc&b=2", &[]).unwrap().1,
            "good for one path"
        );
        assert_eq!(presented("/f?BAT=abc", &[]).unwrap().0.as_deref(), Some("/f"));
        for (url, tokens) in [
            ("/x", &[][..]),
            ("/x", &["Basic abc"]),
            ("/x", &["BAT "]),
            ("/x", &["BAT a", "BAT b"]),
            ("/x?BAT=a&BAT=b", &[]),
            ("/x?BAT=a", &["BAT b"]),
        ] {
            assert_eq!(presented(url, tokens), None, "{url} {tokens:?}");
        }
    }
}
