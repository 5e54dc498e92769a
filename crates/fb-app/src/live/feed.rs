//! What the store's observer hands to the live queries of an app. Costs an app without any one load per commit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fb_live::Image;
use fb_store::Committed;
use fb_types::{Clock, Seq, Subject};
use tokio::sync::Notify;

use super::behind::{Behind, Groups};
use super::fence::Fence;

/// Bytes of objects, and writes, that may wait to be matched. What exceeds it ends all subscriptions of the app.
const WAITING_BYTES: usize = 64 << 20;
const WAITING: usize = 200_000;
/// What a waiting write takes by itself, roughly.
const EACH: usize = 200;
/// What waits for longer than this has the task woken by whoever asks.
const SLOW: Duration = Duration::from_millis(50);

/// Shared by the observer, which runs on the store's writer, and the task that matches.
pub(crate) struct Feed {
    clock: Arc<dyn Clock>,
    is_on: AtomicBool,
    /// The newest position that the observer was told.
    newest: AtomicU64,
    queue: Mutex<Queue>,
    /// Since when something waits to be matched.
    behind: Behind,
    /// Something is to be done.
    pub(super) ready: Notify,
    pub(super) fence: Fence,
    /// How often somebody's rights may have changed.
    rights_rev: AtomicU64,
}

#[derive(Default)]
struct Queue {
    writes: VecDeque<Waiting>,
    bytes: usize,
    is_void: bool,
    /// What was put in here and is not matched yet.
    unmatched: Groups,
}

/// A write that is to be matched.
pub(super) struct Waiting {
    pub(super) image: Arc<Image>,
    /// Answers that subscribers must not overtake: those of requests up to here.
    pub(super) behind: u64,
}

/// What has come since.
pub(super) struct Taken {
    pub(super) writes: Vec<Waiting>,
    /// Everything up to here was taken; `None` if more is waiting.
    pub(super) position: Option<Seq>,
    /// The schema was changed, or more was written than could wait: nothing that was read up to here holds any more.
    pub(super) void_up_to: Option<Seq>,
}

