//! What the server knows of a user besides the object: one record per user, changed by compare and swap.

use std::sync::Arc;

use fb_auth::{Errand, system};
use fb_store::{Batch, Effect, Expect, Moment, ObjectWrite, Outcome, RecordWrite, Refusal, StoreError, Write};
use fb_types::schema::USER;
use fb_types::{Acl, ClassName, Document, ObjectId, ObjectKey, Schema, Stored};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::links::Link;
use super::mfa::Factor;
use crate::app::After;
use crate::{App, AppError};

pub(crate) const USERNAMES: &str = "username";
pub(crate) const ACCOUNTS: &str = "account";
/// How often a change is tried again because another one came first.
const RETRIES: usize = 50;

/// What is kept of one user. Secrets in it are hashes, fingerprints or sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credentials {
    /// The name the user logs in with, as it is spelled.
    pub(crate) username: String,
    /// True if the user has shown that the name is its own address.
    #[serde(default)]
    pub(crate) verified: bool,
    /// PHC string of the password; `None` for accounts that log in elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<String>,
    /// Tokens of other epochs are dead.
    #[serde(default)]
    pub(crate) epoch: u32,
    /// The second factor, confirmed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) factor: Option<Factor>,
    /// Links in mails that were not used yet, at most one per purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    /// Keys of the user's `identity` records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) identities: Vec<String>,
}

impl Credentials {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, AppError> {
        serde_json::to_vec(self).map_err(|e| AppError::internal("writing credentials", e))
    }

    fn decode(bytes: &[u8]) -> Result<Self, AppError> {
        serde_json::from_slice(bytes).map_err(|e| AppError::internal("reading credentials", e))
    }

    /// True if logins need a second factor.
    pub(crate) fn needs_factor(&self) -> bool {
        self.factor.as_ref().is_some_and(|factor| factor.confirmed)
    }

    /// Makes all tokens of the user die.
    pub(crate) fn revoke_tokens(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }
}

/// User names are found whatever their capitals.
pub(crate) fn fold(username: &str) -> String {
    username.to_lowercase()
}

/// A write of a record that never expires.
pub(crate) fn record(space: &'static str, key: &str, expect: Expect, value: Option<&[u8]>) -> Write {
    Write::Record(RecordWrite {
        space,
        key: key.to_owned(),
        expect,
        value: value.map(<[u8]>::to_vec),
        expires_at: None,
    })
}

/// What a change of credentials comes to: the new ones are kept if they differ, together with these writes.
pub(crate) struct Changed<T> {
    pub(crate) result: T,
    pub(crate) also: Vec<Write>,
}

impl<T> Changed<T> {
    pub(crate) fn alone(result: T) -> Self {
        Self {
            result,
            also: Vec::new(),
        }
    }
}

impl App {
    /// The key of the user with this name.
    pub(crate) async fn user_by_name(&self, username: &str) -> Result<Option<ObjectKey>, AppError> {
        let key = self.store().record(USERNAMES, &fold(username)).await?;
        Ok(key
            .and_then(|key| String::from_utf8(key).ok())
            .and_then(|key| ObjectKey::from_encoded(&key).ok()))
    }

    /// The credentials of a user, if it has any.
    pub(crate) async fn credentials(&self, user: &ObjectKey) -> Result<Option<Credentials>, AppError> {
        let found = self.store().record(ACCOUNTS, user.as_str()).await?;
        found.map(|bytes| Credentials::decode(&bytes)).transpose()
    }

