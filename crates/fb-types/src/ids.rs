//! Names and identifiers, each parsed once and valid from then on.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// The pseudo principal that stands for everybody in a rule map.
pub const PRINCIPAL_EVERYBODY: &str = "*";

/// The pseudo principal in the rules of fields of `User`: the user that the object is.
pub const PRINCIPAL_SELF: &str = "self";

/// What JavaScript's `encodeURIComponent` leaves alone, besides letters and digits.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Why a text is not a name or id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a class name.
    #[error("`{0}` is no class name: use letters, digits and _ in parts joined by dots, at most 128 characters")]
    Class(String),
    /// Not an object key.
    #[error("`{0}` is no object key: {1}")]
    Key(String, &'static str),
    /// Not an object id.
    #[error("`{0}` is no object id: an id looks like /db/<class>/<key>")]
    Object(String),
    /// Not an app name.
    #[error("`{0}` is no app name: use 1 to 40 lower-case letters, digits and -, beginning with a letter")]
    App(String),
    /// Not a bucket name.
    #[error("`{0}` is no bucket name: use 1 to 63 letters, digits, _, . and -, beginning with a letter, a digit or _")]
    Bucket(String),
    /// Not a file name or id.
    #[error("`{0}` is no file name: {1}")]
    File(String, &'static str),
    /// Not the id of a content.
    #[error("`{0}` is no content id: 32 lower-case hex digits")]
    Content(String),
}

/// Longest text echoed in an error message, in characters.
const ECHO: usize = 80;

pub(crate) fn echo(text: &str) -> String {
    text.chars().take(ECHO).collect()
}

/// The name of an app: 1 to 40 of `[a-z0-9-]`, beginning with a letter. It is a DNS label and a directory name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(Arc<str>);

impl AppId {
    /// Checks and takes `name`.
    pub fn new(name: &str) -> Result<Self, IdError> {
        let ok = (1..=40).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok {
            Ok(Self(name.into()))
        } else {
            Err(IdError::App(echo(name)))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a class without the `/db/` that references carry, for example `Todo` or `logs.AppLog`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassName(Arc<str>);

impl ClassName {
    /// Takes a bucket name, the part after `/db/`.
    pub fn new(bucket: &str) -> Result<Self, IdError> {
        let part_ok = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if bucket.len() <= 128 && !bucket.is_empty() && bucket.split('.').all(part_ok) {
            Ok(Self(bucket.into()))
        } else {
            Err(IdError::Class(echo(bucket)))
        }
    }

    /// Takes a full reference such as `/db/Todo`.
    pub fn from_reference(reference: &str) -> Result<Self, IdError> {
        match reference.strip_prefix("/db/") {
            Some(bucket) => Self::new(bucket),
            None => Err(IdError::Class(echo(reference))),
        }
    }

    /// The bucket name, without `/db/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full reference, `/db/<bucket>`.
    pub fn reference(&self) -> String {
        format!("/db/{}", self.0)
    }
}

impl Borrow<str> for ClassName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What JavaScript's `encodeURIComponent` makes of a text.
pub fn encode_component(raw: &str) -> String {
    utf8_percent_encode(raw, COMPONENT).to_string()
}

/// The last part of an object id in its one canonical spelling: what `encodeURIComponent` makes of the raw key.
///
/// ASCII, 1 to 1,024 bytes, never `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(Arc<str>);

impl ObjectKey {
    /// Longest key in its encoded spelling, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Takes a key in any percent-encoded spelling, as it stands in a URL or in an id.
    pub fn from_encoded(text: &str) -> Result<Self, IdError> {
        // Almost every key is a UUID or a number; those are canonical already.
        if !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Self::checked(Cow::Borrowed(text));
        }
        match percent_decode_str(text).decode_utf8() {
            Ok(raw) => Self::from_raw(&raw),
            Err(_) => Err(IdError::Key(echo(text), "its %-escapes are not UTF-8")),
        }
    }

    /// Takes a raw key, any Unicode text.
    pub fn from_raw(raw: &str) -> Result<Self, IdError> {
        Self::checked(Cow::Owned(encode_component(raw)))
    }

    fn checked(encoded: Cow<'_, str>) -> Result<Self, IdError> {
        if encoded.is_empty() {
            return Err(IdError::Key(String::new(), "it is empty"));
        }
        if encoded.len() > Self::MAX_LEN {
            return Err(IdError::Key(echo(&encoded), "it is longer than 1024 bytes"));
        }
        if encoded == "." || encoded == ".." {
            return Err(IdError::Key(encoded.into_owned(), "it would not survive in a URL path"));
        }
        Ok(Self(encoded.into()))
    }

    /// The canonical, percent-encoded spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The raw key.
    pub fn decoded(&self) -> String {
        percent_decode_str(&self.0).decode_utf8_lossy().into_owned()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A full object id, written `/db/<class>/<key>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    class: ClassName,
    key: ObjectKey,
}

impl ObjectId {
    /// Joins a class and a key.
    pub fn new(class: ClassName, key: ObjectKey) -> Self {
        Self { class, key }
    }

    /// The class the object is stored in.
    pub fn class(&self) -> &ClassName {
        &self.class
    }

    /// The key within the class.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/db/{}/{}", self.class, self.key)
    }
}

impl FromStr for ObjectId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rest = text.strip_prefix("/db/").ok_or_else(|| IdError::Object(echo(text)))?;
        let (bucket, key) = rest.split_once('/').ok_or_else(|| IdError::Object(echo(text)))?;
        Ok(Self {
            class: ClassName::new(bucket)?,
            key: ObjectKey::from_encoded(key)?,
        })
    }
}

/// How many writes an object has seen; 1 after its insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u64);

impl Version {
    /// The version of a new object.
    pub const FIRST: Self = Self(1);

    /// The version after one more write.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_spelling() {
        for (given, canonical) in [
            ("a b", "a%20b"),
            ("a%2fb", "a%2Fb"),
            ("%61", "a"),
            ("~x!", "~x!"),
            ("ü", "%C3%BC"),
            ("a%27b", "a'b"),
        ] {
            assert_eq!(ObjectKey::from_encoded(given).unwrap().as_str(), canonical, "{given}");
        }
    }

    #[test]
    fn bad_keys_are_refused() {
        for bad in ["", ".", "..", "%2e%2e", "%ff", &"x".repeat(1025)] {
            assert!(ObjectKey::from_encoded(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn class_names() {
        for good in ["Todo", "logs.AppLog", "_x1", "a.b.c"] {
            assert!(ClassName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", "1a", "a-b", "a b", "a/b", "ä", "a\"b", &"x".repeat(129)] {
            assert!(ClassName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn app_names() {
        for good in ["a", "my-app", "a1"] {
            assert!(AppId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "1a", "A", "a_b", "../x", &"x".repeat(41)] {
            assert!(AppId::new(bad).is_err(), "{bad}");
        }
    }
}
