//! Register, log in, who am I.

use fb_app::{Account, NewUser, Registered};
use fb_auth::{Principal, Secret};
use serde_json::Value;

use super::{flag, session, string, user};
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/db/User/register" register,
            "Create a user account; 204 if it waits for the link in a mail", Access::Public,
            body: "Registration", answers: &[(200, Some("Object")), (204, None)]),
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
    let caller = ctx.caller().unwrap_or_else(|_| Principal::anonymous());
    let mut body = ctx.json_object().await?;
    let fields = match body.remove("user") {
        Some(Value::Object(fields)) => fields,
        _ => {
            return Err(ApiError::bad_request(
                "The body needs the member `user`, an object with a username.",
            ));
        }
    };
    let password_hash = match body.get("passwordHash") {
        None | Some(Value::Null) => None,
        Some(_) => Some(Secret::new(string(&body, "passwordHash")?)),
    };
    let password = match (body.get("password"), &password_hash) {
        (None | Some(Value::Null), _) => String::new(),
        _ => string(&body, "password")?,
    };
    let new = NewUser {
        fields,
        password: Secret::new(password),
        password_hash,
        login: flag(&body, "login", true)?,
        long: flag(&body, "global", true)?,
    };
    match ctx.app.register(&ctx.source(), &caller, &new).await? {
        Registered::Active(account) => Ok(user(&account)),
        Registered::Pending => Ok(Reply::empty(204)),
    }
}

async fn login(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let body = ctx.json_object().await?;
    let (username, password) = (string(&body, "username")?, Secret::new(string(&body, "password")?));
    let long = flag(&body, "global", true)?;
    Ok(user(&ctx.app.login(&ctx.source(), &username, &password, long).await?))
}

async fn me(ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(user(&ctx.app.me(session(&ctx)?)?))
}

async fn validate(ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(user(&Account {
        user: ctx.app.me(session(&ctx)?)?.user,
        token: None,
    }))
}

async fn logout(_ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(Reply::empty(204))
}
