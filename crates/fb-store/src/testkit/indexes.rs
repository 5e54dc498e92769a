//! Declared indexes.

use serde_json::json;

use super::bench::{Bench, class};
use super::{query, todo_class};
use crate::{Direction, IndexDef, IndexKey, Outcome, StoreError};

fn index(unique: bool, keys: &[(&str, Direction)]) -> IndexDef {
    let key = |(path, direction): &(&str, Direction)| IndexKey {
        path: (*path).to_owned(),
        direction: *direction,
    };
    IndexDef {
        unique,
        keys: keys.iter().map(key).collect(),
    }
}

async fn set(bench: &Bench, indexes: Vec<IndexDef>) -> Result<(), StoreError> {
    bench.store().set_indexes(&bench.admin(), &class(), indexes).await
}

/// No two objects share a value; null does not count.
pub async fn unique_values_are_enforced(mut bench: Bench) {
    let by_title = index(true, &[("title", Direction::Asc)]);
    let by_both = index(true, &[("group", Direction::Asc), ("rank", Direction::Desc)]);
    set(&bench, vec![by_title, by_both]).await.unwrap();
    bench
        .insert("a", json!({ "title": "x", "group": "g", "rank": 1 }))
        .await;
    bench.reopen().await;
    for (fields, index) in [
        (json!({ "title": "x" }), "title"),
        (json!({ "title": "y", "group": "g", "rank": 1 }), "group,rank"),
    ] {
        let error = bench.commit(bench.inserting("b", &fields)).await.unwrap_err();
        match error {
            StoreError::Duplicate { class, index: named } => {
                assert_eq!((class.as_str(), named.as_str()), ("Todo", index))
            }
            other => panic!("{fields}: {other:?}"),
        }
        assert_eq!(bench.load("b").await, None);
    }
    assert_eq!(bench.changes().await.len(), 1);
    // Null and missing values are exempt, in any of the keys.
    for key in ["c", "d"] {
        bench.insert(key, json!({ "group": "g" })).await;
    }
    let error = bench
        .commit(bench.updating("c", &json!({ "title": "x" })))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Duplicate { .. }), "{error:?}");
    let outcome = bench
        .commit(bench.updating("a", &json!({ "title": "x", "done": true })))
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::Written(_)));
    bench.delete("a").await;
    bench.insert("e", json!({ "title": "x" })).await;
}

/// What exists already must be unique.
pub async fn a_unique_index_needs_unique_values(bench: Bench) {
    bench.insert("a", json!({ "title": "x" })).await;
    bench.insert("b", json!({ "title": "x" })).await;
    let by_rank = index(false, &[("rank", Direction::Asc)]);
    set(&bench, vec![by_rank.clone()]).await.unwrap();
    let error = set(&bench, vec![index(true, &[("title", Direction::Asc)])])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotUnique { .. }), "{error:?}");
    assert_eq!(bench.store().indexes(&class()).await.unwrap(), [by_rank]);
    bench.insert("c", json!({ "title": "x" })).await;
}

/// The declared indexes are what was asked for last, in the order of their creation.
pub async fn indexes_are_replaced(mut bench: Bench) {
    let title = index(false, &[("title", Direction::Asc)]);
    let rank = index(false, &[("rank", Direction::Desc), ("title", Direction::Asc)]);
    let geo = index(false, &[("place", Direction::Geo)]);
    assert!(bench.store().indexes(&class()).await.unwrap().is_empty());
    set(&bench, vec![title.clone(), rank.clone()]).await.unwrap();
    assert_eq!(
        bench.store().indexes(&class()).await.unwrap(),
        [title.clone(), rank.clone()]
    );
    bench.insert("a", json!({ "title": "x", "rank": 1 })).await;
    set(&bench, vec![title.clone(), rank.clone(), geo.clone()])
        .await
        .unwrap();
    set(&bench, vec![rank.clone(), geo.clone()]).await.unwrap();
    bench.reopen().await;
    assert_eq!(bench.store().indexes(&class()).await.unwrap(), [rank, geo]);
    set(&bench, Vec::new()).await.unwrap();
    assert!(bench.store().indexes(&class()).await.unwrap().is_empty());
    assert!(bench.load("a").await.is_some());
}

