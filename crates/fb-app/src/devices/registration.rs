//! How a device is reached: what is kept of it besides the object.

use fb_auth::fingerprint;
use fb_push::{Subscription, is_apns_token};
use fb_types::ObjectKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{COOKIES, DEVICES};
use crate::{App, AppError};

/// Longest token of Firebase or Apple in bytes. Those of today have up to some 250.
const MAX_TOKEN: usize = 1000;

/// Whose push service delivers to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Platform {
    /// Firebase.
    Android,
    /// Apple.
    #[serde(rename = "IOS")]
    Ios,
    /// The browser's own.
    WebPush,
}

impl Platform {
    fn from_name(name: &str) -> Option<Self> {
        [Self::Android, Self::Ios, Self::WebPush]
            .into_iter()
            .find(|platform| platform.as_str() == name)
    }

    /// The protocol's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Android => "Android",
            Self::Ios => "IOS",
            Self::WebPush => "WebPush",
        }
    }
}

/// What is kept of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) platform: Platform,
    /// `{"token": …}`, or what is needed of a browser's subscription.
    pub(crate) subscription: Value,
    /// Fingerprint of the cookie.
    pub(crate) cookie: String,
}

impl Registration {
    /// Checks what a client sends, and keeps what is needed of it. There is no cookie yet.
    pub(crate) fn new(platform: &str, subscription: &Value) -> Result<Self, AppError> {
        let invalid = |text: &str| AppError::Invalid(text.to_owned());
        let platform =
            Platform::from_name(platform).ok_or_else(|| invalid("devicetype must be Android, IOS or WebPush"))?;
        let subscription = match platform {
            Platform::WebPush => {
                Subscription::from_json(subscription).map_err(|e| AppError::Invalid(e.to_string()))?;
                let member = |name: &str| subscription["keys"][name].clone();
                json!({
                    "endpoint": subscription["endpoint"],
                    "keys": { "p256dh": member("p256dh"), "auth": member("auth") },
                })
            }
            Platform::Android | Platform::Ios => {
                let token = subscription["token"].as_str().unwrap_or_default();
                let is_plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
                if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(is_plain) {
                    return Err(invalid("subscription.token must be the token of the push service"));
                }
                if platform == Platform::Ios && !is_apns_token(token) {
                    return Err(invalid("subscription.token must be Apple's device token in hex digits"));
                }
                json!({ "token": token })
            }
        };
        Ok(Self {
            platform,
            subscription,
            cookie: String::new(),
        })
    }

    /// Where its messages go, as a key: who registers the same again is the same device.
    pub(crate) fn target(&self) -> String {
        fingerprint(&format!("{} {}", self.platform.as_str(), self.subscription))
    }

    pub(crate) fn token(&self) -> &str {
        self.subscription["token"].as_str().unwrap_or_default()
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, AppError> {
        serde_json::to_vec(self).map_err(|e| AppError::internal("writing a registration", e))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, AppError> {
        serde_json::from_slice(bytes).map_err(|e| AppError::internal("reading a registration", e))
    }
}

impl App {
    /// The registration of a device as it is stored, and what it says.
    pub(super) async fn registration(&self, key: &ObjectKey) -> Result<Option<(Vec<u8>, Registration)>, AppError> {
        let stored = self.store().record(DEVICES, key.as_str()).await?;
        let read = |bytes: Vec<u8>| Registration::decode(&bytes).map(|registration| (bytes, registration));
        stored.map(read).transpose()
    }

    /// The key of the device whose cookie this is.
    pub(super) async fn device_of_cookie(&self, cookie: &str) -> Result<Option<ObjectKey>, AppError> {
        self.device_at(COOKIES, &fingerprint(cookie)).await
    }

    pub(super) async fn device_at(&self, space: &'static str, at: &str) -> Result<Option<ObjectKey>, AppError> {
        let key = self.store().record(space, at).await?;
        Ok(key
            .and_then(|key| String::from_utf8(key).ok())
            .and_then(|key| ObjectKey::from_encoded(&key).ok()))
    }
}
