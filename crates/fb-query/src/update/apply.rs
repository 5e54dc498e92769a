//! Operations carried out on the fields of an object.

use fb_types::{Class, FieldType, ItemType, Schema, Timestamp, same_value};
use serde_json::{Map, Value};

use super::arithmetic::{bits, calculate};
use super::{Action, Bound, MAX_PADDED_LIST, Operation, Update, UpdateError};
use crate::ast::TimeKind;
use crate::shape::list_index;
use crate::value::compare;

impl Update {
    /// Carries out all operations on `fields`, the user fields of an object in normal form. `schema` and `class` are those
    /// the update was parsed with, `now` is what `$currentDate` writes. The result is in normal form.
    ///
    /// On an error `fields` is partly changed and must be dropped.
    pub fn apply(
        &self,
        schema: &Schema,
        class: &Class,
        fields: &mut Map<String, Value>,
        now: Timestamp,
    ) -> Result<(), UpdateError> {
        for operation in &self.operations {
            if let Some(parent) = parent(operation, schema, class, fields) {
                let value = parent.entry(&*operation.field).or_insert(Value::Null);
                change(operation, value, now)?;
            }
        }
        Ok(())
    }

    /// True if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

/// The members of the object that holds the field. Embedded objects that are null are created, with all their fields,
/// if the action can put something into them.
fn parent<'m>(
    operation: &Operation,
    schema: &Schema,
    class: &Class,
    fields: &'m mut Map<String, Value>,
) -> Option<&'m mut Map<String, Value>> {
    let puts = !matches!(
        operation.action,
        Action::Pop | Action::Shift | Action::RemoveElement(_) | Action::RemoveKey(_)
    );
    let mut owner = class;
    let mut members = fields;
    for step in &operation.parents {
        let embedded = match owner.field(step)?.ty() {
            FieldType::One(ItemType::Embedded(name)) => schema.class(name.as_str())?,
            _ => return None,
        };
        let value = members.entry(&**step).or_insert(Value::Null);
        if !value.is_object() && puts {
            let all = embedded
                .fields()
                .iter()
                .map(|field| (field.name().to_owned(), Value::Null));
            *value = Value::Object(all.collect());
        }
        members = value.as_object_mut()?;
        owner = embedded;
    }
    Some(members)
}

fn change(operation: &Operation, value: &mut Value, now: Timestamp) -> Result<(), UpdateError> {
    let overflow = || UpdateError::Overflow { path: operation.path() };
    match &operation.action {
        Action::Set(new) => *value = new.clone(),
        Action::SetInside(steps, new) => set_inside(operation, value, steps, new)?,
        Action::Calculate(calculation, operand, kind) => {
            *value = calculate(*calculation, value, operand, *kind)
                .map(Value::Number)
                .ok_or_else(overflow)?;
        }
        Action::Bits(operation, mask) => *value = Value::from(bits(*operation, value.as_i64().unwrap_or(0), *mask)),
        Action::Bound(bound, leaf, limit) => {
            let order = compare(leaf, limit, value);
            let replaces = match bound {
                Bound::AtMost => order.is_lt(),
                Bound::AtLeast => order.is_gt(),
            };
            if value.is_null() || replaces {
                *value = limit.clone();
            }
        }
        Action::Push(element) => elements(value).push(element.clone()),
        Action::Unshift(element) => elements(value).insert(0, element.clone()),
        Action::Pop => {
            if let Value::Array(elements) = value {
                elements.pop();
            }
        }
        Action::Shift => {
            if let Value::Array(elements) = value
                && !elements.is_empty()
            {
                elements.remove(0);
            }
        }
        Action::Replace(index, element) => {
            let elements = elements(value);
            if *index >= elements.len() {
                if *index >= MAX_PADDED_LIST {
                    let path = format!("{}.{index}", operation.path());
                    return Err(UpdateError::TooLong { path });
                }
                elements.resize(index + 1, Value::Null);
            }
            elements[*index] = element.clone();
        }
        Action::Add(element) => {
            let elements = elements(value);
            if !elements.iter().any(|e| same_value(e, element)) {
                elements.push(element.clone());
            }
        }
        Action::RemoveElement(element) => {
            if let Value::Array(elements) = value {
                elements.retain(|e| !same_value(e, element));
            }
        }
        Action::RemoveKey(key) => {
            if let Value::Object(entries) = value {
                entries.shift_remove(key);
            }
        }
        Action::Put(entries) => put(value, entries),
        Action::Now(TimeKind::DateTime) => *value = Value::String(now.to_string()),
        Action::Now(TimeKind::Date) => *value = Value::String(now.date_text()),
        Action::Now(TimeKind::Time) => *value = Value::String(now.time_text()),
    }
    Ok(())
}

/// The elements of a list or set; a null one becomes empty.
fn elements(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(elements) => elements,
        _ => unreachable!("it was made an array"),
    }
}

fn put(value: &mut Value, entries: &Map<String, Value>) {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(map) = value {
        for (key, entry) in entries {
            if entry.is_null() {
                map.shift_remove(key);
            } else {
                map.insert(key.clone(), entry.clone());
            }
        }
    }
}

fn set_inside(operation: &Operation, value: &mut Value, steps: &[Box<str>], new: &Value) -> Result<(), UpdateError> {
    let mut place = value;
    for step in steps {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let next = match place {
            Value::Object(members) => Some(members.entry(&**step).or_insert(Value::Null)),
            Value::Array(elements) => list_index(step).and_then(|index| elements.get_mut(index)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        place = next.ok_or_else(|| UpdateError::NotAnObject {
            path: format!("{}.{}", operation.path(), steps.join(".")),
        })?;
    }
    *place = new.clone();
    Ok(())
}
