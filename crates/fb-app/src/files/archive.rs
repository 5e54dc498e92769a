//! Buckets as archives on their way out: a file after the other, as whoever asks may read them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fb_archive::{ArchiveError, NewEntry, Writer};
use fb_auth::{FileOperation, Principal, authorize_file};
use fb_files::{Download, FilesError, media_type};
use fb_types::{BucketName, FileId, FilePath, FolderPath};

use super::{FileBody, ListWish, OpenFile};
use crate::{App, AppError};

/// Most files of one archive, which is what is taken back as well.
pub(super) const MAX_FILES: usize = 100_000;

/// Names that are listed at once.
const PAGE: usize = 1000;

/// Pieces of an archive are at least this long, except for the last one.
const PIECE: usize = 64 << 10;

/// From this size on a piece is compressed away from the threads that serve requests.
const HEAVY: usize = 16 << 10;

/// How often a file is looked up that is replaced at the same time.
const ATTEMPTS: usize = 3;

/// A bucket, or a folder of it, that is being packed. It holds names of up to a thousand files, a header of each file packed so far, and
/// two pieces of one content.
pub struct PackedBucket {
    app: Arc<App>,
    caller: Principal,
    bucket: BucketName,
    folder: FolderPath,
    /// Names that are to come, and the last one that was listed; `None` after the last page.
    names: VecDeque<String>,
    listed: Option<String>,
    /// `None` at the end.
    writer: Option<Writer>,
    content: Option<Content>,
}

/// The content that is being packed.
struct Content {
    body: FileBody,
    compress: bool,
}

impl App {
    /// Begins to pack the files of a bucket, or of a folder of it, that the caller may read. It takes the rights to list and to load.
    /// Names in the archive are relative to the folder.
    ///
    /// Each file is in whole, as it was when its turn came, or not in if it was deleted before. Files whose names no archive should
    /// have, such as drive letters, are left out. More than 100,000 files are [`AppError::TooLarge`].
    pub async fn pack_bucket(
        self: &Arc<Self>,
        caller: &Principal,
        bucket: &BucketName,
        folder: FolderPath,
    ) -> Result<PackedBucket, AppError> {
        let (known, _) = self.bucket(bucket).await?;
        authorize_file(caller, FileOperation::List, &known)?;
        authorize_file(caller, FileOperation::Load, &known)?;
        let mut packed = PackedBucket {
            app: self.clone(),
            caller: caller.clone(),
            bucket: bucket.clone(),
            folder,
            names: VecDeque::new(),
            listed: Some(String::new()),
            writer: Some(Writer::new()),
            content: None,
        };
        packed.list().await?;
        packed.check_number().await?;
        Ok(packed)
    }
}

impl PackedBucket {
    /// The next piece of the archive, never empty; `None` after the last one. After an error there is nothing more, and what was given
    /// is no archive. If the future is dropped, nothing more can be asked for.
    pub async fn next(&mut self) -> Option<Result<Bytes, AppError>> {
        let mut writer = self.writer.take()?;
        let mut ready = Vec::new();
        loop {
            let step = match self.step(writer).await {
                Ok(step) => step,
                Err(error) => return Some(Err(error)),
            };
            let Some(mut again) = step.writer else {
                ready.extend(step.ready);
                return Some(Ok(ready.into()));
            };
            append(&mut ready, again.take());
            if ready.len() >= PIECE {
                self.writer = Some(again);
                return Some(Ok(ready.into()));
            }
            writer = again;
        }
    }

    /// A piece of a content, or the beginning of the next file, or the end.
    async fn step(&mut self, mut writer: Writer) -> Result<Step, AppError> {
        if let Some(content) = &mut self.content {
            let compress = content.compress;
            match content.body.next().await {
                Some(piece) => return self.write(writer, piece?, compress).await,
                None => self.content = None,
            }
        }
        loop {
            if let Some(name) = self.names.pop_front() {
                if self.begin(&mut writer, &name).await? {
                    return Ok(Step::on(writer));
                }
            } else if self.listed.is_some() {
                self.list().await?;
            } else {
                let ready = writer.finish()?;
                return Ok(Step { writer: None, ready });
            }
        }
    }

