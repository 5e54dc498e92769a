//! Where a browser receives messages: the JSON form of its `PushSubscription`.

use std::fmt;

use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;
use serde_json::Value;

use crate::encoding::from_any_base64;

/// Longest endpoint in bytes. Those of today's services have up to some 400.
const MAX_ENDPOINT: usize = 2000;

/// A browser's subscription. Whoever knows the endpoint can send to it, so it never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    pub(crate) endpoint: String,
    /// `https://push.example`, with the port if it is not the default.
    pub(crate) origin: String,
    pub(crate) public_key: [u8; 65],
    pub(crate) auth: [u8; 16],
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({}, ***)", self.origin)
    }
}

/// A JSON value is no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the subscription is not the JSON form of a browser's PushSubscription: {0}")]
pub struct SubscriptionError(&'static str);

impl Subscription {
    /// Reads `{"endpoint": …, "keys": {"p256dh": …, "auth": …}}`. Other members are ignored. Whether the endpoint may be
    /// requested is decided when it is.
    pub fn from_json(json: &Value) -> Result<Self, SubscriptionError> {
        let endpoint = json["endpoint"]
            .as_str()
            .ok_or(SubscriptionError("`endpoint` is missing"))?;
        let origin = origin_of(endpoint).ok_or(SubscriptionError("`endpoint` is no https URL"))?;
        let key = |name: &str| json["keys"][name].as_str().and_then(from_any_base64);
        let public_key: [u8; 65] = key("p256dh")
            .and_then(|key| key.try_into().ok())
            .filter(is_point)
            .ok_or(SubscriptionError("`keys.p256dh` is no public key of P-256"))?;
        let auth = key("auth").and_then(|auth| auth.try_into().ok());
        Ok(Self {
            endpoint: endpoint.to_owned(),
            origin,
            public_key,
            auth: auth.ok_or(SubscriptionError("`keys.auth` has not 16 bytes"))?,
        })
    }
}

/// True for points of the curve: others would make every message to the device fail.
fn is_point(key: &[u8; 65]) -> bool {
    let Ok(private) = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()) else {
        return false;
    };
    agree_ephemeral(private, &UnparsedPublicKey::new(&ECDH_P256, key), |_| ()).is_ok()
}

/// Plain `http` passes here and is refused by the client unless the operator allowed the target.
fn origin_of(endpoint: &str) -> Option<String> {
    if endpoint.len() > MAX_ENDPOINT || !endpoint.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return None;
    }
    let uri: http::Uri = endpoint.parse().ok()?;
    let scheme = uri.scheme_str().filter(|s| matches!(*s, "https" | "http"))?;
    let authority = uri
        .authority()
        .filter(|a| !a.as_str().contains('@') && !a.host().is_empty())?;
    let host = authority.host().to_ascii_lowercase();
    let default = if scheme == "https" { 443 } else { 80 };
    Some(match authority.port_u16().filter(|port| *port != default) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

    fn json(endpoint: &str, key: &str, auth: &str) -> Value {
        json!({ "endpoint": endpoint, "expirationTime": null, "keys": { "p256dh": key, "auth": auth } })
    }

    #[test]
    fn what_browsers_write_is_read() {
        let auth = "BTBZMqHH6r4Tts7J_aSIgg";
        for (endpoint, origin) in [
            ("https://push.example/a/b", "https://push.example"),
            ("https://Push.Example:443/a", "https://push.example"),
            ("https://push.example:8443/a?b", "https://push.example:8443"),
            ("http://127.0.0.1:9/x", "http://127.0.0.1:9"),
        ] {
            let read = Subscription::from_json(&json(endpoint, KEY, auth)).unwrap();
            assert_eq!((read.endpoint.as_str(), read.origin.as_str()), (endpoint, origin));
            assert!(!format!("{read:?}").contains("/a"));
        }
        let padded = format!("{}=", KEY.replace('-', "+").replace('_', "/"));
        let other_alphabet = json("https://push.example/a", &padded, "BTBZMqHH6r4Tts7J/aSIgg==");
        assert_eq!(
            Subscription::from_json(&other_alphabet),
            Subscription::from_json(&json("https://push.example/a", KEY, auth))
        );
    }

    #[test]
    fn other_values_are_refused() {
        let auth = "BTBZMqHH6r4Tts7J_aSIgg";
        let off_the_curve = format!("{}A", &KEY[..KEY.len() - 1]);
        let long = format!("https://push.example/{}", "a".repeat(2000));
        for bad in [
            json!(null),
            json!({ "endpoint": "https://push.example/" }),
            json("ftp://push.example/", KEY, auth),
            json("push.example", KEY, auth),
            json("https://u:p@push.example/", KEY, auth),
            json("https://push.example/#a", KEY, auth),
            json("https://push.example/a b", KEY, auth),
            json(&long, KEY, auth),
            json("https://push.example/", "AAAA", auth),
            json("https://push.example/", &off_the_curve, auth),
            json("https://push.example/", KEY, "AAAA"),
        ] {
            assert!(Subscription::from_json(&bad).is_err(), "{bad}");
        }
    }
}
