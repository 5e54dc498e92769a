//! What is known of hits: an edge counts what the server never sees, and tells it.

use std::process::Command;

use data_encoding::BASE64URL_NOPAD;
use fb_testkit::{Client, root, wait_for};
use serde_json::{Value, json};

use crate::kit::{BINARY, SECRET, World, server, user, way};

const REPORTS: &str = "/.freshbase/hits";

/// Reads of one kind through the edge, as its answers say it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Reads {
    hits: u64,
    misses: u64,
}

impl Reads {
    fn read(&mut self, client: &Client, path: &str) {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        // The first call of a module only shows what it reads: nobody may keep its answer.
        if answer.header("cache-control") == Some("no-cache") {
            return;
        }
        match way(&answer) {
            "hit" | "fwd=miss; collapsed" => self.hits += 1,
            "fwd=miss; stored" | "fwd=bypass" => self.misses += 1,
            other => panic!("{path}: {other}"),
        }
    }

    /// Until so many of them were hits.
    fn until_hits(client: &Client, path: &str, hits: u64) -> Self {
        let mut reads = Self::default();
        wait_for("hits", || {
            reads.read(client, path);
            (reads.hits >= hits).then_some(())
        });
        reads
    }
}

/// Figures of the server, by the names of areas.
fn figures(admin: &Client) -> Value {
    admin.get("/caching").expect(200).json()
}

fn area(figures: &Value, name: &str) -> Value {
    let areas = figures["areas"].as_array().unwrap();
    let area = areas.iter().find(|area| area["name"] == name);
    area.unwrap_or_else(|| panic!("no {name} in {figures}")).clone()
}

/// Requests, confirmed ones, those at edges, hits there.
fn counted(figures: &Value) -> [u64; 4] {
    ["requests", "confirmed", "edgeRequests", "edgeHits"].map(|name| figures[name].as_u64().unwrap())
}

fn scraped(address: &str) -> String {
    String::from_utf8(Client::new(address, "").get("/metrics").expect(200).body).unwrap()
}

#[test]
fn the_server_tells_hits_at_edges_by_class_bucket_query_and_module() {
    const MODULE: &[u8] = b"exports.get = async (db, req, res) => {
        res.cacheable();
        res.json((await db.Todo.load('1')).n);
    };";
    let mut world = World::start();
    world.put("1", 1, &json!({}));
    let admin = &world.admin;
    admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    admin.upload("/data/a", "text/plain", b"0123456789").expect(200);
    let text = [("content-type", "text/plain")];
    admin.request("PUT", "/code/top/module", &text, MODULE).expect(200);

    let client = world.edge.client();
    let objects = Reads::until_hits(&client, "/db/Todo/1", 5);
    let files = Reads::until_hits(&client, "/file/data/a", 4);
    let queries = Reads::until_hits(&client, "/db/Todo/query?q=%7B%22n%22:1%7D&cached=true", 3);
    let module = Reads::until_hits(&client, "/code/top", 2);

    // What the edge itself shows.
    let shown = String::from_utf8(world.edge.admin("/metrics").expect(200).body).unwrap();
    for (group, reads) in [
        ("main/db/Todo", objects),
        ("main/file/data", files),
        ("main/code/top", module),
    ] {
        for (name, n) in [("hits", reads.hits), ("misses", reads.misses)] {
            let line = format!("freshbase_edge_group_{name}_total{{group=\"{group}\"}} {n}");
            assert!(shown.lines().any(|other| other == line), "{line} is missing in {shown}");
        }
    }

    // It tells the server at the end, if not before.
    assert_eq!(world.edge.stop(), Some(0));
    let figures = figures(&world.admin);
    for (name, reads) in [
        ("/db/Todo", objects),
        ("/file/data", files),
        ("/query/Todo", queries),
        ("/code/top", module),
    ] {
        let area = area(&figures, name);
        let Reads { hits, misses } = reads;
        let [requests, confirmed, at_edge, edge_hits] = counted(&area);
        assert_eq!((requests, at_edge, edge_hits), (misses, hits + misses, hits), "{area}");
        let rate = (hits + confirmed) as f64 / (hits + misses) as f64;
        assert!((area["hitRate"].as_f64().unwrap() - rate).abs() < 1e-9, "{area}");
    }
    let query = &figures["queries"][0];
    assert!(query["query"].as_str().unwrap().starts_with("Todo|"), "{query}");
    assert_eq!(
        counted(query)[2..],
        [queries.hits + queries.misses, queries.hits],
        "{query}"
    );
    let all = objects.hits + files.hits + queries.hits + module.hits;
    assert_eq!(counted(&figures)[3], all);
    let text = scraped(world.server.address());
    let line = format!(
        "freshbase_caching_edge_hits_total{{app=\"main\",kind=\"object\"}} {}",
        objects.hits
    );
    assert!(text.lines().any(|other| other == line), "{line} is missing in {text}");
}

