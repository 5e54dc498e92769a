//! What is kept of an app besides its objects: settings and token keys, secrets in them sealed.

use std::sync::Arc;

use fb_auth::{Principal, Secret, TokenKeys, authorize_admin};
use fb_store::{Batch, Expect, Refusal, Store, StoreError, Write};
use fb_types::{AppId, Timestamp};
use serde_json::json;

use crate::accounts::record;
use crate::app::{After, Shared};
use crate::audit::Action;
use crate::{App, AppError, Settings};

const SETTINGS: &str = "settings";
const SECRET: &str = "secret";
const TOKENS: &str = "tokens";
/// What secrets of login providers, and those of websites and images, are sealed for.
const OAUTH: &str = "oauth";
const SITES: &str = "sites";

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
    for password in other_secrets(&mut value) {
        let plain = Secret::new(password.as_str().unwrap_or_default());
        let sealed = shared.sealer.seal(SITES, &plain);
        *password = json!(sealed.map_err(|e| AppError::internal("sealing a secret", e))?);
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
    for password in other_secrets(&mut value) {
        let opened = shared.sealer.open(SITES, password.as_str().unwrap_or_default());
        let plain = match opened {
            Ok(plain) => plain,
            Err(error) => {
                tracing::warn!(app = %id, error = %error, "the password of a site, the key of a webhook or that of image URLs cannot be read; it is good for nobody until it is set anew");
                Secret::random().map_err(|e| AppError::internal("making a secret", e))?
            }
        };
        *password = json!(plain.expose());
    }
    serde_json::from_value(value).map_err(unreadable)
}

/// Passwords of sites, keys of webhooks, and the key that signs variants of images.
fn other_secrets(settings: &mut serde_json::Value) -> Vec<&mut serde_json::Value> {
    let mut secrets = Vec::new();
    for (name, value) in settings.as_object_mut().into_iter().flatten() {
        match name.as_str() {
            "images" => secrets.extend(value.get_mut("signingKey")),
            "webhooks" => {
                let webhooks = value.as_object_mut().into_iter().flat_map(|all| all.values_mut());
                secrets.extend(webhooks.filter_map(|webhook| webhook.get_mut("secret")));
            }
            "hosting" => {
                let sites = value.get_mut("sites").and_then(|sites| sites.as_object_mut());
                let sites = sites.into_iter().flat_map(|all| all.values_mut());
                secrets.extend(sites.filter_map(|site| site.get_mut("basicAuth")?.get_mut("password")));
            }
            _ => {}
        }
    }
    secrets
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
        self.check_guarded_sites(&new.hosting).await?;
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
        let then = After::Settings(Box::new(new));
        match self.commit_and(Batch { writes }, then).await {
            Ok(_) => {}
            Err(StoreError::Refused {
                refusal: Refusal::Record { .. },
                ..
            }) => return Err(out_of_date()),
            Err(error) => return Err(error.into()),
        }
        self.refresh_duties().await;
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
        self.commit_and(Batch { writes }, After::TokenKeys(keys)).await?;
        Ok(())
    }
}
