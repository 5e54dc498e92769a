//! The first minutes of an app: its settings and secret, its roles, its first administrator.

use std::sync::Arc;

use fb_auth::{Errand, Principal, Secret, TokenKeys, fingerprint, system};
use fb_query::Update;
use fb_store::{Alteration, Batch, Effect, Expect, Moment, ObjectWrite, Refusal, Store, Write};
use fb_types::schema::{ADMIN_ROLE, ROLE};
use fb_types::{Acl, AppId, Document, ObjectId, RuleMap, Schema, Stored, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::accounts::{Draft, check_username, record};
use crate::app::Shared;
use crate::audit::Action;
use crate::kept::{finish, write_keys};
use crate::{App, AppError, Apps, Profile, Settings};

/// How long a setup link is good for.
const SETUP_SECONDS: i64 = 24 * 3600;
const SETUP: &str = "setup";
const TOKEN: &str = "token";

/// Name and hashed password of an app's first administrator, or of the operator. Hashed once for both.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    pub(crate) username: String,
    pub(crate) hash: Secret,
}

impl Apps {
    /// Checks and hashes what the administrator of an app of this profile is created from.
    pub async fn first_admin(
        &self,
        profile: Profile,
        username: &str,
        password: &Secret,
    ) -> Result<FirstAdmin, AppError> {
        check_username(username)?;
        Settings::new(profile)
            .password_policy
            .check(password.expose(), username)?;
        let hash = self.shared().hashing.hash(password).await?;
        Ok(FirstAdmin {
            username: username.to_owned(),
            hash,
        })
    }
}

/// The single-use secret with which the first administrator is created.
#[derive(Debug, Clone)]
pub struct SetupLink {
    /// The secret.
    pub token: Secret,
}

#[derive(Serialize, Deserialize)]
struct PendingSetup {
    fingerprint: String,
    expires_at: i64,
}

/// Fills an empty store, or one where this was cut off. Everything is in but the settings: [`finish`] writes them when
/// the app has its administrator as well, and only with them it is complete.
pub(crate) async fn initialise(
    store: &dyn Store,
    id: &AppId,
    shared: &Shared,
    profile: Profile,
) -> Result<(Settings, TokenKeys), AppError> {
    let admin = system(Errand::SetUpApp);
    if profile == Profile::Secure {
        let schema = store.schema();
        let mut defs = schema.defs();
        for def in &mut defs {
            fb_auth::close_predefined(def);
        }
        let next = Schema::build(defs, schema.rev() + 1, Some(&schema), &[])?;
        let alteration = Alteration {
            schema: next.into(),
            from_rev: schema.rev(),
            rewrites: Vec::new(),
            indexes: Vec::new(),
            also: Batch::default(),
        };
        store.alter(&admin, alteration).await?;
    }
    let schema = store.schema();
    let class = schema.class(ROLE).ok_or_else(|| AppError::NoClass(ROLE.into()))?;
    let mut batch = Batch::default();
    for (id, name) in [
        (ADMIN_ROLE, "admin"),
        (fb_types::schema::NODE_ROLE, "node"),
        (fb_types::schema::LOGGED_IN_ROLE, "loggedin"),
    ] {
        let id: ObjectId = id.parse()?;
        let role = json!({ "name": name, "users": [] });
        let fields = schema.check_fields(class, role.as_object().unwrap_or(&serde_json::Map::new()), None)?;
        let acl = Acl {
            read: RuleMap::default(),
            write: RuleMap::allow(ADMIN_ROLE),
        };
        let (new_id, shape) = (id.clone(), class.shape());
        let decide = move |before: Option<&Stored>, moment: Moment| match before {
            Some(_) => Ok::<_, Refusal>(Effect::Keep),
            None => {
                let role = Document {
                    id: new_id.clone(),
                    version: Version::FIRST,
                    created_at: moment.now,
                    updated_at: moment.now,
                    acl: Some(Arc::new(acl.clone())),
                    fields: fields.clone(),
                };
                Ok(Effect::Put(role.store(shape)))
            }
        };
        batch.writes.push(Write::Object(ObjectWrite {
            grant: admin.grant(class.name()),
            key: id.key().clone(),
            checked_under: schema.rev(),
            decide: Box::new(decide),
        }));
    }
    let keys = TokenKeys::random(id.clone()).map_err(|e| AppError::internal("making a secret", e))?;
    // No token can have been issued before the settings are there.
    batch.writes.push(write_keys(&keys, id, shared, Expect::Anything)?);
    store.commit(batch).await?;
    Ok((Settings::new(profile), keys))
}

impl App {
    /// True if the admin role has no member yet.
    pub async fn needs_admin(&self) -> Result<bool, AppError> {
        let role: ObjectId = ADMIN_ROLE.parse()?;
        let Some(object) = self.fetch_for(Errand::SetUpApp, ROLE, role.key()).await? else {
            return Ok(true);
        };
        let role: serde_json::Value =
            serde_json::from_slice(&object.body).map_err(|e| AppError::internal("reading a role", e))?;
        Ok(role["users"].as_array().is_none_or(Vec::is_empty))
    }

