//! Files of uploads under way, and the removal of those whose process is gone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use fb_types::{ContentId, Timestamp};

use super::place::{Place, create_new, do_not_follow, ensure_directory, is_missing, sync_directory};
use super::{blocking, io_error};
use crate::FilesError;

/// Names that are tried for one upload. A second one is needed only when a sweep meets the file between its creation and its
/// lock.
const ATTEMPTS: usize = 4;

/// A file that is removed unless it is published. It is locked, so that nobody takes it for a leftover.
pub(super) struct Temporary {
    pub(super) file: File,
    path: PathBuf,
}

impl Temporary {
    pub(super) fn create(place: &Place, id: ContentId) -> Result<Self, FilesError> {
        let directory = place.temporary();
        ensure_directory(&directory).map_err(io_error("creating the directory of uploads"))?;
        for _ in 0..ATTEMPTS {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|error| FilesError::internal("naming an upload", error))?;
            let path = directory.join(format!("{id}.{:016x}", u64::from_ne_bytes(random)));
            let file = create_new(&path).map_err(io_error("creating the file of an upload"))?;
            let temporary = Self { file, path };
            // File systems without locks: leftovers are then found by their age only.
            if matches!(temporary.file.try_lock(), Err(TryLockError::WouldBlock)) {
                continue;
            }
            if temporary
                .path
                .try_exists()
                .map_err(io_error("creating the file of an upload"))?
            {
                return Ok(temporary);
            }
        }
        Err(FilesError::internal(
            "creating the file of an upload",
            "it disappeared again and again",
        ))
    }

    /// One that writes to a file of the caller's choice.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn over(file: File, path: PathBuf) -> Self {
        Self { file, path }
    }

    /// Gives the flushed file its final name, unless that is taken, and makes the name durable. `Ok(false)`: it is taken.
    pub(super) fn publish(self, directory: &Path, path: &Path) -> Result<bool, FilesError> {
        self.file.sync_all().map_err(io_error("flushing a content"))?;
        ensure_directory(directory).map_err(io_error("creating a directory of contents"))?;
        // A second name, because a rename would replace what is there.
        match std::fs::hard_link(&self.path, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if has_no_links(&error) => {
                // Names are random: nobody else creates this one between the look and the rename.
                if super::place::is_there(path)? {
                    return Ok(false);
                }
                std::fs::rename(&self.path, path).map_err(io_error("naming a content"))?;
            }
            Err(error) => return Err(io_error("naming a content")(error)),
        }
        sync_directory(directory).map_err(io_error("flushing a directory of contents"))?;
        Ok(true)
    }

    /// Gives the flushed file its final name, also if that replaces what had it.
    pub(super) fn replace(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing left under this name, which is as well.
        if let Err(error) = std::fs::remove_file(&self.path)
            && !is_missing(&error)
        {
            tracing::warn!(error = %error, "the file of an upload could not be removed; the next sweep tries again");
        }
    }
}

/// Whether the file system has no second names for files.
fn has_no_links(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied | io::ErrorKind::CrossesDevices
    )
}

impl Place {
    /// Removes what earlier processes left, once.
    pub(super) async fn sweep_once(self: &Arc<Self>) {
        let swept = self.swept.get_or_try_init(|| async {
            let place = Arc::clone(self);
            let removed = blocking(move || place.sweep_now(None)).await?;
            if removed > 0 {
                tracing::info!(removed, "removed {removed} files of interrupted uploads");
            }
            Ok::<(), FilesError>(())
        });
        if let Err(error) = swept.await {
            // Leftovers take space but hinder nobody; the next upload tries again.
            tracing::warn!(error = %error, "the files of interrupted uploads could not be removed");
        }
    }

    /// Removes files of uploads whose process is gone and, where files cannot be locked, those not written to since `before`.
    pub(crate) async fn sweep(self: &Arc<Self>, before: Timestamp) -> Result<u64, FilesError> {
        let place = Arc::clone(self);
        blocking(move || place.sweep_now(Some(before))).await
    }

    fn sweep_now(&self, before: Option<Timestamp>) -> Result<u64, FilesError> {
        const DURING: &str = "looking for interrupted uploads";
        let entries = match std::fs::read_dir(self.temporary()) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(0),
            Err(error) => return Err(io_error(DURING)(error)),
        };
        let mut removed = 0;
        for entry in entries {
            let path = entry.map_err(io_error(DURING))?.path();
            if is_leftover(&path, before).map_err(io_error(DURING))? {
                match std::fs::remove_file(&path) {
                    Ok(()) => removed += 1,
                    Err(error) if is_missing(&error) => {}
                    Err(error) => return Err(io_error("removing an interrupted upload")(error)),
                }
            }
        }
        Ok(removed)
    }
}

fn is_leftover(path: &Path, before: Option<Timestamp>) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    do_not_follow(&mut options);
    let file = match options.open(path) {
        Ok(file) => file,
        // Gone in the meantime; or nothing of ours, such as a directory or a link.
        Err(_) => return Ok(false),
    };
    match file.try_lock() {
        // Its process is gone.
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(_)) => {
            let Some(before) = before else { return Ok(false) };
            let modified = file.metadata()?.modified()?;
            let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(i64::try_from(age.as_millis()).is_ok_and(|millis| millis < before.millis()))
        }
    }
}
