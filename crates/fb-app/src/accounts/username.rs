//! Changing the name a user logs in with, verifying addresses, activating and deactivating accounts.

use fb_auth::{Principal, Secret, TokenKind, authorize_admin};
use fb_mail::Purpose;
use fb_store::{Expect, Write};
use fb_types::schema::USER;
use fb_types::{Document, FieldsText, ObjectKey, Schema, Stored, Timestamp};
use serde_json::{Value, json};

use super::credentials::{Changed, USERNAMES, fold, record};
use super::links::LinkPurpose;
use super::{Credentials, Source, is_inactive};
use crate::audit::Action;
use crate::functions::{Basis, CodeType, Prepared, Subject};
use crate::objects::NewAcl;
use crate::view::Seen;
use crate::{App, AppError, Session};

/// Longest user name in bytes.
const MAX_USERNAME: usize = 256;

/// Refuses user names that are empty, overlong or unprintable.
pub(crate) fn check_username(username: &str) -> Result<(), AppError> {
    if username.is_empty() || username.len() > MAX_USERNAME || username.chars().any(char::is_control) {
        let text = format!("a user name has 1 to {MAX_USERNAME} bytes and no control characters");
        return Err(AppError::Invalid(text));
    }
    Ok(())
}

impl App {
    /// Asks the user behind a new name (an e-mail address) to confirm it. Says nothing about names that are taken.
    pub async fn request_username(
        &self,
        source: &Source,
        session: Option<&Session>,
        username: &str,
        new: &str,
        password: &Secret,
    ) -> Result<(), AppError> {
        if !self.settings().email_verification {
            return Err(AppError::VerificationOff);
        }
        self.count_request(source)?;
        check_username(new)?;
        if !fb_mail::is_address(new) {
            return Err(AppError::Invalid("the new user name must be an e-mail address".into()));
        }
        let (key, credentials) = self.check_password(source, username, password).await?;
        if credentials.needs_factor() && !session.is_some_and(|session| session.is_of(&key)) {
            // Otherwise the password alone would lead the account's mails elsewhere.
            let token = self.issue(&key, TokenKind::SecondFactor { long: true }, credentials.epoch)?;
            return Err(AppError::SecondFactorRequired { token });
        }
        let owner = self.user_by_name(new).await?;
        if owner.is_some_and(|owner| owner != key) {
            return Ok(());
        }
        self.send_link(
            Purpose::ChangeUsername,
            LinkPurpose::ChangeUsername,
            &key,
            new,
            Some(new.to_owned()),
        )
        .await
    }

    /// Changes the name as the link of a mail says. All tokens of the user die, and a reset link that may be lying in the
    /// mailbox of the old address. Code that has a say in updates of users has it here, with the user's rights: whoever
    /// asked for the link proved to be the user.
    pub async fn verify_username(&self, token: &str) -> Result<(), AppError> {
        let (key, secret) = Self::read_link(token)?;
        self.despite_other_writes((USER, &key), || self.try_verify_username(&key, secret))
            .await
    }

    async fn try_verify_username(&self, key: &ObjectKey, secret: &str) -> Result<(), AppError> {
        let now = self.clock().now();
        let schema = self.schema();
        let prepared = self.prepare_rename(&schema, key, secret, now).await?;
        let rename = |credentials: &mut Credentials| {
            let link = credentials.use_link(LinkPurpose::ChangeUsername, secret, now)?;
            credentials.verified = true;
            let new = link.username.ok_or(AppError::BadLink)?;
            credentials.revoke_tokens();
            credentials.forget_link(LinkPurpose::Reset);
            let old = std::mem::replace(&mut credentials.username, new.clone());
            let mut also = Vec::new();
            if fold(&old) != fold(&new) {
                let owner = Some(key.as_str().as_bytes());
                also.push(record(USERNAMES, &fold(&old), Expect::Anything, None));
                also.push(record(USERNAMES, &fold(&new), Expect::Absent, owner));
            }
            let prepared = prepared.clone();
            let write = move |before: &Stored, user: &mut Document| {
                user.fields.insert("username".into(), Value::String(new.clone()));
                if let Some((basis, prepared)) = &prepared {
                    basis.check(Some(before))?;
                    prepared.over(&mut user.fields);
                    user.acl = prepared.acl(NewAcl::Unchanged).over(Some(before));
                }
                Ok(())
            };
            also.push(self.user_document_write(&schema, key, write)?);
            Ok(Changed { result: (), also })
        };
        self.change_credentials(key, rename).await.map(drop)
    }

