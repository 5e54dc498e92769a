//! Messages that wait to be sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::{MailError, Mailer, Message};

/// How much waits, and how often sending is tried.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// Messages that may wait or be under way, of all apps. Default 1,000.
    pub max_waiting: usize,
    /// Messages of one app that may wait or be under way. Default 100.
    pub max_waiting_per_origin: usize,
    /// Their size in bytes, of all apps. Default 64 MiB.
    pub max_bytes: usize,
    /// Their size in bytes, of one app. Default 8 MiB.
    pub max_bytes_per_origin: usize,
    /// Messages sent at once, at least 1. Default 4.
    pub concurrent: usize,
    /// Tries per message, at least 1. Default 24, which is about 80 minutes with the other defaults.
    pub max_tries: u32,
    /// Pause after the first try that failed for now. It doubles with each further one. Default 1 s.
    pub first_pause: Duration,
    /// Longest pause. Default 5 minutes.
    pub longest_pause: Duration,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            max_waiting: 1000,
            max_waiting_per_origin: 100,
            max_bytes: 64 * 1024 * 1024,
            max_bytes_per_origin: 8 * 1024 * 1024,
            concurrent: 4,
            max_tries: 24,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(5),
        }
    }
}

impl OutboxOptions {
    /// The pause after the `tries`-th try, from 1. Not randomised: at most `concurrent` messages meet the server anyway.
    fn pause(&self, tries: u32) -> Duration {
        let factor = 1u32.checked_shl(tries - 1).unwrap_or(u32::MAX);
        self.first_pause.saturating_mul(factor).min(self.longest_pause)
    }
}

/// A message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Too much waits already, of all apps together.
    #[error("too many messages wait to be sent")]
    All,
    /// Too much of this app waits already.
    #[error("too many messages of this app wait to be sent")]
    Origin,
    /// The outbox was closed.
    #[error("no more messages are sent, the server is shutting down")]
    Closed,
}

/// What became of messages since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Messages that the mail server took.
    pub sent: u64,
    /// Messages that were given up.
    pub failed: u64,
    /// Tries after which a message was kept for another one.
    pub retried: u64,
    /// Messages that were not taken because too many waited.
    pub refused: u64,
    /// Messages that wait or are under way, now.
    pub waiting: u64,
}

/// A bounded queue of messages that are sent in the background.
///
/// It lives in memory: what waits when the process ends is lost. Messages are tried roughly in the order in which they
/// came; one that has to be tried again is overtaken. Dropping the outbox ends everything at once.
pub struct Outbox {
    shared: Arc<Shared>,
    runtime: Handle,
    /// One task per message, so at most `max_waiting`. `None` once closed. A std mutex: nothing awaits while it is held.
    tasks: Mutex<Option<JoinSet<()>>>,
}

struct Shared {
    mailer: Arc<dyn Mailer>,
    options: OutboxOptions,
    /// A std mutex: sections are short and never await.
    load: Mutex<HashMap<String, Load>>,
    /// First come, first served.
    sends: Semaphore,
    closing: watch::Sender<bool>,
    sent: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    refused: AtomicU64,
}

/// What waits of one app. Apps without waiting messages have no entry.
#[derive(Default)]
struct Load {
    messages: usize,
    bytes: usize,
}

impl Outbox {
    /// An empty outbox in front of `mailer`.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn start(mailer: Arc<dyn Mailer>, options: OutboxOptions) -> Self {
        let shared = Shared {
            mailer,
            sends: Semaphore::new(options.concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            options,
            load: Mutex::default(),
            closing: watch::Sender::new(false),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
            runtime: Handle::current(),
            tasks: Mutex::new(Some(JoinSet::new())),
        }
    }

    /// Takes a message, or says at once that it does not. Never blocks. What becomes of the message is counted, and
    /// logged if it is given up.
    pub fn post(&self, message: Message) -> Result<(), Full> {
        self.post_all(vec![message])
    }

    /// The same for several messages: all of them or none.
    pub fn post_all(&self, messages: Vec<Message>) -> Result<(), Full> {
        let mut tasks = lock(&self.tasks);
        let Some(tasks) = tasks.as_mut() else {
            return Err(Full::Closed);
        };
        while let Some(ended) = tasks.try_join_next() {
            if ended.is_err_and(|error| error.is_panic()) {
                tracing::error!("sending a message panicked");
            }
        }
        let mut places = Vec::with_capacity(messages.len());
        for message in &messages {
            match Place::take(&self.shared, message) {
                Ok(place) => places.push(place),
                Err(full) => {
                    places
                        .iter_mut()
                        .for_each(|place: &mut Place| place.fate = Fate::NotTaken);
                    return Err(full);
                }
            }
        }
        for (place, message) in places.into_iter().zip(messages) {
            tasks.spawn_on(place.send(message), &self.runtime);
        }
        Ok(())
    }

