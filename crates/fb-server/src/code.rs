//! Code as a client of its own app's API, without a network in between: the same routes, the same rights, the same errors.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use fb_app::App;
use fb_app::functions::{CodeApi, CodeRequest};
use fb_files::headers;
use fb_functions::{HostError, HttpResponse};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use http_body_util::{BodyExt, Either, Full, Limited};
use serde_json::{Value, json};

use crate::codes;
use crate::context::{Params, Request};
use crate::error::ApiError;
use crate::server::{Seen, ServerState, app_request, log_error};
use crate::source::source_of;

/// Most bytes of an answer that code gets.
const MAX_ANSWER: usize = 64 << 20;

/// Answers the requests of code. It does not keep the server alive.
pub(crate) struct Api(Weak<ServerState>);

impl Api {
    pub(crate) fn new(state: &Arc<ServerState>) -> Self {
        Self(Arc::downgrade(state))
    }
}

impl CodeApi for Api {
    fn answer(&self, app: Arc<App>, request: CodeRequest) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        let state = self.0.upgrade();
        Box::pin(async move {
            let state = state.ok_or_else(|| HostError("the server is shutting down".into()))?;
            answer(&state, app, request).await.map_err(HostError)
        })
    }
}

async fn answer(state: &Arc<ServerState>, app: Arc<App>, request: CodeRequest) -> Result<HttpResponse, String> {
    let CodeRequest { caller, request } = request;
    let number = state.request_ids.next();
    let uri: Uri = format!("/v1{}", request.url)
        .parse()
        .map_err(|_| "the path of the request is malformed".to_owned())?;
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("{name} is no name of a header"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("the header {name} has no valid value"))?;
        headers.append(name, value);
    }
    let inner = Request {
        method: request
            .method
            .parse()
            .map_err(|_| "the method is malformed".to_owned())?,
        headers,
        uri: uri.clone(),
        params: Params::default(),
        body: Some(Either::Right(Full::new(request.body))),
        number,
        // Limits per source do not apply to code; see `Ctx::source`.
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        is_tls: false,
        edge: None,
        upgrade: None,
    };
    let length = uri.path_and_query().map_or(0, |text| text.as_str().len());
    let path = uri.path().strip_prefix("/v1").unwrap_or("/");
    let mut seen = Seen::new(state, number);
    let method = inner.method.clone();
    let handled = match length > state.limits.uri_bytes {
        true => Ok(Err(ApiError::new(codes::URI_TOO_LONG, "The URL is too long."))),
        false => {
            let work = app_request(state, inner, app, path, Some(caller), &mut seen);
            AssertUnwindSafe(work).catch_unwind().await
        }
    };
    let reply = match handled {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => {
            let id = state.request_ids.text(number);
            log_error(&error, &id, &seen, &method, path);
            error.into_reply(&id)
        }
        Err(_) => {
            state.metrics.panics.fetch_add(1, Ordering::Relaxed);
            let id = state.request_ids.text(number);
            tracing::error!(request.id = %id, method = %method, "a handler panicked");
            ApiError::new(
                codes::INTERNAL,
                "The server failed. Its log has the details under the request id.",
            )
            .into_reply(&id)
        }
    };
    let (parts, body) = reply.into_response().into_parts();
    let body = Limited::new(body, MAX_ANSWER)
        .collect()
        .await
        .map_err(|_| format!("the answer could not be read, or has more than {MAX_ANSWER} bytes"))?;
    Ok(HttpResponse {
        status: parts.status.as_u16(),
        headers: text_headers(&parts.headers),
        body: body.to_bytes(),
    })
}

