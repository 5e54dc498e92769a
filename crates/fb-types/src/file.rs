//! Files: their names, and what is known of them besides their content.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use crate::{Acl, ClassAcl, ContentId, IdError, PRINCIPAL_EVERYBODY, Permission, RuleMap, Timestamp, Version};

/// The root folder of files, the part after `/file/`: 1 to 63 of `[A-Za-z0-9_.-]`, beginning with a letter, a digit or `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(Arc<str>);

/// The bucket of websites.
const WWW: &str = "www";
/// `GET /file/buckets` is the list of buckets.
const RESERVED_BUCKET: &str = "buckets";
/// `GET /file/<bucket>/ids` is the list of files.
const RESERVED_FILE: &str = "ids";

impl BucketName {
    /// Checks and takes `name`.
    pub fn new(name: &str) -> Result<Self, IdError> {
        let ok = (1..=63).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
            && name != RESERVED_BUCKET;
        if ok {
            Ok(Self(name.into()))
        } else {
            Err(IdError::Bucket(crate::ids::echo(name)))
        }
    }

    /// The bucket of websites, `www`.
    pub fn www() -> Self {
        // Every request for a page asks for it.
        static NAME: LazyLock<BucketName> = LazyLock::new(|| BucketName(WWW.into()));
        NAME.clone()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a file within its bucket, raw: segments joined by `/`, 1 to 1,024 bytes of UTF-8.
///
/// No segment is empty, `.` or `..`, and none has control characters or backslashes, so that a name means the same in
/// URLs, in archives and in the folders that somebody unpacks them to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePath(Arc<str>);

impl FilePath {
    /// Longest name, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Checks and takes a raw name.
    pub fn new(raw: &str) -> Result<Self, IdError> {
        check_path(raw)?;
        if raw == RESERVED_FILE {
            return Err(IdError::File(
                raw.to_owned(),
                "it is the URL of the list of files; choose another name",
            ));
        }
        Ok(Self(raw.into()))
    }

    /// The raw name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_path(raw: &str) -> Result<(), IdError> {
    let wrong = |why| Err(IdError::File(crate::ids::echo(raw), why));
    if raw.is_empty() {
        return wrong("it is empty");
    }
    if raw.len() > FilePath::MAX_LEN {
        return wrong("it is longer than 1024 bytes");
    }
    if raw.chars().any(char::is_control) {
        return wrong("it has control characters");
    }
    if raw.contains('\\') {
        return wrong("it has a backslash; folders are separated by /");
    }
    for segment in raw.split('/') {
        match segment {
            "" => return wrong("it has an empty segment"),
            "." | ".." => return wrong("`.` and `..` are no segments"),
            _ => {}
        }
    }
    Ok(())
}

/// A folder within a bucket: empty for the bucket itself, else a raw name that ends with `/`. Folders exist as beginnings
/// of names only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FolderPath(Arc<str>);

impl FolderPath {
    /// Takes a folder as it is written in requests: with or without `/` at its end; `/` and the empty text are the bucket
    /// itself.
    pub fn new(raw: &str) -> Result<Self, IdError> {
        let name = raw.strip_suffix('/').unwrap_or(raw);
        if name.is_empty() {
            return Ok(Self("".into()));
        }
        check_path(name)?;
        Ok(Self(format!("{name}/").into()))
    }

    /// The whole bucket.
    pub fn root() -> Self {
        Self("".into())
    }

    /// What the names of all files in it begin with.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A full file id, written `/file/<bucket>/<path>`, raw.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    bucket: BucketName,
    path: FilePath,
}

impl FileId {
    /// Joins a bucket and a name.
    pub fn new(bucket: BucketName, path: FilePath) -> Self {
        Self { bucket, path }
    }

    /// The bucket.
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// The name within the bucket.
    pub fn path(&self) -> &FilePath {
        &self.path
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/file/{}/{}", self.bucket, self.path)
    }
}

impl FromStr for FileId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parts = text.strip_prefix("/file/").and_then(|rest| rest.split_once('/'));
        let (bucket, path) =
            parts.ok_or_else(|| IdError::File(crate::ids::echo(text), "a file id looks like /file/<bucket>/<path>"))?;
        Ok(Self::new(BucketName::new(bucket)?, FilePath::new(path)?))
    }
}

