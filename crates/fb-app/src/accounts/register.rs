//! Creating accounts.

use std::sync::{Arc, Mutex, PoisonError};

use fb_auth::{Errand, Hasher, Principal, Roles, Secret, TokenKind, authorize_admin};
use fb_mail::Purpose;
use fb_store::{Batch, Expect, Outcome, Refusal, StoreError, Write};
use fb_types::schema::USER;
use fb_types::{Acl, Class, ObjectId, ObjectKey, Rule, RuleMap, Schema, Stored};
use serde_json::{Map, Value};

use crate::functions::{CodeType, Prepared, Subject};
use crate::objects::NewAcl;
use crate::objects::insert_own;

use super::credentials::{ACCOUNTS, Credentials, USERNAMES, fold, record};
use super::links::LinkPurpose;
use super::{Account, Source, check_username};
use crate::{App, AppError, Registration};

/// What somebody who registers sends.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The user object: `username`, and any fields the app added.
    pub fields: Map<String, Value>,
    /// The password.
    pub password: Secret,
    /// A hash that was made elsewhere, in place of the password. For administrators.
    pub password_hash: Option<Secret>,
    /// Whether to log in at once.
    pub login: bool,
    /// False for the short session of a shared computer.
    pub long: bool,
}

/// What became of a registration.
#[derive(Debug)]
pub enum Registered {
    /// The account can be used.
    Active(Account),
    /// A mail was sent to the address, if it is a new one.
    Pending,
}

/// An account that is about to be created.
pub(crate) struct Draft {
    pub(crate) username: String,
    pub(crate) hash: Option<Secret>,
    pub(crate) fields: Map<String, Value>,
    pub(crate) inactive: bool,
    /// The name is an address that was shown to be the user's own.
    pub(crate) verified: bool,
    pub(crate) identities: Vec<String>,
    /// On whose behalf code runs that has a say in new users.
    pub(crate) by: Principal,
    /// What code made of it, and under which id it was shown to it.
    pub(crate) prepared: Mutex<Option<(Prepared, ObjectId)>>,
}

