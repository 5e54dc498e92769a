//! Objects: as the store keeps them, and opened up for editing.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{Acl, Class, ObjectId, ObjectKey, Schema, Timestamp, Version};

/// One object as the store keeps it: its header, and the JSON text that is the response body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Key within the class.
    pub key: ObjectKey,
    /// Number of writes so far.
    pub version: Version,
    /// The class's shape (see [`Class::shape`](crate::Class::shape)) that `body` was written under. An older shape
    /// means that `body` may lack fields that were added since.
    pub shape: u32,
    /// When the object was inserted.
    pub created_at: Timestamp,
    /// When the object was last written.
    pub updated_at: Timestamp,
    /// Object-level rules; `None` is public.
    pub acl: Option<Arc<Acl>>,
    /// The complete JSON object.
    pub body: Bytes,
}

/// An object opened up: header and user fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Full id.
    pub id: ObjectId,
    /// Number of writes so far.
    pub version: Version,
    /// When the object was inserted.
    pub created_at: Timestamp,
    /// When the object was last written.
    pub updated_at: Timestamp,
    /// Object-level rules; `None` is public.
    pub acl: Option<Arc<Acl>>,
    /// All fields of the class in normal form, in the class's order, without the metadata fields above.
    pub fields: Map<String, Value>,
}

/// Members of an object's JSON that are metadata, in the order they are written.
pub(crate) const METADATA: [&str; 5] = ["id", "version", "acl", "createdAt", "updatedAt"];

impl Document {
    /// Opens up a stored object. The error is an invariant broken: the store only holds JSON objects it was given.
    pub fn open(id: ObjectId, stored: &Stored) -> Result<Self, serde_json::Error> {
        let mut fields: Map<String, Value> = serde_json::from_slice(&stored.body)?;
        for name in METADATA {
            fields.shift_remove(name);
        }
        Ok(Self {
            id,
            version: stored.version,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            acl: stored.acl.clone(),
            fields,
        })
    }

    /// The object's JSON text. Cost: linear in its size.
    pub fn body(&self) -> Bytes {
        write_body(
            &self.id,
            self.version,
            self.acl.as_deref(),
            self.created_at,
            self.updated_at,
            &self.fields,
        )
    }

    /// The stored form.
    pub fn store(&self, shape: u32) -> Stored {
        Stored {
            key: self.id.key().clone(),
            version: self.version,
            shape,
            created_at: self.created_at,
            updated_at: self.updated_at,
            acl: self.acl.clone(),
            body: self.body(),
        }
    }
}

/// Writes an object's JSON text: metadata first, then `fields` in their order.
pub fn write_body(
    id: &ObjectId,
    version: Version,
    acl: Option<&Acl>,
    created_at: Timestamp,
    updated_at: Timestamp,
    fields: &Map<String, Value>,
) -> Bytes {
    use std::io::Write;
    let mut out = Vec::with_capacity(256);
    // Writing to a Vec cannot fail, and neither can serialising maps with text keys. Ids, versions and timestamps
    // are plain ASCII without quotes or backslashes.
    let _ = write!(out, "{{\"id\":\"{id}\",\"version\":{version},\"acl\":");
    let _ = serde_json::to_writer(&mut out, &acl);
    let _ = write!(out, ",\"createdAt\":\"{created_at}\",\"updatedAt\":\"{updated_at}\"");
    for (name, value) in fields {
        out.push(b',');
        let _ = serde_json::to_writer(&mut out, name);
        out.push(b':');
        let _ = serde_json::to_writer(&mut out, value);
    }
    out.push(b'}');
    Bytes::from(out)
}

impl Schema {
    /// The JSON text of an object that was stored under an older shape of `class`, as it is under the current one.
    /// Cost: parses and writes the object.
    pub fn complete_body(&self, class: &Class, body: &[u8]) -> Result<Bytes, serde_json::Error> {
        let mut stored: Map<String, Value> = serde_json::from_slice(body)?;
        let mut whole = Map::with_capacity(METADATA.len() + class.fields().len());
        for name in METADATA {
            whole.insert(name.to_owned(), stored.shift_remove(name).unwrap_or(Value::Null));
        }
        self.complete(class, &mut stored);
        whole.extend(stored);
        serde_json::to_vec(&whole).map(Bytes::from)
    }
}
