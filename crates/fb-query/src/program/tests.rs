//! Short forms pass what filters pass.

use serde_json::json;

use super::*;
use crate::generate::world_of;
use crate::{Limits, parse_filter};

#[test]
fn a_filter_of_a_few_conditions_needs_no_memory_of_its_own() {
    assert_eq!(size_of::<Bound>(), 48);
    let world = world_of(&["/db/String", "/db/Double"]);
    for (filter, is_own) in [
        (json!({ "f0": "/db/User/1234567", "f1": { "$gt": 10 } }), true),
        (json!({ "f1": { "$gte": 1, "$lt": 2.5, "$mod": [7, 1] } }), true),
        (json!({ "f1": { "$gte": 1, "$lt": 2.5 }, "version": 4 }), true),
        (
            json!({ "f1": { "$gte": 1, "$lt": 2.5, "$mod": [7, 1] }, "version": 4 }),
            false,
        ),
        (json!({ "f0": "a".repeat(46) }), false),
        (json!({ "f0": { "$in": ["a", "b"] } }), false),
    ] {
        let parsed = parse_filter(&filter, &world.schema, &world.class, &Limits::default()).expect("it is a filter");
        let bound = Slots::default().bind(parsed);
        assert_eq!(matches!(bound.0, Room::Own(..)), is_own, "{filter}");
    }
}

#[test]
fn patterns_that_are_plain_beginnings_are_evaluated_as_such_and_pass_the_same() {
    for (ty, is_plain) in [
        ("/db/String", true),
        ("/db/collection.List[/db/String]", true),
        ("/db/JsonObject", true),
        ("/db/Date", false),
    ] {
        let world = world_of(&[ty]);
        for pattern in [
            "^2013",
            "^2013-11-22",
            "^a.c",
            "^a\\.",
            "^a|^b",
            "^ab$",
            "^(ab)",
            "^ab?",
        ] {
            let json = json!({ "f0": { "$regex": pattern } });
            let Ok(filter) = parse_filter(&json, &world.schema, &world.class, &Limits::default()) else {
                continue;
            };
            let mut slots = Slots::default();
            let bound = slots.bind(filter.clone());
            let is_begins = matches!(bound.0, Room::Own(_, own) if own[0] == BEGINS);
            assert_eq!(is_begins, is_plain && pattern.starts_with("^2013"), "{ty} {pattern}");
            for value in [
                json!("2013-11-22"),
                json!("201"),
                json!("2013"),
                json!("a.c"),
                json!("abc"),
                json!("ab"),
                json!(2013),
                json!(["x", "2013-11"]),
                json!([["2013"]]),
                json!({ "2013": "2013" }),
                json!(null),
            ] {
                let object = json!({ "f0": value });
                let passes = bound.matches(&slots, &slots.fields(&object));
                assert_eq!(passes, filter.matches(&object), "{ty} {pattern} {object}");
            }
        }
    }
}

#[test]
fn short_forms_pass_the_same() {
    let values = [
        json!("a"),
        json!("ab"),
        json!(5),
        json!(5.5),
        json!(-0.0),
        json!(9_007_199_254_740_993_u64),
        json!(true),
        json!(null),
        json!(["a", 7]),
        json!([["a"]]),
        json!([]),
        json!({ "a": "a" }),
        json!("x".repeat(300)),
        json!(false),
        json!([true, 5, 12]),
        json!("2013-11-22"),
    ];
    for ty in [
        "/db/String",
        "/db/Double",
        "/db/JsonObject",
        "/db/JsonArray",
        "/db/collection.List[/db/String]",
        "/db/Date",
    ] {
        let world = world_of(&[ty]);
        for test in [
            json!("a"),
            json!("2013-11-22"),
            json!({ "$ne": "a" }),
            json!({ "$gt": 5 }),
            json!({ "$gte": 5 }),
            json!({ "$lt": 9_007_199_254_740_992_u64 }),
            json!({ "$lte": 5.5 }),
            json!({ "$lt": 0 }),
            json!(5),
            json!(0),
            json!(9_007_199_254_740_992_u64),
            json!(true),
            json!(false),
            json!(null),
            json!({ "$mod": [5, 0] }),
            json!({ "$mod": [-7, 5] }),
            json!({ "$gt": 4, "$lt": 6 }),
            json!({ "$not": { "$gt": 4, "$lt": 6 } }),
            json!("x".repeat(300)),
        ] {
            let json = json!({ "f0": test });
            let Ok(filter) = parse_filter(&json, &world.schema, &world.class, &Limits::default()) else {
                continue;
            };
            let mut slots = Slots::default();
            let bound = slots.bind(filter.clone());
            for value in &values {
                let object = json!({ "f0": value });
                let passes = bound.matches(&slots, &slots.fields(&object));
                assert_eq!(passes, filter.matches(&object), "{ty} {json} {object}");
            }
            assert_eq!(
                bound.matches(&slots, &slots.fields(&json!({}))),
                filter.matches(&json!({})),
                "{ty} {json}"
            );
        }
    }
}
