//! Values that fit a type.

use fb_types::{FieldType, ItemType, Schema};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// Names of map keys and JSON members.
pub(super) const NAMES: [&str; 7] = ["a", "b", "0", "a b", "__proto__", "it's", "ü"];

/// The whole content of a field, often null.
pub(super) fn field(schema: &Schema, ty: &FieldType) -> BoxedStrategy<Value> {
    let whole = match ty {
        FieldType::One(one) => item(schema, one),
        FieldType::List(of) | FieldType::Set(of) => {
            let element = prop_oneof![6 => item(schema, of), 1 => Just(Value::Null)];
            vec(element, 0..4).prop_map(Value::Array).boxed()
        }
        FieldType::Map(_, of) => members(item(schema, of)),
    };
    prop_oneof![1 => Just(Value::Null), 5 => whole].boxed()
}

/// One value that is not null.
pub(super) fn item(schema: &Schema, ty: &ItemType) -> BoxedStrategy<Value> {
    match ty {
        ItemType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        ItemType::Integer => integer(),
        ItemType::Double => number(),
        ItemType::String => text(),
        ItemType::DateTime => moment(),
        ItemType::Date => day(),
        ItemType::Time => time(),
        ItemType::File => select(vec!["/file/www/a", "/file/www/b c"])
            .prop_map(Value::from)
            .boxed(),
        ItemType::GeoPoint => point(),
        ItemType::JsonArray => vec(json(), 0..4).prop_map(Value::Array).boxed(),
        ItemType::JsonObject => members(json()),
        ItemType::Reference(class) => {
            let class = class.clone();
            (0..4u8)
                .prop_map(move |key| Value::from(format!("/db/{class}/{key}")))
                .boxed()
        }
        ItemType::Embedded(class) => {
            let class = schema.class(class.as_str()).expect("schemas are complete").clone();
            let fields: Vec<_> = class.fields().iter().map(|inner| field(schema, inner.ty())).collect();
            let object = move |values: Vec<Value>| {
                let names = class.fields().iter().map(|inner| inner.name().to_owned());
                Value::Object(names.zip(values).collect())
            };
            fields.prop_map(object).boxed()
        }
    }
}

fn members(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let entries = vec((select(&NAMES[..]), value), 0..4);
    entries
        .prop_map(|entries| {
            let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
            Value::Object(entries.collect::<Map<_, _>>())
        })
        .boxed()
}

/// Untyped JSON, up to three levels deep.
pub(super) fn json() -> BoxedStrategy<Value> {
    let scalar = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        3 => number(),
        3 => text(),
        1 => select(vec!["2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.120Z"]).prop_map(Value::from),
        1 => point(),
    ];
    scalar
        .prop_recursive(2, 12, 4, |inner| {
            prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::Array), members(inner.boxed())]
        })
        .boxed()
}

pub(super) fn integer() -> BoxedStrategy<Value> {
    let edges = vec![
        i64::MIN,
        i64::MAX,
        (1 << 53) - 1,
        1 << 53,
        (1 << 53) + 1,
        -(1 << 53) - 1,
    ];
    prop_oneof![5 => (-3..6i64).prop_map(Value::from), 1 => select(edges).prop_map(Value::from)].boxed()
}

pub(super) fn number() -> BoxedStrategy<Value> {
    let edges = vec![
        0.5,
        1.0,
        1.5,
        -1.5,
        -0.0,
        1e300,
        -1e-300,
        9_007_199_254_740_992.0,
        9.3e18,
    ];
    prop_oneof![3 => integer(), 2 => select(edges).prop_map(Value::from)].boxed()
}

pub(super) fn text() -> BoxedStrategy<Value> {
    let texts = vec![
        "", "a", "a\0b", "ab", "abc", "b", "A", "a%", "a_c", "it's", "\"q\"", "\\", "a\nb", "ä", "\u{ffff}", "😀", "1",
        "true", "null", "a.b", "$a",
    ];
    select(texts).prop_map(Value::from).boxed()
}

pub(super) fn moment() -> BoxedStrategy<Value> {
    let texts = vec![
        "2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00.1Z",
        "2024-01-01T00:00:00.12Z",
        "2024-01-01T00:00:00.123Z",
        "2024-01-01T00:00:01Z",
        "2023-12-31T23:59:59.9Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
    ];
    select(texts).prop_map(Value::from).boxed()
}

pub(super) fn day() -> BoxedStrategy<Value> {
    select(vec!["2024-01-01", "2024-01-02", "2023-12-31", "0001-01-01"])
        .prop_map(Value::from)
        .boxed()
}

pub(super) fn time() -> BoxedStrategy<Value> {
    select(vec!["00:00:00Z", "17:33:14Z", "17:33:14.5Z", "17:33:14.45Z"])
        .prop_map(Value::from)
        .boxed()
}

pub(super) fn point() -> BoxedStrategy<Value> {
    let latitude = select(vec![-90.0, -1.0, 0.0, 0.5, 1.0, 53.55, 90.0]);
    let longitude = select(vec![-180.0, -179.9, -1.0, 0.0, 0.5, 1.0, 9.99, 180.0]);
    (latitude, longitude)
        .prop_map(|(lat, lng)| json!({ "latitude": lat, "longitude": lng }))
        .boxed()
}
