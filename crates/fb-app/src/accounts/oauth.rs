//! Login through other providers: which user somebody is who proved an identity elsewhere.

use fb_auth::{Secret, TokenKind, fingerprint};
use fb_mail::is_address;
use fb_oauth::{OAuthError, Pending, Profile, ProviderSettings};
use fb_store::{Batch, Expect, RecordWrite, Refusal, StoreError, Write};
use fb_types::schema::USER;
use fb_types::{ObjectKey, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::credentials::{Changed, record};
use super::register::{IDENTITIES, identity, identity_key};
use super::{Account, Credentials, Draft, Source};
use crate::{App, AppError, Registration};

const LOGINS: &str = "oauth";
/// Longest text that a client may send along to get back.
const MAX_CLIENT_STATE: usize = 2000;

/// What the client that begins a login wants in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthWish {
    /// Where the browser is to go with the token; `None` is the page that hands it to the window that waits.
    pub redirect: Option<String>,
    /// False for the short session of a shared computer.
    pub short: bool,
}

/// What a browser brings back from a provider.
#[derive(Debug, Clone, Default)]
pub struct OAuthCallback {
    /// The login's state.
    pub state: String,
    /// The provider's code.
    pub code: Option<String>,
    /// The provider's name for itself (RFC 9207).
    pub iss: Option<String>,
    /// The provider's error, and its description.
    pub error: Option<(String, Option<String>)>,
    /// The secret that binds the login to one browser.
    pub browser: Option<String>,
}

/// How a login through a provider ended.
#[derive(Debug)]
pub struct OAuthEnd {
    /// What was wished for when it began.
    pub wish: OAuthWish,
    /// The account, or why there is none.
    pub result: Result<Account, AppError>,
}

/// A login that has begun, as it is kept.
#[derive(Serialize, Deserialize)]
struct Login {
    pending: Pending,
    wish: OAuthWish,
    /// Fingerprint of the browser's secret.
    browser: String,
}

impl App {
    /// Begins a login: where the browser is to be sent. `browser` is a secret that it keeps until it comes back.
    pub async fn begin_oauth(
        &self,
        source: &Source,
        provider: &str,
        wish: OAuthWish,
        browser: &Secret,
    ) -> Result<String, AppError> {
        self.count_request(source)?;
        self.check_redirect(&wish)?;
        let settings = self.provider(provider)?;
        let flow = self.shared().oauth.flow(provider, &settings)?;
        let started = flow
            .begin(&self.oauth_redirect_uri(provider)?, self.clock().now())
            .await?;
        let key = fingerprint(started.pending.state());
        let expires_at = started.pending.expires_at();
        let login = Login {
            pending: started.pending,
            wish,
            browser: fingerprint(browser.expose()),
        };
        let text = serde_json::to_string(&login).map_err(|e| AppError::internal("writing a login", e))?;
        let sealed = self.shared().sealer.seal(&self.login_place(&key), &Secret::new(text));
        let sealed = sealed.map_err(|e| AppError::internal("sealing a secret", e))?;
        let write = RecordWrite {
            space: LOGINS,
            key,
            expect: Expect::Absent,
            value: Some(sealed.into_bytes()),
            expires_at: Some(expires_at),
        };
        let writes = vec![Write::Record(write)];
        self.store().commit(Batch { writes }).await?;
        Ok(started.authorize_url)
    }

    /// Ends a login. The outer error is for requests that belong to no login of this app.
    pub async fn end_oauth(
        &self,
        source: &Source,
        provider: &str,
        callback: &OAuthCallback,
    ) -> Result<OAuthEnd, AppError> {
        self.count_request(source)?;
        let settings = self.provider(provider)?;
        let now = self.clock().now();
        if let Some(login) = self.take_login(callback).await? {
            let result = self.finish_login(provider, &settings, &login, callback, now).await;
            return Ok(OAuthEnd {
                wish: login.wish,
                result,
            });
        }
        // The published clients build the provider's URL themselves. Nothing ties such a login to the browser that began
        // it, so the app has to permit it.
        if !self.settings().oauth.client_started {
            return Err(AppError::OAuth(OAuthError::Forged(fb_oauth::Forgery::State)));
        }
        let wish = client_wish(&callback.state);
        self.check_redirect(&wish)?;
        let result = async {
            let code = callback_code(callback)?;
            let flow = self.shared().oauth.flow(provider, &settings)?;
            let uri = self.oauth_redirect_uri(provider)?;
            let profile = flow
                .finish_client_started(code, &uri, callback.iss.as_deref(), now)
                .await?;
            self.account_of_profile(&profile, !wish.short).await
        };
        let result = result.await;
        Ok(OAuthEnd { wish, result })
    }

