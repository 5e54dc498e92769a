//! Events come behind the answers of the requests that caused them. Source: protocol 08, section 3.
//!
//! A request takes a ticket of its app right before each of its commits ([`fb_app::TicketSlot`]); a slow body or slow code holds up nobody's events. The
//! tickets go with the answer ([`Answered`]) until the last piece of the body was taken by HTTP, then wait at the
//! connection until what HTTP has written so far was flushed ([`Flushed`]), and only then go back.
//!
//! What holds: with HTTP/1.1, encrypted or not, the system has all bytes of the answer before any event of the request's
//! writes is handed to any connection. With HTTP/2 the same for answers that fit the client's window (64 KiB by default). In
//! both cases for 100 ms at the longest (`fb_app`'s patience), after which nobody is held up any longer. What does not hold: networks
//! and clients may still deliver what came over two connections in another order than it was sent.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use fb_app::WriteTicket;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::reply::CutOff;

/// Tickets of answers that HTTP has taken over, until they were flushed. One for each connection.
pub(crate) struct Flushed<T = WriteTicket> {
    is_some: AtomicBool,
    tickets: Mutex<Vec<T>>,
}

impl<T> Default for Flushed<T> {
    fn default() -> Self {
        Self {
            is_some: AtomicBool::new(false),
            tickets: Mutex::new(Vec::new()),
        }
    }
}

/// Who wants to know when bytes were flushed.
pub(crate) trait Flushing {
    /// Everything that was written so far is with the system.
    fn flushed(&self);
}

impl<T> Flushed<T> {
    fn push(&self, ticket: T) {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).push(ticket);
        self.is_some.store(true, Ordering::Release);
    }

    #[cold]
    fn give_back(&self) {
        self.is_some.store(false, Ordering::Release);
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl<T> Flushing for Flushed<T> {
    #[inline]
    fn flushed(&self) {
        if self.is_some.load(Ordering::Acquire) {
            self.give_back();
        }
    }
}

/// The bytes of a connection, which also keep alive what they belong to: after an upgrade they are all that is left of it.
pub(crate) struct Watched<S, O> {
    pub(crate) bytes: S,
    pub(crate) owner: Arc<O>,
}

impl<S: AsyncRead + Unpin, O> AsyncRead for Watched<S, O> {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin, O: Flushing> AsyncWrite for Watched<S, O> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, buf)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.bytes).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.owner.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}

/// The body of an answer, with the ticket of its request if that may have written something.
pub(crate) struct Answered<T = WriteTicket> {
    body: Either<Full<Bytes>, UnsyncBoxBody<Bytes, CutOff>>,
    ticket: Option<(T, Arc<Flushed<T>>)>,
}

impl<T> Answered<T> {
    pub(crate) fn new(body: Either<Full<Bytes>, UnsyncBoxBody<Bytes, CutOff>>) -> Self {
        Self { body, ticket: None }
    }

    pub(crate) fn hold(&mut self, ticket: T, flushed: Arc<Flushed<T>>) {
        self.ticket = Some((ticket, flushed));
    }
}

impl<T> Drop for Answered<T> {
    /// HTTP drops a body when it has taken its last piece, and flushes after that.
    fn drop(&mut self) {
        if let Some((ticket, flushed)) = self.ticket.take() {
            flushed.push(ticket);
        }
    }
}

impl<T: Unpin> Body for Answered<T> {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match &mut self.body {
            Either::Left(whole) => Pin::new(whole).poll_frame(cx).map_err(|never| match never {}),
            Either::Right(pieces) => Pin::new(pieces).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Either::Left(whole) => whole.size_hint(),
            Either::Right(pieces) => pieces.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Weak;

    use futures_util::FutureExt;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    type Tickets = Mutex<Vec<Weak<()>>>;

    fn answer(whole: bool, tickets: &Tickets, flushed: &Arc<Flushed<Arc<()>>>) -> http::Response<Answered<Arc<()>>> {
        let body = Full::new(Bytes::from("x".repeat(1000)));
        let mut body = Answered::new(match whole {
            true => Either::Left(body),
            false => {
                use http_body_util::BodyExt;
                Either::Right(body.map_err(|never| match never {}).boxed_unsync())
            }
        });
        let ticket = Arc::new(());
        tickets.lock().unwrap().push(Arc::downgrade(&ticket));
        body.hold(ticket, flushed.clone());
        http::Response::new(body)
    }

    /// The client takes a byte at a time: the ticket is out until the last one could be written.
    #[tokio::test]
    async fn tickets_come_back_when_the_answer_is_out_and_not_before() {
        const ROOM: usize = 64;
        for whole in [true, false] {
            let (mut client, bytes) = duplex(ROOM);
            let tickets = Tickets::default();
            let flushed: Arc<Flushed<Arc<()>>> = Arc::default();
            let service = service_fn(|_| std::future::ready(Ok::<_, Infallible>(answer(whole, &tickets, &flushed))));
            let builder = auto::Builder::new(TokioExecutor::new());
            let owner = flushed.clone();
            let io = TokioIo::new(Watched { bytes, owner });
            let mut server = Box::pin(builder.serve_connection_with_upgrades(io, service));
            for round in 0..3 {
                let mut asking = Box::pin(client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
                while asking.as_mut().now_or_never().is_none() {
                    assert!(server.as_mut().now_or_never().is_none());
                }
                drop(asking);
                assert!(server.as_mut().now_or_never().is_none());
                assert_eq!(tickets.lock().unwrap().len(), round + 1);
                let is_out = || tickets.lock().unwrap()[round].strong_count() == 1;
                let mut seen = Vec::new();
                loop {
                    let is_all = seen.ends_with(b"x") && seen.len() > 1000 && {
                        let head = seen.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
                        seen.len() == head + 4 + 1000
                    };
                    if is_all {
                        break;
                    }
                    // What is still to be written has no room.
                    if seen.len() + ROOM < 1000 {
                        assert!(is_out(), "after {} bytes", seen.len());
                    }
                    // A new turn, so that tokio does not stop this task for doing too much at once.
                    tokio::task::yield_now().await;
                    let byte = client.read_u8().now_or_never().unwrap().unwrap();
                    seen.push(byte);
                    assert!(server.as_mut().now_or_never().is_none());
                }
                assert!(!is_out());
            }
        }
    }
}
