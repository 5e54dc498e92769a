//! Archives on their way in: checked wholly, then unpacked a file after the other, each like an ordinary upload.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use fb_archive::{Archive, Limits};
use fb_auth::{FileAction, FileGrant, FileOperation, Principal, authorize_file};
use fb_store::verdict;
use fb_types::{BucketName, FileEntry, FileId, FilePath, FolderPath};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::archive::MAX_FILES;
use super::incoming::{Incoming, Receive};
use super::spool::Spooled;
use super::{FileCondition, NewFile, NewRules, Uploading};
use crate::{App, AppError};

/// Archives that are unpacked at once, of all apps of the process; more wait. Each keeps a thread and about a megabyte.
static UNPACKING: Semaphore = Semaphore::const_new(4);

/// How much is unpacked at once.
const PIECE: usize = 128 << 10;

/// Pieces that are unpacked ahead of what is written.
const AHEAD: usize = 4;

/// Small files that are committed at the same time, and what is small.
const COMMITTING: usize = 8;
const SMALL: u64 = 256 << 10;

/// An archive may unpack to so many times the largest file.
const TOTAL: u64 = 4;

/// An archive that is being uploaded.
pub struct UploadingArchive {
    caller: Principal,
    target: Target,
    grant: FileGrant,
    incoming: Incoming,
}

/// Where the files of an archive go.
struct Target {
    bucket: BucketName,
    folder: FolderPath,
}

impl Target {
    fn id(&self, name: &str) -> Result<FileId, AppError> {
        let path = format!("{}{name}", self.folder.as_str());
        Ok(FileId::new(self.bucket.clone(), FilePath::new(&path)?))
    }
}

impl App {
    /// Begins to upload an archive whose files go into a bucket, or a folder of it. It takes the rights to insert and to update.
    pub async fn begin_archive(
        &self,
        caller: &Principal,
        bucket: &BucketName,
        folder: FolderPath,
    ) -> Result<UploadingArchive, AppError> {
        let grant = self.archive_grant(caller, bucket).await?;
        Ok(UploadingArchive {
            caller: caller.clone(),
            target: Target {
                bucket: bucket.clone(),
                folder,
            },
            grant,
            incoming: Incoming::begin(self, "the archive", self.limits().file_bytes).await?,
        })
    }

    async fn archive_grant(&self, caller: &Principal, bucket: &BucketName) -> Result<FileGrant, AppError> {
        let (known, _) = self.bucket(bucket).await?;
        let grant = authorize_file(caller, FileOperation::ForceUpload, &known)?;
        match known.is_closing {
            true => Err(AppError::BucketClosing(bucket.clone())),
            false => Ok(grant),
        }
    }
}

impl Receive for UploadingArchive {
    async fn write(&mut self, piece: Bytes) -> Result<(), AppError> {
        self.incoming.write(piece).await
    }

    async fn abort(self) {
        self.incoming.abort().await;
    }
}

impl UploadingArchive {
    /// Unpacks what was uploaded: new files, and new contents of files that are there; rules and headers of these stay. Gives their ids,
    /// sorted.
    ///
    /// Before the first file is written, the whole archive is checked: names, limits, checksums, and the caller's rights to each file as
    /// it is then. An error before that changes nothing. An error or an end of the process after that leaves each file whole,
    /// old or new; [`AppError::InArchive`] says which could not be written.
    pub async fn finish(self, app: &App) -> Result<Vec<FileId>, AppError> {
        // The archive is no file's and goes when this is dropped.
        let (spool, written) = self.incoming.finish().await?;
        let file_bytes = app.limits().file_bytes;
        let limits = Limits {
            entries: MAX_FILES as u64,
            entry_bytes: file_bytes,
            total_bytes: file_bytes.saturating_mul(TOTAL),
            ..Limits::default()
        };
        let turn = UNPACKING.acquire().await;
        let turn = turn.map_err(|e| AppError::internal("waiting for a turn", e))?;
        let spooled = Spooled::new(app.contents().clone(), spool.id(), written.size);
        let worker = Worker {
            archive: blocking(move || Ok(Archive::open(spooled, &limits)?)).await?,
            is_unwanted: Arc::default(),
            _turn: turn,
        };
        let _until_here = Unwanted(worker.is_unwanted.clone());
        let mut ids = Vec::with_capacity(worker.archive.entries().len());
        for entry in worker.archive.entries() {
            let id = self.target.id(entry.name())?;
            let known = app.entry_of(&id).await?;
            may_write(&self.grant, &id, known.as_deref().map(|known| &known.entry))?;
            ids.push(id);
        }
        let worker = blocking(move || worker.check()).await?;
        let (sender, steps) = mpsc::channel(AHEAD);
        let unpacking = tokio::task::spawn_blocking(move || worker.unpack(&sender));
        write_all(app, &self.caller, &ids, steps).await?;
        unpacking
            .await
            .map_err(|e| AppError::internal("unpacking an archive", e))?;
        ids.sort();
        Ok(ids)
    }
}

