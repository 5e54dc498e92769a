//! Signatures that permit single variants of single files.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::variant::Variant;

/// First line of what is signed, so that no signature of something else is one of an image.
const DOMAIN: &str = "freshbase-image-v1";
const MIN_KEY: usize = 16;

/// The key that an app's developer signs URLs with.
///
/// A signature is `base64url(HMAC-SHA-256(key, message))` without padding, 43 characters. The message is UTF-8: `freshbase-image-v1`, a line
/// feed, the path of the file, a line feed, the canonical text of the variant. Example in `docs/images.md`.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

/// The key is shorter than 16 bytes, so that it could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key for signing image URLs needs at least 16 bytes")]
pub struct WeakKey;

impl SigningKey {
    /// # Errors
    /// [`WeakKey`] under 16 bytes. 32 random ones are right.
    pub fn new(key: &[u8]) -> Result<Self, WeakKey> {
        if key.len() < MIN_KEY {
            Err(WeakKey)
        } else {
            Ok(Self(key.to_vec()))
        }
    }

    /// The signature for this variant of the file at `path`, which the caller spells in one way for all, as in `/file/www/a.jpg`.
    pub fn sign(&self, path: &str, variant: &Variant) -> String {
        Base64UrlUnpadded::encode_string(&self.mac(path, variant))
    }

    /// Whether `signature` is the one for this variant and path. Takes equally long for all wrong ones of the right length.
    pub fn verify(&self, path: &str, variant: &Variant, signature: &str) -> bool {
        let mut given = [0; 32];
        let decoded = Base64UrlUnpadded::decode(signature, &mut given).map(<[u8]>::len);
        decoded == Ok(32) && bool::from(self.mac(path, variant).ct_eq(&given))
    }

    fn mac(&self, path: &str, variant: &Variant) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        // A canonical text has no line feed, so that path and text cannot be shifted against each other.
        mac.update(format!("{DOMAIN}\n{path}\n{variant}").as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}
