//! Loads, queries, scans.

use fb_auth::{Operation, authorize};
use fb_query::Filter;
use fb_types::{Acl, ClassName, ObjectKey};
use serde_json::{Value, json};

use super::bench::Bench;
use super::{filter, query, user};
use crate::{Batch, Store};

/// Whoever has seen an acknowledgement sees the write.
pub async fn reads_see_acknowledged_writes(bench: Bench) {
    let bench = std::sync::Arc::new(bench);
    let mut tasks = Vec::new();
    for t in 0..4 {
        let bench = bench.clone();
        tasks.push(tokio::spawn(async move {
            for i in 0..50 {
                let key = format!("t{t}-{i}");
                bench.insert(&key, json!({ "group": format!("t{t}"), "rank": i })).await;
                assert!(bench.load(&key).await.is_some(), "{key}");
                let schema = bench.store().schema();
                let mine = filter(&schema, &json!({ "group": format!("t{t}") }));
                assert_eq!(bench.store().count(&bench.grant(), &mine).await.unwrap(), i + 1);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// What a caller may not read is not counted, skipped or returned.
pub async fn limits_are_exact_under_object_rules(bench: Bench) {
    for i in 0..30 {
        let fields = json!({ "rank": i });
        let key = format!("k{i:02}");
        match i % 3 {
            0 => drop(bench.insert(&key, fields).await),
            1 => bench.insert_with_acl(&key, fields, Acl::private_to("/db/User/1")).await,
            _ => bench.insert_with_acl(&key, fields, Acl::private_to("/db/User/2")).await,
        }
    }
    let schema = bench.store().schema();
    let todo = schema.class("Todo").unwrap();
    let grant = authorize(&user("1"), Operation::Query, todo).unwrap();
    let by_rank = query(&schema, &json!({ "rank": { "$gte": 3 } }), &json!({ "rank": 1 }), 2, 5);
    assert_eq!(bench.find(&grant, &by_rank).await, ["k06", "k07", "k09", "k10", "k12"]);
    let natural = query(&schema, &json!({}), &json!({}), 0, 100);
    assert_eq!(bench.find(&grant, &natural).await.len(), 20);
    assert_eq!(bench.store().count(&grant, &Filter::ALL).await.unwrap(), 20);
    assert_eq!(bench.store().count(&bench.grant(), &Filter::ALL).await.unwrap(), 30);
    let keys = bench.store().keys(&grant, 2, 3).await.unwrap();
    assert_eq!(
        keys.iter().map(ObjectKey::as_str).collect::<Vec<_>>(),
        ["k03", "k04", "k06"]
    );
    let rows = bench.store().scan(&grant, None, 4).await.unwrap();
    assert_eq!(
        rows.rows().iter().map(|r| r.key.as_str()).collect::<Vec<_>>(),
        ["k00", "k01", "k03", "k04"]
    );
    let hidden = ObjectKey::from_raw("k02").unwrap();
    assert_eq!(bench.store().load(&grant, &hidden).await.unwrap(), None);
}

/// Scans visit every object once.
pub async fn scans_follow_the_keys(bench: Bench) {
    for i in [5, 3, 9, 1, 7] {
        bench.insert(&format!("k{i}"), json!({ "rank": i })).await;
    }
    let mut after: Option<ObjectKey> = None;
    let mut seen = Vec::new();
    loop {
        let rows = bench.store().scan(&bench.grant(), after.as_ref(), 2).await.unwrap();
        let Some(last) = rows.rows().last() else { break };
        after = Some(last.key.clone());
        for row in rows.rows() {
            let body: Value = serde_json::from_slice(rows.body(row)).unwrap();
            assert_eq!(body["id"], format!("/db/Todo/{}", row.key));
            seen.push(row.key.as_str().to_owned());
        }
    }
    assert_eq!(seen, ["k1", "k3", "k5", "k7", "k9"]);
    // Fewer objects once there are enough bytes.
    let long = "x".repeat(1 << 20);
    for i in 0..6 {
        bench.insert(&format!("long{i}"), json!({ "title": long })).await;
    }
    let rows = bench
        .store()
        .scan(&bench.grant(), Some(&ObjectKey::from_raw("l").unwrap()), 6)
        .await
        .unwrap();
    assert!((1..6).contains(&rows.rows().len()), "{} MiB at once", rows.rows().len());
}

/// The order is that of the first write, whatever keys and later writes say.
pub async fn the_oldest_come_first(bench: Bench) {
    for (n, key) in ["c", "a", "d", "b"].into_iter().enumerate() {
        let stored = bench.insert(key, json!({ "rank": n })).await;
        assert_eq!(
            bench.store().oldest(&bench.grant(), 1).await.unwrap().at_most,
            n as u64 + 1
        );
        assert!(stored.created_at.millis() > 0);
    }
    bench.commit(bench.updating("c", &json!({ "rank": 9 }))).await.unwrap();
    let oldest = async |limit: usize| {
        let found = bench.store().oldest(&bench.grant(), limit).await.unwrap();
        let keys: Vec<String> = found.keys.iter().map(|(key, _)| key.as_str().to_owned()).collect();
        (keys.concat(), found.at_most)
    };
    assert_eq!(oldest(10).await, ("cadb".to_owned(), 4));
    assert_eq!(oldest(2).await, ("ca".to_owned(), 4));
    bench.delete("c").await;
    assert_eq!(oldest(10).await, ("adb".to_owned(), 3));
    for key in ["a", "d", "b"] {
        bench.delete(key).await;
    }
    assert_eq!(oldest(10).await, (String::new(), 0));
    let first = bench.insert("z", json!({})).await;
    let found = bench.store().oldest(&bench.grant(), 10).await.unwrap();
    assert_eq!(found.keys, [(first.key, first.created_at)]);
}

/// Classes without objects, and classes that do not exist.
pub async fn an_empty_class_is_empty(bench: Bench) {
    for class in ["Todo", "User", "Nothing"] {
        let grant = bench.admin().grant(&ClassName::new(class).unwrap());
        let schema = bench.store().schema();
        let mut all = query(&schema, &json!({}), &json!({}), 0, 10);
        all.class = grant.class().clone();
        let store = bench.store();
        assert_eq!(store.query(&grant, &all).await.unwrap().into_json(), b"[]");
        assert_eq!(store.count(&grant, &Filter::ALL).await.unwrap(), 0);
        assert!(store.scan(&grant, None, 10).await.unwrap().rows().is_empty());
        assert!(store.keys(&grant, 0, 10).await.unwrap().is_empty());
        assert_eq!(store.oldest(&grant, 10).await.unwrap(), crate::Oldest::default());
        assert_eq!(
            store.load(&grant, &ObjectKey::from_raw("x").unwrap()).await.unwrap(),
            None
        );
    }
}

/// A few of each kind; what filters mean in detail is the business of the query language's own tests.
pub async fn filters_and_orders_work(bench: Bench) {
    let objects = [
        (
            "a",
            json!({ "title": "apple", "rank": 3, "done": true, "tags": ["red", "round"], "due": "2024-01-01T00:00:00Z" }),
        ),
        (
            "b",
            json!({ "title": "banana", "rank": 1, "done": false, "tags": ["yellow"], "due": "2024-01-01T00:00:00.5Z" }),
        ),
        (
            "c",
            json!({ "title": "cherry", "rank": 2, "tags": ["red"], "place": { "latitude": 53.5, "longitude": 10.0 } }),
        ),
        (
            "d",
            json!({ "rank": null, "data": { "x": [1, { "y": 2 }] }, "place": { "latitude": 48.1, "longitude": 11.6 } }),
        ),
    ];
    for (key, fields) in objects {
        bench.insert(key, fields).await;
    }
    for (condition, sort, expected) in [
        (json!({ "rank": { "$gt": 1 } }), json!({ "rank": 1 }), "ca"),
        (json!({ "rank": { "$not": { "$gt": 1 } } }), json!({ "rank": 1 }), "db"),
        (json!({ "title": null }), json!({}), "d"),
        (json!({ "title": { "$ne": "apple" } }), json!({ "title": -1 }), "cbd"),
        (json!({ "tags": "red" }), json!({ "id": -1 }), "ca"),
        (json!({ "tags": { "$all": ["red", "round"] } }), json!({}), "a"),
        (json!({ "title": { "$regex": "^(a|b)" } }), json!({ "title": -1 }), "ba"),
        (
            json!({ "title": { "$in": ["apple", "cherry", null] } }),
            json!({ "title": 1 }),
            "dac",
        ),
        (
            json!({ "due": { "$lte": { "$date": "2024-01-01T00:00:00Z" } } }),
            json!({}),
            "a",
        ),
        (
            json!({ "due": { "$exists": true, "$ne": null } }),
            json!({ "due": -1 }),
            "ba",
        ),
        (json!({ "data.x.y": 2 }), json!({}), "d"),
        (json!({ "done": true }), json!({}), "a"),
        (
            json!({ "$or": [{ "rank": 1 }, { "data.x": 1 }] }),
            json!({ "rank": 1 }),
            "db",
        ),
        (
            json!({ "$nor": [{ "rank": 1 }, { "done": true }] }),
            json!({ "rank": 1 }),
            "dc",
        ),
        (json!({ "id": { "$gt": "/db/Todo/b" } }), json!({ "id": 1 }), "cd"),
        // Ids of other classes are less or greater than all of these.
        (json!({ "id": { "$gt": "/db/Ant/x" } }), json!({ "id": 1 }), "abcd"),
        (json!({ "id": { "$lte": "/db/Ant/x" } }), json!({}), ""),
        (json!({ "id": { "$lt": "/db/Zoo/x" } }), json!({ "id": 1 }), "abcd"),
        (json!({ "id": { "$gte": "/db/Zoo/x" } }), json!({}), ""),
        (json!({ "id": { "$in": ["/db/Zoo/a", "/db/Todo/b"] } }), json!({}), "b"),
        (json!({ "id": { "$ne": "/db/Zoo/a" } }), json!({ "id": -1 }), "dcba"),
        // A prefix that an object has is not all that a pattern says.
        (json!({ "title": { "$regex": "^app.*x" } }), json!({}), ""),
        (json!({ "title": { "$regex": "^app.*e$" } }), json!({}), "a"),
        (
            json!({ "version": 1, "createdAt": { "$lte": { "$date": "2030-01-01" } } }),
            json!({ "id": 1 }),
            "abcd",
        ),
        (
            json!({ "place": { "$nearSphere": { "$geometry": { "type": "Point", "coordinates": [11.0, 48.0] },
                "$maxDistance": 1_000_000 } } }),
            json!({}),
            "dc",
        ),
        (json!({ "tags": { "$size": 1 } }), json!({ "tags": 1 }), "cb"),
    ] {
        let schema = bench.store().schema();
        let wanted = query(&schema, &condition, &sort, 0, 100);
        let mut found = bench.find(&bench.grant(), &wanted).await.concat();
        if sort == json!({}) && !condition.to_string().contains("$nearSphere") {
            let mut letters: Vec<char> = found.chars().collect();
            letters.sort_unstable();
            found = letters.into_iter().collect();
        }
        assert_eq!(found, expected, "{condition} by {sort}");
        let count = bench.store().count(&bench.grant(), &wanted.filter).await.unwrap();
        assert_eq!(count, expected.len() as u64, "{condition}");
    }
}

/// S12: whatever clients send is data, never code.
pub async fn hostile_texts_are_data(bench: Bench) {
    let texts = [
        "'; DROP TABLE c1; --",
        "\" OR 1=1 --",
        "\\'",
        "%00\0nul",
        "$.a'); DELETE FROM meta; --",
        "?1",
        ":x @y $z",
        "\u{1F600}\u{10FFFF}",
        "*/ /*",
        "[0]",
        "`x`",
        "\n\r\t",
    ];
    for (i, text) in texts.iter().enumerate() {
        bench
            .insert(text, json!({ "title": text, "rank": i, "data": { (*text): text } }))
            .await;
    }
    let schema = bench.store().schema();
    for text in texts {
        let grant = bench.grant();
        for condition in [
            json!({ "title": text }),
            json!({ "title": { "$in": [text, "other"] } }),
            json!({ "title": { "$gte": text, "$lte": text } }),
            json!({ "id": bench.load(text).await.map(|s| format!("/db/Todo/{}", s.key)) }),
        ] {
            let found = bench
                .find(&grant, &query(&schema, &condition, &json!({ "title": 1 }), 0, 100))
                .await;
            assert_eq!(found, [text], "{condition}");
        }
        let many: Vec<String> = (0..5000)
            .map(|i| format!("{text}{i}"))
            .chain([text.to_owned()])
            .collect();
        let found = bench
            .find(
                &grant,
                &query(&schema, &json!({ "title": { "$in": many } }), &json!({}), 0, 9),
            )
            .await;
        assert_eq!(found, [text]);
        // Any member name may stand in a path through untyped JSON, as condition and as sort key.
        if !text.contains('.') && !text.starts_with('$') {
            let path = format!("data.{text}");
            let sorted = query(
                &schema,
                &json!({ (path.as_str()): text }),
                &json!({ (path.as_str()): -1 }),
                0,
                9,
            );
            assert_eq!(bench.find(&grant, &sorted).await, [text], "{path}");
        }
        let record = crate::RecordWrite {
            space: "test",
            key: text.to_owned(),
            expect: crate::Expect::Absent,
            value: Some(text.as_bytes().to_vec()),
            expires_at: None,
        };
        bench
            .store()
            .commit(Batch {
                writes: vec![crate::Write::Record(record)],
            })
            .await
            .unwrap();
        assert_eq!(
            bench.store().record("test", text).await.unwrap(),
            Some(text.as_bytes().to_vec())
        );
    }
    let store: &dyn Store = &**bench.store();
    assert_eq!(
        store.count(&bench.grant(), &Filter::ALL).await.unwrap(),
        texts.len() as u64
    );
}
