//! The operator of a node: creates, lists and deletes apps, and belongs to none of them.

use fb_auth::{Secret, TokenError, TokenKey};
use fb_types::schema::USER;
use fb_types::{AppId, ClassName, ObjectId, ObjectKey};
use serde::{Deserialize, Serialize};

use crate::{AppError, Apps, FirstAdmin};

const OPERATOR: &str = "operator";
const OPERATOR_SECRET: &str = "operator-secret";
/// An operator's session; it is for scripts and for a person at work.
const SESSION_SECONDS: u32 = 12 * 3600;

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
        let fits = crate::login::verify(&shared.hasher, &shared.hashing, password, hash).await?;
        if !(known && fits) {
            return Err(OperatorError::BadCredentials);
        }
        let token = self
            .operator_key()
            .await?
            .issue(&operator_id(username)?, shared.clock.now(), SESSION_SECONDS);
        Ok(Secret::new(token))
    }

    /// Checks an operator's token.
    pub async fn operator_check(&self, token: &str) -> Result<(), OperatorError> {
        match self.operator_key().await?.verify(token, self.shared().clock.now()) {
            Ok(_) => Ok(()),
            Err(TokenError::Invalid | TokenError::Expired) => Err(OperatorError::BadToken),
        }
    }

    async fn operator_key(&self) -> Result<TokenKey, AppError> {
        let app = AppId::new("operator")?;
        for _ in 0..2 {
            if let Some(secret) = self.node().record(OPERATOR_SECRET).await? {
                let secret = secret
                    .try_into()
                    .map_err(|_| AppError::internal("reading a secret", "wrong length"))?;
                return Ok(TokenKey::new(app, secret));
            }
            let fresh = TokenKey::random_secret().map_err(|e| AppError::internal("making a secret", e))?;
            // Whoever writes first wins; then both read the same.
            self.node().swap_record(OPERATOR_SECRET, None, Some(&fresh)).await?;
        }
        Err(AppError::internal("reading a secret", "it vanished"))
    }
}

fn operator_id(username: &str) -> Result<ObjectId, AppError> {
    Ok(ObjectId::new(ClassName::new(USER)?, ObjectKey::from_raw(username)?))
}
