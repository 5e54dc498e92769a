//! S33: what the guard refuses, and that nothing gets around it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

use crate::target::Target;
use crate::*;

/// A server on loopback. Each connection gets one of the answers, in order and byte by byte as given; one that does not
/// end with the connection stays open until the test is over.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn on(ip: &str, port: u16, answer: Vec<u8>, keep_open: bool) -> Self {
        let listener = TcpListener::bind(SocketAddr::new(ip.parse().unwrap(), port)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // Ends with the test process; blocked in `accept` it holds nothing but its socket.
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
                        _ => break,
                    }
                }
                seen.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request).into_owned());
                let _ = stream.write_all(&answer);
                if keep_open {
                    open.push(stream);
                }
            }
        });
        Self { address, requests }
    }

    fn answering(answer: &str) -> Self {
        Self::on("127.0.0.1", 0, answer.as_bytes().to_vec(), false)
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn n_requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";

/// Gives its answers one after the other, then none.
struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    n_lookups: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            n_lookups: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _host: &'a str) -> Resolving<'a> {
        self.n_lookups.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or_default();
        Box::pin(async move { io::Result::Ok(answer) })
    }
}

fn options(allow: &[&str]) -> OutboundOptions {
    OutboundOptions {
        allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
        ..OutboundOptions::default()
    }
}

fn client(allow: &[&str]) -> Outbound {
    Outbound::new(options(allow)).unwrap()
}

fn port_of(server: &Server) -> String {
    server.address.to_string()
}

#[test]
fn s33_only_public_addresses_pass() {
    for refused in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(why_refused(refused.parse().unwrap()).is_some(), "{refused}");
    }
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "2001:4860:4860::8888",
        "2003::1",
    ] {
        assert_eq!(why_refused(public.parse().unwrap()), None, "{public}");
    }
}

#[tokio::test]
async fn s33_literal_addresses_are_refused_without_a_connection() {
    let trap = Server::answering(HELLO);
    let port = trap.address.port();
    for host in [
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
        "[::]",
        "[::ffff:7f00:1]",
        "localhost",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let error = client(&[]).get(&url).await.unwrap_err();
            assert!(matches!(error, OutboundError::Refused { .. }), "{url}: {error:?}");
        }
    }
    assert_eq!(trap.n_requests(), 0);
}

#[tokio::test]
async fn s33_urls_with_two_readings_are_refused() {
    for url in [
        "",
        "/",
        "example.com",
        "//example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "unix:///run/docker.sock",
        "data:text/plain,x",
        "javascript:alert(1)",
        "HTTPS:example.com",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com@127.0.0.1/",
        "https://127.0.0.1#@example.com/",
        "https://example.com/#fragment",
        "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/",
        "https://ex%61mple.com/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://127.0.0.01/",
        "https://①②⑦.⓪.⓪.①/",
        "https://bücher.example/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://example..com/",
        "https://.example.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:+80/",
        "https://example.com:/",
        "https:///path",
        "https://example.com\r\nHost: a/",
    ] {
        let error = client(&[]).get(url).await.unwrap_err();
        assert!(matches!(error, OutboundError::Invalid { .. }), "{url}: {error:?}");
    }
    let long = format!("https://example.com/{}", "a".repeat(9000));
    assert!(matches!(
        client(&[]).get(&long).await,
        Err(OutboundError::Invalid { .. })
    ));
}

