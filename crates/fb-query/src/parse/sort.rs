//! Sort orders.

use fb_types::{Class, Schema};
use serde_json::Value;

use crate::ast::{Path, SortKey};
use crate::error::{Limits, QueryError, describe};

/// Parses a sort order: an object whose member order matters, `{"name": 1, "age": -1}`, or an array of such objects with
/// one member each. `null`, `{}` and `[]` are no order. A path that is repeated counts where it stands first.
pub fn parse_sort(json: &Value, schema: &Schema, class: &Class, limits: &Limits) -> Result<Vec<SortKey>, QueryError> {
    let bad = |found: &Value| {
        let form = "a sort order is an object like {\"name\": 1, \"age\": -1}";
        QueryError::Syntax(format!("{form}, found {}", describe(found)))
    };
    let members: Vec<(&String, &Value)> = match json {
        Value::Null => Vec::new(),
        Value::Object(members) => members.iter().collect(),
        Value::Array(objects) => {
            let mut all = Vec::with_capacity(objects.len().min(limits.sort_keys));
            for object in objects {
                match object {
                    Value::Object(members) if members.len() == 1 => all.extend(members.iter()),
                    other => return Err(bad(other)),
                }
            }
            all
        }
        other => return Err(bad(other)),
    };
    if members.len() > limits.sort_keys {
        return Err(QueryError::TooComplex(format!(
            "the sort order has {} keys, at most {} are allowed",
            members.len(),
            limits.sort_keys
        )));
    }
    let mut keys: Vec<SortKey> = Vec::with_capacity(members.len());
    for (name, direction) in members {
        let path = Path::parse(name, schema, class, limits)?;
        let descending = match direction.as_f64() {
            Some(1.0) => false,
            Some(-1.0) => true,
            _ => {
                return Err(QueryError::WrongOperand {
                    path: path.to_string(),
                    operator: "sort".into(),
                    expected: "1 or -1".into(),
                    found: describe(direction),
                });
            }
        };
        if keys.iter().all(|key| key.path != path) {
            keys.push(SortKey { path, descending });
        }
    }
    Ok(keys)
}
