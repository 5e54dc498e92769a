//! Random schemas, objects, filters and sort orders that fit together, for property tests of everything that evaluates
//! filters. Values are drawn from few, so that conditions often hold, and sit at the edges of what is hard.

mod filter;
mod value;

use std::sync::Arc;

use fb_types::schema::predefined;
use fb_types::{Class, ClassDef, Schema, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

pub use filter::{any_json, filter, sort};

/// Types that the fields of a random class have.
const TYPES: [&str; 28] = [
    "/db/Boolean",
    "/db/Integer",
    "/db/Double",
    "/db/String",
    "/db/DateTime",
    "/db/Date",
    "/db/Time",
    "/db/File",
    "/db/GeoPoint",
    "/db/JsonObject",
    "/db/JsonArray",
    "/db/Target",
    "/db/Outer",
    "/db/collection.List[/db/String]",
    "/db/collection.List[/db/Integer]",
    "/db/collection.List[/db/Double]",
    "/db/collection.List[/db/DateTime]",
    "/db/collection.List[/db/JsonObject]",
    "/db/collection.List[/db/JsonArray]",
    "/db/collection.List[/db/GeoPoint]",
    "/db/collection.List[/db/Outer]",
    "/db/collection.Set[/db/String]",
    "/db/collection.Set[/db/Boolean]",
    "/db/collection.Set[/db/Target]",
    "/db/collection.Set[/db/Time]",
    "/db/collection.Map[/db/String,/db/Date]",
    "/db/collection.Map[/db/String,/db/Double]",
    "/db/collection.Map[/db/String,/db/Outer]",
];

/// A class with random fields, and the schema it is part of.
#[derive(Debug, Clone)]
pub struct World {
    /// The predefined classes, `Target` (for references), `Outer` and `Inner` (embeddables), and `Random`.
    pub schema: Arc<Schema>,
    /// The class `Random`.
    pub class: Arc<Class>,
}

/// Schemas with a class `Random` of 1 to 6 fields `f0`, `f1`, … of random types.
pub fn world() -> impl Strategy<Value = World> {
    vec(select(&TYPES[..]), 1..=6).prop_map(|types| world_of(&types))
}

/// The world whose class has fields `f0`, `f1`, … of exactly these types.
pub fn world_of(types: &[&str]) -> World {
    let fields: Map<String, Value> = types
        .iter()
        .enumerate()
        .map(|(i, ty)| (format!("f{i}"), json!({ "type": ty, "order": i })))
        .collect();
    let classes = [
        json!({ "class": "/db/Target" }),
        json!({ "class": "/db/Inner", "embedded": true, "fields": {
            "n": { "type": "/db/Integer" }, "d": { "type": "/db/Date" } } }),
        json!({ "class": "/db/Outer", "embedded": true, "fields": {
            "s": { "type": "/db/String" }, "t": { "type": "/db/DateTime" },
            "l": { "type": "/db/collection.List[/db/Double]" },
            "j": { "type": "/db/JsonObject" }, "i": { "type": "/db/Inner" } } }),
        json!({ "class": "/db/Random", "fields": fields }),
    ];
    let own = classes
        .iter()
        .map(|class| ClassDef::from_json(class).expect("it is a definition"));
    let schema = Schema::build(predefined().into_iter().chain(own).collect(), 1, None, &[]).expect("it is a schema");
    let class = schema.class("Random").expect("it was defined").clone();
    World {
        schema: Arc::new(schema),
        class,
    }
}

/// A complete object of `Random` in normal form, with metadata; its key is one of `000` to `999`.
pub fn object(world: &World) -> impl Strategy<Value = Value> + use<> {
    let world = world.clone();
    let fields: Vec<_> = world
        .class
        .fields()
        .iter()
        .map(|field| value::field(&world.schema, field.ty()))
        .collect();
    (fields, 0..1000u16, 1..5u8, 0..4i64).prop_map(move |(values, key, version, age)| {
        let names = world.class.fields().iter().map(|field| field.name().to_owned());
        let given: Map<String, Value> = names.zip(values).collect();
        let moment = |millis| Timestamp::from_millis(1_700_000_000_000 + millis * 60).to_string();
        let mut object = Map::new();
        object.insert("id".into(), json!(format!("/db/Random/{key:03}")));
        object.insert("version".into(), json!(version));
        object.insert("acl".into(), Value::Null);
        object.insert("createdAt".into(), json!(moment(0)));
        object.insert("updatedAt".into(), json!(moment(age)));
        object.extend(
            world
                .schema
                .check_fields(&world.class, &given, None)
                .expect("the values fit"),
        );
        Value::Object(object)
    })
}

/// Up to `most` objects with different ids, in the order of their ids.
pub fn objects(world: &World, most: usize) -> impl Strategy<Value = Vec<Value>> + use<> {
    vec(object(world), 0..=most).prop_map(|mut objects| {
        let id = |object: &Value| object["id"].as_str().unwrap_or_default().to_owned();
        objects.sort_by_key(id);
        objects.dedup_by_key(|object| id(object));
        objects
    })
}
