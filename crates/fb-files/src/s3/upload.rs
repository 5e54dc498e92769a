//! Uploads: small contents in one request, larger ones in parts, a few of them at once.

use bytes::Bytes;
use fb_types::ContentId;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutPayload};
use tokio::task::{JoinHandle, JoinSet};

use super::S3Space;
use super::errors::{about, status_in};
use crate::FilesError;
use crate::digest::{Batch, Measure, Written};

/// Bytes of a part. All but the last are of this size, as some storages demand. S3 wants at least 5 MiB.
const PART: usize = 8 * 1024 * 1024;
/// Parts of an upload that are sent at the same time. With the one that is collected, an upload holds one more.
const IN_FLIGHT: usize = 3;
/// Parts that S3 allows; so the largest content has 78 GiB.
const MAX_PARTS: usize = 10_000;

const DURING: &str = "writing a content";

/// A content that is being written.
pub(crate) struct S3Upload {
    space: S3Space,
    id: ContentId,
    key: Path,
    batch: Batch,
    hashing: Hashing,
    /// The id of the upload in parts, once there is more than one part.
    multipart: Option<String>,
    started: usize,
    sending: JoinSet<object_store::Result<(usize, PartId)>>,
    sent: Vec<(usize, PartId)>,
}

enum Hashing {
    Idle(Measure),
    Running(JoinHandle<Measure>),
}

impl S3Upload {
    pub(crate) async fn create(space: S3Space, id: ContentId) -> Result<Self, FilesError> {
        Ok(Self {
            key: space.key(id),
            space,
            id,
            batch: Batch::default(),
            hashing: Hashing::Idle(Measure::new()),
            multipart: None,
            started: 0,
            sending: JoinSet::new(),
            sent: Vec::new(),
        })
    }

    pub(crate) async fn write(&mut self, mut piece: Bytes) -> Result<(), FilesError> {
        while !piece.is_empty() {
            let room = PART - self.batch.len();
            self.batch.push(piece.split_to(room.min(piece.len())));
            // A part is sent when more is to come, so that what fits into one is sent in one request.
            if self.batch.len() == PART {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<(), FilesError> {
        if self.started == MAX_PARTS {
            return Err(FilesError::TooLarge {
                limit: (MAX_PARTS * PART) as u64,
            });
        }
        while self.sending.len() >= IN_FLIGHT {
            self.await_part().await?;
        }
        let multipart = match &self.multipart {
            Some(multipart) => multipart.clone(),
            None => {
                let begun = self.space.bucket.store.create_multipart(&self.key).await;
                self.multipart.insert(begun.map_err(about(self.id, DURING))?).clone()
            }
        };
        let pieces = self.batch.take();
        self.hash(pieces.clone()).await?;
        let (bucket, key, index) = (self.space.bucket.clone(), self.key.clone(), self.started);
        self.started += 1;
        self.sending.spawn(async move {
            let payload = PutPayload::from_iter(pieces);
            let part = bucket.store.put_part(&key, &multipart, index, payload).await?;
            Ok((index, part))
        });
        Ok(())
    }

    async fn await_part(&mut self) -> Result<(), FilesError> {
        if let Some(part) = self.sending.join_next().await {
            let part = part.map_err(|error| FilesError::internal(DURING, error))?;
            self.sent.push(part.map_err(about(self.id, DURING))?);
        }
        Ok(())
    }

    /// Has the next pieces hashed in the background, when those before are.
    async fn hash(&mut self, pieces: Vec<Bytes>) -> Result<(), FilesError> {
        let mut measure = self.measure().await?;
        self.hashing = Hashing::Running(tokio::task::spawn_blocking(move || {
            for piece in &pieces {
                measure.update(piece);
            }
            measure
        }));
        Ok(())
    }

    async fn measure(&mut self) -> Result<Measure, FilesError> {
        match &mut self.hashing {
            Hashing::Idle(measure) => Ok(measure.clone()),
            Hashing::Running(hashing) => {
                let measure = hashing
                    .await
                    .map_err(|error| FilesError::internal("hashing a content", error))?;
                self.hashing = Hashing::Idle(measure.clone());
                Ok(measure)
            }
        }
    }

    pub(crate) async fn finish(mut self) -> Result<Written, FilesError> {
        match self.multipart.is_some() {
            true => self.finish_parts().await,
            false => self.finish_whole().await,
        }
    }

    async fn finish_whole(&mut self) -> Result<Written, FilesError> {
        let pieces = self.batch.take();
        self.hash(pieces.clone()).await?;
        let written = self.measure().await?.finish();
        let payload = PutPayload::from_iter(pieces);
        let store = &self.space.bucket.store;
        let put = store.put_opts(&self.key, payload.clone(), PutMode::Create.into()).await;
        match put {
            Ok(_) => return Ok(written),
            Err(error) if may_have_worked(&error) => {}
            Err(error) => return Err(about(self.id, DURING)(error)),
        }
        // It is not known whether the content was stored, or the storage cannot store conditionally. Ids are random: what is
        // there is either a content from before or this one, and then it has its size.
        match self.space.size(self.id).await? {
            Some(size) if size == written.size => return Ok(written),
            Some(_) => return Err(FilesError::Exists { id: self.id }),
            None => {}
        }
        let put = store.put_opts(&self.key, payload, PutMode::Overwrite.into()).await;
        put.map(|_| written).map_err(about(self.id, DURING))
    }

    async fn finish_parts(&mut self) -> Result<Written, FilesError> {
        if self.batch.len() > 0 {
            self.send_part().await?;
        }
        while !self.sending.is_empty() {
            self.await_part().await?;
        }
        let written = self.measure().await?.finish();
        if self.space.size(self.id).await?.is_some() {
            return Err(FilesError::Exists { id: self.id });
        }
        let Some(multipart) = self.multipart.clone() else {
            return Err(FilesError::broken_upload());
        };
        self.sent.sort_by_key(|(index, _)| *index);
        let parts = self.sent.drain(..).map(|(_, part)| part).collect();
        let completed = self
            .space
            .bucket
            .store
            .complete_multipart(&self.key, &multipart, parts)
            .await;
        if let Err(error) = completed {
            // A second attempt finds no upload when the first one had worked and its answer was lost.
            if self.space.size(self.id).await? != Some(written.size) {
                return Err(match about(self.id, DURING)(error) {
                    FilesError::NotFound { .. } => FilesError::internal(DURING, "the storage has lost the upload"),
                    error => error,
                });
            }
        }
        self.multipart = None;
        Ok(written)
    }

    pub(crate) async fn abort(mut self) {
        self.sending.shutdown().await;
        if let Some(multipart) = self.multipart.take() {
            abort(self.space.clone(), self.key.clone(), multipart).await;
        }
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        self.sending.abort_all();
        if let Some(multipart) = self.multipart.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(abort(self.space.clone(), self.key.clone(), multipart));
        }
    }
}

async fn abort(space: S3Space, key: Path, multipart: String) {
    if let Err(error) = space.bucket.store.abort_multipart(&key, &multipart).await {
        tracing::warn!(error = %error, "an interrupted upload could not be aborted; a lifecycle rule or a sweep removes it");
    }
}

/// Whether an attempt to store a content only if there is none can have stored it nevertheless, or was not understood.
fn may_have_worked(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::Generic { .. } => {
            // 501: the storage has no conditional writes.
            matches!(status_in(&error.to_string()), None | Some(500..=599))
        }
        object_store::Error::NotImplemented { .. } => true,
        _ => false,
    }
}
