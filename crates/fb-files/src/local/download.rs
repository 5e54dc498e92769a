//! Downloads: pieces are read on a blocking thread, one ahead of the caller.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use fb_types::ContentId;
use tokio::task::JoinHandle;

use super::{Place, blocking, io_error, joined};
use crate::FilesError;

/// Largest piece in bytes. A download holds two of them.
pub(super) const PIECE: u64 = 256 * 1024;

/// A content that is being read.
pub(crate) struct LocalDownload {
    id: ContentId,
    file: Arc<File>,
    /// Where the next piece begins that is not asked for yet.
    at: u64,
    end: u64,
    ready: Option<Bytes>,
    ahead: Option<JoinHandle<Result<Bytes, FilesError>>>,
}

impl LocalDownload {
    /// Opens a content and reads its first piece.
    pub(crate) async fn open(place: Arc<Place>, id: ContentId, range: Range<u64>) -> Result<Self, FilesError> {
        blocking(move || {
            let (file, size) = place.open(id)?;
            if range.end > size {
                return Err(FilesError::Corrupt {
                    id,
                    expected: range.end,
                    found: size,
                });
            }
            let first = range.start..range.end.min(range.start.saturating_add(PIECE));
            let ready = read_piece(&file, id, first.clone())?;
            Ok(Self {
                id,
                file: Arc::new(file),
                at: first.end,
                end: range.end,
                ready: Some(ready).filter(|piece| !piece.is_empty()),
                ahead: None,
            })
        })
        .await
    }

    /// The next piece. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, FilesError>> {
        let piece = match self.ready.take() {
            Some(piece) => piece,
            None => {
                let read = joined(self.ahead.as_mut()?.await);
                self.ahead = None;
                match read {
                    Ok(piece) => piece,
                    Err(error) => {
                        self.at = self.end;
                        return Some(Err(error));
                    }
                }
            }
        };
        self.read_ahead();
        Some(Ok(piece))
    }

    fn read_ahead(&mut self) {
        let range = self.at..self.end.min(self.at.saturating_add(PIECE));
        if range.is_empty() {
            return;
        }
        self.at = range.end;
        let (file, id) = (Arc::clone(&self.file), self.id);
        self.ahead = Some(tokio::task::spawn_blocking(move || read_piece(&file, id, range)));
    }
}

/// Reads exactly `range`.
pub(super) fn read_piece(file: &File, id: ContentId, range: Range<u64>) -> Result<Bytes, FilesError> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let len =
        usize::try_from(range.end - range.start).map_err(|error| FilesError::internal("reading a content", error))?;
    let mut piece = Vec::with_capacity(len);
    while piece.len() < len {
        let at = range.start + piece.len() as u64;
        match read_more(file, &mut piece, at) {
            Ok(0) => {
                return Err(FilesError::Corrupt {
                    id,
                    expected: range.end,
                    found: at,
                });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error("reading a content")(error)),
        }
    }
    // An allocator may have given more than was asked for.
    piece.truncate(len);
    Ok(Bytes::from(piece))
}

/// Appends what is at `at`, as much as fits. The memory is not zeroed first: that would cost a tenth of the throughput.
#[cfg(unix)]
fn read_more(file: &File, piece: &mut Vec<u8>, at: u64) -> io::Result<usize> {
    Ok(rustix::io::pread(file, rustix::buffer::spare_capacity(piece), at)?)
}

#[cfg(not(unix))]
fn read_more(mut file: &File, piece: &mut Vec<u8>, at: u64) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    // Pieces of one download are read one after the other: nobody else moves the position.
    file.seek(SeekFrom::Start(at))?;
    let room = piece.capacity() - piece.len();
    file.take(room as u64).read_to_end(piece)
}
