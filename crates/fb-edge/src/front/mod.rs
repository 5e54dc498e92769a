//! What stands between a connection and hyper: it answers plain requests from memory, and hands all others on.
//!
//! A request costs hyper as much as the network does, of which most goes into maps of header fields that nobody looks at. Here an answer
//! from memory is a look and a copy.
//!
//! # Why this is safe
//! hyper sees what it would see if the requests that are answered here had not been sent. They are answered only while it waits for a request,
//! which it does when it has written the answer to each one that it got ([`Phase`]). A request goes to hyper alone, never with what follows it; behind
//! anything but a request that plainly ends with its head, all bytes are hyper's, for good. So there is never a doubt about where a
//! request begins. What a request means is not decided here either: it must have nothing special in it, and be found by the key by which hyper's way
//! finds it.

mod head;
mod quick;

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use fb_timer::ConnectionTimer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use self::head::Seen;
pub(crate) use self::quick::Heads;
use self::quick::Output;
use crate::edge::Edge;
use crate::headers::Peer;

/// Bytes that are read at once, at least.
const PIECE: usize = 8 << 10;
/// More bytes than this are not read while hyper is busy.
const AHEAD: usize = 64 << 10;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// hyper waits for a request. What comes in is looked at.
    Idle,
    /// hyper is about to get this many bytes more of a request.
    Handing(usize),
    /// hyper has a request. What comes in waits.
    Busy,
    /// All that comes in is hyper's.
    Passing,
}

/// What becomes of a connection's answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Answers of hyper's that are made: what is not written of them comes with its next flush.
    n_made: AtomicU64,
    /// An answer from memory is being written.
    is_sending: AtomicBool,
}

/// To be kept in the body of an answer until that is dropped.
#[derive(Debug)]
pub(crate) struct Making(Answers);

impl Answers {
    pub(crate) fn begin(&self) -> Making {
        Making(self.clone())
    }

    /// Whether an answer is under way of which hyper does not know.
    pub(crate) fn is_sending(&self) -> bool {
        self.0.is_sending.load(Ordering::Relaxed)
    }

    fn n_made(&self) -> u64 {
        self.0.n_made.load(Ordering::Acquire)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.0.0.n_made.fetch_add(1, Ordering::Release);
    }
}

/// A client's connection, as hyper gets it.
pub(crate) struct Front<I> {
    io: I,
    edge: Edge,
    peer: Peer,
    phase: Phase,
    /// What came in and is not yet anybody's.
    input: Vec<u8>,
    /// How much of it is somebody's already.
    taken: usize,
    has_ended: bool,
    output: Output,
    /// How much of its head is written.
    written: usize,
    /// Requests that hyper got.
    n_handed: u64,
    answers: Answers,
    timer: ConnectionTimer,
    patience: Patience,
}

/// How long a client may take for a request that is looked at here.
struct Patience {
    limit: Duration,
    deadline: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        let deadline = Instant::now() + limit;
        Self {
            limit,
            deadline,
            alarm: Box::pin(tokio::time::sleep_until(deadline)),
        }
    }

    fn begin_anew(&mut self, now: Instant) {
        self.deadline = now + self.limit;
    }

    /// Ready when it is over. The alarm is set once per limit, however many requests there are.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            if self.alarm.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

