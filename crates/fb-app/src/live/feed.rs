//! What the store's observer hands to the live queries of an app. Costs an app without any one load per commit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fb_live::Image;
use fb_store::Committed;
use fb_types::{Seq, Subject};
use tokio::sync::Notify;

use super::fence::Fence;

/// Bytes of objects, and writes, that may wait to be matched. What exceeds it ends all subscriptions of the app.
const WAITING_BYTES: usize = 64 << 20;
const WAITING: usize = 200_000;
/// What a waiting write takes by itself, roughly.
const EACH: usize = 200;

/// Shared by the observer, which runs on the store's writer, and the task that matches.
#[derive(Default)]
pub(crate) struct Feed {
    is_on: AtomicBool,
    /// The newest position that the observer was told.
    newest: AtomicU64,
    queue: Mutex<Queue>,
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
        }
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
