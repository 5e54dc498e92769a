//! Schemas, queries and callers.

use fb_auth::{Principal, Roles};
use fb_query::{Filter, Limits, Query, parse_filter, parse_sort};
use fb_types::{ClassDef, ClassName, Schema};
use serde_json::{Value, json};

/// A class with a field of most types.
pub fn todo_class() -> Value {
    json!({ "class": "/db/Todo", "fields": {
        "title": { "type": "/db/String", "order": 0 },
        "group": { "type": "/db/String", "order": 1 },
        "rank": { "type": "/db/Integer", "order": 2 },
        "score": { "type": "/db/Double", "order": 3 },
        "done": { "type": "/db/Boolean", "order": 4 },
        "due": { "type": "/db/DateTime", "order": 5 },
        "tags": { "type": "/db/collection.Set[/db/String]", "order": 6 },
        "place": { "type": "/db/GeoPoint", "order": 7 },
        "data": { "type": "/db/JsonObject", "order": 8 },
        "alarms": { "type": "/db/collection.List[/db/DateTime]", "order": 9 },
    } })
}

/// The next schema, in which `def` is added or replaces the class of its name.
pub fn schema_with(previous: &Schema, def: &Value, destroyed: &[ClassName]) -> Schema {
    let def = ClassDef::from_json(def).expect("a class definition");
    let mut defs = previous.defs();
    match defs.iter_mut().find(|d| d.class == def.class) {
        Some(old) => *old = def,
        None => defs.push(def),
    }
    Schema::build(defs, previous.rev() + 1, Some(previous), destroyed).expect("a schema")
}

/// A filter on the class that every bench has.
pub fn filter(schema: &Schema, filter: &Value) -> Filter {
    let class = schema.class("Todo").expect("the class exists");
    parse_filter(filter, schema, class, &Limits::default()).expect("a filter")
}

/// A query on the class that every bench has.
pub fn query(schema: &Schema, condition: &Value, sort: &Value, offset: u64, limit: u64) -> Query {
    let class = schema.class("Todo").expect("the class exists");
    let sort = parse_sort(sort, schema, class, &Limits::default()).expect("a sort order");
    Query::new(class, filter(schema, condition), sort, offset, limit)
}

/// A logged-in user.
pub fn user(key: &str) -> Principal {
    Principal::user(format!("/db/User/{key}").parse().expect("an id"), Roles::default())
}
