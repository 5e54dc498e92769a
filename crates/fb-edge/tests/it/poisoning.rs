//! S39: nothing that one client makes up is in what others get.

use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;

use crate::kit::{World, request};

/// The worst that an app can do: its public answer says everything that was in the request, and that it varies by nothing.
fn confess(request: &Parts) -> Response<Full<bytes::Bytes>> {
    let all = format!("{} {} {:?}", request.method, request.uri, request.headers);
    let answer = Response::builder().header("cache-control", "public, s-maxage=600");
    answer.body(all.into()).unwrap()
}

const EVIL: &str = "evil.example";

#[tokio::test]
async fn s39_no_header_of_a_client_is_in_what_others_get() {
    for name in [
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cf-connecting-ip",
        "client-ip",
        "cookie",
        "forwarded",
        "from",
        "if-none-match",
        "max-forwards",
        "origin",
        "pragma",
        "proxy",
        "referer",
        "sec-fetch-site",
        "te",
        "true-client-ip",
        "user-agent",
        "via",
        "x-any-header-at-all",
        "x-amz-website-redirect-location",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-host",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
        "x-wap-profile",
    ] {
        let world = World::start().await;
        world.origin.page("/x", confess);
        for _ in 0..4 {
            world.get("/x", &[(name, EVIL)]).await;
        }
        for _ in 0..2 {
            let got = world.get("/x", &[]).await;
            assert!(!got.body.contains(EVIL), "{name}: {}", got.body);
        }
        assert_eq!(world.get("/x", &[]).await.way(), "hit");
        let seen = world.origin.seen();
        let is_forgery = name.starts_with("x-")
            && !["x-any", "x-amz", "x-wap", "x-forwarded-for"]
                .iter()
                .any(|start| name.starts_with(start));
        let reached = seen
            .iter()
            .any(|request| request.headers.get_all(name).iter().any(|value| value == EVIL));
        assert!(!is_forgery || !reached, "{name} reached the origin");
    }
}

#[tokio::test]
async fn s39_hosts_are_part_of_the_key_and_two_of_them_are_refused() {
    let world = World::start().await;
    world.origin.page("/x", confess);
    world.get("/x", &[("host", EVIL)]).await;
    world.get("/x", &[("host", "APP.example:80")]).await;
    let got = world.get("/x", &[]).await;
    assert_eq!(got.way(), "hit");
    assert!(!got.body.contains(EVIL));
    for hosts in [
        &[("host", EVIL), ("host", "app.example")][..],
        &[("host", "app.example@evil")],
        &[("host", "")],
    ] {
        let got = world.get("/x", hosts).await;
        assert_eq!(got.status, 400);
        assert!(got.body.contains("\"className\":\"BadRequest\""));
    }
    let mut absolute = request("GET", "/x", &[("host", EVIL)]);
    *absolute.uri_mut() = "http://app.example/x".parse().unwrap();
    assert_eq!(world.send(absolute).await.status, 400);
}

#[tokio::test]
async fn s39_gets_with_bodies_fill_nothing() {
    let world = World::start().await;
    world.origin.page("/x", confess);
    let fat = || {
        let mut fat = Request::new(Full::from("evil"));
        *fat.uri_mut() = "/x".parse().unwrap();
        fat.headers_mut().insert("host", crate::kit::HOST.parse().unwrap());
        fat
    };
    for _ in 0..3 {
        assert_eq!(world.send(fat()).await.way(), "fwd=bypass");
    }
    assert_eq!(world.edge.stats().entries, 0);
}

#[tokio::test]
async fn s39_a_connection_header_cannot_take_away_what_the_edge_adds() {
    let world = World::start().await;
    let all = "host, x-forwarded-for, x-forwarded-host, x-forwarded-proto, x-own";
    world
        .send(request(
            "POST",
            "/x",
            &[("connection", all), ("x-own", "1"), ("x-forwarded-for", "9.9.9.9")],
        ))
        .await;
    let seen = world.origin.seen().pop().unwrap().headers;
    assert_eq!(
        (&seen["host"], &seen["x-forwarded-host"]),
        (&seen["x-forwarded-host"], &"app.example".parse().unwrap())
    );
    assert_eq!(
        (&seen["x-forwarded-for"], &seen["x-forwarded-proto"]),
        (&"192.0.2.1".parse().unwrap(), &"http".parse().unwrap())
    );
    assert!(!seen.contains_key("x-own"));
}

#[tokio::test]
async fn s39_spellings_of_paths_are_not_made_the_same() {
    let world = World::start().await;
    for path in ["/a/b", "/a%2Fb", "/a//b", "/a/b/", "/A/b"] {
        world.origin.page(path, confess);
        assert!(world.get(path, &[]).await.body.starts_with(&format!("GET {path} ")));
    }
    assert_eq!((world.origin.n_seen(), world.edge.stats().entries), (5, 5));
    // The order of parameters is the app's business.
    for path in ["/a/b?x=1&y=2", "/a/b?y=2&x=1"] {
        assert!(world.get(path, &[]).await.body.starts_with(&format!("GET {path} ")));
    }
}
