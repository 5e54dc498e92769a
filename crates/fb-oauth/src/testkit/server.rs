//! The provider itself: what it knows, and how it answers. HTTP is in `http.rs`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64ct::{Base64, Encoding};
use fb_auth::Secret;
use fb_outbound::{Outbound, OutboundOptions};
use fb_types::{Clock, SystemClock};
use percent_encoding::percent_decode_str;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::http::Listening;
use super::signing::{Keys, SigningAlgorithm, access_token_hash};
use super::{Breakage, Misbehaviour};
use crate::encoding::{from_base64url, to_base64url, with_query};
use crate::settings::{AppleKey, Mapping, ProviderSettings};

/// The client that the provider knows.
pub const CLIENT_ID: &str = "client-1";
/// Its secret, with characters that have to be encoded.
pub const CLIENT_SECRET: &str = "s3cret:+/ ü%";
/// The redirect URI that is registered from the start.
pub const REDIRECT_URI: &str = "https://api.test/v1/db/User/OAuth/idp";

const APPLE_TEAM: &str = "TEAM123456";
/// A throw-away key.
const APPLE_KEY: &str = include_str!("../testdata/apple.p8");

/// A running provider. It stops when it is dropped.
pub struct Idp {
    shared: Arc<Shared>,
    // Stops the server when dropped.
    _listening: Listening,
}

pub(super) struct Shared {
    pub(super) address: SocketAddr,
    /// A short section per request, never held while waiting.
    state: Mutex<State>,
}

struct State {
    wrong: Option<Misbehaviour>,
    broken: HashMap<String, Breakage>,
    redirect_uris: HashSet<String>,
    algorithm: SigningAlgorithm,
    keys: Keys,
    claims: Value,
    is_email_in_user_info: bool,
    tenant: Option<String>,
    is_apple: bool,
    github_profile: Value,
    github_emails: Value,
    codes: HashMap<String, Grant>,
    access_tokens: HashSet<String>,
    n_issued: u32,
    n_requests: HashMap<String, usize>,
}

/// What a code stands for.
struct Grant {
    redirect_uri: String,
    challenge: Option<String>,
    nonce: Option<String>,
    is_openid: bool,
}

/// An answer of the provider.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: String,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Option<Self> {
        Some(Self {
            status,
            location: None,
            body: body.to_string(),
        })
    }

    fn redirect(location: String) -> Option<Self> {
        Some(Self {
            status: 302,
            location: Some(location),
            body: String::new(),
        })
    }
}

