//! The schema of an app: its classes, their fields and their class-level permissions.
//!
//! [`ClassDef`] is the JSON form that clients send and stores keep; [`Schema::build`] checks a set of them as a whole
//! and resolves them into [`Class`]es. A schema is immutable; an edit builds the next one.

mod builtin;
mod class;
mod def;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::value::Checker;
use crate::{ClassName, ValueError};

pub use builtin::{
    ADMIN_ROLE, APP_LOG, AUDIT_LOG, DEVICE, LOGGED_IN_ROLE, NODE_ROLE, OBJECT, ROLE, ROOT_USER, USER,
    is_predefined_role, predefined, server_assigns_ids,
};
pub use class::{Class, Field};
pub use def::{ClassAcl, ClassDef, FieldAcl, FieldDef, FieldFlag, Permission};
pub use types::{FieldType, ItemType};

/// Why a set of class definitions is not a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// JSON that is no class definition, or names that are not allowed.
    #[error("{0}")]
    Invalid(String),
    /// A class is used that is not defined.
    #[error("{class} uses {missing}, which is not a class")]
    MissingClass {
        /// Where it is used: a class, or a class and field.
        class: String,
        /// The class that does not exist.
        missing: String,
    },
    /// The change contradicts what exists.
    #[error("{0}")]
    Incompatible(String),
    /// A class cannot go because others use it.
    #[error("{class} is still used by {user}")]
    StillReferenced {
        /// The class to be removed.
        class: ClassName,
        /// The class that uses it.
        user: ClassName,
    },
    /// A limit of the schema is exceeded.
    #[error("{0}")]
    TooLarge(String),
}

/// Most classes one app may have.
pub const MAX_CLASSES: usize = 1000;
/// Most fields one class may have, inherited ones included.
pub const MAX_FIELDS: usize = 500;

/// All classes of an app at one revision.
#[derive(Debug, Clone)]
pub struct Schema {
    rev: u32,
    classes: Vec<Arc<Class>>,
    by_name: HashMap<ClassName, usize>,
}

impl Schema {
    /// Checks `defs` as a whole and resolves them. `rev` is the revision of the new schema; classes whose fields are the
    /// same as in `previous` keep their shape. `destroyed` names classes whose stored objects were rewritten because
    /// fields were removed, renamed or changed their type.
    pub fn build(
        defs: Vec<ClassDef>,
        rev: u32,
        previous: Option<&Self>,
        destroyed: &[ClassName],
    ) -> Result<Self, SchemaError> {
        class::resolve(defs, rev, previous, destroyed)
    }

    /// The schema of a new app.
    pub fn initial() -> Result<Self, SchemaError> {
        Self::build(predefined(), 1, None, &[])
    }

    /// Number of this revision; grows with every change of the schema.
    pub fn rev(&self) -> u32 {
        self.rev
    }

    /// All classes in definition order, predefined ones first.
    pub fn classes(&self) -> impl Iterator<Item = &Arc<Class>> {
        self.classes.iter()
    }

    /// The class with this bucket name.
    pub fn class(&self, bucket: &str) -> Option<&Arc<Class>> {
        self.by_name.get(bucket).map(|i| &self.classes[*i])
    }

    /// True if `class` is `ancestor` or inherits from it.
    pub fn is_subclass(&self, class: &ClassName, ancestor: &ClassName) -> bool {
        let mut current = Some(class);
        while let Some(name) = current {
            if name == ancestor {
                return self.by_name.contains_key(name);
            }
            current = self.class(name.as_str()).and_then(|c| c.super_class());
        }
        false
    }

    /// The class that defines a field of `class`: itself or one it inherits from.
    pub fn definer(&self, class: &ClassName, field: &str) -> Option<&ClassName> {
        let mut current = self.class(class.as_str());
        while let Some(class) = current {
            if class.def().fields.contains_key(field) {
                return Some(class.name());
            }
            current = class.super_class().and_then(|name| self.class(name.as_str()));
        }
        None
    }

    /// The definitions, as clients see them and stores keep them.
    pub fn defs(&self) -> Vec<ClassDef> {
        self.classes.iter().map(|c| c.def().clone()).collect()
    }

