//! Replace one object, or insert it.

use fb_auth::{Operation, Principal, authorize};
use fb_store::{Effect, Moment};
use fb_types::schema::{DEVICE, server_assigns_ids};
use fb_types::{Class, FieldsText, Header, ObjectId, ObjectKey, Stored, Version};
use serde_json::{Map, Value};

use super::fields::Replacement;
use super::{Condition, NewAcl, Seen};
use crate::functions::{CodeType, Subject};
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
        self.despite_other_writes((bucket, key), || self.try_update(caller, bucket, key, condition, input))
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
        let may_insert = !server_assigns_ids(class.name()) && class.name().as_str() != DEVICE;
        let mut acl = NewAcl::from_json(input)?;
        let fields = schema.check_fields(class, input, None)?;
        let mut text = FieldsText::new(&fields);
        let mut prepared = None;
        if self.has_code_before(caller, bucket, CodeType::Update)
            || condition == Condition::None && self.has_code_before(caller, bucket, CodeType::Insert)
        {
            let stored = self.before_image(bucket, key).await?;
            condition
                .check(stored.as_deref())
                .map_err(|refusal| AppError::from_refusal(refusal, &id.to_string()))?;
            if stored.is_none() && !may_insert {
                return Err(ids_are_given(class));
            }
            let (kind, version) = match &stored {
                Some(stored) => (CodeType::Update, Some(stored.version)),
                None => (CodeType::Insert, None),
            };
            let object = Subject {
                id: &id,
                version,
                acl: acl.over(stored.as_deref()),
                fields: &fields,
            };
            let changes = self.prepare(caller, &schema, class, kind, object).await?;
            let mut changed = fields.clone();
            changes.over(&mut changed);
            text = FieldsText::new(&changed);
            acl = changes.acl(acl);
            prepared = Some((changes, stored.is_some()));
        }
        self.check_size(text.object_bytes())?;

        let replacement = Replacement::new(&schema, class, &id, grant.fields(), input, fields);
        let (shape, object_bytes) = (class.shape(), self.limits().object_bytes);
        let by_code = prepared.as_ref().and_then(|(changes, _)| changes.changes());
        let decide = move |before: Option<&Stored>, moment: Moment| {
            condition.check(before)?;
            if prepared
                .as_ref()
                .is_some_and(|(_, was_there)| *was_there != before.is_some())
            {
                return Err(AppError::Contended.refuse());
            }
            if before.is_none() && !may_insert {
                return Err(ids_are_given(replacement.class()).refuse());
            }
            let header = Header {
                id: replacement.id(),
                version: before.map_or(Version::FIRST, |stored| stored.version.next()),
                created_at: before.map_or(moment.now, |stored| stored.created_at),
                updated_at: moment.now,
                acl: acl.over(before),
            };
            if !replacement.needs_stored() {
                return Ok(Effect::Put(header.store(shape, &text)));
            }
            let mut fields = replacement.over(before)?;
            if let Some((changes, _)) = &prepared {
                changes.over(&mut fields);
            }
            let after = header.store(shape, &FieldsText::new(&fields));
            if after.body.len() > object_bytes {
                let text = format!("the object would have more than {object_bytes} bytes");
                return Err(AppError::TooLarge(text).refuse());
            }
            Ok(Effect::Put(after))
        };
        self.commit_one(
            caller,
            &schema,
            class,
            (grant, key.clone()),
            (input, by_code),
            Box::new(decide),
        )
        .await
    }
}

fn ids_are_given(class: &Class) -> AppError {
    AppError::Invalid(format!("ids of {} are given by the server", class.name()))
}
