//! Objects: load, insert, update, delete, partial update, and whole classes at once.

mod bulk;
mod delete;
mod fields;
mod insert;
mod load;
mod partial;
mod update;

use std::sync::Arc;

use fb_auth::Grant;
use fb_store::{Batch, Decide, ObjectWrite, Outcome, Refusal};
use fb_types::{Acl, Class, ObjectKey, Schema, Stored, Version};
use serde_json::{Map, Value};

use crate::{App, AppError};

pub use crate::view::Seen;
pub use bulk::{ImportFailure, Imported};

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
    fn check(self, before: Option<&Stored>) -> Result<(), Refusal> {
        match (self, before) {
            (Self::None, _) | (Self::Exists, Some(_)) => Ok(()),
            (Self::Version(expected), Some(stored)) if stored.version == expected => Ok(()),
            (Self::Version(_), Some(stored)) => Err(Refusal::VersionMismatch { found: stored.version }),
            (Self::Exists | Self::Version(_), None) => Err(Refusal::Missing),
        }
    }
}

/// How often a write is checked again because the schema changed under it.
const SCHEMA_RETRIES: usize = 5;

impl App {
    /// Commits one write of one object that is there afterwards.
    async fn commit_one(
        &self,
        schema: &Schema,
        class: &Class,
        grant: Grant,
        key: ObjectKey,
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
        let committed = self.store().commit(Batch::object(write)).await;
        let outcomes = committed.map_err(|error| AppError::from_commit(error, &id.to_string()))?;
        match outcomes.into_iter().next() {
            Some(Outcome::Written(object)) => Seen::new(schema, class, &rights, &object),
            _ => Err(AppError::internal("writing an object", "the store kept the write")),
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), AppError> {
        let limit = self.limits().object_bytes;
        if bytes <= limit {
            return Ok(());
        }
        let text = format!("the object has about {bytes} bytes, at most {limit} are allowed");
        Err(AppError::TooLarge(text))
    }
}

/// What a client's JSON says about the object's rules.
#[derive(Debug, Clone)]
enum NewAcl {
    /// Nothing: they stay.
    Unchanged,
    /// These from now on; `None` is public.
    Set(Option<Arc<Acl>>),
}

impl NewAcl {
    fn from_json(input: &Map<String, Value>) -> Result<Self, AppError> {
        match input.get("acl") {
            None => Ok(Self::Unchanged),
            Some(acl) => Ok(Self::Set(Acl::from_json(acl)?.map(Arc::new))),
        }
    }

    fn over(&self, before: Option<&Stored>) -> Option<Arc<Acl>> {
        match self {
            Self::Unchanged => before.and_then(|stored| stored.acl.clone()),
            Self::Set(acl) => acl.clone(),
        }
    }
}

/// Runs a write that was checked against a schema, again if the schema changed meanwhile.
macro_rules! with_schema_retries {
    ($attempt:expr) => {{
        let mut result = $attempt.await;
        for _ in 0..$crate::objects::SCHEMA_RETRIES {
            if !matches!(
                result,
                Err($crate::AppError::Store(::fb_store::StoreError::SchemaChanged))
            ) {
                break;
            }
            result = $attempt.await;
        }
        result
    }};
}
use with_schema_retries;
