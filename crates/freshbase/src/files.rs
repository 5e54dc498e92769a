//! Where the contents of files are kept: the configuration's words for it, and the storage itself.

use std::path::PathBuf;

use anyhow::Context;
use fb_auth::Secret;
use fb_files::{FileStore, S3Config};
use fb_store_sqlite::files_dir;

use crate::config::Config;

/// Where contents are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilesConfig {
    /// `None` is the data directory.
    pub(crate) s3: Option<S3Place>,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) path_style: bool,
    pub(crate) allow_http: bool,
    pub(crate) root: Option<PathBuf>,
    pub(crate) key_id: Option<String>,
    pub(crate) secret: Option<Secret>,
}

/// A bucket of an S3-compatible storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Place {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
}

impl S3Place {
    /// Reads `s3://bucket/prefix`; `None` for `local`.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "local" {
            return Ok(None);
        }
        let expected = || "local or s3://bucket/prefix".to_owned();
        let rest = text.strip_prefix("s3://").ok_or_else(expected)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(expected());
        }
        Ok(Some(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        }))
    }
}

/// The storage that the configuration names.
pub(crate) fn store(config: &Config) -> anyhow::Result<FileStore> {
    let files = &config.files;
    let Some(place) = &files.s3 else {
        let dir = config.data_dir.clone();
        return Ok(FileStore::local(move |app| files_dir(&dir, app)));
    };
    let (Some(key_id), Some(secret)) = (&files.key_id, &files.secret) else {
        anyhow::bail!("files in S3 need FRESHBASE_S3_KEY_ID and FRESHBASE_S3_SECRET (or …_FILE)");
    };
    let mut s3 = S3Config::new(&*place.bucket, &*files.region, &**key_id, secret.expose());
    s3.prefix.clone_from(&place.prefix);
    s3.endpoint.clone_from(&files.endpoint);
    s3.allow_http = files.allow_http;
    s3.path_style = files.path_style;
    if let Some(path) = &files.root {
        let pem = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        s3.authorities.push(pem);
    }
    FileStore::s3(s3).context("preparing the storage of files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        assert_eq!(S3Place::parse("local"), Ok(None));
        let place = |bucket: &str, prefix: &str| {
            Ok(Some(S3Place {
                bucket: bucket.into(),
                prefix: prefix.into(),
            }))
        };
        assert_eq!(S3Place::parse("s3://shop"), place("shop", ""));
        assert_eq!(S3Place::parse("s3://shop/a/b/"), place("shop", "a/b"));
        for bad in ["", "s3://", "s3:///x", "http://x", "/tmp"] {
            assert!(S3Place::parse(bad).is_err(), "{bad}");
        }
    }
}
