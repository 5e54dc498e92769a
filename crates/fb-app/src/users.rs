//! User accounts: register, who am I.
//!
//! A user is an object of class `User` that anyone with the right to may read, and two records that no client can reach:
//! `username/<name>` holds the user's key, `password/<key>` the hash.

use std::sync::Arc;

use fb_auth::{Errand, Principal, Roles, Secret, system};
use fb_store::{Batch, Effect, Expect, Moment, ObjectWrite, Outcome, RecordWrite, Refusal, StoreError, Write};
use fb_types::schema::USER;
use fb_types::{Acl, Document, ObjectId, ObjectKey, Rule, Schema, Stored, Version};
use serde_json::{Map, Value};

use crate::objects::Seen;
use crate::{App, AppError, Registration, Session};

/// Longest user name in bytes.
const MAX_USERNAME: usize = 256;
pub(crate) const USERNAMES: &str = "username";
pub(crate) const PASSWORDS: &str = "password";

/// A user, and a token where one is issued.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user as it sees itself.
    pub user: Seen,
    /// A fresh token.
    pub token: Option<Secret>,
}

/// What somebody who registers sends.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The user object: `username`, and any fields the app added.
    pub fields: Map<String, Value>,
    /// The password.
    pub password: Secret,
    /// Whether to log in at once.
    pub login: bool,
}

impl App {
    /// Creates a user account. Class-level insert rules of `User` do not apply, the app's registration setting does.
    pub async fn register(&self, caller: &Principal, new: &NewUser) -> Result<Account, AppError> {
        if self.settings().registration == Registration::Closed && !caller.is_admin() {
            return Err(AppError::RegistrationClosed);
        }
        let username = match new.fields.get("username") {
            Some(Value::String(name)) if !name.is_empty() => name,
            _ => return Err(AppError::Invalid("a user name is required".into())),
        };
        let schema = self.schema();
        self.authorize_registration(caller, &schema, &new.fields)?;
        check_username(username)?;
        let hash = self.hash(&new.password).await?;
        let (id, batch) = self.new_user(&schema, username, &hash, &new.fields).await?;
        self.finish_user(&id, self.store().commit(batch).await, new.login).await
    }

    /// The user of a session, with a renewed token.
    pub fn me(&self, session: &Session) -> Result<Account, AppError> {
        Ok(Account {
            user: self.user_for(&session.principal, &session.user)?,
            token: Some(self.issue_token(&session.claims.user)),
        })
    }

    /// A fresh token of the app's session lifetime.
    pub fn issue_token(&self, user: &ObjectId) -> Secret {
        Secret::new(
            self.tokens()
                .issue(user, self.clock().now(), self.settings().session_seconds),
        )
    }

    /// The writes that create a user: the object, its name, its password.
    pub(crate) async fn new_user(
        &self,
        schema: &Schema,
        username: &str,
        hash: &Secret,
        input: &Map<String, Value>,
    ) -> Result<(ObjectId, Batch), AppError> {
        let class = self.entity(schema, USER)?;
        let mut fields = schema.check_fields(class, input, None)?;
        fields.insert("username".to_owned(), Value::String(username.to_owned()));
        let given = Acl::from_json(input.get("acl").unwrap_or(&Value::Null))?;
        let id = Self::id_of(class, &self.store().allocate_key(class.name()).await?);
        let acl = Arc::new(with_self(given, &id));

        let (new_id, shape) = (id.clone(), class.shape());
        let decide = move |before: Option<&Stored>, moment: Moment| match before {
            Some(_) => Err(Refusal::Exists),
            None => {
                let user = Document {
                    id: new_id.clone(),
                    version: Version::FIRST,
                    created_at: moment.now,
                    updated_at: moment.now,
                    acl: Some(acl.clone()),
                    fields: fields.clone(),
                };
                Ok(Effect::Put(user.store(shape)))
            }
        };
        let object = ObjectWrite {
            grant: system(Errand::Register).grant(class.name()),
            key: id.key().clone(),
            checked_under: schema.rev(),
            decide: Box::new(decide),
        };
        let record = |space, key: &str, value: &str| {
            let value = Some(value.as_bytes().to_vec());
            Write::Record(RecordWrite {
                space,
                key: key.to_owned(),
                expect: Expect::Absent,
                value,
            })
        };
        let key = id.key().as_str();
        let writes = vec![
            Write::Object(object),
            record(USERNAMES, username, key),
            record(PASSWORDS, key, hash.expose()),
        ];
        Ok((id, Batch { writes }))
    }

    pub(crate) async fn finish_user(
        &self,
        id: &ObjectId,
        committed: Result<Vec<Outcome>, StoreError>,
        login: bool,
    ) -> Result<Account, AppError> {
        match committed {
            Ok(outcomes) => match outcomes.into_iter().next() {
                Some(Outcome::Written(user)) => Ok(Account {
                    user: self.user_for(&Principal::user(id.clone(), Roles::default()), &user)?,
                    token: login.then(|| self.issue_token(id)),
                }),
                _ => Err(AppError::internal("creating a user", "the store kept an insert")),
            },
            Err(StoreError::Refused {
                refusal: Refusal::Record { space: USERNAMES, .. },
                ..
            }) => Err(AppError::NameTaken),
            // The other record that can be missing or taken is a setup token that somebody else consumed.
            Err(StoreError::Refused {
                refusal: Refusal::Record { .. },
                ..
            }) => Err(AppError::BadToken),
            Err(error) => Err(AppError::from_commit(error, &id.to_string())),
        }
    }

    /// What goes when a user is deleted.
    pub(crate) async fn credentials_to_remove(&self, key: &ObjectKey) -> Result<Vec<RecordWrite>, AppError> {
        let mut records = vec![(PASSWORDS, key.as_str().to_owned())];
        if let Some(user) = self.fetch_for(Errand::ResolvePrincipal, USER, key).await? {
            let user: Value =
                serde_json::from_slice(&user.body).map_err(|e| AppError::internal("reading a user", e))?;
            if let Some(name) = user["username"].as_str() {
                records.push((USERNAMES, name.to_owned()));
            }
        }
        let remove = |(space, key)| RecordWrite {
            space,
            key,
            expect: Expect::Anything,
            value: None,
        };
        Ok(records.into_iter().map(remove).collect())
    }
}

/// Refuses user names that are empty, overlong or unprintable.
pub(crate) fn check_username(username: &str) -> Result<(), AppError> {
    if username.is_empty() || username.len() > MAX_USERNAME || username.chars().any(char::is_control) {
        let text = format!("a user name has 1 to {MAX_USERNAME} bytes and no control characters");
        return Err(AppError::Invalid(text));
    }
    Ok(())
}

/// The client's rules, plus read and write for the user itself.
fn with_self(given: Option<Acl>, id: &ObjectId) -> Acl {
    let mut acl = given.unwrap_or_default();
    acl.read.insert(id.to_string(), Rule::Allow);
    acl.write.insert(id.to_string(), Rule::Allow);
    acl
}
