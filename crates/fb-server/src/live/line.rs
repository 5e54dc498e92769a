//! The bytes of a WebSocket, for two that write: its own task, and whoever has a message for it and writes that at once.
//!
//! Frames must not be mixed. So whatever is begun is kept here until the system has all of it, and nothing else is begun before:
//! each write is taken as a whole, or not at all. Who calls has whole frames.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both ends of it, shared.
pub(super) struct Line<S> {
    inner: Mutex<Inner<S>>,
    /// Of the task that serves the socket, which finishes what others began.
    task: Waker,
}

struct Inner<S> {
    bytes: S,
    /// What was begun: from `at` on the system does not have it yet.
    begun: Vec<u8>,
    at: usize,
    /// What was written may still be on its way to the system: encrypted connections hold some back.
    is_held: bool,
}

/// What became of a write that must not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtOnce {
    /// The system has it.
    Done,
    /// Taken, and to be finished by the task: [`End::finish`].
    Begun,
    /// Nothing happened.
    Refused,
}

/// The task's end.
pub(super) struct End<S>(Arc<Line<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// To be called by the task that serves the socket.
    pub(super) async fn new(bytes: S) -> Arc<Self> {
        let task = std::future::poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        Arc::new(Self {
            inner: Mutex::new(Inner {
                bytes,
                begun: Vec::new(),
                at: 0,
                is_held: false,
            }),
            task,
        })
    }

    pub(super) fn end(self: &Arc<Self>) -> End<S> {
        End(self.clone())
    }

    /// Writes frames, if nothing that was begun waits. Blocks nobody, and may be called from anywhere. A broken connection refuses; its
    /// task will find out.
    pub(super) fn write_at_once(&self, frames: impl FnOnce() -> Vec<u8>) -> AtOnce {
        let mut inner = self.inner();
        if inner.at < inner.begun.len() || inner.is_held {
            return AtOnce::Refused;
        }
        let frames = frames();
        if frames.is_empty() {
            return AtOnce::Done;
        }
        // The runtime lets a task do so much only in one turn; what is written here is not on this socket's account.
        let mut cx = Context::from_waker(&self.task);
        let written = pin!(tokio::task::unconstrained(std::future::poll_fn(|cx| {
            let n = match inner.poll_write(cx, &frames) {
                Poll::Ready(Ok(n)) if n > 0 => n,
                _ => return Poll::Ready(AtOnce::Refused),
            };
            if n < frames.len() {
                inner.at = n;
                return Poll::Ready(AtOnce::Begun);
            }
            inner.is_held = !matches!(Pin::new(&mut inner.bytes).poll_flush(cx), Poll::Ready(Ok(())));
            Poll::Ready(if inner.is_held { AtOnce::Begun } else { AtOnce::Done })
        })))
        .poll(&mut cx);
        let written = match written {
            Poll::Ready(written) => written,
            Poll::Pending => AtOnce::Refused,
        };
        if inner.at > 0 {
            inner.begun = frames;
        }
        written
    }

    fn inner(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> End<S> {
    /// Finishes what was begun, then writes frames to their end.
    pub(super) async fn write(&self, frames: Vec<u8>) -> io::Result<()> {
        let mut frames = Some(frames);
        std::future::poll_fn(|cx| {
            let mut inner = self.0.inner();
            ready!(inner.poll_finish(cx))?;
            if let Some(frames) = frames.take() {
                (inner.begun, inner.at) = (frames, 0);
                ready!(inner.poll_finish(cx))?;
            }
            inner.poll_flush(cx)
        })
        .await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Inner<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, frames)
    }

    /// Writes what was begun.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.at < self.begun.len() {
            match ready!(Pin::new(&mut self.bytes).poll_write(cx, &self.begun[self.at..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.at += n,
            }
        }
        (self.begun, self.at) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_finish(cx))?;
        let flushed = Pin::new(&mut self.bytes).poll_flush(cx);
        self.is_held = flushed.is_pending();
        flushed
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for End<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.inner().bytes).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for End<S> {
    /// Takes all of it or nothing.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.inner();
        ready!(inner.poll_finish(cx))?;
        let n = ready!(inner.poll_write(cx, frames))?;
        if 0 < n && n < frames.len() {
            (inner.begun, inner.at) = (frames[n..].to_vec(), 0);
            return Poll::Ready(Ok(frames.len()));
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.inner().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.inner();
        ready!(inner.poll_finish(cx))?;
        Pin::new(&mut inner.bytes).poll_shutdown(cx)
    }
}