    async fn finish_login(
        &self,
        provider: &str,
        settings: &ProviderSettings,
        login: &Login,
        callback: &OAuthCallback,
        now: Timestamp,
    ) -> Result<Account, AppError> {
        let code = callback_code(callback)?;
        let flow = self.shared().oauth.flow(provider, settings)?;
        let profile = flow
            .finish(&login.pending, &callback.state, code, callback.iss.as_deref(), now)
            .await?;
        self.account_of_profile(&profile, !login.wish.short).await
    }

    /// Takes the login of a state out of the store, if this is the browser that began it: each is used once.
    async fn take_login(&self, callback: &OAuthCallback) -> Result<Option<Login>, AppError> {
        let key = fingerprint(&callback.state);
        let Some(stored) = self.store().record(LOGINS, &key).await? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&stored).map_err(|e| AppError::internal("reading a login", e))?;
        let Ok(opened) = self.shared().sealer.open(&self.login_place(&key), text) else {
            return Ok(None);
        };
        let login: Login =
            serde_json::from_str(opened.expose()).map_err(|e| AppError::internal("reading a login", e))?;
        let browser = callback.browser.as_deref().map(fingerprint);
        if browser.as_deref() != Some(&*login.browser) {
            return Err(AppError::OAuth(OAuthError::Forged(fb_oauth::Forgery::State)));
        }
        let writes = vec![record(LOGINS, &key, Expect::Value(stored), None)];
        match self.store().commit(Batch { writes }).await {
            Ok(_) => Ok(Some(login)),
            Err(StoreError::Refused {
                refusal: Refusal::Record { .. },
                ..
            }) => Err(AppError::OAuth(OAuthError::Forged(fb_oauth::Forgery::State))),
            Err(error) => Err(error.into()),
        }
    }

    /// The account of whoever proved to be this at a provider: the one that logged in this way before; else the one with
    /// the same address, if both sides have verified it; else a new one.
    async fn account_of_profile(&self, profile: &Profile, long: bool) -> Result<Account, AppError> {
        let identity = identity_key(&profile.provider, &profile.subject);
        for _ in 0..3 {
            if let Some(key) = self.user_of_identity(&identity).await? {
                return self.session_of(&key, long).await;
            }
            let linked = match self.user_to_link(profile).await? {
                Some(key) => self.link(&key, &identity).await,
                None => self.create_from(profile, &identity).await,
            };
            match linked {
                Ok(key) => return self.session_of(&key, long).await,
                // Somebody was faster; look again.
                Err(AppError::Contended | AppError::NameTaken | AppError::BadToken) => {}
                Err(error) => return Err(error),
            }
        }
        Err(AppError::Contended)
    }

    async fn user_of_identity(&self, identity: &str) -> Result<Option<ObjectKey>, AppError> {
        let key = self.store().record(IDENTITIES, identity).await?;
        let key = key.and_then(|key| String::from_utf8(key).ok());
        Ok(key.and_then(|key| ObjectKey::from_encoded(&key).ok()))
    }

    /// A session, as after a password: not for deactivated accounts, and a second factor is asked for.
    async fn session_of(&self, key: &ObjectKey, long: bool) -> Result<Account, AppError> {
        let user = self.user(key).await?.ok_or(AppError::BadCredentials)?;
        if super::is_inactive(&user) {
            return Err(AppError::BadCredentials);
        }
        let credentials = self.credentials(key).await?.unwrap_or_default();
        if credentials.needs_factor() {
            let token = self.issue(key, TokenKind::SecondFactor { long }, credentials.epoch)?;
            return Err(AppError::SecondFactorRequired { token });
        }
        self.account_with_token(key, credentials.epoch, long).await
    }

    /// An account with the same address. Only if the provider has verified it and so have we: otherwise whoever was
    /// first to claim the address, here or there, would get into the other's account.
    async fn user_to_link(&self, profile: &Profile) -> Result<Option<ObjectKey>, AppError> {
        let Some(email) = verified_address(profile) else {
            return Ok(None);
        };
        let Some(key) = self.user_by_name(email).await? else {
            return Ok(None);
        };
        let credentials = self.credentials(&key).await?.unwrap_or_default();
        if credentials.verified {
            Ok(Some(key))
        } else {
            Err(AppError::AddressTaken)
        }
    }

    async fn link(&self, key: &ObjectKey, identity_key: &str) -> Result<ObjectKey, AppError> {
        let link = |credentials: &mut Credentials| {
            if !credentials.verified {
                return Err(AppError::AddressTaken);
            }
            credentials.identities.push(identity_key.to_owned());
            Ok(Changed {
                result: (),
                also: vec![identity(identity_key, key)],
            })
        };
        self.change_credentials(key, link).await?;
        Ok(key.clone())
    }

    async fn create_from(&self, profile: &Profile, identity: &str) -> Result<ObjectKey, AppError> {
        if self.settings().registration == Registration::Closed {
            return Err(AppError::RegistrationClosed);
        }
        let address = verified_address(profile);
        let mut fields = Map::new();
        let schema = self.schema();
        let class = self.entity(&schema, USER)?;
        let said = [("email", address), ("name", profile.name.as_deref())];
        for (name, value) in said {
            let takes = class.field(name).is_some_and(|f| f.ty().to_string() == "/db/String");
            if let (true, Some(value)) = (takes, value) {
                fields.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        }
        let draft = Draft {
            username: match address {
                Some(address) => address.to_owned(),
                // An address that nobody has verified must not take the name from its owner.
                None => uuid::Uuid::new_v4().to_string(),
            },
            hash: None,
            fields,
            inactive: false,
            verified: address.is_some(),
            identities: vec![identity.to_owned()],
            by: fb_auth::Principal::anonymous(),
            prepared: std::sync::Mutex::default(),
        };
        let (id, _) = self.create_user(&draft, Vec::new).await?;
        Ok(id.key().clone())
    }

    fn provider(&self, name: &str) -> Result<ProviderSettings, AppError> {
        let settings = self.settings();
        settings
            .oauth
            .provider(name)
            .ok_or_else(|| AppError::NoProvider(name.chars().take(80).collect()))
    }

    /// Where providers send browsers back to: a configured address, never one that a request claims.
    fn oauth_redirect_uri(&self, provider: &str) -> Result<String, AppError> {
        let settings = self.settings();
        let base = settings.public_url.as_deref().ok_or_else(|| {
            AppError::Invalid("settings: publicUrl is needed before providers can send users back".into())
        })?;
        Ok(format!("{}/db/User/OAuth/{provider}", base.trim_end_matches('/')))
    }

    /// Tokens are handed to pages of the app alone.
    fn check_redirect(&self, wish: &OAuthWish) -> Result<(), AppError> {
        let Some(url) = &wish.redirect else { return Ok(()) };
        let settings = self.settings();
        let origin = crate::settings::origin_of(url);
        let own = settings.public_url.as_deref().and_then(crate::settings::origin_of);
        let is_known = |origin: &str| {
            own.as_deref() == Some(origin) || settings.oauth.authorized_domains.iter().any(|known| known == origin)
        };
        if origin.is_some_and(|origin| is_known(&origin)) {
            return Ok(());
        }
        Err(AppError::Invalid(
            "the page to return to is not one of the app's; an administrator can add its origin to oauth.authorizedDomains"
                .into(),
        ))
    }

    fn login_place(&self, key: &str) -> String {
        format!("{} login {key}", self.id())
    }

    /// What a client sent as `state` when it began a login itself.
    pub fn oauth_wish(state: &str) -> OAuthWish {
        client_wish(state)
    }
}

fn verified_address(profile: &Profile) -> Option<&str> {
    let email = profile.email.as_deref().filter(|email| is_address(email))?;
    profile.email_verified.then_some(email)
}

fn callback_code(callback: &OAuthCallback) -> Result<&str, AppError> {
    if let Some((error, description)) = &callback.error {
        return Err(OAuthError::denied(error, description.as_deref()).into());
    }
    let code = callback.code.as_deref();
    code.ok_or_else(|| AppError::OAuth(OAuthError::Forged(fb_oauth::Forgery::Code)))
}

/// Clients send a JSON object with `redirect` and `loginOption`; anything else wishes for nothing.
fn client_wish(state: &str) -> OAuthWish {
    if state.len() > MAX_CLIENT_STATE {
        return OAuthWish::default();
    }
    let state: Value = serde_json::from_str(state).unwrap_or_default();
    OAuthWish {
        redirect: state["redirect"].as_str().map(str::to_owned),
        short: state["loginOption"] == Value::Bool(false),
    }
}
