//! Downloads: what the storage sends, and a new request for the rest when it stops sending.

use std::ops::Range;

use bytes::Bytes;
use fb_types::ContentId;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore};

use super::S3Space;
use super::errors::{about, status_in};
use crate::FilesError;

const DURING: &str = "reading a content";
/// Largest piece handed out, in bytes. hyper's are smaller; this keeps the promise whatever it does.
const PIECE: usize = 1024 * 1024;

/// A content that is being read.
pub(crate) struct S3Download {
    space: S3Space,
    id: ContentId,
    key: Path,
    at: u64,
    end: u64,
    /// `None` when the request has to be made (again).
    answer: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    rest: Bytes,
    /// Whether anything came since the last request.
    moved: bool,
}

impl S3Download {
    pub(crate) async fn open(space: &S3Space, id: ContentId, range: Range<u64>) -> Result<Self, FilesError> {
        let key = space.key(id);
        if range.is_empty() {
            // There is no way to ask for nothing.
            let size = space.size(id).await?.ok_or(FilesError::NotFound { id })?;
            check_size(id, range.end, size)?;
            return Ok(Self::new(space, id, key, range, None));
        }
        let answer = match request(space, &key, Some(range.clone())).await {
            Ok(answer) => answer,
            Err(error) if status_in(&error.to_string()) == Some(416) => {
                let found = space.size(id).await?.ok_or(FilesError::NotFound { id })?;
                return Err(FilesError::Corrupt {
                    id,
                    expected: range.end,
                    found,
                });
            }
            Err(error) => return Err(about(id, DURING)(error)),
        };
        check_size(id, range.end, answer.meta.size)?;
        Ok(Self::new(space, id, key, range, Some(answer)))
    }

    /// The whole of what has `key`; also says its size.
    pub(super) async fn whole(space: &S3Space, id: ContentId, key: Path) -> Result<(Self, u64), FilesError> {
        let answer = request(space, &key, None).await.map_err(about(id, DURING))?;
        let size = answer.meta.size;
        Ok((Self::new(space, id, key, 0..size, Some(answer)), size))
    }

    fn new(space: &S3Space, id: ContentId, key: Path, range: Range<u64>, answer: Option<GetResult>) -> Self {
        Self {
            space: space.clone(),
            id,
            key,
            at: range.start,
            end: range.end,
            answer: answer.map(GetResult::into_stream),
            rest: Bytes::new(),
            moved: false,
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, FilesError>> {
        while self.rest.is_empty() {
            if self.at >= self.end {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.at = self.end;
                return Some(Err(error));
            }
        }
        let piece = self.rest.len().min(PIECE);
        Some(Ok(self.rest.split_to(piece)))
    }

    async fn advance(&mut self) -> Result<(), FilesError> {
        let answer = match &mut self.answer {
            Some(answer) => answer,
            None => {
                let answer = request(&self.space, &self.key, Some(self.at..self.end)).await;
                self.moved = false;
                self.answer
                    .insert(answer.map_err(about(self.id, DURING))?.into_stream())
            }
        };
        match answer.next().await {
            Some(Ok(piece)) => {
                self.moved |= !piece.is_empty();
                self.at += piece.len() as u64;
                self.rest = piece;
                if self.at > self.end {
                    return Err(FilesError::internal(DURING, "the storage sent more than was asked for"));
                }
            }
            // A long download outlives connections. It goes on as long as each request brings something.
            Some(Err(_)) if self.moved => self.answer = None,
            Some(Err(error)) => return Err(about(self.id, DURING)(error)),
            None if self.moved => self.answer = None,
            None => return Err(FilesError::internal(DURING, "the storage sent less than was asked for")),
        }
        Ok(())
    }
}

async fn request(space: &S3Space, key: &Path, range: Option<Range<u64>>) -> object_store::Result<GetResult> {
    let options = GetOptions {
        range: range.map(GetRange::Bounded),
        ..GetOptions::default()
    };
    space.bucket.store.get_opts(key, options).await
}

fn check_size(id: ContentId, expected: u64, found: u64) -> Result<(), FilesError> {
    match expected > found {
        true => Err(FilesError::Corrupt { id, expected, found }),
        false => Ok(()),
    }
}
