//! The task that matches an app's writes with its live queries.

mod renew;
mod review;
mod seats;
mod watches;

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fb_live::{Event, Image, Limits, Matcher, Output, Subscriber, ViewId};
use fb_types::Seq;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::review::REVIEW;
use self::watches::Beginning;
use super::LiveStats;
use super::command::{Command, Held, Resumption, Seat};
use super::feed::{Feed, Waiting};
use super::numbers::NumberMap;
use super::outlet::{LiveMessage, Outlet, Outlets};
use super::resume::Parked;
use super::tell::{Listener, Telling};
use crate::{App, AppError};

/// Writes that are taken at once, that are matched together, and how long they are matched before others get their turn.
const BATCH: usize = 256;
const TOGETHER: usize = 32;
const TURN: Duration = Duration::from_millis(2);
/// Listeners that are told before others get their turn.
const TOLD: usize = 4096;
/// Outlets that are delivered before others get their turn.
const DELIVERED: usize = 128;

/// Something that is to be sent, behind certain answers.
enum Outgoing {
    Event(Arc<[Subscriber]>, Event),
    First(Subscriber, Arc<Outlet>, LiveMessage),
}

pub(super) struct Worker {
    app: Weak<App>,
    feed: Arc<Feed>,
    own: mpsc::WeakUnboundedSender<Command>,
    matcher: Matcher,
    listeners: NumberMap<Listener>,
    seats: NumberMap<Seat>,
    parked: Parked,
    /// In the order in which it is to be sent, with the number of the ticket it has to wait for.
    outgoing: VecDeque<(u64, Outgoing)>,
    /// How many have been told of the first of it.
    n_told: usize,
    /// Outlets with messages that are to be delivered, each once.
    marked: VecDeque<Arc<Outlet>>,
    /// What was taken and is to be matched; the position behind it, once everything is taken.
    taken: VecDeque<Waiting>,
    position: Option<Seq>,
    out: Vec<Output>,
    /// Who is watched for the sake of copies.
    watches: HashSet<Subscriber>,
    /// Watches that are about to begin, from this position on.
    beginning: Vec<Beginning>,
    /// Who waits until so much is matched.
    settling: Vec<(Seq, oneshot::Sender<()>)>,
    renewing: HashSet<ViewId>,
    next_renewal: Instant,
    is_reviewing: bool,
    /// What is under way may have looked too early.
    must_review_again: bool,
    rights_rev: u64,
    reviewed_at: Instant,
    matched: u64,
    renewed: u64,
}

impl Worker {
    pub(super) fn new(app: Weak<App>, feed: Arc<Feed>, own: mpsc::WeakUnboundedSender<Command>) -> Self {
        Self {
            app,
            feed,
            own,
            matcher: Matcher::new(Seq(0), Limits::default()),
            listeners: NumberMap::default(),
            seats: NumberMap::default(),
            parked: Parked::default(),
            outgoing: VecDeque::new(),
            n_told: 0,
            marked: VecDeque::new(),
            taken: VecDeque::new(),
            position: None,
            out: Vec::new(),
            watches: HashSet::new(),
            beginning: Vec::new(),
            settling: Vec::new(),
            renewing: HashSet::new(),
            next_renewal: Instant::now(),
            is_reviewing: false,
            must_review_again: false,
            rights_rev: 0,
            reviewed_at: Instant::now(),
            matched: 0,
            renewed: 0,
        }
    }

    /// Works until the app is closed.
    pub(super) async fn run(mut self, commands: &mut mpsc::UnboundedReceiver<Command>) {
        let feed = self.feed.clone();
        loop {
            let is_more = self.match_writes();
            let sent = self.send();
            self.end_parked();
            self.review();
            if is_more || matches!(sent, Sent::Some) {
                // Others get their turn, and so do commands.
                tokio::task::yield_now().await;
                while let Ok(command) = commands.try_recv() {
                    if self.obey(command).is_break() {
                        return;
                    }
                }
                continue;
            }
            let may_review = !self.is_reviewing && !self.seats.is_empty();
            let review_at = may_review.then(|| self.reviewed_at + REVIEW);
            let wait_until = match sent {
                Sent::Until(at) => Some(at),
                Sent::All | Sent::Some => None,
            };
            let alarm = wait_until.into_iter().chain(review_at).chain(self.parked.next()).min();
            tokio::select! {
                biased;
                () = feed.ready.notified() => {}
                command = commands.recv() => match command {
                    Some(command) => if self.obey(command).is_break() {
                        return;
                    },
                    None => return,
                },
                () = until(alarm) => {}
            }
        }
    }

