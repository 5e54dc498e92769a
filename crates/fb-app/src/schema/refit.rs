//! What a schema change means for stored objects: which classes have to be rewritten, and how.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fb_types::{Class, ClassName, Document, Field, FieldType, Schema};
use serde_json::{Map, Value};

/// The name that removed fields get: no field can have it, so their values are dropped.
pub(super) const REMOVED: &str = "";

/// Fields that were renamed or removed, in the order of the request, by the class that defines them.
#[derive(Debug, Clone, Default)]
pub(super) struct Renames(HashMap<ClassName, Vec<(String, String)>>);

impl Renames {
    pub(super) fn add(&mut self, class: &ClassName, from: &str, to: &str) {
        self.0
            .entry(class.clone())
            .or_default()
            .push((from.to_owned(), to.to_owned()));
    }

    /// A field was removed. A later one of the same name does not get its values.
    pub(super) fn remove(&mut self, class: &ClassName, field: &str) {
        self.add(class, field, REMOVED);
    }

    /// The new name of a field of `class` or of one of its super classes, through all renames of the request.
    pub(super) fn of_entity<'a>(&'a self, schema: &'a Schema, class: &ClassName, field: &str) -> Option<&'a str> {
        let mut found: Option<&str> = None;
        let mut current = schema.class(class.as_str());
        while let Some(class) = current {
            for (from, to) in self.0.get(class.name()).into_iter().flatten() {
                if found.unwrap_or(field) == from {
                    found = Some(to);
                }
            }
            current = class.super_class().and_then(|name| schema.class(name.as_str()));
        }
        found
    }
}

/// Classes whose stored objects do not simply lack fields: a field was removed, renamed, or changed its type, in the
/// class or in something it embeds.
pub(super) fn classes_to_refit(old: &Schema, new: &Schema, renames: &Renames) -> Vec<ClassName> {
    let changed = |class: &&Arc<Class>| match new.class(class.name().as_str()) {
        Some(next) => !only_added(old, class, new, next, renames, &mut HashSet::new()),
        None => true,
    };
    old.classes()
        .filter(changed)
        .map(|class| class.name().clone())
        .collect()
}

fn only_added(
    old_schema: &Schema,
    old: &Class,
    new_schema: &Schema,
    new: &Class,
    renames: &Renames,
    seen: &mut HashSet<ClassName>,
) -> bool {
    if !seen.insert(old.name().clone()) {
        return true;
    }
    if old.is_embedded() != new.is_embedded() || renames.0.contains_key(old.name()) {
        return false;
    }
    old.fields().iter().all(|field| {
        let Some(next) = new.field(field.name()).filter(|next| next.ty() == field.ty()) else {
            return false;
        };
        let inner = |schema: &Schema, ty: &FieldType| {
            ty.item()
                .embedded()
                .and_then(|name| schema.class(name.as_str()).cloned())
        };
        match (inner(old_schema, field.ty()), inner(new_schema, next.ty())) {
            (Some(old), Some(new)) => only_added(old_schema, &old, new_schema, &new, renames, seen),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    })
}

/// The rewrite of one object of `class`: renamed fields keep their values, values that still fit stay, all others
/// become `null`.
pub(super) fn refit(
    schema: Arc<Schema>,
    class: ClassName,
    renames: Renames,
) -> Arc<dyn Fn(&mut Document) -> bool + Send + Sync> {
    Arc::new(move |document: &mut Document| {
        let Some(class) = schema.class(class.as_str()) else {
            return false;
        };
        let mut fields = std::mem::take(&mut document.fields);
        let before = fields.clone();
        rename(&schema, class, &renames, &mut fields, 0);
        let mut fitted = Map::with_capacity(class.fields().len());
        for field in class.fields() {
            let value = fields.get(field.name()).unwrap_or(&Value::Null);
            fitted.insert(field.name().to_owned(), fit(&schema, class, field, value, 0));
        }
        let changed = fitted != before;
        document.fields = fitted;
        changed
    })
}

/// The value if it fits the field; else, of embedded values, all that still fits in them.
fn fit(schema: &Schema, class: &Class, field: &Field, value: &Value, depth: usize) -> Value {
    if let Ok(value) = schema.check_field(class, field, field.name(), value) {
        return value;
    }
    let inner = field.ty().item().embedded();
    let Some(inner) = inner
        .and_then(|name| schema.class(name.as_str()))
        .filter(|inner| inner.is_embedded())
    else {
        return Value::Null;
    };
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let part = |value: &Value| {
        let Some(members) = value.as_object() else {
            return Value::Null;
        };
        let fitted = inner.fields().iter().map(|field| {
            let value = members.get(field.name()).unwrap_or(&Value::Null);
            (field.name().to_owned(), fit(schema, inner, field, value, depth + 1))
        });
        Value::Object(fitted.collect())
    };
    let fitted = match (field.ty(), value) {
        (FieldType::List(_) | FieldType::Set(_), Value::Array(elements)) => elements.iter().map(part).collect(),
        (FieldType::Map(..), Value::Object(entries)) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), part(value))).collect())
        }
        _ => part(value),
    };
    // Also makes what became equal in a set one element.
    schema
        .check_field(class, field, field.name(), &fitted)
        .unwrap_or(Value::Null)
}

/// Embedded values nest as deep as their JSON does; the parser's own limit is 128.
const MAX_DEPTH: usize = 128;

fn rename(schema: &Schema, class: &Class, renames: &Renames, fields: &mut Map<String, Value>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    // All values are taken out before any is put back, so that fields can exchange their names.
    let old_names: Vec<String> = fields.keys().cloned().collect();
    let mut renamed = Vec::new();
    for name in old_names {
        if let Some(to) = renames.of_entity(schema, class.name(), &name)
            && let Some(value) = fields.shift_remove(&name)
        {
            renamed.push((to.to_owned(), value));
        }
    }
    fields.extend(renamed);
    for field in class.fields() {
        let Some(inner) = field
            .ty()
            .item()
            .embedded()
            .and_then(|name| schema.class(name.as_str()))
        else {
            continue;
        };
        let visit = |value: &mut Value| {
            if let Some(members) = value.as_object_mut() {
                rename(schema, inner, renames, members, depth + 1);
            }
        };
        match (field.ty(), fields.get_mut(field.name())) {
            (FieldType::One(_), Some(value)) => visit(value),
            (FieldType::List(_) | FieldType::Set(_), Some(Value::Array(elements))) => {
                elements.iter_mut().for_each(visit)
            }
            (FieldType::Map(..), Some(Value::Object(entries))) => entries.values_mut().for_each(visit),
            _ => {}
        }
    }
}