#[test]
fn hits_of_what_has_rules_count_as_well() {
    let mut world = World::start();
    let (ann, ann_id) = user(&world, "ann");
    world.put("1", 1, &json!({ ann_id: "allow" }));
    // Without an edge nobody may keep it.
    world.admin.get("/db/Todo/1").expect(200);
    let reads = Reads::until_hits(&ann, "/db/Todo/1", 3);
    assert_eq!(world.edge.stop(), Some(0));
    let area = area(&figures(&world.admin), "/db/Todo");
    let [requests, _, at_edge, hits] = counted(&area);
    assert_eq!(
        (requests, at_edge, hits),
        (reads.misses, reads.hits + reads.misses, reads.hits)
    );
    let line = "freshbase_caching_requests_total{app=\"main\",kind=\"object\"}";
    assert!(scraped(world.server.address()).contains(line), "{line} is missing");
}

#[test]
fn s39_only_an_edge_tells_of_hits() {
    let world = World::start();
    world.put("1", 1, &json!({}));
    let direct = Client::new(world.server.address(), "");
    direct.get("/v1/db/Todo/1").expect(200);
    let report = br#"{"report":1,"groups":[{"group":"main/db/Todo","hits":7,"misses":2}]}"#;
    let hits = || counted(&area(&figures(&world.admin), "/db/Todo"))[2..].to_vec();
    let send = |method: &str, secret: Option<&str>, body: &[u8]| {
        let secret = secret.map(|secret| ("freshbase-edge", secret));
        direct.request(method, REPORTS, secret.as_slice(), body).status
    };
    for secret in [None, Some(""), Some("wrong"), Some("0123456789abcdef0123456789abcdee")] {
        for method in ["POST", "GET"] {
            assert_eq!(send(method, secret, report), 404, "{secret:?}");
        }
    }
    // Nor does an edge pass on what its clients say.
    let through = Client::new(&world.edge.address, "");
    for secret in [&[][..], &[("freshbase-edge", SECRET)]] {
        assert_eq!(through.request("POST", REPORTS, secret, report).status, 404);
    }
    assert_eq!(hits(), [0, 0]);

    // What an edge says has to be a report; all of it, or nothing counts.
    let is_refused = |method: &str, body: &[u8], status: u16| {
        assert_eq!(
            send(method, Some(SECRET), body),
            status,
            "{}",
            String::from_utf8_lossy(body)
        );
    };
    is_refused("GET", b"", 405);
    is_refused("PUT", report, 405);
    for body in [
        &b""[..],
        b"[]",
        br#"{"report":2,"groups":[]}"#,
        br#"{"report":1,"groups":[{"group":"main/db/Todo","hits":-1,"misses":0}]}"#,
        br#"{"report":1,"groups":[{"group":"main/db/Todo","hits":1,"misses":0},{"group":"","hits":1,"misses":0}]}"#,
    ] {
        is_refused("POST", body, 400);
    }
    is_refused("POST", &vec![b' '; (64 << 10) + 1], 413);
    assert_eq!(hits(), [0, 0]);

    // Of what there is no such thing nothing comes, and nothing bad.
    let strange = br#"{"report":1,"groups":[{"group":"none/db/Todo","hits":1,"misses":0},{"group":"main/db/None","hits":1,"misses":0},
        {"group":"main/query/Todo/00c0ffee00c0ffee","hits":1,"misses":0},{"group":"what","hits":1,"misses":0}]}"#;
    assert_eq!(send("POST", Some(SECRET), strange), 204);
    assert_eq!(counted(&figures(&world.admin))[2..], [0, 0]);
    assert_eq!(send("POST", Some(SECRET), report), 204);
    assert_eq!(hits(), [9, 7]);
    assert_eq!(send("POST", Some(SECRET), report), 204);
    assert_eq!(hits(), [18, 14], "each report counts");
}

