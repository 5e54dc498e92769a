//! Delete one object.

use fb_auth::{Errand, Operation, Principal, authorize};
use fb_store::{Batch, Effect, ObjectWrite, Refusal};
use fb_types::schema::{DEVICE, ROLE, USER, is_predefined_role};
use fb_types::{ObjectKey, Stored};
use serde_json::json;

use super::{Condition, may_show};
use crate::audit::Action;
use crate::functions::{Basis, CodeType};
use crate::{App, AppError};

impl App {
    /// Deletes the object. Without a condition a missing object is no error. A user's credentials go with the user,
    /// a device's registration with the device.
    pub async fn delete(
        &self,
        caller: &Principal,
        bucket: &str,
        key: &ObjectKey,
        condition: Condition,
    ) -> Result<(), AppError> {
        // Also if a user's credentials, or a device's registration, changed between reading and removing them.
        self.despite_other_writes((bucket, key), || self.try_delete(caller, bucket, key, condition))
            .await
    }

    async fn try_delete(
        &self,
        caller: &Principal,
        bucket: &str,
        key: &ObjectKey,
        condition: Condition,
    ) -> Result<(), AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Delete, class)?;
        let is_predefined = bucket == ROLE && is_predefined_role(key);
        let id = Self::id_of(class, key);
        let mut basis = None;
        if self.has_code_before(caller, bucket, CodeType::Delete) {
            let stored = self.before_image(bucket, key).await?;
            if let Some(stored) = &stored {
                condition
                    .check(Some(stored))
                    .map_err(|refusal| AppError::from_refusal(refusal, &id.to_string()))?;
                may_show(&grant, stored, &id)?;
                self.before_delete(caller, class, &id).await?;
            }
            basis = Some(Basis::Object(stored));
        }
        // What is not there is not deleted, and leaves no entry in the audit log.
        let is_account = matches!(bucket, USER | ROLE);
        let is_logged = is_account && self.fetch_for(Errand::Audit, bucket, key).await?.is_some();
        let decide = move |before: Option<&Stored>, _| {
            condition.check(before)?;
            if let Some(basis) = &basis {
                basis.check(before)?;
            }
            if is_account && before.is_some() != is_logged {
                return Err(AppError::Contended.refuse());
            }
            if is_predefined {
                return Err(AppError::Invalid("the predefined roles cannot be deleted".into()).refuse());
            }
            Ok::<_, Refusal>(if before.is_some() { Effect::Delete } else { Effect::Keep })
        };
        let write = ObjectWrite {
            grant,
            key: key.clone(),
            checked_under: schema.rev(),
            decide: Box::new(decide),
        };
        let mut batch = Batch::object(write);
        let entry = |action| self.audit(&schema, caller, action, &id.to_string(), json!({}));
        match bucket {
            USER if is_logged => {
                batch.writes.extend(self.credentials_to_remove(key).await?);
                batch.writes.push(entry(Action::UserDeleted)?);
            }
            DEVICE => batch.writes.extend(self.registration_to_remove(key).await?),
            ROLE if is_logged => batch.writes.push(entry(Action::RoleDeleted)?),
            _ => {}
        }
        match self.commit(batch).await {
            Ok(_) => Ok(()),
            Err(error) => Err(AppError::from_commit(error, &id.to_string())),
        }
    }
}
