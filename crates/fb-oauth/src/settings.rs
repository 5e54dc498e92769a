//! What is configured for a provider.
//!
//! JSON, all members but `clientId` optional, unknown ones refused:
//!
//! ```json
//! { "preset": "google", "clientId": "…", "clientSecret": "…" }
//! { "issuer": "https://idp.example", "clientId": "…", "clientSecret": "…", "scopes": ["openid", "email"] }
//! { "preset": "microsoft", "tenant": "contoso.onmicrosoft.com", "clientId": "…", "clientSecret": "…" }
//! { "preset": "apple", "clientId": "…", "apple": { "teamId": "…", "keyId": "…", "privateKey": "-----BEGIN …" } }
//! { "authorizeUrl": "…", "tokenUrl": "…", "userInfoUrl": "…", "mapping": { "id": "user.id" }, "clientId": "…" }
//! ```

use fb_auth::Secret;
use serde::{Deserialize, Serialize};

use crate::OAuthError;
use crate::provider::Provider;

/// The settings of one provider of an app. Secrets are written out when it is serialized, for storage; they print as
/// `***`, and [`without_secrets`](Self::without_secrets) is for showing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderSettings {
    /// A provider whose addresses, scopes and quirks are built in; see [`preset_names`](crate::preset_names).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The client id that the provider gave.
    pub client_id: String,
    /// The client secret that the provider gave. A client without one proves itself with PKCE alone.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret_text")]
    pub client_secret: Option<Secret>,
    /// The issuer of an OpenID Connect provider; everything else is discovered from it. Microsoft's is a template with
    /// `{tenant}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Scopes instead of the preset's. With OpenID Connect `openid` is always asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Plain OAuth 2: where the browser is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize_url: Option<String>,
    /// Plain OAuth 2: where codes are exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Plain OAuth 2: where the profile is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_info_url: Option<String>,
    /// Where things are in the profile, instead of the preset's places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    /// The operator vouches for the provider's addresses: every e-mail counts as verified. Whoever runs the provider, or
    /// may set an address there, can then take over accounts with that address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_email: Option<bool>,
    /// Microsoft: a directory's id or domain, `organizations`, `consumers`, or `common` (default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Apple: the key that client secrets are made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apple: Option<AppleKey>,
    /// How the client shows its secret. Without it: what the preset knows or the provider announces, or else `basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_auth: Option<TokenAuth>,
}

/// Places in the profile: names of members, with dots between the levels, such as `data.id`. A member whose own name is
/// the whole text comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mapping {
    /// The id of the user at the provider, a text or a positive whole number. With OpenID Connect it is always `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address is verified; only a literal `true` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<String>,
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Apple's key for client secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppleKey {
    /// The team's id, ten characters.
    pub team_id: String,
    /// The key's id, ten characters.
    pub key_id: String,
    /// The text of the `.p8` file: a P-256 key in PKCS#8 and PEM.
    #[serde(with = "plain_secret")]
    pub private_key: Secret,
}

/// How the client shows its secret at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenAuth {
    /// In the `Authorization` header.
    Basic,
    /// In the body.
    Post,
}

impl ProviderSettings {
    /// Are the settings complete and free of contradictions? Lists everything that is wrong, in [`OAuthError::Config`].
    /// Nothing is requested.
    pub fn validate(&self) -> Result<(), OAuthError> {
        Provider::new(self).map(drop)
    }

    /// The settings with `***` in place of secrets.
    pub fn without_secrets(&self) -> Self {
        let hidden = || Secret::new("***");
        let mut shown = self.clone();
        shown.client_secret = shown.client_secret.map(|_| hidden());
        if let Some(apple) = &mut shown.apple {
            apple.private_key = hidden();
        }
        shown
    }
}

mod plain_secret {
    use fb_auth::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

mod secret_text {
    use fb_auth::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
