//! What is to be dropped, and how it is called on the wire.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::options::By;

/// Longest key on the wire in bytes: what Fastly and Cloudflare take.
pub const MAX_NAME: usize = 1024;

/// What is no longer as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Answers that carry this surrogate key.
    Key {
        /// As it was given to the one who tags answers; see [`wire_key`].
        key: Arc<str>,
        /// The URLs of these answers, with scheme, if it is known that there are no others.
        urls: Option<Vec<Arc<str>>>,
    },
    /// Answers of this URL, with scheme, as clients ask for it.
    Url(Arc<str>),
    /// All there is.
    Everything,
}

impl Order {
    /// Answers with this surrogate key, wherever they are.
    pub fn key(key: impl Into<Arc<str>>) -> Self {
        Self::Key {
            key: key.into(),
            urls: None,
        }
    }

    /// Answers of this URL.
    pub fn url(url: impl Into<Arc<str>>) -> Self {
        Self::Url(url.into())
    }

    /// Calls `add` with each name that tells it to a target; false if there is none, and only "everything" does.
    pub(crate) fn names(&self, by: By, mut add: impl FnMut(Name)) -> bool {
        match (self, by) {
            (Self::Everything, _) | (Self::Key { urls: None, .. }, By::Urls) => return false,
            (Self::Key { key, .. }, By::Keys) => add(Name::Key(key.clone())),
            (Self::Key { urls: Some(urls), .. }, By::Urls) => {
                urls.iter().for_each(|url| add(Name::Url(url.clone())));
            }
            (Self::Url(url), _) => add(Name::Url(url.clone())),
        }
        true
    }
}

/// How a target is told of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Key(Arc<str>),
    Url(Arc<str>),
}

/// A surrogate key as it goes into headers and purges: 1 to [`MAX_NAME`] visible ASCII characters, neither space nor comma, which
/// separate keys, nor quotes or backslashes.
///
/// Other bytes are percent-encoded; `%` itself stays, so that encoded ids keep their spelling. What would be longer becomes a hash. Two keys may
/// get one spelling (`a b` and `a%20b`): then both are purged.
pub fn wire_key(key: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'\\');
    if (1..=MAX_NAME).contains(&key.len()) && key.bytes().all(is_plain) {
        return Cow::Borrowed(key);
    }
    let mut text = String::with_capacity(key.len() + 16);
    for byte in key.bytes() {
        match is_plain(byte) {
            true => text.push(char::from(byte)),
            false => drop(write!(text, "%{byte:02X}")),
        }
    }
    if text.is_empty() || text.len() > MAX_NAME {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(key.as_bytes()));
        text = format!("sha256:{digest}");
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_on_the_wire_have_no_separators_and_are_short() {
        assert_eq!(wire_key("shop:/db/Todo/a%20b"), "shop:/db/Todo/a%20b");
        assert_eq!(
            wire_key("shop:/file/www/a b,\"ü\".png"),
            "shop:/file/www/a%20b%2C%22%C3%BC%22.png"
        );
        assert_eq!(wire_key("a\r\nset-cookie: x"), "a%0D%0Aset-cookie:%20x");
        for long in ["k".repeat(1025), "ü".repeat(400), String::new()] {
            let key = wire_key(&long).into_owned();
            assert!(key.starts_with("sha256:") && key.len() == 71, "{key}");
        }
        assert_eq!(wire_key(&"k".repeat(1024)).len(), 1024);
    }

    #[test]
    fn what_has_no_known_url_is_everything_to_those_that_go_by_url() {
        let names = |order: &Order, by| {
            let mut names = Vec::new();
            order.names(by, |name| names.push(name)).then_some(names)
        };
        let key = Order::key("k");
        assert_eq!(names(&key, By::Keys), Some(vec![Name::Key("k".into())]));
        assert_eq!(names(&key, By::Urls), None);
        let both = Order::Key {
            key: "k".into(),
            urls: Some(vec!["http://a/b".into()]),
        };
        assert_eq!(names(&both, By::Urls), Some(vec![Name::Url("http://a/b".into())]));
        assert_eq!(names(&both, By::Keys), Some(vec![Name::Key("k".into())]));
        assert_eq!(names(&Order::Everything, By::Keys), None);
    }
}
