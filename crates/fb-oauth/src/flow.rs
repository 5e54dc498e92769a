//! The two steps of a login.

use std::fmt;
use std::sync::Arc;

use fb_auth::{Secret, random_bytes};
use fb_outbound::Outbound;
use fb_types::Timestamp;
use ring::digest;
use serde_json::{Map, Value};

use crate::cache::Cache;
use crate::claims::{Expected, NonceRule, check_claims, same};
use crate::encoding::{is_web_url, to_base64url, with_query};
use crate::error::{Forgery, OAuthError, ProviderFault, garbage};
use crate::issuer::{Issuer, IssuerRule};
use crate::jwt::Unverified;
use crate::pending::Pending;
use crate::presets::Quirk;
use crate::profile::{Person, Profile, github_email, look_up, read_id};
use crate::provider::{ClientSecret, Protocol, Provider};
use crate::settings::{ProviderSettings, TokenAuth};
use crate::wire::{self, Client, Metadata, Tokens};

/// How long a login may take.
const MAX_LOGIN_MS: i64 = 10 * 60 * 1000;
/// Longest code in bytes.
const MAX_CODE: usize = 4096;

/// What logins share: the client for requests, and what issuers publish. One per process; clones share everything.
#[derive(Debug, Clone)]
pub struct OAuth {
    outbound: Outbound,
    cache: Arc<Cache>,
}

/// Logins at one provider of one app.
#[derive(Debug)]
pub struct Flow {
    name: String,
    provider: Provider,
    shared: OAuth,
}

/// A login that has begun.
#[derive(Clone)]
pub struct Started {
    /// Where the browser is to be sent. It contains the state and the nonce.
    pub authorize_url: String,
    /// What has to be kept until the browser returns.
    pub pending: Pending,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL has the state in it.
        write!(f, "Started({:?})", self.pending)
    }
}

/// An OpenID Connect provider, discovered.
struct Discovered {
    address: String,
    metadata: Arc<Metadata>,
    rule: IssuerRule,
}

impl OAuth {
    /// Logins that make their requests with `outbound`.
    pub fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            cache: Arc::new(Cache::default()),
        }
    }

    /// Logins at the provider that the app calls `name`. [`OAuthError::Config`] as in [`ProviderSettings::validate`]; no
    /// request is made.
    pub fn flow(&self, name: &str, settings: &ProviderSettings) -> Result<Flow, OAuthError> {
        Ok(Flow {
            name: name.to_owned(),
            provider: Provider::new(settings)?,
            shared: self.clone(),
        })
    }
}

