//! A content that is coming in: announced, written, and no file's yet.

use bytes::Bytes;
use fb_files::{Upload, Written};
use fb_store::{Batch, ContentWrite, Outcome, StoreError, Write};
use fb_types::ContentId;
use tokio::task::JoinHandle;

use super::collect::Pending;
use crate::{App, AppError};

/// What a body is taken into, piece by piece.
pub trait Receive: Sized {
    /// Takes the next piece.
    fn write(&mut self, piece: Bytes) -> impl Future<Output = Result<(), AppError>> + Send;

    /// Gives up, and waits until what was written is gone.
    fn abort(self) -> impl Future<Output = ()> + Send;
}

/// A content with a random id, of at most `limit` bytes. Dropping it removes it.
pub(super) struct Incoming {
    content: Pending,
    upload: Upload,
    announced: JoinHandle<Result<Vec<Outcome>, StoreError>>,
    /// What is being taken, for errors.
    what: &'static str,
    size: u64,
    limit: u64,
}

impl Incoming {
    /// Announces a content and begins to write it. The flush of the announcement takes place while the content comes in.
    pub(super) async fn begin(app: &App, what: &'static str, limit: u64) -> Result<Self, AppError> {
        let random = fb_auth::random_bytes().map_err(|e| AppError::internal("making an id", e))?;
        let id = ContentId::from_bytes(random);
        let store = app.store_handle();
        let announced = tokio::spawn(async move {
            let writes = vec![Write::Content(ContentWrite::Announce(id))];
            store.commit(Batch { writes }).await
        });
        Ok(Self {
            content: Pending::new(app, id),
            upload: app.contents().create(id).await?,
            announced,
            what,
            size: 0,
            limit,
        })
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn too_large(&self, size: u64) -> AppError {
        too_large(self.what, size, self.limit)
    }

    /// Completes the content. Once this has begun it goes on although nobody waits for it: a content whose removal came
    /// before its completion would be on no list any more, and stay for ever.
    pub(super) async fn finish(self) -> Result<(Pending, Written), AppError> {
        let Self {
            content,
            upload,
            announced,
            ..
        } = self;
        let work = async move {
            let announced = announced.await;
            announced.map_err(|e| AppError::internal("announcing a content", e))??;
            let written = upload.finish().await?;
            Ok((content, written))
        };
        let done = tokio::spawn(work).await;
        done.map_err(|e| AppError::internal("completing a content", e))?
    }
}

impl Receive for Incoming {
    async fn write(&mut self, piece: Bytes) -> Result<(), AppError> {
        self.size += piece.len() as u64;
        if self.size > self.limit {
            return Err(self.too_large(self.size));
        }
        Ok(self.upload.write(piece).await?)
    }

    async fn abort(self) {
        self.upload.abort().await;
    }
}

/// It does not fit.
pub(super) fn too_large(what: &str, size: u64, limit: u64) -> AppError {
    AppError::TooLarge(format!("{what} has {size} bytes or more, at most {limit} are allowed"))
}
