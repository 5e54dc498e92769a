//! Backups: the store's copy, and beside it the contents of files.
//!
//! Contents never change, so a folder of them can be used for one backup after the other: only new ones are copied. They
//! are copied before the store and once more after it; what the store's copy refers to is then there, because a content
//! stays for a while after its file is gone.

use std::path::{Path, PathBuf};

use fb_files::{Contents, FilesError};
use fb_store::FileList;
use fb_types::{AppId, ContentId, FileEntry, FileId, FilePath, FolderPath};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{App, AppError, Apps};

/// The node's record of an app's last backup.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Backup {
    /// Tells the app from a later one of the same name.
    pub(crate) app_created_at: i64,
    pub(crate) at: i64,
}

pub(crate) fn backup_key(app: &AppId) -> String {
    format!("backup/{app}")
}

/// Contents that were copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// How many there are.
    pub contents: u64,
    /// How many of them were copied now; the others had been before.
    pub new: u64,
    /// Bytes that were copied.
    pub bytes: u64,
}

/// Ids that are listed at once.
const LISTED: usize = 1000;
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

fn failed(during: &'static str) -> impl Fn(std::io::Error) -> AppError {
    move |error| AppError::internal(during, error)
}

const SAVING: &str = "copying contents of files";
const RESTORING: &str = "bringing back contents of files";

impl Apps {
    /// Writes a consistent copy of an app to a new file, and remembers when. Returns its size in bytes. With `files`, a
    /// folder, the contents of its files are copied there; else they are left out. `progress` hears of every content.
    pub async fn back_up(
        &self,
        id: &AppId,
        to: &Path,
        files: Option<&Path>,
        mut progress: impl FnMut(Copied),
    ) -> Result<(u64, Copied), AppError> {
        // What the copy holds is at least as new as this.
        let at = self.shared().clock.now().millis();
        let contents = self.shared().files.app(id);
        let mut copied = Copied::default();
        if let Some(dir) = files {
            save_new(&contents, dir, &mut copied, &mut progress).await?;
        }
        let bytes = self.node().backup(id, to).await?;
        if let Some(dir) = files {
            copied.contents = 0;
            save_new(&contents, dir, &mut copied, &mut progress).await?;
        }
        let Some(app) = self.list().await?.into_iter().find(|app| app.id == *id) else {
            return Ok((bytes, copied));
        };
        let backup = Backup {
            app_created_at: app.created_at.millis(),
            at,
        };
        let value = serde_json::to_vec(&backup).map_err(|e| AppError::internal("writing a record", e))?;
        let key = backup_key(id);
        let old = self.node().record(&key).await?;
        // If another backup ended at the same time, its note is as good.
        self.node().swap_record(&key, old.as_deref(), Some(&value)).await?;
        Ok((bytes, copied))
    }

    /// Brings the contents of its files back to an app that was restored, as far as they are not there: those and no others,
    /// because the folder may be that of many backups, of other apps too. Gives what was copied, and files whose content is
    /// neither there nor in `dir`, at most `limit`.
    pub async fn restore_contents(
        &self,
        id: &AppId,
        dir: Option<&Path>,
        limit: usize,
        mut progress: impl FnMut(Copied),
    ) -> Result<(Copied, Vec<FileId>), AppError> {
        let (mut copied, mut missing) = (Copied::default(), Vec::new());
        let Some(app) = App::look(self.node(), id.clone(), self.shared().clone()).await? else {
            return Ok((copied, missing));
        };
        let done = app
            .restore_contents(dir, limit, &mut copied, &mut missing, &mut progress)
            .await;
        app.close().await;
        done.map(|()| (copied, missing))
    }
}

