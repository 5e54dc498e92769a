//! Filters and sort orders that a world accepts, and JSON that anything may refuse.

use fb_types::{Class, FieldType, ItemType, Schema};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::World;
use super::value::{NAMES, day, field, item, json as untyped, moment, number, text, time};

/// A place that filters can name, and the values that stand there.
#[derive(Debug, Clone)]
struct Place {
    path: String,
    value: BoxedStrategy<Value>,
    /// Values of the elements, if arrays stand there.
    element: Option<BoxedStrategy<Value>>,
    has_points: bool,
}

fn places(world: &World) -> Vec<Place> {
    let mut places = Vec::new();
    let metadata = |path: &str, value: BoxedStrategy<Value>| Place {
        path: path.into(),
        value,
        element: None,
        has_points: false,
    };
    places.push(metadata(
        "id",
        (0..1000u16)
            .prop_map(|key| json!(format!("/db/Random/{key:03}")))
            .boxed(),
    ));
    places.push(metadata("version", (1..5u8).prop_map(Value::from).boxed()));
    places.push(metadata("createdAt", moment()));
    collect(&world.schema, &world.class, "", &mut places);
    places
}

fn collect(schema: &Schema, class: &Class, prefix: &str, places: &mut Vec<Place>) {
    for declared in class.fields() {
        let path = format!("{prefix}{}", declared.name());
        let ty = declared.ty();
        let of = ty.item();
        let is_array = matches!(ty, FieldType::List(_) | FieldType::Set(_));
        let has_points = *of == ItemType::GeoPoint && !matches!(ty, FieldType::Map(..));
        let whole = field(schema, ty);
        let one = item(schema, of);
        let value = if is_array {
            prop_oneof![3 => one.clone(), 1 => whole].boxed()
        } else {
            whole
        };
        let element = match (is_array, of) {
            (true, _) => Some(one.clone()),
            (false, ItemType::JsonArray) => Some(untyped()),
            (false, _) => None,
        };
        places.push(Place {
            path: path.clone(),
            value,
            element,
            has_points,
        });
        let add = |places: &mut Vec<Place>, step: &str, value: BoxedStrategy<Value>| {
            places.push(Place {
                path: format!("{path}.{step}"),
                value,
                element: None,
                has_points: false,
            });
        };
        match ty {
            FieldType::List(_) | FieldType::Set(_) => add(places, "1", one.clone()),
            FieldType::Map(..) => NAMES.iter().for_each(|key| add(places, key, one.clone())),
            FieldType::One(_) => {}
        }
        match (ty, of) {
            (FieldType::Map(..), ItemType::Embedded(inner)) => {
                if let Some(inner) = schema.class(inner.as_str()) {
                    collect(schema, inner, &format!("{path}.a."), places);
                }
            }
            (_, ItemType::Embedded(inner)) => {
                if let Some(inner) = schema.class(inner.as_str()) {
                    collect(schema, inner, &format!("{path}."), places);
                }
            }
            (FieldType::Map(..), _) => {}
            (_, ItemType::JsonObject | ItemType::JsonArray) => {
                for step in ["a", "0", "__proto__", "it's", "a.b", "a.0", "0.a", "1.a.b"] {
                    places.push(Place {
                        path: format!("{path}.{step}"),
                        value: untyped(),
                        element: Some(untyped()),
                        has_points: true,
                    });
                }
            }
            (_, ItemType::GeoPoint) => {
                add(places, "latitude", number());
                add(places, "longitude", number());
            }
            _ => {}
        }
    }
}

/// Filters as JSON that [`parse_filter`](crate::parse_filter) accepts for the class `Random`.
pub fn filter(world: &World) -> BoxedStrategy<Value> {
    let condition = select(places(world)).prop_flat_map(|place| {
        let path = place.path.clone();
        conditions(place).prop_map(move |condition| json!({ path.clone(): condition }))
    });
    let several = vec(condition.clone(), 0..3).prop_map(|conditions| {
        let mut merged = Map::new();
        for condition in conditions {
            merged.extend(condition.as_object().cloned().unwrap_or_default());
        }
        Value::Object(merged)
    });
    let base = prop_oneof![4 => condition, 1 => several];
    base.prop_recursive(2, 8, 3, |inner| {
        (select(vec!["$and", "$or", "$nor"]), vec(inner, 1..4))
            .prop_map(|(operator, branches)| json!({ operator: branches }))
    })
    .boxed()
}

/// What stands behind a path: a value, or operators.
fn conditions(place: Place) -> BoxedStrategy<Value> {
    let value = operand(&place);
    let operators = operators(&place);
    let not = operators.clone().prop_map(|inner| json!({ "$not": inner }));
    let two = (operators.clone(), operators.clone()).prop_map(|(a, b)| {
        let mut merged = a.as_object().cloned().unwrap_or_default();
        merged.extend(b.as_object().cloned().unwrap_or_default());
        Value::Object(merged)
    });
    prop_oneof![3 => value, 6 => operators, 1 => not, 1 => two].boxed()
}

/// Mostly what can stand there, sometimes something of another type.
fn operand(place: &Place) -> BoxedStrategy<Value> {
    let is_time = |value: &Value| {
        value
            .as_str()
            .is_some_and(|t| t.contains(':') || t.starts_with("2024") || t.starts_with("2023"))
    };
    // Other texts are refused at time fields, so that foreign operands are no texts.
    let foreign = prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        number(),
        Just(json!([])),
        Just(json!({ "a": 1 }))
    ];
    let dated = place.value.clone().prop_map(move |value| match &value {
        Value::String(text) if is_time(&value) && text.len() > 10 && text.contains('T') => json!({ "$date": text }),
        _ => value,
    });
    prop_oneof![5 => place.value.clone(), 2 => dated, 1 => foreign].boxed()
}

