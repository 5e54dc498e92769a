//! The receiving side of Web Push.

use std::sync::Mutex;

use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey as VerifyingKey};
use serde_json::{Value, json};

use crate::encoding::{from_any_base64, to_base64url};
use crate::encrypt::ContentKeys;

/// A browser with one subscription. It can read one message, because `ring` gives private keys up after their first use.
pub struct Browser {
    private: Mutex<Option<EphemeralPrivateKey>>,
    public: [u8; 65],
    auth: [u8; 16],
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    /// A browser with new keys.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &random).expect("randomness");
        let public = private.compute_public_key().expect("a public key");
        let mut auth = [0; 16];
        random.fill(&mut auth).expect("randomness");
        Self {
            public: public.as_ref().try_into().expect("65 bytes"),
            private: Mutex::new(Some(private)),
            auth,
        }
    }

    /// The subscription as a page would send it.
    pub fn subscription(&self, endpoint: &str) -> Value {
        let keys = json!({ "p256dh": to_base64url(&self.public), "auth": to_base64url(&self.auth) });
        json!({ "endpoint": endpoint, "expirationTime": null, "keys": keys })
    }

    /// The secret part of the subscription.
    pub fn auth(&self) -> String {
        to_base64url(&self.auth)
    }

    /// The text of a message. Panics if it is not for this browser, or not the first one.
    pub fn decrypt(&self, body: &[u8]) -> Vec<u8> {
        let private = self.private.lock().unwrap().take().expect("the first message");
        let salt: [u8; 16] = body[..16].try_into().unwrap();
        assert_eq!(body[16..20], 4096_u32.to_be_bytes(), "one record");
        assert_eq!(body[20], 65);
        let sender: [u8; 65] = body[21..86].try_into().unwrap();
        let peer = UnparsedPublicKey::new(&ECDH_P256, &sender);
        let keys = agree_ephemeral(private, &peer, |shared| {
            ContentKeys::derive(shared, &self.public, &sender, &self.auth, &salt)
        });
        keys.unwrap()
            .unwrap()
            .open(&body[86..])
            .expect("a message for this browser")
    }
}

/// Header and claims of a token that this public key verifies.
pub fn claims_of_es256(token: &str, public_key: &[u8]) -> (Value, Value) {
    let (signed, signature) = token.rsplit_once('.').expect("a token");
    VerifyingKey::new(&ECDSA_P256_SHA256_FIXED, public_key)
        .verify(signed.as_bytes(), &from_any_base64(signature).expect("base64"))
        .expect("a signature of this key");
    let part = |text: &str| serde_json::from_slice(&from_any_base64(text).expect("base64")).expect("JSON");
    let (header, claims) = signed.split_once('.').expect("two parts");
    (part(header), part(claims))
}
