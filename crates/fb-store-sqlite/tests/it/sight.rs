//! Reads of callers who may not read everything cost what they can see, not what is there.

use std::sync::Arc;

use fb_auth::{Grant, Operation, Principal, Roles, authorize};
use fb_query::Query;
use fb_store::Store;
use fb_store::testkit::{self, rules, schema_with, todo_class};
use fb_store_sqlite::SqliteOptions;
use fb_types::Schema;
use serde_json::{Value, json};

use crate::fixture::{DataDir, World, index};

/// The contract's comparison with the rules, with another opinion on what is few.
fn agree(few_objects: usize) {
    let dir = DataDir::fast_with(SqliteOptions {
        few_objects,
        ..SqliteOptions::default()
    });
    testkit::run(dir, |bench| {
        Box::pin(rules::restricted_reads_agree_with_the_rules(bench))
    });
}

#[test]
fn reads_agree_with_the_rules_if_nothing_is_few() {
    agree(0);
}

#[test]
fn reads_agree_with_the_rules_if_little_is_few() {
    agree(7);
}

/// Object `i`, for those that `acl` says.
fn object(i: usize, acl: &Value) -> Value {
    json!({
        "id": format!("/db/Todo/k{i:06}"), "version": 1, "acl": acl,
        "createdAt": "2024-01-01T00:00:00.000Z", "updatedAt": "2024-01-01T00:00:00.000Z",
        "title": format!("title {i}"), "group": format!("g{}", i % 4), "rank": (i * 7919) % 10_007,
        "score": null, "done": null, "due": null, "tags": null, "place": null, "data": null, "alarms": null,
    })
}

fn private(principal: &str) -> Value {
    json!({ "read": { principal: "allow" }, "write": { principal: "allow" } })
}

/// A class of objects `0..n`, each for those that `acl` says, indexed by title and by rank.
async fn world(dir: &DataDir, n: usize, acl: impl Fn(usize) -> Value) -> World {
    let schema = Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]));
    let world = World::new(&dir.node(), "app", schema, "Todo").await;
    let indexes = vec![index(&["title"]), index(&["rank"]), index(&["group"])];
    world.set_indexes(indexes.clone()).await;
    let objects: Vec<_> = (0..n).map(|i| object(i, &acl(i))).collect();
    world.put(&objects).await.unwrap();
    // Changes nothing, but returns when the statistics are fresh.
    world.set_indexes(indexes).await;
    world
}

fn grant(world: &World, key: &str, roles: &[String]) -> Grant {
    let user = Principal::user(format!("/db/User/{key}").parse().unwrap(), Roles::new(roles.to_vec()));
    let class = world.schema.class("Todo").unwrap();
    authorize(&user, Operation::Query, class).unwrap()
}

/// Instructions of the engine that a read takes, to within some hundreds, when it is done for the second time.
async fn steps<T>(world: &World, read: impl AsyncFn() -> T) -> (T, u64) {
    read().await;
    let before = world.store.steps();
    let result = read().await;
    (result, world.store.steps() - before)
}

async fn found(world: &World, grant: &Grant, query: &Query) -> (usize, u64) {
    let find = async || world.store.query(grant, query).await.unwrap().rows().len();
    steps(world, find).await
}

async fn counted(world: &World, grant: &Grant, query: &Query) -> (u64, u64) {
    let count = async || world.store.count(grant, &query.filter).await.unwrap();
    steps(world, count).await
}

