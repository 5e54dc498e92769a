//! `/code`: reading and writing code, and calling modules.

use fb_app::caching::{Group, KeptAnswer, Lifetime, tags};
use fb_app::functions::{CodeType, ModuleCall};
use fb_functions::HttpResponse;
use http::{Method, header};
use serde_json::{Value, json};

use crate::code::{Origin, describe, set_headers, utf8};
use crate::context::{Ctx, Request, check_json};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};
use crate::routes::queries::{self, is_known};

const TEXT: &str = "text/plain;charset=utf-8";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/code" list_code, "List the modules", Access::Admin, answers: &[(200, Some("StringList"))]),
        route!(GET "/code-content" list_code_content, "All code with its texts", Access::Admin,
            answers: &[(200, Some("Anything"))]),
        route!(GET "/code/{bucket}" call_module_get, "Call a module", Access::Public,
            query: &[("cached", "true: with a lifetime, if the module says that it may be kept")],
            answers: &[(200, Some("Anything")), (204, None), (304, None)]),
        route!(POST "/code/{bucket}" call_module_post, "Call a module with a body", Access::Public, body: "Anything",
            answers: &[(200, Some("Anything")), (204, None)]),
        route!(GET "/code/{bucket}/{type}" get_code, "Read a piece of code", Access::Admin, answers: &[(200, None)]),
        route!(PUT "/code/{bucket}/{type}" set_code, "Write a piece of code", Access::Admin, body: "Code",
            answers: &[(200, None)]),
        route!(DELETE "/code/{bucket}/{type}" delete_code, "Delete a piece of code", Access::Admin,
            answers: &[(204, None)]),
    ]
}

async fn list_code(ctx: Ctx) -> Result<Reply, ApiError> {
    let modules = ctx.app.list_modules(&ctx.caller()?)?;
    Ok(Reply::json(200, &json!(modules)).header(header::CACHE_CONTROL, "private, no-store"))
}

async fn list_code_content(ctx: Ctx) -> Result<Reply, ApiError> {
    let all = ctx.app.all_code(&ctx.caller()?)?;
    let all: Vec<Value> = all
        .into_iter()
        .map(|(id, text)| json!({ "id": id, "code": &*text }))
        .collect();
    Ok(Reply::json(200, &json!(all)).header(header::CACHE_CONTROL, "private, no-store"))
}

async fn get_code(ctx: Ctx) -> Result<Reply, ApiError> {
    let text = ctx.app.read_code(&ctx.caller()?, &ctx.bucket()?, code_type(&ctx)?)?;
    Ok(source(&text))
}

async fn set_code(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    fb_auth::authorize_admin(&caller, "write code").map_err(fb_app::AppError::from)?;
    let kind = code_type(&ctx)?;
    let limit = ctx.state.limits.body_bytes;
    let body = ctx.request.bytes(limit).await?;
    let text = utf8(&body)?;
    ctx.app.write_code(&caller, &ctx.bucket()?, kind, text).await?;
    Ok(source(text))
}

async fn delete_code(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.app
        .delete_code(&ctx.caller()?, &ctx.bucket()?, code_type(&ctx)?)
        .await?;
    Ok(Reply::empty(204))
}

fn code_type(ctx: &Ctx) -> Result<CodeType, ApiError> {
    Ok(ctx.request.param("type")?.parse()?)
}