#[test]
fn urls_are_read_into_their_normal_form() {
    for (url, authority, port, path) in [
        ("https://Example.COM", "example.com", 443, "/"),
        ("https://example.com./a?b=c", "example.com", 443, "/a?b=c"),
        ("https://example.com:443/", "example.com", 443, "/"),
        ("https://example.com:8443?a", "example.com:8443", 8443, "/?a"),
        ("http://[0:0::1]/x", "[::1]", 80, "/x"),
        ("http://10.0.0.1:443/", "10.0.0.1:443", 443, "/"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
    ] {
        let target = Target::parse(url).unwrap();
        assert_eq!(
            (target.authority.as_str(), target.port, target.path.as_str()),
            (authority, port, path),
            "{url}"
        );
    }
}

#[tokio::test]
async fn s33_a_name_that_rebinds_is_connected_to_where_it_was_checked() {
    // The first answer is permitted, every later one leads to a server that must never be reached.
    let honest = Server::answering(HELLO);
    let port = honest.address.port();
    let trap = Server::on("127.0.0.2", port, HELLO.as_bytes().to_vec(), false);
    let resolver = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2", "127.0.0.1", "10.0.0.1"]]);
    let client = Outbound::with_resolver(options(&[&port_of(&honest)]), resolver.clone()).unwrap();
    let url = format!("http://rebind.test:{port}/");

    assert_eq!(client.get(&url).await.unwrap().body, "hello");
    assert_eq!(
        resolver.n_lookups.load(Ordering::Relaxed),
        1,
        "one lookup for one request"
    );

    let error = client.get(&url).await.unwrap_err();
    assert!(matches!(error, OutboundError::Refused { .. }), "{error:?}");

    assert_eq!(
        client.get(&url).await.unwrap().body,
        "hello",
        "what is refused is dropped"
    );
    assert_eq!((honest.n_requests(), trap.n_requests()), (2, 0));

    let error = client.get(&url).await.unwrap_err();
    assert!(
        matches!(error, OutboundError::Refused { .. }),
        "no address at all: {error:?}"
    );
}

#[tokio::test]
async fn s33_names_of_private_addresses_are_refused_with_tls_too() {
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:10.0.0.1",
        "fd00::1",
    ] {
        let client = Outbound::with_resolver(options(&[]), Scripted::new(&[&[address]])).unwrap();
        let error = client.get("https://metadata.test/latest").await.unwrap_err();
        assert!(matches!(error, OutboundError::Refused { .. }), "{address}: {error:?}");
    }
}

#[tokio::test]
async fn s33_plain_http_needs_permission() {
    let client = Outbound::with_resolver(options(&[]), Scripted::new(&[&["1.1.1.1"]])).unwrap();
    let error = client.get("http://public.test/").await.unwrap_err();
    assert!(matches!(error, OutboundError::Refused { .. }), "{error:?}");
}

