//! Connections of clients.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fb_timer::ConnectionTimer;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::body::BoxError;
use crate::edge::Edge;
use crate::front::{Answers, Front};
use crate::headers::Peer;

impl Edge {
    /// Serves plain connections until `stop` is done, then finishes what is under way.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        self.serve_with(listener, false, |stream| async { Ok(stream) }, stop)
            .await;
    }

    /// The same for encrypted ones: `handshake` makes an encrypted connection of a plain one.
    pub async fn serve_encrypted<I, H>(
        &self,
        listener: TcpListener,
        handshake: impl Fn(TcpStream) -> H,
        stop: impl Future<Output = ()>,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Future<Output = Result<I, BoxError>> + Send + 'static,
    {
        self.serve_with(listener, true, handshake, stop).await;
    }

    async fn serve_with<I, H>(
        &self,
        listener: TcpListener,
        is_tls: bool,
        handshake: impl Fn(TcpStream) -> H,
        stop: impl Future<Output = ()>,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Future<Output = Result<I, BoxError>> + Send + 'static,
    {
        let limits = &self.inner.options.limits;
        let slots = Arc::new(Semaphore::new(limits.connections));
        // Its end tells the connections.
        let (running, stopping) = watch::channel(());
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accept(&listener, &slots) => accepted,
            };
            let (stream, peer, slot) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file handles, mostly: a pause lets some connections end.
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let (edge, mut stopping) = (self.clone(), stopping.clone());
            let peer = Peer { is_tls, ..peer };
            let handshake = tokio::time::timeout(limits.request_head, handshake(stream));
            tokio::spawn(async move {
                let shaken = tokio::select! {
                    shaken = handshake => shaken,
                    // Nothing is ever sent: this is the end of the sender.
                    _ = stopping.changed() => return,
                };
                let stream = match shaken {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return tracing::debug!(error = %error, "a handshake failed"),
                    Err(_) => return tracing::debug!("a handshake took too long"),
                };
                let stop = async move { while stopping.changed().await.is_ok() {} };
                if let Err(error) = edge.connection(stream, peer, stop).await {
                    tracing::debug!(error = %error, "a connection failed");
                }
                drop(slot);
            });
        }
        drop(listener);
        drop(running);
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(limits.shutdown, slots.acquire_many(all)).await;
    }

    /// Serves one connection, HTTP/1.1 or HTTP/2, on bytes that are decrypted already. Once `stop` is done it takes no further
    /// requests, and ends with those that are under way.
    pub async fn connection<I>(&self, io: I, peer: Peer, stop: impl Future<Output = ()>) -> Result<(), BoxError>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limits = &self.inner.options.limits;
        let (timer, answers) = (ConnectionTimer::default(), Answers::default());
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(timer.clone())
            .header_read_timeout(limits.request_head)
            .max_buf_size(limits.head_bytes.max(8192));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(128)
            .keep_alive_interval(limits.silence)
            .keep_alive_timeout(limits.request_head);
        let front = Front::new(io, self.clone(), peer, timer, answers.clone());
        let (edge, of_hyper) = (self.clone(), answers.clone());
        let service = service_fn(move |request| {
            let (edge, making) = (edge.clone(), of_hyper.begin());
            async move {
                let answer = edge.answer(request, peer).await;
                Ok::<_, std::convert::Infallible>(answer.map(|body| body.holding(making)))
            }
        });
        let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(front), service));
        let mut stop = pin!(stop);
        let served = poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(served) => Poll::Ready(Some(served)),
            // hyper does not know of answers from memory, and would cut them off.
            Poll::Pending if answers.is_sending() => Poll::Pending,
            Poll::Pending => stop.as_mut().poll(cx).map(|()| None),
        });
        if let Some(served) = served.await {
            return served;
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    let peer = Peer {
        ip: peer.ip().to_canonical(),
        is_tls: false,
    };
    Ok((stream, peer, slot))
}
