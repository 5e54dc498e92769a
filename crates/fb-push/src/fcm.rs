//! Firebase Cloud Messaging: HTTP v1, with the tokens of a service account.

use std::fmt;

use fb_auth::Secret;
use fb_outbound::{Outbound, Request, Response};
use fb_types::Timestamp;
use http::Method;
use http::header::{self, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::channel::{Channel, Token};
use crate::encoding::read_pem;
use crate::jwt::Signer;
use crate::wire::{by_status, code};
use crate::{Endpoints, KeyError, Message, PushError};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// Whom assertions are for, wherever they are sent: a proxy in between does not change that.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// Lifetime of an assertion, the longest that is permitted.
const ASSERTION_SECONDS: i64 = 3600;
/// Tokens are renewed so many seconds before they end.
const RENEWAL_SECONDS: i64 = 300;

/// What is needed of the JSON file of a service account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccount {
    project_id: String,
    client_email: String,
    #[serde(default)]
    private_key_id: Option<String>,
    private_key: Secret,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount({}, ***)", self.project_id)
    }
}

impl ServiceAccount {
    /// Reads the JSON file as the Firebase console gives it. Its URLs are ignored.
    pub fn from_json(text: &str) -> Result<Self, KeyError> {
        let problem = KeyError(
            "the text is no JSON file of a service account with `project_id`, `client_email` and `private_key`; \
             the Firebase console makes one under Project settings, Service accounts",
        );
        let account: Self = serde_json::from_str(text).map_err(|_| problem.clone())?;
        let is_id = |text: &str| {
            (1..=100).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':'))
        };
        if !is_id(&account.project_id) || account.signer().is_none() {
            return Err(problem);
        }
        Ok(account)
    }

    /// The project whose devices it reaches.
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    pub(crate) fn signer(&self) -> Option<Signer> {
        Signer::rs256(&read_pem(self.private_key.expose())?)
    }

    /// What tells it from other accounts.
    pub(crate) fn identity(&self) -> String {
        fb_auth::fingerprint(&format!("fcm {} {}", self.client_email, self.private_key.expose()))
    }
}

pub(crate) async fn send(
    (outbound, endpoints): (&Outbound, &Endpoints),
    channel: &Channel,
    account: &ServiceAccount,
    token: &str,
    message: &Message,
    now: Timestamp,
) -> Result<(), PushError> {
    let url = format!("{}/v1/projects/{}/messages:send", endpoints.fcm, account.project_id);
    let mut request = Request::new(Method::POST, url);
    request.body = message.for_fcm(token).to_string().into();
    request
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut is_first = true;
    loop {
        let make = async || fetch_token(outbound, &endpoints.fcm_token, channel, account, now).await;
        let access = channel.token(now, make).await?;
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", access.expose())).map_err(|_| PushError::Misconfigured {
                reason: "Google's token is no text".to_owned(),
            })?;
        bearer.set_sensitive(true);
        request.headers.insert(header::AUTHORIZATION, bearer);
        let answer = channel.send(outbound, request.clone(), now).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        if answer.status == 401 {
            // Withdrawn before its time.
            channel.forget_token(&access).await;
            if std::mem::take(&mut is_first) {
                continue;
            }
        }
        return Err(meaning(&answer, now));
    }
}

/// Source: Firebase, "FCM error codes of the HTTP v1 API".
fn meaning(answer: &Response, now: Timestamp) -> PushError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = &body["error"];
    let details = error["details"].as_array().map_or(&[][..], Vec::as_slice);
    let of_fcm = details
        .iter()
        .map(|detail| code(&detail["errorCode"]))
        .find(|code| !code.is_empty());
    let reason = of_fcm.unwrap_or_else(|| code(&error["status"]));
    match (answer.status.as_u16(), reason) {
        (_, "UNREGISTERED") => PushError::Gone,
        // The token belongs to another project; or there is no such project.
        (_, "SENDER_ID_MISMATCH" | "THIRD_PARTY_AUTH_ERROR") | (404, _) => PushError::Misconfigured {
            reason: format!("status {}, {reason}", answer.status.as_u16()),
        },
        _ => by_status(answer, reason, now),
    }
}

/// An access token for an assertion that the account signs (RFC 7523).
async fn fetch_token(
    outbound: &Outbound,
    url: &str,
    channel: &Channel,
    account: &ServiceAccount,
    now: Timestamp,
) -> Result<Token, PushError> {
    let claims = json!({
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": AUDIENCE,
        "iat": now.seconds(),
        "exp": now.seconds() + ASSERTION_SECONDS,
    });
    let assertion = channel.signer.sign(account.private_key_id.as_deref(), &claims);
    let assertion = assertion.ok_or_else(|| PushError::Later {
        reason: "the operating system gave no randomness".to_owned(),
        retry_after: None,
    })?;
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.expose()),
    ];
    let answer = outbound.post_form(url, &fields).await?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (answer.status.is_success(), body["access_token"].as_str()) {
        (true, Some(text)) => {
            let lifetime = body["expires_in"].as_i64().unwrap_or(ASSERTION_SECONDS);
            Ok(Token {
                text: Secret::new(text),
                use_until: now.seconds() + lifetime - RENEWAL_SECONDS,
            })
        }
        (true, None) => Err(PushError::Misconfigured {
            reason: "Google's answer holds no token".to_owned(),
        }),
        (false, _) => Err(match by_status(&answer, code(&body["error"]), now) {
            PushError::Rejected { reason } | PushError::Misconfigured { reason } => PushError::Misconfigured {
                reason: format!("Google gives no token for the service account: {reason}"),
            },
            later => later,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::service_account;

    #[test]
    fn the_file_of_the_console_is_read_and_never_printed() {
        let text = service_account();
        let account = ServiceAccount::from_json(&text).unwrap();
        assert_eq!(format!("{account:?}"), "ServiceAccount(shop-1, ***)");
        let kept = serde_json::to_string(&account).unwrap();
        assert_eq!(ServiceAccount::from_json(&kept).unwrap(), account);
        let value: Value = serde_json::from_str(&text).unwrap();
        for (member, wrong) in [
            ("project_id", json!("../x")),
            ("project_id", Value::Null),
            (
                "private_key",
                json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
            ),
            ("private_key", json!("canary")),
        ] {
            let mut wrong_value = value.clone();
            wrong_value[member] = wrong;
            let error = ServiceAccount::from_json(&wrong_value.to_string()).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        assert!(ServiceAccount::from_json("AAAAiHTmunA:APA91b").is_err());
    }
}
