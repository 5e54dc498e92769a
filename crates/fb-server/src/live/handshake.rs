//! The opening handshake of a WebSocket (RFC 6455, section 4.2), as far as it is HTTP.

use data_encoding::BASE64;
use http::{HeaderMap, Version, header};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::codes;
use crate::error::ApiError;
use crate::reply::Reply;

/// The answer to a handshake. Errors: 426 for what is none.
pub(crate) fn accept(headers: &HeaderMap) -> Result<Reply, ApiError> {
    let refused = |text: &str| {
        ApiError::new(codes::UPGRADE_REQUIRED, text)
            .with(header::UPGRADE, "websocket")
            .with(header::SEC_WEBSOCKET_VERSION, "13")
    };
    if !names(headers, header::CONNECTION, "upgrade") || !names(headers, header::UPGRADE, "websocket") {
        return Err(refused(
            "This is an endpoint for WebSockets; GET /v1/events/{bucket} gives events over plain HTTP.",
        ));
    }
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Err(refused("The version of the WebSocket protocol must be 13."));
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .map_or(&[][..], |key| key.as_bytes());
    if BASE64.decode(key).map(|key| key.len()) != Ok(16) {
        return Err(ApiError::bad_request("Sec-WebSocket-Key must be 16 bytes in base64."));
    }
    let mut reply = Reply::empty(101)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket");
    reply.set_header(header::SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key));
    Ok(reply)
}

/// True if a header with a list of words has this one.
fn names(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(word))
}

/// The connection of a request that asks for something else than HTTP. `None` for all others.
pub(crate) fn upgrade_of(version: Version, extensions: &mut http::Extensions) -> Option<OnUpgrade> {
    // HTTP/2 has another way, which is not offered: clients open a connection of their own.
    match version {
        Version::HTTP_11 => extensions.remove(),
        _ => None,
    }
}
