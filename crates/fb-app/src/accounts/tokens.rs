//! Tokens: sessions and their renewal, tokens for scripts, tokens of one role, revocation.

use fb_auth::{Claims, Denied, NewToken, Principal, Secret, TokenKind, authorize_admin};
use fb_types::schema::ROLE;
use fb_types::{ObjectKey, Timestamp};
use serde_json::json;

use super::credentials::Changed;
use super::{Account, Credentials};
use crate::audit::Action;
use crate::{App, AppError, Session};

/// How long the second step of a login may take, in seconds.
const SECOND_FACTOR_SECONDS: i64 = 300;
/// How long a token of one role is good for, in seconds.
const ROLE_SECONDS: i64 = 3600;

impl App {
    /// The user of a session, with a renewed token.
    pub fn me(&self, session: &Session) -> Result<Account, AppError> {
        Ok(Account {
            user: self.user_for(&session.principal, &session.user)?,
            token: self.renewed(&session.claims),
        })
    }

    /// A fresh token for a session, of the same kind, that ends no earlier than the old one. `None` for tokens that are
    /// not renewed.
    pub fn renewed(&self, claims: &Claims) -> Option<Secret> {
        let TokenKind::Session { long } = claims.kind else {
            return None;
        };
        let expires_at = self.session_end(long).max(claims.expires_at);
        let new = NewToken {
            user: &claims.user,
            kind: claims.kind.clone(),
            epoch: claims.epoch,
            expires_at: Some(expires_at),
        };
        Some(Secret::new(self.tokens().issue(&new, self.clock().now())))
    }

    pub(crate) fn issue(&self, user: &ObjectKey, kind: TokenKind, epoch: u32) -> Result<Secret, AppError> {
        let now = self.clock().now();
        let after = |seconds: i64| Timestamp::from_millis(now.millis() + seconds * 1000);
        let expires_at = match &kind {
            TokenKind::Session { long } => Some(self.session_end(*long)),
            TokenKind::SecondFactor { .. } => Some(after(SECOND_FACTOR_SECONDS)),
            TokenKind::Role(_) => Some(after(ROLE_SECONDS)),
            TokenKind::Api => None,
        };
        let new = NewToken {
            user: &Self::user_id(user)?,
            kind,
            epoch,
            expires_at,
        };
        Ok(Secret::new(self.tokens().issue(&new, now)))
    }

    fn session_end(&self, long: bool) -> Timestamp {
        let settings = self.settings();
        let seconds = if long {
            settings.session_seconds
        } else {
            settings.short_session_seconds.min(settings.session_seconds)
        };
        Timestamp::from_millis(self.clock().now().millis() + i64::from(seconds) * 1000)
    }

    /// A token for scripts that acts as `user` and never expires. For administrators.
    pub async fn create_api_token(&self, caller: &Principal, user: &ObjectKey) -> Result<Secret, AppError> {
        authorize_admin(caller, "create tokens for users")?;
        let schema = self.schema();
        let id = Self::user_id(user)?;
        self.user(user)
            .await?
            .ok_or_else(|| AppError::NoObject(id.to_string()))?;
        let logged = |credentials: &mut Credentials| {
            let entry = self.audit(&schema, caller, Action::TokenCreated, &id.to_string(), json!({}))?;
            Ok(Changed {
                result: credentials.epoch,
                also: vec![entry],
            })
        };
        let (epoch, _) = self.change_credentials(user, logged).await?;
        self.issue(user, TokenKind::Api, epoch)
    }

    /// Makes all tokens of `user` die. For administrators, who get a new token if it was their own.
    pub async fn revoke_tokens(
        &self,
        caller: &Principal,
        session: Option<&Session>,
        user: &ObjectKey,
    ) -> Result<Option<Secret>, AppError> {
        authorize_admin(caller, "revoke tokens")?;
        let schema = self.schema();
        let id = Self::user_id(user)?;
        self.user(user)
            .await?
            .ok_or_else(|| AppError::NoObject(id.to_string()))?;
        let revoke = |credentials: &mut Credentials| {
            credentials.revoke_tokens();
            let entry = self.audit(&schema, caller, Action::TokensRevoked, &id.to_string(), json!({}))?;
            Ok(Changed {
                result: credentials.epoch,
                also: vec![entry],
            })
        };
        let (epoch, _) = self.change_credentials(user, revoke).await?;
        match session {
            Some(session) if session.claims.user == id => {
                let mut claims = session.claims.clone();
                claims.epoch = epoch;
                Ok(self.renewed(&claims))
            }
            _ => Ok(None),
        }
    }

    /// A token that has the rights of one role of the caller, and no others. Administrators may try any role.
    pub async fn assume_role(&self, session: &Session, role: &ObjectKey) -> Result<Secret, AppError> {
        session.own_account("assume a role")?;
        let schema = self.schema();
        let class = self.entity(&schema, ROLE)?;
        let id = Self::id_of(class, role);
        let is_member = session.principal.ids().contains(&id.to_string());
        if !is_member {
            authorize_admin(&session.principal, "assume a role without being its member")?;
        }
        if self
            .fetch_for(fb_auth::Errand::ResolvePrincipal, ROLE, role)
            .await?
            .is_none()
        {
            return Err(AppError::NoObject(id.to_string()));
        }
        let entry = self.audit(
            &schema,
            &session.principal,
            Action::RoleAssumed,
            &id.to_string(),
            json!({}),
        )?;
        self.store().commit(fb_store::Batch { writes: vec![entry] }).await?;
        self.issue(session.claims.user.key(), TokenKind::Role(id), session.claims.epoch)
    }
}

impl Session {
    /// Refuses tokens of one role: whoever has one may use its rights, and neither change the account nor prolong it.
    /// `action` completes "a token of a role may not …".
    pub(crate) fn own_account(&self, action: &'static str) -> Result<(), AppError> {
        match self.claims.kind {
            TokenKind::Role(_) => Err(Denied::RoleToken(action).into()),
            TokenKind::Session { .. } | TokenKind::Api | TokenKind::SecondFactor { .. } => Ok(()),
        }
    }

    /// True for sessions of this user, but not for tokens of one of its roles.
    pub(crate) fn is_of(&self, user: &ObjectKey) -> bool {
        self.claims.user.key() == user && self.own_account("be the user").is_ok()
    }
}
