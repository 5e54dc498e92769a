//! What goes when a device goes.

use fb_auth::{Errand, system};
use fb_store::{Batch, Effect, Expect, ObjectWrite, Refusal, Write};
use fb_types::schema::DEVICE;
use fb_types::{ObjectKey, Stored};

use super::{COOKIES, DEVICES, Registration, TARGETS};
use crate::accounts::record;
use crate::functions::Basis;
use crate::objects::Condition;
use crate::{App, AppError};

impl App {
    /// The writes that remove a device's records. They fail if it registers anew meanwhile.
    pub(crate) async fn registration_to_remove(&self, key: &ObjectKey) -> Result<Vec<Write>, AppError> {
        Ok(match self.registration(key).await? {
            Some((stored, registration)) => removal(key, stored, &registration),
            None => Vec::new(),
        })
    }

    /// Removes a device and its records on the server's own account, as long as its registration is `stored`. No code has a
    /// say in that.
    pub(super) async fn remove_device(&self, key: &ObjectKey, stored: Vec<u8>) -> Result<(), AppError> {
        self.despite_schema_changes(|| self.try_remove_device(key, stored.clone(), Condition::None, None))
            .await
    }

    /// `basis` is what code was asked about.
    pub(super) async fn try_remove_device(
        &self,
        key: &ObjectKey,
        stored: Vec<u8>,
        condition: Condition,
        basis: Option<Basis>,
    ) -> Result<(), AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, DEVICE)?;
        let registration = Registration::decode(&stored)?;
        let decide = move |before: Option<&Stored>, _| {
            condition.check(before)?;
            if let Some(basis) = &basis {
                basis.check(before)?;
            }
            Ok::<_, Refusal>(if before.is_some() { Effect::Delete } else { Effect::Keep })
        };
        let mut batch = Batch::object(ObjectWrite {
            grant: system(Errand::KeepDevices).grant(class.name()),
            key: key.clone(),
            checked_under: schema.rev(),
            decide: Box::new(decide),
        });
        batch.writes.extend(removal(key, stored, &registration));
        let committed = self.commit(batch).await;
        committed.map_err(|error| AppError::from_commit(error, &Self::id_of(class, key).to_string()))?;
        Ok(())
    }
}

fn removal(key: &ObjectKey, stored: Vec<u8>, registration: &Registration) -> Vec<Write> {
    vec![
        record(DEVICES, key.as_str(), Expect::Value(stored), None),
        record(COOKIES, &registration.cookie, Expect::Anything, None),
        record(TARGETS, &registration.target(), Expect::Anything, None),
    ]
}
