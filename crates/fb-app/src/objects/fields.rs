//! Fields that a replacement of an object does not simply overwrite.

use std::sync::Arc;

use fb_auth::{FieldRights, Objects};
use fb_store::Refusal;
use fb_types::{Class, Document, ObjectId, Schema, Stored, same_value};
use serde_json::{Map, Value};

use crate::AppError;

/// A caller's new content for an object that may exist.
pub(super) struct Replacement {
    schema: Arc<Schema>,
    class: Arc<Class>,
    id: ObjectId,
    rights: FieldRights,
    /// All fields in normal form.
    fields: Map<String, Value>,
    /// The fields that the caller's JSON names. Nobody asks where the rights are complete.
    named: Vec<String>,
    needs_stored: bool,
}

impl Replacement {
    /// `fields` is the normal form of `input`.
    pub(super) fn new(
        schema: &Arc<Schema>,
        class: &Arc<Class>,
        id: &ObjectId,
        rights: &FieldRights,
        input: &Map<String, Value>,
        fields: Map<String, Value>,
    ) -> Self {
        let is_limited = !rights.are_complete();
        Self {
            schema: schema.clone(),
            class: class.clone(),
            id: id.clone(),
            rights: rights.clone(),
            fields,
            named: if is_limited {
                input.keys().cloned().collect()
            } else {
                Vec::new()
            },
            needs_stored: is_limited || class.fields().iter().any(|field| field.is_read_only()),
        }
    }

    pub(super) fn class(&self) -> &Class {
        &self.class
    }

    pub(super) fn id(&self) -> &ObjectId {
        &self.id
    }

    /// True if the object as it is has a say in what becomes of it.
    pub(super) fn needs_stored(&self) -> bool {
        self.needs_stored
    }

    /// The fields as they are afterwards.
    ///
    /// Fields that only the server writes stay. A field that the caller may not write must be as it is. A field that
    /// the caller may not read is not compared, for that would tell; it stays if it is absent or `null`, which is what
    /// clients send for what they have not got.
    pub(super) fn over(&self, before: Option<&Stored>) -> Result<Map<String, Value>, Refusal> {
        let on = Objects::One(self.id.key());
        let Some(stored) = before else {
            let has_value = |name: &str| self.fields.get(name).is_some_and(|value| !value.is_null());
            let authorized = self.rights.authorize_new(on, has_value);
            authorized.map_err(|denied| AppError::from(denied).refuse())?;
            return Ok(self.fields.clone());
        };
        let mut kept = Document::open(self.id.clone(), stored)
            .map_err(|e| AppError::internal("reading an object", e).refuse())?
            .fields;
        if stored.shape < self.class.shape() {
            self.schema.complete(&self.class, &mut kept);
        }
        let mut fields = self.fields.clone();
        for field in self.class.fields() {
            let name = field.name();
            let (may_read, may_write) = (self.rights.may_read(name, on), self.rights.may_write(name, on));
            let old = kept.get_mut(name).map(Value::take).unwrap_or_default();
            let new = fields.entry(name).or_insert(Value::Null);
            let is_named = self.named.iter().any(|named| named == name);
            let stays = if field.is_read_only() {
                true
            } else if !is_named || (new.is_null() && !may_read) {
                !may_read || !may_write
            } else if may_write {
                false
            } else if may_read && same_value(new, &old) {
                true
            } else {
                let denied = self.rights.authorize_write(name, on);
                return Err(denied.map_or_else(|denied| AppError::from(denied).refuse(), |()| Refusal::Denied));
            };
            if stays {
                *new = old;
            }
        }
        Ok(fields)
    }
}
