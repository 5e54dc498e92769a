//! Secrets: random bytes that never show in logs.

use std::fmt;

use crate::hex::encode_hex;

/// The operating system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// A secret text. Its `Debug` form is `***`; serialised, it is what it is.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// 128 random bits as 32 hex digits.
    pub fn random() -> Result<Self, NoRandomness> {
        Ok(Self(encode_hex(&random_bytes::<16>()?)))
    }

    /// Whether a text is the secret. Takes as long for one wrong text as for another, unless their lengths differ.
    pub fn is(&self, text: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(text).into()
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `N` bytes of the operating system's randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// What is stored of a single-use secret: its SHA-256, in hex. The secret has at least 128 random bits, so that no salt
/// or slow hash is needed.
pub fn fingerprint(secret: &str) -> String {
    use sha2::Digest;
    encode_hex(&sha2::Sha256::digest(secret.as_bytes()))
}
/// The validator of a file whose content has this SHA-256 digest, and which has this media type in its normal form for
/// metadata: 32 hex digits. Equal contents of one type have equal validators, on every server.
pub fn content_tag(digest: &[u8], media_type: &str) -> String {
    let mut tag = fingerprint(&format!("{} {media_type}", encode_hex(digest)));
    tag.truncate(32);
    tag
}
