//! The engine's answers are those of the in-memory evaluator: random schemas, objects, filters, sort orders and indexes.

use std::cell::Cell;

use fb_query::generate::{self, World as Random};
use fb_query::{Order, Query};
use fb_store::{IndexDef, Store};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;

use crate::fixture::{DataDir, World, index};

/// Worlds per run; each has up to `OBJECTS` objects and exactly `QUERIES` queries, asked under two sets of indexes.
const WORLDS: u32 = 120;
const OBJECTS: usize = 90;
const QUERIES: usize = 16;
/// Verdicts on (object, filter) that a run has to reach.
const MIN_VERDICTS: usize = 100_000;

#[derive(Debug, Clone)]
struct Case {
    world: Random,
    objects: Vec<Value>,
    queries: Vec<(Value, Value, u64, u64)>,
    indexes: Vec<IndexDef>,
}

fn indexes(world: &Random) -> impl Strategy<Value = Vec<IndexDef>> + use<> {
    let mut paths = vec![
        "id".to_owned(),
        "version".into(),
        "createdAt".into(),
        "-updatedAt".into(),
    ];
    for field in world.class.fields() {
        let name = field.name();
        paths.extend(
            ["", ".s", ".t", ".l", ".j", ".i.n", ".i.d", ".latitude", ".a"].map(|rest| format!("{name}{rest}")),
        );
        paths.extend([
            format!("-{name}"),
            format!("@{name}"),
            format!("-{name}.s"),
            name.to_owned(),
            name.to_owned(),
        ]);
    }
    vec(vec(select(paths), 1..=3), 0..6).prop_map(|all| {
        let distinct = |mut keys: Vec<String>| {
            keys.dedup();
            index(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        };
        all.into_iter().map(distinct).collect()
    })
}

fn case() -> impl Strategy<Value = Case> {
    generate::world().prop_flat_map(|world| {
        let query = (generate::filter(&world), generate::sort(&world), 0..6u64, 1..40u64);
        let parts = (generate::objects(&world, OBJECTS), vec(query, QUERIES), indexes(&world));
        (Just(world), parts).prop_map(|(world, (objects, queries, indexes))| Case {
            world,
            objects,
            queries,
            indexes,
        })
    })
}

fn key(object: &Value) -> String {
    object["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// What the evaluator says: keys in the query's order, without offset and limit.
fn expected(query: &Query, objects: &[Value]) -> Vec<String> {
    let mut matching: Vec<&Value> = objects.iter().filter(|object| query.filter.matches(object)).collect();
    matching.sort_by(|a, b| query.order.compare(a, b));
    matching.into_iter().map(key).collect()
}

async fn check(node: &fb_store_sqlite::SqliteNode, name: &str, case: &Case) -> Result<(usize, usize), TestCaseError> {
    let world = World::new(node, name, case.world.schema.clone(), "Random").await;
    // Half of the objects meet indexes that exist, the others are indexed afterwards.
    let (first, second) = case.objects.split_at(case.objects.len() / 2);
    world.put(first).await.unwrap();
    let (mut n_verdicts, mut n_matches) = (0, 0);
    for with_indexes in [false, true] {
        if with_indexes {
            world.set_indexes(case.indexes.clone()).await;
        }
        world.put(second).await.unwrap();
        for (filter, sort, offset, limit) in &case.queries {
            let mut query = world.query(filter, sort, 0, 1_000_000);
            let expected = expected(&query, &case.objects);
            let mut all = world.find(&query).await;
            if query.order == Order::Natural {
                all.sort();
            }
            let context = format!("{filter} by {sort}, indexes: {with_indexes}");
            prop_assert_eq!(&all, &expected, "{}", context);
            let count = world.store.count(&world.grant(), &query.filter).await.unwrap();
            prop_assert_eq!(count, expected.len() as u64, "{}", context);
            (query.offset, query.limit) = (*offset, *limit);
            let part = world.find(&query).await;
            let slice: Vec<String> = expected
                .iter()
                .skip(*offset as usize)
                .take(*limit as usize)
                .cloned()
                .collect();
            if query.order == Order::Natural {
                prop_assert_eq!(part.len(), slice.len(), "{}", context);
                prop_assert!(part.iter().all(|key| expected.contains(key)), "{}", context);
            } else {
                prop_assert_eq!(part, slice, "{}", context);
            }
            n_verdicts += case.objects.len();
            n_matches += expected.len();
        }
    }
    world.store.close().await;
    Ok((n_verdicts, n_matches))
}

#[test]
fn the_engine_agrees_with_the_evaluator() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dir = DataDir::fast();
    let node = dir.node();
    let config = Config {
        cases: WORLDS,
        max_shrink_iters: 2_000,
        ..Config::with_source_file(file!())
    };
    let n_apps = Cell::new(0);
    let totals = Cell::new((0, 0));
    let mut runner = TestRunner::new(config);
    let result = runner.run(&case(), |case| {
        n_apps.set(n_apps.get() + 1);
        let checked = runtime.block_on(check(&node, &format!("app{}", n_apps.get()), &case))?;
        let (verdicts, matches) = totals.get();
        totals.set((verdicts + checked.0, matches + checked.1));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let (n_verdicts, n_matches) = totals.get();
    println!("{n_verdicts} verdicts, {n_matches} matches");
    assert!(n_verdicts >= MIN_VERDICTS, "only {n_verdicts} verdicts");
    assert!(
        n_matches > n_verdicts / 20,
        "only {n_matches} of {n_verdicts} objects matched"
    );
}
