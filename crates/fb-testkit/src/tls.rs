//! HTTPS: an authority that issues certificates, and a client that trusts it alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::Response;
use crate::client::parse;

/// A server that says nothing for so long is a failed test.
const PATIENCE: Duration = Duration::from_secs(60);

/// An authority of its own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }
}

impl Authority {
    /// Its own certificate in PEM.
    pub fn root(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these hosts and addresses, and its key, both in PEM.
    pub fn issue(&self, names: &[&str]) -> (String, String) {
        self.issue_until(names, 2099)
    }

    /// The same, valid to the beginning of `year`.
    pub fn issue_until(&self, names: &[&str], year: i32) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names are fine");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Writes a certificate for these hosts to `cert.pem` and `key.pem` in `dir`.
    pub fn write(&self, names: &[&str], dir: &Path) {
        let (certificate, key) = self.issue(names);
        std::fs::write(dir.join("cert.pem"), certificate).expect("it can be written");
        std::fs::write(dir.join("key.pem"), key).expect("it can be written");
    }
}

/// Which HTTP a client offers in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// What came out of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: String,
    /// What was agreed on by ALPN.
    pub protocol: Option<String>,
    /// The server's certificate in DER.
    pub certificate: Vec<u8>,
}

/// A client that trusts one authority. Every request has its own connection and handshake.
#[derive(Clone)]
pub struct HttpsClient {
    address: String,
    roots: Arc<RootCertStore>,
    versions: Vec<&'static SupportedProtocolVersion>,
    is_trusting: bool,
}

impl HttpsClient {
    /// Of the server at `address`, trusting the authorities of `root` (PEM).
    pub fn new(address: &str, root: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(root.as_bytes()) {
            roots.add(certificate.expect("PEM")).expect("a certificate");
        }
        Self {
            address: address.to_owned(),
            roots: Arc::new(roots),
            versions: rustls::DEFAULT_VERSIONS.to_vec(),
            is_trusting: false,
        }
    }

    /// The same with this version of TLS only.
    pub fn only(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// The same, taking any certificate: for tests that look at it themselves.
    pub fn trusting_anything(mut self) -> Self {
        self.is_trusting = true;
        self
    }

    fn config(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions)
            .expect("versions");
        let mut config = if self.is_trusting {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anything(provider)))
                .with_no_client_auth()
        } else {
            builder.with_root_certificates(self.roots.clone()).with_no_client_auth()
        };
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    fn connect(&self, host: &str, protocols: &[&str]) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned()).expect("a host");
        let connection = ClientConnection::new(self.config(protocols), name).expect("a client");
        let tcp = TcpStream::connect(&self.address).map_err(|e| e.to_string())?;
        tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|e| e.to_string())?;
        }
        Ok(stream)
    }

    /// A handshake alone, asking for `host`.
    pub fn handshake(&self, host: &str, protocols: &[&str]) -> Result<Handshake, String> {
        let stream = self.connect(host, protocols)?;
        let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Handshake {
            version: format!("{:?}", stream.conn.protocol_version().expect("it is over")),
            protocol: stream.conn.alpn_protocol().map(of),
            certificate: stream.conn.peer_certificates().expect("a certificate")[0].to_vec(),
        })
    }

    /// GET `https://host/path`.
    pub fn get(&self, http: HttpVersion, host: &str, path: &str) -> Result<Response, String> {
        self.request(http, "GET", host, path, b"")
    }

    /// A JSON request to `https://host/path`; why there was no answer otherwise.
    pub fn request(
        &self,
        http: HttpVersion,
        method: &str,
        host: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Response, String> {
        match http {
            HttpVersion::Http1 => self.request_http1(method, host, path, body),
            HttpVersion::Http2 => self.request_http2(method, host, path, body),
        }
    }

    fn request_http1(&self, method: &str, host: &str, path: &str, body: &[u8]) -> Result<Response, String> {
        let mut stream = self.connect(host, &["http/1.1"])?;
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n").into_bytes();
        if !body.is_empty() {
            let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
            request.extend_from_slice(head.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        stream.write_all(&request).map_err(|e| e.to_string())?;
        let mut answer = Vec::new();
        // Clean ends and others alike: what came is looked at.
        let _ = stream.read_to_end(&mut answer);
        parse(&answer, method == "HEAD").ok_or_else(|| format!("no answer: {:?}", String::from_utf8_lossy(&answer)))
    }

    fn request_http2(&self, method: &str, host: &str, path: &str, body: &[u8]) -> Result<Response, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let exchange = async {
            let tcp = tokio::net::TcpStream::connect(&self.address)
                .await
                .map_err(|e| e.to_string())?;
            let name = ServerName::try_from(host.to_owned()).expect("a host");
            let tls = tokio_rustls::TlsConnector::from(self.config(&["h2"]));
            let stream = tls.connect(name, tcp).await.map_err(|e| e.to_string())?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err("the server did not choose HTTP/2".to_owned());
            }
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .map_err(|e| e.to_string())?;
            let driver = tokio::spawn(connection);
            let request = http::Request::builder()
                .method(method)
                .uri(format!("https://{host}{path}"))
                .header("content-type", "application/json")
                .body(Full::new(Bytes::copy_from_slice(body)))
                .expect("a request");
            let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
            driver.abort();
            let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                (name.to_string(), value.to_str().unwrap_or_default().to_owned())
            };
            Ok(Response {
                status: head.status.as_u16(),
                headers: head.headers.iter().map(header).collect(),
                body: body.to_vec(),
            })
        };
        let limited = async { tokio::time::timeout(PATIENCE, exchange).await };
        runtime
            .expect("a runtime")
            .block_on(limited)
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}

/// Takes any certificate, but only from who has its key.
#[derive(Debug)]
struct Anything(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
