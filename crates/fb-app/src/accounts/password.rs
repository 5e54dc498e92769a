//! Changing, setting, resetting and removing passwords.

use std::sync::Arc;

use fb_auth::{Principal, Secret, TokenKind, authorize_admin};
use fb_mail::{Purpose, Values};
use fb_types::ObjectKey;
use serde_json::json;

use super::credentials::Changed;
use super::links::LinkPurpose;
use super::{Account, Credentials, Source};
use crate::audit::Action;
use crate::{App, AppError, Session};

/// Who says that a password may change.
#[derive(Debug, Clone)]
pub enum PasswordChange {
    /// Whoever knows the old one; administrators may leave it empty.
    Old {
        /// Whose password it is.
        username: String,
        /// The old password.
        password: Secret,
    },
    /// Whoever has the link of a reset mail.
    Link(String),
}

impl App {
    /// Replaces a password. All tokens of the user die; whoever changed the own password gets a new one.
    pub async fn change_password(
        &self,
        source: &Source,
        session: Option<&Session>,
        change: &PasswordChange,
        new: &Secret,
    ) -> Result<Account, AppError> {
        self.count_request(source)?;
        let caller = &session.map_or_else(Principal::anonymous, |session| session.principal.clone());
        match change {
            PasswordChange::Link(token) => self.reset_password(token, new).await,
            PasswordChange::Old { username, password } if password.expose().is_empty() && caller.is_admin() => {
                self.set_password(caller, username, new).await
            }
            PasswordChange::Old { username, password } => {
                let (key, old) = self.check_password(source, username, password).await?;
                if old.needs_factor() && !session.is_some_and(|session| session.is_of(&key)) {
                    // Otherwise the password alone would lead to a session.
                    let token = self.issue(&key, TokenKind::SecondFactor { long: true }, old.epoch)?;
                    return Err(AppError::SecondFactorRequired { token });
                }
                self.check_new_password(new, &old.username).await?;
                let hash = self.hash(new).await?;
                let replace = |credentials: &mut Credentials| {
                    // Somebody else may have changed it since it was checked.
                    if credentials.epoch != old.epoch {
                        return Err(AppError::BadCredentials);
                    }
                    Self::replace_password(credentials, &hash);
                    Ok(Changed::alone(credentials.epoch))
                };
                let (epoch, _) = self.change_credentials(&key, replace).await?;
                self.tell_about_password(&key, &old.username).await;
                self.account_with_token(&key, epoch, true).await
            }
        }
    }

    pub(super) fn replace_password(credentials: &mut Credentials, hash: &Secret) {
        credentials.hash = Some(hash.expose().to_owned());
        credentials.revoke_tokens();
        // A link of an earlier reset would be a second way in.
        credentials.forget_link(LinkPurpose::Reset);
    }

    /// An administrator sets anybody's password. Somebody else's session is not the administrator's, so no token.
    async fn set_password(&self, caller: &Principal, username: &str, new: &Secret) -> Result<Account, AppError> {
        authorize_admin(caller, "set passwords without knowing them")?;
        let key = self.user_by_name(username).await?;
        let key = key.ok_or_else(|| AppError::NoObject(format!("user {username}")))?;
        self.check_new_password(new, username).await?;
        let hash = self.hash(new).await?;
        let schema = self.schema();
        let id = Self::user_id(&key)?;
        let replace = |credentials: &mut Credentials| {
            Self::replace_password(credentials, &hash);
            let entry = self.audit(&schema, caller, Action::PasswordSet, &id.to_string(), json!({}))?;
            Ok(Changed {
                result: credentials.epoch,
                also: vec![entry],
            })
        };
        let (epoch, _) = self.change_credentials(&key, replace).await?;
        let is_own = caller.user_id() == Some(&id);
        let token = match is_own {
            true => Some(self.issue(&key, TokenKind::Session { long: true }, epoch)?),
            false => None,
        };
        let user = self.user(&key).await?.ok_or(AppError::BadCredentials)?;
        let user = self.user_for(caller, &user)?;
        Ok(Account { user, token })
    }

