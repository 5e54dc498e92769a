//! The engine uses the declared indexes, on small and on large tables.

use std::sync::Arc;

use fb_store::Store;
use fb_store::testkit::{schema_with, todo_class};
use fb_types::Schema;
use serde_json::{Value, json};

use crate::fixture::{DataDir, World, index};

fn objects(n: usize) -> Vec<Value> {
    let object = |i: usize| {
        let at = |millis: usize| fb_types::Timestamp::from_millis(1_700_000_000_000 + millis as i64).to_string();
        json!({
            "id": format!("/db/Todo/k{i:06}"), "version": 1 + i % 3, "acl": null,
            "createdAt": at(i * 1000), "updatedAt": at(i * 1000),
            "title": format!("title {i}"), "group": format!("g{}", i / 10), "rank": (i * 7919) % 1000,
            "score": i as f64 / 7.0, "done": i.is_multiple_of(2), "due": at((i * 31) % n * 500),
            "tags": [format!("t{}", i % 50), "all"], "data": null, "alarms": null,
            "place": { "latitude": (i % 180) as f64 - 89.5, "longitude": (i % 359) as f64 - 179.5 },
        })
    };
    (0..n).map(object).collect()
}

async fn todo(dir: &DataDir, n: usize) -> World {
    let node = dir.node();
    let schema = Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]));
    let world = World::new(&node, "app", schema, "Todo").await;
    let indexes = vec![
        index(&["group", "rank"]),
        index(&["title"]),
        index(&["due"]),
        index(&["-createdAt"]),
        index(&["rank"]),
        index(&["tags"]),
        index(&["@place"]),
        index(&["done"]),
        index(&["version"]),
    ];
    world.set_indexes(indexes.clone()).await;
    world.put(&objects(n)).await.unwrap();
    // Changes nothing, but returns when the statistics are fresh.
    world.set_indexes(indexes).await;
    world
}

