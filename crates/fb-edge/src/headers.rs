//! Which headers pass the edge, and which ones do not.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, header};

use crate::lines::Lines;
use crate::target::Target;

/// Names of the keys that an answer is purged by, separated by spaces. Of the origin for the edge; not passed on.
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Headers of one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// With these, clients have servers take a request for another one. Clients have no say in that.
const FORGERIES: [&str; 19] = [
    "freshbase-edge",
    "freshbase-edge-bound",
    "forwarded",
    "x-forwarded",
    "x-forwarded-by",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-host",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// What may be in a request without being anything that its answer can depend on: read by the edge, or removed.
const UNSEEN: [HeaderName; 8] = [
    HOST,
    header::CACHE_CONTROL,
    header::PRAGMA,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    CONTENT_LENGTH,
    FORWARDED_FOR,
];

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The address that the connection came from.
    pub ip: IpAddr,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
}

/// Removes what concerns one connection only.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        named.iter().for_each(|name| drop(headers.remove(name)));
    }
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(name)));
}

/// Makes headers of a request to the origin out of a client's.
pub(crate) fn forward(headers: &mut HeaderMap, target: &Target<'_>, peer: Peer) {
    strip_hop_by_hop(headers);
    FORGERIES.iter().for_each(|name| drop(headers.remove(*name)));
    let mut route: Vec<u8> = Vec::new();
    for value in headers.get_all(FORWARDED_FOR) {
        route.extend_from_slice(value.as_bytes());
        route.extend_from_slice(b", ");
    }
    route.extend_from_slice(peer.ip.to_string().as_bytes());
    set(headers, FORWARDED_FOR, &route);
    name_target(headers, target);
}

/// Says on whose behalf a request of the edge itself is: limits count for that client.
pub(crate) fn name_client(headers: &mut HeaderMap, peer: Peer) {
    set(headers, FORWARDED_FOR, peer.ip.to_string().as_bytes());
}

/// Sets the host that a request is for, as its key has it.
pub(crate) fn name_target(headers: &mut HeaderMap, target: &Target<'_>) {
    set(headers, HOST, target.authority.as_bytes());
    set(headers, FORWARDED_HOST, target.authority.as_bytes());
    set(headers, FORWARDED_PROTO, if target.is_tls { b"https" } else { b"http" });
}

pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    // What is set is made of what was a header already, and of addresses.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// Whether an answer can depend on nothing in these headers.
pub(crate) fn are_unseen(headers: &HeaderMap) -> bool {
    let is_unseen =
        |name: &HeaderName| UNSEEN.contains(name) || HOP_BY_HOP.contains(name) || FORGERIES.contains(&name.as_str());
    headers.keys().all(is_unseen)
}

/// Whether the request says who sends it.
pub(crate) fn has_credentials(request: &impl Lines) -> bool {
    request.has(&header::AUTHORIZATION) || request.has(&header::COOKIE)
}

/// Whether an answer carries something that is for one client only.
pub(crate) fn has_secrets(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        ["cookie", "token", "authenticat", "authoriz"]
            .iter()
            .any(|part| name.contains(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(list: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn s39_forged_headers_do_not_reach_the_origin() {
        let forged: Vec<(&str, &str)> = FORGERIES.iter().map(|name| (*name, "evil")).collect();
        let mut headers = map(&forged);
        headers.insert(FORWARDED_FOR, "9.9.9.9".parse().unwrap());
        headers.insert(CONNECTION, "x-secret, close".parse().unwrap());
        headers.insert("x-secret", "1".parse().unwrap());
        let target = Target {
            is_tls: true,
            authority: "a.example".into(),
            path: "/",
        };
        let peer = Peer {
            ip: [10, 0, 0, 1].into(),
            is_tls: true,
        };
        forward(&mut headers, &target, peer);
        let expected = map(&[
            ("x-forwarded-for", "9.9.9.9, 10.0.0.1"),
            ("host", "a.example"),
            ("x-forwarded-host", "a.example"),
            ("x-forwarded-proto", "https"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn headers_with_tokens_and_cookies_are_secrets_whatever_their_names() {
        for name in [
            "set-cookie",
            "baqend-authorization-token",
            "baqend-mfa-auth-token",
            "www-authenticate",
            "x-csrf-token",
        ] {
            assert!(has_secrets(&map(&[(name, "x")])), "{name}");
        }
        assert!(!has_secrets(&map(&[
            ("etag", "\"1\""),
            ("access-control-expose-headers", "baqend-authorization-token")
        ])));
    }
}
