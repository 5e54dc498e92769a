//! Websites: files of an app at the root of its host names.
//!
//! Which address is which file: `/` and folders are their index page, `/about` may be `about.html`; what is not there is the
//! page for that, or the single page whose script shows all addresses.

use std::sync::Arc;

use data_encoding::BASE64;
use fb_app::files::{OpenFile, SiteAccess};
use fb_app::{App, AppError, Site, Source, Visit};
use fb_auth::Secret;
use http::{Method, header};

use crate::codes;
use crate::content::{self, Role};
use crate::context::Request;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::routes::files::decode_path;

/// Answers a request for a page.
pub(crate) async fn serve(
    app: &Arc<App>,
    request: &Request,
    host: &str,
    source: impl FnOnce() -> Source,
) -> Result<Reply, ApiError> {
    if request.method != Method::GET && request.method != Method::HEAD {
        let text = "Pages are read with GET and HEAD. The API of the app is under /v1.";
        return Err(ApiError::new(codes::METHOD_NOT_ALLOWED, text).with(header::ALLOW, "GET, HEAD"));
    }
    let given = credentials(request);
    let given = given.as_ref().map(|(name, password)| (name.as_str(), password));
    let (site, access) = match app.visit(host, given, source)? {
        Visit::NoSite => return Err(nothing_here()),
        Visit::PasswordRequired => {
            // Only the letters of host names: the client chose it.
            let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            let name: String = host.chars().filter(is_plain).take(100).collect();
            let realm = format!("Basic realm=\"{name}\", charset=\"UTF-8\"");
            let text = "This site asks for a name and a password.";
            return Err(ApiError::new(codes::PASSWORD_REQUIRED, text).with(header::WWW_AUTHENTICATE, realm));
        }
        Visit::Site(site, access) => (site, access),
    };
    match find(app, request, &site, access).await? {
        Page::File(id, file) => content::answer(app, request, &id, &file, Role::Page).await,
        Page::Moved(to) => {
            let mut reply = Reply::empty(301).header(header::CACHE_CONTROL, "no-cache");
            reply.set_header(header::LOCATION, &to);
            Ok(reply)
        }
        Page::Missing => Box::pin(missing(app, request, &site, access)).await,
    }
}

enum Page {
    File(fb_types::FileId, OpenFile),
    Moved(String),
    Missing,
}

async fn find(app: &App, request: &Request, site: &Site, access: SiteAccess) -> Result<Page, ApiError> {
    let encoded = request.path().trim_start_matches('/');
    let Ok(path) = decode_path(encoded) else {
        return Ok(Page::Missing);
    };
    if path.is_empty() || path.ends_with('/') {
        return Ok(page(load(app, site, access, &format!("{path}{}", site.index)).await?));
    }
    if let Some((id, file)) = load(app, site, access, &path).await? {
        return Ok(Page::File(id, file));
    }
    if site.clean_urls
        && let Some((id, file)) = load(app, site, access, &format!("{path}.html")).await?
    {
        return Ok(Page::File(id, file));
    }
    if load(app, site, access, &format!("{path}/{}", site.index))
        .await?
        .is_some()
    {
        // With the slash relative links of the page lead into its folder. One slash at the beginning only: two would name a
        // host.
        let query = request.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
        return Ok(Page::Moved(format!("/{encoded}/{query}")));
    }
    Ok(Page::Missing)
}

fn page(found: Option<(fb_types::FileId, OpenFile)>) -> Page {
    found.map_or(Page::Missing, |(id, file)| Page::File(id, file))
}

/// A file of the site; `None` if there is none, or the visitor may not see it.
async fn load(
    app: &App,
    site: &Site,
    access: SiteAccess,
    path: &str,
) -> Result<Option<(fb_types::FileId, OpenFile)>, ApiError> {
    let Some(id) = site.file(path) else { return Ok(None) };
    match app.open_page(access, &id).await {
        Ok(file) => Ok(Some((id, file))),
        // To a visitor a page that is not for everybody is not there.
        Err(AppError::NoFile(_) | AppError::Denied(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn missing(app: &App, request: &Request, site: &Site, access: SiteAccess) -> Result<Reply, ApiError> {
    let last = request.path().rsplit('/').next().unwrap_or_default();
    // Scripts and images that are missing must not turn into a page.
    if site.single_page
        && !last.contains('.')
        && let Some((id, file)) = load(app, site, access, &site.index).await?
    {
        return content::answer(app, request, &id, &file, Role::Page).await;
    }
    if let Some((id, file)) = load(app, site, access, &site.not_found).await? {
        return content::stand_in(app, request, &id, &file).await;
    }
    Err(nothing_here())
}

pub(crate) fn nothing_here() -> ApiError {
    let text = "There is nothing here. Pages are the files of the bucket www; the API of an app is under /v1 or /apps/<app>/v1.";
    ApiError::new(codes::NO_ENDPOINT, text)
}

/// True if a browser asks for something to show.
pub(crate) fn is_navigation(request: &Request) -> bool {
    request
        .header(header::ACCEPT)
        .is_some_and(|accept| accept.contains("text/html"))
}

/// An error as a page: what it says is shown, and nothing in it runs.
pub(crate) fn error_page(error: ApiError, request_id: &str) -> Reply {
    let escape = |text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        text.replace('>', "&gt;").replace('"', "&quot;")
    };
    let page = include_str!("../assets/error.html")
        .replace("{reason}", &escape(error.code.reason))
        .replace("{message}", &escape(&error.message))
        .replace("{request}", &escape(request_id));
    let status = error.code.status;
    let mut reply = error.into_reply(request_id);
    let headers = std::mem::take(reply.headers_mut());
    let mut shown = Reply::text(status, "text/html;charset=utf-8", page)
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        )
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CACHE_CONTROL, "no-store");
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::CONTENT_TYPE) {
        shown.headers_mut().insert(name.clone(), value.clone());
    }
    shown
}

/// Name and password of basic authentication. Source: RFC 7617.
fn credentials(request: &Request) -> Option<(String, Secret)> {
    let value = request.header(header::AUTHORIZATION)?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), Secret::new(password)))
}
