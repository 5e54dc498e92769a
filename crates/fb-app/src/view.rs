//! Objects on their way to a caller: the only place where stored texts become something that is handed out.
//!
//! Caches and stores hold whole objects. What a caller may not read is cut out here, for each answer, and only where
//! there is something to cut.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::{FieldRights, Grant, Objects, Principal, field_rights};
use fb_store::{Row, Rows, StoreError};
use fb_types::schema::USER;
use fb_types::{Class, ObjectKey, Permission, Schema, Stored, Version, without_members};

use serde_json::{Map, Value};

use crate::{App, AppError};

/// An object as one caller sees it: as it was loaded, or as it is after a write.
#[derive(Debug, Clone)]
pub struct Seen {
    object: Arc<Stored>,
    /// What is left of the object's text for this caller.
    body: Bytes,
    is_cut: bool,
    is_public: bool,
    depends_on_caller: bool,
}

impl Seen {
    /// What a caller with these rights, which were decided for `class` of `schema`, sees of an object.
    pub(crate) fn new(
        schema: &Schema,
        class: &Class,
        rights: &FieldRights,
        object: Arc<Stored>,
    ) -> Result<Self, AppError> {
        let everybody = Principal::anonymous();
        let Visible { body, is_cut } = visible(schema, class, rights, &object.key, object.shape, object.body.clone())?;
        let is_public = !class.has_read_rules()
            && !is_cut
            && everybody.passes(class.acl().rules(Permission::Load))
            && everybody.passes(object.acl.as_ref().map(|acl| &acl.read));
        Ok(Self {
            object,
            body,
            is_cut,
            is_public,
            depends_on_caller: class.has_read_rules(),
        })
    }

    /// The object's key.
    pub fn key(&self) -> &ObjectKey {
        &self.object.key
    }

    /// The object's version.
    pub fn version(&self) -> Version {
        self.object.version
    }

    /// The JSON text of what the caller may read. Cost: none, the text is shared.
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// True if fields are missing that others see.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// True if everybody may load it and sees the same, so that shared caches may keep a copy.
    pub fn is_public(&self) -> bool {
        self.is_public
    }

    /// True if others may see more or less of the same version, so that a version does not tell what a copy holds.
    pub fn depends_on_caller(&self) -> bool {
        self.depends_on_caller
    }
}

impl App {
    /// What `caller` sees of a user that is handed out without a load of its own: the one of its session.
    pub(crate) fn user_for(&self, caller: &Principal, user: &Arc<Stored>) -> Result<Seen, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, USER)?;
        Seen::new(&schema, class, &field_rights(caller, class), user.clone())
    }
}

impl App {
    /// Decides about the fields that somebody who registers sends. Rules that name `self` mean the user to be.
    pub(crate) fn authorize_registration(
        &self,
        caller: &Principal,
        schema: &Schema,
        fields: &Map<String, Value>,
    ) -> Result<(), AppError> {
        let class = self.entity(schema, USER)?;
        let has_value = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
        Ok(field_rights(caller, class).authorize_new(Objects::Own, has_value)?)
    }
}

/// Rows as one JSON array, with what the grant's holder may read of each.
pub(crate) fn visible_rows(schema: &Schema, class: &Class, grant: &Grant, rows: Rows) -> Result<Bytes, AppError> {
    let is_current = rows.rows().iter().all(|row| row.shape == class.shape());
    if is_current && grant.fields().read_everything() {
        return Ok(rows.into_json().into());
    }
    let mut json = vec![b'['];
    for (i, row) in rows.rows().iter().enumerate() {
        if i > 0 {
            json.push(b',');
        }
        json.extend_from_slice(&visible_row(schema, class, grant, row, rows.body(row))?);
    }
    json.push(b']');
    Ok(json.into())
}

/// What the grant's holder may read of one row, in the current shape of its class.
pub(crate) fn visible_row(
    schema: &Schema,
    class: &Class,
    grant: &Grant,
    row: &Row,
    body: &[u8],
) -> Result<Bytes, AppError> {
    let body = Bytes::copy_from_slice(body);
    visible(schema, class, grant.fields(), &row.key, row.shape, body).map(|visible| visible.body)
}