impl Idp {
    /// Starts a provider on a free port of loopback, with a thread of its own, so that tests without a runtime can use it.
    ///
    /// # Panics
    /// If no port can be opened.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            address,
            state: Mutex::new(State::new()),
        });
        let listening = Listening::start(listener, Arc::clone(&shared));
        Self {
            shared,
            _listening: listening,
        }
    }

    /// `http://127.0.0.1:<port>` with `path` behind it.
    pub fn url(&self, path: &str) -> String {
        self.shared.url(path)
    }

    /// The issuer without a tenant.
    pub fn issuer(&self) -> String {
        self.url("")
    }

    /// What an operator has to allow: `127.0.0.1:<port>`.
    pub fn allowed_target(&self) -> String {
        self.shared.address.to_string()
    }

    /// A client for requests that may reach this provider and nothing else inside of the network.
    ///
    /// # Panics
    /// Never; the options are well formed.
    pub fn outbound(&self) -> Outbound {
        let options = OutboundOptions {
            allow: vec![self.allowed_target().parse().expect("an address is a target")],
            ..OutboundOptions::default()
        };
        Outbound::new(options).expect("the options are well formed")
    }

    /// Settings for OpenID Connect.
    pub fn openid_settings(&self) -> ProviderSettings {
        ProviderSettings {
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(Secret::new(CLIENT_SECRET)),
            issuer: Some(self.issuer()),
            ..ProviderSettings::default()
        }
    }

    /// Settings for the preset `microsoft` with the tenant `common`; see [`set_tenant`](Self::set_tenant).
    pub fn microsoft_settings(&self) -> ProviderSettings {
        ProviderSettings {
            preset: Some("microsoft".to_owned()),
            issuer: Some(self.url("/{tenant}/v2.0")),
            ..self.openid_settings()
        }
    }

    /// Settings for the preset `apple`, with a key that the provider knows after [`set_apple`](Self::set_apple).
    pub fn apple_settings(&self) -> ProviderSettings {
        ProviderSettings {
            preset: Some("apple".to_owned()),
            client_secret: None,
            apple: Some(AppleKey {
                team_id: APPLE_TEAM.to_owned(),
                key_id: "KEY1234567".to_owned(),
                private_key: Secret::new(APPLE_KEY),
            }),
            ..self.openid_settings()
        }
    }

    /// Settings for the preset `github`.
    pub fn github_settings(&self) -> ProviderSettings {
        ProviderSettings {
            preset: Some("github".to_owned()),
            issuer: None,
            authorize_url: Some(self.url("/authorize")),
            token_url: Some(self.url("/token")),
            user_info_url: Some(self.url("/user")),
            ..self.openid_settings()
        }
    }

    /// Settings for plain OAuth 2 without a preset.
    pub fn plain_settings(&self) -> ProviderSettings {
        ProviderSettings {
            preset: None,
            mapping: Some(Mapping {
                id: Some("id".to_owned()),
                ..Mapping::default()
            }),
            ..self.github_settings()
        }
    }

    /// Misbehaves from now on; `None` is honest again.
    pub fn set_misbehaviour(&self, wrong: Option<Misbehaviour>) {
        self.state().wrong = wrong;
    }

    /// Breaks the address `path`, such as `/token`.
    pub fn break_path(&self, path: &str, how: Breakage) {
        self.state().broken.insert(path.to_owned(), how);
    }

    /// Repairs every address.
    pub fn repair(&self) {
        self.state().broken.clear();
    }

    /// Registers a further redirect URI.
    pub fn register_redirect_uri(&self, uri: &str) {
        self.state().redirect_uris.insert(uri.to_owned());
    }

    /// Signs with another algorithm from now on.
    pub fn set_algorithm(&self, algorithm: SigningAlgorithm) {
        self.state().algorithm = algorithm;
    }

    /// Makes new keys under new names, as honest providers do now and then.
    pub fn rotate_keys(&self) {
        let mut state = self.state();
        state.keys = Keys::generate(state.n_issued + 100);
    }

    /// Sets a claim about the user; `null` takes it away.
    pub fn set_claim(&self, name: &str, value: Value) {
        let mut state = self.state();
        match (state.claims.as_object_mut(), value) {
            (Some(claims), Value::Null) => {
                claims.remove(name);
            }
            (Some(claims), value) => {
                claims.insert(name.to_owned(), value);
            }
            (None, _) => {}
        }
    }

    /// Should the address be in user info instead of in the id token?
    pub fn set_email_in_user_info(&self, is_there: bool) {
        self.state().is_email_in_user_info = is_there;
    }

    /// Behaves like Microsoft, the user being from the directory with that id.
    pub fn set_tenant(&self, tenant: &str) {
        self.state().tenant = Some(tenant.to_owned());
    }

    /// Behaves like Apple: takes client secrets that are signed, and no others, and gives id tokens without being asked.
    pub fn set_apple(&self, is_apple: bool) {
        self.state().is_apple = is_apple;
    }

    /// Sets the profile at `/user`, in the manner of GitHub.
    pub fn set_github_profile(&self, profile: Value) {
        self.state().github_profile = profile;
    }

    /// Sets the addresses at `/user/emails`.
    pub fn set_github_emails(&self, emails: Value) {
        self.state().github_emails = emails;
    }

    /// How many requests there were for `path`.
    pub fn n_requests(&self, path: &str) -> usize {
        self.state().n_requests.get(path).copied().unwrap_or_default()
    }

    /// Does what the browser of a willing user does at the authorize URL, without HTTP: gives the URL the browser is sent
    /// back to, or what the provider complains about on a page of its own.
    pub fn authorize(&self, url: &str) -> Result<String, String> {
        let path = self.url("/authorize");
        if url.split('?').next() != Some(&path) {
            return Err(format!("{url} is not at this provider"));
        }
        self.shared.authorize(&query_of(url))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl State {
    fn new() -> Self {
        Self {
            wrong: None,
            broken: HashMap::new(),
            redirect_uris: HashSet::from([REDIRECT_URI.to_owned()]),
            algorithm: SigningAlgorithm::default(),
            keys: Keys::generate(1),
            claims: json!({
                "sub": "248289761001",
                "name": "Jane Doe",
                "email": "jane@example.test",
                "email_verified": true,
            }),
            is_email_in_user_info: false,
            tenant: None,
            is_apple: false,
            github_profile: json!({ "id": 583_231, "login": "octocat", "name": "The Octocat", "email": "set-by@anybody.test" }),
            github_emails: json!([
                { "email": "other@example.test", "primary": false, "verified": true },
                { "email": "octocat@example.test", "primary": true, "verified": true },
            ]),
            codes: HashMap::new(),
            access_tokens: HashSet::new(),
            n_issued: 0,
            n_requests: HashMap::new(),
        }
    }

    fn is(&self, wrong: Misbehaviour) -> bool {
        self.wrong == Some(wrong)
    }

    fn issue(&mut self, kind: &str) -> String {
        self.n_issued += 1;
        format!("{kind}-{}-{}", self.n_issued, "x".repeat(20))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The issuer as tokens name it.
    fn issuer(&self, tenant: Option<&str>) -> String {
        match tenant {
            Some(tenant) => self.url(&format!("/{tenant}/v2.0")),
            None => self.url(""),
        }
    }

    /// Answers one request; `None` closes the connection.
    pub(super) fn answer(
        &self,
        method: &str,
        path: &str,
        query: &str,
        authorization: Option<&str>,
        form: &str,
    ) -> Option<Answer> {
        let broken = {
            let mut state = self.state();
            *state.n_requests.entry(path.to_owned()).or_default() += 1;
            state.broken.get(path).copied()
        };
        if let Some(broken) = broken {
            return self.broken_answer(broken);
        }
        match (method, path) {
            ("GET", "/authorize") => match self.authorize(&query_of(&format!("?{query}"))) {
                Ok(location) => Answer::redirect(location),
                Err(problem) => Answer::json(400, &json!({ "problem": problem })),
            },
            ("POST", "/token") => self.token(authorization, &query_of(&format!("?{form}"))),
            ("GET", "/keys") => {
                let state = self.state();
                if state.is(Misbehaviour::SwappedKeys) {
                    return Answer::json(200, &Keys::generate(1).published());
                }
                Answer::json(200, &state.keys.published())
            }
            ("GET", "/userinfo" | "/user" | "/user/emails") => self.protected(path, authorization),
            ("GET", path) => match path.strip_suffix("/.well-known/openid-configuration") {
                Some(base) => self.discovery(base),
                None => Answer::json(404, &json!({ "error": "not_found" })),
            },
            _ => Answer::json(405, &json!({ "error": "not_found" })),
        }
    }

    fn broken_answer(&self, broken: Breakage) -> Option<Answer> {
        let text = |status, body: String| {
            Some(Answer {
                status,
                location: None,
                body,
            })
        };
        match broken {
            Breakage::Redirect => Answer::redirect(self.url("/trap")),
            Breakage::Huge => text(200, format!("\"{}\"", "x".repeat(2 * 1024 * 1024))),
            Breakage::Garbage => text(200, "<html>please log in</html>".to_owned()),
            Breakage::WrongShape => text(200, "[\"access_token\"]".to_owned()),
            Breakage::Failure => text(500, "{}".to_owned()),
            Breakage::NoAnswer => None,
        }
    }

    fn discovery(&self, base: &str) -> Option<Answer> {
        let state = self.state();
        // Several tenants at once are published with a place for the tenant, a single one with its id.
        let issuer = match (base.trim_start_matches('/').split('/').next(), &state.tenant) {
            (Some("common" | "organizations"), Some(_)) => self.issuer(Some("{tenantid}")),
            (_, Some(tenant)) => self.issuer(Some(tenant)),
            (_, None) => self.issuer(None),
        };
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": self.url("/authorize"),
            "token_endpoint": self.url("/token"),
            "userinfo_endpoint": self.url("/userinfo"),
            "jwks_uri": self.url("/keys"),
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        match state.wrong {
            Some(Misbehaviour::WrongDiscoveryIssuer) => document["issuer"] = json!("https://other.test"),
            Some(Misbehaviour::InternalEndpoints) => {
                document["token_endpoint"] = json!("http://169.254.169.254/latest/meta-data");
                document["jwks_uri"] = json!("http://127.0.0.1:1/keys");
            }
            Some(Misbehaviour::ScriptEndpoint) => document["authorization_endpoint"] = json!("javascript:alert(1)//"),
            Some(Misbehaviour::MixUp | Misbehaviour::MissingIssuerParameter) => {
                document["authorization_response_iss_parameter_supported"] = json!(true);
            }
            _ => {}
        }
        Answer::json(200, &document)
    }

    fn authorize(&self, query: &BTreeMap<String, String>) -> Result<String, String> {
        let mut state = self.state();
        let get = |name: &str| query.get(name).map(String::as_str);
        let redirect_uri = get("redirect_uri").unwrap_or_default();
        // Nobody is redirected to an address that is not registered, letter by letter.
        if get("client_id") != Some(CLIENT_ID) || !state.redirect_uris.contains(redirect_uri) {
            return Err("unknown client or redirect URI".to_owned());
        }
        if get("response_type") != Some("code") {
            return Err("unsupported response type".to_owned());
        }
        let challenge = match (get("code_challenge"), get("code_challenge_method")) {
            (Some(challenge), Some("S256")) => Some(challenge.to_owned()),
            (None, None) => None,
            _ => return Err("unsupported code challenge".to_owned()),
        };
        let given_state = get("state").unwrap_or_default();
        if state.is(Misbehaviour::AuthorizeError) {
            let parameters = [
                ("error", "access_denied"),
                ("error_description", "The user\r\nsaid no"),
                ("state", given_state),
            ];
            return Ok(with_query(redirect_uri, &parameters));
        }
        let grant = Grant {
            redirect_uri: redirect_uri.to_owned(),
            challenge,
            nonce: get("nonce").map(str::to_owned),
            is_openid: get("scope")
                .unwrap_or_default()
                .split(' ')
                .any(|scope| scope == "openid"),
        };
        let code = state.issue("code");
        state.codes.insert(code.clone(), grant);
        let returned_state = if state.is(Misbehaviour::WrongState) {
            "another"
        } else {
            given_state
        };
        let issuer = self.issuer(state.tenant.as_deref());
        let mut parameters = vec![("code", code.as_str()), ("state", returned_state)];
        match state.wrong {
            Some(Misbehaviour::MixUp) => parameters.push(("iss", "https://other.test")),
            Some(Misbehaviour::MissingIssuerParameter) => {}
            _ => parameters.push(("iss", &issuer)),
        }
        Ok(with_query(redirect_uri, &parameters))
    }

    fn token(&self, authorization: Option<&str>, form: &BTreeMap<String, String>) -> Option<Answer> {
        let refuse = |status, error: &str| Answer::json(status, &json!({ "error": error, "error_description": "No." }));
        let mut state = self.state();
        let get = |name: &str| form.get(name).map(String::as_str);
        let (id, secret) = (get("client_id"), get("client_secret"));
        let is_known = match state.is_apple {
            true => id == Some(CLIENT_ID) && secret.is_some_and(|secret| is_apple_secret(secret, &self.issuer(None))),
            false => is_client(authorization, id, secret),
        };
        if !is_known {
            return refuse(401, "invalid_client");
        }
        if get("grant_type") != Some("authorization_code") || state.is(Misbehaviour::RefusedCode) {
            return refuse(400, "invalid_grant");
        }
        // Removed before anything is compared: a code that was tried is used.
        let Some(grant) = state.codes.remove(get("code").unwrap_or_default()) else {
            return refuse(400, "invalid_grant");
        };
        let proof = get("code_verifier")
            .map(|verifier| to_base64url(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref()));
        if get("redirect_uri") != Some(&grant.redirect_uri) || proof != grant.challenge {
            return refuse(400, "invalid_grant");
        }
        let access_token = state.issue("token");
        state.access_tokens.insert(access_token.clone());
        let mut answer = json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 3600 });
        if grant.is_openid || state.is_apple {
            let claims = self.claims(&state, &grant, &access_token);
            answer["id_token"] = json!(state.keys.sign(&claims, state.algorithm, state.wrong));
        }
        match state.wrong {
            Some(Misbehaviour::MissingIdToken) => {
                answer.as_object_mut().map(|answer| answer.remove("id_token"));
            }
            Some(Misbehaviour::EmptyIdToken) => answer["id_token"] = json!(""),
            Some(Misbehaviour::MissingAccessToken) => {
                answer.as_object_mut().map(|answer| answer.remove("access_token"));
            }
            _ => {}
        }
        Answer::json(200, &answer)
    }

    fn claims(&self, state: &State, grant: &Grant, access_token: &str) -> Value {
        let now = SystemClock.now().seconds();
        let mut claims = state.claims.clone();
        claims["iss"] = json!(self.issuer(state.tenant.as_deref()));
        claims["aud"] = json!(CLIENT_ID);
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 300);
        claims["at_hash"] = json!(access_token_hash(state.algorithm, access_token));
        if let Some(nonce) = &grant.nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(tenant) = &state.tenant {
            claims["tid"] = json!(tenant);
        }
        let Some(members) = claims.as_object_mut() else {
            return claims;
        };
        if state.is_email_in_user_info {
            members.remove("email");
            members.remove("email_verified");
        }
        let hour = 3600;
        let change = match state.wrong {
            Some(Misbehaviour::WrongIssuer) if state.tenant.is_some() => {
                ("iss", json!(self.issuer(Some("11111111-2222-3333-4444-555555555555"))))
            }
            Some(Misbehaviour::WrongIssuer) => ("iss", json!("https://other.test")),
            Some(Misbehaviour::WrongAudience) => ("aud", json!("client-2")),
            Some(Misbehaviour::SeveralAudiences) => ("aud", json!([CLIENT_ID, "client-2"])),
            Some(Misbehaviour::WrongAuthorizedParty) => ("azp", json!("client-2")),
            Some(Misbehaviour::Expired) => ("exp", json!(now - hour)),
            Some(Misbehaviour::FutureIssuedAt) => ("iat", json!(now + hour)),
            Some(Misbehaviour::NotYetValid) => ("nbf", json!(now + hour)),
            Some(Misbehaviour::WrongNonce) => ("nonce", json!("another")),
            Some(Misbehaviour::MissingNonce) => ("nonce", Value::Null),
            Some(Misbehaviour::WrongAccessTokenHash) => {
                ("at_hash", json!(access_token_hash(state.algorithm, "another")))
            }
            Some(Misbehaviour::EmptySubject) => ("sub", json!("")),
            Some(Misbehaviour::MissingSubject) => ("sub", Value::Null),
            Some(Misbehaviour::NumericSubject) => ("sub", json!(248_289_761_001_u64)),
            Some(Misbehaviour::MissingEmailVerified) => ("email_verified", Value::Null),
            Some(Misbehaviour::UnverifiedEmail) => ("email_verified", json!(false)),
            Some(Misbehaviour::TextEmailVerified) => ("email_verified", json!("true")),
            _ => return claims,
        };
        match change {
            (name, Value::Null) => members.remove(name),
            (name, value) => members.insert(name.to_owned(), value),
        };
        claims
    }

    fn protected(&self, path: &str, authorization: Option<&str>) -> Option<Answer> {
        let state = self.state();
        let token = authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        if !state.access_tokens.contains(token) {
            return Answer::json(401, &json!({ "error": "invalid_token" }));
        }
        let body = match path {
            "/user" => state.github_profile.clone(),
            "/user/emails" => state.github_emails.clone(),
            _ => {
                let mut claims = state.claims.clone();
                if state.is(Misbehaviour::UserInfoOfAnother) {
                    claims["sub"] = json!("somebody else");
                }
                claims
            }
        };
        Answer::json(200, &body)
    }
}

