//! Certificates by ACME, against Pebble.

use std::path::Path;

use crate::{freshbase, server, text};
use fb_testkit::{HttpVersion, HttpsClient, Pebble, RunningPebble, Server, ServerBuilder, free_port, wait_for};

/// A server that gets its certificates from `pebble`, at the ports where that looks for it.
fn with_acme(pebble: &Pebble, running: &RunningPebble, dir: &Path) -> ServerBuilder {
    server()
        .baqend()
        .data_dir(&dir.join("freshbase-data"))
        .listen(&format!("127.0.0.1:{}", pebble.http_port))
        .arg("--tls-listen")
        .arg(format!("127.0.0.1:{}", pebble.tls_port))
        .arg("--acme")
        .arg("operator@example.org")
        .arg("--acme-directory")
        .arg(pebble.directory())
        .arg("--acme-root")
        .arg(running.root_file())
}

fn create(dir: &Path, app: &str, hosts: &[&str]) {
    let mut args = vec!["app", "create", app];
    for host in hosts {
        args.extend(["--host", host]);
    }
    freshbase(dir, &args).ok();
}

/// The certificate that `host` is shown, once there is one.
fn certificate(server: &Server, pebble: &RunningPebble, host: &str) -> Vec<u8> {
    let client = HttpsClient::new(server.tls_address(), &pebble.issuing_root());
    wait_for(&format!("the certificate of {host}"), || {
        let handshake = client.handshake(host, &[]).ok()?;
        Some(handshake.certificate)
    })
}

fn n_orders(pebble: &RunningPebble) -> usize {
    pebble.log().matches("Added order").count()
}

#[test]
fn hosts_of_apps_get_certificates_which_a_restart_keeps() {
    let (pebble, dir) = (Pebble::default(), tempfile::tempdir().unwrap());
    let running = pebble.start();
    create(dir.path(), "shop", &["shop.test", "www.shop.test"]);
    let builder = with_acme(&pebble, &running, dir.path())
        .arg("--domain")
        .arg("apps.test");
    let mut server = builder.start();
    let shop = certificate(&server, &running, "shop.test");
    certificate(&server, &running, "www.shop.test");
    // The default app answers to the domain itself.
    certificate(&server, &running, "apps.test");
    let client = HttpsClient::new(server.tls_address(), &running.issuing_root());
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        let answer = client.get(http, "shop.test", "/v1/status").unwrap().expect(200);
        assert_eq!(answer.json()["app"], "shop");
        assert!(answer.header("strict-transport-security").is_some());
    }
    let plain = fb_testkit::Client::new(server.address(), "");
    plain
        .request("GET", "/v1/status", &[("host", "shop.test")], b"")
        .expect(308);
    // A host that no app has is neither served nor ordered, whoever asks for it.
    for host in ["evil.test", "shop.apps.test", "x.shop.test"] {
        assert!(client.handshake(host, &[]).is_err(), "{host}");
    }
    wait_for("the records", || {
        (server.log().matches("obtained a certificate").count() == 3).then_some(())
    });
    assert_eq!(n_orders(&running), 3, "{}", running.log());
    assert_eq!(server.stop().code(), Some(0));

    let server = builder.start();
    // Without any wait: kept certificates are there when the server is ready.
    let client = HttpsClient::new(server.tls_address(), &running.issuing_root());
    assert_eq!(client.handshake("shop.test", &[]).unwrap().certificate, shop);
    // An app that is created while the server runs.
    create(dir.path(), "blog", &["blog.test"]);
    certificate(&server, &running, "blog.test");
    assert_eq!(n_orders(&running), 4, "{}", running.log());
    // One that is gone is no longer served.
    freshbase(dir.path(), &["app", "delete", "blog", "--yes"]).ok();
    wait_for("the host to be gone", || client.handshake("blog.test", &[]).err());
}

