//! Laws that hold for all filters, orders and updates.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use fb_types::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::generate::{World, any_json, filter, object, objects, sort, world, world_of};
use crate::{
    Access, Filter, Limits, Order, Query, QueryError, Slots, Update, UpdateError, parse_filter, parse_sort, sort_key,
};

fn parsed(world: &World, json: &Value) -> Filter {
    parse_filter(json, &world.schema, &world.class, &Limits::default()).unwrap_or_else(|e| panic!("{e} in {json}"))
}

/// The first steps of all paths that a filter or sort order writes down.
fn named<'a>(json: &'a Value, fields: &mut BTreeSet<&'a str>) {
    for (name, value) in json.as_object().into_iter().flatten() {
        if name.starts_with('$') {
            value
                .as_array()
                .into_iter()
                .flatten()
                .for_each(|branch| named(branch, fields));
        } else {
            fields.insert(name.split('.').next().unwrap_or(name));
        }
    }
}

fn with_filter() -> impl Strategy<Value = (World, Value, Vec<Value>)> {
    world().prop_flat_map(|world| (Just(world.clone()), filter(&world), objects(&world, 8)))
}

proptest! {
    #![proptest_config(Config { cases: 400, ..Config::default() })]

    #[test]
    fn any_json_is_parsed_or_refused(json in any_json(), world in world(), now in any::<i64>()) {
        let limits = Limits::default();
        let _ = parse_filter(&json, &world.schema, &world.class, &limits).map(|filter| filter.canonical());
        let _ = parse_sort(&json, &world.schema, &world.class, &limits);
        if let Ok(update) = Update::parse(&json, &world.schema, &world.class, &limits) {
            let mut fields = serde_json::Map::new();
            let _ = update.apply(&world.schema, &world.class, &mut fields, Timestamp::from_millis(now));
        }
    }

    #[test]
    fn any_json_as_a_condition_is_parsed_or_refused(json in any_json(), world in world()) {
        let limits = Limits::default();
        let _ = parse_filter(&json!({ "f0": json }), &world.schema, &world.class, &limits)
            .map(|filter| filter.matches(&json));
        for operator in ["$set", "$inc", "$push", "$replace", "$put", "$remove", "$max"] {
            for path in ["f0", "f0.1", "f0.a"] {
                let update = json!({ operator: { path: json } });
                if let Ok(update) = Update::parse(&update, &world.schema, &world.class, &limits) {
                    let mut fields = serde_json::Map::new();
                    let _ = update.apply(&world.schema, &world.class, &mut fields, Timestamp::from_millis(0));
                    // What comes out is in normal form already.
                    let checked = world.schema.check_fields(&world.class, &fields, None);
                    if let Some(checked) = checked.ok().filter(|_| fields.contains_key("f0")) {
                        prop_assert_eq!(&checked["f0"], &fields["f0"]);
                    }
                }
            }
        }
    }

    #[test]
    fn generated_filters_are_accepted_and_evaluate((world, json, objects) in with_filter()) {
        let filter = parsed(&world, &json);
        let negated = parsed(&world, &json!({ "$nor": [json] }));
        for object in &objects {
            prop_assert_eq!(filter.matches(object), !negated.matches(object));
        }
    }

    #[test]
    fn no_field_that_is_written_is_lost(
        (world, json, order) in world().prop_flat_map(|w| (Just(w.clone()), filter(&w), sort(&w)))
    ) {
        let keys = parse_sort(&order, &world.schema, &world.class, &Limits::default()).unwrap();
        let query = Query::new(&world.class, parsed(&world, &json), keys, 0, 1);
        let mut written = BTreeSet::new();
        named(&json, &mut written);
        named(&order, &mut written);
        prop_assert_eq!(query.fields().into_iter().collect::<BTreeSet<_>>(), written);
    }

    #[test]
    fn de_morgan((world, a, objects) in with_filter(), swap in any::<bool>()) {
        // The second filter is about the same fields, so that both are often undecided.
        let b = json!({ "f0": { "$gt": if swap { json!(1) } else { json!([]) } } });
        let b = if parse_filter(&b, &world.schema, &world.class, &Limits::default()).is_ok() { b } else { json!({}) };
        let neither = parsed(&world, &json!({ "$nor": [a, b] }));
        let both_not = parsed(&world, &json!({ "$and": [{ "$nor": [a] }, { "$nor": [b] }] }));
        let not_both = parsed(&world, &json!({ "$nor": [{ "$and": [a, b] }] }));
        let one_not = parsed(&world, &json!({ "$or": [{ "$nor": [a] }, { "$nor": [b] }] }));
        for object in &objects {
            prop_assert_eq!(neither.matches(object), both_not.matches(object));
            prop_assert_eq!(not_both.matches(object), one_not.matches(object));
        }
    }

    #[test]
    fn negated_operators_are_negations((world, json, objects) in with_filter()) {
        let Some((path, operators)) = json.as_object().filter(|m| m.len() == 1).and_then(|m| m.iter().next()) else {
            return Ok(());
        };
        let operators = match operators.as_object() {
            Some(members) if members.keys().any(|k| k.starts_with('$') && k != "$date") => operators.clone(),
            _ => json!({ "$eq": operators }),
        };
        if path.starts_with('$') {
            return Ok(());
        }
        let plain = parsed(&world, &json!({ path.clone(): operators }));
        let negated = parsed(&world, &json!({ path.clone(): { "$not": operators } }));
        for object in &objects {
            prop_assert_eq!(plain.matches(object), !negated.matches(object));
        }
    }

    #[test]
    fn shuffled_filters_have_the_same_text((world, json, objects) in with_filter()) {
        let (a, b) = (parsed(&world, &json), parsed(&world, &shuffled(&json)));
        prop_assert_eq!(a.canonical(), b.canonical());
        for object in &objects {
            prop_assert_eq!(a.matches(object), b.matches(object));
        }
    }

    #[test]
    fn keys_are_ordered_like_objects(
        (world, sort, objects) in world().prop_flat_map(|w| (Just(w.clone()), sort(&w), objects(&w, 8)))
    ) {
        let keys = parse_sort(&sort, &world.schema, &world.class, &Limits::default()).unwrap();
        for key in keys {
            let bytes: Vec<_> = objects.iter().map(|o| sort_key(&key.path, o, key.descending)).collect();
            for (i, a) in objects.iter().enumerate() {
                for (j, b) in objects.iter().enumerate() {
                    let order = bytes[i].cmp(&bytes[j]);
                    let order = if key.descending { order.reverse() } else { order };
                    prop_assert_eq!(key.compare(a, b), order, "{} {} {}", key.path, a, b);
                    prop_assert!(bytes[i] == bytes[j] || !bytes[i].starts_with(&bytes[j]));
                }
            }
            let by = Order::By(vec![key]);
            for a in &objects {
                for b in &objects {
                    prop_assert_eq!(by.compare(a, b), by.compare(b, a).reverse());
                    prop_assert_eq!(by.compare(a, b) == Ordering::Equal, a["id"] == b["id"]);
                }
            }
        }
    }

    #[test]
    fn bound_filters_pass_what_filters_pass((world, json, objects) in with_filter()) {
        let filter = parsed(&world, &json);
        let mut slots = Slots::default();
        // The same paths again, and others before them: numbers do not begin at nought.
        slots.bind(parsed(&world, &json!({ "updatedAt": null, "id": "x" })));
        let bound = [slots.bind(filter.clone()), slots.bind(filter.clone())];
        for object in &objects {
            let fields = slots.fields(object);
            for bound in &bound {
                prop_assert_eq!(bound.matches(&slots, &fields), filter.matches(object), "{} {}", json, object);
            }
        }
    }

    #[test]
    fn what_passes_meets_each_choice((world, json, objects) in with_filter()) {
        let filter = parsed(&world, &json);
        let choices = filter.choices();
        let mut slots = Slots::default();
        slots.bind(filter.clone());
        let path = |access: &Access| slots.path(access.path()).expect("the filter names it");
        let paths: Vec<Vec<(u32, Access)>> = choices
            .iter()
            .map(|choice| choice.iter().map(|access| (path(access), access.clone())).collect())
            .collect();
        for object in objects.iter().filter(|object| filter.matches(object)) {
            let fields = slots.fields(object);
            for choice in &paths {
                let is_met = choice.iter().any(|(path, access)| {
                    let mut is_met = false;
                    slots.spots(&fields, *path, &mut |spot| is_met |= access.covers(&spot));
                    is_met
                });
                prop_assert!(is_met, "{} {} {:?}", json, object, choice);
            }
        }
    }

    #[test]
    fn positions_are_ordered_like_objects(
        (world, sort, objects) in world().prop_flat_map(|w| (Just(w.clone()), sort(&w), objects(&w, 8)))
    ) {
        let keys = parse_sort(&sort, &world.schema, &world.class, &Limits::default()).unwrap();
        let order = if keys.is_empty() { Order::Natural } else { Order::By(keys) };
        for a in &objects {
            for b in &objects {
                prop_assert_eq!(order.position(a).cmp(&order.position(b)), order.compare(a, b), "{} {}", a, b);
            }
        }
    }

    #[test]
    fn comparisons_agree_with_the_order(
        (world, a, b) in proptest::sample::select(vec![
            "/db/Integer", "/db/Double", "/db/String", "/db/DateTime", "/db/Date", "/db/Time", "/db/Boolean", "/db/Outer",
        ]).prop_flat_map(|ty| {
            let world = world_of(&[ty]);
            (Just(world.clone()), object(&world), object(&world))
        })
    ) {
        let key = &parse_sort(&json!({ "f0": 1 }), &world.schema, &world.class, &Limits::default()).unwrap()[0];
        let order = key.compare(&a, &b);
        for (operator, holds) in [("$eq", order.is_eq()), ("$lt", order.is_lt()), ("$lte", order.is_le()),
                                  ("$gt", order.is_gt()), ("$gte", order.is_ge()), ("$ne", order.is_ne())] {
            let filter = parsed(&world, &json!({ "f0": { operator: b["f0"] } }));
            let same_class = a["f0"].is_null() == b["f0"].is_null();
            let holds = if operator.len() > 3 || operator.starts_with("$l") || operator.starts_with("$g") {
                holds && same_class
            } else {
                holds
            };
            prop_assert_eq!(filter.matches(&a), holds, "{} {} {}", a["f0"], operator, b["f0"]);
        }
    }
}