/// Is it the client that is registered, in one of the two ways, but not in both at once?
fn is_client(authorization: Option<&str>, id: Option<&str>, secret: Option<&str>) -> bool {
    let Some(basic) = authorization else {
        return id == Some(CLIENT_ID) && secret == Some(CLIENT_SECRET);
    };
    let decoded = basic
        .strip_prefix("Basic ")
        .and_then(|text| Base64::decode_vec(text).ok());
    let Some(pair) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return false;
    };
    let Some((basic_id, basic_secret)) = pair.split_once(':') else {
        return false;
    };
    secret.is_none() && decode(basic_id) == CLIENT_ID && decode(basic_secret) == CLIENT_SECRET
}

/// Is it a client secret as Apple wants it: signed with the team's key, for this issuer and client, and valid?
fn is_apple_secret(secret: &str, issuer: &str) -> bool {
    let Some((signed, signature)) = secret.rsplit_once('.') else {
        return false;
    };
    let (Some(signature), Some(public)) = (from_base64url(signature), apple_public_key()) else {
        return false;
    };
    let is_signed = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
        .verify(signed.as_bytes(), &signature)
        .is_ok();
    let payload = signed.split_once('.').and_then(|(_, payload)| from_base64url(payload));
    let claims: Value = payload
        .and_then(|payload| serde_json::from_slice(&payload).ok())
        .unwrap_or_default();
    let is_for_us = claims["iss"] == APPLE_TEAM && claims["sub"] == CLIENT_ID && claims["aud"] == issuer;
    let now = SystemClock.now().seconds();
    is_signed
        && is_for_us
        && claims["exp"]
            .as_i64()
            .is_some_and(|expires| (now..now + 15_777_000).contains(&expires))
}

fn apple_public_key() -> Option<Vec<u8>> {
    let der = crate::apple::read_pem(APPLE_KEY)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new()).ok()?;
    Some(key.public_key().as_ref().to_vec())
}

/// The query of a URL, decoded. Of a name that comes twice, the last one counts.
pub fn query_of(url: &str) -> BTreeMap<String, String> {
    let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