    /// Numbers for metrics.
    pub fn counters(&self) -> Counters {
        let waiting = lock(&self.shared.load).values().map(|load| load.messages as u64).sum();
        let shared = &self.shared;
        Counters {
            sent: shared.sent.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
            retried: shared.retried.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
            waiting,
        }
    }

    /// Takes no more messages, tries each that waits once more without further pauses, and gives up what is left after
    /// `limit`. Returns how many messages were given up. The second call returns 0 at once.
    pub async fn close(&self, limit: Duration) -> u64 {
        let Some(mut tasks) = lock(&self.tasks).take() else {
            return 0;
        };
        let before = self.counters().failed;
        self.shared.closing.send_replace(true);
        let flush = async { while tasks.join_next().await.is_some() {} };
        // What runs longer is ended by `shutdown`, and counted as failed when its place is given back.
        let _ = tokio::time::timeout(limit, flush).await;
        tasks.shutdown().await;
        let lost = self.counters().failed - before;
        if lost > 0 {
            tracing::warn!(lost, "{lost} messages could not be sent before the shutdown");
        }
        lost
    }
}

/// What became of a message, when its place is given back.
#[derive(Clone, Copy)]
enum Fate {
    Sent,
    Failed,
    /// There was no room for others that belong to it.
    NotTaken,
}

/// The room one message takes. Given back when dropped, also by a panic or when the task is ended; whatever was not
/// marked as sent counts as failed.
struct Place {
    shared: Arc<Shared>,
    origin: String,
    bytes: usize,
    fate: Fate,
}

impl Place {
    fn take(shared: &Arc<Shared>, message: &Message) -> Result<Self, Full> {
        let options = &shared.options;
        let bytes = message.size();
        let mut load = lock(&shared.load);
        // Linear in the apps that have messages waiting, of which there are at most `max_waiting`.
        let all = load.values().fold(Load::default(), |sum, one| Load {
            messages: sum.messages + one.messages,
            bytes: sum.bytes + one.bytes,
        });
        let (messages, held) = load
            .get(message.origin())
            .map_or((0, 0), |own| (own.messages, own.bytes));
        let full = if messages >= options.max_waiting_per_origin || held + bytes > options.max_bytes_per_origin {
            Some(Full::Origin)
        } else if all.messages >= options.max_waiting || all.bytes + bytes > options.max_bytes {
            Some(Full::All)
        } else {
            None
        };
        if let Some(full) = full {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(full);
        }
        let own = load.entry(message.origin().to_owned()).or_default();
        own.messages += 1;
        own.bytes += bytes;
        drop(load);
        Ok(Self {
            shared: Arc::clone(shared),
            origin: message.origin().to_owned(),
            bytes,
            fate: Fate::Failed,
        })
    }

    /// Sends `message`, with pauses between tries.
    async fn send(mut self, message: Message) {
        let shared = Arc::clone(&self.shared);
        let mut closing = shared.closing.subscribe();
        let to = message.recipient().redacted();
        let mut tries = 0;
        let reason = loop {
            tries += 1;
            let outcome = {
                // The semaphore is never closed.
                let _permit = shared.sends.acquire().await;
                shared.mailer.send(&message).await
            };
            match outcome {
                Ok(()) => {
                    self.fate = Fate::Sent;
                    tracing::debug!(app = message.origin(), to, tries, "a message was sent");
                    return;
                }
                Err(MailError::Rejected { reason }) => break reason,
                Err(MailError::Unavailable { reason }) => {
                    if tries >= shared.options.max_tries || *closing.borrow() {
                        break reason;
                    }
                    shared.retried.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(
                        app = message.origin(),
                        to,
                        tries,
                        reason,
                        "a message will be tried again"
                    );
                }
            }
            tokio::select! {
                () = tokio::time::sleep(shared.options.pause(tries)) => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        };
        tracing::warn!(
            app = message.origin(),
            to,
            tries,
            reason,
            "a message to {to} could not be sent: {reason}"
        );
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counter = match self.fate {
            Fate::Sent => &self.shared.sent,
            Fate::Failed => &self.shared.failed,
            Fate::NotTaken => &self.shared.refused,
        };
        let mut load = lock(&self.shared.load);
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(own) = load.get_mut(&self.origin) {
            own.messages -= 1;
            own.bytes -= self.bytes;
            if own.messages == 0 {
                load.remove(&self.origin);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
