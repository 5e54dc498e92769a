//! Server-sent events: one live query as an answer that does not end. The messages are those of WebSockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fb_app::{App, LiveConnection, LiveMessage};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::places::Place;
use super::wire::error_message;
use crate::server::ServerState;

/// What a stream begins with: clients come back after a second when it ends.
const HELLO: &[u8] = b"retry: 1000\n\n";
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
    is_first: bool,
    is_over: bool,
}

/// The body of the answer. It ends with the subscription.
pub(crate) fn events(events: Events) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static {
    let every: Duration = events.state.limits.live_ping;
    let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let running = Running {
        events,
        ticks,
        is_first: true,
        is_over: false,
    };
    unfold(running, |mut running| async move {
        let piece = running.next().await?;
        Some((Ok(piece), running))
    })
}

impl Running {
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.is_first) {
            return Some(Bytes::from_static(HELLO));
        }
        if self.is_over {
            return None;
        }
        let messages = tokio::select! {
            () = self.events.place.stopping() => return None,
            messages = self.events.connection.next() => messages.ok()?,
            _ = self.ticks.tick() => return Some(Bytes::from_static(PING)),
        };
        self.events.place.count_sent(messages.len());
        let mut text = Vec::new();
        for message in messages {
            match message {
                LiveMessage::Text(own, shared) => put(&mut text, name_of(&shared), &[own.as_bytes(), &shared]),
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

fn put(text: &mut Vec<u8>, name: &str, parts: &[&[u8]]) {
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    for part in parts {
        // JSON as it is stored has no line breaks; one would end the event.
        text.extend(
            part.iter()
                .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
        );
    }
    text.extend_from_slice(b"\n\n");
}
