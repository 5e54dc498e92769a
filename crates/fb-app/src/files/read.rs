//! Reading files: metadata, content, and content in a compressed form.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use fb_auth::{Errand, FileGrant, FileOperation, Principal, authorize_file, system};
use fb_files::Download;
use fb_files::media_type::{self, MediaType};
use fb_types::{ContentId, FileEntry, FileId};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::encoding::{self, Encoding};
use crate::cache::KnownFile;
use crate::{App, AppError};

/// Contents up to this size are kept in memory.
const SMALL: u64 = 256 << 10;

/// Contents from this size on are sent as they are.
const MAX_ENCODED: u64 = 8 << 20;
/// Those below are not worth it.
const MIN_ENCODED: u64 = 256;

/// A file that its caller may read.
#[derive(Clone)]
pub struct OpenFile {
    known: Arc<KnownFile>,
    is_public: bool,
}

impl OpenFile {
    /// What is known of it.
    pub fn entry(&self) -> &FileEntry {
        &self.known.entry
    }

    /// Its media type.
    pub fn media_type(&self) -> &MediaType {
        &self.known.media_type
    }

    /// What `make` makes of this state of the file, once for all who ask; `None` if something of another type is there.
    pub fn attached<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.known.attached.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// True if everybody may read it, so that shared caches may keep it.
    pub fn is_public(&self) -> bool {
        self.is_public
    }
}

/// A content on its way out.
pub enum FileBody {
    /// In one piece.
    Whole(Bytes),
    /// Piece by piece.
    Stream(Download),
}

/// Who asks for a page of a website.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteAccess {
    /// Anybody: the rules of the bucket decide.
    Everybody,
    /// Somebody who gave the password of the site, which takes the place of the permission to load from its bucket.
    WithPassword,
}

/// What was made of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Encoded(Encoding),
    /// A variant of an image, by a fingerprint of its description.
    Image(u128),
}

type FormKey = (ContentId, Form);

#[derive(Clone)]
struct Sizes;

impl Weighter<FormKey, Bytes> for Sizes {
    fn weight(&self, _: &FormKey, content: &Bytes) -> u64 {
        content.len() as u64 + 200
    }
}

/// Small contents, by id and form. A content never changes, so nothing in here is ever wrong.
pub(crate) struct ContentCache(Cache<FormKey, Bytes, Sizes>);

impl ContentCache {
    /// A cache of at most `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 16_384).unwrap_or(usize::MAX).max(16);
        Self(Cache::with_weighter(items, bytes, Sizes))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.weight()
    }

    /// What is there, or what `make` gives. Whoever asks for the same meanwhile waits for it.
    pub(super) async fn get_or_make(
        &self,
        content: ContentId,
        form: Form,
        make: impl Future<Output = Result<Bytes, AppError>>,
    ) -> Result<Bytes, AppError> {
        if let Some(made) = self.0.get(&(content, form)) {
            return Ok(made);
        }
        self.0.get_or_insert_async(&(content, form), make).await
    }
}

impl App {
    /// What is known of a file, if there is one and the caller may read it.
    pub async fn open_file(&self, caller: &Principal, id: &FileId) -> Result<OpenFile, AppError> {
        let (bucket, _) = self.bucket(id.bucket()).await?;
        let grant = authorize_file(caller, FileOperation::Load, &bucket)?;
        let everybody = authorize_file(&Principal::anonymous(), FileOperation::Load, &bucket).ok();
        self.open_with(&grant, everybody.as_ref(), id).await
    }

    /// A file of a website.
    pub async fn open_page(&self, access: SiteAccess, id: &FileId) -> Result<OpenFile, AppError> {
        match access {
            SiteAccess::Everybody => {
                let (bucket, _) = self.bucket(id.bucket()).await?;
                let grant = authorize_file(&Principal::anonymous(), FileOperation::Load, &bucket)?;
                self.open_with(&grant, Some(&grant), id).await
            }
            SiteAccess::WithPassword => {
                let grant = system(Errand::ServeSite).visit(id.bucket());
                self.open_with(&grant, None, id).await
            }
        }
    }

    async fn open_with(
        &self,
        grant: &FileGrant,
        everybody: Option<&FileGrant>,
        id: &FileId,
    ) -> Result<OpenFile, AppError> {
        match self.entry_of(id).await? {
            Some(known) if grant.scope().may_read(known.entry.acl.as_deref()) => {
                let is_public = everybody.is_some_and(|grant| grant.scope().may_read(known.entry.acl.as_deref()));
                Ok(OpenFile { known, is_public })
            }
            _ => Err(AppError::NoFile(id.clone())),
        }
    }

