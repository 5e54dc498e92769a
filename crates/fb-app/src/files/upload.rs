//! Uploads: content first, then the commit that makes it a file.
//!
//! A content is announced to the store before it can exist under its name, so that whatever is cut off, by a client or by
//! a crash, is found again and removed.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::{Errand, FileAction, FileGrant, FileOperation, Principal, authorize_file, system};
use fb_files::media_type;
use fb_store::{Batch, BucketEffect, BucketWrite, FileEffect, FileWrite, Moment, Outcome, Write, verdict};
use fb_types::{Bucket, FileEntry, FileHeaders, FileId, Version};
use serde_json::json;

use super::incoming::{Incoming, Receive, too_large};
use super::{FileCondition, NewRules};
use crate::{App, AppError};

/// What is too large, in errors.
const FILE: &str = "the file";

/// How much of the beginning of a content its type is told from.
const HEAD_BYTES: usize = 512;

/// What a request says about the file it uploads, besides its content.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// What must hold of the file that is there.
    pub condition: FileCondition,
    /// The media type as the client spells it. What is none is told from name and content.
    pub media_type: Option<String>,
    /// Its rules.
    pub rules: NewRules,
    /// Further response headers; those of before if absent.
    pub headers: Option<FileHeaders>,
    /// Bytes of the content, if the client says.
    pub size: Option<u64>,
}

/// A file that is being uploaded. Nobody sees anything of it before [`Uploading::finish`] has returned.
pub struct Uploading {
    id: FileId,
    grant: FileGrant,
    new: NewFile,
    incoming: Incoming,
    ensure: Option<Arc<Bucket>>,
    head: Vec<u8>,
}

impl App {
    /// Begins to upload a file. What can be refused in advance is refused here, before any content is taken.
    pub async fn begin_upload(&self, caller: &Principal, id: &FileId, new: NewFile) -> Result<Uploading, AppError> {
        let operation = match new.condition {
            FileCondition::None => FileOperation::ForceUpload,
            _ => FileOperation::Upload,
        };
        let (bucket, exists) = self.bucket(id.bucket()).await?;
        let grant = authorize_file(caller, operation, &bucket)?;
        self.begin(caller, id, new, grant, (bucket, exists)).await
    }

    /// Begins to upload a file under a random name.
    pub async fn begin_new_file(
        &self,
        caller: &Principal,
        bucket: &fb_types::BucketName,
        new: NewFile,
    ) -> Result<Uploading, AppError> {
        let (known, exists) = self.bucket(bucket).await?;
        let grant = authorize_file(caller, FileOperation::Insert, &known)?;
        let name = uuid::Uuid::new_v4().to_string();
        let id = FileId::new(bucket.clone(), fb_types::FilePath::new(&name)?);
        let new = NewFile {
            condition: FileCondition::Absent,
            ..new
        };
        self.begin(caller, &id, new, grant, (known, exists)).await
    }

    async fn begin(
        &self,
        caller: &Principal,
        id: &FileId,
        new: NewFile,
        grant: FileGrant,
        (bucket, exists): (Arc<Bucket>, bool),
    ) -> Result<Uploading, AppError> {
        check_headers(caller, new.headers.as_ref())?;
        let limit = self.limits().file_bytes;
        if let Some(size) = new.size.filter(|size| *size > limit) {
            return Err(too_large(FILE, size, limit));
        }
        if bucket.is_closing {
            return Err(AppError::BucketClosing(bucket.name.clone()));
        }
        let known = self.entry_of(id).await?;
        let before = known.as_deref().map(|known| &known.entry);
        let checked = new.condition.check(before);
        verdict(&grant, FileAction::Upload, before, checked)
            .map_err(|refusal| AppError::from_file_refusal(refusal, id))?;
        Ok(Uploading {
            id: id.clone(),
            grant,
            new,
            incoming: Incoming::begin(self, FILE, limit).await?,
            ensure: (!exists).then_some(bucket),
            head: Vec::new(),
        })
    }
}

