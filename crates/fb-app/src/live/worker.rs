//! The task that matches an app's writes with its live queries.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use fb_auth::Principal;
use fb_live::{
    Event, Image, Limits, LiveQuery, Matcher, Output, Refused, Registration, Row, Subscriber, Ticket, ViewId,
};
use fb_types::Seq;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::LiveStats;
use super::budget::Charge;
use super::caller::LiveCaller;
use super::feed::{Feed, Waiting};
use super::outlet::{LiveEnd, LiveMessage, LiveText, Outlet, Outlets};
use super::resume::{Parked, Token};
use super::tell::{Listener, Telling, first, head};
use super::wish::LiveWish;
use crate::{App, AppError};

/// Writes that are taken at once, that are matched together, and how long they are matched before others get their turn.
const BATCH: usize = 256;
const TOGETHER: usize = 32;
const TURN: Duration = Duration::from_millis(2);
/// Listeners that are told before others get their turn.
const TOLD: usize = 4096;
/// How often everybody's rights are looked at although nothing seems to have changed: tokens expire.
pub(super) const REVIEW: Duration = Duration::from_secs(10);
/// The pause between the beginnings of two renewals.
const PACE: Duration = Duration::from_millis(5);
/// How often a renewal is tried, and the pause before the second time; each further one is twice as long.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

/// What the task is asked to do.
pub(super) enum Command {
    Ticket(oneshot::Sender<Held>),
    GiveBack(Ticket),
    Register(Box<Registered>),
    Resume(Box<Resumption>),
    /// A subscription ends, if this is still its connection.
    Cancel(Subscriber, Arc<Outlet>),
    /// Its connection is gone.
    Leave(Subscriber, Arc<Outlet>),
    Renewed(ViewId, Vec<Row>, Seq),
    Differs(ViewId),
    /// It could not be read again, so nobody knows what its subscribers should see.
    Lost(ViewId),
    /// A subscriber may not any more.
    End(Subscriber, Box<AppError>),
    Reviewed,
    /// The app is closed.
    Close,
    Stats(oneshot::Sender<LiveStats>),
}

/// A ticket that is given back when nobody uses it.
pub(super) struct Held {
    ticket: Option<Ticket>,
    commands: mpsc::WeakUnboundedSender<Command>,
}

impl Held {
    pub(super) fn take(mut self) -> Ticket {
        // It is there until it is taken.
        self.ticket.take().unwrap_or_else(|| unreachable!())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(ticket), Some(commands)) = (self.ticket.take(), self.commands.upgrade()) {
            let _ = commands.send(Command::GiveBack(ticket));
        }
    }
}

/// Who subscribed, and to what: all that is needed to do it again.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) id: Arc<str>,
    pub(super) caller: LiveCaller,
    pub(super) principal: Principal,
    pub(super) wish: Arc<LiveWish>,
    pub(super) outlet: Arc<Outlet>,
    /// When its rights were looked at.
    pub(super) rights_rev: u64,
    /// What it costs, until it ends.
    pub(super) charges: Arc<Vec<Charge>>,
}

pub(super) struct Registered {
    pub(super) registration: Registration,
    pub(super) listener: Listener,
    pub(super) first: Option<Bytes>,
    pub(super) seat: Seat,
    pub(super) schema_rev: u32,
    /// True for one who is there already.
    pub(super) again: bool,
    pub(super) done: oneshot::Sender<Result<(), Refused>>,
}

