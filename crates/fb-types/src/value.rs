//! Field values: which JSON fits which type, and its normal form.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Number, Value};

use crate::schema::{Class, Field, FieldType, ItemType, Schema};
use crate::time::{Timestamp, date_normal_form, time_normal_form};
use crate::{ClassName, ObjectId};

/// A value that does not fit its field. The message names class, field, expected and found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}.{field} must be {expected}, found {found}")]
pub struct ValueError {
    /// Class whose schema was violated.
    pub class: ClassName,
    /// Dotted path of the value within the object.
    pub field: String,
    /// What the schema asks for.
    pub expected: String,
    /// What came.
    pub found: String,
}

/// The JSON type of a value, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// a number
    Number,
    /// a string
    String,
    /// an array
    Array,
    /// an object
    Object,
}

impl std::fmt::Display for ValueKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// The JSON type of `value`.
pub fn kind_of(value: &Value) -> ValueKind {
    match value {
        Value::Null => ValueKind::Null,
        Value::Bool(_) => ValueKind::Boolean,
        Value::Number(_) => ValueKind::Number,
        Value::String(_) => ValueKind::String,
        Value::Array(_) => ValueKind::Array,
        Value::Object(_) => ValueKind::Object,
    }
}

/// Deep equality in which `1` equals `1.0` and the order of object members does not count.
pub fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => same_number(x, y),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_value(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same_value(v, w)))
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    if let (Some(x), Some(y)) = (a.as_i64(), b.as_i64()) {
        return x == y;
    }
    if let (Some(x), Some(y)) = (a.as_u64(), b.as_u64()) {
        return x == y;
    }
    // At least one is a float. An integer equals it only if it is exactly that float.
    let exact = |n: &Number| match (n.as_i64(), n.as_u64()) {
        (Some(i), _) => Some(i as f64).filter(|f| *f as i128 == i128::from(i)),
        (None, Some(u)) => Some(u as f64).filter(|f| *f as u128 == u128::from(u)),
        (None, None) => n.as_f64(),
    };
    matches!((exact(a), exact(b)), (Some(x), Some(y)) if x == y)
}

/// Largest integer that every double up to it represents exactly, 2^53.
const EXACT_DOUBLE: i64 = 1 << 53;

/// Checks values of one class against the schema and brings them into normal form.
pub(crate) struct Checker<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) class: &'a Class,
}

impl Checker<'_> {
    fn error(&self, path: &str, expected: impl Into<String>, value: &Value) -> ValueError {
        let found = match value {
            Value::String(text) => format!("the string \"{}\"", text.chars().take(40).collect::<String>()),
            Value::Number(number) => format!("the number {number}"),
            other => kind_of(other).to_string(),
        };
        ValueError {
            class: self.class.name().clone(),
            field: path.to_owned(),
            expected: expected.into(),
            found,
        }
    }

    /// The normal form of `value` as the content of `field`; `null` fits every field.
    pub(crate) fn field(&self, field: &Field, path: &str, value: &Value) -> Result<Value, ValueError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        match field.ty() {
            FieldType::One(item) => self.item(item, path, value),
            FieldType::List(item) => Ok(Value::Array(self.elements(item, path, value)?)),
            FieldType::Set(item) => {
                let mut unique = UniqueValues::default();
                for element in self.elements(item, path, value)? {
                    unique.push(element);
                }
                Ok(Value::Array(unique.values))
            }
            FieldType::Map(key, item) => self.map(key, item, path, value),
        }
    }

    fn elements(&self, item: &ItemType, path: &str, value: &Value) -> Result<Vec<Value>, ValueError> {
        let Value::Array(elements) = value else {
            return Err(self.error(path, "an array", value));
        };
        let check = |(i, element): (usize, &Value)| match element {
            Value::Null => Ok(Value::Null),
            element => self.item(item, &format!("{path}.{i}"), element),
        };
        elements.iter().enumerate().map(check).collect()
    }

    fn map(&self, key: &ItemType, item: &ItemType, path: &str, value: &Value) -> Result<Value, ValueError> {
        let Value::Object(members) = value else {
            return Err(self.error(path, "an object (a map)", value));
        };
        let mut checked = Map::new();
        for (name, member) in members {
            self.map_key(key, path, name)?;
            // Clients drop entries without a value when they save; so does the server.
            if !member.is_null() {
                checked.insert(name.clone(), self.item(item, &format!("{path}.{name}"), member)?);
            }
        }
        Ok(Value::Object(checked))
    }

    /// Keys are echoed as they came; here they are only checked. Dates and times come as full ISO moments.
    fn map_key(&self, key: &ItemType, path: &str, name: &str) -> Result<(), ValueError> {
        let fits = match key {
            ItemType::Boolean => matches!(name, "true" | "false"),
            ItemType::Integer | ItemType::Double => name.trim().parse::<f64>().is_ok_and(f64::is_finite),
            ItemType::String => true,
            ItemType::DateTime => name.parse::<Timestamp>().is_ok(),
            ItemType::Date => date_normal_form(name).is_ok(),
            ItemType::Time => time_normal_form(name).is_ok(),
            ItemType::File => file_id_ok(name),
            ItemType::Reference(target) => self.reference(target, name).is_some(),
            // Rejected as key types when the schema is built; JSON text is what clients would send for them.
            ItemType::GeoPoint | ItemType::JsonArray | ItemType::JsonObject | ItemType::Embedded(_) => true,
        };
        if fits {
            Ok(())
        } else {
            Err(self.error(
                path,
                format!("a map whose keys are {}", key.describe()),
                &Value::String(name.to_owned()),
            ))
        }
    }

    /// The canonical spelling of a reference to an object of `target` or of one of its subclasses.
    fn reference(&self, target: &ClassName, text: &str) -> Option<String> {
        let id = text.parse::<ObjectId>().ok()?;
        self.schema.is_subclass(id.class(), target).then(|| id.to_string())
    }

    /// The normal form of one value that is not null.
    pub(crate) fn item(&self, item: &ItemType, path: &str, value: &Value) -> Result<Value, ValueError> {
        let wrong = || self.error(path, item.describe(), value);
        let text = || value.as_str().ok_or_else(wrong);
        match item {
            ItemType::Boolean => match value {
                Value::Bool(_) => Ok(value.clone()),
                Value::String(text) if text == "true" => Ok(Value::Bool(true)),
                Value::String(text) if text == "false" => Ok(Value::Bool(false)),
                _ => Err(wrong()),
            },
            ItemType::Integer => integer(value).map(Value::from).ok_or_else(wrong),
            ItemType::Double => double(value).map(Value::Number).ok_or_else(wrong),
            ItemType::String => text().map(|t| Value::String(t.to_owned())),
            ItemType::DateTime => {
                let moment = text()?.parse::<Timestamp>().map_err(|_| wrong())?;
                Ok(Value::String(moment.to_string()))
            }
            ItemType::Date => date_normal_form(text()?).map(Value::String).map_err(|_| wrong()),
            ItemType::Time => time_normal_form(text()?).map(Value::String).map_err(|_| wrong()),
            ItemType::File => text().and_then(|t| if file_id_ok(t) { Ok(value.clone()) } else { Err(wrong()) }),
            ItemType::GeoPoint => geo_point(value).ok_or_else(wrong),
            ItemType::JsonArray => {
                if value.is_array() {
                    Ok(value.clone())
                } else {
                    Err(wrong())
                }
            }
            ItemType::JsonObject => {
                if value.is_object() {
                    Ok(value.clone())
                } else {
                    Err(wrong())
                }
            }
            ItemType::Reference(target) => self.reference(target, text()?).map(Value::String).ok_or_else(wrong),
            ItemType::Embedded(class) => self.embedded(class, path, value),
        }
    }

    fn embedded(&self, class: &ClassName, path: &str, value: &Value) -> Result<Value, ValueError> {
        let Value::Object(members) = value else {
            return Err(self.error(path, format!("an object (embedded {class})"), value));
        };
        let Some(embeddable) = self.schema.class(class.as_str()) else {
            return Err(self.error(path, format!("an object of the missing class {class}"), value));
        };
        let mut checked = Map::new();
        for field in embeddable.fields() {
            let member = members.get(field.name()).unwrap_or(&Value::Null);
            checked.insert(
                field.name().to_owned(),
                self.field(field, &format!("{path}.{}", field.name()), member)?,
            );
        }
        Ok(Value::Object(checked))
    }
}

