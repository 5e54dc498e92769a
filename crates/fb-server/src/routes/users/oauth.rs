//! Logins through other providers: to the provider, back from it, and on to whoever waits.

use fb_app::{AppError, OAuthCallback, OAuthEnd, OAuthWish};
use fb_auth::Secret;
use http::header;
use serde_json::json;

use crate::codes;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::{Reply, TOKEN_HEADER};
use crate::route::{Access, Route, route};

/// The cookie that binds a login to the browser that began it. Code cannot set it, see `crate::code`.
const COOKIE: &str = "freshbase-oauth";
/// Its name over HTTPS: browsers take it from this host only, so that neither plain HTTP nor a neighbour, another
/// `<app>.<domain>`, can put an attacker's login in its place.
const SECURE_COOKIE: &str = "__Host-freshbase-oauth";
/// How long the browser keeps it, in seconds: as long as a login may take.
const COOKIE_SECONDS: u32 = 600;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/db/User/OAuth/{provider}" oauth,
            "Login through a provider: without a code the way there, with one the way back", Access::Public,
            query: &[("code", "The provider's code"), ("state", "The login's state, or what a client wants to get back"),
                ("error_description", "Why the provider refused")],
            answers: &[(200, None), (302, None)]),
        route!(GET "/db/User/OAuth1/{provider}" oauth_start, "Login through a provider: the way there", Access::Public,
            answers: &[(302, None)]),
        route!(GET "/db/User/oauth.js" oauth_script, "The script of the page that ends a login", Access::Public,
            answers: &[(200, None)]),
    ]
}

async fn oauth(ctx: Ctx) -> Result<Reply, ApiError> {
    let query = |name| ctx.request.query(name);
    let code = query("code")?;
    let error = match query("error")? {
        Some(error) => Some((error, query("error_description")?)),
        None => query("error_description")?.map(|text| ("error".to_owned(), Some(text))),
    };
    if code.is_none() && error.is_none() {
        let is_browser = ctx
            .request
            .header(header::ACCEPT)
            .is_none_or(|accept| accept.contains("text/html"));
        if !is_browser {
            let text = "Logins on devices without a browser are not offered; open this address in a browser.";
            return Err(ApiError::new(codes::NOT_IMPLEMENTED, text));
        }
        return oauth_start(ctx).await;
    }
    let callback = OAuthCallback {
        state: query("state")?.unwrap_or_default(),
        code,
        iss: query("iss")?,
        error,
        browser: cookie(&ctx),
    };
    let provider = ctx.request.param("provider")?.into_owned();
    let end = match ctx.app.end_oauth(&ctx.source(), &provider, &callback).await {
        Ok(end) => end,
        // Not a login that began here: there is nobody to return to but the page itself.
        Err(error) => OAuthEnd {
            wish: OAuthWish::default(),
            result: Err(error),
        },
    };
    finish(&ctx, end)
}

/// Sends the browser to the provider.
async fn oauth_start(ctx: Ctx) -> Result<Reply, ApiError> {
    let provider = ctx.request.param("provider")?.into_owned();
    let wish = fb_app::App::oauth_wish(&ctx.request.query("state")?.unwrap_or_default());
    // A browser that is at several logins at once keeps one secret for all of them.
    let browser = match cookie(&ctx) {
        Some(known) => Secret::new(known),
        None => Secret::random().map_err(|e| AppError::internal("making a secret", e))?,
    };
    let url = ctx.app.begin_oauth(&ctx.source(), &provider, wish, &browser).await?;
    let mut reply = Reply::empty(302)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer");
    reply.set_header(header::LOCATION, &url);
    reply.set_header(header::SET_COOKIE, &set_cookie(&api(&ctx), browser.expose()));
    Ok(reply)
}

/// The app's own address, to which the provider returns.
fn api(ctx: &Ctx) -> String {
    let settings = ctx.app.settings();
    let url = settings.public_url.as_deref().unwrap_or_default();
    url.trim_end_matches('/').to_owned()
}

fn is_secure(api: &str) -> bool {
    api.starts_with("https:")
}

/// The `Set-Cookie` header of an app at `api`.
fn set_cookie(api: &str, secret: &str) -> String {
    let attributes = format!("Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax");
    if is_secure(api) {
        // The prefix demands this path.
        return format!("{SECURE_COOKIE}={secret}; Path=/; {attributes}; Secure");
    }
    // Only the addresses of logins get it.
    let path = api
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|i| &rest[i..]));
    let path = path.unwrap_or_default();
    format!("{COOKIE}={secret}; Path={path}/db/User; {attributes}")
}

fn cookie(ctx: &Ctx) -> Option<String> {
    // HTTP/2 may bring each one in a header of its own.
    let all = ctx.request.headers.get_all(header::COOKIE).iter();
    let all = all.filter_map(|header| header.to_str().ok());
    find_cookie(&api(ctx), all)
}

