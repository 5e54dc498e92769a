//! Operands in the form that their place is compared in.

use fb_types::{FieldType, ItemType, ObjectId, Schema, Timestamp, date_normal_form, time_normal_form};
use serde_json::{Map, Value, json};

use crate::ast::{Leaf, Path, TimeKind, comparison_form};
use crate::error::{QueryError, describe};
use crate::shape::Shape;

use super::{unknown_operator, wrong};

/// The two texts that a time has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For comparing with a [`Leaf::Time`].
    Compared,
    /// As objects keep it; so it stands inside of object operands, which are compared as a whole.
    Stored,
}

/// Where an operand stands, for messages.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) path: &'a Path,
    pub(crate) operator: &'a str,
}

/// How many arrays and objects are nested in `value`, counted up to `limit` + 1 only.
pub(crate) fn depth_of(value: &Value, limit: usize) -> usize {
    let inner = |inner: &mut dyn Iterator<Item = &Value>| match limit.checked_sub(1) {
        Some(limit) => 1 + inner.map(|value| depth_of(value, limit)).max().unwrap_or(0),
        None => 1,
    };
    match value {
        Value::Array(elements) => inner(&mut elements.iter()),
        Value::Object(members) => inner(&mut members.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// `value` as an operand at a place of this shape. `{"$date": …}` is resolved at any depth; other `$` members are errors.
/// Values of other types stay as they are: they will equal nothing there. The caller has checked the depth.
pub(crate) fn normal_form(
    schema: &Schema,
    shape: Shape<'_>,
    form: Form,
    value: &Value,
    at: At<'_>,
) -> Result<Value, QueryError> {
    if let Value::Object(members) = value
        && let Some(operator) = members.keys().find(|name| name.starts_with('$'))
    {
        return match (operator.as_str(), members.len()) {
            ("$date", 1) => Ok(date_operand(shape, form, moment(&members["$date"], at)?)),
            ("$date", _) => Err(wrong(at.path, "$date", "to be the only member of its object", value)),
            _ => Err(unknown_operator(operator)),
        };
    }
    match (shape, value) {
        (Shape::Id, Value::String(text)) => Ok(canonical_id(text)),
        (Shape::Field(FieldType::One(item)) | Shape::Item(item), _) => item_form(schema, item, form, value, at),
        (Shape::Field(FieldType::List(item) | FieldType::Set(item)), Value::Array(elements)) => {
            let element = |element| normal_form(schema, Shape::Item(item), form, element, at);
            elements.iter().map(element).collect::<Result<_, _>>().map(Value::Array)
        }
        (Shape::Field(FieldType::List(item) | FieldType::Set(item)), _) => item_form(schema, item, form, value, at),
        (Shape::Field(FieldType::Map(_, item)), Value::Object(entries)) => members_form(entries, |_, entry| {
            normal_form(schema, Shape::Item(item), Form::Stored, entry, at)
        }),
        _ => untyped(schema, value, at),
    }
}

fn item_form(schema: &Schema, item: &ItemType, form: Form, value: &Value, at: At<'_>) -> Result<Value, QueryError> {
    match (item, value) {
        (ItemType::Reference(_), Value::String(text)) => Ok(canonical_id(text)),
        (ItemType::DateTime, Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(moment) => Ok(time_text(TimeKind::DateTime, form, moment)),
            Err(_) => Err(wrong(at.path, at.operator, "an ISO 8601 date and time", value)),
        },
        (ItemType::Date, Value::String(text)) => match (text.parse::<Timestamp>(), date_normal_form(text)) {
            (Ok(moment), _) => Ok(time_text(TimeKind::Date, form, moment)),
            (Err(_), Ok(day)) => Ok(Value::String(day)),
            (Err(_), Err(_)) => Err(wrong(at.path, at.operator, "an ISO 8601 date", value)),
        },
        (ItemType::Time, Value::String(text)) => match time_normal_form(text) {
            Ok(time) if form == Form::Compared => Ok(Value::String(comparison_form(&time).to_owned())),
            Ok(time) => Ok(Value::String(time)),
            Err(_) => Err(wrong(at.path, at.operator, "an ISO 8601 time of day", value)),
        },
        // Stored embedded objects have all members; so must an operand that is to equal one.
        (ItemType::Embedded(class), Value::Object(members)) => {
            let Some(class) = schema.class(class.as_str()) else {
                return untyped(schema, value, at);
            };
            let mut complete = members_form(members, |name, member| {
                let shape = class.field(name).map_or(Shape::Any, |field| Shape::Field(field.ty()));
                normal_form(schema, shape, Form::Stored, member, at)
            })?;
            if let Value::Object(complete) = &mut complete {
                for field in class.fields() {
                    complete.entry(field.name()).or_insert(Value::Null);
                }
            }
            Ok(complete)
        }
        _ => untyped(schema, value, at),
    }
}

/// Inside of untyped JSON only dates have a form of their own.
fn untyped(schema: &Schema, value: &Value, at: At<'_>) -> Result<Value, QueryError> {
    let inner = |value: &Value| normal_form(schema, Shape::Any, Form::Stored, value, at);
    match value {
        Value::Array(elements) => elements.iter().map(inner).collect::<Result<_, _>>().map(Value::Array),
        Value::Object(members) => members_form(members, |_, member| inner(member)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

fn members_form(
    members: &Map<String, Value>,
    mut form: impl FnMut(&str, &Value) -> Result<Value, QueryError>,
) -> Result<Value, QueryError> {
    let formed = members
        .iter()
        .map(|(name, member)| Ok((name.clone(), form(name, member)?)));
    formed.collect::<Result<_, _>>().map(Value::Object)
}

fn canonical_id(text: &str) -> Value {
    match text.parse::<ObjectId>() {
        Ok(id) => Value::String(id.to_string()),
        Err(_) => Value::String(text.to_owned()),
    }
}

fn moment(value: &Value, at: At<'_>) -> Result<Timestamp, QueryError> {
    let moment = match value {
        Value::String(text) => text.parse::<Timestamp>().ok(),
        Value::Number(millis) => crate::eval::whole(&Value::Number(millis.clone()))
            .map(Timestamp::from_millis)
            // It clamps; what is out of range must not turn into another moment.
            .filter(|moment| millis.as_f64().is_some_and(|m| m.trunc() == moment.millis() as f64)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let expected = "an ISO 8601 date and time, or milliseconds since 1970, of the years 0000 to 9999";
    moment.ok_or_else(|| QueryError::WrongOperand {
        path: at.path.to_string(),
        operator: "$date".to_owned(),
        expected: expected.to_owned(),
        found: describe(value),
    })
}

/// What `{"$date": …}` is at a place of this shape.
fn date_operand(shape: Shape<'_>, form: Form, moment: Timestamp) -> Value {
    match shape.leaf() {
        Leaf::Time(kind) => time_text(kind, form, moment),
        Leaf::Array(_) => date_operand(shape.element(), form, moment),
        // A text never equals a date, whatever it says; this object equals no text.
        Leaf::Text => json!({ "$date": iso_text(moment) }),
        Leaf::Boolean | Leaf::Number | Leaf::GeoPoint | Leaf::Object | Leaf::Any => Value::String(iso_text(moment)),
    }
}

fn time_text(kind: TimeKind, form: Form, moment: Timestamp) -> Value {
    let midnight = moment.millis().rem_euclid(86_400_000) == 0;
    let text = match (kind, form) {
        (TimeKind::DateTime, Form::Stored) => moment.to_string(),
        (TimeKind::Time, Form::Stored) => moment.time_text(),
        (TimeKind::Date, Form::Stored) => moment.date_text(),
        (TimeKind::Date, Form::Compared) if midnight => moment.date_text(),
        (TimeKind::Date | TimeKind::DateTime, Form::Compared) => comparison_form(&moment.to_string()).to_owned(),
        (TimeKind::Time, Form::Compared) => comparison_form(&moment.time_text()).to_owned(),
    };
    Value::String(text)
}

/// The text that JavaScript's `toISOString` gives, which JSON of untyped fields holds: always three digits of fraction.
pub(crate) fn iso_text(moment: Timestamp) -> String {
    let text = moment.to_string();
    // `2024-11-20T22:16:00` has 19 characters; years have four digits always.
    let (seconds, _) = text.split_at(19);
    format!("{seconds}.{:03}Z", moment.millis().rem_euclid(1000))
}
