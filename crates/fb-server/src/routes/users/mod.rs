//! `/db/User/…`: accounts and sessions.

mod mfa;
mod oauth;
mod password;
mod session;
mod tokens;
mod verify;

use fb_app::{Account, AppError, Session};
use http::header;
use serde_json::{Map, Value};

use crate::codes;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = session::routes();
    routes.extend(password::routes());
    routes.extend(verify::routes());
    routes.extend(mfa::routes());
    routes.extend(tokens::routes());
    routes.extend(oauth::routes());
    routes
}

/// The user, and a token where there is one.
fn user(account: &Account) -> Reply {
    Reply::json_bytes(200, account.user.body())
        .etag(account.user.version())
        .header(header::CACHE_CONTROL, "private, no-store")
        .token(account.token.as_ref())
}

/// The session of whoever has to be logged in; others are not found, as clients expect of these paths.
fn session(ctx: &Ctx) -> Result<&Session, ApiError> {
    match &ctx.session {
        Ok(Some(session)) => Ok(session),
        Ok(None) | Err(AppError::BadToken) => Err(ApiError::new(codes::NOT_FOUND, "Nobody is logged in.")),
        Err(_) => Err(ctx
            .caller()
            .err()
            .unwrap_or_else(|| ApiError::new(codes::UNAVAILABLE, "Try again shortly."))),
    }
}

fn string(body: &Map<String, Value>, name: &str) -> Result<String, ApiError> {
    match body.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(ApiError::bad_request(format!(
            "The body needs the member `{name}`, a string."
        ))),
    }
}

fn flag(body: &Map<String, Value>, name: &str, default: bool) -> Result<bool, ApiError> {
    match body.get(name) {
        Some(Value::Bool(flag)) => Ok(*flag),
        None | Some(Value::Null) => Ok(default),
        Some(_) => Err(ApiError::bad_request(format!("`{name}` must be true or false."))),
    }
}