#[test]
fn a_host_that_cannot_be_validated_holds_up_no_other_and_is_named() {
    let (pebble, dir) = (Pebble::default(), tempfile::tempdir().unwrap());
    let running = pebble.start();
    // More of them than orders are placed at once.
    let broken: Vec<String> = (0..6).map(|n| format!("{n}.nowhere.test")).collect();
    let hosts: Vec<&str> = broken.iter().map(String::as_str).chain(["shop.test"]).collect();
    create(dir.path(), "shop", &hosts);
    let server = with_acme(&pebble, &running, dir.path()).start();
    certificate(&server, &running, "shop.test");
    let failed = || server.log().matches("no certificate for").count();
    wait_for("the failures", || (failed() == 6).then_some(()));
    let log = server.log();
    for host in &broken {
        let line = log
            .lines()
            .find(|line| line.contains(&format!("no certificate for {host}")));
        let line = line.unwrap_or_else(|| panic!("{host}: {log}"));
        assert!(line.contains("WARN") && line.contains("next try at"), "{line}");
        assert!(line.contains("over TLS") && line.contains("over HTTP"), "{line}");
    }
    // Two ways each, and then a pause: no tight loop.
    assert_eq!(n_orders(&running), 6 * 2 + 1);

    // The reasons are there for the operator, while the server runs.
    let args = ["--acme", "on", "--tls-listen", "127.0.0.1:0"];
    let report = freshbase(dir.path(), &[&["doctor"][..], &args].concat());
    assert!(report.out.contains("0.nowhere.test"), "{}", report.out);
    assert!(!report.out.contains(" shop.test"), "{}", report.out);
}

#[test]
fn hosts_behind_something_that_ends_tls_are_validated_over_http() {
    let dir = tempfile::tempdir().unwrap();
    let pebble = Pebble::default();
    // Nobody listens where it looks for TLS.
    let elsewhere = Pebble {
        tls_port: free_port(),
        ..pebble
    };
    let running = elsewhere.start();
    create(dir.path(), "shop", &["shop.test"]);
    let server = with_acme(&pebble, &running, dir.path()).start();
    certificate(&server, &running, "shop.test");
    assert_eq!(n_orders(&running), 2);
}

#[test]
fn s47_private_keys_of_certificates_are_not_readable_in_the_data_directory() {
    let (pebble, dir) = (Pebble::default(), tempfile::tempdir().unwrap());
    let running = pebble.start();
    create(dir.path(), "shop", &["shop.test"]);
    let mut server = with_acme(&pebble, &running, dir.path()).start();
    certificate(&server, &running, "shop.test");
    wait_for("the record", || {
        server.log().contains("obtained a certificate").then_some(())
    });
    let data = dir.path().join("freshbase-data");
    let read_all = || {
        let mut all = Vec::new();
        for name in ["node.db", "node.db-wal"] {
            all.extend(std::fs::read(data.join(name)).unwrap_or_default());
        }
        all
    };
    let running_bytes = read_all();
    server.stop();
    for bytes in [running_bytes, read_all()] {
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
        assert!(has(b"shop.test") && has(b"sealed:1:") && has(b"BEGIN CERTIFICATE"));
        assert!(!has(b"PRIVATE KEY"));
        // The beginning of a P-256 key in PKCS #8: in DER, and in both alphabets of Base64.
        assert!(!has(&[
            0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
            0x03, 0x01, 0x07, 0x04, 0x6d
        ]));
        assert!(!has(b"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w"));
    }
    // Under another master key the certificate is worth nothing, and a new one is ordered.
    std::fs::write(data.join("master.key"), "another key of thirty-two characters").unwrap();
    let before = n_orders(&running);
    let server = with_acme(&pebble, &running, dir.path()).start();
    certificate(&server, &running, "shop.test");
    assert_eq!(n_orders(&running), before + 1);
    assert!(
        server.log().contains("cannot be read under this master key"),
        "{}",
        server.log()
    );
}