#[test]
fn what_an_edge_asks_for_itself_is_nobodys_request() {
    let world = World::start();
    world.put("1", 1, &json!({}));
    let direct = Client::new(world.server.address(), "/v1");
    let own = [("freshbase-edge", SECRET)];
    let for_client = [("freshbase-edge", SECRET), ("x-forwarded-for", "192.0.2.1")];
    for headers in [&own[..], &for_client] {
        let answer = direct.request("GET", "/db/Todo/1", headers, b"").expect(200);
        assert_eq!(answer.header("freshbase-group"), Some("main/db/Todo"));
    }
    assert_eq!(counted(&area(&figures(&world.admin), "/db/Todo")), [1, 0, 0, 0]);
    let answer = direct.get("/db/Todo/1").expect(200);
    assert_eq!(answer.header("freshbase-group"), None, "nobody else is told");
}

/// An edge believes the headers of these names, whatever the app. So they are the server's alone.
#[test]
fn s39_code_of_one_app_does_not_speak_to_edges_in_the_servers_name() {
    let world = World::with(&server().baqend(), &[]);
    let data = world.server.data_dir().to_str().unwrap();
    let password = world.server.data_dir().join("password");
    std::fs::write(&password, "correct horse\n").unwrap();
    let created = Command::new(BINARY)
        .args(["app", "create", "evil", "--compat", "baqend", "--data-dir", data])
        .args([
            "--admin-user",
            "eve",
            "--admin-password-file",
            password.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
    let (ann, ann_id) = user(&world, "ann");
    world.put("1", 1, &json!({ ann_id.clone(): "allow" }));
    world.warm(&ann, "/db/Todo/1");

    // Who calls this is Ann, it says, and in the other app.
    let in_header = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let rules = json!({ "load": {}, "read": {} });
    let headers = json!({
        "freshbase-guard": in_header(json!({ "app": "main", "rules": rules })),
        "freshbase-caller": in_header(json!({
            "app": "main", "caller": { "user": ann_id, "roles": [] }, "seconds": 300, "names": ["~main"],
        })),
        "freshbase-group": "main/db/Todo",
        "surrogate-key": "x",
        "surrogate-control": "max-age=300",
        "cache-control": "private",
    });
    let code = format!(
        "exports.get = (db, req, res) => {{ for (const [name, value] of Object.entries({headers})) res.set(name, value); res.send('x'); }}"
    );
    let eve = world.server.app("evil").login("eve", "correct horse");
    let text = [("content-type", "text/plain")];
    eve.request("PUT", "/code/mask/module", &text, code.as_bytes())
        .expect(200);
    let token = eve.token().unwrap();
    let through = Client::new(&world.edge.address, "/apps/evil/v1").with_token(token);
    for _ in 0..4 {
        through.get("/code/mask").expect(200);
        let stolen = world.edge.client().with_token(token).get("/db/Todo/1");
        assert!(stolen.status >= 400, "{}", String::from_utf8_lossy(&stolen.body));
    }
    let proof = [("freshbase-edge", SECRET), ("x-forwarded-for", "192.0.2.1")];
    let answer = eve.request("GET", "/code/mask", &proof, b"").expect(200);
    for name in ["freshbase-guard", "freshbase-caller", "freshbase-group"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    // Nor do files.
    let admin = root(&world.server);
    admin
        .put("/file/data", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    let own = json!({ "freshbase-caller": "e30" }).to_string();
    let headers = [("baqend-custom-headers", own.as_str()), ("content-type", "text/plain")];
    admin.request("PUT", "/file/data/x", &headers, b"x").expect(400);
}
