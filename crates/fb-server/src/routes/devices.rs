//! `/db/Device/…`: registering devices, and sending messages to them.
//!
//! A client is known by a cookie, which is the protocol's way; nothing else in the API sets one for clients to keep. It says
//! which device is the client's own, and lets it load and delete that.

use fb_app::DeviceWish;
use fb_app::objects::Seen;
use fb_auth::Principal;
use fb_types::ObjectKey;
use fb_types::schema::DEVICE;
use http::header;
use serde_json::{Map, Value};

use crate::codes;
use crate::context::{Ctx, parse_json};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

/// Largest body of a registration: anybody may send one.
const REGISTRATION_BYTES: usize = 32 << 10;
/// How long browsers keep the cookie, in seconds: 400 days, the longest they allow.
const COOKIE_SECONDS: u32 = 400 * 24 * 3600;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/db/Device/register" register_device,
            "Register this client for push messages; the answer sets the cookie that it is known by",
            Access::Class(&["insert"]), body: "DeviceRegistration", answers: &[(200, Some("Object"))]),
        route!(GET "/db/Device/registered" is_device_registered,
            "The device of this client's cookie; 404 if it has none", Access::Public, answers: &[(200, Some("Object"))]),
        route!(POST "/db/Device/push" push_message,
            "Send a push message to devices, for administrators and members of the role node", Access::Admin,
            body: "PushMessage", answers: &[(204, None)]),
    ]
}

async fn register_device(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let body = ctx.request.bytes(REGISTRATION_BYTES).await?;
    let Value::Object(mut body) = parse_json(&body, "the body")? else {
        return Err(ApiError::bad_request("The body must be a JSON object."));
    };
    let fields = match body.remove("device") {
        None | Some(Value::Null) => None,
        Some(Value::Object(fields)) => Some(fields),
        Some(_) => return Err(ApiError::bad_request("device must be an object or null.")),
    };
    let wish = DeviceWish {
        platform: text(&body, "devicetype").to_owned(),
        subscription: body.remove("subscription").unwrap_or_default(),
        fields,
    };
    let registered = ctx.app.register_device(&ctx.source(), &caller, &wish).await?;
    let mut reply = own(&registered.device);
    // From another site's page browsers send such a cookie over HTTPS only, and only if it says so.
    let attributes = if is_https(&ctx) {
        "; SameSite=None; Secure; HttpOnly"
    } else {
        "; HttpOnly"
    };
    let name = cookie_name(&ctx);
    let value = registered.cookie.expose();
    let cookie = format!("{name}={value}; Path=/; Max-Age={COOKIE_SECONDS}{attributes}");
    reply.set_header(header::SET_COOKIE, &cookie);
    Ok(reply)
}

fn text<'b>(body: &'b Map<String, Value>, name: &str) -> &'b str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

async fn is_device_registered(ctx: Ctx) -> Result<Reply, ApiError> {
    match of_cookie(&ctx, &ctx.caller()?).await? {
        Some(device) => Ok(own(&device)),
        None => {
            let text = "This client has no registered device.";
            Err(ApiError::new(codes::NOT_FOUND, text))
        }
    }
}

async fn push_message(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    fb_auth::authorize_code(&caller, "send push messages").map_err(fb_app::AppError::from)?;
    let message = ctx.json_object().await?;
    ctx.app.push(&caller, &message)?;
    Ok(Reply::empty(204))
}

/// An answer that depends on the cookie.
fn own(device: &Seen) -> Reply {
    Reply::json_bytes(200, device.body())
        .etag(device.version())
        .header(header::CACHE_CONTROL, "private, no-store")
}

/// The device of the request's cookie, as the caller sees it.
pub(crate) async fn of_cookie(ctx: &Ctx, caller: &Principal) -> Result<Option<Seen>, ApiError> {
    match cookie(ctx) {
        Some(cookie) => Ok(ctx.app.registered_device(caller, &cookie).await?),
        None => Ok(None),
    }
}

/// The object that a path names, if it is the device of the request's cookie.
pub(crate) async fn own_device(
    ctx: &Ctx,
    caller: &Principal,
    bucket: &str,
    key: &ObjectKey,
) -> Result<Option<Seen>, ApiError> {
    if bucket != DEVICE {
        return Ok(None);
    }
    let device = of_cookie(ctx, caller).await?;
    Ok(device.filter(|device| device.key() == key))
}

/// The request's cookie if it looks like one of ours.
pub(crate) fn cookie(ctx: &Ctx) -> Option<String> {
    let name = cookie_name(ctx);
    // HTTP/2 may bring each one in a header of its own.
    let all = ctx.request.headers.get_all(header::COOKIE).iter();
    let mut pairs = all
        .filter_map(|header| header.to_str().ok())
        .flat_map(|all| all.split(';'));
    let value = pairs.find_map(|pair| pair.trim().strip_prefix(&name)?.strip_prefix('='))?;
    let is_ours = value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit());
    is_ours.then(|| value.to_owned())
}

/// Apps may share a host, so each has a cookie of its own.
fn cookie_name(ctx: &Ctx) -> String {
    format!("device-{}", ctx.app.id())
}

/// True if the client came over HTTPS, as far as that can be known: proxies that are trusted say so, others are believed
/// where the app's own address does.
pub(super) fn is_https(ctx: &Ctx) -> bool {
    let peer = ctx.request.peer.to_canonical();
    let says_https = || {
        let proto = ctx.request.headers.get("x-forwarded-proto")?.to_str().ok()?;
        Some(proto.trim().eq_ignore_ascii_case("https"))
    };
    let by_proxy = || ctx.state.trusted_proxies.iter().any(|proxy| proxy.contains(peer)) && says_https() == Some(true);
    let by_settings = || {
        let settings = ctx.app.settings();
        settings
            .public_url
            .as_ref()
            .is_some_and(|url| url.starts_with("https://"))
    };
    ctx.request.is_tls || by_proxy() || by_settings()
}
