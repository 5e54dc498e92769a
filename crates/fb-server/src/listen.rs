//! Connections: several listeners, one limit on connections, one way to stop.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use fb_timer::ConnectionTimer;
use fb_tls::{HandshakeError, TlsStream};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::https::Https;
use crate::live::{Flushed, Flushing, Watched};
use crate::server::{ServerState, answer};

/// Where connections come in.
pub struct Listeners {
    /// For plain HTTP.
    pub plain: TcpListener,
    /// For HTTPS; of use with [`ServerOptions::https`](crate::ServerOptions::https) only.
    pub tls: Option<TcpListener>,
}

/// A connection that was accepted.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    is_tls: bool,
    slot: OwnedSemaphorePermit,
}

impl Listeners {
    /// The next connection of any listener, once there may be another one. `None` after a failure.
    async fn accept(&self, slots: &Arc<Semaphore>) -> Option<Accepted> {
        let slot = slots.clone().acquire_owned().await.ok()?;
        let accepted = tokio::select! {
            accepted = self.plain.accept() => accepted.map(|(stream, peer)| (stream, peer, false)),
            accepted = accept_of(self.tls.as_ref()) => accepted.map(|(stream, peer)| (stream, peer, true)),
        };
        match accepted {
            Ok((stream, peer, is_tls)) => Some(Accepted {
                stream,
                peer,
                is_tls,
                slot,
            }),
            Err(error) => {
                // Out of file handles, mostly: a pause lets some connections end.
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                None
            }
        }
    }
}

async fn accept_of(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Serves connections until `stop` is done, then finishes the requests that are running.
pub(crate) async fn serve(state: &Arc<ServerState>, listeners: Listeners, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(state.limits.connections));
    // Its end tells the handshakes that are under way.
    let (running, stopping) = watch::channel(());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listeners.accept(&slots) => accepted,
        };
        let Some(accepted) = accepted else { continue };
        let Accepted {
            stream,
            peer,
            is_tls,
            slot,
        } = accepted;
        // Answers are written in one piece each; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let connection = Arc::new(Connection::new(state.clone(), peer.ip(), is_tls, slot));
        let watcher = graceful.watcher();
        if !is_tls {
            tokio::spawn(async move { serve_one(connection, Bytes::Plain(stream), Protocol::Any, watcher).await });
            continue;
        }
        // Without it there is no such listener.
        let Some(https) = state.https.clone() else { continue };
        let stopping = stopping.clone();
        tokio::spawn(async move {
            if let Some(stream) = connection.encrypt(&https, stream, stopping).await {
                let protocol = if stream.is_http2() {
                    Protocol::Http2
                } else {
                    Protocol::Http1
                };
                serve_one(connection, Bytes::Tls(Box::new(stream)), protocol, watcher).await;
            }
        });
    }
    drop(listeners);
    drop(running);
    state.shutting_down.store(true, Ordering::Release);
    state.edges.stop();
    // Upgraded connections are none of HTTP's, and streams of events are answers that would never end.
    let ended = async { tokio::join!(graceful.shutdown(), state.places.stop()) };
    if tokio::time::timeout(state.limits.shutdown_time, ended).await.is_err() {
        tracing::warn!("some requests were cut off because they took too long");
    }
}

/// What is spoken on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// What the first bytes say.
    Any,
    /// What was agreed on in the handshake. Without an agreement it is this.
    Http1,
    Http2,
}

/// Bytes to and from a client. One type for both kinds, so that everything above it is compiled once: a second copy of HTTP
/// and of what it calls would cost half a megabyte and keep the compiler from inlining what has one caller.
pub(crate) enum Bytes {
    Plain(TcpStream),
    /// Boxed, as it has a kilobyte of state.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Bytes {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Bytes {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A connection, which is counted as long as this exists.
pub(crate) struct Connection {
    pub(crate) state: Arc<ServerState>,
    /// The other end.
    pub(crate) peer: IpAddr,
    pub(crate) is_tls: bool,
    /// Answers that are on their way.
    pub(crate) flushed: Arc<Flushed>,
    _slot: OwnedSemaphorePermit,
}

impl Flushing for Connection {
    fn flushed(&self) {
        self.flushed.flushed();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.state.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    fn new(state: Arc<ServerState>, peer: IpAddr, is_tls: bool, slot: OwnedSemaphorePermit) -> Self {
        state.metrics.connections.fetch_add(1, Ordering::Relaxed);
        Self {
            state,
            peer,
            is_tls,
            flushed: Arc::default(),
            _slot: slot,
        }
    }

    /// The handshake. `None` if it came to nothing, took too long, or the server stops.
    async fn encrypt(
        &self,
        https: &Https,
        stream: TcpStream,
        mut stopping: watch::Receiver<()>,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = tokio::time::timeout(self.state.limits.handshake_time, https.acceptor.accept(stream));
        let done = tokio::select! {
            done = handshake => done,
            // Nothing is ever sent: this is the end of the sender.
            _ = stopping.changed() => return None,
        };
        match done {
            Ok(Ok(stream)) => return Some(stream),
            // What strangers send is nothing to fill the log with.
            Ok(Err(HandshakeError::Failed(error))) => tracing::debug!(error = %error, "a handshake failed"),
            Ok(Err(error)) => tracing::debug!("{error}"),
            Err(_) => tracing::debug!("a handshake took too long"),
        }
        None
    }
}

/// Answers requests until the client or the server ends the connection.
async fn serve_one(connection: Arc<Connection>, bytes: Bytes, protocol: Protocol, watcher: Watcher) {
    let header_time = connection.state.limits.header_time;
    let was_asked = Arc::new(AtomicBool::new(false));
    let asked = was_asked.clone();
    let stream = Watched {
        bytes,
        owner: connection.clone(),
    };
    let service = service_fn(move |request| {
        if !asked.load(Ordering::Relaxed) {
            asked.store(true, Ordering::Relaxed);
        }
        let connection = connection.clone();
        async move { Ok::<_, std::convert::Infallible>(answer(connection, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(ConnectionTimer::default())
        .header_read_timeout(header_time)
        .max_buf_size(128 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_concurrent_streams(200)
        .max_header_list_size(64 << 10)
        // Streams that a client opens and takes back at once ("rapid reset", CVE-2023-44487): so many may wait to be
        // noticed before the connection is ended. The default of the h2 crate, which hyper leaves to it.
        .max_pending_accept_reset_streams(20)
        // Streams that this side had to end because of what the client sent on them. hyper's own default is 1024.
        .max_local_error_reset_streams(256);
    let builder = match protocol {
        Protocol::Any => builder,
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    };
    let served = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned();
    let mut served = pin!(watcher.watch(served));
    // hyper's limit for headers starts when it knows that it is HTTP/1: a client that sends nothing, or half of
    // HTTP/2's opening, would keep its place for ever. Polled by hand, so that it costs nothing from the first request on.
    let mut patience = pin!(tokio::time::sleep(header_time));
    let mut is_waiting = true;
    let ended = poll_fn(|cx| {
        if let Poll::Ready(ended) = served.as_mut().poll(cx) {
            return Poll::Ready(Some(ended));
        }
        is_waiting = is_waiting && !was_asked.load(Ordering::Relaxed);
        match is_waiting {
            true => patience.as_mut().poll(cx).map(|()| None),
            false => Poll::Pending,
        }
    });
    match ended.await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(error = %error, "a connection ended with an error"),
        None => tracing::debug!("a connection was ended because no request came in time"),
    }
}
