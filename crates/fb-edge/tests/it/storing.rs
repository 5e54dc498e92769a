//! What is stored, and for whom.

use std::time::Duration;

use http::Response;

use crate::kit::{World, request, until};

const SECOND: Duration = Duration::from_secs(1);

/// Whether the second of two requests comes from memory.
async fn is_stored(answer: &[(&str, &str)], request: &[(&str, &str)]) -> bool {
    let world = World::start().await;
    world.origin.text("/x", "text", answer);
    world.get("/x", request).await;
    let second = world.get("/x", request).await;
    assert_eq!(second.body, "text");
    assert_eq!(second.way() == "hit", world.origin.n_seen() == 1);
    second.way() == "hit"
}

#[tokio::test]
async fn only_what_the_origin_says_may_be_shared_is_stored() {
    for stored in [
        "public, max-age=60",
        "s-maxage=60",
        "max-age=60",
        "max-age=0, s-maxage=60",
        "public, max-age=60, immutable",
    ] {
        assert!(is_stored(&[("cache-control", stored)], &[]).await, "{stored}");
    }
    for not in [
        "",
        "public",
        "private, max-age=60",
        "private, s-maxage=60",
        "no-store, max-age=60",
        "no-cache, max-age=60",
        "max-age=0",
        "max-age=60, s-maxage=0",
        "max-age=x",
        "private=\"set-cookie\", max-age=60",
    ] {
        assert!(!is_stored(&[("cache-control", not)], &[]).await, "{not}");
    }
    assert!(
        !is_stored(&[("expires", "Fri, 01 Jan 2100 00:00:00 GMT")], &[]).await,
        "nothing is guessed from dates"
    );
    assert!(
        !is_stored(&[("cache-control", "max-age=60"), ("age", "60")], &[]).await,
        "it has expired already"
    );
    assert!(
        !is_stored(&[("cache-control", "max-age=60"), ("age", "x")], &[]).await,
        "nobody knows how old it is"
    );
}

#[tokio::test]
async fn s39_answers_with_cookies_or_tokens_are_not_stored() {
    for secret in [
        "set-cookie",
        "baqend-authorization-token",
        "baqend-mfa-auth-token",
        "www-authenticate",
    ] {
        assert!(
            !is_stored(&[("cache-control", "public, s-maxage=60"), (secret, "x")], &[]).await,
            "{secret}"
        );
    }
}

#[tokio::test]
async fn errors_redirects_and_parts_are_not_stored() {
    for status in [201, 204, 206, 301, 302, 400, 401, 404, 410, 460, 500, 503] {
        let world = World::start().await;
        world.origin.page("/x", move |_| {
            let answer = Response::builder()
                .status(status)
                .header("cache-control", "public, s-maxage=60");
            answer.body("".into()).unwrap()
        });
        for n_seen in 1..=3 {
            assert_eq!(world.get("/x", &[]).await.status, status);
            assert_eq!(world.origin.n_seen(), n_seen);
        }
        assert_eq!(world.edge.stats().entries, 0);
    }
}

#[tokio::test]
async fn s39_answers_to_credentials_are_for_nobody_else() {
    let world = World::start().await;
    world.origin.page("/me", |request| {
        let who = request
            .headers
            .get("authorization")
            .map_or("nobody", |who| who.to_str().unwrap());
        // An app's mistake: it forgets to say that this is private.
        let answer = Response::builder().header("cache-control", "max-age=60");
        answer.body(who.to_owned().into()).unwrap()
    });
    for who in ["BAT a", "BAT b"] {
        assert_eq!(world.get("/me", &[("authorization", who)]).await.body, who);
    }
    assert_eq!(world.get("/me", &[]).await.body, "nobody");
    assert_eq!(world.get("/me", &[]).await.way(), "hit");
    assert_eq!(
        world.get("/me", &[("authorization", "BAT c")]).await.body,
        "BAT c",
        "not said to be for all"
    );
    assert_eq!(world.get("/me", &[]).await.body, "nobody");
}

