//! One WebSocket: what its client asks for, in its order, and what it is told.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fb_app::{App, LiveConnection, LiveEnd, LiveMessage, LiveSink, LiveText, LiveWritten};
use futures_util::future::OptionFuture;
use futures_util::{FutureExt, SinkExt};
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::freed::Freed;
use super::line::{self, AtOnce, Line};
use super::places::{Place, Places};
use super::wait::{CutOff, Gate, within};
use super::wire::{Asked, Refused, error_message, parse};
use crate::codes;
use crate::error::ApiError;
use crate::server::ServerState;

/// Largest message of a client.
const MESSAGE_BYTES: usize = 64 << 10;
/// What each socket has for reading, and what it gathers before it writes.
const READ_BYTES: usize = 4 << 10;
const WRITE_BYTES: usize = 32 << 10;
/// How long a client may take to read what the socket and its buffers hold.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(30);
/// How long a client may take to its first subscription: sockets without any cost little, but there are only so many.
const BEGINNING: Duration = Duration::from_secs(30);
/// So many messages in a row that make no sense end a socket.
const MOST_REFUSED: usize = 100;
/// How long, and how much, a client may go on sending when it has been told that this is the end.
const FAREWELL: Duration = Duration::from_secs(2);
const FAREWELL_BYTES: u64 = 1 << 20;

/// A socket that is not open yet.
pub(crate) struct Socket {
    pub(crate) state: Arc<ServerState>,
    pub(crate) app: Arc<App>,
    pub(crate) place: Place,
    /// Where its client is, as far as limits are concerned.
    pub(crate) address: IpAddr,
    /// The number of the request that it began with.
    pub(crate) number: u64,
}

/// Why a socket ends.
enum End {
    /// The client has gone, or said that it will.
    Gone,
    /// This side has had enough.
    Close(CloseCode, &'static str),
}

type Wire = WebSocketStream<line::End<Freed>>;

impl Socket {
    /// Opens the socket when the answer to its handshake was sent, and serves it to its end.
    pub(crate) async fn serve(self, upgrade: OnUpgrade) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(error = %error, "a WebSocket came to nothing");
                return;
            }
        };
        let Some(bytes) = Freed::new(upgraded) else {
            tracing::error!("a WebSocket came to nothing: its connection is not as this server makes them");
            return;
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(WRITE_BYTES)
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES));
        let line = Line::new(bytes).await;
        let mut wire = WebSocketStream::from_raw_socket(line.end(), Role::Server, Some(config)).await;
        let state = self.state.clone();
        match AssertUnwindSafe(self.run(line, &mut wire)).catch_unwind().await {
            Ok(End::Gone) => {}
            Ok(End::Close(code, reason)) => close(wire, code, reason).await,
            Err(_) => {
                state.metrics.panics.fetch_add(1, Ordering::Relaxed);
                close(wire, CloseCode::Error, "the server failed").await;
            }
        }
    }

    async fn run(mut self, line: Arc<Line<Freed>>, wire: &mut Wire) -> End {
        let connection = self.app.live_connection(self.place.source());
        connection.write_through(Arc::new(Direct {
            line,
            places: self.place.places(),
        }));
        let every = self.state.limits.live_ping;
        let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Since the last ping.
        let mut is_heard = true;
        let mut refused_in_row = 0;
        let opened = Instant::now();
        let mut in_use = opened;
        let mut has_begun = false;
        let Self {
            state,
            app,
            place,
            address,
            number,
        } = &mut self;
        let asking = Asking {
            state,
            app,
            connection: &connection,
            address: *address,
            number: *number,
        };
        let mut work = pin!(OptionFuture::from(None));
        let mut is_working = false;
        let mut stopping = pin!(place.stopping());
        let reading = Gate::new();
        loop {
            let sent = tokio::select! {
                () = &mut stopping => return End::Close(CloseCode::Away, "the server stops"),
                // One at a time, so that they are dealt with in their order; what comes meanwhile waits with the system.
                received = reading.next(wire), if !is_working => {
                    is_heard = true;
                    match received {
                        None | Some(Ok(Message::Close(_))) => return End::Gone,
                        Some(Err(error)) => return end_of(&error),
                        Some(Ok(Message::Text(text))) => {
                            work.set(Some(asking.answer(text)).into());
                            is_working = true;
                            continue;
                        }
                        Some(Ok(Message::Binary(_))) => {
                            return End::Close(CloseCode::Unsupported, "messages are text");
                        }
                        Some(Ok(_)) => continue,
                    }
                }
                done = &mut work, if is_working => {
                    is_working = false;
                    match done {
                        None | Some(Outcome::Done) => {
                            refused_in_row = 0;
                            continue;
                        }
                        Some(Outcome::Banned) => return End::Close(CloseCode::Policy, "too many requests"),
                        Some(Outcome::Refused(text)) => {
                            refused_in_row += 1;
                            let mut frames = Vec::new();
                            put_frame(&mut frames, &[text.as_bytes()]);
                            let sent = within(WRITE_TIME, stopping.as_mut(), write(wire, frames)).await;
                            if refused_in_row >= MOST_REFUSED {
                                return End::Close(CloseCode::Policy, "too many messages that make no sense");
                            }
                            sent
                        }
                    }
                }
                messages = connection.next() => match messages {
                    Ok(messages) => {
                        place.places().count_sent(messages.len());
                        let mut frames = Vec::new();
                        for message in messages {
                            asking.put(&mut frames, message);
                        }
                        within(WRITE_TIME, stopping.as_mut(), write(wire, frames)).await
                    }
                    Err(LiveEnd::Reset) => {
                        return End::Close(CloseCode::Restart, "connect and subscribe again");
                    }
                    Err(LiveEnd::TooSlow) => {
                        return End::Close(CloseCode::Again, "messages were not read fast enough");
                    }
                },
                now = ticks.tick() => {
                    if !is_heard && !is_working {
                        return End::Gone;
                    }
                    if is_working || !connection.is_empty() {
                        in_use = now;
                        has_begun = true;
                    }
                    if !has_begun && now - opened >= BEGINNING {
                        return End::Close(CloseCode::Normal, "nothing was subscribed to");
                    }
                    if now - in_use >= asking.state.limits.live_idle {
                        return End::Close(CloseCode::Normal, "nothing is subscribed to");
                    }
                    is_heard = false;
                    within(WRITE_TIME, stopping.as_mut(), wire.send(Message::Ping(bytes::Bytes::new()))).await
                }
            };
            match sent {
                Ok(Ok(())) => {}
                // When the server stops, the client does not read that either.
                Ok(Err(_)) | Err(CutOff::Stopped) => return End::Gone,
                Err(CutOff::TooLong) => return End::Close(CloseCode::Again, "messages were not read fast enough"),
            }
        }
    }
}

