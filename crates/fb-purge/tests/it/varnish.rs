//! A real Varnish with the shipped VCL, in front of a server that answers as each test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fb_auth::Secret;
use fb_purge::{By, Options, Order, Target};
use fb_testkit::{Answer, Asked, Client, Imitation, Varnish};

use crate::{Teller, quick};

const PUBLIC: &str = "public, max-age=60, s-maxage=60";

/// Answers with a number that counts up, keys for the path, and what `headers` gives besides.
fn counting(headers: impl Fn(&Asked) -> Vec<(&'static str, &'static str)> + Send + Sync + 'static) -> Imitation {
    let n = AtomicUsize::new(0);
    Imitation::start(move |asked| {
        let n = n.fetch_add(1, Ordering::Relaxed);
        let key = asked.path.replace("/v1/", "shop/");
        let keys = format!("shop shop/class/T {key}");
        let mut all = vec![("surrogate-key", keys.as_str())];
        all.extend(headers(asked));
        Answer::new(200, &all, &n.to_string())
    })
}

fn target(varnish: &Varnish, secret: &str) -> Target {
    Target::varnish(&format!("http://{}", varnish.address()), Secret::new(secret)).unwrap()
}

/// The body, and whether it came from Varnish's memory.
#[track_caller]
fn read(client: &Client, path: &str, headers: &[(&str, &str)]) -> (String, bool) {
    let answer = client.request("GET", path, headers, b"").expect(200);
    for name in ["surrogate-key", "xkey", "surrogate-control"] {
        assert_eq!(answer.header(name), None);
    }
    let is_hit = match answer.header("x-cache") {
        Some("HIT") => true,
        Some("MISS") => false,
        other => panic!("{other:?}"),
    };
    (String::from_utf8(answer.body).unwrap(), is_hit)
}

#[test]
fn public_answers_are_served_until_they_are_purged_by_any_of_their_keys() {
    let origin = counting(|_| vec![("cache-control", PUBLIC)]);
    let varnish = Varnish::start(origin.address());
    let client = varnish.client();
    let teller = Teller::begun(target(&varnish, Varnish::SECRET), By::Keys, quick());
    let both = || ["/v1/db/T/1", "/v1/db/T/2"].map(|path| read(&client, path, &[]));
    let mut last = both().map(|(text, _)| text);
    // Whoever asks, logged in or not: it is the same for everybody.
    let token = [("authorization", "BAT x")];
    assert_eq!(read(&client, "/v1/db/T/1", &token), (last[0].clone(), true));
    assert!(client.get("/v1/db/T/1").header("age").is_some());
    for (keys, changed) in [
        (&["shop/db/T/1"][..], [true, false]),
        (&["other", "shop/db/T/2"], [false, true]),
        (&["shop/class/T"], [true, true]),
        (&["shop"], [true, true]),
        (&["shop/db/T", "shop/db/T/11", "SHOP/DB/T/1"], [false, false]),
    ] {
        teller.purge(keys);
        let now = both();
        let is_new = [0, 1].map(|i| now[i].0 != last[i]);
        assert_eq!(is_new, changed, "{keys:?}");
        assert_eq!(now.clone().map(|(_, is_hit)| !is_hit), changed, "{keys:?}");
        last = now.map(|(text, _)| text);
    }
    // All that fits into several requests.
    let many: Vec<_> = (0..3000)
        .map(|i| Order::key(format!("{i:04}")))
        .chain([Order::key("shop")])
        .collect();
    teller.push(&many);
    let stats = teller.wait("all of them", |stats| stats.queued == 0 && stats.sent > 3000);
    assert_eq!(stats.failed, 0);
    assert!(both().iter().all(|(_, is_hit)| !is_hit));
}

#[test]
fn urls_and_everything_are_purged_too() {
    let origin = counting(|_| vec![("cache-control", PUBLIC), ("vary", "Origin")]);
    let varnish = Varnish::start(origin.address());
    let client = varnish.client();
    let teller = Teller::begun(target(&varnish, Varnish::SECRET), By::Urls, quick());
    let page = [("origin", "https://a.test")];
    for _ in 0..2 {
        read(&client, "/v1/db/T/1", &[]);
        read(&client, "/v1/db/T/1", &page);
        read(&client, "/v1/db/T/2", &[]);
    }
    let url = |path: &str| format!("http://{}{path}", varnish.address());
    teller.push(&[Order::url(url("/v1/db/T/1"))]);
    teller.wait("it", |stats| stats.sent == 1);
    assert!(
        !read(&client, "/v1/db/T/1", &[]).1 && !read(&client, "/v1/db/T/1", &page).1,
        "all variants"
    );
    assert!(read(&client, "/v1/db/T/2", &[]).1);
    teller.push(&[Order::key("has no known URL")]);
    teller.wait("everything", |stats| stats.everything == 2);
    assert!(!read(&client, "/v1/db/T/2", &[]).1);
}