    /// The stored form of the schema, with what [`Self::build`] cannot know again.
    pub fn to_json(&self) -> Value {
        let classes: Vec<Value> = self
            .classes
            .iter()
            .map(|c| serde_json::json!({ "shape": c.shape(), "floor": c.floor(), "def": c.def() }))
            .collect();
        serde_json::json!({ "format": 1, "rev": self.rev, "classes": classes })
    }

    /// Reads what [`Self::to_json`] wrote.
    pub fn from_json(value: &Value) -> Result<Self, SchemaError> {
        let broken = |what: &str| SchemaError::Invalid(format!("stored schema: {what}"));
        if value["format"] != 1 {
            return Err(broken("unknown format"));
        }
        let number = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let rev = number(&value["rev"]).ok_or_else(|| broken("rev"))?;
        let mut defs = Vec::new();
        let mut shapes = HashMap::new();
        for class in value["classes"].as_array().ok_or_else(|| broken("classes"))? {
            let def = ClassDef::from_json(&class["def"])?;
            let shape = number(&class["shape"]).ok_or_else(|| broken("shape"))?;
            let floor = number(&class["floor"]).ok_or_else(|| broken("floor"))?;
            shapes.insert(def.name()?, (shape, floor));
            defs.push(def);
        }
        let mut schema = Self::build(defs, rev, None, &[])?;
        for class in &mut schema.classes {
            if let Some((shape, floor)) = shapes.get(class.name()) {
                *class = Arc::new(class.with_shape(*shape, *floor));
            }
        }
        Ok(schema)
    }

    /// The normal form of all user fields of `class` from a client's JSON: missing fields are `null`, unknown members,
    /// metadata and read-only fields are ignored. `keep` supplies the read-only fields of the object as it is.
    pub fn check_fields(
        &self,
        class: &Class,
        input: &Map<String, Value>,
        keep: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, ValueError> {
        let checker = Checker { schema: self, class };
        let mut fields = Map::with_capacity(class.fields().len());
        for field in class.fields() {
            let value = if field.is_read_only() {
                keep.and_then(|k| k.get(field.name())).cloned().unwrap_or(Value::Null)
            } else {
                match input.get(field.name()) {
                    Some(value) => checker.field(field, field.name(), value)?,
                    None => Value::Null,
                }
            };
            fields.insert(field.name().to_owned(), value);
        }
        Ok(fields)
    }

    /// The normal form of `value` as the whole content of `field`, which `path` leads to.
    pub fn check_field(&self, class: &Class, field: &Field, path: &str, value: &Value) -> Result<Value, ValueError> {
        Checker { schema: self, class }.field(field, path, value)
    }

    /// The normal form of `value` as one element of the list, set or map that `path` leads to; `null` stays.
    pub fn check_item(&self, class: &Class, item: &ItemType, path: &str, value: &Value) -> Result<Value, ValueError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        Checker { schema: self, class }.item(item, path, value)
    }

    /// Brings fields that were stored under an older shape to the current one: new fields are `null`, also in embedded
    /// objects; removed ones vanish. Cost: linear in the object.
    pub fn complete(&self, class: &Class, stored: &mut Map<String, Value>) {
        let mut fields = Map::with_capacity(class.fields().len());
        for field in class.fields() {
            let mut value = stored.shift_remove(field.name()).unwrap_or(Value::Null);
            self.complete_value(field.ty(), &mut value);
            fields.insert(field.name().to_owned(), value);
        }
        *stored = fields;
    }

    fn complete_value(&self, ty: &FieldType, value: &mut Value) {
        let Some(class) = ty.item().embedded().and_then(|name| self.class(name.as_str())) else {
            return;
        };
        match (ty, value) {
            (FieldType::One(_), Value::Object(members)) => self.complete(class, members),
            (FieldType::List(_) | FieldType::Set(_), Value::Array(elements)) => {
                for element in elements.iter_mut().filter_map(Value::as_object_mut) {
                    self.complete(class, element);
                }
            }
            (FieldType::Map(..), Value::Object(entries)) => {
                for entry in entries.values_mut().filter_map(Value::as_object_mut) {
                    self.complete(class, entry);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
