//! Change parts of one object.

use fb_auth::{Objects, Operation, Principal, authorize};
use fb_query::Update;
use fb_store::{Effect, Moment, Refusal};
use fb_types::{Document, ObjectKey, Stored};
use serde_json::Value;

use super::{Condition, Seen};
use crate::{App, AppError};

impl App {
    /// Applies update operators to the object as it is, all or none. An empty update counts as a write.
    pub async fn update_partially(
        &self,
        caller: &Principal,
        bucket: &str,
        key: &ObjectKey,
        condition: Condition,
        operations: &Value,
    ) -> Result<Seen, AppError> {
        self.despite_schema_changes(|| self.try_update_partially(caller, bucket, key, condition, operations))
            .await
    }

    async fn try_update_partially(
        &self,
        caller: &Principal,
        bucket: &str,
        key: &ObjectKey,
        condition: Condition,
        operations: &Value,
    ) -> Result<Seen, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Update, class)?;
        let update = Update::parse(operations, &schema, class, &self.limits().query)?;
        for field in update.fields() {
            // Whether it works, and what comes out, may depend on what is there.
            grant.fields().authorize_read(field, Objects::One(key))?;
            grant.fields().authorize_write(field, Objects::One(key))?;
        }
        let id = Self::id_of(class, key);

        let (context, class_then, new_id) = (schema.clone(), class.clone(), id.clone());
        let object_bytes = self.limits().object_bytes;
        let decide = move |before: Option<&Stored>, moment: Moment| {
            condition.check(before)?;
            let stored = before.ok_or(Refusal::Missing)?;
            let mut document = Document::open(new_id.clone(), stored)
                .map_err(|e| AppError::internal("reading an object", e).refuse())?;
            if stored.shape < class_then.shape() {
                context.complete(&class_then, &mut document.fields);
            }
            update
                .apply(&context, &class_then, &mut document.fields, moment.now)
                .map_err(|e| AppError::from(e).refuse())?;
            document.version = stored.version.next();
            document.updated_at = moment.now;
            let after = document.store(class_then.shape());
            if after.body.len() > object_bytes {
                // Not how many: the caller may not see all of them.
                let text = format!("the object would have more than {object_bytes} bytes");
                return Err(AppError::TooLarge(text).refuse());
            }
            Ok(Effect::Put(after))
        };
        let written = self.commit_one(
            caller,
            &schema,
            class,
            (grant, key.clone()),
            operations,
            Box::new(decide),
        );
        match written.await {
            // Here a missing object is simply not found, unless the caller made it a condition.
            Err(AppError::OutOfDate { id, found: None }) if condition == Condition::None => Err(AppError::NoObject(id)),
            written => written,
        }
    }
}