fn text_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// What code is told about a request: everything but its body, and the token of its caller.
pub(crate) fn describe(state: &ServerState, request: &Request, path: &str) -> Value {
    let headers: Vec<(String, String)> = text_headers(&request.headers)
        .into_iter()
        .filter(|(name, _)| !matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization"))
        .collect();
    let host = request.header(http::header::HOST).unwrap_or_default();
    let query = request.uri.query().unwrap_or("");
    // A token in the URL is the caller's, too.
    let query: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("BAT=")).collect();
    let query = query.join("&");
    let url = match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{query}"),
    };
    json!({
        "method": request.method.as_str(),
        "url": url,
        "path": path,
        "query": query,
        "headers": headers,
        "ip": source_of(request.peer, &request.headers, &state.trusted_proxies).as_str(),
        "protocol": if request.is_tls { "https" } else { "http" },
        "host": host,
    })
}

/// Headers that are not code's to set: what delimits messages, and what clients take for the server's own word.
const NOT_FOR_CODE: [&str; 12] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "baqend-authorization-token",
    "baqend-mfa-auth-token",
    "strict-transport-security",
];

/// Of the headers that files may not carry, those that concern nothing but the answer they come with.
const OF_THE_ANSWER: [&str; 4] = [
    "content-disposition",
    "content-security-policy",
    "location",
    "x-frame-options",
];

/// Cookies by which the server itself knows browsers: logins with other providers, and devices.
const OWN_COOKIES: [&str; 3] = ["freshbase-", "__host-freshbase-", "device-"];

/// Whose pages share an origin with the answer of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The app's own: what code says to browsers is between it and its users.
    Own,
    /// Other apps' and the server's, which cookies, caches and reports of this app must not reach.
    Shared,
}

impl Origin {
    /// Of an answer to a request for `path`, as it was sent.
    pub(crate) fn of(path: &str) -> Self {
        match path.starts_with("/apps/") {
            true => Self::Shared,
            false => Self::Own,
        }
    }

    /// True if code may give this header. `name` is in lower case.
    fn takes(self, name: &str, value: &str) -> bool {
        // With the last ones this server tells edges what to keep, and whom to believe.
        let is_own = NOT_FOR_CODE.contains(&name) || name.starts_with("freshbase-");
        if is_own || name.starts_with("set-cookie") && is_own_cookie(value) {
            return false;
        }
        let is_of_answer = !headers::is_powerful(name) && name != "www-authenticate" || OF_THE_ANSWER.contains(&name);
        self == Self::Own || is_of_answer
    }
}

/// True for the value of a `Set-Cookie` that browsers would send back under a name of the server's.
fn is_own_cookie(value: &str) -> bool {
    let pair = value.split(';').next().unwrap_or_default();
    // A cookie without a name is sent as its bare value, which may look like a name.
    let pair = pair.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
    let pair = pair.to_ascii_lowercase();
    OWN_COOKIES.iter().any(|own| pair.starts_with(own))
}

/// Takes over the headers of an answer that code gave.
pub(crate) fn set_headers(reply: &mut crate::reply::Reply, origin: Origin, headers: Vec<(String, String)>) {
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if origin.takes(&name, &value)
            && let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value))
        {
            reply.add_header(name, value);
        }
    }
}

/// A body as text, for sources.
pub(crate) fn utf8(body: &Bytes) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|_| ApiError::bad_request("Code is text in UTF-8."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s29_cookies_of_the_server_are_known_however_they_are_spelled() {
        for value in [
            "freshbase-oauth=1; Path=/v1/db/User",
            " \tfreshbase-oauth =1",
            "FRESHBASE-oauth=1",
            "__Host-freshbase-oauth=1; Secure; Path=/",
            "__HOST-Freshbase-oauth=1",
            "device-shop=1",
            // Without a name browsers send what stands here.
            "=freshbase-oauth=1",
            " = = device-shop=1",
            "freshbase-oauth",
        ] {
            assert!(is_own_cookie(value), "{value}");
        }
        for value in [
            "",
            "a=b",
            "a=freshbase-oauth=1",
            "my-device-x=1",
            "a=b; freshbase-oauth=1",
            "device=1",
        ] {
            assert!(!is_own_cookie(value), "{value}");
        }
    }
}
