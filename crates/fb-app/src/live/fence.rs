//! Events come after the answers of the requests that caused them.
//!
//! A request takes a ticket before each of its commits and gives all back when its answer has been handed to the connection. What is
//! committed meanwhile is told when all tickets are back that were out then, or after [`PATIENCE`]: requests that go on
//! for long, or whose client does not read, hold nobody up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::feed::Feed;

/// How long an answer may hold back the events of a commit.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// So many tickets are more than there are requests at a time, mostly.
const MANY: usize = 1024;
/// The events of a request's last commits come behind its answer: those of so many.
const OF_REQUEST: usize = 64;

#[derive(Default)]
pub(crate) struct Fence {
    newest: AtomicU64,
    /// How many tickets are out.
    n_out: AtomicUsize,
    /// True while somebody is going to wake the worker when [`PATIENCE`] is over.
    is_armed: AtomicBool,
    /// Tickets that are out, in their order, and those behind them that are back.
    out: Mutex<VecDeque<(u64, Instant, bool)>>,
}

/// Tickets for the commits of a request. Dropping them gives them back.
pub struct WriteTicket(VecDeque<Ticket>);

/// Where the tickets of a request are until there is an answer.
#[derive(Clone, Default)]
pub struct TicketSlot(Arc<Mutex<VecDeque<Ticket>>>);

struct Ticket {
    feed: Arc<Feed>,
    number: u64,
}

tokio::task_local! {
    /// Not a parameter: it concerns every commit, on whatever way a request comes to it.
    static SLOT: TicketSlot;
}

impl Fence {
    /// The number of the newest ticket.
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// True if a ticket is out: its return will wake the worker, or [`about_to_commit`] has seen to it.
    pub(super) fn will_wake(&self) -> bool {
        self.n_out.load(Ordering::SeqCst) > 0
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

impl TicketSlot {
    /// Runs `work`, which is told of only when what [`Self::take`] gives afterwards was dropped. Costs a tenth of a microsecond for each commit.
    pub async fn hold<T>(&self, work: impl Future<Output = T>) -> T {
        SLOT.scope(self.clone(), work).await
    }

    /// The tickets of all commits up to now; `None` if there were none.
    pub fn take(&self) -> Option<WriteTicket> {
        let tickets = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (!tickets.is_empty()).then_some(WriteTicket(tickets))
    }
}

/// To be called right before each commit. Also if nobody listens: somebody may before it is done.
pub(crate) fn about_to_commit(feed: &Arc<Feed>) {
    let _ = SLOT.try_with(|slot| {
        let ticket = Ticket::take(feed);
        if feed.is_on() && !feed.fence.is_armed.swap(true, Ordering::SeqCst) {
            // Tickets may stay out for long. Seldom enough to cost nothing.
            let feed = feed.clone();
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                feed.fence.is_armed.store(false, Ordering::SeqCst);
                feed.ready.notify_one();
            });
        }
        let mut tickets = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= OF_REQUEST {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
    });
}

impl Ticket {
    fn take(feed: &Arc<Feed>) -> Self {
        let mut out = feed.fence.out.lock().unwrap_or_else(PoisonError::into_inner);
        let number = feed.fence.newest.fetch_add(1, Ordering::AcqRel) + 1;
        out.push_back((number, Instant::now(), false));
        feed.fence.n_out.fetch_add(1, Ordering::SeqCst);
        drop(out);
        Self {
            feed: feed.clone(),
            number,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut out = self.feed.fence.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Tickets that were out for too long are not there any more.
        if let Ok(at) = out.binary_search_by_key(&self.number, |(number, ..)| *number)
            && let Some(entry) = out.get_mut(at)
        {
            entry.2 = true;
        }
        self.feed.fence.n_out.fetch_sub(1, Ordering::SeqCst);
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
        f.debug_list()
            .entries(self.0.iter().map(|ticket| ticket.number))
            .finish()
    }
}
