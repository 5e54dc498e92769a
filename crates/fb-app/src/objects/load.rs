//! Load one object.

use fb_auth::{Operation, Principal, authorize};
use fb_types::ObjectKey;

use super::Seen;
use crate::{App, AppError};

impl App {
    /// The object, if it exists and the caller may read it.
    pub async fn load(&self, caller: &Principal, bucket: &str, key: &ObjectKey) -> Result<Seen, AppError> {
        self.despite_schema_changes(|| self.try_load(caller, bucket, key)).await
    }

    async fn try_load(&self, caller: &Principal, bucket: &str, key: &ObjectKey) -> Result<Seen, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Load, class)?;
        match self.fetch(&schema, class, &grant, key).await? {
            Some(object) => Seen::new(&schema, class, grant.fields(), object),
            None => Err(AppError::NoObject(Self::id_of(class, key).to_string())),
        }
    }
}
