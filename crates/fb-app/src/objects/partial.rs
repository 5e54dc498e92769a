//! Change parts of one object.

use std::sync::Arc;

use fb_auth::{Grant, Objects, Operation, Principal, authorize};
use fb_query::Update;
use fb_store::{Effect, Moment, Refusal};
use fb_types::{Class, Document, ObjectId, ObjectKey, Schema, Stored, Timestamp};
use serde_json::Value;

use super::{Condition, NewAcl, Seen, may_show};
use crate::functions::{Basis, CodeType, Prepared, Subject};
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
        self.despite_other_writes((bucket, key), || {
            self.try_update_partially(caller, bucket, key, condition, operations)
        })
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

        let change = Change {
            schema: schema.clone(),
            class: class.clone(),
            id: id.clone(),
            update,
        };
        let prepared = match self.has_code_before(caller, bucket, CodeType::Update) {
            true => self.prepare_partial(caller, &grant, condition, &change).await?,
            false => None,
        };
        let by_code = prepared.as_ref().and_then(|(_, prepared)| prepared.changes());
        let object_bytes = self.limits().object_bytes;
        let decide = move |before: Option<&Stored>, moment: Moment| {
            condition.check(before)?;
            let stored = before.ok_or(Refusal::Missing)?;
            let mut document = change.apply(stored, moment.now).map_err(AppError::refuse)?;
            if let Some((basis, prepared)) = &prepared {
                basis.check(before)?;
                prepared.over(&mut document.fields);
                document.acl = prepared.acl(NewAcl::Unchanged).over(Some(stored));
            }
            document.version = stored.version.next();
            document.updated_at = moment.now;
            let after = document.store(change.class.shape());
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
            (operations, by_code),
            Box::new(decide),
        );
        match written.await {
            // Here a missing object is simply not found, unless the caller made it a condition.
            Err(AppError::OutOfDate { id, found: None }) if condition == Condition::None => Err(AppError::NoObject(id)),
            written => written,
        }
    }

    /// Shows code the object as it would be. `None` if there is nothing to update, which the commit then says.
    async fn prepare_partial(
        &self,
        caller: &Principal,
        grant: &Grant,
        condition: Condition,
        change: &Change,
    ) -> Result<Option<(Basis, Prepared)>, AppError> {
        let (class, id) = (&change.class, &change.id);
        let Some(stored) = self.before_image(class.name().as_str(), id.key()).await? else {
            return Ok(None);
        };
        condition
            .check(Some(&stored))
            .map_err(|refusal| AppError::from_refusal(refusal, &id.to_string()))?;
        may_show(grant, &stored, id)?;
        let document = change.apply(&stored, self.clock().now())?;
        let object = Subject {
            id,
            version: Some(stored.version),
            acl: stored.acl.clone(),
            fields: &document.fields,
        };
        let prepared = self
            .prepare(caller, &change.schema, class, CodeType::Update, object)
            .await?;
        Ok(Some((prepared.basis(Some(stored)), prepared)))
    }
}

/// An update of one object.
struct Change {
    schema: Arc<Schema>,
    class: Arc<Class>,
    id: ObjectId,
    update: Update,
}

impl Change {
    /// The object after the update; its version and time are still the old ones.
    fn apply(&self, stored: &Stored, now: Timestamp) -> Result<Document, AppError> {
        let mut document =
            Document::open(self.id.clone(), stored).map_err(|e| AppError::internal("reading an object", e))?;
        if stored.shape < self.class.shape() {
            self.schema.complete(&self.class, &mut document.fields);
        }
        self.update
            .apply(&self.schema, &self.class, &mut document.fields, now)?;
        Ok(document)
    }
}
