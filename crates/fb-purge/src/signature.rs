//! Signatures of webhooks as in the Standard Webhooks specification: HMAC-SHA256 of `<id>.<timestamp>.<body>`.

use data_encoding::BASE64;
use fb_auth::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The bytes of a secret, `whsec_` and Base64 of 24 to 64 bytes; `None` if it is none.
pub(crate) fn key_of(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose().strip_prefix("whsec_")?;
    let key = BASE64.decode(text.as_bytes()).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

/// The header `webhook-signature`; `timestamp` in seconds.
pub(crate) fn sign(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s34_signatures_are_those_of_the_specification() {
        // The example of the specification's reference libraries.
        let key = key_of(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signature = sign(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
    }
}