    /// Makes a new setup link, if the app has no administrator. Earlier links of the app die.
    pub async fn setup_link(&self) -> Result<Option<SetupLink>, AppError> {
        if !self.needs_admin().await? {
            return Ok(None);
        }
        let token = Secret::random().map_err(|e| AppError::internal("making a secret", e))?;
        let expires_at = self.clock().now().seconds() + SETUP_SECONDS;
        let pending = PendingSetup {
            fingerprint: fingerprint(token.expose()),
            expires_at,
        };
        let value = serde_json::to_vec(&pending).map_err(|e| AppError::internal("writing a record", e))?;
        let writes = vec![record(SETUP, TOKEN, Expect::Anything, Some(&value))];
        self.store().commit(Batch { writes }).await?;
        Ok(Some(SetupLink { token }))
    }

    /// True if somebody could still become the first administrator with a setup link.
    pub(crate) async fn has_setup_link(&self) -> Result<bool, AppError> {
        let Some(stored) = self.store().record(SETUP, TOKEN).await? else {
            return Ok(false);
        };
        let pending: PendingSetup =
            serde_json::from_slice(&stored).map_err(|e| AppError::internal("reading a record", e))?;
        Ok(self.clock().now().seconds() < pending.expires_at)
    }

    /// A write after which no setup link is good any more.
    pub(crate) fn end_setup() -> Write {
        record(SETUP, TOKEN, Expect::Anything, None)
    }

    /// Creates the first administrator with the secret of a setup link. The link is consumed in the same commit.
    pub async fn claim_setup(&self, token: &str, username: &str, password: &Secret) -> Result<FirstAdmin, AppError> {
        let stored = self.store().record(SETUP, TOKEN).await?.ok_or(AppError::BadToken)?;
        let pending: PendingSetup =
            serde_json::from_slice(&stored).map_err(|e| AppError::internal("reading a record", e))?;
        let expires_at = Timestamp::from_millis(pending.expires_at.saturating_mul(1000));
        if pending.fingerprint != fingerprint(token) || self.clock().now() >= expires_at {
            return Err(AppError::BadToken);
        }
        check_username(username)?;
        // Whatever the app asks of others.
        Settings::new(Profile::Secure)
            .password_policy
            .check(password.expose(), username)?;
        let admin = FirstAdmin {
            username: username.to_owned(),
            hash: self.hash(password).await?,
        };
        let consume = || vec![record(SETUP, TOKEN, Expect::Value(stored.clone()), None)];
        self.create_admin(&admin, "setup link", consume).await?;
        Ok(admin)
    }

    /// Creates a user in the admin role, together with `more` writes.
    /// `by` says in the audit log how that came about: nobody is logged in yet.
    pub(crate) async fn create_admin(
        &self,
        admin: &FirstAdmin,
        by: &str,
        more: impl Fn() -> Vec<Write>,
    ) -> Result<(), AppError> {
        let draft = Draft {
            username: admin.username.clone(),
            hash: Some(admin.hash.clone()),
            fields: serde_json::Map::new(),
            inactive: false,
            verified: false,
            identities: Vec::new(),
            // The first administrator comes before any code, and a new one must not depend on it.
            by: Principal::anonymous().as_code(),
            prepared: std::sync::Mutex::default(),
        };
        self.despite_schema_changes(|| async {
            let schema = self.schema();
            let (id, mut batch) = self.new_user(&schema, &draft).await?;
            batch.writes.push(self.admin_role_write(&schema, &id)?);
            let data = json!({ "username": draft.username, "by": by });
            let caller = Principal::anonymous();
            batch
                .writes
                .push(self.audit(&schema, &caller, Action::AdminCreated, &id.to_string(), data)?);
            batch.writes.extend(more());
            Self::created(&id, self.commit(batch).await).map(drop)
        })
        .await
    }

    /// A write that makes a user a member of the admin role.
    pub(crate) fn admin_role_write(&self, schema: &Arc<Schema>, user: &ObjectId) -> Result<Write, AppError> {
        let role: ObjectId = ADMIN_ROLE.parse()?;
        let class = self.entity(schema, ROLE)?.clone();
        let join = json!({ "$add": { "users": user.to_string() } });
        let join = Update::parse(&join, schema, &class, &self.limits().query)?;
        let (role_id, context, role_class) = (role.clone(), schema.clone(), class.clone());
        let decide = move |before: Option<&Stored>, moment: Moment| {
            let stored = before.ok_or(Refusal::Missing)?;
            let mut document = Document::open(role_id.clone(), stored)
                .map_err(|e| AppError::internal("reading a role", e).refuse())?;
            context.complete(&role_class, &mut document.fields);
            let before = document.fields.clone();
            join.apply(&context, &role_class, &mut document.fields, moment.now)
                .map_err(|e| AppError::from(e).refuse())?;
            if document.fields == before {
                return Ok(Effect::Keep);
            }
            document.version = stored.version.next();
            document.updated_at = moment.now;
            Ok(Effect::Put(document.store(role_class.shape())))
        };
        Ok(Write::Object(ObjectWrite {
            grant: system(Errand::SetUpApp).grant(class.name()),
            key: role.key().clone(),
            checked_under: schema.rev(),
            decide: Box::new(decide),
        }))
    }

    /// Takes the last step of the app's creation.
    pub(crate) async fn finish_setup(&self) -> Result<(), AppError> {
        finish(self.store(), self.shared(), &self.settings()).await
    }
}
