//! What answers say to caches.

use fb_testkit::class;
use serde_json::json;

use super::lifetimes;
use crate::{open, server};

#[test]
fn public_objects_may_be_kept_whoever_asks_and_however() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin.put("/db/Todo/a%20b", &json!({ "n": 1 })).expect(200);
    for client in [&admin, &anybody] {
        let answer = client.get("/db/Todo/a%20b").expect(200);
        let (browser, edge) = lifetimes(&answer).unwrap();
        assert!((1..=60).contains(&browser), "{browser}");
        assert_eq!(edge, 1);
        assert_eq!(answer.header("etag"), Some("\"1\""));
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert_eq!(answer.header("baqend-authorization-token"), None);
        // A confirmation lets the copy live on, and so does a forced revalidation.
        let confirmed = client.request("GET", "/db/Todo/a%20b", &[("if-none-match", "\"1\"")], b"");
        assert!(lifetimes(&confirmed.expect(304)).is_some());
        let forced = [
            ("cache-control", "max-age=0, no-cache"),
            ("if-none-match", "\"-\""),
            ("if-match", "\"\""),
        ];
        let again = client.request("GET", "/db/Todo/a%20b", &forced, b"").expect(200);
        assert!(lifetimes(&again).is_some() && again.json()["n"] == 1);
        assert!(lifetimes(&client.head_of("/db/Todo/a%20b").expect(200)).is_some());
    }
    // Pages of other origins: one header, which tells caches to keep them apart.
    let foreign = anybody.request("GET", "/db/Todo/a%20b", &[("origin", "https://shop.example")], b"");
    assert_eq!(foreign.header("vary"), Some("Origin"));
    assert_eq!(
        foreign.header("access-control-allow-origin"),
        Some("https://shop.example")
    );
}

#[test]
fn s39_what_is_not_the_same_for_everybody_is_asked_about_each_time() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let own = json!({ "acl": { "read": { "/db/Role/1": "allow" } } });
    admin.put("/db/Todo/own", &own).expect(200);
    admin.put("/db/Todo/open", &json!({})).expect(200);
    assert_eq!(
        admin.get("/db/Todo/own").header("cache-control"),
        Some("private, no-cache")
    );
    let token = admin.token().unwrap().to_owned();
    let of_user = admin.get("/db/User/1").expect(200);
    let by_url = anybody.get(&format!("/db/Todo/open?BAT={token}"));
    let written = admin.put("/db/Todo/open", &json!({ "n": 1 })).expect(200);
    let others = [
        anybody.get("/db/Todo/none"),
        anybody.get("/db/Todo/own"),
        admin.get("/db/Todo/query"),
        admin.get("/db/Todo/count"),
        admin.get("/schema"),
        admin.get("/db/User/me"),
        admin.get("/connect"),
        admin.get("/caching"),
        of_user,
        by_url,
        written,
    ];
    for (i, answer) in others.iter().enumerate() {
        let said = answer.header("cache-control").unwrap_or_default();
        assert!(
            !said.contains("max-age") && !said.contains("public"),
            "answer {i}: {said}"
        );
    }
}

#[test]
fn s26_what_a_token_in_the_url_gave_is_asked_about_each_time() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin.put("/db/Todo/a", &json!({})).expect(200);
    admin.upload("/www/a", "text/plain", b"1").expect(200);
    let token = admin.token().unwrap();
    for path in ["/db/Todo/a", "/file/www/a"] {
        assert!(lifetimes(&anybody.get(path).expect(200)).is_some());
        let answer = anybody.get(&format!("{path}?BAT={token}"));
        let said = answer.header("cache-control").unwrap_or_default();
        assert!(!said.contains("max-age"), "{path}: {} {said}", answer.status);
    }
}

