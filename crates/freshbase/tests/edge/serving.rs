//! HTTP/1.1, HTTP/2, TLS, WebSockets, and what operators see.

use std::process::Command;

use fb_testkit::{Authority, HttpVersion, HttpsClient};
use serde_json::json;

use crate::kit::{BINARY, World, server, way};

#[test]
fn both_versions_of_http_are_spoken_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    authority.write(&["shop.test"], dir.path());
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let more = ["--tls-listen", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    let world = World::with(&server().baqend(), &more);
    world.put("1", 1, &json!({}));
    let address = world
        .edge
        .printed
        .split_once("https://")
        .unwrap()
        .1
        .split_whitespace()
        .next()
        .unwrap();
    let client = HttpsClient::new(address, &authority.root());
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        for round in 0..3 {
            let answer = client.get(http, "shop.test", "/v1/db/Todo/1").unwrap().expect(200);
            assert_eq!(answer.json()["n"], 1);
            assert!(round < 2 || way(&answer) == "hit", "{http:?} {round}");
        }
    }
}

#[test]
fn websockets_pass_through() {
    let world = World::start();
    let stream = std::net::TcpStream::connect(&world.edge.address).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(60)))
        .unwrap();
    let (mut socket, answer) = tungstenite::client(world.edge.client().socket_url(), stream).unwrap();
    assert_eq!(answer.status(), 101);
    assert!(
        answer
            .headers()
            .keys()
            .all(|name| !name.as_str().starts_with("freshbase-"))
    );
    socket.send(tungstenite::Message::text("{}")).unwrap();
    let message = socket.read().unwrap();
    assert!(message.is_text() || message.is_close(), "{message:?}");
}

#[test]
fn operators_see_health_and_figures_and_clients_do_not() {
    let world = World::start();
    assert_eq!(world.edge.admin("/healthz").status, 200);
    assert_eq!(world.edge.admin("/readyz").status, 200);
    assert_eq!(world.edge.admin("/none").status, 404);
    assert_eq!(world.edge.figure("intact"), 1);
    let through = fb_testkit::Client::new(&world.edge.address, "");
    let figures = String::from_utf8(through.get("/metrics").body).unwrap();
    assert!(!figures.contains("freshbase_edge_hits_total"));
}

#[test]
fn what_is_wrong_with_the_command_is_said() {
    let run = |args: &[&str], secret: Option<&str>| {
        let mut command = Command::new(BINARY);
        command.arg("edge").args(args).current_dir(std::env::temp_dir());
        if let Some(secret) = secret {
            command.env("FRESHBASE_EDGE_SECRET", secret);
        }
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let secret = Some(crate::kit::SECRET);
    for (args, secret, expected) in [
        (&["--origin", "http://x"][..], None, "there is no secret"),
        (&[], secret, "--origin"),
        (&["--origin", "x"], secret, "the origin must be http://"),
        (&["--origin", "http://x", "--memory", "1"], Some("short"), "32 to 256"),
        (
            &["--origin", "http://x", "--memory", "much"],
            secret,
            "`--memory` must be a size",
        ),
        (&["--origin", "http://x", "--bound", "1ms"], secret, "at least 500ms"),
        (
            &["--origin", "http://x", "--secret-file", "/none/such"],
            secret,
            "/none/such",
        ),
        (
            &[
                "--origin",
                "http://x",
                "--disk",
                "/dev/null/x",
                "--listen",
                "127.0.0.1:0",
            ],
            secret,
            "/dev/null/x",
        ),
    ] {
        let error = run(args, secret);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    let help = Command::new(BINARY).args(["edge", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("First steps") && help.contains("docs/edge.md"));
}
