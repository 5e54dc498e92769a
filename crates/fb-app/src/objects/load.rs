//! Load one object.

use std::sync::Arc;

use fb_auth::{Operation, Principal, authorize};
use fb_types::{ObjectKey, Stored};

use crate::{App, AppError};

impl App {
    /// The object, if it exists and the caller may read it.
    pub async fn load(&self, caller: &Principal, bucket: &str, key: &ObjectKey) -> Result<Arc<Stored>, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Load, class)?;
        self.fetch(&grant, key)
            .await?
            .ok_or_else(|| AppError::NoObject(Self::id_of(class, key).to_string()))
    }
}
