//! Indexes that administrators declare.

use fb_auth::{Principal, authorize_admin};
use fb_store::{Direction, IndexDef, IndexKey, StoreError};

use crate::{App, AppError};

/// Most indexes per class.
const MAX_INDEXES: usize = 50;
/// Most fields per index.
const MAX_KEYS: usize = 16;

impl App {
    /// The declared indexes of a class, as they take effect, the one on the id first.
    pub async fn list_indexes(&self, caller: &Principal, bucket: &str) -> Result<Vec<IndexDef>, AppError> {
        authorize_admin(caller, "list indexes")?;
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let id = IndexKey {
            path: "id".into(),
            direction: Direction::Asc,
        };
        let mut all = vec![IndexDef {
            unique: true,
            keys: vec![id],
        }];
        all.extend(self.store().indexes(class.name()).await?.into_iter().map(in_effect));
        Ok(all)
    }

    /// Declares an index. One that exists already is fine.
    pub async fn create_index(&self, caller: &Principal, bucket: &str, index: IndexDef) -> Result<(), AppError> {
        check(&index)?;
        self.edit_indexes(caller, bucket, |indexes| {
            if indexes.contains(&index) {
                return Ok(false);
            }
            // A unique and an ordinary index on the same fields are one index that changed its mind.
            indexes.retain(|i| i.keys != index.keys);
            if indexes.len() >= MAX_INDEXES {
                return Err(AppError::TooLarge(format!(
                    "a class may have at most {MAX_INDEXES} indexes"
                )));
            }
            indexes.push(index);
            Ok(true)
        })
        .await
    }

    /// Drops the index with these fields. One that does not exist is fine.
    pub async fn drop_index(&self, caller: &Principal, bucket: &str, index: &IndexDef) -> Result<(), AppError> {
        self.edit_indexes(caller, bucket, |indexes| {
            let before = indexes.len();
            indexes.retain(|i| i.keys != index.keys);
            Ok(indexes.len() != before)
        })
        .await
    }

    /// Drops all declared indexes of a class.
    pub async fn drop_indexes(&self, caller: &Principal, bucket: &str) -> Result<(), AppError> {
        self.edit_indexes(caller, bucket, |indexes| {
            let any = !indexes.is_empty();
            indexes.clear();
            Ok(any)
        })
        .await
    }

    async fn edit_indexes(
        &self,
        caller: &Principal,
        bucket: &str,
        edit: impl FnOnce(&mut Vec<IndexDef>) -> Result<bool, AppError>,
    ) -> Result<(), AppError> {
        let admin = authorize_admin(caller, "change indexes")?;
        let _one_at_a_time = self.schema_edits.lock().await;
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let mut indexes = self.store().indexes(class.name()).await?;
        if edit(&mut indexes)? {
            match self.store().set_indexes(&admin, class.name(), indexes).await {
                Ok(()) => {}
                Err(StoreError::NotUnique { class, index }) => {
                    return Err(AppError::Duplicate { class, fields: index });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Ordinary indexes are extended by the id in the direction of their last field, so that they also give the order of
/// ties.
fn in_effect(mut index: IndexDef) -> IndexDef {
    let last = index.keys.last().map(|k| k.direction);
    if let (false, Some(direction @ (Direction::Asc | Direction::Desc))) = (index.unique, last) {
        index.keys.push(IndexKey {
            path: "id".into(),
            direction,
        });
    }
    index
}

fn check(index: &IndexDef) -> Result<(), AppError> {
    if index.keys.is_empty() || index.keys.len() > MAX_KEYS {
        return Err(AppError::Invalid(format!("an index has 1 to {MAX_KEYS} fields")));
    }
    let mut seen = std::collections::HashSet::new();
    for key in &index.keys {
        let plain = |step: &str| {
            step.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && step.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if key.path.len() > 200 || !key.path.split('.').all(plain) {
            let path: String = key.path.chars().take(80).collect();
            return Err(AppError::Invalid(format!(
                "`{path}` is no field name an index can be on"
            )));
        }
        if !seen.insert(&key.path) {
            return Err(AppError::Invalid(format!("{} occurs twice in the index", key.path)));
        }
        if key.direction == Direction::Geo && (index.keys.len() > 1 || index.unique) {
            return Err(AppError::Invalid("a geo index has one field and is not unique".into()));
        }
    }
    Ok(())
}