#[test]
fn public_files_may_be_kept_unless_they_say_something_themselves() {
    let (_server, admin, anybody) = open();
    admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    admin.upload("/data/a", "text/plain", b"one").expect(200);
    for client in [&admin, &anybody] {
        for path in ["/file/data/a", "/file/data/a?"] {
            let answer = client.get(path).expect(200);
            assert!(lifetimes(&answer).is_some(), "{path}");
            let tag = answer.header("etag").unwrap().to_owned();
            let confirmed = client.request("GET", path, &[("if-none-match", &tag)], b"").expect(304);
            assert!(lifetimes(&confirmed).is_some());
            let part = client.request("GET", path, &[("range", "bytes=0-0")], b"").expect(206);
            assert!(lifetimes(&part).is_some());
            assert!(lifetimes(&client.head_of(path).expect(200)).is_some());
        }
        assert_eq!(lifetimes(&client.get("/file/data/a?BAT=none")), None);
        // Under this URL clients ask for files that the filter names: a copy would be found again the next time.
        for path in ["/file/data/a?BCB", "/file/data/a?BCB=1", "/file/data/a?&BCB"] {
            let answer = client.get(path).expect(200);
            assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
            let tag = answer.header("etag").unwrap().to_owned();
            let confirmed = client.request("GET", path, &[("if-none-match", &tag)], b"").expect(304);
            assert_eq!(confirmed.header("cache-control"), Some("no-cache"), "{path}");
        }
        assert_eq!(lifetimes(&client.get("/file/data/none")), None);
    }
    for (i, said) in ["public, max-age=600", "no-cache", "no-store"].into_iter().enumerate() {
        let wish = json!({ "cache-control": said }).to_string();
        let headers = [("baqend-custom-headers", wish.as_str())];
        let path = format!("/file/data/own{i}");
        admin.request("PUT", &path, &headers, b"1").expect(200);
        assert_eq!(anybody.get(&path).header("cache-control"), Some(said));
    }
    let rules = [("baqend-acl", r#"{"read":{"/db/Role/1":"allow"}}"#)];
    admin.request("PUT", "/file/data/closed", &rules, b"1").expect(200);
    assert_eq!(
        admin.get("/file/data/closed").header("cache-control"),
        Some("private, no-cache")
    );
}

#[test]
fn settings_say_how_old_copies_may_be() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin.put("/db/Todo/a", &json!({})).expect(200);
    let refresh = || anybody.get("/connect").expect(200).json()["bloomFilterRefresh"].clone();
    assert_eq!(refresh(), 59);
    let set = |caching: serde_json::Value| admin.put("/config", &json!({ "caching": caching }));
    set(json!({ "staleness": 10, "edgeStaleness": 0, "minLifetime": 5, "maxLifetime": 5 })).expect(200);
    assert_eq!(refresh(), 10);
    assert_eq!(lifetimes(&anybody.get("/db/Todo/a")), Some((5, 0)));
    assert_eq!(anybody.get("/bloomfilter").header("cache-control"), Some("no-cache"));
    set(json!({ "enabled": false })).expect(200);
    assert_eq!(anybody.get("/db/Todo/a").header("cache-control"), Some("no-cache"));
    for bad in [
        json!({ "staleness": 90_000 }),
        json!({ "edgeStaleness": 61 }),
        json!({ "minLifetime": 0 }),
        json!({ "minLifetime": 10, "maxLifetime": 9 }),
        json!({ "maxLifetime": 90_000 }),
        json!({ "stale": 1 }),
    ] {
        assert_eq!(set(bad.clone()).status, 400, "{bad}");
    }
}

#[test]
fn connecting_may_be_shared_for_a_second_by_those_who_are_nobody() {
    for builder in [server().baqend(), server().secure()] {
        let server = builder.start();
        let anybody = server.client();
        let answer = anybody.get("/connect").expect(200);
        assert_eq!(answer.header("cache-control"), Some("public, max-age=0, s-maxage=1"));
        let vary: Vec<&str> = answer.header("vary").unwrap().split(", ").collect();
        assert!(vary.contains(&"Authorization") && vary.contains(&"Cookie") && vary.contains(&"Accept"));
        let posted = anybody.post("/connect", &json!({})).expect(200);
        assert_eq!(posted.header("cache-control"), Some("no-cache"));
        let admin = fb_testkit::root(&server);
        assert_eq!(admin.get("/connect").header("cache-control"), Some("private, no-store"));
    }
}

#[test]
fn an_object_under_another_url_gets_no_lifetime() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin.put("/db/Todo/a", &json!({})).expect(200);
    for (path, is_kept) in [("/db/Todo/a", true), ("/db/Todo/a?", true), ("/db/Todo/a?BCB", false)] {
        assert_eq!(lifetimes(&anybody.get(path).expect(200)).is_some(), is_kept, "{path}");
    }
}