impl Feed {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            is_on: AtomicBool::new(false),
            newest: AtomicU64::new(0),
            queue: Mutex::default(),
            behind: Behind::default(),
            ready: Notify::new(),
            fence: Fence::default(),
            rights_rev: AtomicU64::new(0),
        }
    }

    /// Called by the store's writer, so it must be quick.
    pub(crate) fn committed(&self, changes: &[Committed]) {
        let Some(last) = changes.last() else { return };
        let seq = last.change.seq.0;
        if !self.is_on() {
            // Once more afterwards: who switches it on looks at the position then.
            self.newest.store(seq, Ordering::SeqCst);
            if !self.is_on() {
                return;
            }
        }
        let behind = self.fence.newest();
        let mut queue = self.queue();
        if !self.is_on() {
            // Switched off meanwhile, and emptied: nobody would take it out.
            self.newest.store(seq, Ordering::SeqCst);
            return;
        }
        let n_before = queue.writes.len();
        for Committed { change, after } in changes {
            let Subject::Object(id) = &change.subject else { continue };
            queue.bytes += EACH + after.as_ref().map_or(0, |stored| stored.body.len());
            queue.writes.push_back(Waiting {
                image: Arc::new(Image {
                    seq: change.seq,
                    class: id.class().clone(),
                    key: id.key().clone(),
                    kind: change.kind,
                    acl: after.as_ref().and_then(|stored| stored.acl.clone()),
                    body: after.as_ref().map(|stored| stored.body.clone()),
                }),
                behind,
            });
        }
        if queue.writes.len() > n_before {
            queue.unmatched.add(Seq(seq), self.clock.steady_micros(), &self.behind);
        }
        if queue.bytes > WAITING_BYTES || queue.writes.len() > WAITING {
            queue.empty();
            queue.is_void = true;
        }
        self.newest.store(seq, Ordering::SeqCst);
        drop(queue);
        // Matching and telling in one turn costs less than in two.
        if !self.fence.will_wake() {
            self.ready.notify_one();
        }
    }

    /// Stored objects were rewritten.
    pub(crate) fn altered(&self) {
        if self.is_on.load(Ordering::SeqCst) {
            let mut queue = self.queue();
            queue.empty();
            queue.is_void = true;
            drop(queue);
            self.ready.notify_one();
        }
    }

    /// Roles or credentials of somebody were written.
    pub(crate) fn rights_changed(&self) {
        self.rights_rev.fetch_add(1, Ordering::SeqCst);
        if self.is_on() {
            self.ready.notify_one();
        }
    }

    /// Counts changes of rights: whoever looked at them after it was asked for this has seen those up to here.
    pub(super) fn rights_rev(&self) -> u64 {
        self.rights_rev.load(Ordering::SeqCst)
    }

    /// Before the first commit of this process: everything up to here was told to earlier ones. Whoever waits for a position that nobody tells
    /// again would wait for ever.
    pub(crate) fn begin_at(&self, seq: Seq) {
        self.newest.fetch_max(seq.0, Ordering::SeqCst);
    }

    /// The newest position that the observer was told.
    pub(super) fn newest(&self) -> Seq {
        Seq(self.newest.load(Ordering::SeqCst))
    }

    /// True while there are live queries.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::SeqCst)
    }

    pub(super) fn switch(&self, on: bool) {
        self.is_on.store(on, Ordering::SeqCst);
        if !on {
            let mut queue = self.queue();
            queue.empty();
            queue.is_void = false;
            queue.unmatched.remove(Seq(u64::MAX), &self.behind);
        }
    }

    /// Everything up to here is matched, and whoever is concerned was told.
    pub(super) fn matched(&self, position: Seq) {
        if self.behind.since().is_some() {
            self.queue().unmatched.remove(position, &self.behind);
        }
    }

    /// How long ago the oldest commit was acknowledged, at most, that is not matched yet; zero if there is none.
    pub(crate) fn lag(&self) -> Duration {
        let Some(since) = self.behind.since() else {
            return Duration::ZERO;
        };
        let lag = Duration::from_micros(self.clock.steady_micros().saturating_sub(since));
        if lag > SLOW {
            // It may be waiting for somebody's answer, before it tells of that.
            self.ready.notify_one();
        }
        lag
    }

    /// Takes up to `most` writes in their order.
    pub(super) fn take(&self, most: usize) -> Taken {
        let mut queue = self.queue();
        let n = queue.writes.len().min(most);
        let writes: Vec<Waiting> = queue.writes.drain(..n).collect();
        let size = |waiting: &Waiting| EACH + waiting.image.body.as_ref().map_or(0, bytes::Bytes::len);
        queue.bytes -= writes.iter().map(size).sum::<usize>();
        Taken {
            position: queue.writes.is_empty().then(|| self.newest()),
            void_up_to: std::mem::take(&mut queue.is_void).then(|| self.newest()),
            writes,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn empty(&mut self) {
        self.writes.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use fb_types::{Change, ChangeKind, ObjectId, Timestamp, Version};

    use super::*;

    /// Moves by hand, in milliseconds.
    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(i64::try_from(self.0.load(Ordering::SeqCst)).unwrap())
        }
    }

    fn feed() -> (Feed, Arc<Hand>) {
        let clock = Arc::<Hand>::default();
        let feed = Feed::new(clock.clone());
        feed.switch(true);
        (feed, clock)
    }

    fn write(seq: u64) -> Committed {
        let id: ObjectId = "/db/Todo/a".parse().unwrap();
        let change = Change {
            seq: Seq(seq),
            subject: Subject::Object(id),
            version: Version(1),
            kind: ChangeKind::Update,
            stamp: 0,
            origin: 0,
            at: Timestamp::from_millis(0),
            body: None,
        };
        Committed { change, after: None }
    }

    fn pass(clock: &Hand, millis: u64) {
        clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    #[test]
    fn a_write_is_behind_until_it_is_matched_and_not_when_it_is_taken() {
        let (feed, clock) = feed();
        feed.committed(&[write(1), write(2)]);
        pass(&clock, 30);
        feed.committed(&[write(3)]);
        pass(&clock, 30);
        assert_eq!(feed.take(2).writes.len(), 2);
        assert_eq!(feed.lag(), Duration::from_millis(60));
        feed.matched(Seq(1));
        assert_eq!(feed.lag(), Duration::from_millis(60), "the commit has another one");
        feed.matched(Seq(2));
        assert_eq!(feed.lag(), Duration::from_millis(30));
        feed.matched(Seq(3));
        assert_eq!(feed.lag(), Duration::ZERO);
    }

    #[test]
    fn what_was_more_than_could_wait_is_behind_until_that_is_dealt_with() {
        let (feed, clock) = feed();
        let many: Vec<Committed> = (1..=WAITING as u64 + 1).map(write).collect();
        feed.committed(&many);
        pass(&clock, 10);
        let taken = feed.take(10);
        assert_eq!((taken.writes.len(), taken.void_up_to), (0, taken.position));
        assert_eq!(feed.lag(), Duration::from_millis(10));
        feed.matched(taken.position.unwrap());
        assert_eq!(feed.lag(), Duration::ZERO);
    }

    #[test]
    fn where_nobody_listens_nothing_is_behind() {
        let (feed, clock) = feed();
        feed.committed(&[write(1)]);
        feed.switch(false);
        feed.committed(&[write(2)]);
        pass(&clock, 10);
        assert_eq!((feed.lag(), feed.newest()), (Duration::ZERO, Seq(2)));
        feed.switch(true);
        assert_eq!((feed.take(10).writes.len(), feed.lag()), (0, Duration::ZERO));
    }

    #[tokio::test]
    async fn whoever_finds_that_it_takes_long_has_the_task_woken() {
        let (feed, clock) = feed();
        feed.committed(&[write(1)]);
        feed.ready.notified().await;
        pass(&clock, 50);
        let _ = feed.lag();
        assert!(futures_util::poll!(std::pin::pin!(feed.ready.notified())).is_pending());
        pass(&clock, 1);
        let _ = feed.lag();
        feed.ready.notified().await;
    }
}
