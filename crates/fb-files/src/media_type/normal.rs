//! The one spelling of a media type.

use std::borrow::Cow;
use std::fmt;

/// A media type in normal form, for example `image/png` or `text/html; charset=utf-8`: lower-case, ASCII, 3 to 127 bytes, at
/// most one parameter, which is a charset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaType {
    text: Cow<'static, str>,
}

/// Longest media type in bytes, before and after.
const MAX_LEN: usize = 127;

impl MediaType {
    /// As it stands in metadata, with a blank before the parameter: `application/json; charset=utf-8`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As it stands in a header, without a blank: `application/json;charset=utf-8`.
    pub fn header(&self) -> Cow<'_, str> {
        match self.text.split_once("; ") {
            Some((essence, parameter)) => format!("{essence};{parameter}").into(),
            None => Cow::Borrowed(&self.text),
        }
    }

    /// Without the parameter: `application/json`.
    pub fn essence(&self) -> &str {
        self.text.split(';').next().unwrap_or_default()
    }

    /// `application/octet-stream`: bytes of which nothing is known.
    pub fn octet_stream() -> Self {
        Self::known("application/octet-stream")
    }

    /// Takes a normal form from a table of this crate.
    pub(super) fn known(text: &'static str) -> Self {
        Self { text: text.into() }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Brings what a client calls a media type into normal form. `None` when it is none: absent, empty, `null`, a range such as
/// `image/*`, malformed, or longer than 127 bytes.
///
/// Of the parameters only `charset` is kept, and only for text: other types do not have one, and a boundary or codecs have
/// no meaning for a file as a whole. `application/json` always gets `charset=utf-8`, because JSON has no other. Other text
/// without a charset stays without: who wrote the type may have meant that the file says it itself.
///
/// ```
/// use fb_files::media_type::normalise;
/// let json = normalise("Application/JSON;charset=UTF-8").ok_or("none")?;
/// assert_eq!(json.as_str(), "application/json; charset=utf-8");
/// assert_eq!(json.header(), "application/json;charset=utf-8");
/// assert_eq!(normalise("null"), None);
/// # Ok::<(), &str>(())
/// ```
pub fn normalise(text: &str) -> Option<MediaType> {
    let text = text.trim_matches([' ', '\t']);
    let is_visible = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'));
    if text.len() > MAX_LEN || !is_visible {
        return None;
    }
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let essence = essence.trim_end_matches([' ', '\t']).to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/')?;
    if !is_name(kind) || !is_name(subtype) {
        return None;
    }
    let charset = charset_in(parameters)?;
    let charset = match essence.as_str() {
        "application/json" => Some("utf-8".to_owned()),
        _ if has_charset(&essence) => charset,
        _ => None,
    };
    let text = match charset {
        Some(charset) => format!("{essence}; charset={charset}"),
        None => essence,
    };
    (text.len() <= MAX_LEN).then(|| MediaType { text: text.into() })
}

/// Whether a charset says something about contents of this type.
fn has_charset(essence: &str) -> bool {
    essence.starts_with("text/")
        || (essence.ends_with("+xml") && !essence.starts_with("image/"))
        || matches!(
            essence,
            "application/javascript" | "application/x-javascript" | "application/ecmascript" | "application/xml"
        )
}

/// The charset among parameters, checked and in lower case. The outer `None`: they are malformed, or name one twice, which
/// readers understand differently.
fn charset_in(mut rest: &str) -> Option<Option<String>> {
    const BLANKS: [char; 2] = [' ', '\t'];
    let mut names: Vec<String> = Vec::new();
    let mut charset = None;
    loop {
        // Empty parameters are common: `text/html;`.
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Some(charset);
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.to_ascii_lowercase();
        if !is_token(&name) || names.contains(&name) {
            return None;
        }
        let (value, after) = value_of(after)?;
        rest = after.trim_start_matches(BLANKS);
        if !rest.is_empty() && !rest.starts_with(';') {
            return None;
        }
        if name == "charset" {
            if !is_token(&value) {
                return None;
            }
            charset = Some(value.to_ascii_lowercase());
        }
        names.push(name);
    }
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return is_token(value).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// The names of types and subtypes that can be registered (RFC 6838). Without `*`: a range is no type.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

/// Tokens of HTTP (RFC 9110).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_one_spelling() {
        for (given, expected) in [
            ("application/json", "application/json; charset=utf-8"),
            ("application/json;charset=utf-8", "application/json; charset=utf-8"),
            (
                "application/json; charset=ISO-8859-1",
                "application/json; charset=utf-8",
            ),
            (
                "APPLICATION/JSON ; CHARSET=\"UTF-8\"",
                "application/json; charset=utf-8",
            ),
            ("text/html;charset=utf-8", "text/html; charset=utf-8"),
            ("text/html;charset=utf-7", "text/html; charset=utf-7"),
            ("text/html;", "text/html"),
            ("text/html; ;charset=a", "text/html; charset=a"),
            ("text/plain", "text/plain"),
            ("text/plain; format=flowed; charset=utf-8", "text/plain; charset=utf-8"),
            ("image/png", "image/png"),
            ("IMAGE/PNG;charset=utf-8", "image/png"),
            ("image/svg+xml; charset=utf-8", "image/svg+xml"),
            (
                "application/xhtml+xml; charset=utf-8",
                "application/xhtml+xml; charset=utf-8",
            ),
            ("video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"", "video/mp4"),
            ("multipart/form-data; boundary=\"a;b=c\"", "multipart/form-data"),
            (" \timage/gif\t", "image/gif"),
            ("application/vnd.api+json", "application/vnd.api+json"),
        ] {
            let normal = normalise(given).unwrap();
            assert_eq!(normal.as_str(), expected, "{given}");
            assert_eq!(normal.header(), expected.replace("; ", ";"));
            assert_eq!(normal.essence(), expected.split(';').next().unwrap());
            assert_eq!(
                normalise(normal.as_str()).unwrap(),
                normal,
                "the normal form is its own"
            );
            assert_eq!(normalise(&normal.header()).unwrap(), normal);
        }
    }

    #[test]
    fn what_is_no_type_is_none() {
        let long = format!("text/{}", "x".repeat(123));
        for bad in [
            "",
            " ",
            "null",
            "undefined",
            "text",
            "/",
            "text/",
            "/html",
            "text/html/x",
            "*/*",
            "image/*",
            "text html",
            "text /html",
            "text/ html",
            "text/html,image/png",
            "text/html\r\nset-cookie: a=b",
            "text/html\0",
            "text/h\u{7f}tml",
            "téxt/html",
            "text/html; charset",
            "text/html; charset=",
            "text/html; =utf-8",
            "text/html; charset=\"utf-8",
            "text/html; charset=\"\"",
            "text/html; charset=\"a b\"",
            "text/html; charset=\"utf-8\"x",
            "text/html; charset=utf-8 x",
            "text/html; charset=utf-8\"",
            "text/html; charset=a; charset=b",
            "text/html; charset=a; CHARSET=a",
            "text/html; charset =a",
            "\"text/html\"",
            "<text/html>",
            &long,
        ] {
            assert_eq!(normalise(bad), None, "{bad}");
        }
        assert!(normalise(&long[1..]).is_some());
    }

    #[test]
    fn the_normal_form_is_not_longer_than_the_limit() {
        // With the charset that is added it would be.
        let text = format!("text/{}; charset=\"a\"", "x".repeat(107));
        assert!(text.len() <= 127 && normalise(&text).is_some());
        assert!(normalise(&format!("text/{}", "x".repeat(122))).is_some());
    }
}
