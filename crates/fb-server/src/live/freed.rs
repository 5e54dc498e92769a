//! The bytes of a connection that HTTP has let go, without what HTTP and the answers of requests had put around them: a thousand
//! sockets that are told something are a thousand times as much memory to be fetched as one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::behind::Watched;
use crate::listen::{Bytes as ClientBytes, Connection};

/// Bytes to and from the client.
pub(super) struct Freed {
    /// What the client sent before HTTP let go.
    early: Bytes,
    bytes: ClientBytes,
    /// The connection is counted for as long as it is open.
    _owner: Arc<Connection>,
}

impl Freed {
    /// `None` for a connection that is none of this server's.
    pub(super) fn new(upgraded: Upgraded) -> Option<Self> {
        let parts = downcast::<TokioIo<Watched<ClientBytes, Connection>>>(upgraded).ok()?;
        let Watched { bytes, owner } = parts.io.into_inner();
        Some(Self {
            // Mostly nothing, and then HTTP's buffer of some kilobytes goes back.
            early: Bytes::copy_from_slice(&parts.read_buf),
            bytes,
            _owner: owner,
        })
    }
}

impl AsyncRead for Freed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.has_remaining() {
            let n = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(n));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.bytes).poll_read(cx, buf)
    }
}

impl AsyncWrite for Freed {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, buf)
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}
