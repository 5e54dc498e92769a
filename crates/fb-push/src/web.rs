//! Web Push: RFC 8030 with an encrypted body.

use fb_outbound::{Outbound, Request};
use fb_types::Timestamp;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};

use crate::encrypt::encrypt;
use crate::wire::by_status;
use crate::{Message, PushError, Subscription, VapidKeys};

/// Sends one message. Services answer 201; 404 and 410 say that the subscription has ended.
pub(crate) async fn send(
    outbound: &Outbound,
    keys: &VapidKeys,
    contact: &str,
    subscription: &Subscription,
    message: &Message,
    now: Timestamp,
) -> Result<(), PushError> {
    let rejected = |reason: &str| PushError::Rejected {
        reason: reason.to_owned(),
    };
    let body = encrypt(subscription, message.for_web().as_bytes()).map_err(|_| rejected("it cannot be encrypted"))?;
    let mut request = Request::new(Method::POST, subscription.endpoint.clone());
    request.body = body.into();
    let authorization = keys.authorization(&subscription.origin, contact, now)?;
    let mut authorization = HeaderValue::from_str(&authorization).map_err(|_| rejected("the contact is no URL"))?;
    authorization.set_sensitive(true);
    let headers = &mut request.headers;
    headers.insert(header::AUTHORIZATION, authorization);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(HeaderName::from_static("ttl"), HeaderValue::from(message.ttl()));
    let answer = outbound.send(request).await?;
    match answer.status.as_u16() {
        200..=299 => Ok(()),
        404 | 410 => Err(PushError::Gone),
        _ => Err(by_status(&answer, "", now)),
    }
}
