//! Login with a password.

use fb_auth::{Secret, TokenKind, Verdict};
use fb_types::{ObjectKey, Stored};

use super::credentials::Changed;
use super::{Account, Credentials, Source};
use crate::{App, AppError};

impl App {
    /// The account that this name and password belong to, with a fresh token; `long` is false for the short sessions of
    /// shared computers. Takes as long for names that do not exist, and says no more.
    pub async fn login(
        &self,
        source: &Source,
        username: &str,
        password: &Secret,
        long: bool,
    ) -> Result<Account, AppError> {
        self.count_request(source)?;
        let (key, credentials) = self.check_password(source, username, password).await?;
        if credentials.needs_factor() {
            let token = self.issue(&key, TokenKind::SecondFactor { long }, credentials.epoch)?;
            return Err(AppError::SecondFactorRequired { token });
        }
        self.account_with_token(&key, credentials.epoch, long).await
    }

    /// The active account that this name and password belong to. Counts the attempt, and stores the password under the
    /// present cost of hashes if it was under another one.
    pub(crate) async fn check_password(
        &self,
        source: &Source,
        username: &str,
        password: &Secret,
    ) -> Result<(ObjectKey, Credentials), AppError> {
        let attempt = self.begin_attempt("password", username, source)?;
        let (key, credentials, verdict) = match self.compare(username, password).await {
            Ok(compared) => compared,
            // A busy server must not lock anybody out.
            Err(error) => {
                attempt.undecided();
                return Err(error);
            }
        };
        let stored = credentials.as_ref().and_then(|c| c.hash.clone());
        let (Some(key), Some(credentials)) = (key, credentials) else {
            return Err(AppError::BadCredentials);
        };
        if verdict == Verdict::Wrong {
            return Err(AppError::BadCredentials);
        }
        let user = self.user(&key).await?;
        if user.is_none_or(|user| is_inactive(&user)) {
            return Err(AppError::BadCredentials);
        }
        attempt.succeeded();
        if verdict == Verdict::RightButOld {
            let fresh = self.hash(password).await?;
            let keep = |credentials: &mut Credentials| {
                // Unless it was changed meanwhile.
                if credentials.hash == stored {
                    credentials.hash = Some(fresh.expose().to_owned());
                }
                Ok(Changed::alone(()))
            };
            self.change_credentials(&key, keep).await?;
        }
        Ok((key, credentials))
    }

    /// Who has this name, and whether the password is right. Takes as long for names that do not exist.
    async fn compare(
        &self,
        username: &str,
        password: &Secret,
    ) -> Result<(Option<ObjectKey>, Option<Credentials>, Verdict), AppError> {
        let key = self.user_by_name(username).await?;
        let credentials = match &key {
            Some(key) => self.credentials(key).await?,
            None => None,
        };
        let stored = credentials.as_ref().and_then(|c| c.hash.clone());
        let verdict = self.shared().hashing.verify(password, stored).await?;
        Ok((key, credentials, verdict))
    }

    pub(crate) async fn account_with_token(
        &self,
        key: &ObjectKey,
        epoch: u32,
        long: bool,
    ) -> Result<Account, AppError> {
        let token = self.issue(key, TokenKind::Session { long }, epoch)?;
        self.account(key, Some(token)).await
    }

    /// The user as it sees itself.
    pub(crate) async fn account(&self, key: &ObjectKey, token: Option<Secret>) -> Result<Account, AppError> {
        let user = self.user(key).await?.ok_or(AppError::BadCredentials)?;
        let principal = self.principal_of(&Self::user_id(key)?, &user).await?;
        let user = self.user_for(&principal, &user)?;
        Ok(Account { user, token })
    }

    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret, AppError> {
        self.shared().hashing.hash(password).await
    }
}

/// True for accounts that were deactivated, or wait for their verification.
pub(crate) fn is_inactive(user: &Stored) -> bool {
    #[derive(serde::Deserialize)]
    struct Flag {
        #[serde(default)]
        inactive: Option<bool>,
    }
    // Whatever cannot be read is nobody's account.
    serde_json::from_slice::<Flag>(&user.body).map_or(true, |flag| flag.inactive == Some(true))
}