#[test]
fn s33_permission_is_for_exactly_the_named_target() {
    let permits = |allowed: &str, url: &str, ip: &str| {
        let allowed: AllowedTarget = allowed.parse().unwrap();
        allowed.permits(&Target::parse(url).unwrap(), ip.parse().unwrap())
    };
    for (allowed, url, ip) in [
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", "127.0.0.1"),
        ("127.0.0.1", "http://127.0.0.1:1/", "127.0.0.1"),
        ("127.0.0.1:9000", "http://minio.test:9000/", "127.0.0.1"),
        ("[::1]:9000", "http://[::1]:9000/", "::1"),
        ("10.1.0.0/16", "https://10.1.255.3/", "10.1.255.3"),
        ("0.0.0.0/0", "https://10.1.255.3/", "10.1.255.3"),
        ("fd00:1::/32", "https://[fd00:1::7]/", "fd00:1::7"),
        ("IDP.internal", "http://idp.internal/", "10.9.9.9"),
        ("idp.internal:8443", "https://idp.internal.:8443/", "127.0.0.1"),
        ("169.254.169.254", "http://169.254.169.254/", "169.254.169.254"),
    ] {
        assert!(permits(allowed, url, ip), "{allowed} {url}");
    }
    for (allowed, url, ip) in [
        ("127.0.0.1:9000", "http://127.0.0.1:9001/", "127.0.0.1"),
        ("127.0.0.1:9000", "http://127.0.0.2:9000/", "127.0.0.2"),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"),
        ("10.1.0.0/16", "http://10.2.0.1/", "10.2.0.1"),
        ("fd00:1::/32", "https://[fd00:2::7]/", "fd00:2::7"),
        ("::/0", "https://10.0.0.1/", "10.0.0.1"),
        ("idp.internal", "http://evil.idp.internal/", "10.9.9.9"),
        ("idp.internal", "http://idp.internal.evil/", "10.9.9.9"),
        ("idp.internal", "http://idp.internal/", "169.254.169.254"),
        ("idp.internal", "http://idp.internal/", "fe80::1"),
        ("idp.internal", "http://idp.internal/", "::ffff:10.0.0.1"),
        ("idp.internal", "http://idp.internal/", "0.0.0.0"),
        ("idp.internal:1", "http://idp.internal:2/", "10.9.9.9"),
    ] {
        assert!(!permits(allowed, url, ip), "{allowed} {url} {ip}");
    }
    for text in [
        "127.0.0.1:9000",
        "[::1]:9000",
        "[::1]",
        "10.1.0.0/16",
        "fd00::/8",
        "idp.internal",
        "a.b:1",
    ] {
        assert_eq!(text.parse::<AllowedTarget>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "*",
        "*.internal",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/8:80",
        "a:0",
        "http://a",
        "a/b",
        "a b",
    ] {
        assert!(text.parse::<AllowedTarget>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn s33_redirects_are_not_followed() {
    let trap = Server::answering(HELLO);
    let server = Server::answering(&format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        trap.url()
    ));
    let answer = client(&["127.0.0.1"]).get(&server.url()).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers[header::LOCATION], trap.url());
    assert_eq!((server.n_requests(), trap.n_requests()), (1, 0));
}

#[tokio::test]
async fn where_the_status_is_all_that_counts_the_body_is_no_error() {
    let huge = "x".repeat(2000);
    let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{huge}");
    let to_the_end = format!("HTTP/1.1 200 OK\r\n\r\n{huge}");
    let cut_off = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nx".to_owned();
    let of_status = async |answer: &str, keep_open: bool, timeout| {
        let server = Server::on("127.0.0.1", 0, answer.as_bytes().to_vec(), keep_open);
        let client = client(&["127.0.0.1"]).with_limits(timeout, 999);
        client.send_for_status(Request::new(Method::POST, server.url())).await
    };
    let long = Duration::from_secs(60);
    for (answer, keep_open) in [(&announced, true), (&to_the_end, true), (&cut_off, false)] {
        assert_eq!(
            of_status(answer, keep_open, long).await.unwrap(),
            StatusCode::OK,
            "{answer}"
        );
    }
    // One that never ends ends with the time for it.
    let short = Duration::from_millis(50);
    assert_eq!(of_status(&cut_off, true, short).await.unwrap(), StatusCode::OK);
    let headless = of_status("HTTP/1.1 200 OK\r\n", true, short).await;
    assert!(matches!(headless, Err(OutboundError::Timeout { .. })), "{headless:?}");
}

#[tokio::test]
async fn s33_large_answers_are_cut_off() {
    let huge = "x".repeat(2000);
    let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{huge}");
    let to_the_end = format!("HTTP/1.1 200 OK\r\n\r\n{huge}");
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{}\r\n",
        &huge[..1000]
    );
    for answer in [announced, to_the_end, chunked] {
        // The connection stays open: the client has to stop by itself.
        let server = Server::on("127.0.0.1", 0, answer.clone().into_bytes(), true);
        let mut options = options(&["127.0.0.1"]);
        options.max_response_bytes = 999;
        let error = Outbound::new(options).unwrap().get(&server.url()).await.unwrap_err();
        assert!(
            matches!(error, OutboundError::TooLarge { limit: 999 }),
            "{answer:.60}: {error:?}"
        );
    }
    let endless_head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(200_000));
    let server = Server::on("127.0.0.1", 0, endless_head.into_bytes(), true);
    let error = client(&["127.0.0.1"]).get(&server.url()).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn s33_slow_answers_are_cut_off() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel",
    ] {
        let server = Server::on("127.0.0.1", 0, answer.as_bytes().to_vec(), true);
        let mut options = options(&["127.0.0.1"]);
        options.timeout = Duration::from_millis(80);
        let error = Outbound::new(options).unwrap().get(&server.url()).await.unwrap_err();
        assert!(matches!(error, OutboundError::Timeout { .. }), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn broken_answers_are_errors() {
    for answer in [
        "",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel",
        "SSH-2.0-x\r\n",
    ] {
        let server = Server::answering(answer);
        let error = client(&["127.0.0.1"]).get(&server.url()).await.unwrap_err();
        assert!(
            matches!(error, OutboundError::Unreachable { .. }),
            "{answer}: {error:?}"
        );
    }
}

#[tokio::test]
async fn requests_arrive_as_they_were_given() {
    let server = Server::answering(HELLO);
    let client = client(&["127.0.0.1"]);
    let answer = client
        .post_form(
            &format!("{}token?a=1", server.url()),
            &[("grant type", "a&b=c"), ("x", "ü")],
        )
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (StatusCode::OK, b"hello".as_slice())
    );
    assert_eq!(answer.headers["x-a"], "b");
    let request = server.requests.lock().unwrap()[0].to_lowercase();
    for part in [
        "post /token?a=1 http/1.1\r\n",
        &format!("\r\nhost: {}\r\n", server.address),
        "\r\nuser-agent: freshbase\r\n",
        "\r\ncontent-type: application/x-www-form-urlencoded\r\n",
        "\r\ncontent-length: 31\r\n",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
}

#[tokio::test]
async fn headers_of_the_client_cannot_be_given() {
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "accept-encoding",
    ] {
        let mut request = Request::new(Method::GET, "https://example.com/");
        let name = http::HeaderName::from_static(name);
        request.headers.insert(name, HeaderValue::from_static("x"));
        let error = client(&[]).send(request).await.unwrap_err();
        assert!(matches!(error, OutboundError::Invalid { .. }), "{error:?}");
    }
}

#[test]
fn requests_do_not_show_credentials_in_logs() {
    let mut request = Request::form("https://example.com/a?secret", &[("client_secret", "secret")]);
    request
        .headers
        .insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    assert_eq!(format!("{request:?}"), "Request(POST https://example.com/a)");
}

mod tls {
    use super::*;

    const AUTHORITY: &str = include_str!("testdata/authority.pem");
    const CERTIFICATE: &str = include_str!("testdata/idp.test.pem");
    const KEY: &str = include_str!("testdata/idp.test.key.pem");

    /// Answers `hello` over TLS with a certificate for `idp.test`, until the runtime of the test ends.
    async fn tls_server() -> u16 {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut request = [0; 1024];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(HELLO.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        port
    }

    async fn get(host: &str, port: u16, authorities: &[&str]) -> Result<Response, OutboundError> {
        let mut options = options(&["127.0.0.1"]);
        options.extra_authorities = authorities.iter().map(|&pem| pem.to_owned()).collect();
        let client = Outbound::with_resolver(options, Scripted::new(&[&["127.0.0.1"]])).unwrap();
        client.get(&format!("https://{host}:{port}/")).await
    }

    #[tokio::test]
    async fn the_certificate_is_checked_against_the_name_in_the_url() {
        let port = tls_server().await;
        assert_eq!(get("idp.test", port, &[AUTHORITY]).await.unwrap().body, "hello");
        for (host, authorities) in [
            ("other.test", &[AUTHORITY][..]),
            ("127.0.0.1", &[AUTHORITY]),
            ("idp.test", &[]),
        ] {
            let error = get(host, port, authorities).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    OutboundError::Unreachable {
                        during: "starting TLS",
                        ..
                    }
                ),
                "{host}: {error:?}"
            );
        }
    }

    #[test]
    fn a_malformed_authority_is_an_error_at_the_start() {
        let mut options = options(&[]);
        options.extra_authorities = vec!["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()];
        assert!(matches!(Outbound::new(options), Err(OutboundError::Setup { .. })));
    }

    /// Answers with its path and authority over HTTP/2, until the runtime of the test ends. The number of connections.
    async fn http2_server(protocol: &'static [u8]) -> (u16, Arc<AtomicUsize>) {
        use hyper_util::rt::{TokioExecutor, TokioIo};
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};

        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(stream) = acceptor.accept(stream).await else {
                    continue;
                };
                counter.fetch_add(1, Ordering::Relaxed);
                let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    let size = request.uri().query().and_then(|q| q.parse().ok()).unwrap_or(0);
                    let text = format!("{} {}", request.uri(), request.headers().contains_key("host"));
                    let body = http_body_util::Full::new(bytes::Bytes::from(text + &"x".repeat(size)));
                    Ok::<_, std::convert::Infallible>(http::Response::new(body))
                });
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        (port, connections)
    }

    fn trusting(allow: &[&str]) -> Outbound {
        let mut options = options(allow);
        options.extra_authorities = vec![AUTHORITY.to_owned()];
        options.max_response_bytes = 1000;
        Outbound::with_resolver(options, Scripted::new(&[&["127.0.0.1"]])).unwrap()
    }

    #[tokio::test]
    async fn a_session_carries_many_requests_over_one_checked_connection() {
        let (port, connections) = http2_server(b"h2").await;
        let origin = format!("https://idp.test:{port}");
        let session = trusting(&["127.0.0.1"]).open_session(&origin).await.unwrap();
        let get = async |path: &str| {
            let request = Request::new(Method::GET, format!("{origin}{path}"));
            session.send(request).await
        };
        let (a, b) = tokio::join!(get("/a"), get("/b?0"));
        assert_eq!(a.unwrap().body, format!("{origin}/a false"));
        assert_eq!(b.unwrap().body, format!("{origin}/b?0 false"));
        assert!(session.is_open());
        assert!(matches!(
            get("/c?2000").await,
            Err(OutboundError::TooLarge { limit: 1000 })
        ));
        get("/d").await.unwrap();
        assert_eq!(connections.load(Ordering::Relaxed), 1);
        for other in [
            format!("https://idp.test:{}/", port ^ 1),
            format!("http://idp.test:{port}/"),
            format!("https://other.test:{port}/"),
        ] {
            let error = session.send(Request::new(Method::GET, other)).await.unwrap_err();
            assert!(matches!(error, OutboundError::Invalid { .. }), "{error:?}");
        }
        let mut own_header = Request::new(Method::GET, format!("{origin}/a"));
        own_header.headers.insert(header::HOST, HeaderValue::from_static("x"));
        assert!(matches!(
            session.send(own_header).await,
            Err(OutboundError::Invalid { .. })
        ));
    }

    #[tokio::test]
    async fn s33_sessions_are_guarded_like_requests() {
        let (port, connections) = http2_server(b"h2").await;
        for url in [
            format!("https://idp.test:{port}"),
            format!("https://127.0.0.1:{port}"),
            format!("http://127.0.0.1:{port}"),
        ] {
            let error = trusting(&["10.0.0.0/8"]).open_session(&url).await.unwrap_err();
            assert!(matches!(error, OutboundError::Refused { .. }), "{url}: {error:?}");
        }
        let error = trusting(&["127.0.0.1"])
            .open_session(&format!("https://other.test:{port}"))
            .await;
        assert!(matches!(
            error,
            Err(OutboundError::Unreachable {
                during: "starting TLS",
                ..
            })
        ));
        assert_eq!(connections.load(Ordering::Relaxed), 0);
        let (port, _) = http2_server(b"http/1.1").await;
        let error = trusting(&["127.0.0.1"])
            .open_session(&format!("https://idp.test:{port}"))
            .await;
        assert!(matches!(error, Err(OutboundError::Unreachable { .. })), "{error:?}");
    }
}

