//! Handshakes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;

use crate::certificates::CHALLENGE_PROTOCOL;
use crate::{BoxError, Certificates};

/// Takes connections and hands back encrypted ones. Clones share everything.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS could not be set up")]
pub struct SetupError(#[source] BoxError);

/// A handshake came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client hung up, speaks no TLS or no version of it that is safe, or asked for a host without a certificate.
    #[error("the handshake failed")]
    Failed(#[source] io::Error),
    /// It was an ACME server that checked a challenge; it got its answer.
    #[error("a challenge was answered")]
    Challenge,
}

impl Acceptor {
    /// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1.
    pub fn new(certificates: Arc<Certificates>) -> Result<Self, SetupError> {
        // The provider is named, because a process-wide default would depend on which crates happen to be linked.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|e| SetupError(e.into()))?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), CHALLENGE_PROTOCOL.to_vec()];
        // Sessions that are resumed cost no signature. Tickets are kept by clients, under keys that change every six hours;
        // a cache of our own would need memory and a lock. Early data stays off: it could be replayed.
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(|e| SetupError(e.into()))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The handshake. Takes as long as the client lets it: the caller sets a limit and drops the future.
    pub async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = self.0.accept(stream).await.map_err(HandshakeError::Failed)?;
        let is_http2 = match stream.get_ref().1.alpn_protocol() {
            Some(CHALLENGE_PROTOCOL) => {
                // Whether it hears the goodbye or not, it has seen the certificate.
                let _ = stream.shutdown().await;
                return Err(HandshakeError::Challenge);
            }
            protocol => protocol == Some(b"h2".as_slice()),
        };
        Ok(TlsStream { stream, is_http2 })
    }
}

/// An encrypted connection.
pub struct TlsStream<S> {
    stream: tokio_rustls::server::TlsStream<S>,
    is_http2: bool,
}

impl<S> TlsStream<S> {
    /// True if the client chose HTTP/2; else it speaks HTTP/1.1.
    pub fn is_http2(&self) -> bool {
        self.is_http2
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
