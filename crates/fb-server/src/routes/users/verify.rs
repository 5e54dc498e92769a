//! The links of mails, and changing the user name, which needs one.

use fb_app::AppError;
use fb_auth::Secret;
use http::{Method, header};

use super::string;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/db/User/changeUsername" change_username,
            "Ask for another user name, which the link in a mail to it confirms", Access::Public,
            body: "ChangeUsername", answers: &[(204, None)]),
        route!(GET "/db/User/verify" verify, "Activate the account of a registration mail's link", Access::Public,
            query: &[("token", "The link's secret")], answers: &[(204, None)]),
        route!(GET "/db/User/verifyUsername" verify_username, "Change the user name as a mail's link says",
            Access::Public, query: &[("token", "The link's secret")], answers: &[(204, None)]),
    ]
}

async fn change_username(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let body = ctx.json_object().await?;
    let (username, new) = (string(&body, "username")?, string(&body, "newUsername")?);
    let password = Secret::new(string(&body, "password")?);
    // A stale token must not keep anybody from changing the name.
    let session = ctx.session.as_ref().ok().and_then(Option::as_ref);
    ctx.app
        .request_username(&ctx.source(), session, &username, &new, &password)
        .await?;
    Ok(Reply::empty(204))
}

async fn verify(ctx: Ctx) -> Result<Reply, ApiError> {
    let token = token(&ctx)?;
    let done = ctx.app.verify_registration(&token).await;
    answer(&ctx, done, "Your e-mail address is confirmed. You can log in now.")
}

async fn verify_username(ctx: Ctx) -> Result<Reply, ApiError> {
    let token = token(&ctx)?;
    let done = ctx.app.verify_username(&token).await;
    answer(
        &ctx,
        done,
        "Your new user name is confirmed. You can log in with it now.",
    )
}

/// Links are used up by GET alone: what looks at them in advance asks with HEAD.
fn token(ctx: &Ctx) -> Result<String, ApiError> {
    if ctx.request.method != Method::GET {
        return Err(ApiError::bad_request("Links are opened with GET."));
    }
    let token = ctx.request.query("token")?;
    token.ok_or_else(|| ApiError::bad_request("The parameter token is missing."))
}

/// Programs get a status, people who follow the link in a browser a page: the app's if it has one.
fn answer(ctx: &Ctx, done: Result<(), AppError>, success: &str) -> Result<Reply, ApiError> {
    let accept = ctx.request.header(header::ACCEPT).unwrap_or("");
    let settings = ctx.app.settings();
    let (url, status, text) = match done {
        Ok(()) if !accept.contains("text/html") => return Ok(Reply::empty(204)),
        Ok(()) => (settings.mail.verified_url.clone(), 200, success),
        Err(AppError::BadLink) if accept.contains("text/html") => {
            let text = "This link is not valid any more: it was used already, or it is too old.";
            (settings.mail.failed_url.clone(), 460, text)
        }
        Err(error) => return Err(error.into()),
    };
    let reply = match url {
        Some(url) => {
            let mut reply = Reply::empty(302);
            reply.set_header(header::LOCATION, &url);
            reply
        }
        None => Reply::text(
            status,
            "text/html;charset=utf-8",
            format!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{text}</title>\
                 <link rel=\"stylesheet\" href=\"reset.css\"></head><body><main><p>{text}</p></main></body></html>\n"
            ),
        )
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
        )
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    };
    Ok(reply
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer"))
}
