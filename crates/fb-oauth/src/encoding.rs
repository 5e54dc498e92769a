//! Base64 and query strings.

use base64ct::{Base64UrlUnpadded, Encoding};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) fn to_base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// The bytes of a canonical text without padding; `None` for anything else.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}

pub(crate) fn encode_component(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// `url` with further query parameters.
pub(crate) fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut result = url.to_owned();
    let mut separator = match url.find('?') {
        None => "?",
        Some(i) if i + 1 == url.len() => "",
        Some(_) => "&",
    };
    for (name, value) in parameters {
        result.push_str(separator);
        result.push_str(&format!("{name}={}", encode_component(value)));
        separator = "&";
    }
    result
}

/// Is `url` an absolute `http` or `https` URL that can be requested or redirected to: with a host, without user name,
/// fragment, spaces or control characters?
pub(crate) fn is_web_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let has_host = uri
        .authority()
        .is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@'));
    // `Uri` lets more than ASCII pass, and drops fragments.
    let is_plain_text = url.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    matches!(uri.scheme_str(), Some("http" | "https")) && has_host && is_plain_text
}