/// A definition is kept although its field does not exist, and takes effect with it.
pub async fn an_index_waits_for_its_field(mut bench: Bench) {
    let later = index(true, &[("later", Direction::Asc)]);
    set(&bench, vec![later.clone()]).await.unwrap();
    bench.insert("a", json!({})).await;
    bench.reopen().await;
    assert_eq!(bench.store().indexes(&class()).await.unwrap(), [later]);
    let mut def = todo_class();
    def["fields"]["later"] = json!({ "type": "/db/String", "order": 30 });
    bench.add_class(&def).await;
    bench.insert("b", json!({ "later": "x" })).await;
    let error = bench
        .commit(bench.inserting("c", &json!({ "later": "x" })))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Duplicate { .. }), "{error:?}");
}

/// Indexes on arrays and geo points are kept in step with the objects and change no result.
pub async fn element_and_geo_indexes_change_no_result(bench: Bench) {
    let schema = bench.store().schema();
    let near = json!({ "place": { "$nearSphere": {
        "$geometry": { "type": "Point", "coordinates": [179.9, 0.0] }, "$maxDistance": 50_000 } } });
    let conditions = [
        json!({ "tags": "red" }),
        json!({ "tags": { "$in": ["red", "blue"] } }),
        json!({ "tags": { "$all": ["red", "blue"] } }),
        json!({ "tags": { "$all": ["red", "blue", "green", "red", "x", "y"] } }),
        json!({ "tags": ["red"] }),
        json!({ "tags": null }),
        json!({ "tags": { "$ne": "red" } }),
        json!({ "alarms": { "$date": "2024-01-01T00:00:00.1Z" } }),
        json!({ "$or": [{ "tags": "red" }, { "tags": "green" }] }),
        near,
        json!({ "place": { "$geoWithin": { "$box": [[0, 0], [20, 60]] } } }),
    ];
    let mut rounds = Vec::new();
    for round in 0..3 {
        match round {
            1 => set(
                &bench,
                vec![
                    index(false, &[("tags", Direction::Asc)]),
                    index(false, &[("place", Direction::Geo)]),
                    index(false, &[("alarms", Direction::Asc), ("rank", Direction::Asc)]),
                ],
            )
            .await
            .unwrap(),
            // The same objects once more, now with indexes that must follow.
            2 => {
                for key in ["a", "b", "c", "d", "e", "f"] {
                    bench.delete(key).await;
                }
            }
            _ => {}
        }
        if round != 1 {
            write_objects(&bench).await;
        }
        let mut results = Vec::new();
        for condition in &conditions {
            let wanted = query(&schema, condition, &json!({ "id": 1 }), 0, 100);
            results.push(bench.find(&bench.grant(), &wanted).await.concat());
        }
        rounds.push(results);
    }
    assert_eq!(
        rounds[0],
        ["ac", "acd", "c", "", "a", "ef", "bdef", "b", "ac", "ef", "ab"]
    );
    assert_eq!(rounds[1], rounds[0]);
    assert_eq!(rounds[2], rounds[0]);
}

async fn write_objects(bench: &Bench) {
    let point = |latitude: f64, longitude: f64| json!({ "latitude": latitude, "longitude": longitude });
    for key in ["a", "b", "c", "d", "e", "f"] {
        bench
            .insert(key, json!({ "tags": ["old", "red", "blue"], "place": point(1.0, 1.0) }))
            .await;
    }
    let alarm = json!(["2024-01-01T00:00:00.1Z", "2025-01-01"]);
    for (key, fields) in [
        ("a", json!({ "tags": ["red"], "place": point(53.5, 10.0) })),
        ("b", json!({ "tags": [], "alarms": alarm, "place": point(48.1, 11.6) })),
        (
            "c",
            json!({ "tags": ["red", "blue", "green"], "place": point(-33.9, 151.2) }),
        ),
        ("d", json!({ "tags": ["blue"] })),
        ("e", json!({ "place": point(0.1, -179.9) })),
        ("f", json!({ "place": point(0.0, 179.8) })),
    ] {
        bench.commit(bench.updating(key, &fields)).await.unwrap();
    }
}
