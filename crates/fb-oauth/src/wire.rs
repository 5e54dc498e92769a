//! Requests to a provider, and reading what it answers.

use base64ct::{Base64, Encoding};
use fb_auth::Secret;
use fb_outbound::{Outbound, Request, Response};
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::encoding::{encode_component, is_web_url};
use crate::error::{OAuthError, ProviderFault, garbage, harmless};
use crate::settings::TokenAuth;

/// Longest access token in bytes.
const MAX_ACCESS_TOKEN: usize = 16 * 1024;

/// What an issuer publishes about itself. Source: OpenID Connect Discovery 1.0; members that are not used are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) jwks_uri: String,
    pub(crate) userinfo_endpoint: Option<String>,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// How the issuer wants to see the secret. `client_secret_basic` is what it is if it says nothing.
    pub(crate) fn token_auth(&self) -> TokenAuth {
        let accepts = |method: &str| {
            self.token_endpoint_auth_methods_supported
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|m| m == method))
        };
        if !accepts("client_secret_basic") && accepts("client_secret_post") {
            TokenAuth::Post
        } else {
            TokenAuth::Basic
        }
    }
}

/// Fetches the discovery document below `address`. Its `issuer` is still to be compared.
pub(crate) async fn fetch_metadata(outbound: &Outbound, address: &str) -> Result<Metadata, OAuthError> {
    const DURING: &str = "telling its configuration";
    let url = format!("{}/.well-known/openid-configuration", address.trim_end_matches('/'));
    let document = get_json(outbound, &url, None, DURING).await?;
    let metadata = Metadata::deserialize(document).map_err(|_| {
        garbage(
            DURING,
            "members of the discovery document are missing or of another type",
        )
    })?;
    // The browser is sent there, so that it must not be a script. That plain `http` only leads to permitted targets is
    // looked after where requests are made; the browser's way is as safe as the way to the issuer.
    let may_be_plain = address.starts_with("http:");
    let endpoint = &metadata.authorization_endpoint;
    if !is_web_url(endpoint) || !(may_be_plain || endpoint.starts_with("https:")) {
        return Err(garbage(DURING, "the authorization endpoint is no https URL"));
    }
    Ok(metadata)
}

/// Fetches a JSON document, with an access token if it is a person's.
pub(crate) async fn get_json(
    outbound: &Outbound,
    url: &str,
    access_token: Option<&Secret>,
    during: &'static str,
) -> Result<Value, OAuthError> {
    let mut request = Request::new(Method::GET, url);
    request
        .headers
        .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(token) = access_token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| garbage(during, "the access token has characters that no header has"))?;
        value.set_sensitive(true);
        request.headers.insert(header::AUTHORIZATION, value);
    }
    let answer = send(outbound, request, during).await?;
    if answer.status != StatusCode::OK {
        return Err(OAuthError::Provider {
            during,
            fault: ProviderFault::Status(answer.status.as_u16()),
        });
    }
    serde_json::from_slice(&answer.body).map_err(|_| garbage(during, "the answer is no JSON"))
}

/// Who asks for tokens.
pub(crate) struct Client<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: Option<&'a Secret>,
    pub(crate) auth: TokenAuth,
}

/// What a code was exchanged for.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access_token: Secret,
    pub(crate) id_token: Option<Secret>,
}

/// Exchanges a code. Source: RFC 6749, sections 4.1.3 and 5.
pub(crate) async fn exchange_code(
    outbound: &Outbound,
    token_url: &str,
    client: &Client<'_>,
    code: &str,
    redirect_uri: &str,
    verifier: Option<&str>,
) -> Result<Tokens, OAuthError> {
    const DURING: &str = "exchanging the code";
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
    ];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    let in_header = match (client.secret, client.auth) {
        (Some(secret), TokenAuth::Basic) => {
            // Both are encoded as in a form before they are joined (RFC 6749, section 2.3.1).
            let pair = format!("{}:{}", encode_component(client.id), encode_component(secret.expose()));
            Some(format!("Basic {}", Base64::encode_string(pair.as_bytes())))
        }
        (Some(secret), TokenAuth::Post) => {
            fields.extend([("client_id", client.id), ("client_secret", secret.expose())]);
            None
        }
        (None, _) => {
            fields.push(("client_id", client.id));
            None
        }
    };
    let mut request = Request::form(token_url, &fields);
    request
        .headers
        .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(value) = in_header {
        let mut value =
            HeaderValue::from_str(&value).map_err(|_| garbage(DURING, "the client's secret fits no header"))?;
        value.set_sensitive(true);
        request.headers.insert(header::AUTHORIZATION, value);
    }
    let answer = send(outbound, request, DURING).await?;
    let json = serde_json::from_slice::<Map<String, Value>>(&answer.body);
    // GitHub refuses with status 200.
    if let Some(refusal) = json.as_ref().ok().and_then(refusal) {
        return Err(refusal);
    }
    if answer.status != StatusCode::OK {
        return Err(OAuthError::Provider {
            during: DURING,
            fault: ProviderFault::Status(answer.status.as_u16()),
        });
    }
    read_tokens(&json.map_err(|_| garbage(DURING, "the answer is no JSON object"))?)
        .ok_or_else(|| garbage(DURING, "the answer has no usable token"))
}

