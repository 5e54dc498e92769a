//! HTTPS with certificates from files: versions, names, reload, redirects, and what hostile clients try.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use fb_testkit::{
    Authority, Client, Connection, HttpVersion, HttpsClient, Server, ServerBuilder, raw_request, wait_for,
};
use serde_json::json;

use crate::{metric, server, text};

/// A server with HTTPS whose certificate, for `names`, is in `dir`.
pub(crate) fn with_tls(authority: &Authority, names: &[&str], dir: &Path) -> ServerBuilder {
    authority.write(names, dir);
    let file = |name: &str| text(&dir.join(name)).to_owned();
    server()
        .baqend()
        .arg("--tls-listen")
        .arg("127.0.0.1:0")
        .arg("--tls-cert")
        .arg(file("cert.pem"))
        .arg("--tls-key")
        .arg(file("key.pem"))
}

fn start(names: &[&str]) -> (Server, HttpsClient, Authority, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    let server = with_tls(&authority, names, dir.path()).start();
    let client = HttpsClient::new(server.tls_address(), &authority.root());
    (server, client, authority, dir)
}

/// A plain request with this `Host`.
fn plain(server: &Server, method: &str, host: &str, path: &str) -> fb_testkit::Response {
    Client::new(server.address(), "").request(method, path, &[("host", host)], b"")
}

#[test]
fn https_answers_in_both_versions_of_http() {
    let (server, client, _, _dir) = start(&["shop.test"]);
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        let answer = client.get(http, "shop.test", "/v1/status").unwrap().expect(200);
        assert_eq!(answer.json()["app"], "main", "{http:?}");
        let body = json!({ "username": "root", "password": fb_testkit::ROOT_PASSWORD }).to_string();
        let login = client.request(http, "POST", "shop.test", "/v1/db/User/login", body.as_bytes());
        let login = login.unwrap().expect(200);
        assert!(login.header("baqend-authorization-token").is_some());
    }
    assert!(server.printed().contains(&format!("https://{}", server.tls_address())));
}

#[test]
fn s50_http2_is_preferred_and_http1_is_there_for_all_others() {
    let (_server, client, _, _dir) = start(&["shop.test"]);
    for (offered, expected) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let found = client.handshake("shop.test", offered).unwrap().protocol;
        assert_eq!(found.as_deref(), expected, "{offered:?}");
    }
    let error = client.handshake("shop.test", &["spdy/3"]).unwrap_err();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    // A validator's protocol without a challenge that is under way.
    assert!(client.handshake("shop.test", &["acme-tls/1"]).is_err());
}

#[test]
fn s50_tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let (server, client, _, _dir) = start(&["shop.test"]);
    for (version, name) in [
        (&rustls::version::TLS12, "TLSv1_2"),
        (&rustls::version::TLS13, "TLSv1_3"),
    ] {
        let found = client
            .clone()
            .only(version)
            .handshake("shop.test", &[])
            .unwrap()
            .version;
        assert_eq!(found, name);
    }
    // SSL 3.0, TLS 1.0 and TLS 1.1, by a client that knows nothing newer.
    for minor in [0, 1, 2] {
        let mut hello = vec![3, minor];
        hello.extend([7; 32]);
        // No session; two suites that old servers had; no compression.
        hello.extend([0, 0, 4, 0xc0, 0x13, 0x00, 0x2f, 1, 0]);
        let mut message = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
        message.extend(hello);
        let mut record = vec![0x16, 3, minor, 0, u8::try_from(message.len()).unwrap()];
        record.extend(message);
        let answer = raw_request(server.tls_address(), &record);
        // An alert, fatal: 70 is protocol_version, 40 handshake_failure, 50 decode_error.
        assert!(answer.len() >= 7 && answer[0] == 0x15 && answer[5] == 2, "{answer:x?}");
        assert!([70, 40, 50].contains(&answer[6]), "{answer:x?}");
        assert_eq!(answer.len(), 7, "nothing but the alert: {answer:x?}");
    }
}

#[test]
fn plain_http_on_the_https_port_gets_no_answer_of_the_api() {
    let (server, client, _, _dir) = start(&["shop.test"]);
    let answer = raw_request(
        server.tls_address(),
        b"GET /v1/status HTTP/1.1\r\nhost: shop.test\r\n\r\n",
    );
    assert!(
        !String::from_utf8_lossy(&answer).contains("HTTP/1.1 200"),
        "{answer:x?}"
    );
    client
        .get(HttpVersion::Http1, "shop.test", "/healthz")
        .unwrap()
        .expect(200);
}

