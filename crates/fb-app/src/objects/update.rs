//! Replace one object, or insert it.

use fb_auth::{Operation, Principal, authorize};
use fb_store::{Effect, Moment};
use fb_types::schema::{DEVICE, server_assigns_ids};
use fb_types::{Class, FieldsText, Header, ObjectId, ObjectKey, Stored, Version};
use serde_json::{Map, Value};

use super::fields::Replacement;
use super::{Condition, NewAcl, Seen, may_show};
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
        let text = FieldsText::new(&fields);
        self.check_size(text.object_bytes())?;
        let replacement = Replacement::new(&schema, class, &id, grant.fields(), input, fields);
        // What is written, if that depends on nothing that is there.
        let mut text = (!replacement.needs_stored()).then_some(text);
        let object_bytes = self.limits().object_bytes;
        // Not how many: the caller may not see all of them.
        let too_large = move || AppError::TooLarge(format!("the object would have more than {object_bytes} bytes"));

        let (mut basis, mut by_code) = (None, None);
        if self.has_code_before(caller, bucket, CodeType::Update)
            || condition == Condition::None && self.has_code_before(caller, bucket, CodeType::Insert)
        {
            let refused = |refusal| AppError::from_refusal(refusal, &id.to_string());
            let stored = self.before_image(bucket, key).await?;
            condition.check(stored.as_deref()).map_err(refused)?;
            let (kind, version) = match &stored {
                Some(stored) => (CodeType::Update, Some(stored.version)),
                None if !may_insert => return Err(ids_are_given(class)),
                None => (CodeType::Insert, None),
            };
            if let Some(stored) = &stored {
                may_show(&grant, stored, &id)?;
            }
            let mut fields = replacement.over(stored.as_deref()).map_err(refused)?;
            let object = Subject {
                id: &id,
                version,
                acl: acl.over(stored.as_deref()),
                fields: &fields,
            };
            let prepared = self.prepare(caller, &schema, class, kind, object).await?;
            if prepared.was_asked() {
                prepared.over(&mut fields);
                acl = prepared.acl(acl);
                let made = FieldsText::new(&fields);
                if made.object_bytes() > object_bytes {
                    return Err(too_large());
                }
                text = Some(made);
            }
            by_code = prepared.changes();
            basis = Some(prepared.basis(stored));
        }

        let shape = class.shape();
        let decide = move |before: Option<&Stored>, moment: Moment| {
            condition.check(before)?;
            if let Some(basis) = &basis {
                basis.check(before)?;
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
            if let Some(text) = &text {
                return Ok(Effect::Put(header.store(shape, text)));
            }
            let fields = replacement.over(before)?;
            let after = header.store(shape, &FieldsText::new(&fields));
            if after.body.len() > object_bytes {
                return Err(too_large().refuse());
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
