//! Answers of modules that say that they may be kept, and counts.

use fb_testkit::{Client, Response, class};
use serde_json::json;

use super::{is_listed, lifetimes};
use crate::code::put;
use crate::open;

/// Shows an object, a result, or a number: `?what=object`, `list`, `first`, `count`.
const SHOW: &str = r"
exports.get = async function (db, req, res) {
  res.cacheable();
  const ones = db.Todo.find().equal('n', 1);
  const { what } = req.query;
  const shown = {
    object: async () => (await db.Todo.load('a'))?.n ?? null,
    list: async () => (await ones.resultList()).map((todo) => todo.id),
    first: async () => (await ones.singleResult())?.id ?? null,
    top: async () => (await db.Todo.find().descending('n').limit(2).resultList()).map((todo) => todo.n),
    count: () => ones.count(),
    nothing: async () => 'the same',
  }[what];
  res.json({ shown: await shown() });
};";

fn show(what: &str) -> String {
    format!("/code/show?what={what}&cached=true")
}

fn is_kept(answer: &Response) -> bool {
    lifetimes(answer).is_some_and(|(browser, _)| browser > 0)
}

fn todo(admin: &Client, key: &str, n: i64) {
    admin.put(&format!("/db/Todo/{key}"), &json!({ "n": n })).expect(200);
}

#[test]
fn an_answer_is_kept_and_named_by_its_url_when_something_changes_that_it_was_made_of() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer"), ("text", "String")]);
    put(&admin, "show/module", SHOW);
    todo(&admin, "a", 1);
    todo(&admin, "b", 2);
    let all = ["object", "list", "first", "top", "count", "nothing"];
    let listed = |all: &[&str]| -> Vec<String> {
        let listed = all.iter().filter(|what| is_listed(&anybody, &show(what)));
        listed.map(|what| (*what).to_owned()).collect()
    };
    let keep_all = || {
        for what in all {
            let kept = anybody.get(&show(what)).expect(200);
            assert!(is_kept(&kept), "{what}: {:?}", kept.header("cache-control"));
        }
    };
    // What is in the filter stays there until its copies have ended, so each kind of change needs its own.
    keep_all();
    assert!(listed(&all).is_empty());
    todo(&admin, "c", 0);
    assert!(listed(&all).is_empty(), "none of their business");
    admin
        .put("/db/Todo/b", &json!({ "n": 2, "text": "changed" }))
        .expect(200);
    assert_eq!(listed(&all), ["top"]);
    todo(&admin, "c", 1);
    assert_eq!(listed(&all), ["list", "top", "count"], "first is by id");
    admin.put("/db/Todo/a", &json!({ "n": 1 })).expect(200);
    assert_eq!(listed(&all), ["object", "list", "first", "top", "count"]);
    let first = anybody.get(&show("count")).expect(200);
    assert_eq!(first.json(), json!({ "shown": 2 }));
}

#[test]
fn an_answer_that_something_is_not_there_is_named_when_it_comes() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    put(&admin, "show/module", SHOW);
    let none = anybody.get(&show("object")).expect(200);
    assert!(is_kept(&none) && none.json() == json!({ "shown": null }));
    todo(&admin, "b", 1);
    assert!(!is_listed(&anybody, &show("object")));
    admin
        .post("/db/Todo", &json!({ "id": "/db/Todo/a", "n": 1 }))
        .expect(201);
    assert!(is_listed(&anybody, &show("object")));
}

#[test]
fn answers_are_confirmed_and_other_code_makes_them_out_of_date() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    put(&admin, "show/module", SHOW);
    let url = show("nothing");
    let kept = anybody.get(&url).expect(200);
    let tag = kept.header("etag").unwrap();
    let confirmed = anybody.request("GET", &url, &[("if-none-match", tag)], b"").expect(304);
    assert!(is_kept(&confirmed) && confirmed.body.is_empty());
    put(&admin, "another/module", "exports.call = () => 1;");
    assert!(is_listed(&anybody, &url), "it may be required");

    let other = "/code/show?what=list&cached=true";
    assert!(is_kept(&anybody.get(other).expect(200)));
    admin.delete("/code/another/module").expect(204);
    assert!(is_listed(&anybody, other));
    let third = "/code/show?cached=true&what=list";
    assert!(is_kept(&anybody.get(third).expect(200)));
    class(&admin, "Todo", &[("n", "Integer"), ("text", "String")]);
    assert!(is_listed(&anybody, third), "the schema");
}

