//! Signed tokens (RFC 7519) in the two algorithms that push services ask for.

use std::fmt;

use fb_auth::Secret;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::encoding::to_base64url;

/// A private key that signs tokens.
pub(crate) enum Signer {
    /// P-256 with SHA-256.
    Es256(EcdsaKeyPair),
    /// RSA with SHA-256.
    Rs256(RsaKeyPair),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

impl Signer {
    /// A P-256 key in PKCS#8.
    pub(crate) fn es256(pkcs8: &[u8]) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new());
        key.ok().map(Self::Es256)
    }

    /// An RSA key in PKCS#8.
    pub(crate) fn rs256(pkcs8: &[u8]) -> Option<Self> {
        RsaKeyPair::from_pkcs8(pkcs8).ok().map(Self::Rs256)
    }

    /// A token of these claims; `None` if the system gives no randomness. Cost: about 30 µs (ES256) or 1 ms (RS256).
    pub(crate) fn sign(&self, key_id: Option<&str>, claims: &Value) -> Option<Secret> {
        let mut header = match self {
            Self::Es256(_) => json!({ "alg": "ES256", "typ": "JWT" }),
            Self::Rs256(_) => json!({ "alg": "RS256", "typ": "JWT" }),
        };
        if let Some(id) = key_id {
            header["kid"] = json!(id);
        }
        let part = |value: &Value| to_base64url(value.to_string().as_bytes());
        let text = format!("{}.{}", part(&header), part(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Es256(key) => key.sign(&random, text.as_bytes()).ok()?.as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
                    .ok()?;
                signature
            }
        };
        Some(Secret::new(format!("{text}.{}", to_base64url(&signature))))
    }
}
