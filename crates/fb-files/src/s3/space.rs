//! The bucket, and the keys of one app in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fb_types::{AppId, ContentId};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{BackoffConfig, Error, ObjectStore, ObjectStoreExt, RetryConfig};

use super::S3Download;
use super::config::S3Config;
use super::errors::{about, general};
use super::wire::Wire;
use crate::FilesError;

/// Largest page of a list that storages give.
const PAGE: usize = 1000;

/// When requests are tried again. Together with the time one attempt has, a dead storage is reported after some 10 s.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(5),
    }
}

/// The bucket of a node.
pub(crate) struct Bucket {
    pub(super) config: S3Config,
    /// Its URL, without a slash at the end.
    pub(super) url: String,
    pub(super) wire: Wire,
    pub(super) store: AmazonS3,
    /// The same with deletes of up to 1,000 keys in one request, which not every storage has.
    bulk: AmazonS3,
}

impl Bucket {
    pub(crate) fn new(config: S3Config) -> Result<Self, FilesError> {
        let urls = config.check()?;
        let wire = Wire::new(&config.authorities, config.patience)?;
        let builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_endpoint(&urls.endpoint)
            .with_virtual_hosted_style_request(!config.path_style)
            .with_allow_http(true)
            .with_access_key_id(&config.key_id)
            .with_secret_access_key(&config.secret)
            // Where TLS protects the content, a second hash of it is not worth the time on an async thread.
            .with_unsigned_payload(urls.endpoint.starts_with("https:"))
            .with_retry(retries())
            .with_http_connector(wire.clone());
        let build = |builder: AmazonS3Builder| {
            builder.build().map_err(|error| FilesError::Setup {
                reason: error.to_string(),
            })
        };
        Ok(Self {
            store: build(builder.clone().with_disable_bulk_delete(true))?,
            bulk: build(builder)?,
            url: urls.bucket,
            wire,
            config,
        })
    }

    pub(crate) fn space(self: &Arc<Self>, app: &AppId) -> S3Space {
        S3Space {
            prefix: self.below(app.as_str()).into(),
            bucket: Arc::clone(self),
        }
    }

    fn below(&self, name: &str) -> String {
        match self.config.prefix.is_empty() {
            true => format!("{name}/"),
            false => format!("{}/{name}/", self.config.prefix),
        }
    }

    pub(crate) async fn check(&self) -> Result<(), FilesError> {
        const TEXT: &[u8] = b"A check whether files can be stored here; may be deleted.\n";
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| FilesError::internal("checking", error))?;
        // No app has an underscore in its name.
        let directory = self.below("_check");
        let key = Path::from(format!("{directory}{:016x}", u64::from_ne_bytes(random)));
        let put = self.store.put(&key, Bytes::from_static(TEXT).into()).await;
        put.map_err(general("checking whether it can be written to"))?;
        let get = async { self.store.get(&key).await?.bytes().await };
        let read = get.await.map_err(general("checking whether it can be read"));
        let delete = self.store.delete(&key).await;
        if read? != TEXT {
            return Err(FilesError::internal("checking it", "a content is not what was written"));
        }
        delete.map_err(general("checking whether contents can be deleted"))?;
        let listed = self.list(&directory, None, 1).await;
        listed
            .map_err(general("checking whether contents can be listed"))
            .map(drop)
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<String>,
        limit: usize,
    ) -> object_store::Result<PaginatedListResult> {
        let options = PaginatedListOptions {
            offset: after,
            max_keys: Some(limit),
            ..PaginatedListOptions::default()
        };
        self.store.list_paginated(Some(prefix), options).await
    }
}

/// The keys of one app.
#[derive(Clone)]
pub(crate) struct S3Space {
    pub(super) bucket: Arc<Bucket>,
    /// What its keys begin with, up to and including a slash.
    pub(super) prefix: Arc<str>,
}

impl S3Space {
    pub(super) fn key(&self, id: ContentId) -> Path {
        Path::from(self.stem(id))
    }

    fn stem(&self, id: ContentId) -> String {
        format!("{}{:02x}/{id}", self.prefix, id.as_bytes()[0])
    }

    fn variant_key(&self, id: ContentId, name: &str) -> Path {
        Path::from(format!("{}.v/{name}", self.stem(id)))
    }

    pub(crate) async fn read(&self, id: ContentId, limit: usize) -> Result<Bytes, FilesError> {
        let (mut download, size) = S3Download::whole(self, id, self.key(id)).await?;
        if size > limit as u64 {
            return Err(FilesError::TooLarge { limit: limit as u64 });
        }
        let mut read = BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
        while let Some(piece) = download.next().await {
            read.extend_from_slice(&piece?);
        }
        Ok(read.freeze())
    }

