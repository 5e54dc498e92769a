//! `/setup`: the page behind a setup link, on which the first administrator is created.

use fb_app::AppError;
use fb_auth::Secret;
use http::{Method, header};
use serde_json::{Map, Value, json};

use crate::codes;
use crate::context::{Request, parse_json};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::server::ServerState;

const BODY_BYTES: usize = 16 << 10;
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; \
    frame-ancestors 'none'; base-uri 'none'";

/// Answers `/setup`, its script and style, and what its form sends.
pub(crate) async fn handle(state: &ServerState, mut request: Request, path: &str) -> Result<Reply, ApiError> {
    let asset = |content_type, text: &'static str| {
        Ok(Reply::text(200, content_type, text)
            .header(header::CONTENT_SECURITY_POLICY, POLICY)
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::CACHE_CONTROL, "no-cache"))
    };
    match (&request.method, path) {
        (&Method::GET | &Method::HEAD, "") => asset("text/html;charset=utf-8", include_str!("../../assets/setup.html")),
        (&Method::GET | &Method::HEAD, "/setup.js") => {
            asset("text/javascript;charset=utf-8", include_str!("../../assets/setup.js"))
        }
        (&Method::GET | &Method::HEAD, "/setup.css") => {
            asset("text/css;charset=utf-8", include_str!("../../assets/setup.css"))
        }
        (&Method::POST, "") => claim(state, &mut request).await,
        _ => Err(ApiError::new(
            codes::NO_ENDPOINT,
            format!("There is no page /setup{path}."),
        )),
    }
}

/// The secret in the link is all that counts here: it is single-use and dies after a day.
async fn claim(state: &ServerState, request: &mut Request) -> Result<Reply, ApiError> {
    let body = match parse_json(&request.bytes(BODY_BYTES).await?, "the body")? {
        Value::Object(body) => body,
        _ => return Err(ApiError::bad_request("The body must be a JSON object.")),
    };
    let (username, password) = (text(&body, "username")?, Secret::new(text(&body, "password")?));
    let directory = state.apps.directory();
    let name = match body.get("app") {
        Some(Value::String(name)) => Some(name.clone()),
        _ => directory.default_app().map(|slot| slot.id().to_string()),
    };
    let no_link = || {
        ApiError::new(
            codes::BAD_CREDENTIALS,
            "This setup link is not valid any more. `freshbase app setup-link <app>` prints a new one.",
        )
    };
    let app = match &name {
        Some(name) => state.apps.by_name(name).await?.ok_or_else(no_link)?,
        None => return Err(no_link()),
    };
    let admin = match app.claim_setup(&text(&body, "token")?, &username, &password).await {
        Ok(admin) => admin,
        Err(AppError::BadToken) => return Err(no_link()),
        Err(error) => return Err(error.into()),
    };
    let is_default = directory.default_app().is_some_and(|slot| slot.id() == app.id());
    let operator = is_default && state.apps.create_operator(&admin).await?;
    Ok(Reply::json(
        200,
        &json!({ "app": app.id().as_str(), "operator": operator }),
    ))
}

fn text(body: &Map<String, Value>, name: &str) -> Result<String, ApiError> {
    match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(ApiError::bad_request(format!("The body needs the member `{name}`."))),
    }
}
