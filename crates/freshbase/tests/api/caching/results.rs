//! Results of queries that are asked for as what everybody may keep.

use fb_testkit::class;
use serde_json::json;

use super::{is_listed, lifetimes};
use crate::open;

const ONES: &str = "/db/Todo/query?q=%7B%22n%22%3A1%7D&cached=true";

#[test]
fn a_result_is_kept_confirmed_and_named_by_its_url_when_it_changes() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin.put("/db/Todo/a", &json!({ "n": 1 })).expect(200);
    let first = anybody.get(ONES).expect(200);
    assert!(lifetimes(&first).is_some_and(|(browser, edge)| browser > 0 && edge == 1));
    assert_eq!(first.json()[0]["id"], "/db/Todo/a");
    let tag = first.header("etag").unwrap();
    let confirmed = anybody.request("GET", ONES, &[("if-none-match", tag)], b"").expect(304);
    assert!(lifetimes(&confirmed).is_some());

    // Another spelling has copies of its own.
    let other = "/db/Todo/query?cached=objects&q=%7B%22n%22:1%7D";
    anybody.get(other).expect(200);
    admin.put("/db/Todo/b", &json!({ "n": 2 })).expect(200);
    assert!(!is_listed(&anybody, ONES) && !is_listed(&anybody, other));
    admin.put("/db/Todo/c", &json!({ "n": 1 })).expect(200);
    assert!(is_listed(&anybody, ONES) && is_listed(&anybody, other));
    let now = anybody.request("GET", ONES, &[("if-none-match", tag)], b"").expect(200);
    assert_eq!(now.json().as_array().unwrap().len(), 2);

    let ids = anybody
        .get("/db/Todo/query?sort=%7B%22n%22:-1%7D&count=2&cached=ids")
        .expect(200);
    assert_eq!(ids.json(), json!(["/db/Todo/b", "/db/Todo/a"]));
    anybody.get("/db/Todo/query?cached=perhaps").expect(400);
}

#[test]
fn published_clients_get_no_lifetime() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let plain = anybody.get("/db/Todo/query?q=%7B%22n%22%3A1%7D").expect(200);
    assert_eq!(plain.header("cache-control"), Some("private, no-cache"));
}

#[test]
fn s39_what_only_some_may_see_is_in_no_kept_result() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let acl = json!({ "read": { "/db/Role/1": "allow" } });
    admin.put("/db/Todo/a", &json!({ "n": 1, "acl": acl })).expect(200);
    for client in [&admin, &anybody] {
        let kept = client.get(ONES).expect(200);
        assert_eq!(kept.json(), json!([]), "whoever asks");
        assert!(lifetimes(&kept).is_some());
    }
    let users = admin.get("/db/User/query?cached=true").expect(200);
    assert_eq!(users.header("cache-control"), Some("private, no-cache"));
}

#[test]
fn administrators_see_which_queries_are_watched() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin.put("/db/Todo/a", &json!({ "n": 1 })).expect(200);
    let tag = anybody.get(ONES).expect(200).header("etag").unwrap().to_owned();
    for _ in 0..3 {
        anybody
            .request("GET", ONES, &[("if-none-match", &tag)], b"")
            .expect(304);
    }
    admin.put("/db/Todo/a", &json!({ "n": 2 })).expect(200);
    assert!(is_listed(&anybody, ONES));
    let figures = admin.get("/caching").expect(200).json();
    let query = &figures["queries"][0];
    assert!(query["query"].as_str().unwrap().starts_with("Todo|"), "{query}");
    assert_eq!(
        (&query["form"], &query["copies"], &query["outdated"], &query["objects"]),
        (&json!("objects"), &json!(4), &json!(1), &json!(1))
    );
    assert_eq!(
        (&query["requests"], &query["confirmed"], &query["hitRate"]),
        (&json!(4), &json!(3), &json!(0.75))
    );
    let areas = figures["areas"].as_array().unwrap();
    assert!(
        areas
            .iter()
            .any(|area| area["name"] == "/query/Todo" && area["staleWrites"] == 1)
    );
}
