//! The first minutes of an app: its settings and secret, its roles, its first administrator.

use std::sync::Arc;

use fb_auth::{Errand, Secret, TokenKey, fingerprint, system};
use fb_query::Update;
use fb_store::{
    Alteration, Batch, Effect, Expect, Moment, ObjectWrite, RecordWrite, Refusal, Store, StoreError, Write,
};
use fb_types::schema::{ADMIN_ROLE, ROLE};
use fb_types::{Acl, Document, ObjectId, RuleMap, Schema, Stored, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::users::check_username;
use crate::{Account, App, AppError, Apps, Profile, Settings};

/// How long a setup link is good for.
const SETUP_SECONDS: i64 = 24 * 3600;
const SETTINGS: &str = "settings";
const SECRET: &str = "secret";
const SETUP: &str = "setup";

/// Name and hashed password of an app's first administrator, or of the operator. Hashed once for both.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    pub(crate) username: String,
    pub(crate) hash: Secret,
}

impl Apps {
    /// Checks and hashes what an administrator is created from.
    pub async fn first_admin(&self, username: &str, password: &Secret) -> Result<FirstAdmin, AppError> {
        check_username(username)?;
        let shared = self.shared();
        let hash = crate::login::hash(&shared.hasher, &shared.hashing, password).await?;
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

/// Reads the settings and the token secret. `None` if the app's creation is not finished, or was cut off.
pub(crate) async fn load(store: &dyn Store) -> Result<Option<(Settings, [u8; 32])>, AppError> {
    let missing = |what| AppError::internal("opening an app", format!("its {what} is missing"));
    let Some(settings) = store.record(SETTINGS, "app").await? else {
        return Ok(None);
    };
    let settings = serde_json::from_slice(&settings).map_err(|e| AppError::internal("reading settings", e))?;
    let secret = store
        .record(SECRET, "tokens")
        .await?
        .ok_or_else(|| missing("token secret"))?;
    let secret = secret.try_into().map_err(|_| missing("token secret, at 32 bytes,"))?;
    Ok(Some((settings, secret)))
}

/// Fills an empty store, or one where this was cut off. Everything is in but the settings: [`finish`] writes them when
/// the app has its administrator as well, and only with them it is complete.
pub(crate) async fn initialise(store: &dyn Store, profile: Profile) -> Result<(Settings, [u8; 32]), AppError> {
    let admin = system(Errand::SetUpApp);
    if profile == Profile::Secure {
        let schema = store.schema();
        let mut defs = schema.defs();
        for def in &mut defs {
            crate::schema::close_predefined(def);
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
    let secret = TokenKey::random_secret().map_err(|e| AppError::internal("making a secret", e))?;
    batch.writes.push(Write::Record(RecordWrite {
        space: SECRET,
        key: "tokens".into(),
        // No token can have been issued before the settings are there.
        expect: Expect::Anything,
        value: Some(secret.to_vec()),
        expires_at: None,
    }));
    store.commit(batch).await?;
    Ok((Settings::new(profile), secret))
}

/// Writes the settings, the last step of an app's creation. Fails if somebody else has finished it.
pub(crate) async fn finish(store: &dyn Store, settings: &Settings) -> Result<(), AppError> {
    let record = RecordWrite {
        space: SETTINGS,
        key: "app".into(),
        expect: Expect::Absent,
        value: Some(encode(settings)?),
        expires_at: None,
    };
    store
        .commit(Batch {
            writes: vec![Write::Record(record)],
        })
        .await?;
    Ok(())
}

fn encode(settings: &Settings) -> Result<Vec<u8>, AppError> {
    serde_json::to_vec(settings).map_err(|e| AppError::internal("writing settings", e))
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
        let record = RecordWrite {
            space: SETUP,
            key: "token".into(),
            expect: Expect::Anything,
            value: Some(value),
            expires_at: None,
        };
        self.store()
            .commit(Batch {
                writes: vec![Write::Record(record)],
            })
            .await?;
        Ok(Some(SetupLink { token }))
    }

    /// Creates the first administrator with the secret of a setup link. The link is consumed in the same commit.
    pub async fn claim_setup(&self, token: &str, username: &str, password: &Secret) -> Result<FirstAdmin, AppError> {
        let stored = self.store().record(SETUP, "token").await?.ok_or(AppError::BadToken)?;
        let pending: PendingSetup =
            serde_json::from_slice(&stored).map_err(|e| AppError::internal("reading a record", e))?;
        let expires_at = Timestamp::from_millis(pending.expires_at.saturating_mul(1000));
        if pending.fingerprint != fingerprint(token) || self.clock().now() >= expires_at {
            return Err(AppError::BadToken);
        }
        let consume = RecordWrite {
            space: SETUP,
            key: "token".into(),
            expect: Expect::Value(stored),
            value: None,
            expires_at: None,
        };
        check_username(username)?;
        let admin = FirstAdmin {
            username: username.to_owned(),
            hash: self.hash(password).await?,
        };
        self.create_admin(&admin, vec![Write::Record(consume)]).await?;
        Ok(admin)
    }

    /// Creates a user in the admin role, together with `more` writes.
    pub(crate) async fn create_admin(&self, admin: &FirstAdmin, more: Vec<Write>) -> Result<Account, AppError> {
        let schema = self.schema();
        let (id, mut batch) = self
            .new_user(&schema, &admin.username, &admin.hash, &serde_json::Map::new())
            .await?;
        let role: ObjectId = ADMIN_ROLE.parse()?;
        let class = self.entity(&schema, ROLE)?.clone();
        let join = json!({ "$add": { "users": id.to_string() } });
        let join = Update::parse(&join, &schema, &class, &self.limits().query)?;
        let (role_id, context, role_class) = (role.clone(), schema.clone(), class.clone());
        let decide = move |before: Option<&Stored>, moment: Moment| {
            let stored = before.ok_or(Refusal::Missing)?;
            let mut document = Document::open(role_id.clone(), stored)
                .map_err(|e| AppError::internal("reading a role", e).refuse())?;
            context.complete(&role_class, &mut document.fields);
            join.apply(&context, &role_class, &mut document.fields, moment.now)
                .map_err(|e| AppError::from(e).refuse())?;
            document.version = stored.version.next();
            document.updated_at = moment.now;
            Ok(Effect::Put(document.store(role_class.shape())))
        };
        batch.writes.push(Write::Object(ObjectWrite {
            grant: system(Errand::SetUpApp).grant(class.name()),
            key: role.key().clone(),
            checked_under: schema.rev(),
            decide: Box::new(decide),
        }));
        batch.writes.extend(more);
        self.finish_user(&id, self.store().commit(batch).await, true).await
    }

    /// Takes the last step of the app's creation.
    pub(crate) async fn finish_setup(&self) -> Result<(), AppError> {
        finish(self.store(), &self.settings()).await
    }

    /// Replaces the settings.
    pub async fn update_settings(
        &self,
        caller: &fb_auth::Principal,
        changes: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Arc<Settings>, AppError> {
        fb_auth::authorize_admin(caller, "change the app's configuration")?;
        let old = self.settings();
        let new = old.merged(changes)?;
        let record = RecordWrite {
            space: SETTINGS,
            key: "app".into(),
            expect: Expect::Value(encode(&old)?),
            value: Some(encode(&new)?),
            expires_at: None,
        };
        match self
            .store()
            .commit(Batch {
                writes: vec![Write::Record(record)],
            })
            .await
        {
            Ok(_) => self.set_settings(new),
            Err(StoreError::Refused {
                refusal: Refusal::Record { .. },
                ..
            }) => {
                return Err(AppError::OutOfDate {
                    id: "configuration".into(),
                    found: None,
                });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(self.settings())
    }
}