impl<I> Front<I>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    /// `timer` is the one that hyper has for this connection; `answers` is told of those that it makes.
    pub(crate) fn new(io: I, edge: Edge, peer: Peer, timer: ConnectionTimer, answers: Answers) -> Self {
        let patience = Patience::new(edge.inner.options.limits.request_head);
        Self {
            io,
            edge,
            peer,
            phase: Phase::Idle,
            input: Vec::new(),
            taken: 0,
            has_ended: false,
            output: Output::default(),
            written: 0,
            n_handed: 0,
            answers,
            timer,
            patience,
        }
    }

    fn waiting(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    fn take(&mut self, n_bytes: usize) {
        self.taken += n_bytes;
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        }
    }

    /// Reads what there is. Ready as soon as there is something, or the client has ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.taken > 0 {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        self.input.reserve(PIECE);
        let n_bytes = ready!(pin!(self.io.read_buf(&mut self.input)).poll(cx))?;
        self.has_ended |= n_bytes == 0;
        Poll::Ready(Ok(()))
    }

    /// Writes what is left of an answer from memory.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.head.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let sent = self.poll_send_output(cx);
        self.answers.0.is_sending.store(sent.is_pending(), Ordering::Relaxed);
        sent
    }

    fn poll_send_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Output { head, body } = &mut self.output;
        while self.written < head.len() || !body.is_empty() {
            let io = Pin::new(&mut self.io);
            let left = &head[self.written..];
            let sent = match (left.is_empty(), body.is_empty()) {
                (true, _) => io.poll_write(cx, body),
                (false, true) => io.poll_write(cx, left),
                (false, false) => io.poll_write_vectored(cx, &[io::IoSlice::new(left), io::IoSlice::new(body)]),
            };
            let sent = ready!(sent)?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = sent.min(left.len());
            self.written += of_head;
            body.advance(sent - of_head);
        }
        // Encrypted connections keep bytes back otherwise.
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        head.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Looks at what waits while hyper does. True if there is something for hyper now.
    fn look(&mut self) -> bool {
        let edge = &self.edge.inner;
        let output = &mut self.output;
        let is_tls = self.peer.is_tls;
        let bytes = &self.input[self.taken..];
        match head::look(bytes, |plain| edge.write_plain(plain, is_tls, output)) {
            Seen::Request {
                len,
                of_plain: Some(()),
            } => {
                self.take(len);
                let now = Instant::now();
                self.patience.begin_anew(now);
                self.timer.begin_anew(now.into());
                false
            }
            Seen::Request { len, of_plain: None } => {
                self.n_handed += 1;
                self.phase = Phase::Handing(len);
                true
            }
            Seen::Part if bytes.len() < edge.options.limits.head_bytes && !self.has_ended => false,
            Seen::Part | Seen::Other => {
                self.phase = Phase::Passing;
                true
            }
        }
    }

    /// Gives hyper this many bytes of what waits, if it has the place.
    fn hand(&mut self, n_bytes: usize, buf: &mut ReadBuf<'_>) -> usize {
        let n_bytes = n_bytes.min(buf.remaining());
        buf.put_slice(&self.input[self.taken..][..n_bytes]);
        self.take(n_bytes);
        n_bytes
    }
}

impl<I> AsyncRead for Front<I>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.phase {
                Phase::Passing if this.waiting().is_empty() => {
                    // Held for as long as the connection otherwise.
                    this.input = Vec::new();
                    return Pin::new(&mut this.io).poll_read(cx, buf);
                }
                Phase::Passing => {
                    this.hand(this.waiting().len(), buf);
                    return Poll::Ready(Ok(()));
                }
                Phase::Handing(left) => {
                    this.phase = match left - this.hand(left, buf) {
                        0 => Phase::Busy,
                        left => Phase::Handing(left),
                    };
                    return Poll::Ready(Ok(()));
                }
                Phase::Busy if this.has_ended => {
                    this.phase = Phase::Passing;
                }
                // hyper wants to know whether the client is still there.
                Phase::Busy if this.waiting().len() >= AHEAD => return Poll::Pending,
                Phase::Busy => ready!(this.poll_fill(cx))?,
                Phase::Idle => {
                    ready!(this.poll_send(cx))?;
                    let is_for_hyper = match (this.waiting().is_empty(), this.has_ended) {
                        (false, _) => this.look(),
                        (true, true) => return Poll::Ready(Ok(())),
                        (true, false) => false,
                    };
                    let is_answered = !this.output.head.is_empty();
                    if is_for_hyper || is_answered {
                        continue;
                    }
                    if this.poll_fill(cx)?.is_pending() {
                        ready!(this.patience.poll(cx));
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                }
            }
        }
    }
}

impl<I> AsyncWrite for Front<I>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        // Before the flush: an answer that is made during it has not been written.
        let n_made = self.answers.n_made();
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        if self.phase == Phase::Busy && n_made >= self.n_handed {
            self.phase = Phase::Idle;
            self.patience.begin_anew(Instant::now());
            // What came in meanwhile wakes nobody any more, and hyper may not ask again by itself.
            if !self.waiting().is_empty() || self.patience.poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