#[test]
fn a_name_without_a_certificate_gets_the_default_one_which_clients_refuse() {
    let (_server, client, _, _dir) = start(&["shop.test"]);
    let error = client.get(HttpVersion::Http1, "other.test", "/healthz").unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    let shown = client.clone().trusting_anything().handshake("other.test", &[]).unwrap();
    let own = client.handshake("shop.test", &[]).unwrap();
    assert_eq!(shown.certificate, own.certificate);
}

#[test]
fn a_new_certificate_is_taken_over_and_a_broken_one_is_not() {
    let (server, client, authority, dir) = start(&["shop.test"]);
    let first = client.handshake("shop.test", &[]).unwrap().certificate;
    std::fs::write(dir.path().join("cert.pem"), "nonsense").unwrap();
    wait_for("the warning", || server.log().contains("cannot be used").then_some(()));
    assert_eq!(client.handshake("shop.test", &[]).unwrap().certificate, first);
    authority.write(&["shop.test"], dir.path());
    let second = wait_for("the new certificate", || {
        let found = client.handshake("shop.test", &[]).unwrap().certificate;
        (found != first).then_some(found)
    });
    // A key of another certificate.
    let (_, key) = authority.issue(&["shop.test"]);
    std::fs::write(dir.path().join("key.pem"), key).unwrap();
    wait_for("the second warning", || {
        (server.log().matches("the one before stays").count() == 2).then_some(())
    });
    assert_eq!(client.handshake("shop.test", &[]).unwrap().certificate, second);
    assert!(server.log().contains("KeyMismatch"), "{}", server.log());
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    authority.write(&["shop.test"], dir.path());
    let (_, other) = authority.issue(&["shop.test"]);
    let run = |cert: &str, key: &str| {
        let args = ["--tls-listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
        let args = [&["serve", "--listen", "127.0.0.1:0"][..], &args].concat();
        crate::freshbase(dir.path(), &args).failed()
    };
    std::fs::write(dir.path().join("other.pem"), other).unwrap();
    for (cert, key, expected) in [
        ("cert.pem", "other.pem", "KeyMismatch"),
        ("none.pem", "key.pem", "none.pem cannot be read"),
        ("key.pem", "key.pem", "no certificate in it"),
    ] {
        let error = run(cert, key);
        assert!(
            error.contains("loading the certificate") && error.contains(expected),
            "{error}"
        );
    }
    let error = crate::freshbase(dir.path(), &["serve", "--tls-listen", "127.0.0.1:0"]).failed();
    assert!(error.contains("`tls-listen` needs certificates"), "{error}");
}

/// Opens connections that begin a handshake and go no further.
fn half_open(server: &Server, n: usize) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect(server.tls_address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The head of a record that never comes.
        stream.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
        stream
    };
    (0..n).map(open).collect()
}

#[test]
fn s50_handshakes_that_go_no_further_hold_up_neither_others_nor_the_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    let builder = with_tls(&authority, &["shop.test"], dir.path());
    // Less than a handshake may take.
    let mut server = builder.arg("--shutdown-timeout").arg("5s").start();
    let client = HttpsClient::new(server.tls_address(), &authority.root());
    let stuck = half_open(&server, 50);
    let silent = TcpStream::connect(server.tls_address()).unwrap();
    client
        .get(HttpVersion::Http2, "shop.test", "/healthz")
        .unwrap()
        .expect(200);
    server.client().get("/status").expect(200);
    assert_eq!(server.stop().code(), Some(0));
    assert!(!server.log().contains("cut off"), "{}", server.log());
    drop((stuck, silent));
}

#[test]
fn s50_handshakes_and_connections_that_never_begin_are_ended() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    let server = with_tls(&authority, &["shop.test"], dir.path())
        .arg("--max-connections")
        .arg("4")
        .start();
    // All places are taken, by every way not to get on with it.
    let mut stuck = half_open(&server, 1);
    stuck.push(TcpStream::connect(server.tls_address()).unwrap());
    stuck.push(TcpStream::connect(server.address()).unwrap());
    let mut half = TcpStream::connect(server.address()).unwrap();
    half.write_all(b"PRI * HTTP/2").unwrap();
    stuck.push(half);
    for stream in &mut stuck {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut rest = Vec::new();
        // The end, not the time that the test has.
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
    let client = HttpsClient::new(server.tls_address(), &authority.root());
    client
        .get(HttpVersion::Http1, "shop.test", "/healthz")
        .unwrap()
        .expect(200);
    wait_for("the places to be free", || {
        metric(&server, "freshbase_connections").filter(|&n| n == 1.0)
    });
}

