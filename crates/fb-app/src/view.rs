//! Objects on their way to a caller: the only place where stored texts become something that is handed out.
//!
//! Caches and stores hold whole objects. What a caller may not read is cut out here, for each answer, and only where
//! there is something to cut.

use bytes::Bytes;
use fb_auth::{FieldRights, Grant, Objects, Principal, field_rights};
use fb_store::{Row, Rows};
use fb_types::schema::USER;
use fb_types::{Class, ObjectKey, Permission, Schema, Stored, Version, without_members};

use serde_json::{Map, Value};

use crate::{App, AppError};

/// An object as one caller sees it: as it was loaded, or as it is after a write.
#[derive(Debug, Clone)]
pub struct Seen {
    key: ObjectKey,
    version: Version,
    body: Bytes,
    is_cut: bool,
    is_public: bool,
    depends_on_caller: bool,
}

impl Seen {
    /// What a caller with these rights sees of an object in the current shape of its class.
    pub(crate) fn new(class: &Class, rights: &FieldRights, object: &Stored) -> Result<Self, AppError> {
        let everybody = Principal::anonymous();
        let is_public = !class.has_read_rules()
            && everybody.passes(class.acl().rules(Permission::Load))
            && everybody.passes(object.acl.as_ref().map(|acl| &acl.read));
        let cut = cut(class, rights, &object.key, &object.body)?;
        Ok(Self {
            key: object.key.clone(),
            version: object.version,
            is_cut: cut.is_some(),
            body: cut.unwrap_or_else(|| object.body.clone()),
            is_public,
            depends_on_caller: class.has_read_rules(),
        })
    }

    /// The object's key.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The object's version.
    pub fn version(&self) -> Version {
        self.version
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
    pub(crate) fn user_for(&self, caller: &Principal, user: &Stored) -> Result<Seen, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, USER)?;
        Seen::new(class, &field_rights(caller, class), user)
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
    let is_current = rows.rows().iter().all(|row| row.shape >= class.shape());
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
    let whole = if row.shape >= class.shape() {
        Bytes::copy_from_slice(body)
    } else {
        let completed = schema.complete_body(class, body);
        completed.map_err(|e| AppError::internal("reading an object", e))?
    };
    let cut = cut(class, grant.fields(), &row.key, &whole)?;
    Ok(cut.unwrap_or(whole))
}

/// The text without the fields that may not be read; `None` if all of them may.
fn cut(class: &Class, rights: &FieldRights, key: &ObjectKey, body: &[u8]) -> Result<Option<Bytes>, AppError> {
    if rights.read_everything() {
        return Ok(None);
    }
    let is_hidden = |name: &str| !rights.may_read(name, Objects::One(key));
    if !class.fields().iter().any(|field| is_hidden(field.name())) {
        return Ok(None);
    }
    match without_members(body, is_hidden) {
        Ok(cut) => Ok(Some(cut)),
        Err(error) => Err(AppError::internal("reading an object", error)),
    }
}