/// The secret among the `Cookie` headers of a request to an app at `api`.
fn find_cookie<'h>(api: &str, headers: impl Iterator<Item = &'h str>) -> Option<String> {
    let name = if is_secure(api) { SECURE_COOKIE } else { COOKIE };
    let mut cookies = headers.flat_map(|all| all.split(';')).map(str::trim);
    let value = cookies.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let is_ours = value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit());
    is_ours.then(|| value.to_owned())
}

/// Hands the outcome to the page that asked: in its address, or through the browser's storage to the window that waits.
fn finish(ctx: &Ctx, end: OAuthEnd) -> Result<Reply, ApiError> {
    let outcome = match end.result {
        Ok(account) => Ok(account),
        Err(error) => {
            let error = ApiError::from(error);
            if error.code.status >= 500 {
                ctx.log(&error);
            }
            Err(error)
        }
    };
    if let Some(redirect) = &end.wish.redirect {
        let encode = |text: &str| fb_types::encode_component(text);
        let parameters = match &outcome {
            Ok(account) => {
                let token = account.token.as_ref().map(Secret::expose).unwrap_or_default();
                format!("token={token}&loginOption={}", !end.wish.short)
            }
            Err(error) => {
                let mut text = format!("errorMessage={}", encode(&error.message));
                if let Some(token) = &error.mfa_token {
                    text.push_str(&format!("&mfaToken={}", token.expose()));
                }
                text
            }
        };
        let (page, fragment) = redirect.split_once('#').unwrap_or((redirect, ""));
        let separator = if page.contains('?') { '&' } else { '?' };
        let hash = if fragment.is_empty() { "" } else { "#" };
        let mut reply = Reply::empty(302)
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::REFERRER_POLICY, "no-referrer");
        reply.set_header(
            header::LOCATION,
            &format!("{page}{separator}{parameters}{hash}{fragment}"),
        );
        return Ok(reply);
    }
    let response = match outcome {
        Ok(account) => json!({
            "status": 200,
            "headers": {
                "content-type": "application/json",
                (TOKEN_HEADER.as_str()): account.token.as_ref().map(Secret::expose),
            },
            "entity": String::from_utf8_lossy(&account.user.body()),
        }),
        Err(error) => json!({
            "status": error.code.status,
            "headers": { "content-type": "application/json" },
            "entity": error.body(&ctx.request_id()).to_string(),
        }),
    };
    Ok(page(&response.to_string()))
}

/// Puts the response where the window that opened this one looks for it.
fn page(response: &str) -> Reply {
    // Inside a script element only `</` and `<!--` could end the text; JSON allows the escape for every `<`.
    let json = response.replace('<', "\\u003c");
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Login</title>\n\
         <script id=\"response\" type=\"application/json\">{json}</script>\n\
         <script src=\"../oauth.js\" defer></script></head><body><p id=\"message\">Logging in…</p></body></html>\n"
    );
    Reply::text(200, "text/html;charset=utf-8", html)
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'",
        )
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
}

async fn oauth_script(_ctx: Ctx) -> Result<Reply, ApiError> {
    let script = include_str!("../../../assets/oauth.js");
    Ok(Reply::text(200, "text/javascript;charset=utf-8", script)
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s20_over_https_only_the_host_itself_sets_the_cookie_of_a_login() {
        let secret = "0123456789abcdef0123456789abcdef";
        let api = "https://shop.example/apps/shop/v1";
        let line = set_cookie(api, secret);
        let mut parts = line.split("; ");
        assert_eq!(parts.next(), Some(format!("__Host-freshbase-oauth={secret}").as_str()));
        let attributes: Vec<&str> = parts.collect();
        for needed in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"] {
            assert!(attributes.contains(&needed), "{line}");
        }
        assert!(!line.contains("Domain"));
        // What somebody else put beside it or in its place counts for nothing.
        let tossed = "freshbase-oauth=ffffffffffffffffffffffffffffffff";
        assert_eq!(find_cookie(api, [tossed].into_iter()), None);
        let own = format!("a=b; __Host-freshbase-oauth={secret}");
        assert_eq!(
            find_cookie(api, [tossed, own.as_str()].into_iter()).as_deref(),
            Some(secret)
        );

        // Browsers take no such name over plain HTTP.
        let line = set_cookie("http://localhost:8080/v1", secret);
        assert!(
            line.starts_with(&format!("freshbase-oauth={secret}; Path=/v1/db/User; ")),
            "{line}"
        );
        let found = find_cookie("http://localhost:8080/v1", line.split(';'));
        assert_eq!(found.as_deref(), Some(secret));
    }
}