impl App {
    /// Creates a user account. Class-level insert rules of `User` do not apply, the app's registration setting does.
    pub async fn register(
        self: &Arc<Self>,
        source: &Source,
        caller: &Principal,
        new: &NewUser,
    ) -> Result<Registered, AppError> {
        let settings = self.settings();
        if settings.registration == Registration::Closed && !caller.is_admin() {
            return Err(AppError::RegistrationClosed);
        }
        if !caller.is_admin() {
            self.count_request(source)?;
        }
        let username = match new.fields.get("username") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            _ => return Err(AppError::Invalid("a user name is required".into())),
        };
        check_username(&username)?;
        self.authorize_registration(caller, &self.schema(), &new.fields)?;
        let verify = settings.email_verification && !caller.is_admin();
        if verify && !fb_mail::is_address(&username) {
            return Err(AppError::Invalid("the user name must be an e-mail address".into()));
        }
        let hash = match &new.password_hash {
            Some(hash) => {
                authorize_admin(caller, "import password hashes")?;
                Hasher::check_import(hash.expose())?;
                hash.clone()
            }
            None => {
                self.check_new_password(&new.password, &username).await?;
                self.hash(&new.password).await?
            }
        };
        let draft = Draft {
            username,
            hash: Some(hash),
            fields: new.fields.clone(),
            inactive: verify,
            verified: false,
            identities: Vec::new(),
            by: caller.clone(),
            prepared: Mutex::default(),
        };
        let created = self.create_user(&draft, Vec::new).await;
        if verify {
            let created = match created {
                Ok((id, _)) => Some(id),
                Err(AppError::NameTaken) => None,
                Err(error) => return Err(error),
            };
            // Not before the answer, whose time would tell whether there is a mail, and whose error what code says to it.
            self.in_background("sending the mail of a registration", move |app| async move {
                app.send_verification(&draft, created).await
            });
            return Ok(Registered::Pending);
        }
        let (id, user) = created?;
        let token = match new.login {
            true => Some(self.issue(id.key(), TokenKind::Session { long: new.long }, 0)?),
            false => None,
        };
        let user = self.user_for(&Principal::user(id, Roles::default()), &user)?;
        Ok(Registered::Active(Account { user, token }))
    }

    /// Sends the mail of a registration. Whoever registers a name that is taken learns nothing about that; if that
    /// account waits for its verification, it gets another mail, whose link is for the new password: the first to register
    /// an address need not be its owner.
    async fn send_verification(&self, draft: &Draft, created: Option<ObjectId>) -> Result<(), AppError> {
        let (purpose, link) = (Purpose::VerifyEmail, LinkPurpose::Verify);
        if let Some(id) = created {
            return self.send_link(purpose, link, id.key(), &draft.username, None).await;
        }
        let Some(key) = self.user_by_name(&draft.username).await? else {
            return Ok(());
        };
        // As the account spells it: capitals may make another mailbox.
        let credentials = self.credentials(&key).await?.unwrap_or_default();
        let schema = self.schema();
        let class = self.entity(&schema, USER)?;
        let id = Self::id_of(class, &key);
        let replace = |credentials: &mut Credentials| {
            if !credentials.links.iter().any(|known| known.is_for(link)) {
                return Err(AppError::NameTaken);
            }
            credentials.hash = draft.hash.as_ref().map(|hash| hash.expose().to_owned());
            // Nothing stays of whoever was first: neither fields nor rights on the account. What code made of this
            // registration counts, as it would for a new name.
            let user = draft_of(&schema, class, draft, &id)?;
            let user = draft.as_prepared(user, &id);
            Ok(vec![self.user_replacement(&schema, &key, user)?])
        };
        let to = &credentials.username;
        match self.send_link_after(replace, purpose, link, &key, to, None).await {
            Err(AppError::NameTaken) => Ok(()),
            sent => sent,
        }
    }

    /// Creates the account, together with more writes.
    pub(crate) async fn create_user(
        &self,
        draft: &Draft,
        also: impl Fn() -> Vec<Write>,
    ) -> Result<(ObjectId, Arc<Stored>), AppError> {
        self.despite_schema_changes(|| async {
            let schema = self.schema();
            let (id, mut batch) = self.new_user(&schema, draft).await?;
            batch.writes.extend(also());
            let user = Self::created(&id, self.commit(batch).await)?;
            Ok((id, user))
        })
        .await
    }

    /// The writes that create a user: the object first, then its name and credentials.
    pub(crate) async fn new_user(&self, schema: &Schema, draft: &Draft) -> Result<(ObjectId, Batch), AppError> {
        let class = self.entity(schema, USER)?;
        let id = Self::id_of(class, &self.store().allocate_key(class.name()).await?);
        let (mut fields, mut acl) = draft_of(schema, class, draft, &id)?;
        if self.has_code_before(&draft.by, USER, CodeType::Insert) {
            let user = Subject {
                id: &id,
                version: None,
                acl: Some(acl.clone()),
                fields: &fields,
            };
            let prepared = self.prepare(&draft.by, schema, class, CodeType::Insert, user).await?;
            *draft.prepared.lock().unwrap_or_else(PoisonError::into_inner) = Some((prepared, id.clone()));
            (fields, acl) = draft.as_prepared((fields, acl), &id);
        }

        let object = insert_own(Errand::Register, schema, class, id.clone(), Some(acl), fields);
        let credentials = Credentials {
            username: draft.username.clone(),
            hash: draft.hash.as_ref().map(|hash| hash.expose().to_owned()),
            verified: draft.verified,
            identities: draft.identities.clone(),
            ..Credentials::default()
        };
        let key = id.key().as_str();
        let mut writes = vec![
            object,
            record(USERNAMES, &fold(&draft.username), Expect::Absent, Some(key.as_bytes())),
            record(ACCOUNTS, key, Expect::Absent, Some(&credentials.encode()?)),
        ];
        writes.extend(draft.identities.iter().map(|known| identity(known, id.key())));
        Ok((id, Batch { writes }))
    }

    /// The user that a commit of [`Self::new_user`]'s writes made.
    pub(crate) fn created(id: &ObjectId, committed: Result<Vec<Outcome>, StoreError>) -> Result<Arc<Stored>, AppError> {
        match committed {
            Ok(outcomes) => match outcomes.into_iter().next() {
                Some(Outcome::Written(user)) => Ok(user.into()),
                _ => Err(AppError::internal("creating a user", "the store kept an insert")),
            },
            Err(StoreError::Refused {
                refusal: Refusal::Record { space: USERNAMES, .. },
                ..
            }) => Err(AppError::NameTaken),
            // The other record that can be missing or taken is a secret that somebody else used up.
            Err(StoreError::Refused {
                refusal: Refusal::Record { .. },
                ..
            }) => Err(AppError::BadToken),
            Err(error) => Err(AppError::from_commit(error, &id.to_string())),
        }
    }
}

