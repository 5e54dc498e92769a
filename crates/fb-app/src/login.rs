//! Login with a password, and the hashing of passwords off the async threads.

use std::sync::Arc;

use fb_auth::{Errand, Hasher, Secret};
use fb_types::schema::USER;
use fb_types::{ClassName, ObjectId, ObjectKey};
use tokio::sync::Semaphore;

use crate::users::{Account, PASSWORDS, USERNAMES};
use crate::{App, AppError};

impl App {
    /// The account that this name and password belong to, with a fresh token. Takes as long for names that do not exist.
    pub async fn login(&self, username: &str, password: &Secret) -> Result<Account, AppError> {
        let key = self.store().record(USERNAMES, username).await?;
        let key = key
            .and_then(|key| String::from_utf8(key).ok())
            .and_then(|key| ObjectKey::from_encoded(&key).ok());
        let stored = match &key {
            Some(key) => self.store().record(PASSWORDS, key.as_str()).await?,
            None => None,
        };
        let stored = stored.and_then(|hash| String::from_utf8(hash).ok());
        let shared = self.shared();
        if !verify(&shared.hasher, &shared.hashing, password, stored).await? {
            return Err(AppError::BadCredentials);
        }
        let key = key.ok_or(AppError::BadCredentials)?;
        let user = self.fetch_for(Errand::ResolvePrincipal, USER, &key).await?;
        let user = user.ok_or(AppError::BadCredentials)?;
        let id = ObjectId::new(ClassName::new(USER)?, key);
        let token = self.issue_token(&id);
        Ok(Account {
            user: self.user_for(&self.principal_of(&id).await?, &user)?,
            token: Some(token),
        })
    }

    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret, AppError> {
        hash(&self.shared().hasher, &self.shared().hashing, password).await
    }
}

/// Hashes a password on a blocking thread, a bounded number at once.
pub(crate) async fn hash(
    hasher: &Arc<Hasher>,
    hashing: &Arc<Semaphore>,
    password: &Secret,
) -> Result<Secret, AppError> {
    let (hasher, password) = (hasher.clone(), password.clone());
    let hash = off_thread(hashing, move || hasher.hash(password.expose())).await?;
    hash.map(Secret::new).map_err(|e| AppError::Invalid(e.to_string()))
}

/// Verifies a password on a blocking thread, a bounded number at once.
pub(crate) async fn verify(
    hasher: &Arc<Hasher>,
    hashing: &Arc<Semaphore>,
    password: &Secret,
    stored: Option<String>,
) -> Result<bool, AppError> {
    let (hasher, password) = (hasher.clone(), password.clone());
    off_thread(hashing, move || hasher.verify(password.expose(), stored.as_deref())).await
}

async fn off_thread<T: Send + 'static>(
    hashing: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppError> {
    let permit = hashing
        .clone()
        .acquire_owned()
        .await
        .map_err(|e| AppError::internal("hashing a password", e))?;
    let work = move || {
        let result = work();
        drop(permit);
        result
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| AppError::internal("hashing a password", e))
}