#[test]
fn plain_requests_for_hosts_with_a_certificate_are_sent_to_https() {
    let (server, client, _, _dir) = start(&["shop.test", "*.apps.test"]);
    let port = server.tls_address().rsplit_once(':').unwrap().1;
    for host in ["shop.test", "SHOP.test:80", "a.apps.test"] {
        let answer = plain(&server, "POST", host, "/v1/db/User/login?x=%2F..&y").expect(308);
        let name = host.to_lowercase().replace(":80", "");
        let expected = format!("https://{name}:{port}/v1/db/User/login?x=%2F..&y");
        assert_eq!(answer.header("location"), Some(expected.as_str()));
        // A promise that came over an unprotected way is none.
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    // Pages of other origins can see that they were sent on.
    let origin = [("host", "shop.test"), ("origin", "https://page.test")];
    let answer = Client::new(server.address(), "").request("GET", "/v1/status", &origin, b"");
    assert!(answer.expect(308).header("access-control-allow-origin").is_some());

    for (host, path, status) in [
        ("other.test", "/v1/status", 200),
        ("b.a.apps.test", "/v1/status", 200),
        ("127.0.0.1", "/v1/status", 200),
        ("shop.test", "/healthz", 200),
        ("shop.test", "/readyz", 200),
        ("shop.test", "/.well-known/acme-challenge/none", 404),
        ("shop.test", "/healthzz", 308),
    ] {
        plain(&server, "GET", host, path).expect(status);
    }
    let over_tls = client.get(HttpVersion::Http1, "shop.test", "/v1/status").unwrap();
    over_tls.expect(200);
}

#[test]
fn redirects_go_to_the_port_that_is_configured_or_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    let builder = with_tls(&authority, &["shop.test"], dir.path());
    let server = builder.clone().arg("--https-redirect").arg("443").start();
    let answer = plain(&server, "GET", "shop.test", "/v1/status?a").expect(308);
    assert_eq!(answer.header("location"), Some("https://shop.test/v1/status?a"));

    let server = builder.clone().arg("--https-redirect").arg("off").start();
    plain(&server, "GET", "shop.test", "/v1/status").expect(200);
    let client = HttpsClient::new(server.tls_address(), &authority.root());
    let answer = client.get(HttpVersion::Http1, "shop.test", "/v1/status").unwrap();
    assert_eq!(answer.expect(200).header("strict-transport-security"), None);

    // Whoever ends TLS in front of the server would be sent round and round.
    let server = builder.arg("--trusted-proxies").arg("127.0.0.1").start();
    plain(&server, "GET", "shop.test", "/v1/status").expect(200);
}

#[test]
fn s50_answers_over_https_tell_browsers_to_stay_with_it() {
    let (server, client, _, _dir) = start(&["shop.test", "localhost"]);
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        for path in ["/v1/status", "/v1/nothing", "/healthz", "/setup", "/none"] {
            let answer = client.get(http, "shop.test", path).unwrap();
            let found = answer.header("strict-transport-security");
            assert_eq!(found, Some("max-age=31536000"), "{path}");
        }
    }
    // Other servers of a developer's machine have the same name.
    let local = client.get(HttpVersion::Http1, "localhost", "/v1/status").unwrap();
    assert_eq!(local.expect(200).header("strict-transport-security"), None);
    let plain = plain(&server, "GET", "other.test", "/v1/status").expect(200);
    assert_eq!(plain.header("strict-transport-security"), None);
}

#[test]
fn without_tls_listen_nothing_is_redirected_or_promised() {
    let server = server().baqend().start();
    let answer = plain(&server, "GET", "shop.test", "/v1/status").expect(200);
    assert_eq!(answer.header("strict-transport-security"), None);
    plain(&server, "GET", "shop.test", "/.well-known/acme-challenge/x").expect(404);
}

