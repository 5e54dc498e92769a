use serde_json::{Value, json};

use super::*;
use crate::ClassDef;
use crate::schema::predefined;

fn check(ty: &str, value: Value) -> Result<Value, String> {
    let mut defs = predefined();
    for class in [
        json!({ "class": "/db/Person" }),
        json!({ "class": "/db/Student", "superClass": "/db/Person" }),
        json!({ "class": "/db/Address", "embedded": true, "fields": {
            "zip": { "type": "/db/Integer", "order": 0 }, "city": { "type": "/db/String", "order": 1 } } }),
        json!({ "class": "/db/Thing", "fields": { "f": { "type": ty } } }),
    ] {
        defs.push(ClassDef::from_json(&class).unwrap());
    }
    let schema = Schema::build(defs, 1, None, &[]).unwrap();
    let class = schema.class("Thing").unwrap();
    let input = json!({ "f": value });
    let fields = schema
        .check_fields(class, input.as_object().unwrap(), None)
        .map_err(|e| e.to_string())?;
    Ok(fields["f"].clone())
}

#[test]
fn values_get_their_normal_form() {
    for (ty, given, normal) in [
        ("/db/Integer", json!(3.9), json!(3)),
        ("/db/Integer", json!("-7"), json!(-7)),
        (
            "/db/Integer",
            json!(9_223_372_036_854_775_807_i64),
            json!(9_223_372_036_854_775_807_i64),
        ),
        ("/db/Double", json!("1.5"), json!(1.5)),
        ("/db/Double", json!(3), json!(3)),
        ("/db/Boolean", json!("true"), json!(true)),
        ("/db/String", json!(""), json!("")),
        (
            "/db/DateTime",
            json!("2024-11-20T22:16:00.120Z"),
            json!("2024-11-20T22:16:00.12Z"),
        ),
        ("/db/Date", json!("2013-11-22T00:00:00.000Z"), json!("2013-11-22")),
        ("/db/Time", json!("17:33:14.500Z"), json!("17:33:14.5Z")),
        ("/db/File", json!("/file/www/a b.png"), json!("/file/www/a b.png")),
        (
            "/db/GeoPoint",
            json!({ "longitude": 1, "latitude": 2.5, "x": 1 }),
            json!({ "latitude": 2.5, "longitude": 1 }),
        ),
        (
            "/db/JsonObject",
            json!({ "b": null, "a": [] }),
            json!({ "b": null, "a": [] }),
        ),
        ("/db/Person", json!("/db/Student/a%2fb"), json!("/db/Student/a%2Fb")),
        (
            "/db/Address",
            json!({ "zip": 1, "x": 2 }),
            json!({ "zip": 1, "city": null }),
        ),
        (
            "/db/collection.List[/db/String]",
            json!(["a", null, "a"]),
            json!(["a", null, "a"]),
        ),
        (
            "/db/collection.Set[/db/Double]",
            json!([1, 1.0, 2, null, null]),
            json!([1, 2, null]),
        ),
        (
            "/db/collection.Map[/db/String,/db/Integer]",
            json!({ "a.b": 1, "$x": null }),
            json!({ "a.b": 1 }),
        ),
        (
            "/db/collection.Map[/db/Time,/db/Integer]",
            json!({ "1970-01-01T17:33:14Z": 1 }),
            json!({ "1970-01-01T17:33:14Z": 1 }),
        ),
        (
            "/db/collection.Set[/db/Address]",
            json!([{ "zip": 1 }, { "city": null, "zip": 1 }]),
            json!([{ "zip": 1, "city": null }]),
        ),
    ] {
        assert_eq!(check(ty, given.clone()).unwrap(), normal, "{ty} {given}");
    }
}

#[test]
fn values_that_do_not_fit_are_refused() {
    for (ty, given) in [
        ("/db/Integer", json!("x")),
        ("/db/Integer", json!(1e19)),
        ("/db/Integer", json!([1])),
        ("/db/Double", json!("NaN")),
        ("/db/Double", json!("inf")),
        ("/db/Boolean", json!(1)),
        ("/db/String", json!(1)),
        ("/db/DateTime", json!("yesterday")),
        ("/db/Date", json!(20131122)),
        ("/db/File", json!("www/a.png")),
        ("/db/GeoPoint", json!({ "latitude": 91, "longitude": 0 })),
        ("/db/GeoPoint", json!({ "latitude": 1 })),
        ("/db/JsonObject", json!([])),
        ("/db/Person", json!("/db/Address/1")),
        ("/db/Person", json!("/db/Nobody/1")),
        ("/db/Student", json!("/db/Person/1")),
        ("/db/Address", json!({ "zip": "x" })),
        ("/db/collection.List[/db/String]", json!("a")),
        ("/db/collection.Map[/db/Integer,/db/String]", json!({ "x": "a" })),
    ] {
        let error = check(ty, given.clone()).unwrap_err();
        assert!(
            error.starts_with("Thing.f") && error.contains("found"),
            "{ty} {given}: {error}"
        );
    }
}

#[test]
fn numbers_are_compared_exactly() {
    assert!(same_value(&json!(1), &json!(1.0)));
    assert!(!same_value(
        &json!(9_007_199_254_740_993_i64),
        &json!(9_007_199_254_740_992.0)
    ));
    assert!(same_value(&json!({ "a": 1, "b": 2 }), &json!({ "b": 2.0, "a": 1 })));
}
