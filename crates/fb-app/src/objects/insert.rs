//! Insert one object.

use fb_auth::{Objects, Operation, Principal, authorize};
use fb_store::{Effect, Moment, Refusal};
use fb_types::schema::{DEVICE, server_assigns_ids};
use fb_types::{Class, FieldsText, Header, ObjectId, ObjectKey, Stored, Version};
use serde_json::{Map, Value};

use super::{NewAcl, Seen};
use crate::functions::{CodeType, Subject};
use crate::prune::check_line;
use crate::{App, AppError};

impl App {
    /// Inserts an object. Its id comes from `input`, or from the server where `input` has none or the class's ids are
    /// the server's business.
    pub async fn insert(&self, caller: &Principal, bucket: &str, input: &Map<String, Value>) -> Result<Seen, AppError> {
        self.despite_schema_changes(|| self.try_insert(caller, bucket, input))
            .await
    }

    async fn try_insert(&self, caller: &Principal, bucket: &str, input: &Map<String, Value>) -> Result<Seen, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Insert, class)?;
        if bucket == DEVICE {
            return Err(AppError::Invalid(
                "Inserts of devices are not allowed, register the device instead".into(),
            ));
        }
        let acl = NewAcl::from_json(input)?;
        let mut fields = schema.check_fields(class, input, None)?;
        let has_value = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
        grant.fields().authorize_new(Objects::All, has_value)?;
        let key = self.key_for_insert(class, input).await?;
        let id = Self::id_of(class, &key);
        let mut acl = acl.over(None);
        let mut by_code = None;
        if self.has_code_before(caller, bucket, CodeType::Insert) {
            let object = Subject {
                id: &id,
                version: None,
                acl: acl.clone(),
                fields: &fields,
            };
            let prepared = self.prepare(caller, &schema, class, CodeType::Insert, object).await?;
            prepared.over(&mut fields);
            by_code = prepared.changes();
            acl = prepared.acl(NewAcl::Set(acl)).over(None);
        }

        let shape = class.shape();
        let fields = FieldsText::new(&fields);
        self.check_size(fields.object_bytes())?;
        check_line(bucket, fields.object_bytes())?;
        let decide = move |before: Option<&Stored>, moment: Moment| match before {
            Some(_) => Err(Refusal::Exists),
            None => {
                let header = Header {
                    id: &id,
                    version: Version::FIRST,
                    created_at: moment.now,
                    updated_at: moment.now,
                    acl: acl.clone(),
                };
                Ok(Effect::Put(header.store(shape, &fields)))
            }
        };
        self.commit_one(caller, &schema, class, (grant, key), (input, by_code), Box::new(decide))
            .await
    }

    async fn key_for_insert(&self, class: &Class, input: &Map<String, Value>) -> Result<ObjectKey, AppError> {
        if server_assigns_ids(class.name()) {
            return Ok(self.store().allocate_key(class.name()).await?);
        }
        match input.get("id") {
            None | Some(Value::Null) => Ok(ObjectKey::from_raw(&uuid::Uuid::new_v4().to_string())?),
            Some(Value::String(text)) => {
                let id: ObjectId = text.parse()?;
                if id.class() != class.name() {
                    return Err(AppError::Invalid(format!(
                        "the id {id} is not one of class {}",
                        class.name()
                    )));
                }
                Ok(id.key().clone())
            }
            Some(_) => Err(AppError::Invalid(
                "the id must be a string like /db/<class>/<key>".into(),
            )),
        }
    }
}