#[test]
fn an_account_that_the_authority_forgot_is_made_anew() {
    let (pebble, dir) = (Pebble::default(), tempfile::tempdir().unwrap());
    let running = pebble.start();
    create(dir.path(), "shop", &["shop.test"]);
    let mut server = with_acme(&pebble, &running, dir.path()).start();
    certificate(&server, &running, "shop.test");
    wait_for("the record", || {
        server.log().contains("obtained a certificate").then_some(())
    });
    server.stop();
    drop(running);
    // It remembers nothing from its last run.
    let running = pebble.start();
    create(dir.path(), "blog", &["blog.test"]);
    let server = with_acme(&pebble, &running, dir.path()).start();
    certificate(&server, &running, "blog.test");
    assert!(server.log().contains("does not know the account"), "{}", server.log());
}

#[test]
fn certificates_are_renewed_before_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let pebble = Pebble {
        validity_seconds: 9,
        ..Pebble::default()
    };
    let running = pebble.start();
    create(dir.path(), "shop", &["shop.test"]);
    let server = with_acme(&pebble, &running, dir.path()).start();
    let client = HttpsClient::new(server.tls_address(), &running.issuing_root());
    let first = certificate(&server, &running, "shop.test");
    let second = wait_for("the next certificate", || {
        // Trusted all the time: the old one serves until the new one is there.
        let found = client
            .handshake("shop.test", &[])
            .expect("a valid certificate")
            .certificate;
        (found != first).then_some(found)
    });
    assert_ne!(first, second);
}

#[test]
fn a_certificate_from_files_is_used_for_its_hosts_and_nothing_is_ordered_for_them() {
    let (pebble, dir) = (Pebble::default(), tempfile::tempdir().unwrap());
    let running = pebble.start();
    let authority = fb_testkit::Authority::default();
    authority.write(&["*.apps.test"], dir.path());
    create(dir.path(), "shop", &["shop.apps.test", "shop.test"]);
    let server = with_acme(&pebble, &running, dir.path())
        .arg("--tls-cert")
        .arg(text(&dir.path().join("cert.pem")))
        .arg("--tls-key")
        .arg(text(&dir.path().join("key.pem")))
        .start();
    certificate(&server, &running, "shop.test");
    let client = HttpsClient::new(server.tls_address(), &authority.root());
    let answer = client.get(HttpVersion::Http2, "shop.apps.test", "/v1/status").unwrap();
    assert_eq!(answer.expect(200).json()["app"], "shop");
    assert_eq!(n_orders(&running), 1);
}

#[test]
fn an_authority_that_is_away_is_no_reason_not_to_start() {
    let (pebble, dir) = (Pebble::default(), tempfile::tempdir().unwrap());
    create(dir.path(), "shop", &["shop.test"]);
    let path = dir.path().join("root.pem");
    std::fs::write(&path, fb_testkit::Authority::default().root()).unwrap();
    let server = server()
        .baqend()
        .data_dir(&dir.path().join("freshbase-data"))
        .arg("--tls-listen")
        .arg("127.0.0.1:0")
        .arg("--acme")
        .arg("on")
        .arg("--acme-directory")
        .arg(pebble.directory())
        .arg("--acme-root")
        .arg(text(&path))
        .start();
    wait_for("the warning", || {
        server.log().contains("no account at the ACME authority").then_some(())
    });
    let client = HttpsClient::new(server.tls_address(), &fb_testkit::Authority::default().root());
    assert!(client.handshake("shop.test", &[]).is_err());
    server.client().get("/status").expect(200);
    let report = freshbase(
        dir.path(),
        &["doctor", "--acme", "on", "--tls-listen", "127.0.0.1:0", "--json"],
    );
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    let found = report["findings"].as_array().unwrap();
    let found = found
        .iter()
        .find(|finding| finding["check"] == "missing-certificate")
        .unwrap();
    assert!(found["message"].as_str().unwrap().contains("shop.test"), "{found}");
    assert_eq!(found["severity"], "problem");
}
