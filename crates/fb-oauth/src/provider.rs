//! Settings and preset brought together: everything a flow needs to know, checked once.

use fb_auth::Secret;

use crate::OAuthError;
use crate::apple::AppleSigner;
use crate::encoding::is_web_url;
use crate::issuer::{Issuer, is_any_tenant};
use crate::presets::{CUSTOM_OPENID, CUSTOM_PLAIN, Endpoints, Preset, Quirk, find_preset};
use crate::settings::{ProviderSettings, TokenAuth};

/// A provider as a flow uses it.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) client_id: String,
    pub(crate) client: ClientSecret,
    /// `None`: what the provider announces.
    pub(crate) token_auth: Option<TokenAuth>,
    pub(crate) protocol: Protocol,
    /// Separated by spaces; empty for none.
    pub(crate) scope: String,
    pub(crate) places: OwnedPlaces,
    pub(crate) has_pkce: bool,
    pub(crate) has_nonce: bool,
    pub(crate) trusts_email: bool,
    pub(crate) quirk: Quirk,
}

#[derive(Debug)]
pub(crate) enum Protocol {
    OpenId(Issuer),
    Plain {
        authorize_url: String,
        token_url: String,
        user_info_url: String,
        callback_issuer: Option<&'static str>,
    },
}

/// How the client proves who it is.
#[derive(Debug)]
pub(crate) enum ClientSecret {
    /// Not at all; the code is bound with PKCE.
    Public,
    Fixed(Secret),
    Apple(Box<AppleSigner>),
}

/// Where things are in the profile.
#[derive(Debug)]
pub(crate) struct OwnedPlaces {
    /// Empty with OpenID Connect, where the subject comes from the id token.
    pub(crate) id: String,
    pub(crate) email: Option<String>,
    pub(crate) email_verified: Option<String>,
    pub(crate) name: Option<String>,
}

impl Provider {
    /// Checks `settings`; [`OAuthError::Config`] lists everything that is wrong with them.
    pub(crate) fn new(settings: &ProviderSettings) -> Result<Self, OAuthError> {
        let mut problems = Problems::default();
        let provider = build(settings, &mut problems);
        match provider {
            Some(provider) if problems.0.is_empty() => Ok(provider),
            _ => Err(OAuthError::Config(problems.0.join("; "))),
        }
    }

    /// `openid` is among the scopes, or Apple's silence.
    pub(crate) fn is_openid(&self) -> bool {
        matches!(self.protocol, Protocol::OpenId(_))
    }

    /// Was the address asked for?
    pub(crate) fn wants_email(&self) -> bool {
        self.scope.split(' ').any(|scope| scope == "email")
    }
}

/// What is wrong with settings.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    fn check(&mut self, is_good: bool, problem: &str) {
        if !is_good {
            self.add(problem);
        }
    }

    fn check_url(&mut self, member: &str, url: &str) {
        if !is_web_url(url) {
            self.add(format!(
                "`{member}` is no absolute http(s) URL without user name and fragment"
            ));
        }
    }
}

fn build(settings: &ProviderSettings, problems: &mut Problems) -> Option<Provider> {
    let is_id = |id: &str| (1..=512).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    problems.check(is_id(&settings.client_id), "`clientId` is empty or has spaces");
    let preset = match &settings.preset {
        Some(name) => match find_preset(name) {
            Some(preset) => preset,
            None => {
                let known: Vec<_> = crate::preset_names().collect();
                problems.add(format!("there is no preset `{name}`; there are {}", known.join(", ")));
                return None;
            }
        },
        None if settings.issuer.is_some() => &CUSTOM_OPENID,
        None => &CUSTOM_PLAIN,
    };
    let protocol = match &preset.endpoints {
        Endpoints::OpenId { issuer } => openid(settings, preset, *issuer, problems),
        Endpoints::Plain(_) => plain(settings, preset, problems),
    };
    let places = places(settings, preset, problems);
    let scope = scope(settings, preset, problems);
    let client = client_secret(settings, preset, problems);
    Some(Provider {
        client_id: settings.client_id.clone(),
        client: client?,
        token_auth: settings.token_auth.or(preset.token_auth),
        protocol: protocol?,
        scope,
        places: places?,
        has_pkce: preset.has_pkce,
        has_nonce: preset.has_nonce,
        trusts_email: settings.trust_email == Some(true),
        quirk: preset.quirk,
    })
}

fn openid(
    settings: &ProviderSettings,
    preset: &Preset,
    preset_issuer: Option<&str>,
    problems: &mut Problems,
) -> Option<Protocol> {
    for (member, value) in [
        ("authorizeUrl", &settings.authorize_url),
        ("tokenUrl", &settings.token_url),
        ("userInfoUrl", &settings.user_info_url),
    ] {
        if value.is_some() {
            problems.add(format!("`{member}` is discovered from the issuer and cannot be set"));
        }
    }
    let Some(template) = settings.issuer.as_deref().or(preset_issuer) else {
        problems.add("`issuer` is missing");
        return None;
    };
    let tenant = tenant(settings, preset, template, problems);
    let issuer = Issuer::new(template.to_owned(), tenant);
    problems.check_url("issuer", &issuer.address());
    problems.check(!template.contains('?'), "`issuer` has a query");
    Some(Protocol::OpenId(issuer))
}

