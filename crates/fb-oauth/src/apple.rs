//! Apple's client secrets: a token that the client signs itself.
//!
//! Source: Apple, "Creating a client secret".

use std::fmt;

use base64ct::{Base64, Encoding};
use fb_auth::Secret;
use fb_types::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use crate::encoding::to_base64url;
use crate::settings::AppleKey;

/// How long a secret is valid. Apple permits six months; each one is used at once.
const VALID_SECONDS: i64 = 300;

/// Signs client secrets of one team.
pub(crate) struct AppleSigner {
    team_id: String,
    key_id: String,
    key: EcdsaKeyPair,
}

impl fmt::Debug for AppleSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppleSigner({}, {}, ***)", self.team_id, self.key_id)
    }
}

impl AppleSigner {
    /// Reads the key, or says what is wrong with it without repeating it.
    pub(crate) fn new(settings: &AppleKey) -> Result<Self, &'static str> {
        let is_id = |id: &str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_id(&settings.team_id) || !is_id(&settings.key_id) {
            return Err("`apple.teamId` and `apple.keyId` are ten letters and digits each");
        }
        let problem = "`apple.privateKey` is no P-256 key as in Apple's .p8 file, with `-----BEGIN PRIVATE KEY-----`";
        let der = read_pem(settings.private_key.expose()).ok_or(problem)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new())
            .map_err(|_| problem)?;
        Ok(Self {
            team_id: settings.team_id.clone(),
            key_id: settings.key_id.clone(),
            key,
        })
    }

    /// A client secret of `client_id` for the issuer `audience`; `None` if the system gives no randomness.
    pub(crate) fn sign(&self, client_id: &str, audience: &str, now: Timestamp) -> Option<Secret> {
        let header = json!({ "alg": "ES256", "kid": self.key_id });
        let claims = json!({
            "iss": self.team_id,
            "iat": now.seconds(),
            "exp": now.seconds() + VALID_SECONDS,
            "aud": audience,
            "sub": client_id,
        });
        let part = |value: serde_json::Value| to_base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(Secret::new(format!("{signed}.{}", to_base64url(signature.as_ref()))))
    }
}

/// The bytes of the one PKCS#8 key in `pem`. Line ends may be lost, as happens when the text goes through a form.
pub(crate) fn read_pem(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let body: String = body.split_whitespace().collect();
    Base64::decode_vec(&body).ok()
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;
    use crate::encoding::from_base64url;

    fn settings(private_key: &str) -> AppleKey {
        AppleKey {
            team_id: "TEAM123456".to_owned(),
            key_id: "KEY1234567".to_owned(),
            private_key: Secret::new(private_key),
        }
    }

    fn new_key() -> String {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let body = Base64::encode_string(der.as_ref());
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n{}\n-----END PRIVATE KEY-----\n",
            &body[..64],
            &body[64..]
        )
    }

    #[test]
    fn a_client_secret_is_signed_and_short_lived() {
        let signer = AppleSigner::new(&settings(&new_key())).unwrap();
        let now = Timestamp::from_millis(1_700_000_000_000);
        let secret = signer.sign("app.test", "https://appleid.apple.com", now).unwrap();
        let (signed, signature) = secret.expose().rsplit_once('.').unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.key.public_key())
            .verify(signed.as_bytes(), &from_base64url(signature).unwrap())
            .unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let part = |text: &str| serde_json::from_slice::<Value>(&from_base64url(text).unwrap()).unwrap();
        assert_eq!(part(header), json!({ "alg": "ES256", "kid": "KEY1234567" }));
        assert_eq!(
            part(claims),
            json!({
                "iss": "TEAM123456", "iat": 1_700_000_000, "exp": 1_700_000_300,
                "aud": "https://appleid.apple.com", "sub": "app.test",
            })
        );
    }

    #[test]
    fn keys_survive_lost_line_ends_and_never_print() {
        let key = new_key();
        for spelling in [key.replace('\n', " "), key.replace('\n', "\r\n"), key.replace('\n', "")] {
            assert!(AppleSigner::new(&settings(&spelling)).is_ok(), "{spelling}");
        }
        let signer = AppleSigner::new(&settings(&key)).unwrap();
        assert_eq!(format!("{signer:?}"), "AppleSigner(TEAM123456, KEY1234567, ***)");
    }

    /// A throw-away key in the form of Apple's files, which name the curve twice.
    #[test]
    fn a_key_as_apple_writes_it_is_read() {
        assert!(AppleSigner::new(&settings(include_str!("testdata/apple.p8"))).is_ok());
    }

    #[test]
    fn other_texts_are_refused_without_being_repeated() {
        let key = new_key();
        let rsa = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----";
        for bad in [
            "",
            "secret",
            rsa,
            &key[..key.len() / 2],
            &key.replace("PRIVATE", "EC PRIVATE"),
        ] {
            let problem = AppleSigner::new(&settings(bad)).unwrap_err();
            assert!(problem.contains(".p8"), "{problem}");
        }
    }
}