fn may_write(grant: &FileGrant, id: &FileId, before: Option<&FileEntry>) -> Result<(), AppError> {
    verdict(grant, FileAction::Upload, before, Ok(())).map_err(|refusal| AppError::InArchive {
        id: id.clone(),
        written: 0,
        error: Box::new(AppError::from_file_refusal(refusal, id)),
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| AppError::internal("reading an archive", e))?
}

/// Tells the thread that unpacks that nobody waits for it any more.
struct Unwanted(Arc<AtomicBool>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What is done on a thread that may block. It has its turn until it ends, also if the client is gone.
struct Worker {
    archive: Archive<Spooled>,
    is_unwanted: Arc<AtomicBool>,
    _turn: SemaphorePermit<'static>,
}

/// What comes out of an archive. The files come in the order of their entries.
enum Step {
    /// A file of this size begins.
    File(u64),
    Piece(Bytes),
    /// The file is complete.
    End,
    /// It cannot be read any further.
    Failed(AppError),
}

impl Worker {
    /// Unpacks everything without keeping it, so that damage is seen before anything is replaced.
    fn check(mut self) -> Result<Self, AppError> {
        let mut buffer = vec![0; PIECE];
        for number in 0..self.archive.entries().len() {
            let Some(content) = self.archive.content(number) else {
                break;
            };
            let mut content = content?;
            while content.read(&mut buffer)? > 0 {
                if self.is_unwanted.load(Ordering::Acquire) {
                    return Err(AppError::internal("reading an archive", "nobody waits for it any more"));
                }
            }
        }
        Ok(self)
    }

    /// Sends everything, until nobody takes it any more.
    fn unpack(mut self, to: &mpsc::Sender<Step>) {
        let mut send = |step| to.blocking_send(step).is_ok();
        for number in 0..self.archive.entries().len() {
            match unpack_one(&mut self.archive, number, &mut send) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    send(Step::Failed(error));
                    return;
                }
            }
        }
    }
}

/// False if nobody takes it any more.
fn unpack_one(
    archive: &mut Archive<Spooled>,
    number: usize,
    send: &mut impl FnMut(Step) -> bool,
) -> Result<bool, AppError> {
    let Some(content) = archive.content(number) else {
        return Ok(true);
    };
    let mut content = content?;
    if !send(Step::File(content.entry().size())) {
        return Ok(false);
    }
    loop {
        let rest = usize::try_from(content.left()).unwrap_or(usize::MAX);
        let mut piece = vec![0; rest.clamp(1, PIECE)];
        let n = content.read(&mut piece)?;
        piece.truncate(n);
        let step = if n == 0 { Step::End } else { Step::Piece(piece.into()) };
        if !send(step) {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

/// Writes the files `ids`, whose contents come in the same order. Small ones are committed while the next are taken.
async fn write_all(
    app: &App,
    caller: &Principal,
    ids: &[FileId],
    mut steps: mpsc::Receiver<Step>,
) -> Result<(), AppError> {
    let mut written = 0;
    let mut committing = FuturesUnordered::new();
    let failed = |id: &FileId, written, error| AppError::InArchive {
        id: id.clone(),
        written,
        error: Box::new(error),
    };
    let finish = async |id: FileId, uploading: Uploading| (id, uploading.finish(app).await.map(drop));
    for id in ids {
        let mut uploading: Option<Uploading> = None;
        let mut at_once = 1;
        loop {
            let step = match steps.recv().await {
                Some(step) => step,
                None => Step::Failed(AppError::internal("unpacking an archive", "it ended too early")),
            };
            let done = match (step, &mut uploading) {
                (Step::File(size), _) => {
                    at_once = if size <= SMALL { COMMITTING } else { 1 };
                    let begun = app.begin_upload(caller, id, contained(size)).await;
                    begun.map(|begun| uploading = Some(begun))
                }
                (Step::Piece(piece), Some(uploading)) => uploading.write(piece).await,
                (Step::Failed(error), _) => Err(error),
                (Step::End, _) => break,
                (Step::Piece(_), None) => Err(AppError::internal("unpacking an archive", "a content without a file")),
            };
            if let Err(error) = done {
                // What is on its way already is whole.
                while let Some((_, result)) = committing.next().await {
                    written += usize::from(Result::is_ok(&result));
                }
                return Err(failed(id, written, error));
            }
        }
        if let Some(uploading) = uploading {
            committing.push(finish(id.clone(), uploading));
        }
        while committing.len() >= at_once {
            let Some((id, result)) = committing.next().await else {
                break;
            };
            match result {
                Ok(()) => written += 1,
                Err(error) => return Err(failed(&id, written, error)),
            }
        }
    }
    while let Some((id, result)) = committing.next().await {
        match result {
            Ok(()) => written += 1,
            Err(error) => return Err(failed(&id, written, error)),
        }
    }
    Ok(())
}

/// A file of an archive: its type is told from name and content, what is there keeps its rules and headers.
fn contained(size: u64) -> NewFile {
    NewFile {
        condition: FileCondition::None,
        media_type: None,
        rules: NewRules::Unchanged,
        headers: None,
        size: Some(size),
    }
}
