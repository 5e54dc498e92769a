//! Header fields of a request, however it was read.

use http::HeaderMap;
use http::header::HeaderName;

/// The values of a request's header fields, by name.
pub(crate) trait Lines {
    /// The values of one field, in their order.
    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]>;

    fn has(&self, name: &HeaderName) -> bool {
        self.lines(name).next().is_some()
    }

    /// Those values that are text, which others are not taken for.
    fn texts<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
        self.lines(name).filter_map(text)
    }
}

impl Lines for HeaderMap {
    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(http::HeaderValue::as_bytes)
    }
}

/// A value in visible ASCII, as `HeaderValue::to_str` has it.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    std::str::from_utf8(value).ok().filter(|_| value.iter().all(is_visible))
}
