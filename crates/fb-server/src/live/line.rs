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
    /// Taken, and to be finished by the task: [`End::send`].
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
    pub(super) async fn send(&self, frames: Vec<u8>) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const ROOM: usize = 64;

    async fn read(client: &mut DuplexStream, n: usize) -> String {
        let mut read = vec![0; n];
        client.read_exact(&mut read).now_or_never().unwrap().unwrap();
        tokio::task::yield_now().await;
        String::from_utf8(read).unwrap()
    }

    #[tokio::test]
    async fn nothing_comes_between_the_two_halves_of_what_was_begun() {
        let (mut client, bytes) = duplex(ROOM);
        let line = Line::new(bytes).await;
        let mut end = line.end();
        assert_eq!(line.write_at_once(|| b"ab".to_vec()), AtOnce::Done);
        assert_eq!(line.write_at_once(|| vec![b'c'; ROOM]), AtOnce::Begun);
        assert_eq!(
            line.write_at_once(|| unreachable!("it would be for nothing")),
            AtOnce::Refused
        );
        assert!(end.write_all(b"a pong").now_or_never().is_none());
        assert_eq!(read(&mut client, 2).await, "ab");
        // There is room, but not for that.
        assert_eq!(line.write_at_once(|| b"x".to_vec()), AtOnce::Refused);
        let mut finishing = Box::pin(end.send(b"de".to_vec()));
        assert!(finishing.as_mut().now_or_never().is_none());
        assert_eq!(read(&mut client, ROOM).await, "c".repeat(ROOM));
        finishing.await.unwrap();
        assert_eq!(line.write_at_once(|| b"f".to_vec()), AtOnce::Done);
        assert_eq!(read(&mut client, 3).await, "def");
    }

    #[tokio::test]
    async fn what_the_task_writes_is_taken_as_a_whole_or_not_at_all() {
        let (mut client, bytes) = duplex(ROOM);
        let line = Line::new(bytes).await;
        let mut end = line.end();
        let taken = end.write(&[b'a'; ROOM + 6]);
        assert_eq!(taken.now_or_never().unwrap().unwrap(), ROOM + 6);
        assert_eq!(line.write_at_once(|| b"x".to_vec()), AtOnce::Refused);
        assert!(AsyncWriteExt::write(&mut end, b"b").now_or_never().is_none());
        assert!(end.flush().now_or_never().is_none());
        assert_eq!(read(&mut client, ROOM).await, "a".repeat(ROOM));
        assert_eq!(end.write_all(b"b").now_or_never().unwrap().ok(), Some(()));
        assert_eq!(line.write_at_once(|| b"c".to_vec()), AtOnce::Done);
        assert_eq!(read(&mut client, 8).await, "aaaaaabc");
    }

    #[tokio::test]
    async fn a_full_line_takes_nothing_at_once_and_a_broken_one_neither() {
        let (client, bytes) = duplex(ROOM);
        let line = Line::new(bytes).await;
        assert_eq!(line.write_at_once(Vec::new), AtOnce::Done);
        assert_eq!(line.write_at_once(|| vec![b'a'; ROOM]), AtOnce::Done);
        assert_eq!(line.write_at_once(|| b"b".to_vec()), AtOnce::Refused);
        drop(client);
        assert_eq!(line.write_at_once(|| b"b".to_vec()), AtOnce::Refused);
        let error = line.end().send(b"b".to_vec()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    /// The runtime would stop a task that does so much in one turn.
    #[tokio::test]
    async fn whoever_writes_at_once_may_do_so_as_often_as_it_likes() {
        let (_client, bytes) = duplex(1 << 20);
        let line = Line::new(bytes).await;
        for n in 0..10_000 {
            assert_eq!(line.write_at_once(|| b"frame".to_vec()), AtOnce::Done, "{n}");
        }
    }

    /// Holds back what is written, as encrypted connections do when the system has no room.
    #[derive(Default)]
    struct Holding {
        held: VecDeque<u8>,
        sent: Arc<Mutex<Vec<u8>>>,
        room: Arc<AtomicUsize>,
    }

    impl AsyncRead for Holding {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Holding {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.held.extend(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let n = self.held.len().min(self.room.swap(0, Ordering::Relaxed));
            let sent: Vec<u8> = self.held.drain(..n).collect();
            self.sent.lock().unwrap().extend(sent);
            if self.held.is_empty() {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_an_encrypted_connection_holds_back_is_finished_before_anything_else() {
        let bytes = Holding::default();
        let (sent, room) = (bytes.sent.clone(), bytes.room.clone());
        let line = Line::new(bytes).await;
        let end = line.end();
        room.store(2, Ordering::Relaxed);
        assert_eq!(line.write_at_once(|| b"abc".to_vec()), AtOnce::Begun);
        room.store(9, Ordering::Relaxed);
        assert_eq!(line.write_at_once(|| b"x".to_vec()), AtOnce::Refused);
        end.send(Vec::new()).now_or_never().unwrap().unwrap();
        room.store(9, Ordering::Relaxed);
        assert_eq!(line.write_at_once(|| b"d".to_vec()), AtOnce::Done);
        assert_eq!(*sent.lock().unwrap(), b"abcd");
    }

    /// Whoever writes at once waits as little as anybody: the task is woken instead, even if it is waiting for room itself.
    #[tokio::test]
    async fn the_task_is_woken_when_there_is_room_whoever_asked_for_it_last() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (mut client, bytes) = duplex(ROOM);
        let task = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(task.clone());
        let mut cx = Context::from_waker(&waker);
        let Poll::Ready(line) = pin!(Line::new(bytes)).poll(&mut cx) else {
            panic!("it does not wait");
        };
        assert_eq!(line.write_at_once(|| vec![b'a'; ROOM]), AtOnce::Done);
        let mut end = line.end();
        assert!(Pin::new(&mut end).poll_write(&mut cx, b"ping").is_pending());
        assert_eq!(line.write_at_once(|| b"event".to_vec()), AtOnce::Refused);
        read(&mut client, ROOM).await;
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }
}