impl Flow {
    /// Begins a login that ends at `redirect_uri`. Costs one request to an OpenID Connect provider that was not asked
    /// within the hour, and none otherwise.
    pub async fn begin(&self, redirect_uri: &str, now: Timestamp) -> Result<Started, OAuthError> {
        if !is_web_url(redirect_uri) {
            return Err(OAuthError::Config(
                "the redirect URI is no absolute http(s) URL".to_owned(),
            ));
        }
        let provider = &self.provider;
        let authorize_url = match &provider.protocol {
            Protocol::OpenId(issuer) => self
                .discover(issuer, now)
                .await?
                .metadata
                .authorization_endpoint
                .clone(),
            Protocol::Plain { authorize_url, .. } => authorize_url.clone(),
        };
        let state = random_text()?;
        let nonce = (provider.is_openid() && provider.has_nonce)
            .then(random_text)
            .transpose()?;
        let verifier = provider.has_pkce.then(random_text).transpose()?;
        let challenge = verifier.as_deref().map(challenge_of);

        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", provider.client_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("state", state.as_str()),
        ];
        if !provider.scope.is_empty() {
            parameters.push(("scope", &provider.scope));
        }
        if let Some(nonce) = &nonce {
            parameters.push(("nonce", nonce));
        }
        if let Some(challenge) = &challenge {
            parameters.extend([
                ("code_challenge", challenge.as_str()),
                ("code_challenge_method", "S256"),
            ]);
        }
        if provider.quirk == Quirk::AppleSecret {
            parameters.push(("response_mode", "query"));
        }
        Ok(Started {
            authorize_url: with_query(&authorize_url, &parameters),
            pending: Pending {
                provider: self.name.clone(),
                state,
                nonce,
                verifier,
                redirect_uri: redirect_uri.to_owned(),
                created_at: now,
                expires_at: Timestamp::from_millis(now.millis() + MAX_LOGIN_MS),
            },
        })
    }

    /// Ends a login: `state`, `code` and `iss_param` are what the browser came back with (`iss` is RFC 9207). The caller
    /// took `pending` out of its store, so that nobody else can end the same login. Costs one to four requests.
    pub async fn finish(
        &self,
        pending: &Pending,
        state: &str,
        code: &str,
        iss_param: Option<&str>,
        now: Timestamp,
    ) -> Result<Profile, OAuthError> {
        if !same(&pending.state, state) || pending.state.is_empty() {
            return Err(Forgery::State.into());
        }
        if pending.provider != self.name {
            return Err(Forgery::OtherProvider.into());
        }
        if now >= pending.expires_at || now < pending.created_at {
            return Err(Forgery::LoginExpired.into());
        }
        // A pending login without what this provider binds codes with comes from other settings.
        let lacks_verifier = self.provider.has_pkce && pending.verifier.is_none();
        let lacks_nonce = self.provider.is_openid() && self.provider.has_nonce && pending.nonce.is_none();
        if lacks_verifier || lacks_nonce {
            return Err(Forgery::OtherProvider.into());
        }
        let nonce = match &pending.nonce {
            Some(nonce) => NonceRule::Exactly(nonce),
            None => NonceRule::Absent,
        };
        let callback = Callback {
            code,
            redirect_uri: &pending.redirect_uri,
            verifier: pending.verifier.as_deref(),
            nonce,
            iss_param,
        };
        self.finish_callback(&callback, now).await
    }

    /// Ends a login that a client started by itself, with a URL that it built: nothing ties the code to the browser, so
    /// that an attacker who gets hold of a code can use it, and can slip his own to a victim. Whether that is permitted
    /// is the caller's decision. Everything else is checked as in [`finish`](Self::finish).
    ///
    /// A client without a secret cannot do this: without PKCE nothing at all would prove who exchanges the code.
    pub async fn finish_client_started(
        &self,
        code: &str,
        redirect_uri: &str,
        iss_param: Option<&str>,
        now: Timestamp,
    ) -> Result<Profile, OAuthError> {
        if matches!(self.provider.client, ClientSecret::Public) {
            let problem = "a login that the client starts needs a `clientSecret`";
            return Err(OAuthError::Config(problem.to_owned()));
        }
        let callback = Callback {
            code,
            redirect_uri,
            verifier: None,
            nonce: NonceRule::Any,
            iss_param,
        };
        self.finish_callback(&callback, now).await
    }

    async fn finish_callback(&self, callback: &Callback<'_>, now: Timestamp) -> Result<Profile, OAuthError> {
        let is_code = |b: u8| b.is_ascii_graphic() || b == b' ';
        if !(1..=MAX_CODE).contains(&callback.code.len()) || !callback.code.bytes().all(is_code) {
            return Err(Forgery::Code.into());
        }
        match &self.provider.protocol {
            Protocol::OpenId(issuer) => self.finish_openid(issuer, callback, now).await,
            Protocol::Plain {
                token_url,
                user_info_url,
                callback_issuer,
                ..
            } => {
                // Without a known issuer there is nothing to compare; then the redirect URI of its own is what keeps
                // providers apart.
                if let (Some(expected), Some(named)) = (callback_issuer, callback.iss_param)
                    && *expected != named
                {
                    return Err(Forgery::CallbackIssuer.into());
                }
                self.finish_plain(token_url, user_info_url, callback, now).await
            }
        }
    }

    async fn finish_openid(
        &self,
        issuer: &Issuer,
        callback: &Callback<'_>,
        now: Timestamp,
    ) -> Result<Profile, OAuthError> {
        const DURING: &str = "exchanging the code";
        let discovered = self.discover(issuer, now).await?;
        let metadata = &discovered.metadata;
        // Before the code is sent anywhere: in a mix-up it is another provider's.
        let is_from_issuer = match callback.iss_param {
            Some(named) => discovered.rule.admits(named),
            None => !metadata.authorization_response_iss_parameter_supported,
        };
        if !is_from_issuer {
            return Err(Forgery::CallbackIssuer.into());
        }
        let auth = self.provider.token_auth.unwrap_or_else(|| metadata.token_auth());
        let tokens = self
            .exchange(&metadata.token_endpoint, auth, &metadata.issuer, callback, now)
            .await?;
        let id_token = tokens.id_token.as_ref().filter(|token| !token.expose().is_empty());
        let id_token = id_token.ok_or_else(|| garbage(DURING, "the answer has no id token"))?;
        let (subject, mut claims) = self
            .check_id_token(&discovered, id_token, &tokens.access_token, callback.nonce, now)
            .await?;
        let issued_by = claims.get("iss").and_then(Value::as_str);
        if callback.iss_param.is_some_and(|named| Some(named) != issued_by) {
            return Err(Forgery::CallbackIssuer.into());
        }
        let user_info = self.user_info(&discovered, &claims, &subject, &tokens).await?;
        let person = Person::find(&self.provider, &[&claims, &user_info]);
        for (name, value) in user_info {
            claims.entry(name).or_insert(value);
        }
        Ok(self.profile(subject, person, claims, tokens))
    }

    async fn check_id_token(
        &self,
        discovered: &Discovered,
        id_token: &Secret,
        access_token: &Secret,
        nonce: NonceRule<'_>,
        now: Timestamp,
    ) -> Result<(String, Map<String, Value>), OAuthError> {
        let token = Unverified::read(id_token.expose())?;
        let algorithm = token.algorithm;
        let (outbound, cache) = (&self.shared.outbound, &self.shared.cache);
        let key = cache
            .key(
                outbound,
                &discovered.address,
                &discovered.metadata,
                &token.key_id,
                algorithm,
                now,
            )
            .await?
            .ok_or(Forgery::Key)?;
        let claims = token.verify(&key)?;
        let expected = Expected {
            issuer: &discovered.rule,
            client_id: &self.provider.client_id,
            nonce,
            access_token: access_token.expose(),
            now,
        };
        let subject = check_claims(&claims, algorithm, &expected)?;
        let issued_by = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        if !discovered.rule.key_fits(key.issuer.as_deref(), issued_by) {
            return Err(Forgery::Key.into());
        }
        Ok((subject, claims))
    }

    /// User info, if the id token has no address although one was asked for; empty otherwise.
    async fn user_info(
        &self,
        discovered: &Discovered,
        claims: &Map<String, Value>,
        subject: &str,
        tokens: &Tokens,
    ) -> Result<Map<String, Value>, OAuthError> {
        const DURING: &str = "telling the profile";
        let place = self.provider.places.email.as_deref();
        let has_email = place.is_some_and(|place| look_up(claims, place).is_some());
        let Some(url) = &discovered.metadata.userinfo_endpoint else {
            return Ok(Map::new());
        };
        if has_email || !self.provider.wants_email() {
            return Ok(Map::new());
        }
        let info = wire::get_json(&self.shared.outbound, url, Some(&tokens.access_token), DURING).await?;
        let Value::Object(info) = info else {
            return Err(garbage(DURING, "the profile is no JSON object"));
        };
        // OpenID Connect Core, section 5.3.4: or else it is somebody else's.
        if info.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(Forgery::Subject.into());
        }
        Ok(info)
    }

    async fn finish_plain(
        &self,
        token_url: &str,
        user_info_url: &str,
        callback: &Callback<'_>,
        now: Timestamp,
    ) -> Result<Profile, OAuthError> {
        const DURING: &str = "telling the profile";
        let outbound = &self.shared.outbound;
        let auth = self.provider.token_auth.unwrap_or(TokenAuth::Basic);
        let tokens = self.exchange(token_url, auth, token_url, callback, now).await?;
        let profile = wire::get_json(outbound, user_info_url, Some(&tokens.access_token), DURING).await?;
        let Value::Object(profile) = profile else {
            return Err(garbage(DURING, "the profile is no JSON object"));
        };
        let subject = look_up(&profile, &self.provider.places.id).and_then(read_id);
        let subject = subject.ok_or_else(|| garbage(DURING, "the profile has no id of the user"))?;
        let mut person = Person::find(&self.provider, &[&profile]);
        if self.provider.quirk == Quirk::GithubEmails && person.email.is_none() {
            person.email = self.github_email(user_info_url, &tokens.access_token).await?;
            person.email_verified = person.email.is_some();
        }
        Ok(self.profile(subject, person, profile, tokens))
    }

    /// GitHub's list of addresses. An app without the right to read it gets no address, but a login.
    async fn github_email(&self, user_info_url: &str, access_token: &Secret) -> Result<Option<String>, OAuthError> {
        let url = format!("{}/emails", user_info_url.trim_end_matches('/'));
        let during = "telling the addresses";
        match wire::get_json(&self.shared.outbound, &url, Some(access_token), during).await {
            Ok(list) => Ok(github_email(&list)),
            Err(OAuthError::Provider {
                fault: ProviderFault::Status(403 | 404),
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn exchange(
        &self,
        token_url: &str,
        auth: TokenAuth,
        audience: &str,
        callback: &Callback<'_>,
        now: Timestamp,
    ) -> Result<Tokens, OAuthError> {
        let provider = &self.provider;
        let secret = match &provider.client {
            ClientSecret::Public => None,
            ClientSecret::Fixed(secret) => Some(secret.clone()),
            ClientSecret::Apple(signer) => {
                let signed = signer.sign(&provider.client_id, audience, now);
                Some(signed.ok_or_else(|| OAuthError::Config("the client secret cannot be signed".to_owned()))?)
            }
        };
        let client = Client {
            id: &provider.client_id,
            secret: secret.as_ref(),
            auth,
        };
        let outbound = &self.shared.outbound;
        wire::exchange_code(
            outbound,
            token_url,
            &client,
            callback.code,
            callback.redirect_uri,
            callback.verifier,
        )
        .await
    }

    async fn discover(&self, issuer: &Issuer, now: Timestamp) -> Result<Discovered, OAuthError> {
        let address = issuer.address();
        let metadata = self.shared.cache.metadata(&self.shared.outbound, &address, now).await?;
        let Some(rule) = issuer.rule_for(&metadata.issuer) else {
            // So that the next login sees when it is put right.
            self.shared.cache.forget(&address);
            let what = "the discovery document names another issuer";
            return Err(garbage("telling its configuration", what));
        };
        Ok(Discovered {
            address,
            metadata,
            rule,
        })
    }

    fn profile(&self, subject: String, person: Person, claims: Map<String, Value>, tokens: Tokens) -> Profile {
        Profile {
            provider: self.name.clone(),
            subject,
            email: person.email,
            email_verified: person.email_verified,
            name: person.name,
            claims,
            access_token: tokens.access_token,
        }
    }
}

/// What the browser came back with, and what is known of the beginning.
struct Callback<'a> {
    code: &'a str,
    redirect_uri: &'a str,
    verifier: Option<&'a str>,
    nonce: NonceRule<'a>,
    iss_param: Option<&'a str>,
}

/// 256 random bits, 43 characters: long enough for a PKCE verifier (RFC 7636, section 4.1).
fn random_text() -> Result<String, OAuthError> {
    let bytes = random_bytes::<32>().map_err(|error| OAuthError::Config(error.to_string()))?;
    Ok(to_base64url(&bytes))
}

/// Method S256 of RFC 7636, section 4.2.
fn challenge_of(verifier: &str) -> String {
    to_base64url(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_gives_its_challenge() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge_of(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
