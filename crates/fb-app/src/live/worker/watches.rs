//! Queries that are watched for the sake of copies of their results.

use fb_live::{Refused, Subscriber, ViewId, What};
use fb_types::Seq;
use tokio::sync::oneshot;

use super::super::command::Watching;
use super::super::watch::WATCH;
use super::Worker;

/// A watch that begins at a position.
pub(super) struct Beginning {
    seq: Seq,
    subscriber: Subscriber,
    done: oneshot::Sender<Result<(), Refused>>,
}

impl Worker {
    pub(super) fn watch(&mut self, watching: Watching) {
        let Watching {
            registration,
            schema_rev,
            done,
        } = watching;
        let is_current = self.app.upgrade().is_some_and(|app| app.schema().rev() == schema_rev);
        if !is_current {
            self.matcher.give_back(registration.ticket);
            self.rest();
            let _ = done.send(Err(Refused::TooLate));
            return;
        }
        let (subscriber, seq) = (registration.subscriber, registration.seq);
        let mut out = Vec::new();
        // Before: its first events may come with it.
        self.watches.insert(subscriber);
        let result = self.matcher.register(registration, &mut out);
        if result.is_err() {
            self.watches.remove(&subscriber);
        }
        self.out.append(&mut out);
        self.put_out(0);
        match result {
            // What it is told begins when the matcher has got that far.
            Ok(()) => self.beginning.push(Beginning { seq, subscriber, done }),
            Err(refused) => drop(done.send(Err(refused))),
        }
        self.begin_watches();
    }

    /// Answers those whose watches are in effect, and forgets those that nobody waits for any more.
    fn begin_watches(&mut self) {
        let position = self.matcher.position();
        let begun: Vec<Beginning> = self
            .beginning
            .extract_if(.., |beginning| beginning.seq <= position || beginning.done.is_closed())
            .collect();
        for Beginning { subscriber, done, .. } in begun {
            // Others may see the same result and be waiting for it to be read again.
            let is_told = self.matcher.is_told(subscriber) && self.watches.contains(&subscriber);
            let answer = if is_told { Ok(()) } else { Err(Refused::TooLate) };
            if done.send(answer).is_err() || !is_told {
                self.unwatch(subscriber);
                self.rest();
            }
        }
    }

    pub(super) fn unwatch(&mut self, subscriber: Subscriber) {
        if self.watches.remove(&subscriber) {
            self.matcher.cancel(subscriber);
        }
    }

    /// Copies of these results are out of date. False if nobody else is to be told.
    pub(super) fn tell_watches(&self, to: &[Subscriber], what: What) -> bool {
        if self.watches.is_empty() {
            return true;
        }
        let Some(app) = self.app.upgrade() else { return true };
        let mut n_others = 0;
        for subscriber in to {
            match subscriber & WATCH {
                0 => n_others += 1,
                _ => app.caching().result_changed(*subscriber, what),
            }
        }
        n_others > 0
    }

    /// What becomes of this result is not told until it is read again: copies that were made meanwhile would not be found. Whoever asks
    /// for it next has it watched anew. False if nobody else sees this result.
    pub(super) fn lose_dry_watches(&mut self, view: &ViewId) -> bool {
        if self.watches.is_empty() {
            return true;
        }
        for subscriber in self.matcher.subscribers(view).iter() {
            self.lose_watch(*subscriber);
        }
        !self.matcher.subscribers(view).is_empty()
    }

    pub(super) fn lose_watch(&mut self, subscriber: Subscriber) {
        if self.watches.contains(&subscriber) {
            if let Some(app) = self.app.upgrade() {
                app.caching().result_lost(subscriber);
            }
            self.unwatch(subscriber);
        }
    }

    pub(super) fn lose_watches(&mut self) {
        if let Some(app) = self.app.upgrade() {
            app.caching().results_lost();
        }
        for subscriber in std::mem::take(&mut self.watches) {
            self.matcher.cancel(subscriber);
        }
    }

    /// Answers those who waited for what is matched by now. Without queries nothing is.
    pub(super) fn settle(&mut self) {
        self.begin_watches();
        let position = match self.feed.is_on() {
            true => self.matcher.position(),
            false => Seq(u64::MAX),
        };
        // Behind what was told: whoever sees that nothing waits, has what came of it.
        self.feed.matched(position);
        for (_, to) in self.settling.extract_if(.., |(seq, _)| *seq <= position) {
            let _ = to.send(());
        }
    }
}
