//! Change, set, reset and remove passwords.

use fb_app::PasswordChange;
use fb_auth::Secret;
use http::header;
use serde_json::Value;

use super::{session, string, user};
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/db/User/password" new_password,
            "Replace a password: with the old one, with the token of a reset mail, or as administrator", Access::Public,
            body: "NewPassword", answers: &[(200, Some("Object"))]),
        route!(DELETE "/db/User/password" remove_password, "Remove the own password, for accounts that log in elsewhere",
            Access::LoggedIn, answers: &[(204, None)]),
        route!(POST "/db/User/reset" reset_password,
            "Send a mail with a link to choose a new password; the answer is the same whether there is such a user",
            Access::Public, body: "Username", answers: &[(200, Some("Anything"))]),
        route!(GET "/db/User/reset" reset_page, "The page that the link of a reset mail leads to", Access::Public,
            answers: &[(200, None)]),
        route!(GET "/db/User/reset.js" reset_script, "The page's script", Access::Public, answers: &[(200, None)]),
        route!(GET "/db/User/reset.css" reset_style, "The page's style", Access::Public, answers: &[(200, None)]),
    ]
}

async fn new_password(mut ctx: Ctx) -> Result<Reply, ApiError> {
    // A stale token must not keep anybody from choosing a new password.
    let body = ctx.json_object().await?;
    let session = ctx.session.as_ref().ok().and_then(Option::as_ref);
    let change = match body.get("token") {
        None | Some(Value::Null) => PasswordChange::Old {
            username: string(&body, "username")?,
            password: Secret::new(string(&body, "password")?),
        },
        Some(_) => PasswordChange::Link(string(&body, "token")?),
    };
    let new = Secret::new(string(&body, "newPassword")?);
    let account = ctx.app.change_password(&ctx.source(), session, &change, &new).await?;
    Ok(user(&account))
}

async fn remove_password(ctx: Ctx) -> Result<Reply, ApiError> {
    let token = ctx.app.remove_password(session(&ctx)?).await?;
    Ok(Reply::empty(204).token(token.as_ref()))
}

async fn reset_password(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let body = ctx.json_object().await?;
    ctx.app.request_reset(&ctx.source(), &string(&body, "username")?)?;
    Ok(Reply::json(200, &Value::Null))
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; \
    frame-ancestors 'none'; base-uri 'none'";

fn asset(content_type: &'static str, text: &'static str) -> Result<Reply, ApiError> {
    // The page's address holds a secret: it must not reach other servers.
    Ok(Reply::text(200, content_type, text)
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::CACHE_CONTROL, "no-cache"))
}

async fn reset_page(_ctx: Ctx) -> Result<Reply, ApiError> {
    asset("text/html;charset=utf-8", include_str!("../../../assets/reset.html"))
}

async fn reset_script(_ctx: Ctx) -> Result<Reply, ApiError> {
    asset(
        "text/javascript;charset=utf-8",
        include_str!("../../../assets/reset.js"),
    )
}

async fn reset_style(_ctx: Ctx) -> Result<Reply, ApiError> {
    asset("text/css;charset=utf-8", include_str!("../../../assets/setup.css"))
}
