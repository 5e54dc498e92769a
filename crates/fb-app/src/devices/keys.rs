//! Keys for push services: set by administrators, kept sealed, read by nobody but the server.

use fb_auth::{Principal, Secret, authorize_admin};
use fb_push::{ApnsKey, KeyError, PUBLIC_KEY_BYTES, ServiceAccount, VapidKeys};
use fb_store::{Batch, Expect};
use serde_json::json;

use crate::accounts::record;
use crate::audit::Action;
use crate::{App, AppError};

/// Space of the keys' records.
const KEYS: &str = "pushKey";
/// Longest text of a key in bytes.
const MAX_KEY: usize = 32 << 10;

/// What the original product sent messages to Firebase with, and published clients still upload.
const SERVER_KEYS_ENDED: KeyError = KeyError::new(
    "Google takes no server keys any more; upload the JSON file of a service account with POST /config/GCMKey",
);

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Vapid,
    Fcm,
    Apns,
}

impl Key {
    fn record(self) -> &'static str {
        match self {
            Self::Vapid => "vapid",
            Self::Fcm => "fcm",
            Self::Apns => "apns",
        }
    }

    /// What the key is sealed for. Without the app's name, so that a backup can be restored under another one.
    fn place(self) -> String {
        format!("push {}", self.record())
    }

    /// The path below `/config` that sets it; its name in the audit log.
    fn target(self) -> &'static str {
        match self {
            Self::Vapid => "VAPIDKeys",
            Self::Fcm => "GCMKey",
            Self::Apns => "APNSCert",
        }
    }
}

/// A key for Apple as it is uploaded.
#[derive(Debug, Clone, Default)]
pub struct ApnsUpload {
    /// The text of the .p8 file.
    pub private_key: Option<Secret>,
    /// Id of the key.
    pub key_id: String,
    /// Id of the team.
    pub team_id: String,
    /// The app's bundle id.
    pub topic: String,
    /// `production`, also if empty, or `development`.
    pub environment: String,
}

impl App {
    /// Makes a new key pair for web push; gives the public half. Browsers that subscribed with an older one have to do so
    /// again.
    pub async fn generate_vapid_keys(&self, caller: &Principal) -> Result<[u8; PUBLIC_KEY_BYTES], AppError> {
        authorize_admin(caller, "generate keys for web push")?;
        let keys = VapidKeys::generate().map_err(|e| AppError::internal("making a key", e))?;
        self.set_key(caller, Key::Vapid, keys.to_text(), json!({})).await?;
        Ok(*keys.public_key())
    }

    /// The public key that browsers subscribe with; `None` until an administrator has generated one.
    pub async fn vapid_public_key(&self) -> Result<Option<[u8; PUBLIC_KEY_BYTES]>, AppError> {
        Ok(self.vapid_keys().await?.map(|keys| *keys.public_key()))
    }

