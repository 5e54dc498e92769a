//! Replace one object, or insert it.

use fb_auth::{Operation, Principal, authorize};
use fb_store::{Effect, Moment};
use fb_types::schema::server_assigns_ids;
use fb_types::{FieldsText, Header, ObjectId, ObjectKey, Stored, Version};
use serde_json::{Map, Value};

use super::{Condition, NewAcl, Seen, read_only_fields};
use crate::{App, AppError};

impl App {
    /// Replaces the object's fields. Without a condition the object is inserted if it is missing.
    pub async fn update(
        &self,
        caller: &Principal,
        bucket: &str,
        key: &ObjectKey,
        condition: Condition,
        input: &Map<String, Value>,
    ) -> Result<Seen, AppError> {
        self.despite_schema_changes(|| self.try_update(caller, bucket, key, condition, input))
            .await
    }

    async fn try_update(
        &self,
        caller: &Principal,
        bucket: &str,
        key: &ObjectKey,
        condition: Condition,
        input: &Map<String, Value>,
    ) -> Result<Seen, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let operation = if condition == Condition::None {
            Operation::Save
        } else {
            Operation::Update
        };
        let grant = authorize(caller, operation, class)?;
        let id = Self::id_of(class, key);
        match input.get("id") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.parse::<ObjectId>()? == id => {}
            Some(other) => {
                let found: String = other.to_string().chars().take(80).collect();
                return Err(AppError::Invalid(format!(
                    "the body's id {found} is not the one it was sent to, {id}"
                )));
            }
        }
        let acl = NewAcl::from_json(input)?;
        let fields = schema.check_fields(class, input, None)?;
        let text = FieldsText::new(&fields);
        self.check_size(text.object_bytes())?;

        let (class_then, shape, new_id) = (class.clone(), class.shape(), id.clone());
        let may_insert = !server_assigns_ids(class.name()) && class.name().as_str() != "Device";
        let decide = move |before: Option<&Stored>, moment: Moment| {
            condition.check(before)?;
            if before.is_none() && !may_insert {
                return Err(
                    AppError::Invalid(format!("ids of {} are given by the server", class_then.name())).refuse(),
                );
            }
            let header = Header {
                id: &new_id,
                version: before.map_or(Version::FIRST, |stored| stored.version.next()),
                created_at: before.map_or(moment.now, |stored| stored.created_at),
                updated_at: moment.now,
                acl: acl.over(before),
            };
            let Some(kept) = read_only_fields(&class_then, before)? else {
                return Ok(Effect::Put(header.store(shape, &text)));
            };
            let mut fields = fields.clone();
            for field in class_then.fields().iter().filter(|f| f.is_read_only()) {
                let value = kept.get(field.name()).cloned().unwrap_or_default();
                fields.insert(field.name().to_owned(), value);
            }
            Ok(Effect::Put(header.store(shape, &FieldsText::new(&fields))))
        };
        self.commit_one(caller, &schema, class, (grant, key.clone()), input, Box::new(decide))
            .await
    }
}
