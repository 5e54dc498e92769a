//! The second factor: one-time passwords of an authenticator app, and recovery codes.

use fb_auth::{
    Principal, Secret, TokenKind, authorize_admin, recovery_codes, recovery_fingerprint, totp_secret, totp_step,
    totp_uri,
};
use fb_types::ObjectKey;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::credentials::Changed;
use super::{Account, Credentials, Source};
use crate::audit::Action;
use crate::{App, AppError, Session};

/// A user's second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Factor {
    /// The shared secret, sealed.
    secret: String,
    /// True once the user has shown that the device works; only then it is asked for.
    pub(crate) confirmed: bool,
    /// The step of the last code that was used to log in: no code works twice.
    last_step: i64,
    /// Fingerprints of the recovery codes that are left.
    recovery: Vec<String>,
}

/// Whether a second factor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MfaStatus {
    /// There is none.
    Disabled,
    /// It was begun but not confirmed.
    Pending,
    /// Every login needs it.
    Required,
}

/// A second factor that waits for its confirmation.
#[derive(Debug, Clone)]
pub struct NewFactor {
    /// `otpauth:` URI with the secret.
    pub uri: Secret,
}

impl App {
    /// Whether the user's logins need a second factor.
    pub async fn mfa_status(&self, session: &Session) -> Result<MfaStatus, AppError> {
        let credentials = self.credentials(session.claims.user.key()).await?;
        Ok(match credentials.and_then(|c| c.factor) {
            None => MfaStatus::Disabled,
            Some(factor) if factor.confirmed => MfaStatus::Required,
            Some(_) => MfaStatus::Pending,
        })
    }

    /// Begins a second factor; one that was begun but not confirmed is replaced.
    pub async fn begin_mfa(&self, session: &Session) -> Result<NewFactor, AppError> {
        session.own_account("begin a second factor")?;
        let key = session.claims.user.key();
        let secret = totp_secret().map_err(|e| AppError::internal("making a secret", e))?;
        let sealed = self.shared().sealer.seal(&factor_place(key), &secret);
        let sealed = sealed.map_err(|e| AppError::internal("sealing a secret", e))?;
        let begin = |credentials: &mut Credentials| {
            if credentials.factor.as_ref().is_some_and(|factor| factor.confirmed) {
                return Err(AppError::Invalid(
                    "this account has a second factor already; remove it first".into(),
                ));
            }
            credentials.factor = Some(Factor {
                secret: sealed.clone(),
                confirmed: false,
                last_step: 0,
                recovery: Vec::new(),
            });
            Ok(Changed::alone(credentials.username.clone()))
        };
        let (username, _) = self.change_credentials(key, begin).await?;
        let uri = totp_uri(&secret, &self.display_name(), &username);
        Ok(NewFactor { uri: Secret::new(uri) })
    }

    /// Confirms a second factor with a code of the device; gives the recovery codes.
    pub async fn confirm_mfa(&self, source: &Source, session: &Session, code: &str) -> Result<Vec<Secret>, AppError> {
        session.own_account("confirm a second factor")?;
        let key = session.claims.user.key();
        let attempt = self.begin_attempt("code", key.as_str(), source)?;
        let now = self.clock().now();
        let codes = recovery_codes().map_err(|e| AppError::internal("making a secret", e))?;
        let confirm = |credentials: &mut Credentials| {
            let factor = credentials.factor.as_mut().filter(|factor| !factor.confirmed);
            let factor = factor.ok_or_else(|| AppError::Invalid("there is no second factor to confirm".into()))?;
            let secret = self.open_factor(key, factor)?;
            // The code is not used up: the first login may need it within the same half minute.
            totp_step(&secret, code, now, 0).ok_or(AppError::BadCode)?;
            factor.confirmed = true;
            factor.recovery = codes.iter().map(|code| recovery_fingerprint(code.expose())).collect();
            Ok(Changed::alone(()))
        };
        self.change_credentials(key, confirm).await?;
        attempt.succeeded();
        Ok(codes)
    }

    /// Second step of a login: the token of the first one, and a code of the device or a recovery code.
    pub async fn login_with_code(
        &self,
        source: &Source,
        token: &str,
        code: &str,
        long: Option<bool>,
    ) -> Result<Account, AppError> {
        self.count_request(source)?;
        let now = self.clock().now();
        let claims = self.tokens().verify(token, now).map_err(|_| AppError::BadToken)?;
        let TokenKind::SecondFactor { long: asked } = claims.kind else {
            return Err(AppError::BadToken);
        };
        let key = claims.user.key();
        let attempt = self.begin_attempt("code", key.as_str(), source)?;
        let user = self.user(key).await?.ok_or(AppError::BadToken)?;
        if super::login::is_inactive(&user) {
            return Err(AppError::BadToken);
        }
        let check = |credentials: &mut Credentials| {
            if credentials.epoch != claims.epoch {
                return Err(AppError::BadToken);
            }
            let factor = credentials.factor.as_mut().filter(|factor| factor.confirmed);
            let factor = factor.ok_or(AppError::BadToken)?;
            let print = recovery_fingerprint(code);
            if let Some(i) = factor.recovery.iter().position(|known| *known == print) {
                factor.recovery.remove(i);
                return Ok(Changed::alone(()));
            }
            let secret = self.open_factor(key, factor)?;
            factor.last_step = totp_step(&secret, code, now, factor.last_step).ok_or(AppError::BadCode)?;
            Ok(Changed::alone(()))
        };
        self.change_credentials(key, check).await?;
        attempt.succeeded();
        self.account_with_token(key, claims.epoch, asked && long.unwrap_or(true))
            .await
    }

    /// Removes the user's own second factor.
    pub async fn remove_mfa(&self, session: &Session) -> Result<(), AppError> {
        session.own_account("remove the second factor")?;
        let remove = |credentials: &mut Credentials| {
            credentials.factor = None;
            Ok(Changed::alone(()))
        };
        self.change_credentials(session.claims.user.key(), remove)
            .await
            .map(drop)
    }

    /// Removes the second factor of whoever lost the device. For administrators.
    pub async fn remove_mfa_of(&self, caller: &Principal, user: &ObjectKey) -> Result<(), AppError> {
        authorize_admin(caller, "remove the second factor of others")?;
        let id = Self::user_id(user)?;
        self.user(user)
            .await?
            .ok_or_else(|| AppError::NoObject(id.to_string()))?;
        let schema = self.schema();
        let remove = |credentials: &mut Credentials| {
            credentials.factor = None;
            let entry = self.audit(&schema, caller, Action::FactorRemoved, &id.to_string(), json!({}))?;
            Ok(Changed {
                result: (),
                also: vec![entry],
            })
        };
        self.change_credentials(user, remove).await.map(drop)
    }

    fn open_factor(&self, user: &ObjectKey, factor: &Factor) -> Result<Secret, AppError> {
        let opened = self.shared().sealer.open(&factor_place(user), &factor.secret);
        opened.map_err(|error| {
            tracing::error!(app = %self.id(), %user, error = %error,
                "a second factor cannot be checked; was the app restored under another master key?");
            AppError::BadCode
        })
    }
}

/// Where the secret of a factor is sealed for. Without the app's name: it is the same user in an app that was restored
/// from a backup under another one.
fn factor_place(user: &ObjectKey) -> String {
    format!("factor {user}")
}
