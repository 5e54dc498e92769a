//! Published keys of issuers, and checking signatures with them.

use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;

use crate::encoding::from_base64url;

/// Keys of one issuer that are read; more are ignored.
const MAX_KEYS: usize = 100;

/// The algorithms an id token may be signed with. HMAC and `none` cannot be expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// The keys of an issuer that can check signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySet(Vec<Key>);

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    id: String,
    /// The only algorithm it may be used with, if the issuer says so.
    algorithm: Option<String>,
    /// Microsoft: the issuer it signs for.
    pub(crate) issuer: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a JWK set (RFC 7517). Keys that cannot be used here, symmetric ones above all, are passed over.
    pub(crate) fn read(json: &Value) -> Option<Self> {
        let keys = json.get("keys")?.as_array()?;
        Some(Self(keys.iter().take(MAX_KEYS).filter_map(Key::read).collect()))
    }

    /// The key of that id, for that algorithm.
    pub(crate) fn find(&self, id: &str, algorithm: Algorithm) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id && key.is_for(algorithm))
    }

    /// Is there a key of that id, for whatever use?
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id == id)
    }
}

impl Key {
    fn read(json: &Value) -> Option<Self> {
        let text = |member: &str| json.get(member).and_then(Value::as_str);
        let bytes = |member: &str| text(member).and_then(from_base64url);
        // What is meant for encryption must not check signatures.
        if json.get("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        if let Some(operations) = json.get("key_ops") {
            operations.as_array()?.iter().find(|operation| *operation == "verify")?;
        }
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa {
                n: without_leading_zeros(bytes("n")?),
                e: without_leading_zeros(bytes("e")?),
            },
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                Material::P256([&[4], x.as_slice(), y.as_slice()].concat())
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x")?),
            _ => return None,
        };
        Some(Self {
            id: text("kid").filter(|id| !id.is_empty())?.to_owned(),
            algorithm: match json.get("alg") {
                Some(name) => Some(name.as_str()?.to_owned()),
                None => None,
            },
            issuer: text("issuer").map(str::to_owned),
            material,
        })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let fits = match (&self.material, algorithm) {
            (Material::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256)
            | (Material::P256(_), Algorithm::Es256)
            | (Material::Ed25519(_), Algorithm::EdDsa) => true,
            (Material::Rsa { .. } | Material::P256(_) | Material::Ed25519(_), _) => false,
        };
        fits && self.algorithm.as_deref().is_none_or(|name| name == algorithm.name())
    }

    /// Did the owner of this key sign `message`? RSA keys below 2048 bits sign nothing.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rs256) => RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Material::Rsa { n, e }, Algorithm::Ps256) => RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PSS_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Material::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            (Material::Ed25519(point), Algorithm::EdDsa) => UnparsedPublicKey::new(&signature::ED25519, point)
                .verify(message, signature)
                .is_ok(),
            (Material::Rsa { .. } | Material::P256(_) | Material::Ed25519(_), _) => false,
        }
    }
}

fn without_leading_zeros(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes[zeros..].to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example key of RFC 8037, appendix A.2.
    fn ed25519(change: impl FnOnce(&mut Value)) -> Value {
        let mut key = json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        change(&mut key);
        json!({ "keys": [key] })
    }

    #[test]
    fn the_example_of_rfc_8037_verifies() {
        let keys = KeySet::read(&ed25519(|_| ())).unwrap();
        let key = keys.find("a", Algorithm::EdDsa).unwrap();
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let mut signature = from_base64url(signature).unwrap();
        assert!(key.verifies(Algorithm::EdDsa, message, &signature));
        assert!(!key.verifies(Algorithm::Es256, message, &signature));
        signature[3] ^= 1;
        assert!(!key.verifies(Algorithm::EdDsa, message, &signature));
        assert!(!key.verifies(Algorithm::EdDsa, message, &[]));
    }

    #[test]
    fn s22_keys_serve_only_what_they_are_published_for() {
        let finds = |json: &Value| KeySet::read(json).unwrap().find("a", Algorithm::EdDsa).is_some();
        assert!(finds(&ed25519(|key| key["use"] = json!("sig"))));
        assert!(finds(&ed25519(|key| key["key_ops"] = json!(["verify"]))));
        assert!(finds(&ed25519(|key| key["alg"] = json!("EdDSA"))));
        for (member, value) in [
            ("use", json!("enc")),
            ("use", json!(1)),
            ("key_ops", json!(["encrypt"])),
            ("key_ops", json!("verify")),
            ("alg", json!("RS256")),
            ("alg", json!("HS256")),
            ("alg", json!(null)),
            ("kty", json!("oct")),
            ("crv", json!("X25519")),
            ("kid", json!("b")),
            ("kid", json!("")),
            ("kid", json!(7)),
            ("x", json!("not base64")),
        ] {
            assert!(!finds(&ed25519(|key| key[member] = value.clone())), "{member} {value}");
        }
        for name in [
            "none", "None", "HS256", "HS384", "HS512", "RS1", "RSA1_5", "ES256K", "rs256", "",
        ] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
        for set in [json!({}), json!([]), json!({ "keys": {} }), json!(null)] {
            assert!(KeySet::read(&set).is_none());
        }
    }
}
