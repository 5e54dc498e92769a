//! What has to be done for the books about once a second, at the end, and for whoever wants figures.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fb_auth::{Principal, authorize_admin};
use fb_sketch::{Load, Moment, SketchStats};
use fb_store::{Batch, Store};

use super::journal::{self, Times};
use super::{AreaFigures, Books, Caching, QueryFigures};
use crate::{App, AppError};

/// How often lifetimes are adjusted to the room in the filter.
const ADJUST: Duration = Duration::from_secs(5);

/// Where the last round ended.
#[derive(Debug, Default)]
pub(super) struct Tended {
    /// The feed when records were last taken: those to come are of younger copies.
    since: u64,
    n_batches: u64,
    at: Moment,
    adjusted: Moment,
}

impl Tended {
    pub(super) fn begin_at(&mut self, seq: u64) {
        self.since = seq;
    }
}

/// Figures of an app's caching, since it is awake.
#[derive(Debug, Clone)]
pub struct CachingFigures {
    /// Of the books and the filter.
    pub sketch: SketchStats,
    /// Seconds until the filter does not contain everything any more; 0 if it does not.
    pub blind_seconds: u64,
    /// Seconds until the next key leaves the filter, if one is in it.
    pub next_expiry_seconds: Option<u64>,
    /// Seconds until the last copy that is known of ends.
    pub last_expiry_seconds: u64,
    /// Of classes and buckets of which something got a lifetime.
    pub areas: Vec<AreaFigures>,
    /// Of the queries whose results somebody may have, those first that are asked for most.
    pub queries: Vec<QueryFigures>,
}

impl App {
    /// Writes down of which copies nothing is on disk yet, and forgets what has ended. Called about once a second; until it is,
    /// lifetimes are short. Cost: a few locks, and a commit if there is something to write.
    pub async fn tend_caching(&self) -> Result<(), AppError> {
        self.end_idle_watches();
        self.caching().tend(self.store()).await
    }

    /// Figures; `None` while nothing was handed out and nobody asked for the filter. Cost: linear in the keys.
    pub fn caching_figures(&self) -> Option<CachingFigures> {
        self.caching().figures()
    }

    /// The same for administrators, who get empty ones.
    pub fn show_caching(&self, caller: &Principal) -> Result<CachingFigures, AppError> {
        authorize_admin(caller, "read figures of caching")?;
        self.caching().books();
        self.caching_figures()
            .ok_or_else(|| AppError::internal("reading figures", "the filter was just made"))
    }
}

impl Caching {
    async fn tend(&self, store: &dyn Store) -> Result<(), AppError> {
        self.purges.tick(self.now());
        let Some(books) = self.books.get() else { return Ok(()) };
        let mut tended = self.tended.lock().await;
        let now = self.now();
        books.sketch.tick(now);
        self.results.areas.measure(now.since(tended.at));
        self.end_idle_answers();
        tended.at = now;
        if now.since(tended.adjusted) >= ADJUST {
            tended.adjusted = now;
            let load = Load {
                stale: books.sketch.stats(now).stale,
                capacity: books.sketch.capacity(),
                purges_pile_up: false,
            };
            books.lifetimes.adjust(&load, now);
        }
        self.write_down(store, books, &mut tended).await
    }

    async fn write_down(&self, store: &dyn Store, books: &Books, tended: &mut Tended) -> Result<(), AppError> {
        // Before the records are taken, and so before any copy that is entered from now on.
        let seq = self.seq.load(Ordering::SeqCst);
        let records = books.sketch.take_records();
        let since = std::mem::replace(&mut tended.since, seq);
        let times = Times::of(&*self.clock);
        let mut writes = journal::put_copies(&records, since, times, self.boot, &mut tended.n_batches);
        let has_new_doubt = self.has_new_doubt.swap(false, Ordering::SeqCst);
        if has_new_doubt {
            writes.push(journal::put_doubt(times.wall_of(books.sketch.blind_until())));
        }
        if writes.is_empty() {
            return Ok(());
        }
        match store.commit(Batch { writes }).await {
            Ok(_) => {
                books.sketch.written_down(&records);
                Ok(())
            }
            Err(error) => {
                books.sketch.not_written_down(&records);
                tended.since = since;
                self.has_new_doubt.fetch_or(has_new_doubt, Ordering::SeqCst);
                Err(error.into())
            }
        }
    }

    /// Writes down that no more copies are handed out. Whatever fails here makes the next start a little more careful.
    pub(crate) async fn stop(&self, store: &dyn Store) {
        self.purges.stop();
        let Some(books) = self.books.get().filter(|_| self.is_marked.load(Ordering::Acquire)) else {
            return;
        };
        let stopped = async {
            let mut tended = self.tended.lock().await;
            self.write_down(store, books, &mut tended).await?;
            let wall = Times::of(&*self.clock).wall();
            let writes = vec![journal::put_state(&self.state(Some(wall)))?];
            store.commit(Batch { writes }).await?;
            Ok::<_, AppError>(())
        };
        if let Err(error) = stopped.await {
            tracing::debug!(error = %error, "it was not written down that no more copies are handed out");
        }
    }

    fn figures(&self) -> Option<CachingFigures> {
        let sketch = &self.books.get()?.sketch;
        let now = self.now();
        let mut stats = sketch.stats(now);
        let secs = |end: Moment| end.since(now).as_secs_f64().ceil() as u64;
        let mut areas = self.classes.figures("/db/");
        areas.extend(self.buckets.figures("/file/"));
        areas.extend(self.results.areas.figures("/query/"));
        areas.extend(self.answers.areas.figures("/code/"));
        // Also those that needed no entry of their own.
        stats.reads = areas.iter().map(|area| area.reads).sum::<u64>() + stats.refused;
        Some(CachingFigures {
            sketch: stats,
            blind_seconds: secs(sketch.blind_until()),
            next_expiry_seconds: sketch.next_expiry().map(secs),
            last_expiry_seconds: secs(sketch.last_expiry()),
            areas,
            queries: self.watched_queries(),
        })
    }
}