    /// Whether there is a content, and of which size.
    pub(crate) async fn size(&self, id: ContentId) -> Result<Option<u64>, FilesError> {
        match self
            .bucket
            .store
            .head(&self.key(id))
            .await
            .map_err(about(id, "looking for a content"))
        {
            Ok(meta) => Ok(Some(meta.size)),
            Err(FilesError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn variant(&self, id: ContentId, name: &str, limit: usize) -> Result<Option<Bytes>, FilesError> {
        let (mut download, size) = match S3Download::whole(self, id, self.variant_key(id, name)).await {
            Err(FilesError::NotFound { .. }) => return Ok(None),
            opened => opened?,
        };
        if size > limit as u64 {
            return Err(FilesError::TooLarge { limit: limit as u64 });
        }
        let mut read = BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
        while let Some(piece) = download.next().await {
            read.extend_from_slice(&piece?);
        }
        Ok(Some(read.freeze()))
    }

    pub(crate) async fn put_variant(&self, id: ContentId, name: &str, bytes: Bytes) -> Result<(), FilesError> {
        let key = self.variant_key(id, name);
        let put = self.bucket.store.put(&key, bytes.into()).await;
        put.map_err(general("writing a variant"))?;
        // Whoever removes a content removes it before its variants; so one of both sees the other.
        if self.size(id).await?.is_some() {
            return Ok(());
        }
        self.delete(&key).await?;
        Err(FilesError::NotFound { id })
    }

    pub(crate) async fn remove(&self, id: ContentId) -> Result<(), FilesError> {
        self.delete(&self.key(id)).await?;
        self.remove_below(&format!("{}.v/", self.stem(id))).await?;
        Ok(())
    }

    async fn delete(&self, key: &Path) -> Result<(), FilesError> {
        match self.bucket.store.delete(key).await {
            // S3 says nothing of the kind, but others do.
            Err(Error::NotFound { .. }) => Ok(()),
            result => result.map_err(general("removing a content")),
        }
    }

    pub(crate) async fn remove_all(&self) -> Result<u64, FilesError> {
        self.remove_below(&self.prefix).await
    }

    /// Removes all keys with a prefix, and says how many of them were contents.
    async fn remove_below(&self, prefix: &str) -> Result<u64, FilesError> {
        let mut removed = 0;
        let mut after = None;
        loop {
            let page = self
                .bucket
                .list(prefix, after, PAGE)
                .await
                .map_err(general("listing contents"))?;
            let keys: Vec<Path> = page.result.objects.into_iter().map(|object| object.location).collect();
            let Some(last) = keys.iter().max() else { break };
            after = Some(last.to_string());
            removed += keys
                .iter()
                .filter(|key| self.id_in(key).is_some_and(|(_, whole)| whole))
                .count() as u64;
            self.delete_all(keys).await?;
            if page.page_token.is_none() {
                break;
            }
        }
        Ok(removed)
    }

    async fn delete_all(&self, keys: Vec<Path>) -> Result<(), FilesError> {
        let locations = |keys: Vec<Path>| stream::iter(keys).map(Ok).boxed();
        let at_once = self.bucket.bulk.delete_stream(locations(keys.clone()));
        if at_once.try_for_each(|_| async { Ok(()) }).await.is_ok() {
            return Ok(());
        }
        let mut one_by_one = self.bucket.store.delete_stream(locations(keys));
        while let Some(deleted) = one_by_one.next().await {
            match deleted {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(general("removing contents")(error)),
            }
        }
        Ok(())
    }

    pub(crate) async fn list(&self, after: Option<ContentId>, limit: usize) -> Result<Vec<ContentId>, FilesError> {
        let mut ids = BTreeSet::new();
        // `0` is what follows `/`: this is behind all variants.
        let mut offset = after.map(|id| format!("{}.v0", self.stem(id)));
        while ids.len() < limit {
            let page = self.bucket.list(&self.prefix, offset, PAGE.min(limit)).await;
            let page = page.map_err(general("listing contents"))?;
            let Some(last) = page.result.objects.iter().map(|object| &object.location).max() else {
                break;
            };
            offset = Some(last.to_string());
            ids.extend(
                page.result
                    .objects
                    .iter()
                    .filter_map(|object| Some(self.id_in(&object.location)?.0)),
            );
            if page.page_token.is_none() {
                break;
            }
        }
        Ok(ids.into_iter().filter(|id| Some(*id) > after).take(limit).collect())
    }

    /// Whose key it is, and whether it is the content itself.
    pub(super) fn id_in(&self, key: &Path) -> Option<(ContentId, bool)> {
        let mut rest = key.as_ref().strip_prefix(&*self.prefix)?.split('/').skip(1);
        let name = rest.next()?;
        match name.strip_suffix(".v") {
            Some(id) => Some((id.parse().ok()?, false)),
            None => Some((name.parse().ok()?, true)),
        }
    }
}
