//! Who subscribes, comes back, leaves and is ended.

use std::sync::Arc;

use bytes::Bytes;
use fb_live::{Refused, Subscriber};
use fb_types::Seq;
use tokio::time::Instant;

use super::super::command::{Registered, Seat};
use super::super::outlet::{LiveEnd, LiveMessage, LiveText, Outlet};
use super::super::resume::Token;
use super::super::tell::{Listener, first, head};
use super::{Outgoing, Worker};
use crate::AppError;

impl Worker {
    /// A subscription ends with an error.
    pub(super) fn end(&mut self, subscriber: Subscriber, error: AppError) {
        if let Some(seat) = self.seats.get(&subscriber) {
            let message = LiveMessage::Error(seat.id.clone(), error);
            let outlet = seat.outlet.clone();
            self.outgoing
                .push_back((0, Outgoing::First(subscriber, outlet, message)));
        }
        self.forget(subscriber);
    }

    pub(super) fn register(&mut self, registered: Registered) {
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
    pub(super) fn stays(&mut self, subscriber: Subscriber, seat: &mut Seat, listener: &mut Listener) -> bool {
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
    pub(super) fn resume(&mut self, token: Token, seat: Seat) -> Option<()> {
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
        let messages =
            std::iter::once(text(token.to_string(), begun)).chain(missed.map(|(token, message)| text(token, message)));
        for message in messages {
            if seat.outlet.push(subscriber, message) {
                self.marked.push_back(seat.outlet.clone());
            }
        }
        if !self.parked.remove(subscriber) {
            // Nobody noticed that the connection is gone, or it is not.
            let message = LiveMessage::Error(seated.id.clone(), AppError::Resumed);
            if seated.outlet.push(subscriber, message) {
                self.marked.push_back(seated.outlet.clone());
            }
        }
        (listener.head, listener.outlet) = (head, seat.outlet.clone());
        // It goes on costing what it cost, on the accounts of who began it.
        let charges = seated.charges.clone();
        *seated = Seat { charges, ..seat };
        Some(())
    }

    /// A connection is gone.
    pub(super) fn leave(&mut self, subscriber: Subscriber, outlet: &Arc<Outlet>) {
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
    pub(super) fn end_parked(&mut self) {
        let now = Instant::now();
        while let Some(subscriber) = self.parked.pop(now) {
            self.forget(subscriber);
            self.rest();
        }
    }

    pub(super) fn is_of(&self, subscriber: Subscriber, outlet: &Arc<Outlet>) -> bool {
        let seat = self.seats.get(&subscriber);
        seat.is_some_and(|seat| Arc::ptr_eq(&seat.outlet, outlet))
    }

    pub(super) fn forget(&mut self, subscriber: Subscriber) {
        self.parked.remove(subscriber);
        self.matcher.cancel(subscriber);
        self.listeners.remove(&subscriber);
        self.seats.remove(&subscriber);
    }

    /// Without queries, writes need not be handed over.
    pub(super) fn rest(&mut self) {
        if self.matcher.is_idle() {
            self.taken.clear();
            self.feed.switch(false);
            self.settle();
        }
    }

    /// Ends all connections with subscriptions; clients connect anew. What was read up to this position holds no more.
    pub(super) fn reset(&mut self, position: Seq) {
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
        self.lose_watches();
        self.renewing.clear();
        self.rest();
    }
}
