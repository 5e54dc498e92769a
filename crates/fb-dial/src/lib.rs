//! Connections of HTTP clients: TCP, with TLS where the URL says so; and whom their TLS trusts.
//!
//! Knows nothing of requests, and asks nobody whether a host may be connected to: it serves those who connect to what their own
//! user or operator names, such as the command line and the storage of files. What strangers may choose goes through `fb-outbound`.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

/// Any error, as far as this crate only passes it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{during} failed")]
pub struct SetupError {
    /// What was being done.
    pub during: &'static str,
    /// Why it failed.
    pub source: BoxError,
}

fn setup<E: Into<BoxError>>(during: &'static str) -> impl FnOnce(E) -> SetupError {
    move |source| SetupError {
        during,
        source: source.into(),
    }
}

/// TLS for HTTP/1.1 that trusts the authorities of browsers, as they were when this was built, and `authorities`, which are
/// certificates in PEM. The system's store is not read.
pub fn client_config<'a>(authorities: impl IntoIterator<Item = &'a [u8]>) -> Result<ClientConfig, SetupError> {
    const READING: &str = "reading the certificate of an authority";
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for certificate in authorities.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate = certificate.map_err(setup(READING))?;
        roots.add(certificate).map_err(setup(READING))?;
    }
    // The provider is named, because a process-wide default would depend on which crates happen to be linked.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup("choosing TLS versions"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Opens connections, for hyper's pool of them.
#[derive(Clone)]
pub struct Dial {
    tls: TlsConnector,
    limit: Duration,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Dial {
    /// `limit` is the time for a connection with its encryption; for `authorities` see [`client_config`].
    pub fn new<'a>(authorities: impl IntoIterator<Item = &'a [u8]>, limit: Duration) -> Result<Self, SetupError> {
        Ok(Self {
            tls: TlsConnector::from(Arc::new(client_config(authorities)?)),
            limit,
        })
    }
}

type Dialing = Pin<Box<dyn Future<Output = Result<Line, BoxError>> + Send>>;

impl Service<Uri> for Dial {
    type Response = Line;
    type Error = BoxError;
    type Future = Dialing;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Dialing {
        let (tls, limit) = (self.tls.clone(), self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, dial(tls, uri)).await {
                Ok(line) => line,
                Err(late) => Err(late.into()),
            }
        })
    }
}

async fn dial(tls: TlsConnector, uri: Uri) -> Result<Line, BoxError> {
    let host = uri.host().ok_or("the URL has no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    // Small requests should not wait for more to send; a failure only costs time.
    let _ = stream.set_nodelay(true);
    let stream: Box<dyn Duplex> = match is_tls {
        true => Box::new(tls.connect(ServerName::try_from(host)?, stream).await?),
        false => Box::new(stream),
    };
    Ok(Line(TokioIo::new(stream)))
}

/// What TLS and plain connections have in common.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, encrypted or not.
pub struct Line(TokioIo<Box<dyn Duplex>>);

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}
