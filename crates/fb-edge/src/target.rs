//! What a request is for: the part of a cache key that is the same for all who ask.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use http::header::HOST;
use http::request::Parts;
use quick_cache::Equivalent;

/// Longest host and longest path with query that may be cached, in bytes. Longer ones are passed on.
const MAX_CACHED: usize = 4096;

/// Scheme, host and path of a request, as they stand in keys.
///
/// Paths are not decoded and not made the same: two spellings are two entries, and the origin names both in `Surrogate-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target<'r> {
    pub(crate) is_tls: bool,
    /// In lower case, without the scheme's own port.
    pub(crate) authority: Cow<'r, str>,
    /// Path and query.
    pub(crate) path: &'r str,
}

impl<'r> Target<'r> {
    /// Reads it. The error is what is wrong with the request.
    pub(crate) fn of(request: &'r Parts, is_tls: bool) -> Result<Self, &'static str> {
        let mut hosts = request.headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => Some(host.to_str().map_err(|_| "Host is not in ASCII")?),
            (None, _) => None,
            (Some(_), Some(_)) => return Err("there is more than one Host"),
        };
        let named = request.uri.authority().map(http::uri::Authority::as_str);
        let authority = match (named, host) {
            // Two hosts, of which caches may see one and servers the other.
            (Some(named), Some(host)) if !named.eq_ignore_ascii_case(host) => {
                return Err("Host is not the host of the URL");
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => return Err("Host is missing"),
        };
        let path = match request.uri.path_and_query() {
            Some(path) if path.as_str().starts_with('/') => path.as_str(),
            Some(_) => return Err("the URL has no path"),
            None => "/",
        };
        Self::new(authority, path, is_tls)
    }

    /// The target of a request for a path, with a query perhaps, of a host.
    pub(crate) fn new(host: &'r str, path: &'r str, is_tls: bool) -> Result<Self, &'static str> {
        Ok(Self {
            is_tls,
            authority: normal(host, is_tls)?,
            path,
        })
    }

    /// Whether keys may be made of it.
    pub(crate) fn is_short(&self) -> bool {
        self.authority.len() + self.path.len() <= MAX_CACHED
    }

    /// As purges name it.
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.authority, self.path)
    }

    pub(crate) fn key<'k>(&'k self, variant: &'k str) -> KeyRef<'k> {
        KeyRef {
            is_tls: self.is_tls,
            authority: &self.authority,
            path: self.path,
            variant,
        }
    }
}

fn normal(authority: &str, is_tls: bool) -> Result<Cow<'_, str>, &'static str> {
    let authority = authority
        .strip_suffix(if is_tls { ":443" } else { ":80" })
        .unwrap_or(authority);
    // No user names, no escapes, nothing that servers read in different ways.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(is_plain) {
        return Err("the host is malformed");
    }
    Ok(match authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(authority.to_ascii_lowercase()),
        false => Cow::Borrowed(authority),
    })
}

/// A key: of a target, and of the fields that its answers vary by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    is_tls: bool,
    authority: Box<str>,
    path: Box<str>,
    variant: Box<str>,
}

/// A borrowed [`Key`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRef<'k> {
    is_tls: bool,
    authority: &'k str,
    path: &'k str,
    variant: &'k str,
}

impl KeyRef<'_> {
    pub(crate) fn to_key(self) -> Key {
        Key {
            is_tls: self.is_tls,
            authority: self.authority.into(),
            path: self.path.into(),
            variant: self.variant.into(),
        }
    }
}

impl Key {
    pub(crate) fn by_ref(&self) -> KeyRef<'_> {
        KeyRef {
            is_tls: self.is_tls,
            authority: &self.authority,
            path: &self.path,
            variant: &self.variant,
        }
    }

    /// Bytes of its text.
    pub(crate) fn len(&self) -> usize {
        self.authority.len() + self.path.len() + self.variant.len()
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.is_tls, self.authority, self.path, self.variant).hash(state);
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.by_ref().hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let key = key.by_ref();
        (self.is_tls, self.authority, self.path, self.variant) == (key.is_tls, key.authority, key.path, key.variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(url: &str, hosts: &[&str], is_tls: bool) -> Result<String, &'static str> {
        let mut request = http::Request::get(url);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Target::of(&parts, is_tls).map(|target| target.url())
    }

    #[test]
    fn spellings_of_one_host_are_one_and_other_ports_are_others() {
        for (url, host, is_tls, expected) in [
            ("/a?b", "App.Example", false, "app.example/a?b"),
            ("/a", "app.example:80", false, "app.example/a"),
            ("/a", "app.example:443", true, "app.example/a"),
            ("/a", "app.example:80", true, "app.example:80/a"),
            ("http://app.example/a%2F", "app.example", false, "app.example/a%2F"),
        ] {
            assert_eq!(authority(url, &[host], is_tls).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn s39_hosts_that_servers_might_read_differently_are_refused() {
        for (url, hosts) in [
            ("/a", &["a.example", "b.example"][..]),
            ("http://a.example/", &["b.example"]),
            ("/a", &[]),
            ("/a", &[""]),
            ("/a", &["user@a.example"]),
            ("/a", &["a.example/b"]),
            ("/a", &["a.example, b.example"]),
        ] {
            assert!(authority(url, hosts, false).is_err(), "{url} {hosts:?}");
        }
    }
}
