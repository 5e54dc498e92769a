//! The key pair that identifies an application server to push services (VAPID, RFC 8292).

use std::fmt;

use fb_auth::Secret;
use fb_types::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use crate::encoding::{from_any_base64, to_base64url};
use crate::jwt::Signer;
use crate::{KeyError, PushError};

/// Length of a public key: an uncompressed point of P-256.
pub const PUBLIC_KEY_BYTES: usize = 65;
/// How long a token is good for; push services permit a day.
const VALID_SECONDS: i64 = 12 * 3600;

/// A key pair. Browsers subscribe with the public half; messages are signed with the other.
pub struct VapidKeys {
    text: Secret,
    public: [u8; PUBLIC_KEY_BYTES],
    signer: Signer,
}

impl fmt::Debug for VapidKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VapidKeys({}, ***)", to_base64url(&self.public))
    }
}

impl VapidKeys {
    /// A new pair. Fails if the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let no_key = KeyError("the operating system gave no randomness");
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| no_key.clone())?;
        Self::read(pkcs8.as_ref()).ok_or(no_key)
    }

    /// Reads what [`Self::to_text`] wrote.
    pub fn from_text(text: &Secret) -> Result<Self, KeyError> {
        let pkcs8 = from_any_base64(text.expose());
        pkcs8
            .and_then(|pkcs8| Self::read(&pkcs8))
            .ok_or(KeyError("the text is no key pair for web push"))
    }

    fn read(pkcs8: &[u8]) -> Option<Self> {
        let signer = Signer::es256(pkcs8)?;
        let Signer::Es256(pair) = &signer else { return None };
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self {
            text: Secret::new(to_base64url(pkcs8)),
            public,
            signer,
        })
    }

    /// Both halves as a text, to be kept secret.
    pub fn to_text(&self) -> &Secret {
        &self.text
    }

    /// The public key as browsers take it: 65 bytes, the first one is 4.
    pub fn public_key(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.public
    }

    /// The `Authorization` of a message to a push service at `origin`. `contact` is a `mailto:` or `https:` URL where the
    /// service can complain.
    pub(crate) fn authorization(&self, origin: &str, contact: &str, now: Timestamp) -> Result<String, PushError> {
        let claims = json!({ "aud": origin, "exp": now.seconds() + VALID_SECONDS, "sub": contact });
        let token = self.signer.sign(None, &claims).ok_or_else(|| PushError::Later {
            reason: "the operating system gave no randomness".to_owned(),
            retry_after: None,
        })?;
        Ok(format!("vapid t={}, k={}", token.expose(), to_base64url(&self.public)))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    /// RFC 8292, section 2.4: the token of the example verifies under its key, read by the same code that reads ours.
    #[test]
    fn a_token_and_its_key_have_the_form_of_the_rfc() {
        let check = |header: &str| {
            let rest = header.strip_prefix("vapid t=").unwrap();
            let (token, key) = rest.split_once(", k=").unwrap();
            let key = from_any_base64(key).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
                .verify(signed.as_bytes(), &from_any_base64(signature).unwrap())
                .unwrap();
            let parts: Vec<serde_json::Value> = signed
                .split('.')
                .map(|part| serde_json::from_slice(&from_any_base64(part).unwrap()).unwrap())
                .collect();
            (parts[0].clone(), parts[1].clone())
        };
        let example = "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs";
        let (header, claims) = check(example);
        assert_eq!(header, json!({ "typ": "JWT", "alg": "ES256" }));
        assert_eq!(
            claims,
            json!({ "aud": "https://push.example.net", "exp": 1_453_523_768, "sub": "mailto:push@example.com" })
        );
        let keys = VapidKeys::generate().unwrap();
        let now = Timestamp::from_millis(1_453_523_000_000);
        let ours = keys
            .authorization("https://push.example.net", "mailto:push@example.com", now)
            .unwrap();
        let (header, claims) = check(&ours);
        assert_eq!(header, json!({ "typ": "JWT", "alg": "ES256" }));
        assert_eq!(
            claims,
            json!({ "aud": "https://push.example.net", "exp": 1_453_566_200, "sub": "mailto:push@example.com" })
        );
    }

    #[test]
    fn a_pair_is_read_back_and_never_prints_its_secret() {
        let keys = VapidKeys::generate().unwrap();
        assert_eq!(keys.public_key()[0], 4);
        let again = VapidKeys::from_text(keys.to_text()).unwrap();
        assert_eq!(again.public_key(), keys.public_key());
        assert_ne!(VapidKeys::generate().unwrap().public_key(), keys.public_key());
        assert!(!format!("{keys:?}").contains(keys.to_text().expose()));
        for bad in ["", "AAAA", "nonsense", &keys.to_text().expose()[1..]] {
            assert!(VapidKeys::from_text(&Secret::new(bad)).is_err(), "{bad}");
        }
    }
}