/// What is left of an object's text.
struct Visible {
    body: Bytes,
    is_cut: bool,
}

/// The text in the shape of `class`, without the fields that may not be read.
fn visible(
    schema: &Schema,
    class: &Class,
    rights: &FieldRights,
    key: &ObjectKey,
    shape: u32,
    body: Bytes,
) -> Result<Visible, AppError> {
    let unreadable = |error| AppError::internal("reading an object", error);
    let body = if shape < class.shape() {
        schema.complete_body(class, &body).map_err(unreadable)?
    } else {
        body
    };
    let is_hidden = |name: &str| !rights.may_read(name, Objects::One(key));
    // An object that is newer than the schema the rights were decided by may have fields that nobody has decided about:
    // new ones, and old ones under new names. Whoever reads has to decide again.
    if shape > class.shape() {
        return Err(AppError::Store(StoreError::SchemaChanged));
    }
    if rights.read_everything() || !class.fields().iter().any(|field| is_hidden(field.name())) {
        return Ok(Visible { body, is_cut: false });
    }
    let cut = without_members(&body, is_hidden).map_err(unreadable)?;
    Ok(Visible {
        body: cut,
        is_cut: true,
    })
}

#[cfg(test)]
mod tests {
    use fb_auth::Roles;
    use fb_types::schema::predefined;
    use fb_types::{ClassDef, Document, Timestamp};
    use serde_json::json;

    use super::*;

    fn schema(fields: &Value, previous: Option<&Schema>) -> Schema {
        let mut defs = predefined();
        defs.push(ClassDef::from_json(&json!({ "class": "/db/Doc", "fields": fields })).unwrap());
        Schema::build(defs, previous.map_or(1, |p| p.rev() + 1), previous, &[]).unwrap()
    }

    fn stored(class: &Class, fields: Value) -> Arc<Stored> {
        let Value::Object(fields) = fields else { panic!() };
        let document = Document {
            id: "/db/Doc/1".parse().unwrap(),
            version: Version::FIRST,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            acl: None,
            fields,
        };
        Arc::new(document.store(class.shape()))
    }

    /// Whoever reads while the schema changes has rights by the old one and may meet objects of the new one.
    #[test]
    fn fields_that_nobody_has_decided_about_are_not_seen() {
        let text = json!({ "type": "/db/String" });
        let hidden = json!({ "type": "/db/String", "acl": { "read": { "/db/Role/1": "allow" } } });
        let old = schema(&json!({ "title": text, "secret": hidden }), None);
        let open = schema(&json!({ "title": text }), None);
        let new = schema(&json!({ "title": text, "renamed": hidden }), Some(&old));
        let object = stored(new.class("Doc").unwrap(), json!({ "title": "a", "renamed": "x" }));
        let admin = Principal::user("/db/User/1".parse().unwrap(), Roles::new(vec!["/db/Role/1".into()]));
        for caller in [Principal::anonymous(), admin.clone()] {
            for schema in [&old, &open] {
                let class = schema.class("Doc").unwrap();
                let seen = Seen::new(schema, class, &field_rights(&caller, class), object.clone());
                assert!(
                    matches!(seen, Err(AppError::Store(StoreError::SchemaChanged))),
                    "{seen:?}"
                );
            }
        }
        // The other way round: the object is older.
        let object = stored(old.class("Doc").unwrap(), json!({ "title": "a", "secret": "x" }));
        let class = new.class("Doc").unwrap();
        let seen = |caller| Seen::new(&new, class, &field_rights(&caller, class), object.clone()).unwrap();
        let cut: Value = serde_json::from_slice(&seen(Principal::anonymous()).body()).unwrap();
        assert_eq!((cut.get("secret"), cut.get("renamed")), (None, None));
        let whole: Value = serde_json::from_slice(&seen(admin).body()).unwrap();
        assert_eq!((whole.get("secret"), whole.get("renamed")), (None, Some(&Value::Null)));
    }
}