    async fn write(&mut self, mut writer: Writer, piece: Bytes, compress: bool) -> Result<Step, AppError> {
        if !compress || piece.len() < HEAVY {
            writer.write(&piece)?;
            return Ok(Step::on(writer));
        }
        let turn = self.app.shared().heavy.clone().acquire_owned().await;
        let turn = turn.map_err(|e| AppError::internal("waiting for a turn", e))?;
        let work = move || {
            let _turn = turn;
            writer.write(&piece).map(|()| writer)
        };
        let written = tokio::task::spawn_blocking(work).await;
        Ok(Step::on(
            written.map_err(|e| AppError::internal("compressing a file", e))??,
        ))
    }

    /// Begins the file of this name, unless it is gone.
    async fn begin(&mut self, writer: &mut Writer, name: &str) -> Result<bool, AppError> {
        let id = FileId::new(self.bucket.clone(), FilePath::new(name)?);
        let Some((file, body)) = self.open(&id).await? else {
            return Ok(false);
        };
        let compress = media_type::is_compressible(file.media_type());
        let entry = NewEntry {
            name: name.strip_prefix(self.folder.as_str()).unwrap_or(name),
            modified: file.entry().updated_at,
            size: file.entry().size,
            compress,
        };
        match writer.begin(entry) {
            Ok(()) => {
                self.content = Some(Content { body, compress });
                Ok(true)
            }
            Err(ArchiveError::Refused { why, .. }) => {
                tracing::debug!(app = %self.app.id(), file = %id, "left out of an archive: {why}");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The file and its content; what was deleted meanwhile, or is not for the caller any more, is `None`.
    async fn open(&mut self, id: &FileId) -> Result<Option<(OpenFile, FileBody)>, AppError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let file = match self.app.open_file(&self.caller, id).await {
                Ok(file) => file,
                Err(AppError::NoFile(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            match self.app.body(&file, None).await {
                Ok(body) => return Ok(Some((file, body))),
                // It was replaced in between, and its old content is gone.
                Err(AppError::Files(FilesError::NotFound { .. })) if attempts < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn list(&mut self) -> Result<(), AppError> {
        let after = self.listed.take();
        let page = self.page(after).await?;
        if page.len() == PAGE {
            self.listed = page.last().cloned();
        }
        self.names = page.into();
        Ok(())
    }

    async fn page(&mut self, after: Option<String>) -> Result<Vec<String>, AppError> {
        let wish = ListWish {
            folder: self.folder.clone(),
            after: after.filter(|after| !after.is_empty()),
            is_deep: true,
            limit: Some(PAGE),
        };
        self.app.list_files(&self.caller, &self.bucket, wish).await
    }

    /// Counts the files beforehand: the number of headers that will have to be held is seen before anything is sent.
    async fn check_number(&mut self) -> Result<(), AppError> {
        let (mut number, mut after) = (self.names.len(), self.listed.clone());
        while after.is_some() {
            let page = self.page(after).await?;
            number += page.len();
            if number > MAX_FILES {
                return Err(AppError::TooLarge(format!(
                    "an archive has at most {MAX_FILES} files; ask for one folder after the other"
                )));
            }
            after = page.last().filter(|_| page.len() == PAGE).cloned();
        }
        Ok(())
    }
}

/// What a step leads to: the writer, unless the archive is complete.
struct Step {
    writer: Option<Writer>,
    ready: Vec<u8>,
}

impl Step {
    fn on(writer: Writer) -> Self {
        Self {
            writer: Some(writer),
            ready: Vec::new(),
        }
    }
}

fn append(ready: &mut Vec<u8>, more: Vec<u8>) {
    if ready.is_empty() {
        *ready = more;
    } else {
        ready.extend(more);
    }
}

impl FileBody {
    /// The next piece; `None` after the last one.
    async fn next(&mut self) -> Option<Result<Bytes, AppError>> {
        match self {
            Self::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()).map(Ok),
            Self::Stream(download) => Download::next(download).await.map(|piece| Ok(piece?)),
        }
    }
}
