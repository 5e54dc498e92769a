//! Apple Push Notification service: HTTP/2, with tokens that a .p8 key signs.

use std::fmt;

use fb_auth::Secret;
use fb_outbound::{Outbound, Request, Response};
use fb_types::Timestamp;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::channel::{Channel, Token};
use crate::encoding::read_pem;
use crate::jwt::Signer;
use crate::wire::{by_status, code};
use crate::{Endpoints, KeyError, Message, PushError};

/// How long a token is used. Apple refuses those older than an hour, and more than one new one in 20 minutes.
const TOKEN_SECONDS: i64 = 50 * 60;

/// A key for token-based connections, and what it is for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApnsKey {
    team_id: String,
    key_id: String,
    /// The app's bundle id.
    topic: String,
    /// For builds from Xcode instead of those from the store.
    is_development: bool,
    private_key: Secret,
}

impl fmt::Debug for ApnsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApnsKey({}, {}, {}, ***)", self.team_id, self.key_id, self.topic)
    }
}

/// True for what Apple gives to devices: hex digits.
pub fn is_apns_token(token: &str) -> bool {
    (1..=400).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_hexdigit())
}

impl ApnsKey {
    /// `private_key` is the text of the .p8 file.
    pub fn new(
        team_id: &str,
        key_id: &str,
        topic: &str,
        is_development: bool,
        private_key: Secret,
    ) -> Result<Self, KeyError> {
        let is_id = |id: &str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_id(team_id) || !is_id(key_id) {
            return Err(KeyError("`teamId` and `keyId` are ten letters and digits each"));
        }
        let in_topic = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        if !(1..=200).contains(&topic.len()) || !topic.bytes().all(in_topic) {
            return Err(KeyError("`topic` is the app's bundle id, such as org.example.shop"));
        }
        let key = Self {
            team_id: team_id.to_owned(),
            key_id: key_id.to_owned(),
            topic: topic.to_owned(),
            is_development,
            private_key,
        };
        match key.signer() {
            Some(_) => Ok(key),
            None => Err(KeyError(
                "the file is no P-256 key as in Apple's .p8 files, with `-----BEGIN PRIVATE KEY-----`",
            )),
        }
    }

    pub(crate) fn signer(&self) -> Option<Signer> {
        Signer::es256(&read_pem(self.private_key.expose())?)
    }

    /// What tells its connection from others. Apple wants one team's tokens on each, and both environments are apart.
    pub(crate) fn identity(&self) -> String {
        let Self {
            team_id,
            key_id,
            is_development,
            private_key,
            ..
        } = self;
        let private_key = private_key.expose();
        fb_auth::fingerprint(&format!("apns {team_id} {key_id} {is_development} {private_key}"))
    }
}

pub(crate) async fn send(
    (outbound, endpoints): (&Outbound, &Endpoints),
    channel: &Channel,
    key: &ApnsKey,
    token: &str,
    message: &Message,
    now: Timestamp,
) -> Result<(), PushError> {
    if !is_apns_token(token) {
        return Err(PushError::Rejected {
            reason: "the device's token is none of Apple's".to_owned(),
        });
    }
    let base = if key.is_development {
        &endpoints.apns_development
    } else {
        &endpoints.apns
    };
    let mut request = Request::new(Method::POST, format!("{base}/3/device/{token}"));
    request.body = message.for_apns().to_string().into();
    request.headers = headers(key, message, now)?;
    let mut is_first = true;
    loop {
        let provider = channel.token(now, async || sign(channel, key, now)).await?;
        let bearer = HeaderValue::from_str(&format!("bearer {}", provider.expose()));
        let mut bearer = bearer.map_err(|_| misconfigured("the token is no text"))?;
        bearer.set_sensitive(true);
        request.headers.insert(header::AUTHORIZATION, bearer);
        let answer = channel.send(outbound, request.clone(), now).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let reason = code(&body["reason"]);
        // The clocks differ. Other tokens that are refused are not renewed: Apple permits that every 20 minutes only.
        if reason == "ExpiredProviderToken" {
            channel.forget_token(&provider).await;
            if std::mem::take(&mut is_first) {
                continue;
            }
        }
        return Err(meaning(&answer, reason, now));
    }
}

/// Source: Apple, "Handling notification responses from APNs".
fn meaning(answer: &Response, reason: &str, now: Timestamp) -> PushError {
    match (answer.status.as_u16(), reason) {
        (410, _) => PushError::Gone,
        // A token of the other environment looks like a wrong one: the device must not go for that.
        (400, "BadDeviceToken" | "DeviceTokenNotForTopic" | "TopicDisallowed" | "BadTopic" | "MissingTopic") => {
            misconfigured(&format!(
                "status 400, {reason}; do `topic` and `environment` fit the app?"
            ))
        }
        (403, "ExpiredProviderToken") => PushError::Later {
            reason: "the token has expired; is the server's clock right?".to_owned(),
            retry_after: None,
        },
        _ => by_status(answer, reason, now),
    }
}

fn misconfigured(reason: &str) -> PushError {
    PushError::Misconfigured {
        reason: reason.to_owned(),
    }
}

fn headers(key: &ApnsKey, message: &Message, now: Timestamp) -> Result<HeaderMap, PushError> {
    let mut headers = HeaderMap::new();
    let topic = HeaderValue::from_str(&key.topic).map_err(|_| misconfigured("`topic` is no bundle id"))?;
    headers.insert(HeaderName::from_static("apns-topic"), topic);
    let (kind, priority) = if message.is_visible() {
        ("alert", "10")
    } else {
        ("background", "5")
    };
    headers.insert(
        HeaderName::from_static("apns-push-type"),
        HeaderValue::from_static(kind),
    );
    headers.insert(
        HeaderName::from_static("apns-priority"),
        HeaderValue::from_static(priority),
    );
    let until = now.seconds().saturating_add_unsigned(message.ttl());
    headers.insert(HeaderName::from_static("apns-expiration"), HeaderValue::from(until));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

fn sign(channel: &Channel, key: &ApnsKey, now: Timestamp) -> Result<Token, PushError> {
    let claims = json!({ "iss": key.team_id, "iat": now.seconds() });
    let text = channel.signer.sign(Some(&key.key_id), &claims);
    let text = text.ok_or_else(|| PushError::Later {
        reason: "the operating system gave no randomness".to_owned(),
        retry_after: None,
    })?;
    Ok(Token {
        text,
        use_until: now.seconds() + TOKEN_SECONDS,
    })
}