impl Receive for Uploading {
    async fn write(&mut self, piece: Bytes) -> Result<(), AppError> {
        if self.head.len() < HEAD_BYTES {
            let missing = (HEAD_BYTES - self.head.len()).min(piece.len());
            self.head.extend_from_slice(&piece[..missing]);
        }
        self.incoming.write(piece).await
    }

    async fn abort(self) {
        self.incoming.abort().await;
    }
}

impl Uploading {
    /// Makes what was uploaded the file.
    pub async fn finish(self, app: &App) -> Result<(FileId, Arc<FileEntry>), AppError> {
        let found = self.incoming.size();
        if let Some(size) = self.new.size.filter(|size| *size != found) {
            let text = format!("the content has {found} bytes where {size} were announced");
            return Err(AppError::Invalid(text));
        }
        let (pending, written) = self.incoming.finish().await?;
        let said = self.new.media_type.as_deref().and_then(media_type::normalise);
        let media_type = said.unwrap_or_else(|| media_type::guess(self.id.path().as_str(), &self.head));
        let media_type = media_type.as_str().to_owned();
        let etag = fb_auth::content_tag(&written.digest, &media_type);
        let (content, path, new) = (pending.id(), self.id.path().clone(), self.new);
        let file = json!({
            "id": self.id.to_string(),
            "bucket": self.id.bucket().as_str(),
            "path": self.id.path().as_str(),
            "mimeType": media_type,
            "size": written.size,
            "eTag": etag,
        });
        let decide = move |before: Option<&FileEntry>, moment: Moment| {
            new.condition.check(before)?;
            let headers = match &new.headers {
                Some(headers) => headers.clone(),
                None => before.map(|entry| entry.headers.clone()).unwrap_or_default(),
            };
            Ok(FileEffect::Put(FileEntry {
                path: path.clone(),
                version: before.map_or(Version::FIRST, |entry| entry.version.next()),
                content,
                size: written.size,
                etag: etag.clone(),
                media_type: media_type.clone(),
                headers,
                acl: new.rules.over(before),
                created_at: before.map_or(moment.now, |entry| entry.created_at),
                updated_at: moment.now,
            }))
        };
        let mut writes = Vec::with_capacity(2);
        if let Some(bucket) = self.ensure {
            writes.push(Write::Bucket(BucketWrite {
                admin: system(Errand::KeepBuckets),
                name: bucket.name.clone(),
                to: BucketEffect::Ensure(Bucket::clone(&bucket)),
            }));
        }
        writes.push(Write::File(FileWrite {
            grant: self.grant,
            path: self.id.path().clone(),
            action: FileAction::Upload,
            decide: Box::new(decide),
        }));
        writes.extend(app.note_on_upload(self.id.bucket(), file));
        match app.commit(Batch { writes }).await {
            Ok(outcomes) => match outcomes.into_iter().find(|outcome| matches!(outcome, Outcome::File(_))) {
                Some(Outcome::File(entry)) => {
                    pending.done();
                    Ok((self.id, Arc::new(entry)))
                }
                _ => Err(AppError::internal("writing a file", "the store kept the write")),
            },
            Err(error) => Err(AppError::from_file_commit(error, &self.id)),
        }
    }
}

/// The validator of what had `etag`, under another media type.
pub(super) fn retagged(etag: &str, media_type: &str) -> String {
    let mut digest = fb_auth::fingerprint(&format!("{etag} {media_type}"));
    digest.truncate(32);
    digest
}

/// Headers that could change what a browser does with the whole site are the administrators'.
pub(super) fn check_headers(caller: &Principal, headers: Option<&FileHeaders>) -> Result<(), AppError> {
    let Some(headers) = headers else { return Ok(()) };
    fb_files::headers::check(headers).map_err(AppError::Invalid)?;
    match headers.keys().find(|name| fb_files::headers::is_powerful(name)) {
        Some(name) if !caller.is_admin() => Err(AppError::Invalid(format!(
            "only an administrator may give a file the header {name}"
        ))),
        _ => Ok(()),
    }
}