/// Response headers that a file carries, by lower-case name.
pub type FileHeaders = BTreeMap<String, String>;

/// What is known of a file besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Name within the bucket.
    pub path: FilePath,
    /// Number of writes so far, of content or of this.
    pub version: Version,
    /// Where the content is.
    pub content: ContentId,
    /// Bytes of the content.
    pub size: u64,
    /// Strong validator, unquoted: says content and media type.
    pub etag: String,
    /// Media type in its normal form for metadata, for example `text/html; charset=utf-8`.
    pub media_type: String,
    /// Further headers of its responses.
    pub headers: FileHeaders,
    /// Object-level rules; `None` is public as far as the bucket is.
    pub acl: Option<Arc<Acl>>,
    /// When the file was first uploaded.
    pub created_at: Timestamp,
    /// When content or metadata were last written.
    pub updated_at: Timestamp,
}

/// A bucket: who may do what with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// Rules for `load`, `insert`, `update`, `delete` and `query`; a permission without rules is everybody's.
    pub rules: ClassAcl,
    /// True while it is being deleted: nothing comes in any more.
    pub is_closing: bool,
}

impl Bucket {
    /// A bucket that nobody has configured: the administrators' alone, and everybody may load from that of websites.
    pub fn unconfigured(name: BucketName) -> Self {
        let mut rules = ClassAcl::default();
        for permission in Permission::DATA {
            rules.set(permission, RuleMap::allow(crate::schema::ADMIN_ROLE));
        }
        if name.as_str() == WWW {
            rules.set(Permission::Load, RuleMap::allow(PRINCIPAL_EVERYBODY));
        }
        Self {
            name,
            rules,
            is_closing: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s31_names_that_would_leave_their_folder_are_refused() {
        let long = "x".repeat(1025);
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a", "a/./b", "a\\b", "..\\a", "a\0b",
            "a\nb", "a\u{7f}", "\u{85}", "ids", &long,
        ] {
            assert!(FilePath::new(bad).is_err(), "{bad:?}");
        }
        for good in [
            "a",
            "a/b",
            "...",
            "a/..b",
            ".well-known/x",
            "CON",
            "nul.txt",
            "a b",
            "ü/é.png",
            ";,?:@&=+$#-_.!~*'()",
            "ids/x",
            "x/ids",
            "C:",
            "~",
            "%2e%2e",
        ] {
            assert!(FilePath::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn folders_are_beginnings_of_names() {
        for (given, prefix) in [
            ("", ""),
            ("/", ""),
            ("a", "a/"),
            ("a/", "a/"),
            ("a/b/", "a/b/"),
            ("ids/", "ids/"),
        ] {
            assert_eq!(FolderPath::new(given).unwrap().as_str(), prefix, "{given}");
        }
        for bad in ["//", "/a/", "..", "a/../", "a//"] {
            assert!(FolderPath::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bucket_names() {
        for good in ["www", "private_bucket", "js_1", "a.b-c", "1", "_x"] {
            assert!(BucketName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "-a",
            "a/b",
            "a b",
            "ä",
            "buckets",
            "a\0",
            &"x".repeat(64),
        ] {
            assert!(BucketName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_are_raw() {
        let id: FileId = "/file/www/a b/ü?.png".parse().unwrap();
        assert_eq!((id.bucket().as_str(), id.path().as_str()), ("www", "a b/ü?.png"));
        assert_eq!(id.to_string(), "/file/www/a b/ü?.png");
        for bad in ["/file/www", "/file/www/", "/db/a/b", "file/www/a", "/file//a"] {
            assert!(bad.parse::<FileId>().is_err(), "{bad}");
        }
    }
}
