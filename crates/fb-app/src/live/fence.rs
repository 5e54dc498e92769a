//! Events come after the answers of the requests that caused them.
//!
//! A request takes a ticket before each of its commits and gives all back when its answer has been handed to the connection. What is
//! committed meanwhile is told when all tickets are back that were out then, or [`PATIENCE`] after their commits: requests that go on
//! for long, or whose client does not read, hold nobody up. An answer has all of that time also behind a slow commit; but one that stands
//! behind something long, like the making of an index, holds the events of others up for [`LONGEST`] at most.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::feed::Feed;

/// How long an answer may hold back the events of a commit.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// How long a ticket may hold back events whatever its commit does.
const LONGEST: Duration = Duration::from_secs(2);

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
    out: Mutex<VecDeque<Out>>,
}

struct Out {
    number: u64,
    since: Instant,
    /// When its commit was done.
    committed: Option<Instant>,
    is_back: bool,
}

/// A commit under way. Dropping it says that it is done, or was given up.
pub(crate) struct Committing(Option<(Arc<Feed>, u64)>);

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

    /// True if a ticket is out: its return will wake the worker, or [`Committing`] sees to it.
    pub(super) fn will_wake(&self) -> bool {
        self.n_out.load(Ordering::SeqCst) > 0
    }

    /// True if all tickets up to this one are back, or out for too long. If not, says when they will be at the latest.
    pub(super) fn is_passed(&self, number: u64) -> Result<(), Instant> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(first) = out.front() {
            if first.number > number {
                return Ok(());
            }
            if !first.is_back && !first.is_late() {
                return Err(first.committed.unwrap_or_else(Instant::now) + PATIENCE);
            }
            out.pop_front();
        }
        Ok(())
    }

    /// Tickets that were out for too long are not there any more.
    fn change(&self, number: u64, change: impl FnOnce(&mut Out)) -> MutexGuard<'_, VecDeque<Out>> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(at) = out.binary_search_by_key(&number, |out| out.number)
            && let Some(out) = out.get_mut(at)
        {
            change(out);
        }
        out
    }
}

impl Out {
    /// Whether its answer has had all the time it gets.
    fn is_late(&self) -> bool {
        self.committed.is_some_and(|since| since.elapsed() >= PATIENCE) || self.since.elapsed() >= LONGEST
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
pub(crate) fn about_to_commit(feed: &Arc<Feed>) -> Committing {
    let number = SLOT.try_with(|slot| {
        let ticket = Ticket::take(feed);
        let number = ticket.number;
        let mut tickets = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= OF_REQUEST {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
        number
    });
    Committing(number.ok().map(|number| (feed.clone(), number)))
}

impl Drop for Committing {
    fn drop(&mut self) {
        let Some((feed, number)) = self.0.take() else { return };
        let fence = &feed.fence;
        drop(fence.change(number, |out| out.committed = Some(Instant::now())));
        if feed.is_on()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !fence.is_armed.swap(true, Ordering::SeqCst)
        {
            // The ticket may stay out for long. Seldom enough to cost nothing.
            runtime.spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                feed.fence.is_armed.store(false, Ordering::SeqCst);
                feed.ready.notify_one();
            });
        }
    }
}

impl Ticket {
    fn take(feed: &Arc<Feed>) -> Self {
        let mut out = feed.fence.out.lock().unwrap_or_else(PoisonError::into_inner);
        let number = feed.fence.newest.fetch_add(1, Ordering::AcqRel) + 1;
        out.push_back(Out {
            number,
            since: Instant::now(),
            committed: None,
            is_back: false,
        });
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
        let mut out = self.feed.fence.change(self.number, |out| out.is_back = true);
        self.feed.fence.n_out.fetch_sub(1, Ordering::SeqCst);
        // Where nobody listens, nobody else takes out those that a slow request has behind it.
        let is_long = out.len() > MANY;
        while out
            .front()
            .is_some_and(|first| first.is_back || (is_long && first.is_late()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn feed() -> Arc<Feed> {
        Arc::new(Feed::new(Arc::new(fb_types::SystemClock)))
    }

    /// Begins a commit of a request.
    async fn begin(feed: &Arc<Feed>, slot: &TicketSlot) -> Committing {
        slot.hold(async { about_to_commit(feed) }).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_its_time_however_long_the_commit_took() {
        let (feed, slot) = (feed(), TicketSlot::default());
        let committing = begin(&feed, &slot).await;
        let behind = feed.fence.newest();
        tokio::time::advance(10 * PATIENCE).await;
        assert_eq!(feed.fence.is_passed(behind), Err(Instant::now() + PATIENCE));
        drop(committing);
        assert_eq!(feed.fence.is_passed(behind), Err(Instant::now() + PATIENCE));
        tokio::time::advance(PATIENCE / 2).await;
        assert_eq!(feed.fence.is_passed(behind), Err(Instant::now() + PATIENCE / 2));
        drop(slot.take());
        assert_eq!(feed.fence.is_passed(behind), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_goes_on_for_long_holds_nobody_up() {
        let (feed, slow, other) = (feed(), TicketSlot::default(), TicketSlot::default());
        drop(begin(&feed, &slow).await);
        assert!(feed.fence.is_passed(feed.fence.newest()).is_err());
        tokio::time::advance(PATIENCE).await;
        assert_eq!(feed.fence.is_passed(feed.fence.newest()), Ok(()));
        drop(begin(&feed, &other).await);
        let behind = feed.fence.newest();
        assert!(feed.fence.is_passed(behind).is_err());
        drop(other.take());
        assert_eq!(
            feed.fence.is_passed(behind),
            Ok(()),
            "the slow one is not waited for twice"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_does_not_end_holds_nobody_up_for_long() {
        let (feed, slot) = (feed(), TicketSlot::default());
        let _committing = begin(&feed, &slot).await;
        tokio::time::advance(LONGEST - Duration::from_millis(1)).await;
        assert!(feed.fence.is_passed(feed.fence.newest()).is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(feed.fence.is_passed(feed.fence.newest()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_listens_is_woken_although_the_ticket_stays_out() {
        let (feed, slot) = (feed(), TicketSlot::default());
        feed.switch(true);
        let committing = begin(&feed, &slot).await;
        tokio::time::advance(10 * PATIENCE).await;
        drop(committing);
        assert!(feed.fence.will_wake());
        let since = Instant::now();
        feed.ready.notified().await;
        assert_eq!(since.elapsed(), PATIENCE);
    }
}
