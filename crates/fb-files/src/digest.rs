//! Pieces on their way to storage: collected until a step is worth it, and hashed off the async threads.

use bytes::{Bytes, BytesMut};

/// A piece up to this size is copied into a common buffer: that costs microseconds, a system call of its own more, and a
/// tiny piece may keep a large buffer of the network alive.
const SMALL: usize = 16 * 1024;

/// Pieces in order, not yet handed on.
#[derive(Default)]
pub(crate) struct Batch {
    pieces: Vec<Bytes>,
    small: BytesMut,
    len: usize,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        if piece.len() <= SMALL {
            self.small.extend_from_slice(&piece);
        } else {
            self.seal();
            self.pieces.push(piece);
        }
    }

    fn seal(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(self.small.split().freeze());
        }
    }

    /// Everything pushed since the last time.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        self.seal();
        self.len = 0;
        std::mem::take(&mut self.pieces)
    }
}

/// What a finished upload has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
}

/// Counts and hashes.
#[derive(Clone)]
pub(crate) struct Measure {
    size: u64,
    /// Some 200 bytes, which move from thread to thread.
    sha256: Box<ring::digest::Context>,
}

impl Measure {
    pub(crate) fn new() -> Self {
        Self {
            size: 0,
            sha256: Box::new(ring::digest::Context::new(&ring::digest::SHA256)),
        }
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        self.sha256.update(piece);
    }

    pub(crate) fn finish(self) -> Written {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.sha256.finish().as_ref());
        Written {
            size: self.size,
            digest,
        }
    }
}