    /// Matches what was written. True if more is waiting.
    fn match_writes(&mut self) -> bool {
        if !self.feed.is_on() {
            return false;
        }
        if self.taken.is_empty() {
            let taken = self.feed.take(BATCH);
            if let Some(position) = taken.void_up_to {
                self.reset(position);
            }
            self.taken = taken.writes.into();
            self.position = taken.position;
        }
        let begun = Instant::now();
        while !self.taken.is_empty() {
            let together: Vec<Waiting> = self.taken.drain(..TOGETHER.min(self.taken.len())).collect();
            let images: Vec<Arc<Image>> = together.iter().map(|waiting| waiting.image.clone()).collect();
            let mut outputs = Vec::new();
            self.matcher.write_all(&images, &mut self.out, &mut |at, out| {
                outputs.extend(out.drain(..).map(|output| (together[at].behind, output)));
            });
            self.matched += together.len() as u64;
            for (behind, output) in outputs {
                self.put(output, behind);
            }
            if begun.elapsed() >= TURN && !self.taken.is_empty() {
                return true;
            }
        }
        match self.position.take() {
            Some(position) => {
                self.matcher.advance(position, &mut self.out);
                self.put_out(0);
                self.settle();
                false
            }
            None => {
                // What comes next has been written meanwhile: who waits for what is done need not wait for that.
                self.settle();
                true
            }
        }
    }

    /// Takes what the matcher wants to be done.
    fn put_out(&mut self, behind: u64) {
        for output in std::mem::take(&mut self.out) {
            self.put(output, behind);
        }
    }

    fn put(&mut self, output: Output, behind: u64) {
        match output {
            Output::Tell { to, event } => {
                if self.tell_watches(&to, event.what) {
                    self.outgoing.push_back((behind, Outgoing::Event(to, event)));
                }
            }
            Output::Renew {
                view,
                query,
                scopes,
                is_dry,
            } => {
                if !is_dry || self.lose_dry_watches(&view) {
                    self.renew(view, query, scopes);
                }
            }
        }
    }

    /// Puts a message into an outlet that is delivered with the others.
    fn push(&mut self, outlet: &Arc<Outlet>, to: Subscriber, message: LiveMessage) {
        if outlet.push(to, message) {
            self.marked.push_back(outlet.clone());
        }
    }

    /// Sends what has waited long enough: all of it at once to each connection.
    fn send(&mut self) -> Sent {
        let sent = self.put_into_outlets();
        let n = self.marked.len().min(DELIVERED);
        for outlet in self.marked.drain(..n) {
            outlet.deliver();
        }
        if self.marked.is_empty() { sent } else { Sent::Some }
    }

    fn put_into_outlets(&mut self) -> Sent {
        let Some(app) = self.app.upgrade() else {
            return Sent::All;
        };
        let now = app.clock().now();
        // One event goes out bit by bit, while what it takes is at hand; where more of them wait, those of a connection go out together.
        let mut left = if self.outgoing.len() > 1 { TOLD } else { DELIVERED };
        while let Some((behind, _)) = self.outgoing.front() {
            if let Err(at) = self.feed.fence.is_passed(*behind) {
                return Sent::Until(at);
            }
            if left == 0 {
                return Sent::Some;
            }
            match self.outgoing.pop_front() {
                Some((_, Outgoing::Event(to, event))) => {
                    let mut telling = Telling::new(&event, now);
                    let turn = to.iter().skip(self.n_told).take(left);
                    left -= turn.len();
                    self.n_told += turn.len();
                    for subscriber in turn {
                        if let Some(listener) = self.listeners.get_mut(subscriber)
                            && telling.tell(listener)
                        {
                            self.marked.push_back(listener.outlet.clone());
                        }
                    }
                    if self.n_told < to.len() {
                        self.outgoing.push_front((0, Outgoing::Event(to, event)));
                    } else {
                        self.n_told = 0;
                    }
                }
                Some((_, Outgoing::First(to, outlet, message))) => self.push(&outlet, to, message),
                None => {}
            }
        }
        Sent::All
    }