#[test]
fn s31_what_is_not_for_everybody_is_never_stored() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("private", &[("cache-control", "private, max-age=60")]),
        ("unsaid", &[]),
        ("no-cache", &[("cache-control", "public, no-cache, max-age=60")]),
        ("no-store", &[("cache-control", "no-store")]),
        ("nothing", &[("cache-control", "public, max-age=0")]),
        ("edge", &[("cache-control", "public, max-age=60, s-maxage=0")]),
        ("dates", &[("expires", "Fri, 01 Jan 2100 00:00:00 GMT")]),
        ("cookie", &[("cache-control", PUBLIC), ("set-cookie", "a=b")]),
        (
            "token",
            &[("cache-control", PUBLIC), ("baqend-authorization-token", "t")],
        ),
        ("mfa", &[("cache-control", PUBLIC), ("baqend-mfa-auth-token", "t")]),
        ("challenge", &[("cache-control", PUBLIC), ("www-authenticate", "Basic")]),
        (
            "vary-auth",
            &[("cache-control", PUBLIC), ("vary", "Origin, Authorization")],
        ),
        ("vary-cookie", &[("cache-control", PUBLIC), ("vary", "Cookie")]),
        ("vary-all", &[("cache-control", PUBLIC), ("vary", "*")]),
        (
            "vary-custom",
            &[("cache-control", PUBLIC), ("vary", "Accept-Encoding-Not")],
        ),
    ];
    let answers: Vec<_> = cases.to_vec();
    let origin = counting(move |asked| {
        let name = asked.path.rsplit('/').next().unwrap();
        let case = answers.iter().find(|(other, _)| *other == name);
        case.map_or_else(|| vec![("cache-control", PUBLIC)], |(_, headers)| headers.to_vec())
    });
    let varnish = Varnish::start(origin.address());
    let client = varnish.client();
    for (name, _) in cases {
        for area in ["/v1/db/T/", "/v1/file/www/", "/"] {
            let path = format!("{area}{name}");
            for headers in [&[][..], &[("authorization", "BAT x")], &[]] {
                assert!(!read(&client, &path, headers).1, "{path}");
            }
        }
    }
    // Nor what only some requests are answered with.
    for (path, headers) in [
        ("/v1/db/T/1?BAT=x", &[][..]),
        ("/v1/file/www/a?a=b&BAT=x", &[]),
        ("/v1/db/User/1", &[]),
        ("/v1/db/T/query?q=x", &[]),
        ("/v1/code/m", &[]),
        ("/v1/connect", &[("authorization", "BAT x")]),
        ("/v1/connect", &[("cookie", "a=b")]),
        ("/page", &[("authorization", "Basic x")]),
    ] {
        for _ in 0..2 {
            assert!(!read(&client, path, headers).1, "{path}");
        }
    }
    // So that the rows above mean something.
    for path in [
        "/v1/db/T/1",
        "/v1/file/www/a",
        "/page",
        "/v1/connect",
        "/v1/bloomfilter",
        "/apps/shop/v1/db/T/1",
    ] {
        read(&client, path, &[]);
        assert!(read(&client, path, &[]).1, "{path}");
    }
}

#[test]
fn s31_what_one_user_is_answered_is_stored_only_if_it_says_that_it_is_public() {
    let origin = counting(|asked| match asked.header("authorization") {
        Some(_) => vec![("cache-control", "max-age=60")],
        None => vec![("cache-control", PUBLIC)],
    });
    let varnish = Varnish::start(origin.address());
    let client = varnish.client();
    let token = [("authorization", "BAT x")];
    let (first, _) = read(&client, "/v1/db/T/1", &token);
    assert_ne!(read(&client, "/v1/db/T/1", &[]).0, first);
    assert_eq!(
        origin
            .asked()
            .iter()
            .filter(|a| a.header("authorization").is_some())
            .count(),
        1,
        "it went along"
    );
}

#[test]
fn errors_are_not_stored() {
    let n = AtomicUsize::new(0);
    let origin = Imitation::start(move |_| {
        let status = if n.fetch_add(1, Ordering::Relaxed) == 0 {
            404
        } else {
            200
        };
        Answer::new(status, &[("cache-control", PUBLIC)], "")
    });
    let varnish = Varnish::start(origin.address());
    varnish.client().get("/v1/db/T/1").expect(404);
    // An object that is inserted is there at once.
    varnish.client().get("/v1/db/T/1").expect(200);
}

