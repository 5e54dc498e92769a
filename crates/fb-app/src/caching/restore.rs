//! The crash rule: what an app believes of copies when it wakes up.
//!
//! | what is there | what it does |
//! | --- | --- |
//! | no state | nothing was ever handed out: begins with empty books |
//! | a state, and the journal | is blind for as long as copies may live of which nothing was written down; the others are in the journal, and changes since are in the feed |
//! | the same, but the feed does not reach back, or is long | the same, and takes every copy in the journal for outdated |
//! | it cannot be read, the clock went back, or it belongs to an app that this one was restored from | is blind for the longest lifetime there is |
//! | a doubt that is written down | is blind until then besides |

use std::sync::atomic::Ordering;
use std::time::Duration;

use fb_sketch::{Moment, Past, Record};
use fb_store::{Batch, Store};
use fb_types::{ChangeKind, Seq, Subject};

use super::journal::{self, Journal, State, Times};
use super::{Caching, LONGEST, UNLOGGED, element, margin};
use crate::AppError;

/// Changes that are looked through; with more of them every copy that is written down counts as outdated.
const MAX_CHANGES: u64 = 20_000;
const PAGE: usize = 500;

impl Caching {
    /// Reads what an earlier process left. Called before the app answers anything.
    pub(crate) async fn restore(&self, store: &dyn Store) -> Result<(), AppError> {
        self.set_schema(store.schema());
        let times = Times::of(&*self.clock);
        let state = match journal::state(store).await {
            Ok(None) => return Ok(()),
            Ok(Some(state)) => Some(state),
            Err(error) => {
                tracing::warn!(error = %error, "nothing is known of copies in caches: all are asked about for a day");
                None
            }
        };
        let found = match &state {
            Some(state) if state.app == self.registered.millis() => self.read(store, times).await,
            _ => None,
        };
        let is_clear = |state: &State, journal: &Journal| {
            let latest = state.stopped.unwrap_or(i64::MIN).max(journal.written);
            latest <= times.wall()
        };
        match (state, found) {
            (Some(state), Some(journal)) if is_clear(&state, &journal) => {
                self.resume(store, times, &state, journal).await;
            }
            _ => {
                let past = Past::Unknown { longest: LONGEST };
                let _ = self.books.set(self.new_books(past));
                let end = times.now() + LONGEST + margin(LONGEST);
                self.earlier.store(end.as_micros(), Ordering::SeqCst);
                let writes = vec![journal::put_doubt(times.wall_of(end))];
                store.commit(Batch { writes }).await?;
            }
        }
        match journal::doubt(store).await {
            Ok(None) => {}
            Ok(Some(end)) => {
                if let Some(end) = times.moment_of(end) {
                    self.books().sketch.doubt(self.now(), end);
                }
            }
            Err(_) => self
                .books()
                .sketch
                .doubt(self.now(), times.now() + LONGEST + margin(LONGEST)),
        }
        Ok(())
    }

    async fn read(&self, store: &dyn Store, times: Times) -> Option<Journal> {
        match journal::copies(store, times).await {
            Ok(journal) => Some(journal),
            Err(error) => {
                tracing::warn!(error = %error, "copies in caches are not known: all are asked about for a day");
                None
            }
        }
    }

    async fn resume(&self, store: &dyn Store, times: Times, state: &State, journal: Journal) {
        let unlogged = Duration::from_millis(state.unlogged).max(UNLOGGED);
        // Since it stopped, nothing was handed out.
        let since_stop = state.stopped.map(|at| times.wall().saturating_sub(at));
        let since_stop = Duration::from_millis(since_stop.and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default());
        let left = unlogged.saturating_sub(since_stop);
        let Journal { records, since, .. } = journal;
        if records.is_empty() && left.is_zero() && since_stop > unlogged + margin(unlogged) {
            // All copies have ended.
            return;
        }
        let books = self.new_books(Past::Journaled { unlogged: left });
        let mut last = times.now() + left + margin(left);
        for record in &records {
            books.sketch.restore(record);
            last = last.max(record.until);
        }
        self.earlier.store(last.as_micros(), Ordering::SeqCst);
        // From here on the observer reports what is written; what was before is in the feed.
        let _ = self.books.set(books);
        let books = self.books();
        if self.replay(store, since, last).await.is_err() {
            for Record { key, .. } in &records {
                books.sketch.report_write(*key, self.now());
            }
        }
        books.sketch.restored();
    }

    /// Reports what was written behind `since`. An error if the feed does not tell all of it, or it is much.
    async fn replay(&self, store: &dyn Store, since: u64, last: Moment) -> Result<(), AppError> {
        if since == u64::MAX {
            return Ok(());
        }
        let incomplete = || AppError::internal("reading the feed", "it does not reach back, or is long");
        let end = store.stats().await?.last_seq.0;
        let mut at = since;
        if end.saturating_sub(since) > MAX_CHANGES {
            return Err(incomplete());
        }
        while at < end {
            let changes = store.changes_after(Seq(at), PAGE).await?;
            let Some(first) = changes.first() else {
                return Err(incomplete());
            };
            if first.seq.0 != at + 1 {
                return Err(incomplete());
            }
            let sketch = &self.books().sketch;
            for change in &changes {
                at = change.seq.0;
                let key = match &change.subject {
                    Subject::Object(id) => element::of_object(id.class().as_str(), id.key()),
                    Subject::File(id) => element::of_file(id),
                    Subject::Bucket(_) => {
                        sketch.doubt(self.now(), last);
                        continue;
                    }
                };
                if change.kind != ChangeKind::Insert {
                    sketch.report_write(key, self.now());
                }
            }
        }
        Ok(())
    }

    /// Writes down that there are copies, and remembers where the feed is: copies are younger.
    pub(super) async fn mark(&self, store: &dyn Store) -> bool {
        let _one_at_a_time = self.marking.lock().await;
        if self.is_marked.load(Ordering::Acquire) {
            return true;
        }
        if self.boot == 0 || self.seed == 0 {
            return false;
        }
        let marked = async {
            let last = store.stats().await?.last_seq.0;
            self.seq.fetch_max(last, Ordering::SeqCst);
            self.tended.lock().await.begin_at(self.seq.load(Ordering::SeqCst));
            let writes = vec![journal::put_state(&self.state(None))?];
            store.commit(Batch { writes }).await?;
            Ok::<_, AppError>(())
        };
        match marked.await {
            Ok(()) => {
                self.is_marked.store(true, Ordering::Release);
                true
            }
            Err(error) => {
                tracing::debug!(error = %error, "answers get no lifetime: it could not be written down that there are copies");
                false
            }
        }
    }

    pub(super) fn state(&self, stopped: Option<i64>) -> State {
        State {
            app: self.registered.millis(),
            unlogged: u64::try_from(UNLOGGED.as_millis()).unwrap_or(u64::MAX),
            stopped,
        }
    }
}
