//! The task that tells one target.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fb_types::Clock;
use futures_util::future::join_all;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::options::{By, Options};
use crate::order::Order;
use crate::queue::{Item, Queue, What};
use crate::send::Wire;
use crate::stats::{Counters, TargetStats};
use crate::target::Target;
use crate::verdict::{Failure, Verdict};

/// A target, and what waits for it.
pub(crate) struct Lane {
    target: Target,
    by: By,
    options: Options,
    clock: Arc<dyn Clock>,
    /// Std: held for additions and removals only.
    queue: Mutex<Queue>,
    /// Something was added.
    added: Notify,
    counters: Counters,
}

/// A target that does not do as it is told.
struct Trouble {
    since: Instant,
    pause: Duration,
}

/// What became of what was sent at once.
#[derive(Default)]
struct Outcome {
    failure: Option<Failure>,
    /// The longest pause that was asked for.
    after: Option<Duration>,
    /// Nothing but another configuration helps.
    is_hopeless: bool,
}

impl Lane {
    pub(crate) fn new(target: Target, by: By, options: Options, clock: Arc<dyn Clock>) -> Self {
        let mut queue = Queue::new(options.capacity);
        queue.add_everything(fresh());
        Self {
            target,
            by,
            options,
            clock,
            queue: Mutex::new(queue),
            added: Notify::new(),
            counters: Counters::default(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, orders: &[Order]) {
        let item = fresh();
        let mut queue = self.queue();
        for order in orders {
            let mut has_room = true;
            let is_named = order.names(self.by, |name| has_room &= queue.add(name, item));
            if !is_named {
                queue.add_everything(item);
            }
            if !has_room {
                Counters::add(&self.counters.overflows, 1);
            }
        }
        drop(queue);
        self.added.notify_one();
    }

    pub(crate) fn stats(&self) -> TargetStats {
        let queue = self.queue();
        self.counters.stats(self.target.name(), &queue)
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.queue().len()
    }

    /// Tells the target until `closing` becomes true and nothing waits any more.
    pub(crate) async fn run(self: Arc<Self>, wire: Arc<impl Wire>, mut closing: watch::Receiver<bool>) {
        let mut trouble: Option<Trouble> = None;
        while self.has_work(&mut closing).await {
            if !*closing.borrow() {
                tokio::time::sleep(self.options.gather).await;
            }
            let outcome = self.tell(&*wire).await;
            let Some(failure) = &outcome.failure else {
                if trouble.take().is_some() {
                    self.counters.is_failing.store(false, Ordering::Relaxed);
                    tracing::info!(
                        target.name = self.target.name(),
                        "{} is told again what to purge",
                        self.target.name()
                    );
                }
                continue;
            };
            let pause = self.pause(&mut trouble, failure, &outcome);
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until something is to be sent. False when the end has come.
    async fn has_work(&self, closing: &mut watch::Receiver<bool>) -> bool {
        loop {
            let (is_empty, due) = {
                let mut queue = self.queue();
                queue.wake_repeats(Instant::now());
                (queue.is_empty(), queue.next_repeat())
            };
            if !is_empty {
                return true;
            }
            // What was told once already need not be repeated then: who comes next begins with everything.
            if *closing.borrow_and_update() {
                return false;
            }
            let repeat = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.added.notified() => {}
                () = repeat => {}
                // An error is the end of whoever could close: then this task ends as well.
                changed = closing.changed() => if changed.is_err() { return false; },
            }
        }
    }

    /// Sends a few requests at once. What failed waits again afterwards.
    async fn tell(&self, wire: &impl Wire) -> Outcome {
        let room = self.target.room();
        let requests: Vec<What> = {
            let mut queue = self.queue();
            let lanes = 0..self.options.lanes.max(1);
            let requests: Vec<What> = lanes.map_while(|_| queue.take(room)).collect();
            // Changes with the queue locked, so that nothing seems to be nowhere.
            let n_names = requests.iter().map(What::len).sum();
            self.counters.under_way.store(n_names, Ordering::Relaxed);
            requests
        };
        let now = self.clock.now();
        let sent = requests.into_iter().map(async |what| {
            let verdict = match self.target.ask(&what, now) {
                Some(asked) => wire.send(&self.target, asked).await,
                None => Verdict::Unacceptable(Failure::Unsayable),
            };
            (what, verdict)
        });
        let mut outcome = Outcome::default();
        for (what, verdict) in join_all(sent).await {
            self.judge(what, verdict, &mut outcome);
        }
        self.counters.under_way.store(0, Ordering::Relaxed);
        outcome
    }

    fn judge(&self, what: What, verdict: Verdict, outcome: &mut Outcome) {
        let failure = match verdict {
            Verdict::Done => return self.done(what),
            Verdict::Later { why, after } => {
                outcome.after = outcome.after.max(after);
                why
            }
            Verdict::Refused(why) => {
                outcome.is_hopeless = true;
                why
            }
            Verdict::Unacceptable(why) => {
                // Perhaps it takes offence at a name.
                match &what {
                    What::Everything(_) => outcome.is_hopeless = true,
                    What::Names(_) => self.give_up_names(),
                }
                why
            }
        };
        outcome.failure = Some(failure);
        Counters::add(&self.counters.failed, 1);
        Counters::add(&self.counters.retried, what.len());
        self.queue().put_back(what);
    }

    fn done(&self, what: What) {
        let now = Instant::now();
        let (counter, items): (_, Vec<Item>) = match &what {
            What::Everything(item) => (&self.counters.everything, vec![*item]),
            What::Names(names) => (&self.counters.sent, names.iter().map(|(_, item)| *item).collect()),
        };
        Counters::add(counter, items.len());
        for item in items.iter().filter(|item| !item.is_repeat) {
            self.counters.delayed(now.saturating_duration_since(item.since));
        }
        let Some(repeat) = self.options.repeat else { return };
        let Some(what) = what.without_repeats() else { return };
        let n = what.len();
        if !self.queue().repeat_at(now + repeat, what) {
            Counters::add(&self.counters.unrepeated, n);
        }
    }

    fn give_up_names(&self) {
        Counters::add(&self.counters.overflows, 1);
        self.queue().add_everything(fresh());
    }

    /// How long to leave the target alone.
    fn pause(&self, trouble: &mut Option<Trouble>, failure: &Failure, outcome: &Outcome) -> Duration {
        let name = self.target.name();
        let options = &self.options;
        let trouble = trouble.get_or_insert_with(|| {
            self.counters.is_failing.store(true, Ordering::Relaxed);
            let source = std::error::Error::source(failure).map(ToString::to_string);
            tracing::warn!(target.name = name, error = %failure, source, "{name} cannot be told what to purge: {failure}");
            Trouble {
                since: Instant::now(),
                pause: options.first_pause,
            }
        });
        if trouble.since.elapsed() > options.patience && self.queue().forget_names(fresh()) {
            Counters::add(&self.counters.overflows, 1);
        }
        let pause = match outcome.is_hopeless {
            true => options.last_pause,
            false => trouble.pause,
        };
        trouble.pause = (trouble.pause * 2).min(options.last_pause);
        pause.max(outcome.after.unwrap_or_default())
    }
}

fn fresh() -> Item {
    Item {
        since: Instant::now(),
        is_repeat: false,
    }
}

#[cfg(test)]
mod tests;
