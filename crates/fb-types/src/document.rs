//! Objects: as the store keeps them, and opened up for editing.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
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

    /// The stored form. Cost: linear in the object's size.
    pub fn store(&self, shape: u32) -> Stored {
        let header = Header {
            id: &self.id,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
            acl: self.acl.clone(),
        };
        header.store(shape, &FieldsText::new(&self.fields))
    }
}

/// The user fields of an object as they stand in its JSON text. Written before a commit, so that the writer, for which
/// all others wait, only copies them.
#[derive(Debug, Clone)]
pub struct FieldsText(Vec<u8>);

impl FieldsText {
    /// Writes fields in their order. Cost: linear in their size.
    pub fn new(fields: &Map<String, Value>) -> Self {
        let mut text = Vec::with_capacity(256);
        for (name, value) in fields {
            text.push(b',');
            // Writing to a Vec cannot fail, and neither can serialising maps with text keys.
            let _ = serde_json::to_writer(&mut text, name);
            text.push(b':');
            let _ = serde_json::to_writer(&mut text, value);
        }
        Self(text)
    }

    /// Bytes of an object with these fields, metadata with an ACL of average size included.
    pub fn object_bytes(&self) -> usize {
        self.0.len() + METADATA_BYTES
    }
}

/// About what the metadata of an object takes in its JSON text.
const METADATA_BYTES: usize = 200;

/// Everything of a stored object but its user fields.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// Full id.
    pub id: &'a ObjectId,
    /// Number of writes so far.
    pub version: Version,
    /// When the object was inserted.
    pub created_at: Timestamp,
    /// When the object was last written.
    pub updated_at: Timestamp,
    /// Object-level rules; `None` is public.
    pub acl: Option<Arc<Acl>>,
}

impl Header<'_> {
    /// The stored form: metadata first, then the fields.
    pub fn store(self, shape: u32, fields: &FieldsText) -> Stored {
        use std::io::Write;
        let Self {
            id,
            version,
            created_at,
            updated_at,
            acl,
        } = self;
        let mut body = Vec::with_capacity(fields.object_bytes());
        // Ids, versions and timestamps are plain ASCII without quotes or backslashes.
        let _ = write!(body, "{{\"id\":\"{id}\",\"version\":{version},\"acl\":");
        let _ = serde_json::to_writer(&mut body, &acl);
        let _ = write!(body, ",\"createdAt\":\"{created_at}\",\"updatedAt\":\"{updated_at}\"");
        body.extend_from_slice(&fields.0);
        body.push(b'}');
        Stored {
            key: id.key().clone(),
            version,
            shape,
            created_at,
            updated_at,
            acl,
            body: Bytes::from(body),
        }
    }
}

/// The JSON text of an object without some of its members; all others stay as they are written. Cost: one pass over the
/// text, values are copied unparsed.
pub fn without_members(body: &[u8], is_hidden: impl Fn(&str) -> bool) -> Result<Bytes, serde_json::Error> {
    let Members(members) = serde_json::from_slice(body)?;
    let mut rest = Vec::with_capacity(body.len());
    rest.push(b'{');
    for (name, value) in members.iter().filter(|(name, _)| !is_hidden(name)) {
        if rest.len() > 1 {
            rest.push(b',');
        }
        serde_json::to_writer(&mut rest, name)?;
        rest.push(b':');
        rest.extend_from_slice(value.get().as_bytes());
    }
    rest.push(b'}');
    Ok(Bytes::from(rest))
}

/// The members of a JSON object in their order, values unparsed.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A member name; borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_left_out_and_all_others_stay_as_they_are_written() {
        let body = r#"{"a":1.50,"b\u0062":{"x":[1, {"a":2}]},"c":"\u00e4\"}","a.b":null,"d":12345678901234567890}"#;
        let without = |hidden: &[&str]| {
            let rest = without_members(body.as_bytes(), |name| hidden.contains(&name)).unwrap();
            String::from_utf8(rest.to_vec()).unwrap()
        };
        assert_eq!(without(&[]), body.replace("b\\u0062", "bb"));
        assert_eq!(
            without(&["a", "bb"]),
            r#"{"c":"\u00e4\"}","a.b":null,"d":12345678901234567890}"#
        );
        assert_eq!(
            without(&["d", "c", "x"]),
            r#"{"a":1.50,"bb":{"x":[1, {"a":2}]},"a.b":null}"#
        );
        assert_eq!(without(&["a", "bb", "c", "a.b", "d"]), "{}");
        // As deep as objects may be.
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(120), "]".repeat(120));
        assert!(without_members(deep.as_bytes(), |name| name == "b").is_ok());
        without_members(b"[1]", |_| false).unwrap_err();
    }
}
