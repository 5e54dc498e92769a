//! What one client sends is in nobody else's answer.

use fb_testkit::Client;
use serde_json::json;

use crate::kit::{Edge, World};

/// Headers that servers and proxies read, and that keys do not hold.
const UNKEYED: &[(&str, &str)] = &[
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "gopher"),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-port", "666"),
    ("x-forwarded-prefix", "/evil"),
    ("x-original-url", "/v1/db/User/1"),
    ("x-rewrite-url", "/v1/db/User/1"),
    ("x-http-method-override", "DELETE"),
    ("x-real-ip", "10.0.0.1"),
    ("forwarded", "for=evil;host=evil.example"),
    ("freshbase-edge", "0123456789abcdef0123456789abcdef"),
    ("freshbase-edge-bound", "99999999"),
    ("freshbase-guard", "e30"),
    ("freshbase-caller", "e30"),
    ("surrogate-key", "evil"),
    ("surrogate-control", "max-age=99999"),
    ("accept", "evil/type"),
    ("accept-language", "xx"),
    ("user-agent", "evil"),
    ("cookie", "evil=1"),
    ("te", "trailers"),
    ("range", "bytes=0-3"),
    ("if-match", "\"7\""),
    ("if-none-match", "*"),
    ("if-modified-since", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ("cache-control", "no-store"),
    ("pragma", "evil"),
];

#[test]
fn s39_headers_of_one_client_are_in_nobody_elses_answer() {
    let world = World::start();
    world
        .admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    world.admin.upload("/data/a", "text/plain", b"0123456789").expect(200);
    let plain = world.edge.client();
    for (i, (name, value)) in UNKEYED.iter().enumerate() {
        let object = format!("/db/Todo/{i}");
        world.put(&i.to_string(), 1, &json!({}));
        for path in [
            object.as_str(),
            &format!("/file/data/a?BCB={i}"),
            "/connect",
            "/bloomfilter",
        ] {
            let expected = world.server.client().get(path).expect(200);
            for _ in 0..2 {
                let _ = plain.request("GET", path, &[(name, value)], b"");
            }
            let got = plain.get(path).expect(200);
            if path.starts_with("/db") || path.starts_with("/file") {
                assert_eq!(got.body, expected.body, "{name} {path}");
            }
            for header in ["content-type", "etag", "vary"] {
                let is_moving = path == "/bloomfilter" && header == "etag";
                assert!(
                    is_moving || got.header(header) == expected.header(header),
                    "{name} {path} {header}"
                );
            }
            let text = got
                .headers
                .iter()
                .map(|(n, v)| format!("{n}: {v}\n"))
                .collect::<String>();
            assert!(!text.contains("evil"), "{name} {path}: {text}");
        }
    }
}

#[test]
fn s39_pages_of_other_origins_get_answers_of_their_own() {
    let world = World::start();
    world.put("1", 1, &json!({}));
    let client = world.edge.client();
    for _ in 0..3 {
        for origin in ["https://a.example", "https://b.example"] {
            let answer = client
                .request("GET", "/db/Todo/1", &[("origin", origin)], b"")
                .expect(200);
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        }
        assert_eq!(client.get("/db/Todo/1").header("access-control-allow-origin"), None);
    }
}

#[test]
fn s39_hosts_are_part_of_the_key() {
    let world = World::start();
    world.put("1", 1, &json!({}));
    let client = world.edge.client();
    world.warm(&client, "/db/Todo/1");
    // No app answers to this one: what the default app's address gave is not for it, if the server says so.
    let other = client.request("GET", "/db/Todo/1", &[("host", "none.localhost")], b"");
    let direct = world
        .server
        .client()
        .request("GET", "/db/Todo/1", &[("host", "none.localhost")], b"");
    assert_eq!(other.status, direct.status);
}

#[test]
fn s39_only_who_has_the_secret_follows_the_purges() {
    let world = World::start();
    let direct = Client::new(world.server.address(), "");
    for proof in ["", "wrong", "0123456789abcdef0123456789abcdee"] {
        let answer = direct.request("GET", "/.freshbase/purges", &[("freshbase-edge", proof)], b"");
        assert_eq!(answer.status, 404, "{proof}");
    }
    let through = Client::new(&world.edge.address, "");
    for path in [
        "/.freshbase/purges",
        "/.freshbase/purges?boot=1&after=0",
        "/.freshbase/",
    ] {
        assert_eq!(through.get(path).status, 404);
    }
    // An edge with another secret serves nothing from memory: it is told nothing.
    let stranger = Edge::with_secret(
        world.server.url(),
        "another secret of thirty-two chars".replace(' ', "-").as_str(),
        &[],
    );
    world.put("1", 1, &json!({}));
    for _ in 0..5 {
        assert!(
            !stranger
                .client()
                .get("/db/Todo/1")
                .expect(200)
                .header("cache-status")
                .unwrap()
                .contains("; hit")
        );
    }
    assert_eq!(stranger.figure("intact"), 0);
}

#[test]
fn s18_limits_count_the_edges_clients_and_not_the_edge() {
    let world = World::start();
    let limit = json!({ "requestLimit": { "requests": 30, "seconds": 300, "banSeconds": 300 } });
    world.admin.put("/config", &limit).expect(200);
    // The client's address is the one that the edge sees, whatever the client says.
    let client = world.edge.client();
    let mut refused = 0;
    for i in 0..60 {
        let route = format!("10.0.0.{i}");
        refused += usize::from(
            client
                .request("GET", &format!("/db/Todo/none{i}"), &[("x-forwarded-for", &route)], b"")
                .status
                == 429,
        );
    }
    assert!(refused >= 20, "{refused}");
}