#[test]
fn who_does_not_say_that_it_follows_the_filter_asks_each_time() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    put(&admin, "show/module", SHOW);
    for url in ["/code/show?what=list", "/code/show?what=list&cached=false"] {
        let answer = anybody.get(url).expect(200);
        assert_eq!(lifetimes(&answer), Some((0, 1)));
        let tag = answer.header("etag").unwrap();
        anybody.request("GET", url, &[("if-none-match", tag)], b"").expect(304);
    }
    for url in ["/code/show?what=list&cached=true&BCB=1", "/code/show?what=list&BCB"] {
        assert_eq!(
            anybody.get(url).expect(200).header("cache-control"),
            Some("private, no-store")
        );
    }
}

#[test]
fn what_is_not_for_everybody_or_does_more_than_reading_gets_no_lifetime() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    todo(&admin, "a", 1);
    for code in [
        // It did not say so, or only after it had read something.
        "res.json(1)",
        "await db.Todo.load('a'); res.cacheable().json(1)",
        // It says something else itself.
        "res.cacheable().set('Cache-Control', 'public, max-age=3').json(1)",
        "res.cacheable().set('Vary', 'Cookie').json(1)",
        "res.cacheable().cookie('a', 'b').json(1)",
        "res.cacheable().status(201).json(1)",
        "res.cacheable().status(404).json(1)",
        // It writes, or reads what nobody follows.
        "res.cacheable(); await new db.Todo({ id: 'x' }).save({ force: true }); res.json(1)",
        "res.cacheable(); await db.User.find().resultList(); res.json(1)",
        "res.cacheable(); await db.modules.get('other'); res.json(1)",
        "res.cacheable(); await db.Todo.find().offset(600).resultList(); res.json(1)",
        "res.cacheable(); for (let i = 0; i < 101; i++) await db.Todo.load('x' + i); res.json(1)",
    ] {
        put(&admin, "other/module", "exports.call = () => 1;");
        put(
            &admin,
            "tried/module",
            &format!("exports.get = async (db, req, res) => {{ {code} }}"),
        );
        for _ in 0..2 {
            let answer = admin.get("/code/tried?cached=true");
            assert!(
                answer.status < 500 && !is_kept(&answer),
                "{code}: {} {:?}",
                answer.status,
                answer.header("cache-control")
            );
        }
    }
    put(
        &admin,
        "tried/module",
        "exports.get = async (db, req, res) => { res.cacheable(); throw new Abort('no') }; exports.post = (db, req, res) => res.cacheable().json(1);",
    );
    assert!(!is_kept(&anybody.get("/code/tried?cached=true")));
    let posted = anybody.post("/code/tried?cached=true", &json!({})).expect(200);
    assert_eq!(posted.header("cache-control"), Some("private, no-store"));
}

