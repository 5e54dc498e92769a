//! TLS for the server: certificates from files and by ACME, chosen by the name a client asks for.
//!
//! Knows nothing of HTTP servers, routes, apps or configuration files: it takes connections and hands back encrypted
//! ones, and keeps what it obtained in the node's records.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use fb_tls::{Acceptor, Certificate, Certificates};
//! let certificates = Arc::new(Certificates::default());
//! certificates.set_default(Certificate::from_files("cert.pem".as_ref(), "key.pem".as_ref())?);
//! let acceptor = Acceptor::new(certificates)?;
//! let listener = tokio::net::TcpListener::bind("[::]:443").await?;
//! let (stream, _) = listener.accept().await?;
//! let encrypted = acceptor.accept(stream).await?;
//! # Ok(())
//! # }
//! ```

mod accept;
mod acme;
mod certificate;
mod certificates;
mod files;
#[cfg(test)]
mod testing;
mod validity;

pub use accept::{Acceptor, HandshakeError, SetupError, TlsStream};
pub use acme::{Acme, AcmeError, AcmeOptions, HostReport, report, wanted_hosts};
pub use certificate::{Certificate, CertificateError};
pub use certificates::Certificates;
pub use files::{Follower, PemFiles};
pub use validity::Validity;

/// Any error, as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
