//! For tests: push services on loopback that say yes unless they are told otherwise, and browsers that decrypt.

#![allow(clippy::unwrap_used)]

mod browser;
mod services;

pub use browser::{Browser, claims_of_es256};
pub use services::{Answer, Received, Services};

/// The file of a service account of the project `shop-1`, with a throw-away key.
pub fn service_account() -> String {
    serde_json::json!({
        "type": "service_account",
        "project_id": "shop-1",
        "private_key_id": "key-1",
        "private_key": include_str!("rsa.p8"),
        "client_email": "push@shop-1.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

/// A new key in the form of Apple's files.
pub fn apple_key() -> String {
    use base64ct::{Base64, Encoding};
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let random = ring::rand::SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("randomness");
    let body = Base64::encode_string(der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}