#[test]
fn s39_an_answer_that_may_be_kept_is_what_anybody_gets_whoever_asks() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    let for_admins = json!({ "read": { "/db/Role/1": "allow" } });
    admin
        .put("/db/Todo/secret", &json!({ "n": 1, "acl": for_admins }))
        .expect(200);
    let for_code = json!({ "read": { "/db/Role/2": "allow" } });
    admin
        .put("/db/Todo/shown", &json!({ "n": 1, "acl": for_code }))
        .expect(200);
    put(
        &admin,
        "all/module",
        r"exports.get = async (db, req, res) => {
            res.cacheable();
            const all = await db.Todo.find().resultList();
            const secret = await db.Todo.load('secret');
            const shared = db.entityManagerFactory.createEntityManager(true);
            res.json({ all: all.map((todo) => todo.id), secret, me: db.User.me, other: shared.User.me, n: await db.Todo.find().count() });
        };",
    );
    for client in [&admin, &anybody, &admin] {
        let answer = client.get("/code/all?cached=true").expect(200);
        let wanted = json!({ "all": ["/db/Todo/shown"], "secret": null, "me": null, "other": null, "n": 1 });
        assert_eq!(answer.json(), wanted);
        assert!(is_kept(&answer));
    }
    // Changes of what only code may see concern the answer.
    assert!(!is_listed(&anybody, "/code/all?cached=true"));
    admin
        .put("/db/Todo/secret", &json!({ "n": 1, "acl": for_code }))
        .expect(200);
    assert!(is_listed(&anybody, "/code/all?cached=true"));

    // Who has looked by then gets no lifetime, and everything as before.
    put(
        &admin,
        "me/module",
        "exports.get = (db, req, res) => { const me = db.User.me; res.cacheable().json({ me: me && me.id }) };",
    );
    let answer = admin.get("/code/me?cached=true").expect(200);
    assert!(!is_kept(&answer) && answer.json()["me"].is_string());
    assert!(
        is_kept(&anybody.get("/code/me?cached=true").expect(200)),
        "there is nobody to know of"
    );
}

#[test]
fn an_answer_that_reads_something_else_each_time_is_kept_when_nothing_is_written_meanwhile() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer")]);
    todo(&admin, "a", 1);
    // The second object depends on the first one.
    put(
        &admin,
        "follow/module",
        "exports.get = async (db, req, res) => { res.cacheable(); const a = await db.Todo.load('a'); const next = await db.Todo.load('n' + a.n); res.json(next && next.n) };",
    );
    let url = "/code/follow?cached=true";
    assert!(is_kept(&anybody.get(url).expect(200)));
    todo(&admin, "n1", 7);
    assert!(is_listed(&anybody, url));
    todo(&admin, "a", 2);
    let answer = anybody.get(url).expect(200);
    assert!(is_kept(&answer) && answer.json().is_null());
}

#[test]
fn a_count_is_kept_until_one_comes_or_goes() {
    let (_server, admin, anybody) = open();
    class(&admin, "Todo", &[("n", "Integer"), ("text", "String")]);
    let secret = json!({ "n": 1, "acl": { "read": { "/db/Role/1": "allow" } } });
    admin.put("/db/Todo/secret", &secret).expect(200);
    todo(&admin, "a", 1);
    let ones = "/db/Todo/count?q=%7B%22n%22%3A1%7D&cached=true";
    let everything = "/db/Todo/count?cached=true";
    for client in [&admin, &anybody] {
        let kept = client.get(ones).expect(200);
        assert_eq!(kept.json(), json!({ "count": 1 }), "whoever asks");
        assert!(is_kept(&kept));
    }
    let kept = anybody.get(everything).expect(200);
    let tag = kept.header("etag").unwrap();
    let confirmed = anybody
        .request("GET", everything, &[("if-none-match", tag)], b"")
        .expect(304);
    assert!(is_kept(&confirmed));
    admin
        .put("/db/Todo/a", &json!({ "n": 1, "text": "changed" }))
        .expect(200);
    assert!(
        !is_listed(&anybody, ones) && !is_listed(&anybody, everything),
        "as many as before"
    );
    todo(&admin, "b", 2);
    assert!(!is_listed(&anybody, ones) && is_listed(&anybody, everything));
    admin.delete("/db/Todo/a").expect(204);
    assert!(is_listed(&anybody, ones));
    assert_eq!(anybody.get(ones).expect(200).json(), json!({ "count": 0 }));

    assert_eq!(
        anybody.get("/db/Todo/count").expect(200).header("cache-control"),
        Some("private, no-cache")
    );
    anybody.get("/db/Todo/count?cached=ids").expect(400);
    let users = admin.get("/db/User/count?cached=true").expect(200);
    assert_eq!(users.header("cache-control"), Some("private, no-cache"));
}
