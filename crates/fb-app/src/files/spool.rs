//! An archive that lies in the storage of files while it is unpacked: a content that was announced and never becomes a file's.
//!
//! There it counts as what the app stores, wherever that is, and whatever is cut off is found again and removed.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use fb_files::{Contents, Download, FilesError};
use fb_types::ContentId;
use tokio::runtime::Handle;

/// What lies so little ahead is read through; further on it is asked for anew.
const AHEAD: u64 = 1 << 20;

/// A content as a file that can be read from anywhere. Only for threads that may block.
pub(super) struct Spooled {
    runtime: Handle,
    contents: Contents,
    id: ContentId,
    size: u64,
    at: u64,
    /// What is being read, and the piece that came last with the place it begins at.
    flow: Option<Download>,
    piece: Bytes,
    piece_at: u64,
}

impl Spooled {
    /// A content of this size.
    pub(super) fn new(contents: Contents, id: ContentId, size: u64) -> Self {
        Self {
            runtime: Handle::current(),
            contents,
            id,
            size,
            at: 0,
            flow: None,
            piece: Bytes::new(),
            piece_at: 0,
        }
    }

    fn piece_end(&self) -> u64 {
        self.piece_at + self.piece.len() as u64
    }

    /// Gets the piece with the byte at the current place, which is not behind the end.
    fn fetch(&mut self) -> Result<(), FilesError> {
        if self.flow.is_none() || self.at < self.piece_at || self.at > self.piece_end() + AHEAD {
            let open = self.contents.open(self.id, self.at..self.size);
            self.flow = Some(self.runtime.block_on(open)?);
            (self.piece, self.piece_at) = (Bytes::new(), self.at);
        }
        while self.at >= self.piece_end() {
            let Some(flow) = &mut self.flow else { break };
            let Some(piece) = self.runtime.block_on(flow.next()).transpose()? else {
                return Err(FilesError::Corrupt {
                    id: self.id,
                    expected: self.size,
                    found: self.piece_end(),
                });
            };
            (self.piece_at, self.piece) = (self.piece_end(), piece);
        }
        Ok(())
    }
}

impl Read for Spooled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        if !(self.piece_at..self.piece_end()).contains(&self.at)
            && let Err(error) = self.fetch()
        {
            self.flow = None;
            return Err(io::Error::other(error));
        }
        let start = usize::try_from(self.at - self.piece_at).unwrap_or(usize::MAX);
        let found = self.piece.get(start..).unwrap_or_default();
        let n = found.len().min(buffer.len());
        buffer[..n].copy_from_slice(&found[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Spooled {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