impl Draft {
    /// Fields and rules of the user `id` with what code made of them. Whatever it says of the rules, they stay the user's own.
    fn as_prepared(
        &self,
        (mut fields, acl): (Map<String, Value>, Arc<Acl>),
        id: &ObjectId,
    ) -> (Map<String, Value>, Arc<Acl>) {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((prepared, shown)) = &*prepared else {
            return (fields, acl);
        };
        prepared.over(&mut fields);
        let mut rules = prepared
            .acl(NewAcl::Set(Some(acl)))
            .over(None)
            .map(|acl| Acl::clone(&acl));
        if let Some(rules) = rules.as_mut().filter(|_| shown != id) {
            rules.read = without(&rules.read, shown);
            rules.write = without(&rules.write, shown);
        }
        (fields, Arc::new(with_self(rules, id)))
    }
}

/// The fields and rules of a new user.
fn draft_of(
    schema: &Schema,
    class: &Class,
    draft: &Draft,
    id: &ObjectId,
) -> Result<(Map<String, Value>, Arc<Acl>), AppError> {
    let mut fields = schema.check_fields(class, &draft.fields, None)?;
    fields.insert("username".to_owned(), Value::String(draft.username.clone()));
    let inactive = if draft.inactive { Value::Bool(true) } else { Value::Null };
    fields.insert("inactive".to_owned(), inactive);
    let given = Acl::from_json(draft.fields.get("acl").unwrap_or(&Value::Null))?;
    Ok((fields, Arc::new(with_self(given, id))))
}

fn without(rules: &RuleMap, id: &ObjectId) -> RuleMap {
    let id = id.to_string();
    let mut rest = RuleMap::default();
    let others = rules.iter().filter(|(principal, _)| *principal != id);
    others.for_each(|(principal, rule)| rest.insert(principal, rule));
    rest
}

/// The client's rules, plus read and write for the user itself.
fn with_self(given: Option<Acl>, id: &ObjectId) -> Acl {
    let mut acl = given.unwrap_or_default();
    acl.read.insert(id.to_string(), Rule::Allow);
    acl.write.insert(id.to_string(), Rule::Allow);
    acl
}

/// The key under which a user's identity at a provider is kept.
pub(crate) fn identity_key(provider: &str, subject: &str) -> String {
    format!("{provider} {subject}")
}

/// Where [`identity_key`]s lead to.
pub(crate) const IDENTITIES: &str = "identity";

/// A write that makes an identity a user's.
pub(crate) fn identity(key: &str, user: &ObjectKey) -> Write {
    record(IDENTITIES, key, Expect::Absent, Some(user.as_str().as_bytes()))
}