fn operators(place: &Place) -> BoxedStrategy<Value> {
    let value = operand(place);
    let compare = (select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), value.clone());
    let lists = (select(vec!["$in", "$nin", "$all"]), vec(value, 0..12));
    let pattern = select(vec![
        "^a",
        "^ab?c?$",
        "^[^a]",
        "^a|^b",
        "^it's",
        "^",
        "^a%",
        r"^\w+$",
        "^/db/Target/[12]",
    ]);
    let multi_line = any::<bool>();
    let types = vec!["null", "number", "string", "object", "array", "bool", "date"];
    let mut all = vec![
        (
            6,
            compare.prop_map(|(operator, value)| json!({ operator: value })).boxed(),
        ),
        (
            3,
            lists.prop_map(|(operator, values)| json!({ operator: values })).boxed(),
        ),
        (1, any::<bool>().prop_map(|exists| json!({ "$exists": exists })).boxed()),
        (1, (0..4u8).prop_map(|size| json!({ "$size": size })).boxed()),
        (
            1,
            (select(vec![-2, -1, 1, 2, 3]), -2..3i8)
                .prop_map(|(d, r)| json!({ "$mod": [d, r] }))
                .boxed(),
        ),
        (
            1,
            vec(select(types), 1..3)
                .prop_map(|types| json!({ "$type": types }))
                .boxed(),
        ),
        (
            1,
            (pattern, multi_line)
                .prop_map(|(p, m)| json!({ "$regex": p, "$options": if m { "m" } else { "" } }))
                .boxed(),
        ),
    ];
    if let Some(element) = &place.element {
        let inner = Place {
            value: element.clone(),
            element: None,
            ..place.clone()
        };
        let tests = operators(&inner).prop_map(|tests| json!({ "$elemMatch": tests }));
        all.push((2, tests.boxed()));
    }
    if place.has_points {
        all.push((3, geo()));
    }
    proptest::strategy::Union::new_weighted(all).boxed()
}

fn geo() -> BoxedStrategy<Value> {
    let center = (
        select(vec![-180.0, -1.0, 0.0, 0.5, 9.99, 179.9]),
        select(vec![-90.0, -1.0, 0.0, 0.6, 53.5, 89.9]),
    );
    let near =
        (center, select(vec![1e3, 1e5, 2e6, 1.9e7]), select(vec![0.0, 5e4])).prop_map(|((lng, lat), max, min)| {
            json!({ "$nearSphere": { "$geometry": { "type": "Point", "coordinates": [lng, lat] },
            "$maxDistance": max, "$minDistance": min } })
        });
    let corner = || {
        (
            select(vec![-180.0, -1.0, 0.25, 1.0, 20.0]),
            select(vec![-90.0, -1.0, 0.25, 1.0, 60.0]),
        )
    };
    let polygon = vec(corner().prop_map(|(lng, lat)| json!([lng, lat])), 4..6).prop_map(|mut ring| {
        // Equal ends are taken for a closed ring, which must have three corners besides.
        ring.dedup();
        ring.extend([json!([0, 0]), json!([2, 0]), json!([1, 2])]);
        json!({ "$geoWithin": { "$geometry": { "type": "Polygon", "coordinates": [ring] } } })
    });
    let rectangle =
        (corner(), corner()).prop_map(|(a, b)| json!({ "$geoWithin": { "$box": [[a.0, a.1], [b.0, b.1]] } }));
    prop_oneof![near, polygon, rectangle].boxed()
}

/// Sort orders as JSON, of none to three keys, that [`parse_sort`](crate::parse_sort) accepts for the class `Random`.
pub fn sort(world: &World) -> BoxedStrategy<Value> {
    let paths: Vec<String> = places(world).into_iter().map(|place| place.path).collect();
    let key = (select(paths), any::<bool>());
    vec(key, 0..4)
        .prop_map(|keys| {
            let keys = keys
                .into_iter()
                .map(|(path, descending)| (path, json!(if descending { -1 } else { 1 })));
            Value::Object(keys.collect::<Map<_, _>>())
        })
        .boxed()
}

/// Any JSON, made of what filters, sort orders and updates are made of. Most of it makes no sense.
pub fn any_json() -> BoxedStrategy<Value> {
    let names = vec![
        "f0",
        "f1",
        "f0.a",
        "f0.0",
        "id",
        "version",
        "acl.x",
        "$and",
        "$or",
        "$nor",
        "$not",
        "$eq",
        "$ne",
        "$gt",
        "$lte",
        "$in",
        "$all",
        "$exists",
        "$type",
        "$size",
        "$mod",
        "$regex",
        "$options",
        "$elemMatch",
        "$near",
        "$nearSphere",
        "$geoWithin",
        "$geometry",
        "$maxDistance",
        "$box",
        "$centerSphere",
        "type",
        "coordinates",
        "$date",
        "$where",
        "$set",
        "$inc",
        "$mul",
        "$min",
        "$push",
        "$pop",
        "$replace",
        "$add",
        "$remove",
        "$put",
        "$currentDate",
        "$rename",
        "$",
        "",
        ".",
        "__proto__",
    ];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text(),
        moment(),
        day(),
        time(),
        select(vec!["^a", "(", "Point", "Polygon", "m", "string", "/db/Target/1"]).prop_map(Value::from),
    ];
    scalar
        .prop_recursive(6, 48, 5, move |inner| {
            let members = vec((select(names.clone()), inner.clone()), 0..4);
            let object = members.prop_map(|members| {
                Value::Object(
                    members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            });
            prop_oneof![1 => vec(inner, 0..4).prop_map(Value::Array), 3 => object]
        })
        .boxed()
}