impl App {
    async fn restore_contents(
        &self,
        dir: Option<&Path>,
        limit: usize,
        copied: &mut Copied,
        missing: &mut Vec<FileId>,
        progress: &mut impl FnMut(Copied),
    ) -> Result<(), AppError> {
        for bucket in self.store().buckets().await? {
            let grant = fb_auth::system(fb_auth::Errand::KeepBuckets).files(&bucket.name);
            let mut list = FileList {
                folder: FolderPath::root(),
                after: None,
                is_deep: true,
                limit: LISTED,
            };
            loop {
                let names = self.store().files(&grant, &list).await?;
                for name in &names {
                    let path = FilePath::new(name)?;
                    let Some(entry) = self.store().file(&grant, &path).await? else {
                        continue;
                    };
                    copied.contents += 1;
                    if self.contents().size(entry.content).await? == Some(entry.size) {
                        continue;
                    }
                    match bring_back(self.contents(), &entry, dir).await? {
                        true => {
                            copied.new += 1;
                            copied.bytes += entry.size;
                        }
                        false if missing.len() < limit => {
                            missing.push(FileId::new(bucket.name.clone(), path));
                        }
                        false => {}
                    }
                    progress(*copied);
                }
                match names.into_iter().next_back() {
                    Some(last) => list.after = Some(last),
                    None => break,
                }
            }
        }
        Ok(())
    }
}

/// False if the content is not in `dir`, or not in full.
async fn bring_back(contents: &Contents, entry: &FileEntry, dir: Option<&Path>) -> Result<bool, AppError> {
    let Some(from) = dir.map(|dir| place(dir, entry.content)) else {
        return Ok(false);
    };
    match tokio::fs::metadata(&from).await {
        Ok(found) if found.len() == entry.size => load(contents, entry.content, &from).await.map(|()| true),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(RESTORING)(error)),
    }
}

/// Copies the contents that are not in `dir` yet.
async fn save_new(
    contents: &Contents,
    dir: &Path,
    copied: &mut Copied,
    progress: &mut impl FnMut(Copied),
) -> Result<(), AppError> {
    let mut after = None;
    loop {
        let ids = contents.list(after, LISTED).await?;
        for id in &ids {
            let to = place(dir, *id);
            if !tokio::fs::try_exists(&to).await.map_err(failed(SAVING))? {
                match save(contents, *id, &to).await {
                    Ok(bytes) => {
                        copied.new += 1;
                        copied.bytes += bytes;
                    }
                    // Removed meanwhile: nothing refers to it.
                    Err(AppError::Files(FilesError::NotFound { .. })) => continue,
                    Err(error) => return Err(error),
                }
            }
            copied.contents += 1;
            progress(*copied);
        }
        match ids.last() {
            Some(last) if ids.len() == LISTED => after = Some(*last),
            _ => return Ok(()),
        }
    }
}

fn place(dir: &Path, id: ContentId) -> PathBuf {
    let name = id.to_string();
    dir.join(&name[..2]).join(&name)
}

/// Writes a content to a file that is there in full or not at all.
async fn save(contents: &Contents, id: ContentId, to: &Path) -> Result<u64, AppError> {
    let failed = failed(SAVING);
    let size = contents.size(id).await?.ok_or(FilesError::NotFound { id })?;
    let mut download = contents.open(id, 0..size).await?;
    if let Some(parent) = to.parent() {
        tokio::fs::create_dir_all(parent).await.map_err(&failed)?;
    }
    let draft = to.with_extension("partial");
    let mut file = tokio::fs::File::create(&draft).await.map_err(&failed)?;
    while let Some(piece) = download.next().await {
        file.write_all(&piece?).await.map_err(&failed)?;
    }
    file.sync_all().await.map_err(&failed)?;
    drop(file);
    tokio::fs::rename(&draft, to).await.map_err(&failed)?;
    Ok(size)
}

async fn load(contents: &Contents, id: ContentId, from: &Path) -> Result<(), AppError> {
    let failed = failed(RESTORING);
    let mut upload = contents.create(id).await?;
    let mut file = tokio::fs::File::open(from).await.map_err(&failed)?;
    loop {
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        if file.read_buf(&mut piece).await.map_err(&failed)? == 0 {
            break;
        }
        upload.write(piece.freeze()).await?;
    }
    upload.finish().await?;
    Ok(())
}