/// A subscription that is to go on with another connection.
pub(super) struct Resumption {
    pub(super) token: Token,
    pub(super) seat: Seat,
    /// If it does.
    pub(super) done: oneshot::Sender<bool>,
}

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
    listeners: HashMap<Subscriber, Listener>,
    seats: HashMap<Subscriber, Seat>,
    parked: Parked,
    /// In the order in which it is to be sent, with the number of the ticket it has to wait for.
    outgoing: VecDeque<(u64, Outgoing)>,
    /// How many have been told of the first of it.
    n_told: usize,
    /// What was taken and is to be matched; the position behind it, once everything is taken.
    taken: VecDeque<Waiting>,
    position: Option<Seq>,
    out: Vec<Output>,
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
            listeners: HashMap::new(),
            seats: HashMap::new(),
            parked: Parked::default(),
            outgoing: VecDeque::new(),
            n_told: 0,
            taken: VecDeque::new(),
            position: None,
            out: Vec::new(),
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
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
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
            let alarm = wait_until
                .map(Instant::from_std)
                .into_iter()
                .chain(review_at)
                .chain(self.parked.next())
                .min();
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
                false
            }
            None => true,
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
            Output::Tell { to, event } => self.outgoing.push_back((behind, Outgoing::Event(to, event))),
            Output::Renew {
                view, query, scopes, ..
            } => self.renew(view, query, scopes),
        }
    }

    /// Sends what has waited long enough.
    fn send(&mut self) -> Sent {
        let Some(app) = self.app.upgrade() else {
            return Sent::All;
        };
        let now = app.clock().now();
        let mut left = TOLD;
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
                        if let Some(listener) = self.listeners.get_mut(subscriber) {
                            telling.tell(listener);
                        }
                    }
                    if self.n_told < to.len() {
                        self.outgoing.push_front((0, Outgoing::Event(to, event)));
                    } else {
                        self.n_told = 0;
                    }
                }
                Some((_, Outgoing::First(to, outlet, message))) => outlet.push(to, message),
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
                }
                self.rest();
            }
            Command::End(subscriber, error) => {
                self.end(subscriber, *error);
                self.rest();
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

    /// A subscription ends with an error.
    fn end(&mut self, subscriber: Subscriber, error: AppError) {
        if let Some(seat) = self.seats.get(&subscriber) {
            let message = LiveMessage::Error(seat.id.clone(), error);
            let outlet = seat.outlet.clone();
            self.outgoing
                .push_back((0, Outgoing::First(subscriber, outlet, message)));
        }
        self.forget(subscriber);
    }

    fn register(&mut self, registered: Registered) {
        let Registered {
            mut registration,
            mut listener,
            first,
            mut seat,
            schema_rev,
            again,
            done,
        } = registered;
        let subscriber = registration.subscriber;
        let is_gone = match again {
            true => !self.stays(subscriber, &mut seat, &mut listener),
            false => seat.outlet.is_over(),
        };
        let is_current = self.app.upgrade().is_some_and(|app| app.schema().rev() == schema_rev);
        if is_gone || !is_current {
            self.matcher.give_back(registration.ticket);
            self.rest();
            // Whoever is there tries again, with the new schema.
            let _ = done.send(if is_gone { Ok(()) } else { Err(Refused::TooLate) });
            return;
        }
        let known = self.listeners.get(&subscriber);
        registration.tell_all = known.is_some_and(|known| known.fields != listener.fields);
        let mut out = Vec::new();
        let result = self.matcher.register(registration, &mut out);
        if result.is_ok() {
            // Who is not here yet is in no review.
            self.must_review_again |= seat.rights_rev != self.feed.rights_rev();
            if let Some(shared) = first {
                let message = LiveMessage::Text(LiveText {
                    head: listener.head.clone(),
                    resume: listener.log.as_ref().map(|log| log.token(0)),
                    shared,
                });
                self.outgoing
                    .push_back((0, Outgoing::First(subscriber, listener.outlet.clone(), message)));
            }
            self.listeners.insert(subscriber, listener);
            self.seats.insert(subscriber, seat);
        }
        self.out.append(&mut out);
        self.put_out(0);
        let _ = done.send(result);
    }

    /// Whoever has other rights now, and a connection, keeps that: it may be another one than when the rights were looked at.
    fn stays(&mut self, subscriber: Subscriber, seat: &mut Seat, listener: &mut Listener) -> bool {
        if self.parked.contains(subscriber) {
            // What it missed was for somebody with other rights.
            self.forget(subscriber);
        }
        let (Some(seated), Some(known)) = (self.seats.get(&subscriber), self.listeners.get_mut(&subscriber)) else {
            return false;
        };
        (seat.id, seat.caller, seat.outlet) = (seated.id.clone(), seated.caller.clone(), seated.outlet.clone());
        (listener.head, listener.outlet) = (known.head.clone(), known.outlet.clone());
        listener.log = known.log.take();
        if let Some(log) = &mut listener.log {
            log.clear();
        }
        true
    }

    /// Goes on with a subscription over another connection. `None` if that is not possible, or would not be right.
    fn resume(&mut self, token: Token, seat: Seat) -> Option<()> {
        let app = self.app.upgrade()?;
        let subscriber = token.subscriber;
        let (seated, listener) = (self.seats.get_mut(&subscriber)?, self.listeners.get_mut(&subscriber)?);
        let is_like = seated.principal == seat.principal && seated.wish.is_like(&seat.wish);
        if !is_like || listener.schema.rev() != app.schema().rev() || seat.outlet.is_over() {
            return None;
        }
        let missed = listener.log.as_ref()?.since(token)?;
        let head = head(&seat.id);
        let text = |resume: String, shared: Bytes| {
            LiveMessage::Text(LiveText {
                head: head.clone(),
                resume: Some(resume),
                shared,
            })
        };
        let begun = first(None, Some(true), app.clock().now());
        seat.outlet.push(subscriber, text(token.to_string(), begun));
        for (token, message) in missed {
            seat.outlet.push(subscriber, text(token, message));
        }
        if !self.parked.remove(subscriber) {
            // Nobody noticed that the connection is gone, or it is not.
            let message = LiveMessage::Error(seated.id.clone(), AppError::Resumed);
            seated.outlet.push(subscriber, message);
        }
        (listener.head, listener.outlet) = (head, seat.outlet.clone());
        *seated = seat;
        Some(())
    }

    /// A connection is gone.
    fn leave(&mut self, subscriber: Subscriber, outlet: &Arc<Outlet>) {
        if !self.is_of(subscriber, outlet) {
            return;
        }
        let listener = self.listeners.get(&subscriber);
        if listener.is_some_and(|listener| listener.log.is_some()) {
            self.parked.insert(subscriber, Instant::now());
        } else {
            self.forget(subscriber);
            self.rest();
        }
    }

    /// Ends what nobody came back for.
    fn end_parked(&mut self) {
        let now = Instant::now();
        while let Some(subscriber) = self.parked.pop(now) {
            self.forget(subscriber);
            self.rest();
        }
    }

    fn is_of(&self, subscriber: Subscriber, outlet: &Arc<Outlet>) -> bool {
        let seat = self.seats.get(&subscriber);
        seat.is_some_and(|seat| Arc::ptr_eq(&seat.outlet, outlet))
    }

    fn forget(&mut self, subscriber: Subscriber) {
        self.parked.remove(subscriber);
        self.matcher.cancel(subscriber);
        self.listeners.remove(&subscriber);
        self.seats.remove(&subscriber);
    }

    /// Without queries, writes need not be handed over.
    fn rest(&mut self) {
        if self.matcher.is_idle() {
            self.taken.clear();
            self.feed.switch(false);
        }
    }

    /// Ends all connections with subscriptions; clients connect anew. What was read up to this position holds no more.
    fn reset(&mut self, position: Seq) {
        self.outgoing.clear();
        self.n_told = 0;
        self.matcher.lose(position);
        for seat in self.seats.values() {
            seat.outlet.end(LiveEnd::Reset);
        }
        let subscribers: Vec<Subscriber> = self.seats.keys().copied().collect();
        for subscriber in subscribers {
            self.forget(subscriber);
        }
        self.renewing.clear();
        self.rest();
    }

    /// Reads a result again, beside everything else.
    fn renew(&mut self, view: ViewId, query: Arc<LiveQuery>, scopes: Vec<fb_auth::Scope>) {
        if !self.renewing.insert(view.clone()) {
            return;
        }
        let begin_at = self.next_renewal.max(Instant::now());
        self.next_renewal = begin_at + PACE;
        let (app, commands) = (self.app.clone(), self.own.clone());
        tokio::spawn(async move {
            tokio::time::sleep_until(begin_at).await;
            let mut pause = PAUSE;
            let mut n_tries = 0;
            let command = loop {
                let Some(app) = app.upgrade() else { return };
                // A renewal that panics must not leave its view waiting for ever.
                let result = AssertUnwindSafe(app.live_renewal(&query, &scopes)).catch_unwind().await;
                drop(app);
                let error = match result {
                    Ok(Ok(Some(snapshot))) => break Command::Renewed(view, snapshot.rows, snapshot.seq),
                    Ok(Ok(None)) => break Command::Differs(view),
                    Ok(Err(error)) => error,
                    Err(_) => AppError::internal("reading a live query again", "it panicked"),
                };
                tracing::warn!(error = %error, "a live query could not be read again");
                n_tries += 1;
                if n_tries == TRIES {
                    break Command::Lost(view);
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            };
            if let Some(commands) = commands.upgrade() {
                let _ = commands.send(command);
            }
        });
    }

    /// Looks at everybody's rights if that is due.
    fn review(&mut self) {
        let rights_rev = self.feed.rights_rev();
        self.must_review_again |= std::mem::replace(&mut self.rights_rev, rights_rev) != rights_rev;
        let is_due = self.must_review_again || self.reviewed_at.elapsed() >= REVIEW;
        if !is_due || self.is_reviewing || self.seats.is_empty() {
            return;
        }
        self.must_review_again = false;
        self.reviewed_at = Instant::now();
        let mut by_caller: HashMap<LiveCaller, Vec<(Subscriber, Seat)>> = HashMap::new();
        for (subscriber, seat) in &self.seats {
            if seat.caller != LiveCaller::Anonymous {
                by_caller
                    .entry(seat.caller.clone())
                    .or_default()
                    .push((*subscriber, seat.clone()));
            }
        }
        if by_caller.is_empty() {
            return;
        }
        self.is_reviewing = true;
        let (app, commands) = (self.app.clone(), self.own.clone());
        tokio::spawn(async move {
            for (caller, seats) in by_caller {
                let (Some(app), Some(commands)) = (app.upgrade(), commands.upgrade()) else {
                    return;
                };
                let review = review_caller(&app, &commands, &caller, seats);
                if AssertUnwindSafe(review).catch_unwind().await.is_err() {
                    tracing::error!(app = %app.id(), "a review of the rights of live queries panicked");
                }
            }
            if let Some(commands) = commands.upgrade() {
                let _ = commands.send(Command::Reviewed);
            }
        });
    }
}

/// What became of what was to be sent.
enum Sent {
    All,
    /// Others get their turn first.
    Some,
    /// The next one has to wait, at most until then.
    Until(std::time::Instant),
}

/// Runs the worker to its end, with which all connections end.
pub(super) async fn work(worker: Worker, commands: mpsc::UnboundedReceiver<Command>, outlets: Arc<Outlets>) {
    let (app, feed) = (worker.app.clone(), worker.feed.clone());
    if AssertUnwindSafe(worker.run(commands)).catch_unwind().await.is_err()
        && let Some(app) = app.upgrade()
    {
        tracing::error!(app = %app.id(), "the task of live queries panicked; all of them begin anew");
    }
    feed.switch(false);
    outlets.end_all();
}

/// Looks at the rights of all who subscribed in the same way.
async fn review_caller(
    app: &Arc<App>,
    commands: &mpsc::UnboundedSender<Command>,
    caller: &LiveCaller,
    seats: Vec<(Subscriber, Seat)>,
) {
    let rights_rev = app.live().feed.rights_rev();
    let principal = app.live_principal(caller).await;
    for (subscriber, mut seat) in seats {
        seat.rights_rev = rights_rev;
        let end = match &principal {
            Ok(principal) if *principal == seat.principal => continue,
            Ok(principal) => {
                seat.principal = principal.clone();
                app.seat(commands, subscriber, seat, None).await.err()
            }
            Err(AppError::BadToken) => Some(AppError::BadToken),
            // Nobody knows. It is looked at again.
            Err(_) => continue,
        };
        if let Some(error) = end {
            let _ = commands.send(Command::End(subscriber, Box::new(error)));
        }
    }
}

async fn until(alarm: Option<Instant>) {
    match alarm {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
