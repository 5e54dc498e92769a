//! Objects that the server inserts on an errand of its own.

use std::sync::Arc;

use fb_auth::{Errand, system};
use fb_store::{Effect, Moment, ObjectWrite, Refusal, Write};
use fb_types::{Acl, Class, Document, ObjectId, Schema, Stored, Version};
use serde_json::{Map, Value};

/// The write of a new object of `class`; refused if there is one of this id. `fields` are in the class's normal form.
pub(crate) fn insert_own(
    errand: Errand,
    schema: &Schema,
    class: &Class,
    id: ObjectId,
    acl: Option<Arc<Acl>>,
    fields: Map<String, Value>,
) -> Write {
    let (key, shape) = (id.key().clone(), class.shape());
    let decide = move |before: Option<&Stored>, moment: Moment| match before {
        Some(_) => Err(Refusal::Exists),
        None => {
            let object = Document {
                id: id.clone(),
                version: Version::FIRST,
                created_at: moment.now,
                updated_at: moment.now,
                acl: acl.clone(),
                fields: fields.clone(),
            };
            Ok(Effect::Put(object.store(shape)))
        }
    };
    Write::Object(ObjectWrite {
        grant: system(errand).grant(class.name()),
        key,
        checked_under: schema.rev(),
        decide: Box::new(decide),
    })
}