    /// What is known of a file, whoever asks.
    pub(super) async fn entry_of(&self, id: &FileId) -> Result<Option<Arc<KnownFile>>, AppError> {
        let cache = self.file_cache();
        if let Some(known) = cache.get(id) {
            return Ok(Some(known));
        }
        // Apart, like all that is rare here: what a future may have to hold is moved with it on every request.
        Box::pin(self.read_entry(id)).await
    }

    async fn read_entry(&self, id: &FileId) -> Result<Option<Arc<KnownFile>>, AppError> {
        let cache = self.file_cache();
        let ticket = cache.ticket(id);
        let grant = system(Errand::KeepBuckets).files(id.bucket());
        let Some(entry) = self.store().file(&grant, id.path()).await? else {
            return Ok(None);
        };
        let known = Arc::new(KnownFile::new(entry));
        cache.offer(ticket, id.clone(), known.clone());
        Ok(Some(known))
    }

    /// The content of a file, or bytes `range` of it, which must lie within.
    pub async fn body(&self, file: &OpenFile, range: Option<Range<u64>>) -> Result<FileBody, AppError> {
        let FileEntry { content, size, .. } = file.known.entry;
        if size > SMALL {
            let range = range.unwrap_or(0..size);
            return Ok(FileBody::Stream(Box::pin(self.contents().open(content, range)).await?));
        }
        let whole = self.small(content).await?;
        Ok(FileBody::Whole(match range {
            None => whole,
            Some(range) => {
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(whole.len());
                whole.slice(place(range.start)..place(range.end))
            }
        }))
    }

    async fn small(&self, content: ContentId) -> Result<Bytes, AppError> {
        let form = Form::Encoded(Encoding::Identity);
        if let Some(content) = self.content_cache().0.get(&(content, form)) {
            return Ok(content);
        }
        let limit = usize::try_from(SMALL).unwrap_or(usize::MAX);
        let load = async { Ok(self.contents().read(content, limit).await?) };
        let form = Form::Encoded(Encoding::Identity);
        Box::pin(self.content_cache().get_or_make(content, form, load)).await
    }

    /// The content in a compressed form; `None` if it is not worth it. It is made once and kept.
    pub async fn encoded(&self, file: &OpenFile, encoding: Encoding) -> Result<Option<Bytes>, AppError> {
        let entry = &file.known.entry;
        let fits = (MIN_ENCODED..=MAX_ENCODED).contains(&entry.size);
        if encoding == Encoding::Identity || !fits || !media_type::is_compressible(file.media_type()) {
            return Ok(None);
        }
        let make = self.make_encoded(entry, encoding);
        let form = Form::Encoded(encoding);
        let made = self.content_cache().get_or_make(entry.content, form, make).await?;
        Ok((made.len() as u64 + 64 < entry.size).then_some(made))
    }

    /// Work that keeps a processor busy and a lot of memory in use, on a thread for that; an error if too many wait for a
    /// turn. What it works on is read within its turn, and the turn lasts until the work ends, also if nobody waits for it any
    /// more: neither many clients at once nor many that hang up make it more than was meant to run.
    pub(crate) async fn heavy<T: Send + 'static>(
        &self,
        during: &'static str,
        read: impl Future<Output = Result<Bytes, AppError>>,
        work: impl FnOnce(Bytes) -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let shared = self.shared();
        let busy = |_| AppError::Busy { retry_after: 2 };
        let place = shared.heavy_queue.clone().try_acquire_owned().map_err(busy)?;
        let turn = shared.heavy.clone().acquire_owned().await;
        let turn = turn.map_err(|e| AppError::internal("waiting for a turn", e))?;
        let source = read.await?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work(source);
            drop((turn, place));
            done
        });
        done.await.map_err(|e| AppError::internal(during, e))
    }

    async fn make_encoded(&self, entry: &FileEntry, encoding: Encoding) -> Result<Bytes, AppError> {
        let contents = self.contents();
        let name = encoding.token();
        if let Some(made) = contents.variant(entry.content, name).await? {
            return Ok(made);
        }
        let limit = usize::try_from(MAX_ENCODED).unwrap_or(usize::MAX);
        let read = async { Ok(contents.read(entry.content, limit).await?) };
        let made = self
            .heavy("compressing a file", read, move |whole| {
                encoding::compress(encoding, &whole)
            })
            .await?;
        let made = Bytes::from(made.map_err(|e| AppError::internal("compressing a file", e))?);
        // Lost with the content if that goes meanwhile; made again if this fails.
        if let Err(error) = contents.put_variant(entry.content, name, made.clone()).await {
            tracing::debug!(app = %self.id(), error = %error, "a compressed content was not kept");
        }
        Ok(made)
    }
}