    /// Breaks at the end.
    fn obey(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Close => return ControlFlow::Break(()),
            Command::Ticket(to) => {
                self.feed.switch(true);
                let held = Held {
                    ticket: Some(self.matcher.ticket()),
                    commands: self.own.clone(),
                };
                // Dropped, it comes back.
                let _ = to.send(held);
            }
            Command::GiveBack(ticket) => {
                self.matcher.give_back(ticket);
                self.rest();
            }
            Command::Register(registered) => self.register(*registered),
            Command::Resume(resumption) => {
                let Resumption { token, seat, done } = *resumption;
                let _ = done.send(self.resume(token, seat).is_some());
            }
            Command::Cancel(subscriber, outlet) => {
                if self.is_of(subscriber, &outlet) {
                    self.forget(subscriber);
                    self.rest();
                }
            }
            Command::Leave(subscriber, outlet) => self.leave(subscriber, &outlet),
            Command::Renewed(view, rows, seq) => {
                self.renewed += 1;
                self.renewing.remove(&view);
                // If it was too late, it is asked for again.
                let _ = self.matcher.renew(view, rows, seq, &mut self.out);
                self.put_out(0);
            }
            Command::Differs(view) => {
                self.renewing.remove(&view);
                self.matcher.part(&view, &mut self.out);
                self.put_out(0);
            }
            Command::Lost(view) => {
                self.renewing.remove(&view);
                for subscriber in self.matcher.subscribers(&view).iter() {
                    self.end(*subscriber, AppError::Busy { retry_after: 1 });
                    self.lose_watch(*subscriber);
                }
                self.rest();
            }
            Command::End(subscriber, error) => {
                self.end(subscriber, *error);
                self.rest();
            }
            Command::Watch(watching) => self.watch(*watching),
            Command::Unwatch(subscriber) => {
                self.unwatch(subscriber);
                self.rest();
            }
            Command::Settle(seq, to) => {
                self.settling.push((seq, to));
                self.settle();
            }
            Command::Reviewed => self.is_reviewing = false,
            Command::Stats(to) => {
                let stats = self.matcher.stats();
                let _ = to.send(LiveStats {
                    subscriptions: stats.subscribers,
                    parked: self.parked.len(),
                    filters: stats.filters,
                    scanned: stats.scanned,
                    views: stats.views,
                    objects: stats.objects,
                    matched: self.matched,
                    renewed: self.renewed,
                });
            }
        }
        ControlFlow::Continue(())
    }
}

/// What became of what was to be sent.
enum Sent {
    All,
    /// Others get their turn first.
    Some,
    /// The next one has to wait, at most until then.
    Until(Instant),
}

/// Runs the worker to its end, with which all connections end.
pub(super) async fn work(worker: Worker, mut commands: mpsc::UnboundedReceiver<Command>, outlets: Arc<Outlets>) {
    let (app, feed) = (worker.app.clone(), worker.feed.clone());
    if AssertUnwindSafe(worker.run(&mut commands))
        .catch_unwind()
        .await
        .is_err()
        && let Some(app) = app.upgrade()
    {
        tracing::error!(app = %app.id(), "the task of live queries panicked; all of them begin anew");
        app.caching().results_lost();
    }
    // Behind that: what waits counts as matched then.
    feed.switch(false);
    outlets.end_all();
    // Last: another task is begun when nobody receives commands, and switches on what this one would switch off.
    drop(commands);
}

async fn until(alarm: Option<Instant>) {
    match alarm {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
