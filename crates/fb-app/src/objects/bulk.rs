//! Whole classes: list of ids, export, import, truncate. For administrators.

use fb_auth::{Admin, Operation, Principal, authorize, authorize_admin};
use fb_store::{Batch, Effect, ObjectWrite, Refusal, Write};
use fb_types::schema::DEVICE;
use fb_types::{ObjectId, ObjectKey, Stored};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use serde_json::{Value, json};

use super::Condition;
use crate::audit::Action;
use crate::view::visible_row;
use crate::{App, AppError};

/// Objects per transaction when a class is emptied.
const TRUNCATE_CHUNK: u64 = 500;

/// Objects of an import that are written at the same time.
const IMPORT_AT_ONCE: usize = 64;

/// What became of an import.
#[derive(Debug, Default)]
pub struct Imported {
    /// How many objects were written.
    pub count: u64,
    /// Which ones were not.
    pub failures: Vec<ImportFailure>,
}

/// An object that was not imported.
#[derive(Debug)]
pub struct ImportFailure {
    /// Position in the import.
    pub index: usize,
    /// The object's id as far as it has one.
    pub id: Option<String>,
    /// Why.
    pub error: AppError,
}

impl App {
    /// Keys of all objects of a class, in their order.
    pub async fn list_ids(
        &self,
        caller: &Principal,
        bucket: &str,
        offset: u64,
        limit: Option<u64>,
    ) -> Result<Vec<ObjectId>, AppError> {
        let admin = authorize_admin(caller, "list all ids of a class")?;
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let keys = self
            .store()
            .keys(&admin.grant(class.name()), offset, limit.unwrap_or(u64::MAX))
            .await?;
        Ok(keys
            .into_iter()
            .map(|key| ObjectId::new(class.name().clone(), key))
            .collect())
    }

    /// One piece of an export: up to 500 objects behind `after` as JSON texts, and where the next piece begins.
    pub async fn export_piece(
        &self,
        caller: &Principal,
        bucket: &str,
        after: Option<&ObjectKey>,
    ) -> Result<(Vec<bytes::Bytes>, Option<ObjectKey>), AppError> {
        let admin = authorize_admin(caller, "export a class")?;
        if after.is_none() {
            self.log_bulk(caller, Action::ClassExported, bucket).await?;
        }
        self.despite_schema_changes(|| self.try_export_piece(&admin, bucket, after))
            .await
    }

    async fn try_export_piece(
        &self,
        admin: &Admin,
        bucket: &str,
        after: Option<&ObjectKey>,
    ) -> Result<(Vec<bytes::Bytes>, Option<ObjectKey>), AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = admin.grant(class.name());
        let rows = self.store().scan(&grant, after, 500).await?;
        let mut bodies = Vec::with_capacity(rows.rows().len());
        for row in rows.rows() {
            bodies.push(visible_row(&schema, class, &grant, row, rows.body(row))?);
        }
        Ok((bodies, rows.rows().last().map(|row| row.key.clone())))
    }

    /// Inserts or overwrites the given objects, each by itself: failures of some leave the others written.
    pub async fn import(&self, caller: &Principal, bucket: &str, objects: Vec<Value>) -> Result<Imported, AppError> {
        authorize_admin(caller, "import objects")?;
        // What is imported was prepared where it comes from: it calls no code.
        let caller = &caller.as_code();
        authorize(caller, Operation::Save, self.entity(&self.schema(), bucket)?)?;
        self.log_bulk(caller, Action::ClassImported, bucket).await?;
        let mut imported = Imported::default();
        // Many at once share disk flushes; they are queued in their order.
        let mut running = FuturesOrdered::new();
        let mut waiting = objects.iter();
        for (index, written) in objects.iter().enumerate() {
            while running.len() < IMPORT_AT_ONCE {
                let Some(object) = waiting.next() else { break };
                running.push_back(self.import_one(caller, bucket, object));
            }
            match running.next().await {
                Some(Err(error)) => {
                    let id = written.get("id").and_then(Value::as_str).map(str::to_owned);
                    imported.failures.push(ImportFailure { index, id, error });
                }
                Some(Ok(())) => imported.count += 1,
                None => break,
            }
        }
        Ok(imported)
    }

    /// Written before what it speaks of, which may be cut off in the middle.
    async fn log_bulk(&self, caller: &Principal, action: Action, bucket: &str) -> Result<(), AppError> {
        let write = async || {
            let schema = self.schema();
            let class = self.entity(&schema, bucket)?;
            let target = class.name().reference();
            let writes = vec![self.audit(&schema, caller, action, &target, json!({}))?];
            Ok(self.commit(Batch { writes }).await.map(drop)?)
        };
        self.despite_schema_changes(write).await
    }

    async fn import_one(&self, caller: &Principal, bucket: &str, object: &Value) -> Result<(), AppError> {
        let Value::Object(input) = object else {
            return Err(AppError::Invalid(format!(
                "an object is expected, found {}",
                fb_types::kind_of(object)
            )));
        };
        match input.get("id").and_then(Value::as_str) {
            Some(id) => {
                let id: ObjectId = id.parse()?;
                if id.class().as_str() != bucket {
                    return Err(AppError::Invalid(format!("the id {id} is not one of class {bucket}")));
                }
                self.update(caller, bucket, id.key(), Condition::None, input)
                    .await
                    .map(drop)
            }
            None => self.insert(caller, bucket, input).await.map(drop),
        }
    }

    /// Deletes all objects of a class, in transactions of 500, and says how many. Objects that are inserted meanwhile
    /// may survive. The last administrator's class of users cannot be emptied.
    pub async fn truncate(&self, caller: &Principal, bucket: &str) -> Result<u64, AppError> {
        let admin = authorize_admin(caller, "delete all objects of a class")?;
        authorize(caller, Operation::Delete, self.entity(&self.schema(), bucket)?)?;
        if matches!(bucket, fb_types::schema::USER | fb_types::schema::ROLE) {
            return Err(AppError::Invalid(format!(
                "{bucket} cannot be emptied at once; delete single objects"
            )));
        }
        self.log_bulk(caller, Action::ClassEmptied, bucket).await?;
        let mut count = 0;
        loop {
            let deleted = self.despite_schema_changes(|| self.delete_some(&admin, bucket)).await?;
            if deleted == 0 {
                return Ok(count);
            }
            count += deleted;
        }
    }

    /// Deletes the first objects of a class in one transaction; how many there were.
    async fn delete_some(&self, admin: &Admin, bucket: &str) -> Result<u64, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let keys = self.store().keys(&admin.grant(class.name()), 0, TRUNCATE_CHUNK).await?;
        let count = keys.len() as u64;
        let mut writes = Vec::with_capacity(keys.len());
        for key in keys {
            if bucket == DEVICE {
                writes.extend(self.registration_to_remove(&key).await?);
            }
            writes.push(delete_whatever(admin, class, key, schema.rev()));
        }
        let committed = self.commit(Batch { writes }).await;
        committed.map_err(|error| AppError::from_commit(error, &class.name().reference()))?;
        Ok(count)
    }
}

fn delete_whatever(admin: &Admin, class: &fb_types::Class, key: ObjectKey, checked_under: u32) -> Write {
    let decide =
        |before: Option<&Stored>, _| Ok::<_, Refusal>(if before.is_some() { Effect::Delete } else { Effect::Keep });
    Write::Object(ObjectWrite {
        grant: admin.grant(class.name()),
        key,
        checked_under,
        decide: Box::new(decide),
    })
}