#[test]
fn clients_that_revalidate_are_answered_by_the_server() {
    let origin = counting(|_| vec![("cache-control", PUBLIC), ("etag", "\"1\"")]);
    let varnish = Varnish::start(origin.address());
    let client = varnish.client();
    read(&client, "/v1/db/T/1", &[]);
    // The published SDK, in Chromium and elsewhere.
    for headers in [
        &[("cache-control", "max-age=0, no-cache"), ("if-none-match", "\"1\"")][..],
        &[("cache-control", "no-cache"), ("if-match", ""), ("if-none-match", "-")],
        &[("pragma", "no-cache")],
        &[("cache-control", "no-store")],
        &[("if-match", "\"1\"")],
    ] {
        origin.forget();
        // If the tag is still the same, Varnish itself says so.
        let answer = client.request("GET", "/v1/db/T/1", headers, b"");
        assert_eq!(answer.header("x-cache"), Some("MISS"), "{headers:?}");
        let asked = origin.asked();
        for (name, value) in headers {
            assert_eq!(asked[0].header(name), Some(*value), "as the client sent it");
        }
    }
    origin.forget();
    let confirmed = client.request("GET", "/v1/db/T/1", &[("if-none-match", "\"1\"")], b"");
    assert_eq!((confirmed.status, origin.asked().len()), (304, 0), "by Varnish itself");
}

#[test]
fn s31_nobody_purges_without_the_secret() {
    let origin = counting(|_| vec![("cache-control", PUBLIC)]);
    let varnish = Varnish::start(origin.address());
    let client = varnish.client();
    read(&client, "/v1/db/T/1", &[]);
    for headers in [
        &[][..],
        &[("purge-secret", "")],
        &[("purge-secret", "wrong")],
        &[("purge-secret", "wrong"), ("purge-everything", "1")],
        &[("purge-keys", "shop")],
    ] {
        assert_eq!(client.request("PURGE", "/v1/db/T/1", headers, b"").status, 403);
    }
    assert!(read(&client, "/v1/db/T/1", &[]).1);
    let teller = Teller::start(target(&varnish, "wrong"), By::Keys, quick());
    let stats = teller.wait("failures", |stats| stats.failed > 1);
    assert!(stats.is_failing && stats.everything == 0);
    assert!(read(&client, "/v1/db/T/1", &[]).1);
    // Headers of purges never reach the server, nor do tools of the operator the outside.
    origin.forget();
    client.request("POST", "/v1/db/T", &[("purge-secret", Varnish::SECRET)], b"{}");
    assert_eq!(origin.asked()[0].header("purge-secret"), None);
    for path in ["/metrics", "/admin/v1/apps", "/.freshbase/purges", "/metrics?x"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    assert_eq!(origin.asked().len(), 1);
}

#[test]
fn an_answer_that_a_purge_crosses_is_purged_behind_it() {
    // The first answer waits until it is told to go on.
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let held = gate.clone();
    let n = Arc::new(AtomicUsize::new(0));
    let n_begun = n.clone();
    let origin = Imitation::start(move |_| {
        let number = n.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            let (is_open, opened) = &*held;
            drop(opened.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
        }
        Answer::new(
            200,
            &[("cache-control", PUBLIC), ("surrogate-key", "k")],
            &number.to_string(),
        )
    });
    let varnish = Varnish::start(origin.address());
    let client = varnish.client();
    let options = Options {
        repeat: Some(Duration::from_secs(1)),
        ..quick()
    };
    let teller = Teller::begun(target(&varnish, Varnish::SECRET), By::Keys, options);
    teller.wait("its repetition", |stats| stats.everything == 2);
    let reading = std::thread::spawn({
        let client = client.clone();
        move || read(&client, "/v1/db/T/1", &[])
    });
    fb_testkit::wait_for("the server to read the old state", || {
        (n_begun.load(Ordering::SeqCst) == 1).then_some(())
    });
    teller.purge(&["k"]);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(reading.join().unwrap().0, "0");
    // It was stored behind the purge. The second one finds it.
    teller.wait("the repetition", |stats| stats.sent == 2);
    assert_eq!(read(&client, "/v1/db/T/1", &[]).0, "1");
}

#[test]
fn a_varnish_that_restarts_is_told_what_it_missed() {
    let origin = counting(|_| vec![("cache-control", PUBLIC)]);
    let mut varnish = Varnish::start(origin.address());
    let teller = Teller::begun(target(&varnish, Varnish::SECRET), By::Keys, quick());
    read(&varnish.client(), "/v1/db/T/1", &[]);
    varnish.stop();
    teller.keys(&["shop/db/T/1"]);
    teller.wait("failures", |stats| stats.is_failing && stats.queued == 1);
    varnish.restart();
    let stats = teller.wait("success", |stats| !stats.is_failing && stats.queued == 0);
    assert_eq!(stats.sent, 1);
    let client = varnish.client();
    assert!(
        !read(&client, "/v1/db/T/1", &[]).1,
        "it has forgotten everything anyway"
    );
    assert!(read(&client, "/v1/db/T/1", &[]).1);
}
