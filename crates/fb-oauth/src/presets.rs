//! Providers that are built in, one row each.
//!
//! Sources: the providers' own documentation as of 2026. Adding a provider is adding a row.

use crate::settings::TokenAuth;

/// One provider.
#[derive(Debug)]
pub(crate) struct Preset {
    pub(crate) name: &'static str,
    /// Another name for it.
    pub(crate) alias: Option<&'static str>,
    pub(crate) endpoints: Endpoints,
    pub(crate) scopes: &'static [&'static str],
    pub(crate) places: Places,
    /// Is the code bound with PKCE? Off where the provider refuses the parameters.
    pub(crate) has_pkce: bool,
    /// Does the id token repeat the nonce?
    pub(crate) has_nonce: bool,
    pub(crate) token_auth: Option<TokenAuth>,
    pub(crate) quirk: Quirk,
}

#[derive(Debug)]
pub(crate) enum Endpoints {
    /// OpenID Connect, everything discovered. Without an issuer the settings have to name it.
    OpenId { issuer: Option<&'static str> },
    /// OAuth 2 with a profile. Without addresses the settings have to name them.
    Plain(Option<PlainEndpoints>),
}

#[derive(Debug)]
pub(crate) struct PlainEndpoints {
    pub(crate) authorize: &'static str,
    pub(crate) token: &'static str,
    pub(crate) user_info: &'static str,
    /// What the provider says in the `iss` parameter of RFC 9207, if it does.
    pub(crate) callback_issuer: Option<&'static str>,
}

/// Where things are in a profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// `None`: the settings have to say it. With OpenID Connect it is always `sub`.
    pub(crate) id: Option<&'static str>,
    pub(crate) email: Option<&'static str>,
    pub(crate) email_verified: Option<&'static str>,
    pub(crate) name: Option<&'static str>,
}

/// What one provider does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    None,
    /// The address is in a list of its own; only the primary one counts, and only if it is verified.
    GithubEmails,
    /// The issuer has the tenant in it.
    MicrosoftTenant,
    /// The client secret is signed anew each time; `email_verified` may be a text.
    AppleSecret,
}

const OPENID: Places = Places {
    id: Some("sub"),
    email: Some("email"),
    email_verified: Some("email_verified"),
    name: Some("name"),
};

const OPENID_SCOPES: &[&str] = &["openid", "email", "profile"];

/// What holds for an OpenID Connect provider without a preset, and the base of the rows below.
pub(crate) static CUSTOM_OPENID: Preset = openid("", None);

/// What holds for an OAuth 2 provider without a preset.
pub(crate) static CUSTOM_PLAIN: Preset = Preset {
    name: "",
    alias: None,
    endpoints: Endpoints::Plain(None),
    scopes: &[],
    places: Places { id: None, ..OPENID },
    has_pkce: true,
    has_nonce: false,
    token_auth: None,
    quirk: Quirk::None,
};

const fn openid(name: &'static str, issuer: Option<&'static str>) -> Preset {
    Preset {
        name,
        alias: None,
        endpoints: Endpoints::OpenId { issuer },
        scopes: OPENID_SCOPES,
        places: OPENID,
        has_pkce: true,
        has_nonce: true,
        token_auth: None,
        quirk: Quirk::None,
    }
}

static PRESETS: &[Preset] = &[
    openid("google", Some("https://accounts.google.com")),
    Preset {
        name: "github",
        alias: None,
        endpoints: Endpoints::Plain(Some(PlainEndpoints {
            authorize: "https://github.com/login/oauth/authorize",
            token: "https://github.com/login/oauth/access_token",
            user_info: "https://api.github.com/user",
            callback_issuer: Some("https://github.com/login/oauth"),
        })),
        scopes: &["read:user", "user:email"],
        places: Places {
            id: Some("id"),
            // The profile has a public address that anybody can set; the list of `GithubEmails` has the verified one.
            email: None,
            email_verified: None,
            name: Some("name"),
        },
        has_pkce: true,
        has_nonce: false,
        token_auth: Some(TokenAuth::Post),
        quirk: Quirk::GithubEmails,
    },
    Preset {
        name: "facebook",
        alias: None,
        endpoints: Endpoints::Plain(Some(PlainEndpoints {
            authorize: "https://www.facebook.com/v23.0/dialog/oauth",
            token: "https://graph.facebook.com/v23.0/oauth/access_token",
            user_info: "https://graph.facebook.com/v23.0/me?fields=id,name,email",
            callback_issuer: None,
        })),
        scopes: &["public_profile", "email"],
        places: Places {
            id: Some("id"),
            email: Some("email"),
            // Facebook does not say whether an address is verified.
            email_verified: None,
            name: Some("name"),
        },
        has_pkce: true,
        has_nonce: false,
        token_auth: Some(TokenAuth::Post),
        quirk: Quirk::None,
    },
    Preset {
        // The token endpoint answers `invalid_client` to a `code_verifier`, and the id token has no nonce: the state
        // alone binds the code to the login.
        has_pkce: false,
        has_nonce: false,
        token_auth: Some(TokenAuth::Post),
        ..openid("linkedin", Some("https://www.linkedin.com/oauth"))
    },
    Preset {
        name: "x",
        alias: Some("twitter"),
        endpoints: Endpoints::Plain(Some(PlainEndpoints {
            authorize: "https://x.com/i/oauth2/authorize",
            token: "https://api.x.com/2/oauth2/token",
            user_info: "https://api.x.com/2/users/me",
            callback_issuer: None,
        })),
        // Both are needed to read one's own profile. Addresses take the scope `users.email` and an app that may ask for it.
        scopes: &["users.read", "tweet.read"],
        places: Places {
            id: Some("data.id"),
            email: None,
            email_verified: None,
            name: Some("data.name"),
        },
        has_pkce: true,
        has_nonce: false,
        token_auth: Some(TokenAuth::Basic),
        quirk: Quirk::None,
    },
    Preset {
        // `email` may be set by any directory's administrator and there is no `email_verified`, so that addresses stay
        // unverified unless the operator trusts one tenant.
        token_auth: Some(TokenAuth::Post),
        quirk: Quirk::MicrosoftTenant,
        ..openid("microsoft", Some("https://login.microsoftonline.com/{tenant}/v2.0"))
    },
    Preset {
        // With the scopes `name` or `email` Apple answers with a form post only; without any it uses the query, and the
        // profile is the subject alone.
        scopes: &[],
        has_pkce: false,
        token_auth: Some(TokenAuth::Post),
        quirk: Quirk::AppleSecret,
        ..openid("apple", Some("https://appleid.apple.com"))
    },
    openid("gitlab", Some("https://gitlab.com")),
    openid("salesforce", Some("https://login.salesforce.com")),
];

/// The names of the built-in providers.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|preset| preset.name)
}

/// The built-in provider of that name.
pub(crate) fn find_preset(name: &str) -> Option<&'static Preset> {
    PRESETS
        .iter()
        .find(|preset| preset.name == name || preset.alias == Some(name))
}
