//! What waits to be sent over one connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fb_live::Subscriber;
use tokio::sync::Notify;

use crate::AppError;

/// Bytes and messages that may wait for a client that reads too slowly.
const WAITING_BYTES: usize = 8 << 20;
const WAITING: usize = 20_000;
/// Room for so many stays when they were taken.
const KEPT_ROOM: usize = 8;
/// With so many bytes waiting no first result is added to them.
const BEFORE_RESULT: usize = 1 << 20;
/// Largest first result in bytes.
pub(super) const RESULT_BYTES: usize = 6 << 20;
/// What a waiting message takes by itself, roughly.
const EACH: usize = 100;

/// One message to a client.
#[derive(Debug)]
pub enum LiveMessage {
    /// A message of a subscription.
    Text(LiveText),
    /// The subscription with this id has ended.
    Error(Arc<str>, AppError),
}

/// The outlets of all connections.
#[derive(Debug, Default)]
pub(super) struct Outlets(Mutex<HashMap<u64, Arc<Outlet>>>);

impl Outlets {
    pub(super) fn insert(&self, number: u64, outlet: Arc<Outlet>) {
        self.all().insert(number, outlet);
    }

    pub(super) fn remove(&self, number: u64) {
        self.all().remove(&number);
    }

    /// Nobody is there any more who would say something.
    pub(super) fn end_all(&self) {
        for outlet in self.all().values() {
            outlet.end(LiveEnd::Reset);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Outlet>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// JSON text in parts.
#[derive(Debug)]
pub struct LiveText {
    /// The beginning, with the client's name of the subscription.
    pub(super) head: Arc<str>,
    /// What the client resumes with if this is the last message it gets. ASCII without quotes.
    pub resume: Option<String>,
    /// All members but `id` and `resume`, and the closing brace: shared with all who are told the same.
    pub shared: Bytes,
}

impl LiveText {
    /// The whole text in its parts.
    pub fn parts(&self) -> [&[u8]; 5] {
        let (name, token, end): (&[u8], &[u8], &[u8]) = match &self.resume {
            None => (b"", b"", b""),
            Some(token) => (b"\"resume\":\"", token.as_bytes(), b"\","),
        };
        [self.head.as_bytes(), name, token, end, &self.shared]
    }
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveEnd {
    /// The client reads too slowly.
    TooSlow,
    /// The app's schema changed, or the app is closed: connect and subscribe again.
    Reset,
}

#[derive(Debug, Default)]
pub(super) struct Outlet {
    state: Mutex<State>,
    ready: Notify,
    /// Everything that waited was taken.
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<(Subscriber, LiveMessage)>,
    bytes: usize,
    end: Option<LiveEnd>,
    /// Somebody waits for room.
    is_waited_for: bool,
}

impl Outlet {
    /// Puts a message behind the others. Whoever lets too many of them wait is cut off.
    pub(super) fn push(&self, to: Subscriber, message: LiveMessage) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        state.bytes += size(&message);
        state.messages.push((to, message));
        if state.bytes > WAITING_BYTES || state.messages.len() > WAITING {
            state.messages = Vec::new();
            state.end = Some(LiveEnd::TooSlow);
            self.taken.notify_waiters();
        }
        drop(state);
        self.ready.notify_one();
    }

    /// No message comes after those that wait.
    pub(super) fn end(&self, end: LiveEnd) {
        self.state().end.get_or_insert(end);
        self.ready.notify_one();
        self.taken.notify_waiters();
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().end.is_some()
    }

    /// Waits until there is room for a first result.
    pub(super) async fn room(&self) {
        loop {
            let taken = self.taken.notified();
            let mut taken = std::pin::pin!(taken);
            taken.as_mut().enable();
            {
                let mut state = self.state();
                if state.bytes <= BEFORE_RESULT || state.end.is_some() {
                    return;
                }
                state.is_waited_for = true;
            }
            taken.await;
        }
    }

    /// Calls `take` with all messages that wait; waits for one. One caller at a time.
    pub(super) async fn next(&self, take: &mut (dyn FnMut(Subscriber, LiveMessage) + Send)) -> Result<(), LiveEnd> {
        loop {
            {
                let mut state = self.state();
                if !state.messages.is_empty() {
                    state.bytes = 0;
                    state.messages.drain(..).for_each(|(to, message)| take(to, message));
                    state.messages.shrink_to(KEPT_ROOM);
                    if std::mem::take(&mut state.is_waited_for) {
                        self.taken.notify_waiters();
                    }
                    return Ok(());
                }
                if let Some(end) = state.end {
                    return Err(end);
                }
            }
            self.ready.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(message: &LiveMessage) -> usize {
    EACH + match message {
        // The second part is shared, but a slow client may be the last one to hold it.
        LiveMessage::Text(text) => text.head.len() + text.shared.len(),
        LiveMessage::Error(..) => 0,
    }
}
