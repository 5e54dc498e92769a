//! Server-sent events: one live query as an answer that does not end. The messages are those of WebSockets.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fb_app::{App, LiveConnection, LiveMessage};
use futures_util::stream::unfold;
use futures_util::{FutureExt, Stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::places::Place;
use super::socket::WRITE_TIME;
use super::wire::error_message;
use crate::server::ServerState;

/// When clients come back after the end of their stream, in milliseconds: not all at once.
const RETRY: (u64, u64) = (500, 3000);
const PING: &[u8] = b": ping\n\n";

/// A stream with one subscription.
pub(crate) struct Events {
    pub(crate) state: Arc<ServerState>,
    pub(crate) app: Arc<App>,
    pub(crate) connection: LiveConnection,
    pub(crate) place: Place,
    /// The number of the request that it answers.
    pub(crate) number: u64,
}

struct Running {
    events: Events,
    ticks: Interval,
    is_over: bool,
}

/// The body of the answer. It ends with the subscription, which ends with it, and when the client does not read: HTTP asks for no piece
/// then, so that the subscription has a task of its own.
pub(crate) fn events(events: Events) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static {
    let every: Duration = events.state.limits.live_ping;
    let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let state = events.state.clone();
    let running = Running {
        events,
        ticks,
        is_over: false,
    };
    let (pieces, body) = mpsc::channel(1);
    tokio::spawn(async move {
        if AssertUnwindSafe(running.run(pieces)).catch_unwind().await.is_err() {
            state.metrics.panics.fetch_add(1, Ordering::Relaxed);
        }
    });
    unfold(body, |mut body| async move { Some((Ok(body.recv().await?), body)) })
}

impl Running {
    async fn run(mut self, pieces: mpsc::Sender<Bytes>) {
        let spread = self.events.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let retry = RETRY.0 + spread % (RETRY.1 - RETRY.0);
        let mut piece = Bytes::from(format!("retry: {retry}\n\n"));
        while let Ok(Ok(())) = tokio::time::timeout(WRITE_TIME, pieces.send(piece)).await {
            let next = tokio::select! {
                () = pieces.closed() => None,
                next = self.next() => next,
            };
            match next {
                Some(next) => piece = next,
                None => return,
            }
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let messages = tokio::select! {
            () = self.events.place.stopping() => return None,
            messages = self.events.connection.next() => messages.ok()?,
            _ = self.ticks.tick() => return Some(Bytes::from_static(PING)),
        };
        self.events.place.places().count_sent(messages.len());
        let mut text = Vec::new();
        for message in messages {
            match message {
                LiveMessage::Text(message) => {
                    if let Some(token) = &message.resume {
                        text.extend_from_slice(format!("id: {token}\n").as_bytes());
                    }
                    put(&mut text, name_of(&message.shared), &message.parts());
                }
                LiveMessage::Error(id, error) => {
                    let error = error.into();
                    super::log(&self.events.state, &self.events.app, self.events.number, &error);
                    let message = error_message(Some(&id), &error, self.events.app.clock().now());
                    put(&mut text, "error", &[message.as_bytes()]);
                    self.is_over = true;
                }
            }
        }
        Some(text.into())
    }
}

/// The type of a message, by what follows its id.
fn name_of(shared: &[u8]) -> &'static str {
    ["match", "result", "subscribed"]
        .into_iter()
        .find(|name| {
            let rest = shared.strip_prefix(b"\"type\":\"");
            rest.is_some_and(|rest| rest.starts_with(name.as_bytes()))
        })
        .unwrap_or("message")
}

fn put(text: &mut Vec<u8>, name: &str, json: &[&[u8]]) {
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    // JSON as it is stored has no line breaks; one would end the event.
    let line = json
        .iter()
        .flat_map(|part| part.iter())
        .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
    text.extend(line);
    text.extend_from_slice(b"\n\n");
}