#[tokio::test]
async fn public_answers_are_for_those_with_credentials_as_well_unless_they_vary_by_them() {
    let world = World::start().await;
    world
        .origin
        .text("/x", "text", &[("cache-control", "public, max-age=60")]);
    let of = |who| [("authorization", who)];
    assert_eq!(
        world.get("/x", &of("BAT a")).await.way(),
        "fwd=bypass",
        "what is stored is asked for without credentials"
    );
    assert_eq!(world.get("/x", &of("BAT b")).await.way(), "fwd=miss; stored");
    assert!(!world.origin.seen()[1].headers.contains_key("authorization"));
    assert_eq!(world.get("/x", &of("BAT c")).await.way(), "hit");

    world.origin.page("/connect", |request| {
        let text = if request.headers.contains_key("authorization") {
            "user"
        } else {
            "nobody"
        };
        let answer = Response::builder()
            .header("cache-control", "public, s-maxage=60")
            .header("vary", "Authorization");
        answer.body(text.into()).unwrap()
    });
    for _ in 0..3 {
        assert_eq!(world.get("/connect", &[]).await.body, "nobody");
        assert_eq!(world.get("/connect", &of("BAT a")).await.body, "user");
    }
    assert_eq!(world.get("/connect", &[]).await.way(), "hit");
}

#[tokio::test]
async fn ages_are_honest_and_lifetimes_end() {
    let world = World::start().await;
    let headers = [
        ("cache-control", "public, max-age=5, s-maxage=10"),
        ("age", "3"),
        ("etag", "\"1\""),
    ];
    world.origin.text("/x", "text", &headers);
    world.get("/x", &[]).await;
    world.pass(SECOND * 4).await;
    let got = world.get("/x", &[]).await;
    assert_eq!((got.way(), got.header("age")), ("hit", "7"));
    world.pass(Duration::from_millis(2999)).await;
    assert_eq!(world.get("/x", &[]).await.header("age"), "10", "rounded up");
    world.pass(Duration::from_millis(1)).await;
    let got = world.get("/x", &[]).await;
    assert_eq!((got.way(), got.body.as_str()), ("fwd=miss; stored", "text"));
    assert_eq!(world.origin.seen()[1].headers["if-none-match"], "\"1\"");
    assert_eq!(world.edge.stats().confirmed, 1);
    assert_eq!(
        world.get("/x", &[]).await.way(),
        "hit",
        "a confirmation begins another lifetime"
    );
}

#[tokio::test]
async fn lifetimes_begin_when_the_request_was_sent() {
    let world = World::start().await;
    world.origin.text("/x", "text", &[("cache-control", "s-maxage=10")]);
    let gate = world.origin.gate("/x");
    let answer = world.edge.answer(request("GET", "/x", &[]), crate::kit::peer());
    let (_, got) = tokio::join!(
        async {
            gate.arrived.acquire().await.unwrap().forget();
            world.ticks.forward(SECOND * 4);
            gate.open.add_permits(2);
        },
        answer
    );
    assert_eq!(got.headers()["age"], "4");
    world.pass(SECOND * 6).await;
    assert_ne!(world.get("/x", &[]).await.way(), "hit");
}

#[tokio::test]
async fn clients_that_have_it_are_told_so() {
    let world = World::start().await;
    let headers = [
        ("cache-control", "public, max-age=60"),
        ("etag", "\"1\""),
        ("last-modified", "Fri, 01 Jan 2021 00:00:00 GMT"),
        ("content-type", "text/plain"),
        ("access-control-allow-origin", "*"),
    ];
    world.origin.text("/x", "text", &headers);
    for way in ["fwd=miss; stored", "hit"] {
        let got = world.get("/x", &[("if-none-match", "\"0\", W/\"1\"")]).await;
        assert_eq!((got.status.as_u16(), got.way(), got.body.as_str()), (304, way, ""));
        assert!(!got.headers.contains_key("content-type") && !got.headers.contains_key("content-length"));
        assert_eq!(
            (got.header("etag"), got.header("access-control-allow-origin")),
            ("\"1\"", "*")
        );
    }
    let since = ("if-modified-since", "Fri, 01 Jan 2021 00:00:00 GMT");
    assert_eq!(world.get("/x", &[since]).await.status, 304);
    assert_eq!(
        world.get("/x", &[since, ("if-none-match", "\"2\"")]).await.status,
        200,
        "the tag decides"
    );
    assert_eq!(world.origin.n_seen(), 1);
}

#[tokio::test]
async fn head_is_answered_from_get_and_never_stored() {
    let world = World::start().await;
    world
        .origin
        .text("/x", "text", &[("cache-control", "public, max-age=60")]);
    for _ in 0..2 {
        assert_eq!(world.send(request("HEAD", "/x", &[])).await.way(), "fwd=bypass");
    }
    world.get("/x", &[]).await;
    let got = world.send(request("HEAD", "/x", &[])).await;
    assert_eq!(
        (got.way(), got.body.as_str(), got.header("content-length")),
        ("hit", "", "4")
    );
}