/// The same filter with members, branches and values turned around, values repeated, and integers spelled as doubles.
fn shuffled(json: &Value) -> Value {
    let turned = |members: &serde_json::Map<String, Value>| -> serde_json::Map<String, Value> {
        members
            .iter()
            .rev()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    match json {
        Value::Object(members) => {
            let inner = turned(members).into_iter().map(|(name, value)| {
                let value = match (name.as_str(), &value) {
                    ("$and" | "$or" | "$nor" | "$in" | "$nin" | "$all", Value::Array(elements)) => {
                        let mut elements: Vec<Value> = elements.iter().rev().map(shuffled).collect();
                        elements.extend(elements.first().cloned());
                        Value::Array(elements)
                    }
                    ("$geoWithin" | "$nearSphere", _) => value,
                    _ => shuffled(&value),
                };
                (name, value)
            });
            Value::Object(inner.collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(shuffled).collect()),
        Value::Number(number) => match number.as_i64() {
            Some(small) if small.unsigned_abs() < 1 << 53 => json!(small as f64),
            _ => json.clone(),
        },
        other => other.clone(),
    }
}

/// Random filters are often different in text; those that are not must match the same objects.
#[test]
fn equal_texts_mean_equal_matches() {
    let mut runner = TestRunner::deterministic();
    let world = world_of(&["/db/Boolean", "/db/JsonObject"]);
    let draw = |runner: &mut TestRunner, strategy: &BoxedStrategy<Value>| {
        strategy
            .new_tree(runner)
            .map(|tree| proptest::strategy::ValueTree::current(&tree))
            .unwrap()
    };
    let (filters, documents) = (filter(&world), object(&world).boxed());
    let documents: Vec<Value> = (0..100).map(|_| draw(&mut runner, &documents)).collect();
    let mut by_text = std::collections::HashMap::new();
    let mut repeated = 0;
    for _ in 0..3000 {
        let json = draw(&mut runner, &filters);
        let filter = parsed(&world, &json);
        let matches: Vec<bool> = documents.iter().map(|d| filter.matches(d)).collect();
        if let Some((other, known)) = by_text.insert(filter.canonical(), (json.clone(), matches.clone())) {
            assert_eq!(known, matches, "{json} {other}");
            repeated += usize::from(json != other);
        }
    }
    assert!(repeated > 50, "{repeated}");
}

#[test]
fn s16_deep_nesting_is_refused_before_the_stack_ends() {
    let world = world_of(&["/db/JsonObject"]);
    let limits = Limits::default();
    // Built by hand: the json! macro would serialise what is inside at every level.
    let object = |name: &str, inner| Value::Object(std::iter::once((name.to_owned(), inner)).collect());
    let nested = |wrap: &dyn Fn(Value) -> Value| (0..1_000).fold(json!({}), |inner, _| wrap(inner));
    for json in [
        nested(&|inner| object("$and", Value::Array(vec![inner]))),
        object("f0", nested(&|inner| object("$not", inner))),
        object("f0.a", nested(&|inner| object("$elemMatch", inner))),
        object("f0", nested(&|inner| object("a", inner))),
        object(
            "f0",
            object("$in", Value::Array(vec![nested(&|inner| Value::Array(vec![inner]))])),
        ),
        object(
            "f0",
            object("$all", Value::Array(vec![nested(&|inner| object("$elemMatch", inner))])),
        ),
    ] {
        let error = parse_filter(&json, &world.schema, &world.class, &limits).unwrap_err();
        assert!(matches!(error, QueryError::TooComplex(_)), "{error}");
    }
    let update = object("$set", object("f0", nested(&|inner| object("a", inner))));
    assert!(matches!(
        Update::parse(&update, &world.schema, &world.class, &limits),
        Err(UpdateError::TooComplex(_))
    ));
}

#[test]
fn s16_limits_are_on() {
    let world = world_of(&["/db/String", "/db/GeoPoint"]);
    let limits = Limits::default();
    let parse = |json: &Value| parse_filter(json, &world.schema, &world.class, &limits);
    let ids = |n: usize| json!({ "id": { "$in": (0..n).map(|i| format!("/db/Random/{i}")).collect::<Vec<_>>() } });
    let ring = |n: usize| {
        let corners: Vec<Value> = (0..n).map(|i| json!([i as f64 / 100.0, i % 7])).collect();
        json!({ "f1": { "$geoWithin": { "$geometry": { "type": "Polygon", "coordinates": [corners] } } } })
    };
    let branches = |n: usize| json!({ "$or": vec![json!({ "f0": 1 }); n] });
    let conditions = |n: usize| json!({ "$and": vec![json!({ "$or": vec![json!({}); 250] }); n] });
    for (fits, exceeds) in [
        (ids(10_000), ids(10_001)),
        (ring(1_000), ring(1_001)),
        (branches(500), branches(501)),
        (conditions(7), conditions(8)),
    ] {
        assert!(parse(&fits).is_ok());
        assert!(matches!(parse(&exceeds), Err(QueryError::TooComplex(_))));
    }
    let fields: serde_json::Map<String, Value> = (0..501).map(|i| (format!("f0.{i}"), json!(1))).collect();
    let update = Update::parse(&json!({ "$set": fields }), &world.schema, &world.class, &limits);
    assert!(update.unwrap_err().to_string().contains("500"));
}

#[test]
fn nearness_orders_only_at_the_top_and_without_a_sort_order() {
    let world = world_of(&["/db/GeoPoint"]);
    let near = json!({ "f0": { "$near": { "$geometry": { "type": "Point", "coordinates": [0, 0] } } } });
    let order = |json: &Value, sort: &Value| {
        let keys = parse_sort(sort, &world.schema, &world.class, &Limits::default()).unwrap();
        Query::new(&world.class, parsed(&world, json), keys, 0, 10).order
    };
    assert!(matches!(order(&near, &json!({})), Order::Distance(..)));
    assert!(matches!(
        order(&json!({ "$and": [{ "version": 1 }, near] }), &json!(null)),
        Order::Distance(..)
    ));
    assert!(matches!(order(&near, &json!({ "id": 1 })), Order::By(_)));
    assert!(matches!(
        order(&json!({ "$or": [near, { "version": 1 }] }), &json!({})),
        Order::Natural
    ));
    let sphere = json!({ "f0": { "$geoWithin": { "$centerSphere": [[0, 0], 1] } } });
    assert!(matches!(order(&sphere, &json!([])), Order::Natural));
}
