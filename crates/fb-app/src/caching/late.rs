//! Purges of results, which come a little after the writes that they are for are acknowledged: the matcher works beside the commits.
//!
//! Caches that are told of purges may rely on them all the same if they know up to when none is missing. So whoever tells them asks each app
//! how far behind it is ([`LatePurges::lag`]). An app that is too far behind is not waited for ([`LatePurges::wait_for`]): all its results,
//! and answers of modules, which may be made of such, are purged at once by a name that all of them have, and those to come live
//! for a short time, until it has caught up.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fb_types::AppId;

use super::purges::{PurgeSink, tags};
use crate::live::Feed;

/// How late the purges of an app are.
pub struct LatePurges {
    app: AppId,
    sink: Option<Arc<dyn PurgeSink>>,
    feed: Arc<Feed>,
    /// There once the sink knows of this.
    entered: OnceLock<()>,
    /// Queries that are watched.
    n_watched: AtomicUsize,
    is_waited_for: AtomicBool,
    is_stopped: AtomicBool,
}

impl LatePurges {
    pub(crate) fn new(app: AppId, sink: Option<Arc<dyn PurgeSink>>, feed: Arc<Feed>) -> Self {
        Self {
            app,
            sink,
            feed,
            entered: OnceLock::new(),
            n_watched: AtomicUsize::new(0),
            is_waited_for: AtomicBool::new(true),
            is_stopped: AtomicBool::new(false),
        }
    }

    /// How long ago the oldest write was acknowledged, at most, whose purges are still to come; zero if there is none. The purges of what was
    /// acknowledged earlier have been given to the sink; answers that are begun behind this call show it anyway.
    ///
    /// Cost: some nanoseconds.
    pub fn lag(&self) -> Duration {
        match self.has_watches() {
            true => self.feed.lag(),
            // Copies of results were purged before they were not watched any more.
            false => Duration::ZERO,
        }
    }

    /// Whether the purges are waited for from now on. If not, whatever relies on them is purged in this call.
    pub fn wait_for(&self, is_waited_for: bool) {
        // First: an answer that is begun behind the purge must not rely on others to come.
        self.is_waited_for.store(is_waited_for, Ordering::SeqCst);
        if !is_waited_for {
            tracing::debug!(app = %self.app, "results are purged late; those at edges are given up");
            self.purge();
        }
    }

    /// Whether a copy of a result, or of an answer of a module, may live until it is purged. To be asked before it is read: what is acknowledged
    /// while nobody waits for purges has to be in it.
    pub(super) fn may_rely(self: &Arc<Self>) -> bool {
        let Some(sink) = &self.sink else { return false };
        // Whoever comes at the same time waits for it, too.
        self.entered.get_or_init(|| sink.expect(Arc::downgrade(self)));
        fence(Ordering::SeqCst);
        self.is_waited_for.load(Ordering::SeqCst) && !self.is_stopped.load(Ordering::SeqCst)
    }

    /// From now on nobody tells what happens to results. Before the matcher ends: what it has not matched by then, it never will.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.entered.get().is_some() {
            self.purge();
        }
    }

    fn purge(&self) {
        if let Some(sink) = &self.sink {
            sink.purge(vec![tags::results(&self.app)]);
        }
    }

    /// Whether any query is watched.
    pub(super) fn has_watches(&self) -> bool {
        self.n_watched.load(Ordering::SeqCst) > 0
    }

    /// So many queries are watched. Behind the purges of those that are not any more, and before the reads of those that are to be.
    pub(super) fn count(&self, n_watched: usize) {
        self.n_watched.store(n_watched, Ordering::SeqCst);
    }
}

impl fmt::Debug for LatePurges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatePurges")
            .field("app", &self.app)
            .field("n_watched", &self.n_watched)
            .field("is_waited_for", &self.is_waited_for)
            .field("is_stopped", &self.is_stopped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, Weak};

    use fb_types::SystemClock;

    use super::*;

    /// Notes what it is told, and whether answers may rely on purges at that moment.
    #[derive(Debug, Default)]
    struct Noted {
        late: OnceLock<Weak<LatePurges>>,
        purged: Mutex<Vec<(Vec<String>, bool)>>,
    }

    impl PurgeSink for Noted {
        fn purge(&self, names: Vec<String>) {
            let may_rely = self.late.get().and_then(Weak::upgrade).unwrap().may_rely();
            self.purged.lock().unwrap().push((names, may_rely));
        }

        fn purge_all(&self) {}

        fn expect(&self, late: Weak<LatePurges>) {
            self.late.set(late).unwrap();
        }
    }

    fn late() -> (Arc<LatePurges>, Arc<Noted>) {
        let (sink, feed) = (Arc::new(Noted::default()), Feed::new(Arc::new(SystemClock)));
        let app = AppId::new("main").unwrap();
        (Arc::new(LatePurges::new(app, Some(sink.clone()), Arc::new(feed))), sink)
    }

    #[test]
    fn no_answer_behind_the_purge_relies_on_others() {
        let (late, sink) = late();
        assert!(late.may_rely());
        late.wait_for(false);
        assert!(!late.may_rely());
        late.wait_for(true);
        assert!(late.may_rely());
        late.stop();
        assert!(!late.may_rely());
        late.wait_for(true);
        assert!(!late.may_rely(), "it has ended");
        let purged = sink.purged.lock().unwrap();
        assert_eq!(*purged, vec![(vec!["~main/results".to_owned()], false); 2]);
    }

    #[test]
    fn whose_answers_nobody_has_need_not_be_purged() {
        let (late, sink) = late();
        late.stop();
        assert!(sink.late.get().is_none());
        let feed = Arc::new(Feed::new(Arc::new(SystemClock)));
        let nobody = Arc::new(LatePurges::new(AppId::new("main").unwrap(), None, feed));
        assert!(!nobody.may_rely());
    }
}
