//! What changes is new for everybody behind Varnish.

use fb_testkit::{Client, root, wait_for};
use serde_json::json;

use crate::{Site, is_hit, open_class, put};

#[test]
fn an_object_comes_from_varnish_until_it_is_written() {
    let site = Site::start();
    put(&site.admin, "/db/Doc/1", 1);
    put(&site.admin, "/db/Doc/2", 2);
    let copy = site.hit("/db/Doc/1");
    assert_eq!(copy.json()["n"], 1);
    assert!(copy.header("age").is_some() && copy.header("surrogate-key").is_none());
    assert_eq!(copy.header("cache-control"), Some("public, max-age=60, s-maxage=60"));
    site.hit("/db/Doc/2");
    put(&site.admin, "/db/Doc/1", 10);
    let new = wait_for("the new state", || {
        let answer = site.anybody.get("/db/Doc/1").expect(200);
        (answer.json()["n"] == 10).then_some(answer)
    });
    assert!(site.figure("freshbase_purge_sent_total") >= 1.0, "it was told: {new:?}");
    assert!(is_hit(&site.anybody.get("/db/Doc/2").expect(200)), "others stay");
    site.settle();
    assert_eq!(site.hit("/db/Doc/1").json()["n"], 10);
    site.admin.delete("/db/Doc/1").expect(204);
    wait_for("its end", || {
        (site.anybody.get("/db/Doc/1").status == 404).then_some(())
    });
    // What was missing is there as soon as it is inserted: nobody keeps that it was not.
    put(&site.admin, "/db/Doc/1", 11);
    assert_eq!(site.anybody.get("/db/Doc/1").expect(200).json()["n"], 11);
}

#[test]
fn files_are_the_same() {
    let site = Site::start();
    site.admin.upload("/data/a%20b,c.txt", "text/plain", b"one").expect(200);
    assert_eq!(site.hit("/file/data/a%20b,c.txt").body, b"one");
    site.admin.upload("/data/a%20b,c.txt", "text/plain", b"two").expect(200);
    wait_for("the new content", || {
        (site.anybody.get("/file/data/a%20b,c.txt").expect(200).body == b"two").then_some(())
    });
}

#[test]
fn whoever_revalidates_reads_what_was_acknowledged_at_once() {
    let site = Site::start();
    for n in 1..20 {
        put(&site.admin, "/db/Doc/1", n);
        let fresh = [("cache-control", "max-age=0, no-cache")];
        let answer = site.anybody.request("GET", "/db/Doc/1", &fresh, b"").expect(200);
        assert_eq!(answer.json()["n"], n);
        let tag = answer.header("etag").unwrap().to_owned();
        let same = [fresh[0], ("if-none-match", &*tag)];
        site.anybody.request("GET", "/db/Doc/1", &same, b"").expect(304);
        site.anybody.get("/db/Doc/1");
    }
}

#[test]
fn s40_a_change_of_a_class_or_bucket_concerns_all_that_is_in_it() {
    let site = Site::start();
    open_class(&site.admin, "Other");
    for id in ["/db/Doc/1", "/db/Doc/2", "/db/Other/1"] {
        put(&site.admin, id, 1);
    }
    for file in ["/data/a", "/data/b"] {
        site.admin.upload(file, "text/plain", b"x").expect(200);
    }
    site.settle();
    for path in ["/db/Doc/1", "/db/Doc/2", "/db/Other/1", "/file/data/a", "/file/data/b"] {
        site.hit(path);
    }
    // Nobody may read the class any more.
    let closed = json!({ "fields": { "n": { "type": "/db/Integer" } }, "acl": { "load": { "/db/Role/1": "allow" } } });
    site.admin.put("/schema/Doc", &closed).expect(200);
    for path in ["/db/Doc/1", "/db/Doc/2"] {
        wait_for("the end of the class's copies", || {
            (site.anybody.get(path).status >= 400).then_some(())
        });
    }
    for path in ["/db/Other/1", "/file/data/a"] {
        assert!(is_hit(&site.anybody.get(path).expect(200)), "{path} stays");
    }
    let closed = json!({ "load": { "/db/Role/1": "allow" } });
    site.admin.put("/file/data", &closed).expect(204);
    for path in ["/file/data/a", "/file/data/b"] {
        wait_for("the end of the bucket's copies", || {
            (site.anybody.get(path).status >= 400).then_some(())
        });
    }
}

#[test]
fn s40_an_object_that_is_protected_leaves_varnish() {
    let site = Site::start();
    put(&site.admin, "/db/Doc/1", 1);
    site.hit("/db/Doc/1");
    let acl = json!({ "read": { "/db/Role/1": "allow" } });
    site.admin.put("/db/Doc/1", &json!({ "n": 1, "acl": acl })).expect(200);
    wait_for("its end", || {
        (site.anybody.get("/db/Doc/1").status == 404).then_some(())
    });
}

#[test]
fn after_a_crash_everything_is_dropped() {
    let mut site = Site::start();
    put(&site.admin, "/db/Doc/1", 1);
    site.hit("/db/Doc/1");
    site.server.kill();
    assert_eq!(site.hit("/db/Doc/1").json()["n"], 1, "Varnish goes on meanwhile");
    site.server = site.builder.start();
    site.admin = root(&site.server);
    wait_for("a copy that is new", || {
        let answer = site.anybody.get("/db/Doc/1").expect(200);
        (!is_hit(&answer)).then_some(())
    });
    assert!(site.figure("freshbase_purge_everything_total") >= 1.0);
}

#[test]
fn the_last_changes_before_an_orderly_end_are_told() {
    let mut site = Site::start();
    put(&site.admin, "/db/Doc/1", 1);
    site.hit("/db/Doc/1");
    put(&site.admin, "/db/Doc/1", 2);
    assert_eq!(site.server.stop().code(), Some(0));
    assert_eq!(site.anybody.get("/db/Doc/1").status, 503, "no old copy is left");
}

#[test]
fn copies_can_be_known_by_url_alone() {
    let site = Site::with(|builder, varnish| {
        let url = format!("http://{}/v1", varnish.address());
        builder.arg("--purge-urls").arg(url)
    });
    assert_eq!(
        Client::new(site.server.address(), "/v1")
            .get("/db/Doc/1")
            .header("surrogate-key"),
        None
    );
    put(&site.admin, "/db/Doc/1", 1);
    put(&site.admin, "/db/Doc/2", 1);
    site.settle();
    site.hit("/db/Doc/1");
    site.hit("/db/Doc/2");
    put(&site.admin, "/db/Doc/1", 2);
    wait_for("the new state", || {
        (site.anybody.get("/db/Doc/1").json()["n"] == 2).then_some(())
    });
    assert!(is_hit(&site.anybody.get("/db/Doc/2")));
    // A class has no URLs.
    let closed = json!({ "fields": { "n": { "type": "/db/Integer" } }, "acl": { "load": { "/db/Role/1": "allow" } } });
    site.admin.put("/schema/Doc", &closed).expect(200);
    wait_for("its end", || {
        (site.anybody.get("/db/Doc/2").status >= 400).then_some(())
    });
}
