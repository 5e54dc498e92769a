//! What goes when a user is deleted.

use fb_store::{Expect, Write};
use fb_types::ObjectKey;

use super::credentials::{ACCOUNTS, USERNAMES, fold, record};
use super::register::IDENTITIES;
use crate::{App, AppError};

impl App {
    /// The writes that remove a user's records. They fail if the credentials change meanwhile.
    pub(crate) async fn credentials_to_remove(&self, key: &ObjectKey) -> Result<Vec<Write>, AppError> {
        let Some(stored) = self.store().record(ACCOUNTS, key.as_str()).await? else {
            return Ok(Vec::new());
        };
        let mut writes = Vec::new();
        if let Some(credentials) = self.credentials(key).await? {
            writes.push(record(USERNAMES, &fold(&credentials.username), Expect::Anything, None));
            for identity in &credentials.identities {
                writes.push(record(IDENTITIES, identity, Expect::Anything, None));
            }
        }
        writes.push(record(ACCOUNTS, key.as_str(), Expect::Value(stored), None));
        Ok(writes)
    }
}
