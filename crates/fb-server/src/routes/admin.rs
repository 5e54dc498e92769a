//! `/admin/v1/…`: the operator's API. It belongs to no app; app tokens mean nothing here.

use fb_app::{NewApp, Profile};
use fb_auth::Secret;
use fb_mail::Catcher;
use fb_types::AppId;
use http::{Method, header};
use serde_json::{Map, Value, json};

use crate::codes;
use crate::context::{Request, parse_json};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::server::ServerState;

const BODY_BYTES: usize = 64 << 10;

/// Answers a request below `/admin/v1`.
pub(crate) async fn handle(state: &ServerState, mut request: Request, path: &str) -> Result<Reply, ApiError> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (&request.method, segments.as_slice()) {
        (&Method::POST, ["login"]) => return login(state, &mut request).await,
        (_, ["login"]) => return wrong_method(&request, path, "OPTIONS, POST"),
        _ => authorize(state, &request).await?,
    }
    match (&request.method, segments.as_slice()) {
        (&Method::GET, ["apps"]) => list(state).await,
        (&Method::POST, ["apps"]) => create(state, &mut request).await,
        (&Method::DELETE, ["apps", name]) => {
            state.apps.delete(&AppId::new(name)?).await?;
            Ok(Reply::empty(204))
        }
        (&Method::GET, ["apps", name, "mails"]) => mails(state, name),
        (&Method::DELETE, ["apps", name, "mails"]) => {
            catcher(state)?.clear(name);
            Ok(Reply::empty(204))
        }
        (_, ["apps"]) => wrong_method(&request, path, "GET, POST"),
        (_, ["apps", _]) => wrong_method(&request, path, "DELETE"),
        (_, ["apps", _, "mails"]) => wrong_method(&request, path, "DELETE, GET"),
        _ => Err(ApiError::new(
            codes::NO_ENDPOINT,
            format!("There is no endpoint {} /admin/v1{path}.", request.method),
        )),
    }
}

fn wrong_method(request: &Request, path: &str, allow: &str) -> Result<Reply, ApiError> {
    let text = format!("{path} knows {allow}, not {}.", request.method);
    Err(ApiError::new(codes::METHOD_NOT_ALLOWED, text).with(header::ALLOW, allow))
}

fn catcher(state: &ServerState) -> Result<&Catcher, ApiError> {
    state.catcher.as_deref().ok_or_else(|| {
        let text = "Mails are sent by the mail server of the configuration (FRESHBASE_SMTP_URL), none are kept here.";
        ApiError::new(codes::NO_ENDPOINT, text)
    })
}

/// Mails of an app that were caught instead of sent, the newest first.
fn mails(state: &ServerState, app: &str) -> Result<Reply, ApiError> {
    let caught = catcher(state)?.list(app);
    let body = serde_json::to_value(&caught).map_err(|e| fb_app::AppError::internal("writing mails", e))?;
    Ok(Reply::json(200, &body).header(header::CACHE_CONTROL, "no-store"))
}

async fn authorize(state: &ServerState, request: &Request) -> Result<(), ApiError> {
    let given = request
        .header(header::AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Bearer "));
    let token = given.ok_or_else(|| {
        ApiError::new(
            codes::UNAUTHORIZED,
            "Send an operator's token as `Authorization: Bearer <token>`.",
        )
    })?;
    Ok(state.apps.operator_check(token.trim()).await?)
}

async fn object(request: &mut Request) -> Result<Map<String, Value>, ApiError> {
    match parse_json(&request.bytes(BODY_BYTES).await?, "the body")? {
        Value::Object(object) => Ok(object),
        _ => Err(ApiError::bad_request("The body must be a JSON object.")),
    }
}

fn text(body: &Map<String, Value>, name: &str) -> Result<String, ApiError> {
    match body.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(ApiError::bad_request(format!(
            "The body needs the member `{name}`, a string."
        ))),
    }
}

async fn login(state: &ServerState, request: &mut Request) -> Result<Reply, ApiError> {
    let body = object(request).await?;
    let password = Secret::new(text(&body, "password")?);
    let token = state.apps.operator_login(&text(&body, "username")?, &password).await?;
    Ok(Reply::json(200, &json!({ "token": token.expose() })).header(header::CACHE_CONTROL, "no-store"))
}

async fn list(state: &ServerState) -> Result<Reply, ApiError> {
    let apps: Vec<Value> = state
        .apps
        .list()
        .await?
        .into_iter()
        .map(|app| {
            json!({
                "name": app.id.as_str(),
                "hosts": app.hosts,
                "default": app.is_default,
                "createdAt": app.created_at.to_string(),
            })
        })
        .collect();
    Ok(Reply::json(200, &Value::Array(apps)))
}

async fn create(state: &ServerState, request: &mut Request) -> Result<Reply, ApiError> {
    let body = object(request).await?;
    if let Some(unknown) = body
        .keys()
        .find(|k| !matches!(k.as_str(), "name" | "compat" | "hosts" | "admin"))
    {
        return Err(ApiError::bad_request(format!(
            "`{unknown}` is unknown; use name, compat, hosts and admin."
        )));
    }
    let profile = match body.get("compat") {
        None | Some(Value::Null) => Profile::Secure,
        Some(Value::String(name)) if name == "baqend" => Profile::Baqend,
        Some(_) => return Err(ApiError::bad_request("compat must be \"baqend\" or absent.")),
    };
    let hosts = match body.get("hosts") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(hosts)) => hosts.iter().map(host).collect::<Result<_, _>>()?,
        Some(_) => return Err(ApiError::bad_request("hosts must be an array of host names.")),
    };
    let admin = match body.get("admin") {
        None | Some(Value::Null) => None,
        Some(Value::Object(admin)) => {
            let password = Secret::new(text(admin, "password")?);
            Some(
                state
                    .apps
                    .first_admin(profile, &text(admin, "username")?, &password)
                    .await?,
            )
        }
        Some(_) => {
            return Err(ApiError::bad_request(
                "admin must be an object with username and password.",
            ));
        }
    };
    let id = AppId::new(&text(&body, "name")?)?;
    let new = NewApp {
        id: id.clone(),
        profile,
        hosts,
        is_default: false,
        admin,
    };
    let link = state.apps.create(&new).await?;
    let mut answer = json!({ "name": id.as_str(), "api": format!("/apps/{id}/v1") });
    if let Some(link) = link {
        answer["setup"] = json!(format!("/setup?app={id}#{}", link.token.expose()));
    }
    Ok(Reply::json(201, &answer).header(header::CACHE_CONTROL, "no-store"))
}

fn host(value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(name) => Ok(name.clone()),
        _ => Err(ApiError::bad_request("hosts must be an array of host names.")),
    }
}
