//! The filter on its way to clients.

use fb_sketch::{Filter, KeyHash, delta};
use fb_testkit::class;
use serde_json::{Value, json};

use super::{filter, is_listed};
use crate::open;

const BINARY: &str = "application/vnd.freshbase.filter";
const DELTA: &str = "application/vnd.freshbase.filter-delta";

#[test]
fn it_comes_as_json_in_bytes_and_as_what_changed() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    for key in ["a", "b"] {
        admin.put(&format!("/db/Todo/{key}"), &json!({})).expect(200);
        anybody.get(&format!("/db/Todo/{key}")).expect(200);
    }
    let ask = |accept: &str, tag: &str| {
        let headers = [("accept", accept), ("if-none-match", tag)];
        anybody.request("GET", "/bloomfilter", &headers, b"")
    };
    let first = ask(BINARY, "").expect(200);
    assert_eq!(first.header("content-type"), Some(BINARY));
    let tag = first.header("etag").unwrap().to_owned();
    let (mut known, version) = fb_sketch::decode(&first.body).unwrap();
    assert!(!known.contains(KeyHash::of("/db/Todo/a")));
    assert_eq!(tag, format!("W/\"{}\"", version.tag()));
    assert_eq!(
        ask("application/json", &tag).expect(304).header("etag"),
        Some(tag.as_str())
    );

    admin.put("/db/Todo/a", &json!({ "n": 1 })).expect(200);
    let both = format!("{DELTA}, {BINARY};q=0.9, application/json;q=0.1");
    let change = ask(&both, &tag).expect(200);
    assert_eq!(change.header("content-type"), Some(DELTA));
    assert_eq!(
        change.header("cache-control"),
        Some("no-store"),
        "it is for one who has that version"
    );
    let version = delta::apply(&change.body, &mut known, version).unwrap();
    let now = ask("application/json", "\"-\"").expect(200);
    assert_eq!(now.header("etag"), Some(format!("W/\"{}\"", version.tag()).as_str()));
    assert_eq!(now.header("cache-control"), Some("public, max-age=0, s-maxage=1"));
    assert_eq!(now.header("vary").map(|vary| vary.contains("Accept")), Some(true));
    assert_eq!(Filter::from_json(&now.body).unwrap(), known);
    assert!(known.contains(KeyHash::of("/db/Todo/a")) && !known.contains(KeyHash::of("/db/Todo/b")));
    // Of a version that nobody knows, the whole is sent.
    let whole = ask(&both, "\"0000000000000001.7\"").expect(200);
    assert_eq!(whole.header("content-type"), Some(BINARY));

    let connected = anybody.get("/connect").expect(200).json();
    let connected = Filter::from_json(connected["bloomFilter"].to_string().as_bytes()).unwrap();
    assert_eq!(connected, known);
}

#[test]
fn flushing_it_makes_it_contain_everything() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin.put("/db/Todo/a", &json!({})).expect(200);
    anybody.get("/db/Todo/a").expect(200);
    admin.delete("/bloomfilter").expect(400);
    assert!(!is_listed(&anybody, "/db/Todo/a"));
    admin.delete("/bloomfilter?flush=true").expect(204);
    assert!(is_listed(&anybody, "/db/Todo/a") && is_listed(&anybody, "/db/Todo/never"));
    let rest = admin.get("/bloomfilter/expirations").expect(200).json();
    assert!(rest["blind"].as_u64().unwrap() > 0 && rest["last"].as_u64().unwrap() > 0);
}

#[test]
fn administrators_see_figures_and_operators_scrape_them() {
    let (server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    admin.put("/db/Todo/a", &json!({})).expect(200);
    let hit_rate = |figures: &Value| figures["hitRate"].clone();
    assert_eq!(hit_rate(&admin.get("/caching").expect(200).json()), Value::Null);
    anybody.get("/db/Todo/a").expect(200);
    let known = [("if-none-match", "\"1\"")];
    anybody.request("GET", "/db/Todo/a", &known, b"").expect(304);
    admin.put("/db/Todo/a", &json!({ "n": 1 })).expect(200);
    let figures = admin.get("/caching").expect(200).json();
    assert_eq!(
        (&figures["keys"], &figures["stale"], &figures["blindSeconds"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let area = &figures["areas"][0];
    assert_eq!(area["name"], "/db/Todo");
    assert_eq!((&area["reads"], &area["staleWrites"]), (&json!(2), &json!(1)));
    assert!(area["meanLifetime"].as_u64().unwrap() > 0);
    for counted in [area, &figures] {
        assert_eq!((&counted["requests"], &counted["confirmed"]), (&json!(2), &json!(1)));
        assert_eq!((&counted["edgeRequests"], &counted["edgeHits"]), (&json!(0), &json!(0)));
        assert_eq!(hit_rate(counted), json!(0.5));
    }
    let scraped = fb_testkit::raw_request(
        server.address(),
        b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    let scraped = String::from_utf8_lossy(&scraped);
    for line in [
        "freshbase_caching_keys{app=\"main\"} 1",
        "freshbase_caching_stale{app=\"main\"} 1",
        "freshbase_caching_reads_total{app=\"main\"} 2",
        "freshbase_caching_stale_writes_total{app=\"main\"} 1",
        "freshbase_caching_requests_total{app=\"main\",kind=\"object\"} 2",
        "freshbase_caching_confirmed_total{app=\"main\",kind=\"object\"} 1",
    ] {
        assert!(scraped.contains(line), "{line} is missing");
    }
    assert!(filter(&anybody).false_positives() < 0.01);
}
