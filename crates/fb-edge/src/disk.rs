//! Bodies on disk, for answers that are large.
//!
//! Only bodies: what they belong to, how fresh it is and who may have it stays in memory, so that what is on disk means nothing without this
//! process, and a restart begins with nothing. One file per body, removed when the last one who reads it is done.
//!
//! Not `foyer` (0.22), whose hybrid cache has this and more: of 26 further packages, a C library among them, an edge would use a queue. What it
//! is for beyond that, to find answers again after a restart, is what must not happen here: their marks of purges would be gone.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// What the names of files begin with; others are not touched.
const PREFIX: &str = "freshbase-edge-";

/// Bodies on disk, limited by bytes.
pub(crate) struct Disk {
    dir: PathBuf,
    next: AtomicU64,
    /// Without this nobody can make a file that is taken for a body.
    hasher: RandomState,
    pieces: Cache<u64, Arc<Piece>, Bodies>,
}

/// A body on disk. Its file goes with it.
#[derive(Debug)]
pub(crate) struct Piece {
    path: PathBuf,
    len: u64,
    print: u64,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Bodies;

impl Weighter<u64, Arc<Piece>> for Bodies {
    fn weight(&self, _: &u64, piece: &Arc<Piece>) -> u64 {
        // Files take whole blocks.
        piece.len.next_multiple_of(4096)
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Disk {
    /// Makes the directory if need be, and removes what an earlier process left there.
    pub(crate) fn open(dir: &Path, n_bytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        let n_expected = usize::try_from(n_bytes >> 16).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Ok(Self {
            dir: dir.to_owned(),
            next: AtomicU64::new(1),
            hasher: RandomState::new(),
            pieces: Cache::with_weighter(n_expected, n_bytes, Bodies),
        })
    }

    /// Bytes that are taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.pieces.weight()
    }

    /// Writes a body. `None` if that fails, or if there is no room for it.
    pub(crate) async fn put(&self, body: Bytes) -> Option<Arc<Piece>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{PREFIX}{}-{number}", std::process::id()));
        // From here on the file goes whatever happens.
        let piece = Arc::new(Piece {
            path: path.clone(),
            len: body.len() as u64,
            print: self.hasher.hash_one(&body[..]),
            hasher: self.hasher.clone(),
        });
        if let Err(error) = write(path, body).await {
            tracing::warn!(error = %error, "a large answer could not be written to disk");
            return None;
        }
        self.pieces.insert(number, piece.clone());
        Some(piece)
    }
}

async fn write(path: PathBuf, body: Bytes) -> io::Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        io::Write::write_all(&mut options.open(path)?, &body)
    });
    written.await.map_err(io::Error::other)?
}

impl Piece {
    /// `None` if it is not what was written.
    pub(crate) async fn read(self: Arc<Self>) -> Option<Bytes> {
        let read = tokio::task::spawn_blocking(move || {
            let body = std::fs::read(&self.path).ok()?;
            (self.hasher.hash_one(&body[..]) == self.print).then(|| Bytes::from(body))
        });
        read.await.ok().flatten()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Where it could not be written there is none; what else stays behind the next start removes.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    #[tokio::test]
    async fn bodies_are_read_as_they_were_written_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("freshbase-edge-1-1"), "of an earlier process").unwrap();
        std::fs::write(dir.path().join("notes"), "somebody else's").unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        assert_eq!(files(dir.path()), [dir.path().join("notes")]);
        let piece = disk.put(Bytes::from_static(b"body")).await.unwrap();
        assert_eq!(piece.clone().read().await.as_deref(), Some(&b"body"[..]));
        std::fs::write(&piece.path, "evil").unwrap();
        assert_eq!(piece.read().await, None);
    }

    #[tokio::test]
    async fn room_is_made_for_what_comes_and_files_go_with_their_last_reader() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        let first = disk.put(vec![1; 100_000].into()).await.unwrap();
        let mut others = 0;
        for n in 0..40 {
            others += usize::from(disk.put(vec![n; 100_000].into()).await.is_some());
        }
        assert_eq!(others, 40);
        assert!(disk.bytes() <= 1 << 20 && files(dir.path()).len() <= 12);
        assert!(first.clone().read().await.is_some(), "somebody still has it");
        let path = first.path.clone();
        drop(first);
        drop(disk);
        assert!(!path.try_exists().unwrap() && files(dir.path()).is_empty());
    }
}
