//! The stream below a conversation that may turn to TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that hands out single bytes until TLS begins.
///
/// lettre reads answers through a buffer that outlives STARTTLS. Somebody on the way could append answers of their own to
/// the server's `220 go ahead`, and the client would take them for what the server says inside of TLS (the mirror image
/// of CVE-2011-0411). With single bytes the buffer never holds more than the line it asked for; what is left goes to the
/// TLS handshake, which fails. The plaintext beginning has a few hundred bytes, so that this costs next to nothing.
#[derive(Debug)]
pub(super) struct Prelude {
    tcp: TcpStream,
    /// Whether TLS has begun.
    is_tls: bool,
}

/// First byte of a TLS handshake record. No SMTP command begins with it.
const HANDSHAKE: u8 = 0x16;

impl Prelude {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, is_tls: false }
    }
}

impl AsyncRead for Prelude {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_tls || buf.remaining() == 0 {
            return Pin::new(&mut self.tcp).poll_read(cx, buf);
        }
        let mut byte = [0];
        let mut single = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut single))?;
        buf.put_slice(single.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prelude {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.is_tls |= buf.first() == Some(&HANDSHAKE);
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Prelude {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }
}