#[tokio::test]
async fn ranges_other_methods_and_no_store_go_to_the_origin() {
    let world = World::start().await;
    world
        .origin
        .text("/x", "text", &[("cache-control", "public, max-age=60")]);
    world.get("/x", &[]).await;
    for (method, headers) in [
        ("GET", &[("range", "bytes=0-1")][..]),
        ("GET", &[("cache-control", "no-store")]),
        ("GET", &[("if-match", "\"1\"")]),
        ("POST", &[]),
        ("PUT", &[]),
        ("DELETE", &[]),
        ("OPTIONS", &[]),
    ] {
        let n_seen = world.origin.n_seen();
        let got = world.send(request(method, "/x", headers)).await;
        assert_eq!(
            (got.way(), world.origin.n_seen()),
            ("fwd=bypass", n_seen + 1),
            "{method} {headers:?}"
        );
        let last = world.origin.seen().pop().unwrap();
        assert!(last.method == method && headers.iter().all(|(name, value)| last.headers[*name] == *value));
    }
    assert_eq!(world.get("/x", &[]).await.way(), "hit");
}

#[tokio::test]
async fn answers_that_are_too_large_pass_through_whole() {
    let world = World::with(|options| options.limits.answer = 100).await;
    let large = "x".repeat(1000);
    world
        .origin
        .text("/x", &large, &[("cache-control", "public, max-age=60")]);
    for _ in 0..3 {
        assert_eq!(world.get("/x", &[]).await.body, large);
    }
    assert_eq!((world.origin.n_seen(), world.edge.stats().entries), (3, 0));
}

#[tokio::test]
async fn memory_has_a_limit() {
    let world = World::with(|options| options.memory = 1 << 20).await;
    for n in 0..400 {
        let path = format!("/{n}");
        world
            .origin
            .text(&path, &"x".repeat(10_000), &[("cache-control", "public, max-age=60")]);
        world.get(&path, &[]).await;
    }
    let stats = world.edge.stats();
    assert!(stats.bytes <= 1 << 20 && stats.entries > 10, "{stats:?}");
}

#[tokio::test]
async fn variants_are_kept_apart_by_the_fields_that_answers_vary_by() {
    let world = World::start().await;
    world.origin.page("/x", |request| {
        let origin = request
            .headers
            .get("origin")
            .map_or("none", |origin| origin.to_str().unwrap())
            .to_owned();
        let answer = Response::builder()
            .header("cache-control", "public, max-age=60")
            .header("vary", "Origin");
        answer.body(origin.into()).unwrap()
    });
    for round in 0..3 {
        for (origin, expected) in [
            (Some("https://a"), "https://a"),
            (Some("https://b"), "https://b"),
            (None, "none"),
        ] {
            let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
            let got = world.get("/x", &headers).await;
            assert_eq!(got.body, expected);
            assert!(round < 2 || got.way() == "hit");
        }
    }
    world.origin.text(
        "/y",
        "text",
        &[("cache-control", "public, max-age=60"), ("vary", "User-Agent")],
    );
    for _ in 0..3 {
        assert_eq!(world.get("/y", &[("user-agent", "x")]).await.way(), "fwd=bypass");
    }
}

#[tokio::test]
async fn only_if_cached_does_not_reach_the_origin() {
    let world = World::start().await;
    let got = world.get("/x", &[("cache-control", "only-if-cached")]).await;
    assert_eq!((got.status.as_u16(), world.origin.n_seen()), (504, 0));
}

#[tokio::test]
async fn what_lives_for_a_moment_is_asked_for_again_before_that_ends() {
    let world = World::start().await;
    let n_answers = std::sync::atomic::AtomicUsize::new(0);
    world.origin.page("/x", move |_| {
        let n = 1 + n_answers.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let answer = Response::builder().header("cache-control", "public, max-age=0, s-maxage=1");
        answer.body(n.to_string().into()).unwrap()
    });
    assert_eq!(world.get("/x", &[]).await.body, "1");
    world.ticks.forward(Duration::from_millis(900));
    until("a second request", || world.origin.n_seen() == 2).await;
    while world.get("/x", &[]).await.body == "1" {
        tokio::task::yield_now().await;
    }
    // The first answer has ended by now.
    world.ticks.forward(Duration::from_millis(600));
    let late = world.get("/x", &[]).await;
    assert_eq!((late.way(), late.body.as_str()), ("hit", "2"));
    let seen = world.origin.seen();
    assert!(
        !seen[1].headers.contains_key("x-forwarded-for"),
        "no client's limits count for it"
    );
}
