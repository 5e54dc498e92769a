//! The operator of a node: creates, lists and deletes apps, and belongs to none of them.

use fb_auth::{NewToken, Secret, SigningKey, TokenKeys, TokenKind, Verdict};
use fb_types::schema::USER;
use fb_types::{AppId, ClassName, ObjectId, ObjectKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{AppError, Apps, FirstAdmin};

const OPERATOR: &str = "operator";
const OPERATOR_SECRET: &str = "operator-secret";
/// How often a replacement is tried again because another one came first.
const RETRIES: usize = 50;
/// An operator's session; it is for scripts and for a person at work.
const SESSION_SECONDS: i64 = 12 * 3600;

/// Why an operator was turned away.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Name or password is wrong, or there is no operator yet.
    #[error("operator name or password is incorrect")]
    BadCredentials,
    /// The token is not valid.
    #[error("the operator token is not valid or has expired; log in again")]
    BadToken,
    /// Something failed.
    #[error(transparent)]
    App(#[from] AppError),
}

#[derive(Serialize, Deserialize)]
struct Credentials {
    username: String,
    hash: String,
    /// Tokens of other epochs are dead.
    #[serde(default)]
    epoch: u32,
    /// How the operator came about and was replaced, newest last: the operator belongs to no app, in whose audit log
    /// that could stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    log: Vec<Entry>,
}

/// One entry of the operator's log.
#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    date: String,
    action: String,
    by: String,
    username: String,
}

/// Most entries that are kept.
const LOG: usize = 100;

/// What is known of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorCheckup {
    /// The name is `root`, and so is the password.
    pub is_root_root: bool,
}

impl Apps {
    /// True if the node has an operator.
    pub async fn has_operator(&self) -> Result<bool, AppError> {
        Ok(self.node().record(OPERATOR).await?.is_some())
    }

    /// Makes this person the operator, if there is none yet. Returns false if there is one.
    pub async fn create_operator(&self, admin: &FirstAdmin) -> Result<bool, AppError> {
        let value = self.operator_record(None, admin, "first start")?;
        Ok(self.node().swap_record(OPERATOR, None, Some(&value)).await?)
    }

    /// Makes this person the operator, whether there is one or not; all sessions of the operator end. The record is
    /// compared and swapped, and read with every login and every request: so this works beside a running server.
    pub async fn reset_operator(&self, admin: &FirstAdmin) -> Result<(), AppError> {
        for _ in 0..RETRIES {
            let stored = self.node().record(OPERATOR).await?;
            let old = stored.as_deref().map(read).transpose()?;
            let value = self.operator_record(old, admin, "command line")?;
            if self
                .node()
                .swap_record(OPERATOR, stored.as_deref(), Some(&value))
                .await?
            {
                return Ok(());
            }
        }
        Err(AppError::Contended)
    }

    fn operator_record(&self, old: Option<Credentials>, admin: &FirstAdmin, by: &str) -> Result<Vec<u8>, AppError> {
        let action = if old.is_some() {
            "operator.reset"
        } else {
            "operator.created"
        };
        let (epoch, mut log) = match old {
            Some(old) => (old.epoch.wrapping_add(1), old.log),
            None => (0, Vec::new()),
        };
        log.push(Entry {
            date: self.shared().clock.now().to_string(),
            action: action.to_owned(),
            by: by.to_owned(),
            username: admin.username.clone(),
        });
        log.drain(..log.len().saturating_sub(LOG));
        let credentials = Credentials {
            username: admin.username.clone(),
            hash: admin.hash.expose().to_owned(),
            epoch,
            log,
        };
        serde_json::to_vec(&credentials).map_err(|e| AppError::internal("writing a record", e))
    }

    async fn operator(&self) -> Result<Option<Credentials>, AppError> {
        let stored = self.node().record(OPERATOR).await?;
        stored.as_deref().map(read).transpose()
    }