/// Names of the structures, as the engine reports them: `x1` is the first index.
const PLANS: &[(&str, &str, &str, bool)] = &[
    // filter, sort, what must be used, whether it must sort by itself
    (r#"{"group":"g3"}"#, "{}", "x1", false),
    (r#"{"group":"g3"}"#, r#"{"rank":1}"#, "x1", false),
    (r#"{"group":"g3"}"#, r#"{"id":1}"#, "x1", true),
    (r#"{"group":"g3","rank":7}"#, "{}", "x1", false),
    (r#"{"group":"g3","rank":{"$gt":7}}"#, r#"{"rank":1}"#, "x1", false),
    (r#"{"group":"g3","title":{"$ne":"x"}}"#, r#"{"rank":1}"#, "x1", false),
    (r#"{"group":{"$in":["g3","g4"]}}"#, "{}", "x1", false),
    (
        r#"{"group":{"$in":["1","2","3","4","5","6","7","8","9","10","11"]}}"#,
        "{}",
        "x1",
        false,
    ),
    (r#"{"title":"title 9"}"#, "{}", "x2", false),
    (r#"{"title":"title 9"}"#, r#"{"createdAt":-1}"#, "x2", true),
    (r#"{"title":"title 9"}"#, r#"{"title":1}"#, "x2", false),
    (r#"{"title":{"$gte":"title 9","$lt":"title 91"}}"#, "{}", "x2", false),
    (r#"{"title":{"$regex":"^title 9"}}"#, "{}", "x2", false),
    (r#"{"title":{"$regex":"^title 9"}}"#, r#"{"title":1}"#, "x2", false),
    (r#"{"title":null}"#, "{}", "x2", false),
    ("{}", r#"{"title":1}"#, "x2", false),
    (r#"{"due":{"$date":"2023-11-14T22:13:20Z"}}"#, "{}", "x3", false),
    (
        r#"{"due":{"$lt":{"$date":"2023-11-14T22:13:30Z"}}}"#,
        r#"{"due":1}"#,
        "x3",
        false,
    ),
    (
        r#"{"createdAt":{"$lt":{"$date":"2023-11-14T22:13:30Z"}}}"#,
        r#"{"createdAt":-1}"#,
        "x4",
        false,
    ),
    ("{}", r#"{"createdAt":-1}"#, "x4", false),
    (r#"{"rank":{"$gte":5,"$lt":7}}"#, r#"{"rank":1}"#, "x5", false),
    ("{}", r#"{"rank":1}"#, "x5", false),
    // The engine does not weigh the limit against sorting; an index on both fields serves such queries.
    (r#"{"done":true}"#, r#"{"rank":1}"#, "x8", true),
    // Of several indexes, the one that leaves fewest objects.
    (r#"{"version":1,"title":"title 9"}"#, "{}", "x2", false),
    (
        r#"{"version":1,"done":true,"group":"g3"}"#,
        r#"{"rank":1}"#,
        "x1",
        false,
    ),
    (
        r#"{"done":true,"due":{"$date":"2023-11-14T22:13:20Z"}}"#,
        "{}",
        "x3",
        false,
    ),
    (r#"{"tags":"t7"}"#, "{}", "m6", false),
    (r#"{"tags":{"$all":["t7","all"]}}"#, "{}", "m6", false),
    (
        r#"{"place":{"$nearSphere":{"$geometry":{"type":"Point","coordinates":[10,50]},"$maxDistance":100000}}}"#,
        "{}",
        "g7",
        true,
    ),
    (
        r#"{"place":{"$geoWithin":{"$box":[[0,0],[10,10]]}}}"#,
        "{}",
        "g7",
        false,
    ),
    (r#"{"id":"/db/Todo/k000007"}"#, "{}", "autoindex", false),
    (
        r#"{"id":{"$gt":"/db/Todo/k000007"}}"#,
        r#"{"id":1}"#,
        "autoindex",
        false,
    ),
    (
        r#"{"id":{"$in":["/db/Todo/k000007","/db/Todo/k000008"]}}"#,
        "{}",
        "autoindex",
        false,
    ),
    ("{}", r#"{"id":-1}"#, "autoindex", false),
];

async fn check_plans(n: usize) {
    let dir = DataDir::fast();
    let world = todo(&dir, n).await;
    let schema = world.schema.clone();
    let user = fb_auth::authorize(
        &fb_store::testkit::user("1"),
        fb_auth::Operation::Query,
        schema.class("Todo").unwrap(),
    )
    .unwrap();
    let mut failures = Vec::new();
    for (filter, sort, used, sorts) in PLANS {
        // Of a hundred objects, many values are rightly looked for in all of them.
        if n < 1000 && filter.contains("$in") {
            continue;
        }
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let query = world.query(&parse(filter), &parse(sort), 0, 20);
        for grant in [world.grant(), user.clone()] {
            let plan = world.store.explain(&grant, &query).await.unwrap();
            let text = plan.join("\n");
            let names_it = text.split(|c: char| !c.is_alphanumeric()).any(|word| word == *used)
                || (*used == "autoindex" && text.contains("autoindex"));
            let sorts_all = text.contains("USE TEMP B-TREE FOR ORDER BY");
            let scans = text
                .lines()
                .any(|line| line.starts_with("SCAN c") && !line.contains("USING"));
            if !names_it || sorts_all != *sorts || scans {
                failures.push(format!("{filter} by {sort} must use {used}, but:\n{text}\n"));
            }
        }
    }
    assert!(failures.is_empty(), "with {n} objects:\n{}", failures.join("\n"));
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_are_used_on_few_objects() {
    check_plans(100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_are_used_on_many_objects() {
    check_plans(100_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_are_open_learn_of_new_indexes() {
    let dir = DataDir::fast();
    let node = dir.node();
    let schema = Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]));
    let world = World::new(&node, "app", schema, "Todo").await;
    world.put(&objects(1000)).await.unwrap();
    let query = world.query(&json!({ "title": "title 9" }), &json!({}), 0, 20);
    assert_eq!(world.find(&query).await, ["k000009"]);
    assert!(world.store.explain(&world.grant(), &query).await.unwrap()[0].starts_with("SCAN"));
    world.set_indexes(vec![index(&["title"])]).await;
    assert_eq!(world.find(&query).await, ["k000009"]);
    assert!(world.store.explain(&world.grant(), &query).await.unwrap()[0].contains("x1"));
    world.set_indexes(Vec::new()).await;
    assert_eq!(world.find(&query).await, ["k000009"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_are_open_learn_of_new_statistics() {
    let dir = DataDir::fast();
    let node = dir.node();
    let schema = Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]));
    // Without statistics both indexes look alike, and their order decides.
    for (name, good, paths) in [("one", "x1", ["title", "version"]), ("two", "x2", ["version", "title"])] {
        let world = World::new(&node, name, schema.clone(), "Todo").await;
        let indexes: Vec<_> = paths.iter().map(|path| index(&[path])).collect();
        world.set_indexes(indexes.clone()).await;
        world.put(&objects(1)).await.unwrap();
        let query = world.query(&json!({ "version": 1, "title": "title 9" }), &json!({}), 0, 20);
        // From here on there is an open connection.
        assert!(world.find(&query).await.is_empty());
        world.put(&objects(2000)).await.unwrap();
        // Changes nothing, but returns when the statistics are fresh.
        world.set_indexes(indexes).await;
        let plan = world.store.explain(&world.grant(), &query).await.unwrap();
        assert!(plan[0].contains(good), "{name}: {plan:?}");
        world.store.close().await;
    }
}