/// Clients take the text as it is, so it goes out as it came in.
fn source(text: &str) -> Reply {
    Reply::text(200, TEXT, text.to_owned())
        .header(header::CACHE_CONTROL, "private, no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

async fn call_module_get(ctx: Ctx) -> Result<Reply, ApiError> {
    call(ctx).await
}

async fn call_module_post(ctx: Ctx) -> Result<Reply, ApiError> {
    call(ctx).await
}

/// What a page may do that is one of many origins behind one name: everything, in an origin of its own.
const OWN_ORIGIN: &str = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

/// A body that code gets as a parsed value. That it cannot be parsed is the client's mistake, not the code's.
fn is_json(request: &Request) -> bool {
    let media_type = request.header(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

async fn call(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let limit = ctx.state.limits.module_body_bytes;
    let body = ctx.request.bytes(limit).await?;
    if is_json(&ctx.request) && !body.is_empty() {
        check_json(&body, "the body")?;
    }
    let name = ctx.bucket()?.into_owned();
    // Below the module's name.
    let mut request = describe(&ctx.state, &ctx.request, "/");
    // As it was sent, but for a token in it, which `describe` leaves out.
    let path = ctx.request.path();
    request["originalUrl"] = match request["query"].as_str() {
        None | Some("") => json!(path),
        Some(query) => json!(format!("{path}?{query}")),
    };
    let call = ModuleCall {
        name: &name,
        request,
        body,
        depth: ctx.code.as_ref().map_or(0, |code| code.depth),
    };
    let (answer, kept) = match may_be_kept(&ctx) {
        true => {
            let (bucket, query) = (ctx.request.raw_param("bucket"), ctx.request.uri.query());
            let url = query.map_or_else(|| format!("/code/{bucket}"), |query| format!("/code/{bucket}?{query}"));
            Box::pin(ctx.app.call_module_to_keep(&caller, call, &url)).await?
        }
        false => (ctx.app.call_module(&caller, call).await?, None),
    };
    let tag = kept.is_some().then(|| tag_of(&answer));
    let mut reply = match &tag {
        Some(tag) if is_known(&ctx, tag) => Reply::empty(304),
        _ => Reply::bytes(answer.status, answer.body),
    };
    // Apps that are reached by path share an origin with others and with the server's own pages.
    let origin = Origin::of(ctx.request.path());
    if origin == Origin::Shared {
        reply.set_header(header::CONTENT_SECURITY_POLICY, OWN_ORIGIN);
    }
    let is_cacheable = answer
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("cache-control"));
    set_headers(&mut reply, origin, answer.headers);
    if !is_cacheable {
        reply.set_header(header::CACHE_CONTROL, "private, no-store");
    }
    let reply = reply.header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    Ok(match (kept, tag) {
        (Some(kept), Some(tag)) => keep(&ctx, reply, kept, &tag)?,
        _ => reply,
    })
}

/// Whether the filter could name the answer: by a URL that is nobody's own, and asked for only once.
fn may_be_kept(ctx: &Ctx) -> bool {
    let query = ctx.request.uri.query().unwrap_or_default();
    let is_own = query
        .split('&')
        .any(|pair| pair.starts_with("BAT=") || pair == "BCB" || pair.starts_with("BCB="));
    ctx.request.method == Method::GET && ctx.code.is_none() && !is_own
}

/// The module's own tag, or one of what it says.
fn tag_of(answer: &HttpResponse) -> String {
    let of = |wanted: &str| {
        let mut headers = answer.headers.iter();
        headers.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
    };
    match of("etag") {
        Some(tag) => tag.clone(),
        None => {
            let kind = of("content-type").map(String::as_str).unwrap_or_default();
            queries::tag_of([kind.as_bytes(), b"\0", &answer.body])
        }
    }
}

/// The answer as what everybody may keep. Who does not say that it follows the filter, for answers of modules too, asks each time.
fn keep(ctx: &Ctx, mut reply: Reply, kept: KeptAnswer, tag: &str) -> Result<Reply, ApiError> {
    reply.set_header(header::ETAG, tag);
    if kept.lifetime.is_some() {
        ctx.count(&mut reply, Group::Module(&ctx.bucket()?));
    }
    let follows_filter = ctx.request.query("cached")?.as_deref() == Some("true");
    Ok(match kept.lifetime {
        Some(lifetime) => {
            let browser = if follows_filter { lifetime.browser } else { 0 };
            // Also for those who ask each time: the edge can tell them that it is as it was.
            let at_edges = if kept.is_purged {
                lifetime.browser
            } else {
                lifetime.edge
            };
            ctx.kept_and_purged_late(reply, Lifetime { browser, ..lifetime }, at_edges, || {
                let app = ctx.app.id();
                vec![tags::app(app), tags::code(app), tags::answer(app, kept.number)]
            })
        }
        None => reply.header(header::CACHE_CONTROL, "no-cache"),
    })
}
