//! The app's log, as far as the server itself has something to say there to the app's administrators.

use fb_auth::{Errand, system};
use fb_store::{Batch, Effect, Moment, ObjectWrite, Refusal};
use fb_types::schema::APP_LOG;
use fb_types::{Document, Stored, Version};
use serde_json::{Map, Value, json};

use crate::{App, AppError};

impl App {
    /// Writes an entry. `level` is one of the log's (`error`, `warn`, …); `data` holds no secrets.
    pub(crate) async fn app_log(&self, level: &'static str, message: &str, data: &Value) -> Result<(), AppError> {
        self.despite_schema_changes(|| self.try_app_log(level, message, data))
            .await
    }

    async fn try_app_log(&self, level: &'static str, message: &str, data: &Value) -> Result<(), AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, APP_LOG)?;
        let mut fields = Map::new();
        fields.insert("date".to_owned(), json!(self.clock().now().to_string()));
        fields.insert("level".to_owned(), json!(level));
        fields.insert("message".to_owned(), json!(message));
        fields.insert("data".to_owned(), data.clone());
        let fields = schema.check_fields(class, &fields, None)?;
        let id = Self::id_of(class, &self.store().allocate_key(class.name()).await?);
        let (key, shape) = (id.key().clone(), class.shape());
        let decide = move |before: Option<&Stored>, moment: Moment| match before {
            Some(_) => Err(Refusal::Exists),
            None => {
                let entry = Document {
                    id: id.clone(),
                    version: Version::FIRST,
                    created_at: moment.now,
                    updated_at: moment.now,
                    acl: None,
                    fields: fields.clone(),
                };
                Ok(Effect::Put(entry.store(shape)))
            }
        };
        let write = ObjectWrite {
            grant: system(Errand::WriteLog).grant(class.name()),
            key,
            checked_under: schema.rev(),
            decide: Box::new(decide),
        };
        self.store().commit(Batch::object(write)).await?;
        Ok(())
    }
}
