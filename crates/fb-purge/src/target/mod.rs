//! The kinds of targets: how each of them is told.

mod cloudflare;
mod fastly;
mod varnish;
mod webhook;

use std::fmt;

use bytes::Bytes;
use fb_auth::Secret;
use fb_types::Timestamp;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::Full;

use crate::order::Name;
use crate::queue::What;

use cloudflare::Cloudflare;
use fastly::Fastly;
use varnish::Varnish;
use webhook::Webhook;

pub(crate) type Asked = Request<Full<Bytes>>;

/// Somebody who keeps copies. Its `Debug` form is [`name`](Self::name).
pub struct Target {
    name: String,
    kind: Kind,
}

enum Kind {
    Varnish(Varnish),
    Webhook(Webhook),
    Fastly(Fastly),
    Cloudflare(Cloudflare),
}

/// A target cannot be told like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The URL is none, or has parts that make no sense here.
    #[error("not {0}")]
    Url(&'static str),
    /// The secret cannot be sent, or is not of the form that the target wants.
    #[error("the secret is not {0}")]
    Secret(&'static str),
    /// An id has characters that no id has.
    #[error("the id is not made of letters, digits, - and _")]
    Id,
}

/// How much fits into one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) keys: usize,
    pub(crate) urls: usize,
    /// Of names with what separates them.
    pub(crate) bytes: usize,
}

/// What is to be told, without what only the queue needs.
pub(crate) enum Told<'a> {
    Keys(Vec<&'a str>),
    Urls(Vec<&'a str>),
    Everything,
}

impl<'a> Told<'a> {
    fn of(what: &'a What) -> Self {
        let names = match what {
            What::Everything(_) => return Self::Everything,
            What::Names(names) => names,
        };
        // A queue hands out names of one kind at a time.
        let texts = names.iter().map(|(name, _)| match name {
            Name::Key(text) | Name::Url(text) => &**text,
        });
        match names.first() {
            Some((Name::Url(_), _)) => Self::Urls(texts.collect()),
            _ => Self::Keys(texts.collect()),
        }
    }
}

impl Target {
    /// A Varnish with this project's VCL. `url` is its address, such as `http://10.0.0.2:6081`; `secret` the one in its VCL.
    ///
    /// It gets `PURGE` requests with the header `purge-secret`, and with `purge-keys` (keys, separated by spaces), `purge-everything: 1`,
    /// or neither, for the URL of the request.
    pub fn varnish(url: &str, secret: Secret) -> Result<Self, TargetError> {
        let (name, varnish) = Varnish::new(url, &secret)?;
        Ok(Self::with(format!("varnish {name}"), Kind::Varnish(varnish)))
    }

    /// Anybody who takes `POST` requests, signed as in the Standard Webhooks specification with `secret` (`whsec_…`).
    ///
    /// ```text
    /// {"type":"cache.purge","timestamp":"2026-01-01T00:00:00.000Z","data":{"keys":["shop:/db/Todo/42"],"urls":[],"everything":false}}
    /// ```
    ///
    /// `keys` and `urls` have at most 1,000 members together. Whoever gets it may get the same once more.
    pub fn webhook(url: &str, secret: &Secret) -> Result<Self, TargetError> {
        let (name, webhook) = Webhook::new(url, secret)?;
        Ok(Self::with(format!("webhook {name}"), Kind::Webhook(webhook)))
    }

    /// A service at Fastly. `api` is `https://api.fastly.com`, `token` one with the scope `purge_select`, and `purge_all` for "everything".
    /// With `soft` copies are marked as stale instead.
    ///
    /// Source: the purging API; up to 256 keys in the header `Surrogate-Key` of `POST /service/<id>/purge`.
    pub fn fastly(api: &str, service: &str, token: Secret, soft: bool) -> Result<Self, TargetError> {
        let fastly = Fastly::new(api, service, &token, soft)?;
        Ok(Self::with(format!("fastly {service}"), Kind::Fastly(fastly)))
    }

    /// A zone at Cloudflare. `api` is `https://api.cloudflare.com/client/v4`, `token` one with the permission *Cache Purge*.
    ///
    /// Source: the cache API; up to 100 `tags` or `files` in each `POST /zones/<id>/purge_cache`.
    pub fn cloudflare(api: &str, zone: &str, token: Secret) -> Result<Self, TargetError> {
        let cloudflare = Cloudflare::new(api, zone, &token)?;
        Ok(Self::with(format!("cloudflare {zone}"), Kind::Cloudflare(cloudflare)))
    }

    fn with(name: String, kind: Kind) -> Self {
        Self { name, kind }
    }

    /// What it is called in logs and metrics: its kind, and its host or id. No secret is in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The header by which it wants to be told the keys of answers; without a preference `None`.
    pub fn key_header(&self) -> Option<HeaderName> {
        match &self.kind {
            Kind::Varnish(_) | Kind::Fastly(_) => Some(HeaderName::from_static("surrogate-key")),
            Kind::Cloudflare(_) => Some(HeaderName::from_static("cache-tag")),
            Kind::Webhook(_) => None,
        }
    }

    pub(crate) fn room(&self) -> Room {
        match &self.kind {
            Kind::Varnish(_) => varnish::ROOM,
            Kind::Webhook(_) => webhook::ROOM,
            Kind::Fastly(_) => fastly::ROOM,
            Kind::Cloudflare(_) => cloudflare::ROOM,
        }
    }

    /// The request that tells it. `None` if none can be made of these names, such as of what is no URL.
    pub(crate) fn ask(&self, what: &What, now: Timestamp) -> Option<Asked> {
        let told = Told::of(what);
        match &self.kind {
            Kind::Varnish(varnish) => varnish.ask(&told),
            Kind::Webhook(webhook) => webhook.ask(&told, now),
            Kind::Fastly(fastly) => fastly.ask(&told),
            Kind::Cloudflare(cloudflare) => cloudflare.ask(&told),
        }
    }

    /// Whether an answer with a good status says in its body that nothing was done.
    pub(crate) fn denies(&self, body: &[u8]) -> bool {
        match &self.kind {
            Kind::Cloudflare(_) => cloudflare::denies(body),
            Kind::Varnish(_) | Kind::Webhook(_) | Kind::Fastly(_) => false,
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.name).finish()
    }
}

/// A URL to which requests are sent; its host and port, for names.
fn address(url: &str, expected: &'static str) -> Result<(Uri, String), TargetError> {
    let error = TargetError::Url(expected);
    let uri: Uri = url.parse().map_err(|_| error)?;
    let is_http = uri.scheme().is_some_and(|s| [Scheme::HTTP, Scheme::HTTPS].contains(s));
    match uri.authority() {
        Some(authority) if is_http && !authority.as_str().contains('@') && !url.contains('#') => {
            let name = authority.to_string();
            Ok((uri, name))
        }
        _ => Err(error),
    }
}

/// The base of an API: a URL without a query, and without a slash at its end.
fn base(url: &str) -> Result<String, TargetError> {
    const EXPECTED: &str = "a URL such as https://api.example.com";
    let (uri, _) = address(url, EXPECTED)?;
    match uri.query() {
        None => Ok(url.trim_end_matches('/').to_owned()),
        Some(_) => Err(TargetError::Url(EXPECTED)),
    }
}

fn id(text: &str) -> Result<&str, TargetError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match (1..=100).contains(&text.len()) && text.bytes().all(is_plain) {
        true => Ok(text),
        false => Err(TargetError::Id),
    }
}

