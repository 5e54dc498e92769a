//! Contents in a bucket of an S3-compatible storage.

use crate::{FilesError, Written};
use bytes::Bytes;
use fb_types::{AppId, ContentId, Timestamp};
use std::ops::Range;

/// Where a bucket is, and who may use it.
#[derive(Clone)]
pub struct S3Config {
    /// The name of the bucket.
    pub bucket: String,
    /// What keys begin with, without slashes at its ends; empty for none.
    pub prefix: String,
    /// The region, for example `eu-central-1`; `auto` or anything for storages that have none.
    pub region: String,
    /// The URL of the storage; `None` for AWS.
    pub endpoint: Option<String>,
    /// Whether the endpoint may be `http` though it is not this machine.
    pub allow_http: bool,
    /// Whether the bucket stands in the path of URLs instead of their host.
    pub path_style: bool,
    /// The id of the access key.
    pub key_id: String,
    /// The secret of the access key.
    pub secret: String,
}

pub(crate) struct Bucket;
#[derive(Clone)]
pub(crate) struct S3Space;
pub(crate) struct S3Upload;
pub(crate) struct S3Download;
#[allow(unused, clippy::unimplemented)]
mod stub {
    use super::*;
    fn no<T>() -> Result<T, FilesError> {
        Err(FilesError::Setup {
            reason: "s3 is not there yet".to_owned(),
        })
    }
    impl Bucket {
        pub(crate) fn new(_: S3Config) -> Result<Self, FilesError> {
            no()
        }
        pub(crate) fn space(&self, _: &AppId) -> S3Space {
            S3Space
        }
        pub(crate) async fn check(&self) -> Result<(), FilesError> {
            no()
        }
    }
    impl S3Space {
        pub(crate) async fn remove_all(&self) -> Result<u64, FilesError> {
            no()
        }
        pub(crate) async fn read(&self, _: ContentId, _: usize) -> Result<Bytes, FilesError> {
            no()
        }
        pub(crate) async fn remove(&self, _: ContentId) -> Result<(), FilesError> {
            no()
        }
        pub(crate) async fn put_variant(&self, _: ContentId, _: &str, _: Bytes) -> Result<(), FilesError> {
            no()
        }
        pub(crate) async fn variant(&self, _: ContentId, _: &str, _: usize) -> Result<Option<Bytes>, FilesError> {
            no()
        }
        pub(crate) async fn list(&self, _: Option<ContentId>, _: usize) -> Result<Vec<ContentId>, FilesError> {
            no()
        }
        pub(crate) async fn sweep(&self, _: Timestamp) -> Result<u64, FilesError> {
            no()
        }
    }
    impl S3Upload {
        pub(crate) async fn create(_: S3Space, _: ContentId) -> Result<Self, FilesError> {
            no()
        }
        pub(crate) async fn write(&mut self, _: Bytes) -> Result<(), FilesError> {
            no()
        }
        pub(crate) async fn finish(self) -> Result<Written, FilesError> {
            no()
        }
        pub(crate) async fn abort(self) {}
    }
    impl S3Download {
        pub(crate) async fn open(_: &S3Space, _: ContentId, _: Range<u64>) -> Result<Self, FilesError> {
            no()
        }
        pub(crate) async fn next(&mut self) -> Option<Result<Bytes, FilesError>> {
            None
        }
    }
}
