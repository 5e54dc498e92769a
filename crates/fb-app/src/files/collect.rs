//! Removal of contents that no file refers to, and of what is left of deleted buckets.

use std::sync::Arc;
use std::time::Duration;

use fb_files::Contents;
use fb_store::{Batch, ContentWrite, Outcome, Store, Unused, Write};
use fb_types::{ContentId, Timestamp};

use crate::{App, AppError};

/// After this time an upload was cut off.
const UPLOAD_TIME: Duration = Duration::from_secs(24 * 3600);

/// How long a content stays that no file refers to any more: whoever looked the file up before may be about to read it.
const GRACE: Duration = Duration::from_secs(10 * 60);

/// Contents that are removed between two commits.
const CHUNK: usize = 100;

impl App {
    /// Removes what nobody will ask for any more; says how many contents that were.
    pub async fn collect_contents(&self) -> Result<usize, AppError> {
        self.finish_closing().await?;
        let now = self.clock().now();
        let before = |age: Duration| {
            let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(now.millis().saturating_sub(millis))
        };
        let which = Unused {
            announced_before: before(UPLOAD_TIME),
            dropped_before: before(GRACE),
            limit: CHUNK,
        };
        let mut n_removed = 0;
        loop {
            let ids = self.store().unused_contents(which).await?;
            if ids.is_empty() {
                return Ok(n_removed);
            }
            self.remove_contents(&ids).await?;
            n_removed += ids.len();
        }
    }

    /// In this order a crash in between leaves nothing but what the next run finds.
    async fn remove_contents(&self, ids: &[ContentId]) -> Result<(), AppError> {
        remove(self.store(), self.contents(), ids).await
    }
}

async fn remove(store: &dyn Store, contents: &Contents, ids: &[ContentId]) -> Result<(), AppError> {
    let commit = async |ids: &[ContentId], step: fn(ContentId) -> ContentWrite| {
        let writes = ids.iter().map(|id| Write::Content(step(*id))).collect();
        store.commit(Batch { writes }).await
    };
    let given_up = commit(ids, ContentWrite::GiveUp).await?;
    let unused = ids
        .iter()
        .zip(given_up)
        .filter(|(_, outcome)| *outcome == Outcome::Recorded);
    let unused: Vec<_> = unused.map(|(id, _)| *id).collect();
    let mut removed = Vec::with_capacity(unused.len());
    let mut failure = None;
    for id in unused {
        match contents.remove(id).await {
            Ok(()) => removed.push(id),
            // It stays on the list, and does not hold up the others.
            Err(error) => failure = Some(error),
        }
    }
    commit(&removed, ContentWrite::Forget).await?;
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// A content that was announced and is no file's yet. Dropping it removes the content, unless it has become a file's: also
/// where nobody knows, because whoever uploaded it went away at the very end.
pub(super) struct Pending {
    store: Arc<dyn Store>,
    contents: Contents,
    id: ContentId,
    is_file: bool,
}

impl Pending {
    pub(super) fn new(app: &App, id: ContentId) -> Self {
        Self {
            store: app.store_handle(),
            contents: app.contents().clone(),
            id,
            is_file: false,
        }
    }

    pub(super) fn id(&self) -> ContentId {
        self.id
    }

    /// It is a file's.
    pub(super) fn done(mut self) {
        self.is_file = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Without a runtime the next collection does it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if !self.is_file {
            let (store, contents, id) = (self.store.clone(), self.contents.clone(), self.id);
            runtime.spawn(async move {
                if let Err(error) = remove(&*store, &contents, &[id]).await {
                    tracing::debug!(error = %error, "an abandoned content is left to the next collection");
                }
            });
        }
    }
}
