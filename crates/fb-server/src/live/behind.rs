//! Events come behind the answers of the requests that caused them. Source: protocol 08, section 3.
//!
//! A request that may write takes a ticket of its app when its body is there ([`TicketSlot`]); a slow body holds up nobody's events. The
//! ticket goes with the answer ([`Answered`]) until the last piece of the body was taken by HTTP, then waits at the
//! connection until what HTTP has written so far was flushed ([`Flushed`]), and only then goes back.
//!
//! What holds: with HTTP/1.1, encrypted or not, the system has all bytes of the answer before any event of the request's
//! writes is handed to any connection. With HTTP/2 the same for answers that fit the client's window (64 KiB by default). In
//! both cases for 100 ms at the longest (`fb_app`'s patience), after which nobody is held up any longer. What does not hold: networks
//! and clients may still deliver what came over two connections in another order than it was sent.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use fb_app::{App, WriteTicket};
use http_body_util::Either;
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};

use crate::reply::CutOff;

/// Where a request's ticket will be.
#[derive(Clone)]
pub(crate) struct TicketSlot(Arc<Slot>);

struct Slot {
    app: Arc<App>,
    ticket: Mutex<Option<WriteTicket>>,
}

impl TicketSlot {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self(Arc::new(Slot {
            app,
            ticket: Mutex::new(None),
        }))
    }

    /// Takes the request's ticket: from here on it may commit.
    pub(crate) fn fill(&self) {
        let ticket = self.0.app.write_ticket();
        // Another one would only be a later one.
        self.ticket().get_or_insert(ticket);
    }

    pub(crate) fn take(&self) -> Option<WriteTicket> {
        self.ticket().take()
    }

    fn ticket(&self) -> std::sync::MutexGuard<'_, Option<WriteTicket>> {
        self.0.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tickets of answers that HTTP has taken over, until they were flushed. One for each connection.
#[derive(Default)]
pub(crate) struct Flushed {
    is_some: AtomicBool,
    tickets: Mutex<Vec<WriteTicket>>,
}

impl Flushed {
    fn push(&self, ticket: WriteTicket) {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).push(ticket);
        self.is_some.store(true, Ordering::Release);
    }

    /// Everything that was written so far is with the system.
    #[inline]
    pub(crate) fn flushed(&self) {
        if self.is_some.load(Ordering::Acquire) {
            self.give_back();
        }
    }

    #[cold]
    fn give_back(&self) {
        self.is_some.store(false, Ordering::Release);
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The body of an answer, with the ticket of its request if that may have written something.
pub(crate) struct Answered {
    body: Either<Full<Bytes>, UnsyncBoxBody<Bytes, CutOff>>,
    ticket: Option<(WriteTicket, Arc<Flushed>)>,
}

impl Answered {
    pub(crate) fn new(body: Either<Full<Bytes>, UnsyncBoxBody<Bytes, CutOff>>) -> Self {
        Self { body, ticket: None }
    }

    pub(crate) fn hold(&mut self, ticket: WriteTicket, flushed: Arc<Flushed>) {
        self.ticket = Some((ticket, flushed));
    }
}

impl Drop for Answered {
    /// HTTP drops a body when it has taken its last piece, and flushes after that.
    fn drop(&mut self) {
        if let Some((ticket, flushed)) = self.ticket.take() {
            flushed.push(ticket);
        }
    }
}

impl Body for Answered {
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
