//! The rows of the query language's conformance tables, answered by the engine.

use fb_query::conformance::{cases, schema, sorts};
use fb_store::Store;
use serde_json::{Value, json};

use crate::fixture::{DataDir, World, index};

/// Index sets under which all rows have to hold.
fn index_sets() -> Vec<Vec<fb_store::IndexDef>> {
    let single = [
        "flag",
        "age",
        "score",
        "name",
        "at",
        "day",
        "time",
        "file",
        "owner",
        "place.city",
        "place.since",
    ];
    let arrays = ["tags", "nums", "ats", "ints", "owners", "place.tags"];
    let mut all: Vec<_> = single.iter().chain(&arrays).map(|path| index(&[path])).collect();
    all.extend([
        index(&["@loc"]),
        index(&["-age", "name"]),
        index(&["createdAt"]),
        index(&["version", "-at"]),
    ]);
    all.extend([
        index(&["json.a"]),
        index(&["jarr"]),
        index(&["labels"]),
        index(&["locs"]),
        index(&["loc.latitude"]),
    ]);
    vec![Vec::new(), all]
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_match_what_the_rows_say() {
    let dir = DataDir::fast();
    let node = dir.node();
    let mut n_cases = 0;
    for (set, indexes) in index_sets().into_iter().enumerate() {
        let world = World::new(&node, &format!("app{set}"), schema(), "Thing").await;
        world.set_indexes(indexes).await;
        let mut failures = Vec::new();
        for case in cases() {
            world.put(std::slice::from_ref(&case.object)).await.unwrap();
            let key = case.object["id"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned();
            let query = world.query(&case.filter, &json!({}), 0, 10);
            let found = world.find(&query).await;
            let count = world.store.count(&world.grant(), &query.filter).await.unwrap();
            let negated = world.query(&json!({ "$nor": [case.filter] }), &json!({}), 0, 10);
            let not_found = world.find(&negated).await;
            let expected = if case.matches { (1, 1, 0) } else { (0, 0, 1) };
            if (found.len(), count, not_found.len()) != expected {
                failures.push(format!("{} {} on {}: {found:?}", case.rule, case.filter, case.object));
            }
            world.delete(&key).await;
            n_cases += 1;
        }
        assert!(
            failures.is_empty(),
            "indexes {set}: {} failures\n{}",
            failures.len(),
            failures.join("\n")
        );
        world.store.close().await;
    }
    assert!(n_cases > 400, "only {n_cases} rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_what_the_rows_say() {
    let dir = DataDir::fast();
    let node = dir.node();
    for (set, indexes) in index_sets().into_iter().enumerate() {
        let world = World::new(&node, &format!("app{set}"), schema(), "Thing").await;
        world.set_indexes(indexes).await;
        for row in sorts() {
            world.put(&row.objects).await.unwrap();
            let key = |object: &Value| object["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let expected: Vec<String> = row.objects.iter().map(key).collect();
            let found = world.find(&world.query(&row.filter, &row.sort, 0, 100)).await;
            assert_eq!(
                found, expected,
                "{} {} by {} under indexes {set}",
                row.rule, row.filter, row.sort
            );
            let part = world.find(&world.query(&row.filter, &row.sort, 1, 2)).await;
            assert_eq!(
                part[..],
                expected[1..expected.len().min(3)],
                "{} by {}",
                row.rule,
                row.sort
            );
            for key in expected {
                world.delete(&key).await;
            }
        }
        world.store.close().await;
    }
}