/// The second request of each must never be seen as one: it is what an attacker smuggles past a proxy that reads the
/// first one differently.
#[test]
fn s50_requests_that_can_be_read_in_two_ways_are_refused_and_end_the_connection() {
    let server = server().baqend().start();
    let inner = "GET /healthz HTTP/1.1\r\nhost: inner\r\n\r\n";
    let n = inner.len();
    // What the test looks for is there when the two requests are two for everybody.
    let inner_and_close = inner.replace("inner\r\n", "inner\r\nconnection: close\r\n");
    let two = format!("GET /v1/version HTTP/1.1\r\nhost: x\r\n\r\n{inner_and_close}");
    let answer = raw_request(server.address(), two.as_bytes());
    assert!(String::from_utf8_lossy(&answer).contains("{\"status\":\"ok\"}"));
    for (what, request) in [
        (
            "a length and chunks",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
            ),
        ),
        (
            "chunks and a length",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: {n}\r\n\r\n0\r\n\r\n{inner}"
            ),
        ),
        (
            "two lengths",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: {n}\r\n\r\n{inner}"
            ),
        ),
        (
            "a list of lengths",
            format!("POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ncontent-length: 0, {n}\r\n\r\n{inner}"),
        ),
        (
            "a length with a sign",
            format!("POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ncontent-length: +0\r\n\r\n{inner}"),
        ),
        (
            "a folded header",
            format!("POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ncontent-length:\r\n {n}\r\n\r\n{inner}"),
        ),
        (
            "a blank before the colon",
            format!("POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ncontent-length : {n}\r\n\r\n{inner}"),
        ),
        (
            "a coding that is not chunks in the end",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"
            ),
        ),
        (
            "a coding with a strange blank",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: \u{b}chunked\r\n\r\n0\r\n\r\n{inner}"
            ),
        ),
        (
            "a chunk size that is none",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0x0\r\n\r\n{inner}"
            ),
        ),
        (
            "a chunk size that overflows",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n10000000000000000\r\n\r\n{inner}"
            ),
        ),
        (
            "a chunk that is longer than it says",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{{}}\r\n0\r\n\r\n{inner}"
            ),
        ),
        (
            "a chunk that ends in a bare line feed",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\n{{\n0\n\n{inner}"
            ),
        ),
        (
            "a chunk extension with a bare line feed",
            format!(
                "POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0;a\nb\r\n\r\n{inner}"
            ),
        ),
        (
            "chunks in HTTP/1.0",
            format!("POST /v1/db/User/login HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        (
            "a bare carriage return",
            format!("POST /v1/db/User/login HTTP/1.1\r\nhost: x\rcontent-length: 0\r\n\r\n{inner}"),
        ),
        (
            "a zero byte",
            format!("POST /v1/db/User/login HTTP/1.1\r\nhost: x\0\r\n\r\n{inner}"),
        ),
    ] {
        let answer = raw_request(server.address(), request.as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            !answer.contains("{\"status\":\"ok\"}"),
            "{what}: the second request was answered: {answer}"
        );
        let n_answers = answer.matches("HTTP/1.").count();
        assert!(n_answers <= 1, "{what}: {answer}");
        assert!(
            n_answers == 0 || answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.0 400"),
            "{what}: {answer}"
        );
    }
    server.client().get("/status").expect(200);
}

/// A bare line feed ends lines for this server, as RFC 9112 (section 2.2) allows: in headers it is one line end for
/// everybody, and what follows the empty line is the next request for everybody.
#[test]
fn s50_bare_line_feeds_hide_nothing() {
    let server = server().baqend().start();
    let request = "GET /v1/status HTTP/1.1\nhost: x\nx: y\ncontent-length: 0\n\n";
    let mut connection = Connection::open(server.address()).unwrap();
    connection.send(request.as_bytes());
    connection.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let first = connection.receive().unwrap();
    if first.status == 400 {
        assert!(connection.receive().is_none());
    } else {
        assert_eq!(first.expect(200).json()["app"], "main");
        connection.receive().unwrap().expect(200);
    }
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_OF_HEADERS_AND_STREAM: u8 = 5;

/// Reads frames to the end of the connection; gives the error code of the GOAWAY frame, if there was one.
fn goaway(stream: &mut TcpStream) -> Option<u32> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let mut rest = &answer[..];
    while let Some((head, behind)) = rest.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (payload, behind) = behind.split_at_checked(length)?;
        if head[3] == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = behind;
    }
    None
}

#[test]
fn s50_streams_that_are_opened_and_reset_at_once_end_the_connection() {
    let server = server().baqend().start();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut attack = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    attack.extend(frame(SETTINGS, 0, 0, &[]));
    for n in 0..5000_u32 {
        // GET http / of the static table (RFC 7541, appendix A), and an authority.
        let headers = [&[0x82, 0x86, 0x84, 0x41, 1][..], b"x"].concat();
        attack.extend(frame(HEADERS, END_OF_HEADERS_AND_STREAM, 2 * n + 1, &headers));
        attack.extend(frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes()));
    }
    let _ = stream.write_all(&attack);
    // 11 is ENHANCE_YOUR_CALM.
    assert_eq!(goaway(&mut stream), Some(11));
    server.client().get("/status").expect(200);
}
