//! Keys of the provider, and its tokens.

use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::Misbehaviour;
use crate::encoding::to_base64url;

/// What the provider signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    /// ECDSA with P-256.
    #[default]
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA, PKCS#1 v1.5.
    Rs256,
    /// RSA, PSS.
    Ps256,
}

/// One key of each kind, made at runtime but for RSA, which `ring` cannot generate.
pub(super) struct Keys {
    /// At the end of the keys' names.
    generation: u32,
    ecdsa: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

impl Keys {
    pub(super) fn generate(generation: u32) -> Self {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let ecdsa = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("the system gives randomness");
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).expect("the system gives randomness");
        let rsa = crate::apple::read_pem(include_str!("rsa.p8")).expect("the embedded key is PEM");
        Self {
            generation,
            ecdsa: EcdsaKeyPair::from_pkcs8(algorithm, ecdsa.as_ref(), &random).expect("it was made just now"),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).expect("it was made just now"),
            rsa: RsaKeyPair::from_pkcs8(&rsa).expect("the embedded key is an RSA key"),
            random,
        }
    }

    fn id(&self, algorithm: SigningAlgorithm) -> String {
        let kind = match algorithm {
            SigningAlgorithm::Es256 => "ec",
            SigningAlgorithm::EdDsa => "ed",
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => "rsa",
        };
        format!("{kind}-{}", self.generation)
    }

    /// The public halves, as a JWK set.
    pub(super) fn published(&self) -> Value {
        let point = self.ecdsa.public_key().as_ref();
        let rsa = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        json!({ "keys": [
            {
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id(SigningAlgorithm::Es256),
                "x": to_base64url(&point[1..33]), "y": to_base64url(&point[33..]),
            },
            {
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.id(SigningAlgorithm::EdDsa),
                "x": to_base64url(self.ed25519.public_key().as_ref()),
            },
            {
                "kty": "RSA", "use": "sig", "kid": self.id(SigningAlgorithm::Rs256),
                "n": to_base64url(&rsa.n), "e": to_base64url(&rsa.e),
            },
            // Nothing may be checked with it, whatever a token says.
            { "kty": "oct", "kid": "shared", "alg": "HS256", "k": to_base64url(b"secret") },
        ] })
    }

    /// A token over `claims`.
    pub(super) fn sign(&self, claims: &Value, algorithm: SigningAlgorithm, wrong: Option<Misbehaviour>) -> String {
        let name = match (wrong, algorithm) {
            (Some(Misbehaviour::AlgorithmNone), _) => "none",
            (Some(Misbehaviour::HmacWithPublicKey), _) => "HS256",
            (_, SigningAlgorithm::Es256) => "ES256",
            (_, SigningAlgorithm::EdDsa) => "EdDSA",
            (_, SigningAlgorithm::Rs256) => "RS256",
            (_, SigningAlgorithm::Ps256) => "PS256",
        };
        let mut header = json!({ "alg": name, "typ": "JWT", "kid": self.id(algorithm) });
        match wrong {
            Some(Misbehaviour::UnknownKey) => header["kid"] = json!("nobody's"),
            Some(Misbehaviour::MissingKey) => {
                header.as_object_mut().map(|header| header.remove("kid"));
            }
            Some(Misbehaviour::CriticalExtension) => header["crit"] = json!(["exp"]),
            Some(Misbehaviour::AccessTokenAsIdToken) => header["typ"] = json!("at+jwt"),
            _ => {}
        }
        let part = |value: &Value| to_base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = match wrong {
            Some(Misbehaviour::AlgorithmNone | Misbehaviour::NoSignature) => Vec::new(),
            Some(Misbehaviour::HmacWithPublicKey) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.ecdsa.public_key().as_ref());
                hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            // A generation of its own has other keys, and RSA is spoiled by hand.
            Some(Misbehaviour::ForeignKey) => {
                let mut signature = Self::generate(self.generation).sign_bytes(signed.as_bytes(), algorithm);
                if matches!(algorithm, SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256) {
                    signature[100] ^= 1;
                }
                signature
            }
            _ => self.sign_bytes(signed.as_bytes(), algorithm),
        };
        format!("{signed}.{}", to_base64url(&signature))
    }

    fn sign_bytes(&self, message: &[u8], algorithm: SigningAlgorithm) -> Vec<u8> {
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa
                .sign(padding, &self.random, message, &mut signature)
                .expect("the buffer has the size of the key");
            signature
        };
        match algorithm {
            SigningAlgorithm::Es256 => {
                let signature = self.ecdsa.sign(&self.random, message);
                signature.expect("the system gives randomness").as_ref().to_vec()
            }
            SigningAlgorithm::EdDsa => self.ed25519.sign(message).as_ref().to_vec(),
            SigningAlgorithm::Rs256 => rsa(&signature::RSA_PKCS1_SHA256),
            SigningAlgorithm::Ps256 => rsa(&signature::RSA_PSS_SHA256),
        }
    }
}

/// `at_hash` of an access token.
pub(super) fn access_token_hash(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let hash = match algorithm {
        SigningAlgorithm::EdDsa => &digest::SHA512,
        SigningAlgorithm::Es256 | SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => &digest::SHA256,
    };
    let hash = digest::digest(hash, access_token.as_bytes());
    to_base64url(&hash.as_ref()[..hash.as_ref().len() / 2])
}
