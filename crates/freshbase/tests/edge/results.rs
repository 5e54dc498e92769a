//! Results of queries, counts, and answers of modules at the edge: they live there until they are purged, although that comes late.

use fb_testkit::{Client, Response, ServerBuilder, wait_for};
use serde_json::{Value, json};

use crate::kit::{Mode, World, server, way};

const QUERY: &str = "/db/Todo/query?q=%7B%22n%22:%7B%22$gt%22:0%7D%7D&cached=objects";
const IDS: &str = "/db/Todo/query?q=%7B%22n%22:%7B%22$gt%22:0%7D%7D&cached=ids";
const COUNT: &str = "/db/Todo/count?q=%7B%22n%22:%7B%22$gt%22:0%7D%7D&cached=true";
/// For who follows the filter, and for who asks each time.
const MODULE: &str = "/code/sum?cached=true";
const ASKED: &str = "/code/sum";
const ALL: [&str; 5] = [QUERY, IDS, COUNT, MODULE, ASKED];

/// An object, and a result.
const SUM: &str = "exports.get = async (db, req, res) => {
    res.cacheable();
    const found = await db.Todo.find().greaterThan('n', 0).resultList();
    const one = await db.Todo.load('1');
    res.json({ sum: found.reduce((sum, todo) => sum + todo.n, one ? 1000 : 0) });
};";

/// For how many seconds other shared caches keep an answer.
const OTHERS: u64 = 1;

impl World {
    fn with_results(builder: &ServerBuilder, more: &[&str]) -> Self {
        let world = Self::with(builder, more);
        let caching = json!({ "minLifetime": 60, "maxLifetime": 60, "edgeStaleness": OTHERS });
        world.admin.put("/config", &json!({ "caching": caching })).expect(200);
        let text = [("content-type", "text/plain")];
        world
            .admin
            .request("PUT", "/code/sum/module", &text, SUM.as_bytes())
            .expect(200);
        world.put("1", 1, &json!({}));
        world
    }

    /// Everything that was acknowledged is matched, and the edge knows of it.
    fn settle_results(&self) {
        // A filter is made when everything is matched.
        self.admin.get("/bloomfilter").expect(200);
        self.settle();
    }

    /// Reads until the answer has been at the edge for longer than other caches may have it.
    fn grow_old(&self, client: &Client, path: &str) -> Response {
        wait_for("an old answer", || {
            let answer = client.get(path).expect(200);
            let age = answer.header("age").map_or(0, |age| age.parse().unwrap());
            (way(&answer) == "hit" && age > OTHERS).then_some(answer)
        })
    }
}

/// What each of them says of these numbers.
fn expected(numbers: &[i64]) -> [Value; 5] {
    let sum = json!({ "sum": numbers.iter().sum::<i64>() + 1000 });
    let ids: Vec<String> = (1..=numbers.len()).map(|key| format!("/db/Todo/{key}")).collect();
    [
        json!(numbers),
        json!(ids),
        json!({ "count": numbers.len() }),
        sum.clone(),
        sum,
    ]
}

fn said(path: &str, answer: &Response) -> Value {
    let body = answer.json();
    match path {
        QUERY => body.as_array().unwrap().iter().map(|todo| todo["n"].clone()).collect(),
        _ => body,
    }
}

#[test]
fn results_live_at_the_edge_until_they_are_purged() {
    let world = World::with_results(&server().baqend(), &[]);
    let client = world.edge.client();
    let mut numbers = vec![1];
    for round in 2..4 {
        for (path, expected) in ALL.iter().zip(expected(&numbers)) {
            assert_eq!(said(path, &world.grow_old(&client, path)), expected, "{path}");
        }
        numbers.push(round);
        world.put(&round.to_string(), round, &json!({}));
        world.settle_results();
        for (path, expected) in ALL.iter().zip(expected(&numbers)) {
            assert_eq!(said(path, &client.get(path).expect(200)), expected, "{path}");
        }
    }
}

#[test]
fn browsers_and_other_caches_are_told_of_their_own_lifetimes() {
    let world = World::with_results(&server().baqend(), &[]);
    let client = world.edge.client();
    for path in ALL {
        let kept = world.grow_old(&client, path);
        let control = kept.header("cache-control").unwrap();
        assert!(control.ends_with(", s-maxage=1"), "{path}: {control}");
        assert_eq!(control.contains(" max-age=0,"), path == ASKED, "{path}: {control}");
        for header in ["surrogate-key", "surrogate-control"] {
            assert_eq!(kept.header(header), None, "{path}");
        }
        // Who has it already is told so without asking the server.
        let known = [("if-none-match", kept.header("etag").unwrap())];
        let known = client.request("GET", path, &known, b"");
        assert_eq!((known.status, way(&known)), (304, "hit"), "{path}");
    }
}

#[test]
fn s40_results_are_trusted_for_no_longer_than_the_bound() {
    let world = World::with_results(&server().baqend(), &[]);
    let client = world.edge.client();
    world.warm(&client, QUERY);
    world.wire.set(Mode::SilentStreams);
    world.put("2", 2, &json!({}));
    let n = |answer: &Response| answer.json().as_array().unwrap().len();
    wait_for("the new answer", || {
        (n(&client.get(QUERY).expect(200)) == 2).then_some(())
    });
    for _ in 0..20 {
        assert_eq!(n(&client.get(QUERY).expect(200)), 2);
    }
}

#[test]
fn edges_that_add_more_than_the_app_allows_keep_results_for_no_longer_than_others() {
    let world = World::with_results(&server().baqend(), &["--bound", "5s"]);
    let client = world.edge.client();
    for path in ALL {
        let n_fills = world.edge.figure("fills_total");
        wait_for("its end", || {
            let answer = client.get(path).expect(200);
            let age: u64 = answer.header("age").map_or(0, |age| age.parse().unwrap());
            assert!(age <= OTHERS, "{path}");
            (world.edge.figure("fills_total") > n_fills + 1).then_some(())
        });
    }
}

/// Nobody watches for an app that is asleep, nor for the copies of before when it is awake again.
#[test]
fn results_of_an_app_that_falls_asleep_are_asked_for_again() {
    let world = World::with_results(&server().baqend().arg("--idle-timeout").arg("300ms"), &[]);
    let client = world.edge.client();
    let mut numbers = vec![1];
    for round in 2..4 {
        for path in ALL {
            world.warm(&client, path);
        }
        let node = Client::new(world.server.address(), "");
        wait_for("the app to sleep", || {
            let text = String::from_utf8(node.get("/metrics").expect(200).body).unwrap();
            text.lines().any(|line| line == "freshbase_apps_awake 0").then_some(())
        });
        numbers.push(round);
        world.put(&round.to_string(), round, &json!({}));
        world.settle();
        for (path, expected) in ALL.iter().zip(expected(&numbers)) {
            assert_eq!(said(path, &client.get(path).expect(200)), expected, "{path}");
        }
    }
}
