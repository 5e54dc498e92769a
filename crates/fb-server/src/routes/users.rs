//! `/db/User/…`: register, log in, who am I.

use fb_app::{Account, AppError, NewUser};
use fb_auth::Secret;
use http::header;
use serde_json::{Map, Value};

use crate::codes;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/db/User/register" register, "Create a user account", Access::Public,
            body: "Registration", answers: &[(200, Some("Object"))]),
        route!(POST "/db/User/login" login, "Log in with name and password", Access::Public,
            body: "Login", answers: &[(200, Some("Object"))]),
        route!(GET "/db/User/me" me, "The user of the token, with a fresh token", Access::LoggedIn,
            answers: &[(200, Some("Object"))]),
        route!(GET "/db/User/validate" validate, "The user of the token", Access::LoggedIn,
            answers: &[(200, Some("Object"))]),
        route!(GET "/db/User/logout" logout, "Log out; clients forget their token", Access::Public,
            answers: &[(204, None)]),
    ]
}

async fn register(mut ctx: Ctx) -> Result<Reply, ApiError> {
    // A stale token must not keep anybody from registering.
    let caller = ctx.caller().unwrap_or_else(|_| fb_auth::Principal::anonymous());
    let mut body = ctx.json_object().await?;
    let fields = match body.remove("user") {
        Some(Value::Object(fields)) => fields,
        _ => {
            return Err(ApiError::bad_request(
                "The body needs the member `user`, an object with a username.",
            ));
        }
    };
    let login = match body.get("login") {
        Some(Value::Bool(login)) => *login,
        None | Some(Value::Null) => true,
        Some(_) => return Err(ApiError::bad_request("login must be true or false.")),
    };
    let password = Secret::new(string(&body, "password").unwrap_or_default());
    let account = ctx
        .app
        .register(
            &caller,
            &NewUser {
                fields,
                password,
                login,
            },
        )
        .await?;
    Ok(user(&account))
}

async fn login(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let body = ctx.json_object().await?;
    let (Some(username), Some(password)) = (string(&body, "username"), string(&body, "password")) else {
        return Err(ApiError::bad_request(
            "The body needs the members `username` and `password`, both strings.",
        ));
    };
    let account = ctx.app.login(&username, &Secret::new(password)).await?;
    Ok(user(&account))
}

async fn me(ctx: Ctx) -> Result<Reply, ApiError> {
    match &ctx.session {
        Ok(Some(session)) => Ok(user(&ctx.app.me(session)?)),
        Ok(None) | Err(AppError::BadToken) => Err(ApiError::new(codes::NOT_FOUND, "Nobody is logged in.")),
        Err(_) => ctx.caller().map(|_| Reply::empty(404)),
    }
}

async fn validate(ctx: Ctx) -> Result<Reply, ApiError> {
    match &ctx.session {
        Ok(Some(session)) => Ok(user(&Account {
            user: ctx.app.me(session)?.user,
            token: None,
        })),
        Ok(None) | Err(AppError::BadToken) => Err(ApiError::new(codes::NOT_FOUND, "Nobody is logged in.")),
        Err(_) => ctx.caller().map(|_| Reply::empty(404)),
    }
}

async fn logout(_ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(Reply::empty(204))
}

fn user(account: &Account) -> Reply {
    Reply::json_bytes(200, account.user.body())
        .etag(account.user.version())
        .header(header::CACHE_CONTROL, "private, no-store")
        .token(account.token.as_ref())
}

fn string(body: &Map<String, Value>, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).map(str::to_owned)
}