    async fn reset_password(&self, token: &str, new: &Secret) -> Result<Account, AppError> {
        let (key, secret) = Self::read_link(token)?;
        let now = self.clock().now();
        // Looked at first: hashing is not for whoever invents links.
        let mut known = self.credentials(&key).await?.ok_or(AppError::BadLink)?;
        known.use_link(LinkPurpose::Reset, secret, now)?;
        self.check_new_password(new, &known.username).await?;
        let hash = self.hash(new).await?;
        let schema = self.schema();
        let is_pending = known.links.iter().any(|link| link.is_for(LinkPurpose::Verify));
        let replace = |credentials: &mut Credentials| {
            credentials.use_link(LinkPurpose::Reset, secret, now)?;
            Self::replace_password(credentials, &hash);
            // Whoever got in without owning the address, through a provider or before it was verified, is out.
            credentials.verified |= fb_mail::is_address(&credentials.username);
            // The mail reached the user, which is all that verification asks for.
            credentials.forget_link(LinkPurpose::Verify);
            let mut also = Vec::new();
            if is_pending {
                also.push(self.activation(&schema, &key)?);
            }
            Ok(Changed {
                result: (credentials.epoch, credentials.needs_factor()),
                also,
            })
        };
        let ((epoch, needs_factor), _) = self.change_credentials(&key, replace).await?;
        self.tell_about_password(&key, &known.username).await;
        let user = self.user(&key).await?.ok_or(AppError::BadLink)?;
        if super::login::is_inactive(&user) {
            return self.account(&key, None).await;
        }
        if needs_factor {
            let token = self.issue(&key, TokenKind::SecondFactor { long: true }, epoch)?;
            return Err(AppError::SecondFactorRequired { token });
        }
        self.account_with_token(&key, epoch, true).await
    }

    /// Removes the password of whoever logs in elsewhere; other sessions end.
    pub async fn remove_password(&self, session: &Session) -> Result<Option<Secret>, AppError> {
        session.own_account("remove the password")?;
        let remove = |credentials: &mut Credentials| {
            if credentials.identities.is_empty() {
                return Err(AppError::Invalid(
                    "the password is the only way to log in to this account; log in through a provider first".into(),
                ));
            }
            credentials.hash = None;
            credentials.revoke_tokens();
            Ok(Changed::alone(credentials.epoch))
        };
        let (epoch, _) = self.change_credentials(session.claims.user.key(), remove).await?;
        let mut claims = session.claims.clone();
        claims.epoch = epoch;
        Ok(self.renewed(&claims))
    }

    /// Sends a reset mail, if there is such an account and it has an address. Returns at once and says nothing about
    /// that; the work goes on in the background.
    pub fn request_reset(self: &Arc<Self>, source: &Source, username: &str) -> Result<(), AppError> {
        self.count_request(source)?;
        let username = username.to_owned();
        self.in_background("sending a reset mail", move |app| async move {
            app.send_reset(&username).await
        });
        Ok(())
    }

    async fn send_reset(&self, username: &str) -> Result<(), AppError> {
        let Some(key) = self.user_by_name(username).await? else {
            return Ok(());
        };
        let Some(to) = self.address_of(&key).await? else {
            tracing::info!(app = %self.id(), "a password reset was asked for an account without e-mail address");
            return Ok(());
        };
        self.send_link(Purpose::ResetPassword, LinkPurpose::Reset, &key, &to, None)
            .await
    }

    /// Tells a user that the password was changed, so that a thief's change is noticed.
    async fn tell_about_password(&self, key: &ObjectKey, username: &str) {
        let told = async {
            match self.address_of(key).await? {
                Some(to) => self.send_mail(Purpose::PasswordChanged, &to, Values::new().with("username", username)),
                None => Ok(()),
            }
        };
        if let Err(error) = told.await {
            tracing::warn!(app = %self.id(), error = %error, "a mail about a changed password was not sent");
        }
    }
}