/// Names that begin with `slow` are looked up when the test says so, others at once; all of them are on this machine.
#[derive(Default)]
struct Hanging {
    under_way: AtomicUsize,
    most: AtomicUsize,
    go: tokio::sync::Notify,
}

impl Resolve for Hanging {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            if host.starts_with("slow") {
                let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(under_way, Ordering::SeqCst);
                self.go.notified().await;
                self.under_way.fetch_sub(1, Ordering::SeqCst);
            }
            Ok(vec!["127.0.0.1".parse().unwrap()])
        })
    }
}

#[tokio::test]
async fn names_that_hang_keep_only_those_waiting_who_asked_for_them() {
    let resolver = Arc::new(Hanging::default());
    // Nothing on this machine may be requested, so that a request ends with the lookup.
    let whole = Outbound::with_resolver(options(&[]), resolver.clone()).unwrap();
    let (greedy, other) = (whole.share(), whole.share());
    let webhooks = greedy.with_limits(Duration::from_secs(15), 1024);
    let quick = "https://quick.example/";
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..20 {
        let client = if n % 2 == 0 { greedy.clone() } else { webhooks.clone() };
        waiting.spawn(async move { client.get(&format!("https://slow{n}.example/")).await });
    }
    settle().await;
    // Whoever stops waiting has not given back what the system is still at work on.
    waiting.shutdown().await;
    assert_eq!(resolver.under_way.load(Ordering::SeqCst), 4);
    let refused = other.get(quick).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Refused { .. }), "{refused}");
    let mut late = pin!(greedy.get(quick));
    tokio::select! {
        biased;
        answer = &mut late => panic!("{answer:?}"),
        () = settle() => {}
    }
    // Once they are done, it goes on.
    resolver.go.notify_waiters();
    let refused = late.await.unwrap_err();
    assert!(matches!(refused, OutboundError::Refused { .. }), "{refused}");
    assert_eq!(resolver.most.load(Ordering::SeqCst), 4);
}

/// Lets everything run that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