/// Values in the order of their first occurrence; linear for scalars, so that a large set stays cheap.
#[derive(Default)]
struct UniqueValues {
    values: Vec<Value>,
    scalars: std::collections::HashSet<String>,
}

impl UniqueValues {
    fn push(&mut self, value: Value) {
        let is_new = match &value {
            Value::Array(_) | Value::Object(_) => !self.values.iter().any(|v| same_value(v, &value)),
            Value::Number(n) => self.scalars.insert(canonical_number(n).into_owned()),
            scalar => self.scalars.insert(scalar.to_string()),
        };
        if is_new {
            self.values.push(value);
        }
    }
}

/// One text per numeric value: integral floats that fit are spelled as integers.
fn canonical_number(number: &Number) -> Cow<'static, str> {
    if number.is_f64()
        && let Some(float) = number.as_f64()
        && float.fract() == 0.0
        && float.abs() < 1e18
    {
        return Cow::Owned((float as i64).to_string());
    }
    Cow::Owned(number.to_string())
}

/// A 64-bit integer from a number (its fraction dropped) or from a number in a string.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Some(int),
            (None, Some(float)) => truncated(float),
            (None, None) => None,
        },
        Value::String(text) => text
            .trim()
            .parse::<i64>()
            .ok()
            .or_else(|| text.trim().parse::<f64>().ok().and_then(truncated)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn truncated(float: f64) -> Option<i64> {
    let whole = float.trunc();
    // 2^63 is exactly representable, i64::MAX is not.
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
        .contains(&whole)
        .then_some(whole as i64)
}

/// A finite double from a number or from a number in a string. Small integers keep their spelling.
fn double(value: &Value) -> Option<Number> {
    let float = match value {
        Value::Number(number) => {
            if number
                .as_i64()
                .is_some_and(|i| (-EXACT_DOUBLE..=EXACT_DOUBLE).contains(&i))
            {
                return Some(number.clone());
            }
            number.as_f64()?
        }
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Number::from_f64(float)
}

fn geo_point(value: &Value) -> Option<Value> {
    let members = value.as_object()?;
    let coordinate = |name: &str, limit: f64| {
        let number = members.get(name)?;
        number.as_f64().filter(|c| c.abs() <= limit).map(|_| number.clone())
    };
    let mut point = Map::new();
    point.insert("latitude".to_owned(), coordinate("latitude", 90.0)?);
    point.insert("longitude".to_owned(), coordinate("longitude", 180.0)?);
    Some(Value::Object(point))
}

/// `/file/<bucket>/<path>`, the path in raw spelling.
fn file_id_ok(text: &str) -> bool {
    let Some((bucket, path)) = text.strip_prefix("/file/").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    !bucket.is_empty() && !path.is_empty() && percent_decode_str(text).decode_utf8().is_ok()
}

#[cfg(test)]
mod tests;