/// Appends a text message of the server's as one frame (RFC 6455, section 5.2): the last of its message, not masked.
fn put_frame(frames: &mut Vec<u8>, parts: &[&[u8]]) {
    const FINAL_TEXT: u8 = 0x81;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    frames.reserve(length + 10);
    frames.push(FINAL_TEXT);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => frames.push(length),
        (_, Ok(length)) => {
            frames.push(126);
            frames.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frames.push(127);
            frames.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    for part in parts {
        frames.extend_from_slice(part);
    }
}

/// Writes frames in one go, behind what the WebSocket itself has to say. That they need not go through it saves two copies of each.
async fn write(wire: &mut Wire, frames: Vec<u8>) -> Result<(), Error> {
    wire.flush().await?;
    Ok(wire.get_ref().send(frames).await?)
}

/// Messages that are written by whoever has them, so that the socket's task sleeps on.
struct Direct {
    line: Arc<Line<Freed>>,
    places: Arc<Places>,
}

impl LiveSink for Direct {
    fn write(&self, messages: &mut dyn Iterator<Item = &LiveText>) -> LiveWritten {
        let mut n = 0;
        let frames = || {
            let mut frames = Vec::new();
            for message in messages {
                put_frame(&mut frames, &message.parts());
                n += 1;
            }
            frames
        };
        let written = match self.line.write_at_once(frames) {
            AtOnce::Done => LiveWritten::All,
            AtOnce::Begun => LiveWritten::Partly,
            AtOnce::Refused => return LiveWritten::Nothing,
        };
        self.places.count_sent(n);
        written
    }
}

/// How a socket ends whose client broke the rules, or the connection.
fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            End::Close(CloseCode::Size, "a message has 64 KiB at most")
        }
        Error::Utf8(_) => End::Close(CloseCode::Invalid, "text is UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone,
        Error::Protocol(_) => End::Close(CloseCode::Protocol, "this is not how WebSocket goes"),
        _ => End::Gone,
    }
}

/// Says why the socket ends. What the client still sends is taken, so that the system does not cut off what is on its way.
async fn close(mut wire: Wire, code: CloseCode, reason: &'static str) {
    let reason = Utf8Bytes::from_static(reason);
    let farewell = async {
        if wire.close(Some(CloseFrame { code, reason })).await.is_err() {
            return;
        }
        let mut bytes = wire.into_inner();
        if bytes.shutdown().await.is_ok() {
            let _ = tokio::io::copy(&mut bytes.take(FAREWELL_BYTES), &mut tokio::io::sink()).await;
        }
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// What became of a message.
enum Outcome {
    Done,
    /// With the error to send.
    Refused(String),
    Banned,
}

/// What is needed to do what a client asks for.
struct Asking<'s> {
    state: &'s ServerState,
    app: &'s App,
    connection: &'s LiveConnection,
    address: IpAddr,
    number: u64,
}

impl Asking<'_> {
    async fn answer(&self, text: Utf8Bytes) -> Outcome {
        if self.app.count_visit(self.address).is_err() {
            return Outcome::Banned;
        }
        let (id, token, wish) = match parse(&text) {
            Ok(Asked::Unsubscribe { id }) => {
                self.connection.unsubscribe(&id);
                return Outcome::Done;
            }
            Ok(Asked::Subscribe { id, token, wish }) => (id, token, wish),
            Err(Refused { id, error }) => return Outcome::Refused(self.error_text(id.as_deref(), &error)),
        };
        let begun = self.connection.subscribe(&id, token.as_deref(), *wish);
        let error = match AssertUnwindSafe(begun).catch_unwind().await {
            Ok(Ok(())) => return Outcome::Done,
            Ok(Err(error)) => error.into(),
            Err(_) => {
                self.state.metrics.panics.fetch_add(1, Ordering::Relaxed);
                self.connection.unsubscribe(&id);
                ApiError::new(codes::INTERNAL, "The server failed. Its log has the details.")
            }
        };
        Outcome::Refused(self.error_text(Some(&id), &error))
    }

    fn put(&self, frames: &mut Vec<u8>, message: LiveMessage) {
        match message {
            LiveMessage::Text(text) => put_frame(frames, &text.parts()),
            LiveMessage::Error(id, error) => put_frame(frames, &[self.error_text(Some(&id), &error.into()).as_bytes()]),
        }
    }

    fn error_text(&self, id: Option<&str>, error: &ApiError) -> String {
        super::log(self.state, self.app, self.number, error);
        error_message(id, error, self.app.clock().now())
    }
}
