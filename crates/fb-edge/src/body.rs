//! Bodies: whole ones from memory, and those that pass through.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::front::Making;

/// Any error, as far as this crate only passes it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub struct EdgeBody {
    kind: Kind,
    _making: Option<Making>,
}

enum Kind {
    Whole(Option<Bytes>),
    Passing(UnsyncBoxBody<Bytes, BoxError>),
}

impl EdgeBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::of(Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    pub(crate) fn passing<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::of(Kind::Passing(body.map_err(Into::into).boxed_unsync()))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, _making: None }
    }

    /// The same; this is dropped with it.
    pub(crate) fn holding(self, making: Making) -> Self {
        Self {
            _making: Some(making),
            ..self
        }
    }
}

impl fmt::Debug for EdgeBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EdgeBody")
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.kind {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Passing(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Passing(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Passing(body) => body.size_hint(),
        }
    }
}

/// The other side sent nothing for too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("nothing was sent for {0:?}")]
pub(crate) struct Idle(Duration);

/// Ends a body whose sender falls silent, and counts its frames.
#[derive(Debug)]
pub(crate) struct Timed<B> {
    body: B,
    limit: Duration,
    /// Made when the body first waits.
    sleep: Option<Pin<Box<Sleep>>>,
    n_frames: Arc<AtomicU64>,
    /// Given back when the body is dropped.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<B> Timed<B> {
    pub(crate) fn new(body: B, limit: Duration) -> Self {
        Self {
            body,
            limit,
            sleep: None,
            n_frames: Arc::default(),
            _permit: None,
        }
    }

    pub(crate) fn holding(self, permit: OwnedSemaphorePermit) -> Self {
        Self {
            _permit: Some(permit),
            ..self
        }
    }

    pub(crate) fn n_frames(&self) -> Arc<AtomicU64> {
        self.n_frames.clone()
    }
}

impl<B> Body for Timed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.n_frames.fetch_add(1, Ordering::Relaxed);
            this.sleep = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = this.limit;
        let sleep = this
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        sleep.as_mut().poll(cx).map(|()| Some(Err(Idle(limit).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Begins with what was read already.
#[derive(Debug)]
pub(crate) struct Resumed<B> {
    pub(crate) read: std::collections::VecDeque<Bytes>,
    pub(crate) rest: B,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Resumed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(bytes) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        Pin::new(&mut self.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }
}
