//! Uploads: pieces are collected, hashed and written in the background, at most one step ahead of the caller.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use fb_types::ContentId;
use tokio::task::JoinHandle;

use super::temporary::Temporary;
use super::{Place, blocking, io_error, joined};
use crate::FilesError;
use crate::digest::{Batch, Measure, Written};

/// Bytes that are collected before they are written. With one step under way, an upload holds twice as many, and the
/// caller's last piece.
const STEP: usize = 512 * 1024;

/// A content that is being written.
pub(crate) struct LocalUpload {
    place: Arc<Place>,
    id: ContentId,
    batch: Batch,
    state: State,
}

enum State {
    Idle(Sink),
    Writing(JoinHandle<Result<Sink, FilesError>>),
    /// It failed, or was taken to be finished.
    Over,
}

/// What a writing step needs; it travels to the blocking thread and back.
struct Sink {
    temporary: Temporary,
    measure: Measure,
}

impl Sink {
    fn write(mut self, pieces: &[Bytes]) -> Result<Self, FilesError> {
        for piece in pieces {
            self.temporary
                .file
                .write_all(piece)
                .map_err(io_error("writing a content"))?;
            self.measure.update(piece);
        }
        Ok(self)
    }
}

impl LocalUpload {
    pub(crate) async fn create(place: Arc<Place>, id: ContentId) -> Result<Self, FilesError> {
        place.sweep_once().await;
        let at = Arc::clone(&place);
        let temporary = blocking(move || {
            if at.has(id)? {
                return Err(FilesError::Exists { id });
            }
            Temporary::create(&at, id)
        });
        let sink = Sink {
            temporary: temporary.await?,
            measure: Measure::new(),
        };
        Ok(Self {
            place,
            id,
            batch: Batch::default(),
            state: State::Idle(sink),
        })
    }

    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), FilesError> {
        if matches!(self.state, State::Over) {
            return Err(FilesError::broken_upload());
        }
        self.batch.push(piece);
        if self.batch.len() >= STEP {
            let sink = self.sink().await?;
            let pieces = self.batch.take();
            self.state = State::Writing(tokio::task::spawn_blocking(move || sink.write(&pieces)));
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Written, FilesError> {
        let sink = self.sink().await?;
        let pieces = self.batch.take();
        let (place, id) = (Arc::clone(&self.place), self.id);
        blocking(move || {
            let Sink { temporary, measure } = sink.write(&pieces)?;
            match temporary.publish(&place.shard(id), &place.content(id))? {
                true => Ok(measure.finish()),
                false => Err(FilesError::Exists { id }),
            }
        })
        .await
    }

    pub(crate) async fn abort(mut self) {
        if let Ok(sink) = self.sink().await {
            // Nothing to say if it fails: the runtime is shutting down.
            let _ = tokio::task::spawn_blocking(move || drop(sink)).await;
        }
    }

    /// Waits for the step under way. Dropping the future changes nothing.
    async fn sink(&mut self) -> Result<Sink, FilesError> {
        if let State::Writing(step) = &mut self.state {
            let result = joined(step.await);
            self.state = State::Over;
            return result;
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Idle(sink) => Ok(sink),
            State::Writing(_) | State::Over => Err(FilesError::broken_upload()),
        }
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        // Removing a large file takes a while. A step under way drops its file when it ends.
        if let State::Idle(sink) = std::mem::replace(&mut self.state, State::Over)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(sink));
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_full_disk_is_reported_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let sink = Sink {
            temporary: Temporary::over(full, directory.path().join("none")),
            measure: Measure::new(),
        };
        let result = sink.write(&[Bytes::from_static(b"x")]);
        assert!(matches!(result.err(), Some(FilesError::Full { .. })));
    }
}
