//! The first minutes of an app: its settings and secret, its roles, its first administrator.

use std::sync::Arc;

use fb_auth::{Errand, Principal, Secret, TokenKeys, authorize_admin, fingerprint, system};
use fb_query::Update;
use fb_store::{Alteration, Batch, Effect, Expect, Moment, ObjectWrite, Refusal, Store, StoreError, Write};
use fb_types::schema::{ADMIN_ROLE, ROLE};
use fb_types::{Acl, AppId, Document, ObjectId, RuleMap, Schema, Stored, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::accounts::{Draft, check_username, record};
use crate::app::Shared;
use crate::audit::Action;
use crate::{App, AppError, Apps, Profile, Settings};

/// How long a setup link is good for.
const SETUP_SECONDS: i64 = 24 * 3600;
const SETTINGS: &str = "settings";
const SECRET: &str = "secret";
const TOKENS: &str = "tokens";
/// Where the settings of login providers are sealed for.
const OAUTH: &str = "oauth";
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

/// Reads the settings and nothing else. `None` if the app's creation is not finished, or was cut off.
pub(crate) async fn settings(store: &dyn Store, id: &AppId, shared: &Shared) -> Result<Option<Settings>, AppError> {
    let stored = store.record(SETTINGS, "app").await?;
    stored.map(|bytes| decode(&bytes, id, shared)).transpose()
}

/// Reads the settings and the token keys. `None` if the app's creation is not finished, or was cut off.
pub(crate) async fn load(
    store: &dyn Store,
    id: &AppId,
    shared: &Shared,
) -> Result<Option<(Settings, TokenKeys)>, AppError> {
    let Some(settings) = settings(store, id, shared).await? else {
        return Ok(None);
    };
    let stored = store.record(SECRET, TOKENS).await?;
    if let Some(keys) = stored.as_deref().and_then(|bytes| open_keys(bytes, id, shared)) {
        return Ok(Some((settings, keys)));
    }
    tracing::warn!(app = %id, "the token keys cannot be read under this master key; made new ones, so everybody has to log in again");
    let keys = TokenKeys::random(id.clone()).map_err(|e| AppError::internal("making a secret", e))?;
    let expect = stored.map_or(Expect::Absent, Expect::Value);
    let writes = vec![write_keys(&keys, id, shared, expect)?];
    store.commit(Batch { writes }).await?;
    Ok(Some((settings, keys)))
}

fn open_keys(bytes: &[u8], id: &AppId, shared: &Shared) -> Option<TokenKeys> {
    let sealed = std::str::from_utf8(bytes).ok()?;
    let opened = shared.sealer.open(&format!("{id} tokens"), sealed).ok()?;
    TokenKeys::new(id.clone(), serde_json::from_str(opened.expose()).ok()?)
}

pub(crate) fn write_keys(keys: &TokenKeys, id: &AppId, shared: &Shared, expect: Expect) -> Result<Write, AppError> {
    let text = serde_json::to_string(&keys.keys()).map_err(|e| AppError::internal("writing a secret", e))?;
    let sealed = shared.sealer.seal(&format!("{id} tokens"), &Secret::new(text));
    let sealed = sealed.map_err(|e| AppError::internal("sealing a secret", e))?;
    Ok(record(SECRET, TOKENS, expect, Some(sealed.as_bytes())))
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
    let keys = TokenKeys::random(id.clone()).map_err(|e| AppError::internal("making a secret", e))?;
    // No token can have been issued before the settings are there.
    batch.writes.push(write_keys(&keys, id, shared, Expect::Anything)?);
    store.commit(batch).await?;
    Ok((Settings::new(profile), keys))
}

/// Writes the settings, the last step of an app's creation. Fails if somebody else has finished it.
pub(crate) async fn finish(store: &dyn Store, shared: &Shared, settings: &Settings) -> Result<(), AppError> {
    let writes = vec![record(
        SETTINGS,
        "app",
        Expect::Absent,
        Some(&encode(settings, shared)?),
    )];
    store.commit(Batch { writes }).await?;
    Ok(())
}

/// The settings as they are kept: the secrets of login providers are sealed.
fn encode(settings: &Settings, shared: &Shared) -> Result<Vec<u8>, AppError> {
    let unwritable = |e| AppError::internal("writing settings", e);
    let mut value = serde_json::to_value(settings).map_err(unwritable)?;
    for secret in provider_secrets(&mut value) {
        let plain = Secret::new(secret.as_str().unwrap_or_default());
        let sealed = shared.sealer.seal(OAUTH, &plain);
        *secret = json!(sealed.map_err(|e| AppError::internal("sealing a secret", e))?);
    }
    serde_json::to_vec(&value).map_err(unwritable)
}

fn decode(bytes: &[u8], id: &AppId, shared: &Shared) -> Result<Settings, AppError> {
    let unreadable = |e| AppError::internal("reading settings", e);
    let mut value: serde_json::Value = serde_json::from_slice(bytes).map_err(unreadable)?;
    for secret in provider_secrets(&mut value) {
        let opened = shared.sealer.open(OAUTH, secret.as_str().unwrap_or_default());
        *secret = match &opened {
            Ok(plain) => json!(plain.expose()),
            Err(error) => {
                tracing::warn!(app = %id, error = %error, "the secret of a login provider cannot be read; set it anew");
                json!("unreadable")
            }
        };
    }
    serde_json::from_value(value).map_err(unreadable)
}

fn provider_secrets(settings: &mut serde_json::Value) -> Vec<&mut serde_json::Value> {
    let providers = settings["oauth"]["providers"].as_object_mut();
    let mut secrets = Vec::new();
    for provider in providers.into_iter().flat_map(|all| all.values_mut()) {
        let Some(members) = provider.as_object_mut() else {
            continue;
        };
        for (name, member) in members {
            match name.as_str() {
                "clientSecret" => secrets.push(member),
                "apple" => secrets.extend(member.get_mut("privateKey")),
                _ => {}
            }
        }
    }
    secrets
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
            Self::created(&id, self.store().commit(batch).await).map(drop)
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

    /// Replaces the settings.
    pub async fn update_settings(
        &self,
        caller: &fb_auth::Principal,
        changes: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Arc<Settings>, AppError> {
        fb_auth::authorize_admin(caller, "change the app's configuration")?;
        let out_of_date = || AppError::OutOfDate {
            id: "configuration".into(),
            found: None,
        };
        let old = self.settings();
        let new = old.merged(changes)?;
        let stored = self.store().record(SETTINGS, "app").await?.unwrap_or_default();
        if decode(&stored, self.id(), self.shared())? != *old {
            return Err(out_of_date());
        }
        let bytes = encode(&new, self.shared())?;
        let schema = self.schema();
        let names: Vec<&String> = changes.keys().collect();
        let entry = self.audit(
            &schema,
            caller,
            Action::ConfigChanged,
            "config",
            json!({ "settings": names }),
        )?;
        let writes = vec![record(SETTINGS, "app", Expect::Value(stored), Some(&bytes)), entry];
        match self.store().commit(Batch { writes }).await {
            Ok(_) => self.set_settings(new),
            Err(StoreError::Refused {
                refusal: Refusal::Record { .. },
                ..
            }) => return Err(out_of_date()),
            Err(error) => return Err(error.into()),
        }
        Ok(self.settings())
    }

    /// Makes a new key that tokens are signed with from now on. Tokens under older keys stay valid for `overlap`
    /// seconds, so that sessions in use are renewed under the new one; 0 ends all sessions at once.
    pub async fn rotate_token_key(&self, caller: &Principal, overlap: u32) -> Result<(), AppError> {
        authorize_admin(caller, "rotate the key of tokens")?;
        let _one_at_a_time = self.schema_edits.lock().await;
        let now = self.clock().now();
        let until = Timestamp::from_millis(now.millis() + i64::from(overlap) * 1000);
        let keys = self
            .tokens()
            .rotated(until, now)
            .map_err(|e| AppError::internal("making a secret", e))?;
        let stored = self.store().record(SECRET, TOKENS).await?;
        let expect = stored.map_or(Expect::Absent, Expect::Value);
        let data = json!({ "overlapSeconds": overlap });
        let writes = vec![
            write_keys(&keys, self.id(), self.shared(), expect)?,
            self.audit(&self.schema(), caller, Action::TokenKeyRotated, "tokens", data)?,
        ];
        self.store().commit(Batch { writes }).await?;
        self.set_tokens(keys);
        Ok(())
    }
}