fn tenant(settings: &ProviderSettings, preset: &Preset, template: &str, problems: &mut Problems) -> Option<String> {
    if preset.quirk != Quirk::MicrosoftTenant {
        problems.check(settings.tenant.is_none(), "`tenant` is only for the preset `microsoft`");
        return None;
    }
    let tenant = settings.tenant.as_deref().unwrap_or("common");
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    problems.check(
        (1..=253).contains(&tenant.len()) && tenant.bytes().all(is_name) && !tenant.starts_with('.'),
        "`tenant` is no id or domain of a directory",
    );
    problems.check(
        template.matches("{tenant}").count() == 1,
        "`issuer` of the preset `microsoft` has `{tenant}` in it once",
    );
    problems.check(
        settings.trust_email != Some(true) || !is_any_tenant(tenant),
        "`trustEmail` needs one `tenant`: anybody can open a directory and put any address into it",
    );
    Some(tenant.to_owned())
}

fn plain(settings: &ProviderSettings, preset: &Preset, problems: &mut Problems) -> Option<Protocol> {
    problems.check(
        settings.issuer.is_none(),
        "`issuer` is for OpenID Connect; this preset has `authorizeUrl`, `tokenUrl` and `userInfoUrl`",
    );
    problems.check(settings.tenant.is_none(), "`tenant` is only for the preset `microsoft`");
    let built_in = match &preset.endpoints {
        Endpoints::Plain(built_in) => built_in.as_ref(),
        Endpoints::OpenId { .. } => None,
    };
    let mut url = |member: &str, given: &Option<String>, built_in: Option<&str>| match given.as_deref().or(built_in) {
        Some(url) => {
            problems.check_url(member, url);
            Some(url.to_owned())
        }
        None => {
            problems.add(format!("`{member}` is missing; or name a `preset` or an `issuer`"));
            None
        }
    };
    let authorize_url = url("authorizeUrl", &settings.authorize_url, built_in.map(|b| b.authorize));
    let token_url = url("tokenUrl", &settings.token_url, built_in.map(|b| b.token));
    let user_info_url = url("userInfoUrl", &settings.user_info_url, built_in.map(|b| b.user_info));
    // An installation of one's own has another issuer, which nothing tells.
    let callback_issuer = built_in
        .filter(|_| settings.authorize_url.is_none())
        .and_then(|b| b.callback_issuer);
    Some(Protocol::Plain {
        authorize_url: authorize_url?,
        token_url: token_url?,
        user_info_url: user_info_url?,
        callback_issuer,
    })
}

fn places(settings: &ProviderSettings, preset: &Preset, problems: &mut Problems) -> Option<OwnedPlaces> {
    let mapping = settings.mapping.clone().unwrap_or_default();
    for (member, place) in [
        ("id", &mapping.id),
        ("email", &mapping.email),
        ("emailVerified", &mapping.email_verified),
        ("name", &mapping.name),
    ] {
        if place.as_ref().is_some_and(|place| place.split('.').any(str::is_empty)) {
            problems.add(format!("`mapping.{member}` is no path such as `data.id`"));
        }
    }
    let is_openid = matches!(preset.endpoints, Endpoints::OpenId { .. });
    problems.check(
        mapping.id.is_none() || !is_openid,
        "`mapping.id` is only for plain OAuth 2: with OpenID Connect it is `sub`",
    );
    let or = |given: Option<String>, built_in: Option<&str>| given.or(built_in.map(str::to_owned));
    // A place of the preset says nothing about an address that is taken from elsewhere.
    let verified_of_preset = preset.places.email_verified.filter(|_| mapping.email.is_none());
    let Some(id) = or(mapping.id, preset.places.id) else {
        problems.add("`mapping.id` is missing: where is the user's id in the profile?");
        return None;
    };
    Some(OwnedPlaces {
        id,
        email: or(mapping.email, preset.places.email),
        email_verified: or(mapping.email_verified, verified_of_preset),
        name: or(mapping.name, preset.places.name),
    })
}

fn scope(settings: &ProviderSettings, preset: &Preset, problems: &mut Problems) -> String {
    let mut scopes: Vec<&str> = match &settings.scopes {
        Some(scopes) => scopes.iter().map(String::as_str).collect(),
        None => preset.scopes.to_vec(),
    };
    // RFC 6749, section 3.3.
    let is_scope =
        |scope: &&str| !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    problems.check(
        scopes.iter().all(is_scope),
        "`scopes` has an empty one or one with spaces",
    );
    if preset.quirk == Quirk::AppleSecret {
        problems.check(
            scopes.is_empty(),
            "`scopes` cannot be set for Apple: it hands name and address over in a form post only, which is not spoken",
        );
    } else if matches!(preset.endpoints, Endpoints::OpenId { .. }) && !scopes.contains(&"openid") {
        scopes.insert(0, "openid");
    }
    scopes.join(" ")
}

fn client_secret(settings: &ProviderSettings, preset: &Preset, problems: &mut Problems) -> Option<ClientSecret> {
    if preset.quirk == Quirk::AppleSecret {
        problems.check(
            settings.client_secret.is_none(),
            "`clientSecret` is made from `apple` and cannot be set",
        );
        problems.check(settings.token_auth.is_none(), "`tokenAuth` cannot be set for Apple");
        let Some(key) = &settings.apple else {
            problems.add("`apple` is missing: `teamId`, `keyId` and `privateKey`, the text of the .p8 file");
            return None;
        };
        return match AppleSigner::new(key) {
            Ok(signer) => Some(ClientSecret::Apple(Box::new(signer))),
            Err(problem) => {
                problems.add(problem);
                None
            }
        };
    }
    problems.check(settings.apple.is_none(), "`apple` is only for the preset `apple`");
    match &settings.client_secret {
        Some(secret) => {
            problems.check(!secret.expose().trim().is_empty(), "`clientSecret` is empty");
            Some(ClientSecret::Fixed(secret.clone()))
        }
        None => {
            problems.check(
                preset.has_pkce,
                "`clientSecret` is missing: this provider has no clients without",
            );
            problems.check(settings.token_auth.is_none(), "`tokenAuth` needs a `clientSecret`");
            Some(ClientSecret::Public)
        }
    }
}
