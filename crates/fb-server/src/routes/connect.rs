//! `/connect`: the first request of every client, and the page that browser clients load into an iframe.
//!
//! Any page may have this one in a frame, which is what it is for. It answers to that page alone, holds a token only if that page
//! has sent one, reads nothing but the API, and hands logins with other providers to the app's own pages; see `connect.js`.

use std::fmt::Write;
use std::sync::LazyLock;

use fb_auth::{Principal, Secret};
use http::{Method, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::caching::micro_cached;
use super::devices;
use super::schema::schema_json;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

const SCRIPT: &str = include_str!("../../assets/connect.js");
/// Which script it is. Pages ask for it under this name, so that browsers need not ask whether it is still the same one.
static SCRIPT_VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut version = fb_auth::fingerprint(SCRIPT);
    version.truncate(16);
    version
});
/// Largest form that carries a token.
const FORM_BYTES: usize = 16 << 10;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/connect" connect, "Schema, user and token for a client that starts; a page for browsers",
            Access::Public, answers: &[(200, Some("Connect"))]),
        route!(POST "/connect" connect_via_post, "The same, with the token in a form field", Access::Public,
            answers: &[(200, Some("Connect"))]),
        route!(GET "/connect.js" connect_script, "The script of the connect page", Access::Public,
            query: &[("v", "Version of the script; the answer may be kept if it is the current one")],
            answers: &[(200, None)]),
    ]
}

async fn connect(ctx: Ctx) -> Result<Reply, ApiError> {
    answer(&ctx).await
}

async fn connect_via_post(mut ctx: Ctx) -> Result<Reply, ApiError> {
    if ctx.request.content_type_is("application/x-www-form-urlencoded") {
        let body = ctx.request.bytes(FORM_BYTES).await?;
        let form = String::from_utf8_lossy(&body);
        let token = form.split('&').find_map(|pair| pair.strip_prefix("BAT="));
        if let Some(token) = token {
            let token = percent_decode_str(token).decode_utf8_lossy();
            ctx.session = ctx.app.authenticate(&token).await.map(Some);
        }
    }
    answer(&ctx).await
}

/// Who presents a token that is not valid is simply not logged in.
async fn answer(ctx: &Ctx) -> Result<Reply, ApiError> {
    let session = ctx.session.as_ref().ok().and_then(Option::as_ref);
    let (user, token) = match session {
        Some(session) => {
            let account = ctx.app.me(session)?;
            let user: Value = serde_json::from_slice(&account.user.body())
                .map_err(|e| fb_app::AppError::internal("reading a user", e))?;
            (Some(user), account.token)
        }
        None => (None, None),
    };
    let caller = session.map_or_else(Principal::anonymous, |session| session.principal.clone());
    let device = match devices::of_cookie(ctx, &caller).await? {
        Some(device) => {
            serde_json::from_slice(&device.body()).map_err(|e| fb_app::AppError::internal("reading a device", e))?
        }
        None => Value::Null,
    };
    let is_private = session.is_some() || !device.is_null();
    let caching = ctx.app.settings().caching.clone();
    let filter: Value = serde_json::from_slice(&ctx.app.filter().await.json())
        .map_err(|e| fb_app::AppError::internal("reading the filter", e))?;
    let mut body = json!({
        "bloomFilterRefresh": caching.filter_refresh(),
        "schema": schema_json(&ctx.app, &ctx.app.schema()),
        "token": token.as_ref().map(Secret::expose),
        "device": device,
        "bloomFilter": filter,
        "gzip": false,
    });
    if let Some(user) = user {
        body["user"] = user;
    }
    // A navigation asks for HTML first; clients ask for JSON.
    let accept = ctx.request.header(header::ACCEPT).unwrap_or("");
    let html = accept.find("text/html");
    let reply = match (html, accept.find("application/json")) {
        (Some(html), Some(json)) if json < html => Reply::json(200, &body),
        (Some(_), _) => page(&body, token.as_ref(), &ctx.app.settings().oauth.authorized_domains),
        (None, _) => Reply::json(200, &body),
    };
    if is_private {
        return Ok(reply.header(header::CACHE_CONTROL, "private, no-store"));
    }
    // A cache that has this for nobody must not give it to somebody.
    let reply = reply.header(header::VARY, "Accept, Authorization, Cookie");
    Ok(match ctx.request.method == Method::POST {
        true => reply.header(header::CACHE_CONTROL, "no-cache"),
        false => micro_cached(reply, caching.edge_staleness),
    })
}

/// The page that relays requests of the SDK's iframe connector. The answer to the first one, `/connect`, is part of it.
/// `login_origins` are those that get what a login with another provider gives, besides the page's own; checked origins have no
/// character that means something in HTML.
fn page(connect: &Value, token: Option<&Secret>, login_origins: &[String]) -> Reply {
    // Inside a script element only `</` and `<!--` could end the text; JSON allows the escape for every `<`.
    let json = connect.to_string().replace('<', "\\u003c");
    let mut html =
        String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Connect</title>\n");
    let _ = write!(
        html,
        "<script id=\"/connect\" type=\"application/json\" data-cache-control=\"no-cache\""
    );
    if let Some(token) = token {
        let _ = write!(html, " data-token=\"{}\"", token.expose());
    }
    let _ = write!(
        html,
        ">{json}</script>\n<script src=\"connect.js?v={}\" data-login-origins=\"{}\"></script></head><body></body></html>\n",
        *SCRIPT_VERSION,
        login_origins.join(" ")
    );
    Reply::text(200, "text/html;charset=utf-8", html)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(
            header::CONTENT_SECURITY_POLICY,
            // Without a word about frames: any scheme may be above it, also that of local files.
            "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'",
        )
}

async fn connect_script(ctx: Ctx) -> Result<Reply, ApiError> {
    let is_this_one = ctx.request.query("v")?.as_ref() == Some(&*SCRIPT_VERSION);
    let caching = if is_this_one {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    Ok(Reply::text(200, "text/javascript;charset=utf-8", SCRIPT)
        .header(header::CACHE_CONTROL, caching)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
}