/// A secret as the value of a header, marked so that nothing prints it.
fn sensitive(text: &str) -> Result<HeaderValue, TargetError> {
    let error = TargetError::Secret("a line of visible characters");
    let is_visible = !text.trim().is_empty() && text.trim() == text;
    let mut value = HeaderValue::from_str(text).map_err(|_| error)?;
    value.set_sensitive(true);
    if is_visible { Ok(value) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_cannot_work_are_refused() {
        let secret = || Secret::new("s3cret");
        let key = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        for bad in [
            "",
            "10.0.0.2:6081",
            "ftp://a",
            "http://user:pw@a",
            "http://a/path",
            "http://a/?x",
            "https://",
        ] {
            assert!(
                matches!(Target::varnish(bad, secret()), Err(TargetError::Url(_))),
                "{bad}"
            );
        }
        for bad in ["", "https://", "mailto:a@b", "https://a/#x"] {
            assert!(matches!(Target::webhook(bad, &key), Err(TargetError::Url(_))), "{bad}");
        }
        for bad in ["", " s", "a\nb"] {
            let varnish = Target::varnish("http://a", Secret::new(bad));
            assert!(matches!(varnish, Err(TargetError::Secret(_))), "{bad:?}");
        }
        assert!(matches!(
            Target::webhook("https://a", &secret()),
            Err(TargetError::Secret(_))
        ));
        for bad in ["", "a/b", "a?b", "é"] {
            assert!(matches!(
                Target::fastly("https://a", bad, secret(), false),
                Err(TargetError::Id)
            ));
            assert!(matches!(
                Target::cloudflare("https://a", bad, secret()),
                Err(TargetError::Id)
            ));
        }
    }

    #[test]
    fn secrets_are_in_no_name_and_no_debug_form() {
        let secret = || Secret::new("s3cret");
        let key = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let targets = [
            Target::varnish("http://10.0.0.2:6081", secret()).unwrap(),
            Target::webhook("https://hooks.test/s3cret?s3cret", &key).unwrap(),
            Target::fastly("https://a", "SVC", secret(), true).unwrap(),
            Target::cloudflare("https://a", "zone", secret()).unwrap(),
        ];
        let text = format!("{targets:?}");
        assert_eq!(
            text,
            r#"[Target("varnish 10.0.0.2:6081"), Target("webhook hooks.test"), Target("fastly SVC"), Target("cloudflare zone")]"#
        );
        let item = crate::queue::Item {
            since: tokio::time::Instant::now(),
            is_repeat: false,
        };
        for target in &targets {
            let asked = target.ask(&What::Everything(item), Timestamp::from_millis(0)).unwrap();
            let headers = format!("{:?}", asked.headers());
            assert!(!headers.contains("s3cret") && !headers.contains("MfKQ"), "{headers}");
        }
    }
}
