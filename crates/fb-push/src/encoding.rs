//! Base64 and PEM.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

pub(crate) fn to_base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Bytes of base64 in either alphabet, padded or not: browsers write the one for URLs, some libraries the other.
pub(crate) fn from_any_base64(text: &str) -> Option<Vec<u8>> {
    let plain = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    Base64UrlUnpadded::decode_vec(&plain).ok()
}

/// The bytes of the one PKCS#8 key in `pem`. Line ends may be lost, as happens when the text goes through a form.
pub(crate) fn read_pem(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let body: String = body.split_whitespace().collect();
    Base64::decode_vec(&body).ok()
}