    /// The operator's name.
    pub async fn operator_name(&self) -> Result<Option<String>, AppError> {
        Ok(self.operator().await?.map(|operator| operator.username))
    }

    /// What is known of the operator, if there is one.
    pub async fn check_operator(&self) -> Result<Option<OperatorCheckup>, AppError> {
        let Some(operator) = self.operator().await? else {
            return Ok(None);
        };
        let is_root_root = operator.username == "root"
            && self
                .shared()
                .hashing
                .verify(&Secret::new("root"), Some(operator.hash))
                .await?
                != Verdict::Wrong;
        Ok(Some(OperatorCheckup { is_root_root }))
    }

    /// A token for the operator.
    pub async fn operator_login(&self, username: &str, password: &Secret) -> Result<Secret, OperatorError> {
        let stored = self.operator().await?;
        let epoch = stored.as_ref().map_or(0, |c| c.epoch);
        let known = stored.as_ref().is_some_and(|c| c.username == username);
        let shared = self.shared();
        let hash = stored.map(|c| c.hash);
        let verdict = shared.hashing.verify(password, hash).await?;
        if !known || verdict == Verdict::Wrong {
            return Err(OperatorError::BadCredentials);
        }
        let now = shared.clock.now();
        let new = NewToken {
            user: &operator_id(username)?,
            kind: TokenKind::Session { long: true },
            epoch,
            expires_at: Some(Timestamp::from_millis(now.millis() + SESSION_SECONDS * 1000)),
        };
        Ok(Secret::new(self.operator_keys().await?.issue(&new, now)))
    }

    /// Checks an operator's token.
    pub async fn operator_check(&self, token: &str) -> Result<(), OperatorError> {
        let checked = self.operator_keys().await?.verify(token, self.shared().clock.now());
        let claims = checked.map_err(|_| OperatorError::BadToken)?;
        match self.operator().await? {
            Some(operator) if operator.epoch == claims.epoch => Ok(()),
            _ => Err(OperatorError::BadToken),
        }
    }

    async fn operator_keys(&self) -> Result<TokenKeys, AppError> {
        let app = AppId::new("operator")?;
        let sealer = &self.shared().sealer;
        let unreadable = || AppError::internal("reading a secret", "was it sealed under another master key?");
        for _ in 0..2 {
            let stored = self.node().record(OPERATOR_SECRET).await?;
            if let Some(bytes) = &stored {
                let sealed = std::str::from_utf8(bytes).map_err(|_| unreadable())?;
                if let Ok(opened) = sealer.open(OPERATOR_SECRET, sealed) {
                    let keys: Vec<SigningKey> = serde_json::from_str(opened.expose()).map_err(|_| unreadable())?;
                    return TokenKeys::new(app, keys).ok_or_else(unreadable);
                }
                tracing::warn!("the operator's token key was sealed under another master key; made a new one");
            }
            let fresh = TokenKeys::random(app.clone()).map_err(|e| AppError::internal("making a secret", e))?;
            let text = serde_json::to_string(&fresh.keys()).map_err(|e| AppError::internal("writing a secret", e))?;
            let sealed = sealer
                .seal(OPERATOR_SECRET, &Secret::new(text))
                .map_err(|e| AppError::internal("sealing a secret", e))?;
            // Whoever writes first wins; then both read the same.
            self.node()
                .swap_record(OPERATOR_SECRET, stored.as_deref(), Some(sealed.as_bytes()))
                .await?;
        }
        Err(AppError::internal("reading a secret", "it vanished"))
    }
}

fn read(bytes: &[u8]) -> Result<Credentials, AppError> {
    serde_json::from_slice(bytes).map_err(|e| AppError::internal("reading a record", e))
}

fn operator_id(username: &str) -> Result<ObjectId, AppError> {
    Ok(ObjectId::new(ClassName::new(USER)?, ObjectKey::from_raw(username)?))
}
