//! Objects: load, insert, update, delete, partial update, and whole classes at once.

mod bulk;
mod delete;
mod fields;
mod insert;
mod load;
mod own;
mod partial;
mod update;

use std::sync::Arc;
use std::time::Duration;

use fb_auth::{Denied, Grant, Principal};
use fb_store::{Batch, Decide, ObjectWrite, Outcome, Refusal, StoreError};
use fb_types::schema::ROLE;
use fb_types::{Acl, Class, ObjectId, ObjectKey, Schema, Stored, Version};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::audit::Action;
use crate::{App, AppError};

pub use crate::view::Seen;
pub use bulk::{ImportFailure, Imported};
pub(crate) use own::insert_own;

/// A caller's condition on the object it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// None: insert or overwrite, delete if it is there.
    None,
    /// The object exists.
    Exists,
    /// The object exists in exactly this version.
    Version(Version),
}

impl Condition {
    pub(crate) fn check(self, before: Option<&Stored>) -> Result<(), Refusal> {
        match (self, before) {
            (Self::None, _) | (Self::Exists, Some(_)) => Ok(()),
            (Self::Version(expected), Some(stored)) if stored.version == expected => Ok(()),
            (Self::Version(_), Some(stored)) => Err(Refusal::VersionMismatch { found: stored.version }),
            (Self::Exists | Self::Version(_), None) => Err(Refusal::Missing),
        }
    }
}

impl App {
    /// Runs a write that was checked against a schema; again if that changed, in the end while no schema change can come in
    /// between. Not at once: code that has a say in the write may change the schema itself.
    pub(crate) async fn despite_schema_changes<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, AppError>
    where
        F: Future<Output = Result<T, AppError>>,
    {
        for _ in 0..2 {
            match attempt().await {
                Err(AppError::Store(StoreError::SchemaChanged)) => {}
                result => return result,
            }
        }
        let _settled = self.schema_edits.lock().await;
        attempt().await
    }

    /// Runs a write that is prepared from the object as it is; again if the object changed meanwhile, a few times.
    pub(crate) async fn despite_other_writes<T, F>(
        &self,
        (bucket, key): (&str, &ObjectKey),
        attempt: impl Fn() -> F,
    ) -> Result<T, AppError>
    where
        F: Future<Output = Result<T, AppError>>,
    {
        match self.despite_schema_changes(&attempt).await {
            Err(AppError::Contended) => {}
            result => return result,
        }
        // One at a time from here on, or a crowd of writers could be in each other's way for ever.
        let turn = self.code().turns.of(bucket, key).lock();
        let Ok(_turn) = tokio::time::timeout(PATIENCE, turn).await else {
            return Err(AppError::Contended);
        };
        for _ in 1..ATTEMPTS {
            match self.despite_schema_changes(&attempt).await {
                Err(AppError::Contended) => {}
                result => return result,
            }
        }
        self.despite_schema_changes(&attempt).await
    }

    /// Commits one write of one object that is there afterwards. `input` is what the caller sent, `by_code` what code made
    /// of it: what makes somebody a member of a role goes into the audit log.
    async fn commit_one(
        &self,
        caller: &Principal,
        schema: &Schema,
        class: &Class,
        (grant, key): (Grant, ObjectKey),
        (input, by_code): (impl Serialize, Option<Value>),
        decide: Decide,
    ) -> Result<Seen, AppError> {
        let id = Self::id_of(class, &key);
        let rights = grant.fields().clone();
        let write = ObjectWrite {
            grant,
            key,
            checked_under: schema.rev(),
            decide,
        };
        let mut batch = Batch::object(write);
        if class.name().as_str() == ROLE {
            let mut data = json!({ "request": input });
            if let Some(changes) = by_code {
                data["code"] = changes;
            }
            batch
                .writes
                .push(self.audit(schema, caller, Action::RoleWritten, &id.to_string(), data)?);
        }
        let committed = self.commit(batch).await;
        let outcomes = committed.map_err(|error| AppError::from_commit(error, &id.to_string()))?;
        match outcomes.into_iter().next() {
            Some(Outcome::Written(object)) => Seen::new(schema, class, &rights, object.into()),
            _ => Err(AppError::internal("writing an object", "the store kept the write")),
        }
    }

    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), AppError> {
        let limit = self.limits().object_bytes;
        if bytes <= limit {
            return Ok(());
        }
        let text = format!("the object has about {bytes} bytes, at most {limit} are allowed");
        Err(AppError::TooLarge(text))
    }
}

/// Code is shown an object on behalf of those only who may write it.
fn may_show(grant: &Grant, stored: &Stored, id: &ObjectId) -> Result<(), AppError> {
    match grant.scope().may_write(stored.acl.as_deref()) {
        true => Ok(()),
        false => Err(Denied::Object(id.to_string()).into()),
    }
}

/// How often a write is prepared anew because the object changed meanwhile.
const ATTEMPTS: usize = 8;

/// How long a write waits for its turn to be prepared anew.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client's JSON says about the object's rules.
#[derive(Debug, Clone)]
pub(crate) enum NewAcl {
    /// Nothing: they stay.
    Unchanged,
    /// These from now on; `None` is public.
    Set(Option<Arc<Acl>>),
}

impl NewAcl {
    pub(crate) fn from_json(input: &Map<String, Value>) -> Result<Self, AppError> {
        match input.get("acl") {
            None => Ok(Self::Unchanged),
            Some(acl) => Ok(Self::Set(Acl::from_json(acl)?.map(Arc::new))),
        }
    }

    pub(crate) fn over(&self, before: Option<&Stored>) -> Option<Arc<Acl>> {
        match self {
            Self::Unchanged => before.and_then(|stored| stored.acl.clone()),
            Self::Set(acl) => acl.clone(),
        }
    }
}
