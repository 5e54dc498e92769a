//! What waits to be sent over one connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fb_live::Subscriber;
use tokio::sync::Notify;

use crate::AppError;

/// Bytes and messages that may wait for a client that reads too slowly.
const WAITING_BYTES: usize = 8 << 20;
const WAITING: usize = 20_000;
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
    /// The whole text.
    pub fn text(&self) -> Bytes {
        match &self.resume {
            None => [self.head.as_bytes(), &self.shared].concat(),
            Some(token) => [
                self.head.as_bytes(),
                b"\"resume\":\"",
                token.as_bytes(),
                b"\",",
                &self.shared,
            ]
            .concat(),
        }
        .into()
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
    messages: VecDeque<(Subscriber, LiveMessage)>,
    bytes: usize,
    end: Option<LiveEnd>,
}

impl Outlet {
    /// Puts a message behind the others. Whoever lets too many of them wait is cut off.
    pub(super) fn push(&self, to: Subscriber, message: LiveMessage) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        state.bytes += size(&message);
        state.messages.push_back((to, message));
        if state.bytes > WAITING_BYTES || state.messages.len() > WAITING {
            state.messages = VecDeque::new();
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
                let state = self.state();
                if state.bytes <= BEFORE_RESULT || state.end.is_some() {
                    return;
                }
            }
            taken.await;
        }
    }

    /// All messages that wait; waits for one. One caller at a time.
    pub(super) async fn next(&self) -> Result<VecDeque<(Subscriber, LiveMessage)>, LiveEnd> {
        loop {
            {
                let mut state = self.state();
                if !state.messages.is_empty() {
                    state.bytes = 0;
                    self.taken.notify_waiters();
                    return Ok(std::mem::take(&mut state.messages));
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