/// Instructions that a look at each object of a class takes at least.
const PER_OBJECT: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_among_many_private_objects() {
    const N: usize = 20_000;
    let dir = DataDir::fast();
    let world = world(&dir, N, |i| private(&format!("/db/User/{}", i % 200))).await;
    let grant = grant(&world, "7", &[]);
    // A hundred objects are looked at; that may take a tenth of what a look at all of them would.
    let bound = N as u64 * PER_OBJECT / 10;
    let mut all = Vec::new();
    for (filter, sort, expected) in [
        ("{}", r#"{"rank":1}"#, 20),
        ("{}", r#"{"createdAt":1}"#, 20),
        ("{}", r#"{"id":-1}"#, 20),
        ("{}", "{}", 20),
        (r#"{"group":"g3"}"#, r#"{"rank":-1}"#, 20),
        (r#"{"group":"g2"}"#, r#"{"rank":-1}"#, 0),
        (r#"{"title":"title 207"}"#, "{}", 1),
        (r#"{"title":"title 208"}"#, "{}", 0),
        (r#"{"done":true}"#, r#"{"rank":1}"#, 0),
    ] {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let page = world.query(&parse(filter), &parse(sort), 20 * u64::from(expected == 20), 20);
        let plan = world.store.explain(&grant, &page).await.unwrap().join("\n");
        let (n, steps) = found(&world, &grant, &page).await;
        all.push((format!("{filter} by {sort}: {plan}"), (n, expected), steps));
        let (n, steps) = counted(&world, &grant, &page).await;
        let expected = if expected == 20 { 100 } else { expected };
        all.push((format!("count of {filter}"), (n as usize, expected), steps));
    }
    let (keys, n) = steps(&world, async || world.store.keys(&grant, 20, 30).await.unwrap().len()).await;
    all.push(("keys".into(), (keys, 30), n));
    let (rows, n) = steps(&world, async || {
        world.store.scan(&grant, None, 30).await.unwrap().rows().len()
    })
    .await;
    all.push(("scan".into(), (rows, 30), n));
    for (what, (n, expected), steps) in all {
        assert_eq!(n, expected, "{what}");
        assert!(steps < bound, "{what} took {steps} instructions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selective_index_is_used_instead() {
    let dir = DataDir::fast();
    let world = world(&dir, 20_000, |i| private(&format!("/db/User/{}", i % 12))).await;
    let grant = grant(&world, "7", &[]);
    // 1,667 objects are few by the default, but one title is fewer.
    let one = world.query(&json!({ "title": "title 19" }), &json!({}), 0, 20);
    let plan = world.store.explain(&grant, &one).await.unwrap().join("\n");
    assert!(plan.contains("x1"), "{plan}");
    let (n, n_steps) = found(&world, &grant, &one).await;
    // The list itself has to be made, at some instructions for each object on it.
    assert!(n == 1 && n_steps < 25_000, "{n} objects, {n_steps} instructions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_page_of_many_visible_objects() {
    // Public ones beside private ones: few by the default and a large part, few and a small part, many.
    for (n, part) in [(3_000, 2), (20_000, 11), (20_000, 2)] {
        let dir = DataDir::fast();
        let acl = |i: usize| {
            if i.is_multiple_of(part) {
                Value::Null
            } else {
                private("/db/User/1")
            }
        };
        let world = world(&dir, n, acl).await;
        let grant = grant(&world, "7", &[]);
        for sort in [json!({ "rank": 1 }), json!({ "id": 1 }), json!({})] {
            let page = world.query(&json!({}), &sort, 0, 20);
            let (found, n_steps) = found(&world, &grant, &page).await;
            // Most of it is finding out how many can be seen.
            assert!(
                found == 20 && n_steps < 20_000,
                "1/{part} of {n}, {sort}: {n_steps} instructions"
            );
        }
        let (n_counted, _) = counted(&world, &grant, &world.query(&json!({}), &json!({}), 0, 1)).await;
        assert_eq!(n_counted, n.div_ceil(part) as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_part_that_is_not_few() {
    const N: usize = 30_000;
    let dir = DataDir::fast_with(SqliteOptions {
        few_objects: 100,
        ..SqliteOptions::default()
    });
    let world = world(&dir, N, |i| private(&format!("/db/User/{}", i % 60))).await;
    let grant = grant(&world, "7", &[]);
    let (n, n_steps) = counted(&world, &grant, &world.query(&json!({}), &json!({}), 0, 1)).await;
    let bound = N as u64 * PER_OBJECT / 4;
    assert!(n == 500 && n_steps < bound, "{n}: {n_steps} instructions");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_roles() {
    const N: usize = 20_000;
    let dir = DataDir::fast();
    let world = world(&dir, N, |i| private(&format!("/db/Role/{}", 10 + i % 4_000))).await;
    let page = world.query(&json!({}), &json!({ "rank": 1 }), 0, 20);
    // More roles than a list can have, and objects than are few, come last.
    for (n_roles, bound) in [(1, 2_000), (200, 100_000), (300, 100_000), (3_000, u64::MAX)] {
        let roles: Vec<_> = (10..10 + n_roles).map(|i| format!("/db/Role/{i}")).collect();
        let grant = grant(&world, "7", &roles);
        let (n, n_steps) = found(&world, &grant, &page).await;
        assert!(
            n == 20.min(n_roles * 5) && n_steps < bound,
            "{n_roles} roles: {n}, {n_steps} instructions"
        );
        let (n, n_steps) = counted(&world, &grant, &page).await;
        assert!(
            n == n_roles as u64 * 5 && n_steps < bound,
            "{n_roles} roles: {n}, {n_steps} instructions"
        );
    }
}
