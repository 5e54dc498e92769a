//! A login that has begun.

use std::fmt;

use fb_types::Timestamp;
use serde::{Deserialize, Serialize};

/// What has to be kept between the two steps of a login, for ten minutes and one use. It holds secrets, so that it stays
/// on the server; as JSON it is smaller than 1 KiB plus the redirect URI.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    pub(crate) provider: String,
    pub(crate) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verifier: Option<String>,
    pub(crate) redirect_uri: String,
    #[serde(with = "moment")]
    pub(crate) created_at: Timestamp,
    #[serde(with = "moment")]
    pub(crate) expires_at: Timestamp,
}

impl Pending {
    /// The provider's name in the app.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The state that comes back with the browser: 256 random bits, 43 characters of `A-Za-z0-9_-`.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Where the provider sends the browser.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// When it began.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it is of no use any more.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({}, until {}, ***)", self.provider, self.expires_at)
    }
}

mod moment {
    use fb_types::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(moment)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
