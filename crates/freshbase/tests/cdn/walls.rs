//! What Varnish must never have, and what it must pass on.

use std::net::TcpStream;
use std::time::Duration;

use fb_testkit::Client;
use serde_json::json;
use tungstenite::Message;

use crate::{Site, is_hit, put};

#[test]
fn s31_protected_and_personal_data_is_never_stored() {
    let site = Site::start();
    let closed = json!({ "fields": { "n": { "type": "/db/Integer" } }, "acl": { "load": { "/db/Role/3": "allow" } } });
    site.admin.put("/schema/Closed", &closed).expect(200);
    put(&site.admin, "/db/Closed/1", 1);
    let (ann, ann_id) = site.anybody.clone().register("ann");
    let (bob, _) = site.anybody.clone().register("bob");
    let acl = json!({ "read": { ann_id.as_str(): "allow" } });
    site.admin
        .put("/db/Doc/hers", &json!({ "n": 1, "acl": acl }))
        .expect(200);
    for _ in 0..3 {
        for (client, path, status) in [
            (&ann, "/db/Closed/1", 200),
            (&ann, "/db/Doc/hers", 200),
            (&bob, "/db/Doc/hers", 404),
            (&ann, ann_id.as_str(), 200),
            (&ann, "/db/User/me", 200),
            (&ann, "/connect", 200),
            (&ann, "/db/Doc/query?q=%7B%7D", 200),
        ] {
            let answer = client.get(path);
            assert!(answer.status == status && !is_hit(&answer), "{path}: {answer:?}");
        }
        // Whoever comes behind them gets nothing of it.
        for path in ["/db/Closed/1", "/db/Doc/hers", &ann_id] {
            let answer = site.anybody.get(path);
            assert!(answer.status >= 400 && !is_hit(&answer), "{path}: {answer:?}");
        }
        for path in ["/db/User/me", "/connect"] {
            let text = String::from_utf8(site.anybody.get(path).body).unwrap();
            assert!(!text.contains("ann"), "{path}: {text}");
        }
    }
}

#[test]
fn public_objects_are_one_copy_for_all_users() {
    let site = Site::start();
    put(&site.admin, "/db/Doc/1", 1);
    let (ann, _) = site.anybody.clone().register("ann");
    // Also if the first one is logged in.
    ann.get("/db/Doc/1").expect(200);
    let copy = site.hit("/db/Doc/1");
    let hers = ann.get("/db/Doc/1").expect(200);
    assert!(is_hit(&hers) && hers.body == copy.body);
    for name in ["baqend-authorization-token", "set-cookie"] {
        assert_eq!(hers.header(name), None);
    }
}

#[test]
fn s31_no_header_of_one_client_shows_in_what_the_next_one_gets() {
    let site = Site::start();
    let evil = [
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-For",
        "Forwarded",
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "Cookie",
        "User-Agent",
        "Range",
        "baqend-acl",
        "freshbase-edge",
        "Surrogate-Key",
    ];
    for (i, name) in evil.iter().enumerate() {
        let id = format!("/db/Doc/{i}");
        put(&site.admin, &id, 1);
        let headers = [(*name, "evil.test")];
        // Varnish refuses a range that is none, and keeps the whole answer.
        let first = site.anybody.request("GET", &id, &headers, b"");
        assert!(
            first.status == if *name == "Range" { 416 } else { 200 },
            "{name}: {first:?}"
        );
        let next = site.anybody.get(&id).expect(200);
        assert!(!format!("{next:?}").contains("evil"), "{name}: {next:?}");
        assert_eq!(next.json()["id"], id.as_str());
        // Cross-origin headers are each page's own.
        for page in ["https://a.test", "https://b.test"] {
            let answer = site.anybody.request("GET", &id, &[("origin", page)], b"").expect(200);
            assert_eq!(answer.header("access-control-allow-origin"), Some(page));
        }
    }
}

#[test]
fn websockets_go_through() {
    let site = Site::start();
    put(&site.admin, "/db/Doc/1", 1);
    let stream = TcpStream::connect(site.varnish.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let url = format!("ws://{}/v1/events", site.varnish.address());
    let (mut socket, answer) = tungstenite::client(url, stream).unwrap();
    assert_eq!(answer.status(), 101);
    socket.send(Message::text("nonsense")).unwrap();
    let said = loop {
        match socket.read().unwrap() {
            Message::Text(text) => break text.to_string(),
            Message::Close(frame) => break format!("{frame:?}"),
            _ => {}
        }
    };
    assert!(
        said.contains("error") || said.contains("JSON") || said.contains("reason"),
        "{said}"
    );
}

#[test]
fn the_operators_tools_are_not_reached_through_varnish() {
    let site = Site::start();
    let outside = Client::new(&site.varnish.address(), "");
    for path in ["/metrics", "/admin/v1/apps", "/.freshbase/purges"] {
        outside.get(path).expect(404);
    }
    Client::new(site.server.address(), "").get("/metrics").expect(200);
    // Limits count clients: the server knows the address behind Varnish.
    outside.get("/healthz").expect(200);
}