    /// Changes a user's credentials. `change` looks at them as they are and may be called again if others were faster;
    /// its error changes nothing. Tokens and roles are resolved anew afterwards.
    pub(crate) async fn change_credentials<T>(
        &self,
        user: &ObjectKey,
        change: impl Fn(&mut Credentials) -> Result<Changed<T>, AppError>,
    ) -> Result<(T, Vec<Outcome>), AppError> {
        for _ in 0..RETRIES {
            let stored = self.store().record(ACCOUNTS, user.as_str()).await?;
            let mut credentials = match &stored {
                Some(bytes) => Credentials::decode(bytes)?,
                None => Credentials::default(),
            };
            let before = credentials.clone();
            let Changed { result, also } = change(&mut credentials)?;
            if credentials == before && also.is_empty() {
                return Ok((result, Vec::new()));
            }
            let expect = stored.map_or(Expect::Absent, Expect::Value);
            let mut writes = also;
            writes.push(record(ACCOUNTS, user.as_str(), expect, Some(&credentials.encode()?)));
            let committed = self.commit_and(Batch { writes }, After::Credentials).await;
            match committed {
                Ok(outcomes) => return Ok((result, outcomes)),
                Err(StoreError::Refused {
                    refusal: Refusal::Record { space: ACCOUNTS, .. },
                    ..
                }) => {}
                Err(StoreError::Refused {
                    refusal: Refusal::Record { space: USERNAMES, .. },
                    ..
                }) => return Err(AppError::NameTaken),
                Err(error) => return Err(AppError::from_commit(error, &format!("/db/{USER}/{user}"))),
            }
        }
        Err(AppError::Contended)
    }

    /// A write that changes fields of a user on the server's own account.
    pub(crate) fn user_write(
        &self,
        schema: &Schema,
        user: &ObjectKey,
        change: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static,
    ) -> Result<Write, AppError> {
        self.user_document_write(schema, user, move |_, document| {
            change(&mut document.fields);
            Ok(())
        })
    }

    /// A write that replaces all that clients can set of a user.
    pub(crate) fn user_replacement(
        &self,
        schema: &Schema,
        user: &ObjectKey,
        (fields, acl): (Map<String, Value>, Arc<Acl>),
    ) -> Result<Write, AppError> {
        let username = fields.get("username").cloned();
        self.user_document_write(schema, user, move |_, document| {
            let known = document.fields.get("username").cloned();
            document.fields = fields.clone();
            document.acl = Some(acl.clone());
            // Spelled as the account is: its mails go there.
            if let Some(name) = known.or_else(|| username.clone()) {
                document.fields.insert("username".into(), name);
            }
            Ok(())
        })
    }

    /// A write that changes a user, whom `change` is given as it is stored and as it is to be.
    pub(super) fn user_document_write(
        &self,
        schema: &Schema,
        user: &ObjectKey,
        change: impl Fn(&Stored, &mut Document) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Result<Write, AppError> {
        let class = self.entity(schema, USER)?.clone();
        let id = Self::id_of(&class, user);
        let context = schema.clone();
        let shape_class = class.clone();
        let decide = move |before: Option<&Stored>, moment: Moment| {
            let stored = before.ok_or(Refusal::Missing)?;
            let mut document =
                Document::open(id.clone(), stored).map_err(|e| AppError::internal("reading a user", e).refuse())?;
            context.complete(&shape_class, &mut document.fields);
            let (fields, acl) = (document.fields.clone(), document.acl.clone());
            change(stored, &mut document)?;
            if document.fields == fields && document.acl == acl {
                return Ok(Effect::Keep);
            }
            document.version = stored.version.next();
            document.updated_at = moment.now;
            Ok(Effect::Put(document.store(shape_class.shape())))
        };
        Ok(Write::Object(ObjectWrite {
            grant: system(Errand::ManageAccounts).grant(class.name()),
            key: user.clone(),
            checked_under: schema.rev(),
            decide: Box::new(decide),
        }))
    }

    /// The user with this key, as the server sees it.
    pub(crate) async fn user(&self, key: &ObjectKey) -> Result<Option<Arc<Stored>>, AppError> {
        self.fetch_for(Errand::ResolvePrincipal, USER, key).await
    }

    pub(crate) fn user_id(key: &ObjectKey) -> Result<ObjectId, AppError> {
        Ok(ObjectId::new(ClassName::new(USER)?, key.clone()))
    }
}
