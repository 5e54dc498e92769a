//! Sources that make too many requests: how many pass, what comes then, and who is not concerned.

use fb_testkit::{Client, Response, Server, raw_request, root};
use serde_json::{Value, json};

use crate::kit::{at_once, set_config};
use crate::{Profile, no_panics, second_app, server, user};

fn limit(admin: &Client, requests: u32) {
    let limit = json!({ "requests": requests, "seconds": 600, "banSeconds": 1800 });
    set_config(admin, &json!({ "requestLimit": limit }));
    // What was counted before does not matter.
    admin.delete("/banned").expect(204);
}

#[track_caller]
fn is_banned(answer: &Response) {
    answer.expect_error(429, "AddressBanned");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1790..=1800).contains(&seconds), "{seconds}");
    let data = &answer.json()["data"];
    assert_eq!(data["retryAfter"], seconds);
    assert!(data["until"].as_str().unwrap().ends_with('Z'), "{data}");
}

/// A server with a limit, its administrator and a stranger.
fn limited(requests: u32) -> (Server, Client, Client) {
    let server = server().secure().start();
    let (admin, stranger) = (root(&server), server.client());
    limit(&admin, requests);
    (server, admin, stranger)
}

#[test]
fn s18_of_many_requests_at_once_exactly_as_many_as_allowed_are_answered() {
    let (server, admin, stranger) = limited(20);
    let statuses = at_once(60, |_| stranger.get("/status"));
    let mut expected = vec![200; 20];
    expected.extend([429; 40]);
    assert_eq!(statuses, expected);
    is_banned(&stranger.get("/status"));
    limit(&admin, 0);
    no_panics(&server);
}

#[test]
fn s18_nothing_that_a_client_sends_makes_it_another_source() {
    let (server, admin, stranger) = limited(0);
    let (ann, _) = user(&admin, &stranger, "ann");
    limit(&admin, 1);
    stranger.get("/status").expect(200);
    is_banned(&stranger.get("/status"));
    is_banned(&ann.get("/db/User/me"));
    is_banned(&server.client().with_token("0011").get("/status"));
    is_banned(&server.app("main").get("/status"));
    for headers in [
        ("x-forwarded-for", "198.51.100.1"),
        ("forwarded", "for=198.51.100.1"),
        ("x-real-ip", "198.51.100.1"),
        ("x-http-method-override", "OPTIONS"),
        ("x-method-override", "HEAD"),
    ] {
        is_banned(&stranger.request("POST", "/db/User/login", &[headers], b"{}"));
    }
    // What does not exist counts as well, and HEAD is told so.
    is_banned(&stranger.get("/no/such/endpoint"));
    is_banned(&stranger.request("PATCH", "/status", &[], b""));
    assert_eq!(stranger.request("HEAD", "/status", &[], b"").status, 429);
    // Pages of other sites can read it.
    let answer = stranger.request("GET", "/status", &[("origin", "https://shop.example")], b"");
    is_banned(&answer);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://shop.example")
    );
}

#[test]
fn s18_a_banned_client_is_answered_before_its_body_is_read() {
    let (server, _admin, stranger) = limited(1);
    stranger.get("/status").expect(200);
    is_banned(&stranger.get("/status"));
    // The body never comes.
    let request = b"POST /v1/db/User/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100000\r\n\r\n";
    let answer = String::from_utf8(raw_request(server.address(), request)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
}

#[test]
fn s18_requests_count_one_each_whatever_is_in_them() {
    let (server, admin, stranger) = limited(0);
    let open = json!({ "fields": {}, "acl": { "load": { "*": "allow" }, "query": { "*": "allow" } } });
    admin.put("/schema/Thing", &open).expect(200);
    let module = b"exports.call = async (db) => {\
        for (let i = 0; i < 20; i += 1) await db.Thing.find().count();\
        return 'counted';\
    };";
    admin.request("PUT", "/code/many/module", &[], module).expect(200);
    limit(&admin, 4);
    // What code asks for counts for nobody.
    for _ in 0..2 {
        assert_eq!(stranger.get("/code/many").expect(200).body, b"counted");
    }
    stranger.post("/db/Thing/query", &json!({})).expect(200);
    // Preflights do not count, refused requests do.
    stranger.request("OPTIONS", "/db/Thing/query", &[], b"").expect(204);
    stranger.get("/file?archive=www.zip").expect(466);
    is_banned(&stranger.get("/code/many"));
    limit(&admin, 0);
    no_panics(&server);
}

#[test]
fn s18_other_apps_administrators_and_pages_are_not_concerned() {
    let (server, admin, stranger) = limited(1);
    second_app(&server, "other", Profile::Secure);
    stranger.get("/status").expect(200);
    is_banned(&stranger.get("/status"));
    server.app("other").get("/status").expect(200);
    for _ in 0..5 {
        admin.get("/status").expect(200);
    }
    let node = Client::new(server.address(), "");
    node.get("/healthz").expect(200);
    assert_eq!(node.get("/index.html").status, 404);
}

#[test]
fn s18_bans_are_shown_and_lifted() {
    let (server, admin, stranger) = limited(2);
    stranger.get("/banned").expect(204);
    admin.get("/banned").expect(204);
    admin.get("/banned/127.0.0.1").expect(204);
    stranger.get("/banned/127.0.0.1").expect_error(466, "PermissionDenied");
    is_banned(&stranger.get("/banned"));
    for path in [
        "/banned",
        "/banned/127.0.0.1",
        "/banned/::ffff:127.0.0.1",
        "/banned/::ffff%3A127.0.0.1",
    ] {
        let ban = admin.get(path).expect(200).json();
        assert!(ban["retryAfter"].as_u64().unwrap() > 1790, "{ban}");
    }
    admin.get("/banned/127.0.0.2").expect(204);
    for nonsense in ["/banned/nonsense", "/banned/127.0.0.1%2F8", "/banned/%00"] {
        admin.get(nonsense).expect_error(400, "BadRequest");
        admin.delete(nonsense).expect_error(400, "BadRequest");
    }
    admin.delete("/banned/127.0.0.2").expect(204);
    is_banned(&stranger.delete("/banned"));
    admin.delete("/banned/127.0.0.1").expect(204);
    stranger.get("/status").expect(200);
    stranger.get("/status").expect(200);
    is_banned(&stranger.get("/status"));
    admin.delete("/banned").expect(204);
    stranger.get("/status").expect(200);
    limit(&admin, 0);
    no_panics(&server);
}

#[test]
fn the_profile_of_the_published_clients_counts_nothing() {
    let server = server().baqend().start();
    let limit = root(&server).get("/config").expect(200).json()["requestLimit"].clone();
    assert_eq!(limit["requests"], Value::from(0));
}
