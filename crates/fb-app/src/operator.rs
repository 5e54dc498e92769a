//! The operator of a node: creates, lists and deletes apps, and belongs to none of them.

use fb_auth::{NewToken, Secret, SigningKey, TokenKeys, TokenKind, Verdict};
use fb_types::schema::USER;
use fb_types::{AppId, ClassName, ObjectId, ObjectKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{AppError, Apps, FirstAdmin};

const OPERATOR: &str = "operator";
const OPERATOR_SECRET: &str = "operator-secret";
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
}

impl Apps {
    /// True if the node has an operator.
    pub async fn has_operator(&self) -> Result<bool, AppError> {
        Ok(self.node().record(OPERATOR).await?.is_some())
    }

    /// Makes this person the operator, if there is none yet. Returns false if there is one.
    pub async fn create_operator(&self, admin: &FirstAdmin) -> Result<bool, AppError> {
        let credentials = Credentials {
            username: admin.username.clone(),
            hash: admin.hash.expose().to_owned(),
        };
        let value = serde_json::to_vec(&credentials).map_err(|e| AppError::internal("writing a record", e))?;
        Ok(self.node().swap_record(OPERATOR, None, Some(&value)).await?)
    }

    /// A token for the operator.
    pub async fn operator_login(&self, username: &str, password: &Secret) -> Result<Secret, OperatorError> {
        let stored = self.node().record(OPERATOR).await.map_err(AppError::from)?;
        let stored: Option<Credentials> = match stored {
            Some(bytes) => Some(serde_json::from_slice(&bytes).map_err(|e| AppError::internal("reading a record", e))?),
            None => None,
        };
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
            epoch: 0,
            expires_at: Some(Timestamp::from_millis(now.millis() + SESSION_SECONDS * 1000)),
        };
        Ok(Secret::new(self.operator_keys().await?.issue(&new, now)))
    }

    /// Checks an operator's token.
    pub async fn operator_check(&self, token: &str) -> Result<(), OperatorError> {
        let checked = self.operator_keys().await?.verify(token, self.shared().clock.now());
        checked.map(drop).map_err(|_| OperatorError::BadToken)
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

fn operator_id(username: &str) -> Result<ObjectId, AppError> {
    Ok(ObjectId::new(ClassName::new(USER)?, ObjectKey::from_raw(username)?))
}