    /// What code makes of a user with its new name; `None` if there is nothing to ask.
    async fn prepare_rename(
        &self,
        schema: &Schema,
        key: &ObjectKey,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<(Basis, Prepared)>, AppError> {
        // Code is not for whoever invents links.
        let mut known = self.credentials(key).await?.ok_or(AppError::BadLink)?;
        let link = known.use_link(LinkPurpose::ChangeUsername, secret, now)?;
        let new = link.username.ok_or(AppError::BadLink)?;
        let Some(stored) = self.before_image(USER, key).await? else {
            return Ok(None);
        };
        let id = Self::user_id(key)?;
        let user = match is_inactive(&stored) {
            true => Principal::anonymous(),
            false => self.principal_of(&id, &stored).await?,
        };
        if !self.has_code_before(&user, USER, CodeType::Update) {
            return Ok(None);
        }
        let mut fields = Document::open(id.clone(), &stored)
            .map_err(|e| AppError::internal("reading a user", e))?
            .fields;
        fields.insert("username".to_owned(), Value::String(new));
        let object = Subject {
            id: &id,
            version: Some(stored.version),
            acl: stored.acl.clone(),
            fields: &fields,
        };
        let class = self.entity(schema, USER)?;
        let prepared = self.prepare(&user, schema, class, CodeType::Update, object).await?;
        prepared.over(&mut fields);
        self.check_size(FieldsText::new(&fields).object_bytes())?;
        Ok(Some((prepared.basis(Some(stored)), prepared)))
    }

    /// Activates the account that the link of a registration mail is for.
    pub async fn verify_registration(&self, token: &str) -> Result<(), AppError> {
        let (key, secret) = Self::read_link(token)?;
        let now = self.clock().now();
        let schema = self.schema();
        let activate = |credentials: &mut Credentials| {
            credentials.use_link(LinkPurpose::Verify, secret, now)?;
            credentials.verified = true;
            Ok(Changed {
                result: (),
                also: vec![self.activation(&schema, &key)?],
            })
        };
        self.change_credentials(&key, activate).await.map(drop)
    }

    pub(crate) fn activation(&self, schema: &Schema, key: &ObjectKey) -> Result<Write, AppError> {
        self.user_write(schema, key, |fields| {
            fields.insert("inactive".into(), Value::Null);
        })
    }

    /// Deactivates an account, whose tokens die and who cannot log in any more, or activates it. For administrators, whom no
    /// code of the app keeps from that.
    pub async fn set_inactive(&self, caller: &Principal, user: &ObjectKey, inactive: bool) -> Result<Seen, AppError> {
        authorize_admin(caller, "activate and deactivate accounts")?;
        let id = Self::user_id(user)?;
        self.user(user)
            .await?
            .ok_or_else(|| AppError::NoObject(id.to_string()))?;
        if inactive && caller.user_id() == Some(&id) {
            return Err(AppError::Invalid("you cannot deactivate your own account".into()));
        }
        let schema = self.schema();
        let action = if inactive {
            Action::UserDeactivated
        } else {
            Action::UserActivated
        };
        let change = |credentials: &mut Credentials| {
            if inactive {
                credentials.revoke_tokens();
            }
            credentials.forget_link(LinkPurpose::Verify);
            let set = move |fields: &mut serde_json::Map<String, Value>| {
                let value = if inactive { Value::Bool(true) } else { Value::Null };
                fields.insert("inactive".into(), value);
            };
            let write = self.user_write(&schema, user, set)?;
            let entry = self.audit(&schema, caller, action, &id.to_string(), json!({}))?;
            Ok(Changed {
                result: (),
                also: vec![write, entry],
            })
        };
        self.change_credentials(user, change).await?;
        let user = self
            .user(user)
            .await?
            .ok_or_else(|| AppError::NoObject(id.to_string()))?;
        self.user_for(caller, &user)
    }
}