    /// Takes the key for Firebase: the JSON file of a service account. The server keys of the time before are taken as
    /// well, because published clients send them, but nothing can be delivered with them any more.
    pub async fn set_fcm_key(&self, caller: &Principal, text: &str) -> Result<(), AppError> {
        authorize_admin(caller, "set the key for Firebase")?;
        let text = text.trim();
        let data = if text.starts_with('{') {
            let account = ServiceAccount::from_json(text).map_err(invalid)?;
            json!({ "project": account.project_id() })
        } else {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'"');
            if text.is_empty() || text.len() > 1000 || !text.bytes().all(is_plain) {
                let text = "the body must be the JSON file of a service account, or a server key";
                return Err(AppError::Invalid(text.to_owned()));
            }
            json!({ "note": SERVER_KEYS_ENDED.to_string() })
        };
        self.set_key(caller, Key::Fcm, &Secret::new(text), data).await
    }

    /// Takes the key for Apple.
    pub async fn set_apns_key(&self, caller: &Principal, upload: ApnsUpload) -> Result<(), AppError> {
        authorize_admin(caller, "set the key for Apple")?;
        let is_development = match upload.environment.as_str() {
            "" | "production" => false,
            "development" => true,
            _ => {
                return Err(AppError::Invalid(
                    "the environment must be production or development".to_owned(),
                ));
            }
        };
        let private_key = upload
            .private_key
            .ok_or_else(|| AppError::Invalid("the part with the .p8 file is missing".to_owned()))?;
        let (key_id, team_id, topic) = (upload.key_id.trim(), upload.team_id.trim(), upload.topic.trim());
        let key = ApnsKey::new(team_id, key_id, topic, is_development, private_key).map_err(invalid)?;
        let text = serde_json::to_string(&key).map_err(|e| AppError::internal("writing a key", e))?;
        let data = json!({ "keyId": key_id, "teamId": team_id, "topic": topic, "development": is_development });
        self.set_key(caller, Key::Apns, &Secret::new(text), data).await
    }

    async fn set_key(
        &self,
        caller: &Principal,
        key: Key,
        secret: &Secret,
        data: serde_json::Value,
    ) -> Result<(), AppError> {
        if secret.expose().len() > MAX_KEY {
            return Err(AppError::TooLarge(format!("a key has at most {MAX_KEY} bytes")));
        }
        let sealed = self.shared().sealer.seal(&key.place(), secret);
        let sealed = sealed.map_err(|e| AppError::internal("sealing a secret", e))?;
        let write = async || {
            let schema = self.schema();
            let writes = vec![
                record(KEYS, key.record(), Expect::Anything, Some(sealed.as_bytes())),
                self.audit(&schema, caller, Action::PushKeyChanged, key.target(), data.clone())?,
            ];
            Ok(self.store().commit(Batch { writes }).await.map(drop)?)
        };
        self.despite_schema_changes(write).await
    }

    /// A key as it was set. One that another master key sealed is as good as none.
    async fn key(&self, key: Key) -> Result<Option<Secret>, AppError> {
        let Some(bytes) = self.store().record(KEYS, key.record()).await? else {
            return Ok(None);
        };
        let sealed = String::from_utf8_lossy(&bytes);
        match self.shared().sealer.open(&key.place(), &sealed) {
            Ok(secret) => Ok(Some(secret)),
            Err(error) => {
                tracing::warn!(app = %self.id(), error = %error, "the push key {} cannot be read; set it anew", key.target());
                Ok(None)
            }
        }
    }

    pub(super) async fn vapid_keys(&self) -> Result<Option<VapidKeys>, AppError> {
        let text = self.key(Key::Vapid).await?;
        let read = |text: Secret| VapidKeys::from_text(&text).map_err(|e| AppError::internal("reading a key", e));
        text.map(read).transpose()
    }

    /// The account for Firebase; the inner error is for keys that nothing can be sent with.
    pub(super) async fn fcm_account(&self) -> Result<Option<Result<ServiceAccount, KeyError>>, AppError> {
        let text = self.key(Key::Fcm).await?;
        Ok(text.map(|text| match text.expose() {
            json if json.starts_with('{') => ServiceAccount::from_json(json),
            _ => Err(SERVER_KEYS_ENDED),
        }))
    }

    pub(super) async fn apns_key(&self) -> Result<Option<ApnsKey>, AppError> {
        let text = self.key(Key::Apns).await?;
        let read = |text: Secret| {
            let key = serde_json::from_str(text.expose());
            // Its error would repeat what it found.
            key.map_err(|_| AppError::internal("reading a key", "the key for Apple is damaged"))
        };
        text.map(read).transpose()
    }

    /// Where push services can complain: the app's pages, or whoever its mails are from.
    pub(super) fn push_contact(&self) -> String {
        let settings = self.settings();
        if let Some(url) = settings.public_url.as_ref().filter(|url| url.starts_with("https://")) {
            return url.clone();
        }
        let address = settings.mail.from.as_deref();
        format!(
            "mailto:{}",
            address.unwrap_or_else(|| self.shared().mail_from.address())
        )
    }
}

fn invalid(error: KeyError) -> AppError {
    AppError::Invalid(error.to_string())
}
