//! Events come after the answers of the requests that caused them.
//!
//! A request takes a ticket before it commits and gives it back when its answer has been handed to the connection. What is
//! committed meanwhile is told when all tickets are back that were out then, or after [`PATIENCE`]: requests that go on
//! for long, or whose client does not read, hold nobody up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::feed::Feed;

/// How long an answer may hold events back, from its first commit on.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// So many tickets are more than there are requests at a time, mostly.
const MANY: usize = 1024;

#[derive(Default)]
pub(crate) struct Fence {
    newest: AtomicU64,
    /// Tickets that are out, in their order, and those behind them that are back.
    out: Mutex<VecDeque<(u64, Instant, bool)>>,
}

/// A ticket. Dropping it gives it back.
pub struct WriteTicket {
    feed: Arc<Feed>,
    number: u64,
}

impl Fence {
    /// The number of the newest ticket.
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// True if all tickets up to this one are back, or out for too long. If not, says when they will be at the latest.
    pub(super) fn is_passed(&self, number: u64) -> Result<(), Instant> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((first, since, is_back)) = out.front().copied() {
            if first > number {
                return Ok(());
            }
            if !is_back && since.elapsed() < PATIENCE {
                return Err(since + PATIENCE);
            }
            out.pop_front();
        }
        Ok(())
    }
}

impl WriteTicket {
    /// A ticket for a request that is about to commit. Also if nobody listens: somebody may before it does.
    pub(crate) fn take(feed: &Arc<Feed>) -> Self {
        let mut out = feed.fence.out.lock().unwrap_or_else(PoisonError::into_inner);
        let number = feed.fence.newest.fetch_add(1, Ordering::AcqRel) + 1;
        out.push_back((number, Instant::now(), false));
        drop(out);
        Self {
            feed: feed.clone(),
            number,
        }
    }
}

impl Drop for WriteTicket {
    fn drop(&mut self) {
        let mut out = self.feed.fence.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Tickets that were out for too long are not there any more.
        if let Ok(at) = out.binary_search_by_key(&self.number, |(number, ..)| *number)
            && let Some(entry) = out.get_mut(at)
        {
            entry.2 = true;
        }
        // Where nobody listens, nobody else takes out those that a slow request has behind it.
        let is_long = out.len() > MANY;
        while out
            .front()
            .is_some_and(|(_, since, is_back)| *is_back || (is_long && since.elapsed() >= PATIENCE))
        {
            out.pop_front();
        }
        drop(out);
        if self.feed.is_on() {
            self.feed.ready.notify_one();
        }
    }
}

impl std::fmt::Debug for WriteTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WriteTicket").field(&self.number).finish()
    }
}