fn read_tokens(json: &Map<String, Value>) -> Option<Tokens> {
    let access_token = json.get("access_token")?.as_str()?;
    if !(1..=MAX_ACCESS_TOKEN).contains(&access_token.len()) || !access_token.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    // Tokens of another type are used in another way. Some providers leave the type out.
    if let Some(kind) = json.get("token_type")
        && !kind.as_str()?.eq_ignore_ascii_case("bearer")
    {
        return None;
    }
    let id_token = match json.get("id_token") {
        None | Some(Value::Null) => None,
        Some(token) => Some(Secret::new(token.as_str()?)),
    };
    Some(Tokens {
        access_token: Secret::new(access_token),
        id_token,
    })
}

/// The error in an answer of the token endpoint, if there is one.
fn refusal(json: &Map<String, Value>) -> Option<OAuthError> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let (error, description) = match json.get("error")? {
        Value::String(error) => (error.clone(), text(json.get("error_description"))),
        // Facebook's form.
        Value::Object(error) => (text(error.get("type")).unwrap_or_default(), text(error.get("message"))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => (String::new(), None),
    };
    Some(match error.as_str() {
        "invalid_client" | "unauthorized_client" | "redirect_uri_mismatch" | "incorrect_client_credentials" => {
            let description = harmless(&description.unwrap_or_default());
            OAuthError::Config(
                format!("the provider refuses this client: {error} {description}")
                    .trim_end()
                    .to_owned(),
            )
        }
        error => OAuthError::denied(error, description.as_deref()),
    })
}

async fn send(outbound: &Outbound, request: Request, during: &'static str) -> Result<Response, OAuthError> {
    outbound.send(request).await.map_err(|error| OAuthError::Provider {
        during,
        fault: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(json: Value) -> Map<String, Value> {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn s24_only_a_usable_access_token_is_a_token() {
        let tokens = |json| read_tokens(&object(json));
        for good in [
            json!({ "access_token": "a" }),
            json!({ "access_token": "a", "token_type": "Bearer", "id_token": null }),
        ] {
            assert!(tokens(good).is_some());
        }
        for bad in [
            json!({}),
            json!({ "access_token": "" }),
            json!({ "access_token": null }),
            json!({ "access_token": 7 }),
            json!({ "access_token": ["a"] }),
            json!({ "access_token": "a\r\nX: b" }),
            json!({ "access_token": "a b" }),
            json!({ "access_token": "ü" }),
            json!({ "access_token": "a".repeat(20_000) }),
            json!({ "access_token": "a", "token_type": "mac" }),
            json!({ "access_token": "a", "token_type": 1 }),
            json!({ "access_token": "a", "id_token": {} }),
        ] {
            assert!(tokens(bad.clone()).is_none(), "{bad}");
        }
    }

    #[test]
    fn refusals_are_for_who_can_do_something_about_them() {
        let refusal = |json| refusal(&object(json));
        assert!(refusal(json!({ "access_token": "a" })).is_none());
        assert!(matches!(
            refusal(json!({ "error": "invalid_client" })),
            Some(OAuthError::Config(text)) if text == "the provider refuses this client: invalid_client"
        ));
        assert!(matches!(
            refusal(json!({ "error": "invalid_grant", "error_description": "used\r\n\u{202e}up" })),
            Some(OAuthError::Denied { error, description: Some(text) }) if error == "invalid_grant" && text == "usedup"
        ));
        assert!(matches!(
            refusal(json!({ "error": { "type": "OAuthException", "message": "expired" } })),
            Some(OAuthError::Denied { error, description: Some(text) }) if error == "OAuthException" && text == "expired"
        ));
        assert!(matches!(
            refusal(json!({ "error": 7 })),
            Some(OAuthError::Denied { .. })
        ));
    }
}
