//! Links in mails: single-use, and bound to a purpose, a user and (because they are kept in its store) an app. A user has
//! at most one link per purpose; a new one replaces the old one.

use fb_auth::{Secret, decode_hex, encode_hex, fingerprint};
use fb_types::{ObjectKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::Credentials;
use crate::{App, AppError};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LinkPurpose {
    /// Choosing a new password.
    Reset,
    /// Proving that the address is the user's own.
    Verify,
    /// Proving that the new address is.
    ChangeUsername,
}

impl LinkPurpose {
    /// How long a link is good for, in seconds.
    pub(crate) fn seconds(self) -> i64 {
        match self {
            Self::Reset => 3600,
            Self::Verify | Self::ChangeUsername => 2 * 24 * 3600,
        }
    }
}

/// A link that was not used yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    purpose: LinkPurpose,
    fingerprint: String,
    /// Unix second.
    expires_at: i64,
    /// The name to change to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
}

impl Link {
    pub(crate) fn is_for(&self, purpose: LinkPurpose) -> bool {
        self.purpose == purpose
    }
}

impl Credentials {
    pub(crate) fn forget_link(&mut self, purpose: LinkPurpose) {
        self.links.retain(|link| !link.is_for(purpose));
    }

    /// Makes a link and gives its token.
    pub(crate) fn new_link(
        &mut self,
        purpose: LinkPurpose,
        user: &ObjectKey,
        secret: &Secret,
        now: Timestamp,
        username: Option<String>,
    ) -> Secret {
        self.forget_link(purpose);
        self.links.push(Link {
            purpose,
            fingerprint: fingerprint(secret.expose()),
            expires_at: now.seconds() + purpose.seconds(),
            username,
        });
        let user = encode_hex(user.as_str().as_bytes());
        Secret::new(format!("{user}.{}", secret.expose()))
    }

    /// Uses up the link of this purpose and secret; fails if there is none.
    pub(crate) fn use_link(&mut self, purpose: LinkPurpose, secret: &str, now: Timestamp) -> Result<Link, AppError> {
        let print = fingerprint(secret);
        let found = self
            .links
            .iter()
            .position(|link| link.purpose == purpose && link.fingerprint == print && now.seconds() < link.expires_at);
        found.map(|i| self.links.remove(i)).ok_or(AppError::BadLink)
    }
}

impl App {
    /// The user a link's token speaks of, and the token's secret.
    pub(crate) fn read_link(token: &str) -> Result<(ObjectKey, &str), AppError> {
        let parts = token.split_once('.').and_then(|(user, secret)| {
            let user = String::from_utf8(decode_hex(user)?).ok()?;
            Some((ObjectKey::from_encoded(&user).ok()?, secret))
        });
        parts.ok_or(AppError::BadLink)
    }

    pub(crate) fn random_secret() -> Result<Secret, AppError> {
        Secret::random().map_err(|e| AppError::internal("making a secret", e))
    }
}
