//! User tokens and the resource tokens derived from them.
//!
//! Wire format (protocol 00, section 4.1), all lower-case hex:
//!
//! ```text
//! | 8: created, unix seconds | 8: expires, unix seconds | payload | 40: HMAC-SHA1 of all before |
//! payload = 01 (format) | UTF-8 of the user's key
//! ```
//!
//! The MAC covers the app's name as well, so that no token is valid in another app even if two shared a secret.

use fb_types::{AppId, ClassName, ObjectId, ObjectKey, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::hex::{decode_hex, encode_hex};
use crate::secret::{NoRandomness, random_bytes};

const SIGNATURE: usize = 40;
const FORMAT: u8 = 1;
/// Longest token in bytes; the key of the user is the only part that varies.
const MAX_TOKEN: usize = 8 + 8 + 2 + 2 * ObjectKey::MAX_LEN + SIGNATURE;

/// Signs and checks the tokens of one app.
#[derive(Clone)]
pub struct TokenKey {
    app: AppId,
    secret: [u8; 32],
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({}, ***)", self.app)
    }
}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whose token it is.
    pub user: ObjectId,
    /// When it was issued, in whole seconds.
    pub created_at: Timestamp,
    /// When it ends, in whole seconds.
    pub expires_at: Timestamp,
}

/// Why a token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of this app.
    #[error("the token is not valid")]
    Invalid,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
}

impl TokenKey {
    /// The key of `app` with this secret.
    pub fn new(app: AppId, secret: [u8; 32]) -> Self {
        Self { app, secret }
    }

    /// A fresh secret.
    pub fn random_secret() -> Result<[u8; 32], NoRandomness> {
        random_bytes()
    }

    /// A token for `user`, valid for `seconds` from `now`.
    pub fn issue(&self, user: &ObjectId, now: Timestamp, seconds: u32) -> String {
        let clamp = |s: i64| u32::try_from(s.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX);
        let created = clamp(now.seconds());
        let expires = created.saturating_add(seconds);
        let mut payload = vec![FORMAT];
        payload.extend_from_slice(user.key().as_str().as_bytes());
        let data = format!("{created:08x}{expires:08x}{}", encode_hex(&payload));
        let signature = self.sign(&data);
        data + &signature
    }

    /// Checks a user token as it comes in `Authorization`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let (data, signature) = split(token)?;
        if !same(&self.sign(data), signature) {
            return Err(TokenError::Invalid);
        }
        claims(data, now)
    }

    /// Checks a resource token as it comes in a URL: valid for exactly `path`, the URL's path as it was sent, with the
    /// API's base. Intermediaries spell some characters differently, so the canonical spelling is tried as well.
    pub fn verify_resource(&self, token: &str, path: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let (data, hash) = split(token)?;
        let key = self.sign(data);
        let expected = |path: &str| encode_hex(&mac(key.as_bytes(), &[path.as_bytes(), data.as_bytes()]));
        if !same(&expected(path), hash) && !same(&expected(&canonical_path(path)), hash) {
            return Err(TokenError::Invalid);
        }
        claims(data, now)
    }

    fn sign(&self, data: &str) -> String {
        encode_hex(&mac(
            &self.secret,
            &[self.app.as_str().as_bytes(), b"\0", data.as_bytes()],
        ))
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    // HMAC takes keys of any length; the error type exists for MACs that do not.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else {
        return [0; 20];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn split(token: &str) -> Result<(&str, &str), TokenError> {
    let well_formed = token.len() <= MAX_TOKEN && token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !well_formed || token.len() < 16 + 4 + SIGNATURE {
        return Err(TokenError::Invalid);
    }
    Ok(token.split_at(token.len() - SIGNATURE))
}

fn claims(data: &str, now: Timestamp) -> Result<Claims, TokenError> {
    let seconds = |range| u32::from_str_radix(&data[range], 16).map_err(|_| TokenError::Invalid);
    let created_at = Timestamp::from_millis(i64::from(seconds(0..8)?) * 1000);
    let expires_at = Timestamp::from_millis(i64::from(seconds(8..16)?) * 1000);
    let payload = decode_hex(&data[16..]).ok_or(TokenError::Invalid)?;
    let key = match payload.split_first() {
        Some((&FORMAT, key)) => std::str::from_utf8(key).map_err(|_| TokenError::Invalid)?,
        _ => return Err(TokenError::Invalid),
    };
    let key = ObjectKey::from_encoded(key).map_err(|_| TokenError::Invalid)?;
    let class = ClassName::new(fb_types::schema::USER).map_err(|_| TokenError::Invalid)?;
    if now >= expires_at {
        return Err(TokenError::Expired);
    }
    Ok(Claims {
        user: ObjectId::new(class, key),
        created_at,
        expires_at,
    })
}

fn canonical_path(path: &str) -> String {
    let canonical = |segment: &str| match percent_decode_str(segment).decode_utf8() {
        Ok(raw) if !raw.is_empty() => fb_types::encode_component(&raw),
        _ => segment.to_owned(),
    };
    path.split('/').map(canonical).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(app: &str) -> TokenKey {
        TokenKey::new(AppId::new(app).unwrap(), [7; 32])
    }

    fn user() -> ObjectId {
        "/db/User/12".parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_token_is_valid_until_it_expires() {
        let token = key("a").issue(&user(), at(1_000), 60);
        let claims = key("a").verify(&token, at(1_059)).unwrap();
        assert_eq!(
            (claims.user, claims.created_at, claims.expires_at),
            (user(), at(1_000), at(1_060))
        );
        assert_eq!(key("a").verify(&token, at(1_060)), Err(TokenError::Expired));
    }

    #[test]
    fn s45_a_token_of_one_app_is_not_valid_in_another() {
        let token = key("a").issue(&user(), at(1_000), 60);
        assert_eq!(key("b").verify(&token, at(1_000)), Err(TokenError::Invalid));
    }

    #[test]
    fn any_changed_digit_invalidates() {
        let token = key("a").issue(&user(), at(1_000), 60);
        for i in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[i] = if forged[i] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(
                key("a").verify(&forged, at(1_000)),
                Err(TokenError::Invalid),
                "digit {i}"
            );
        }
        for bad in [
            "",
            "00",
            &token[1..],
            &token.to_uppercase(),
            &"0".repeat(100_000),
            "é".repeat(40).as_str(),
        ] {
            assert!(key("a").verify(bad, at(1_000)).is_err());
        }
    }

    #[test]
    fn a_resource_token_is_valid_for_its_path_only() {
        let token = key("a").issue(&user(), at(1_000), 60);
        let (data, signature) = token.split_at(token.len() - SIGNATURE);
        let path = "/v1/file/bucket/a%20b'~.png";
        let derived = data.to_owned() + &encode_hex(&mac(signature.as_bytes(), &[path.as_bytes(), data.as_bytes()]));
        assert!(key("a").verify_resource(&derived, path, at(1_001)).is_ok());
        assert!(
            key("a")
                .verify_resource(&derived, "/v1/file/bucket/a%20b%27%7e.png", at(1_001))
                .is_ok()
        );
        assert!(
            key("a")
                .verify_resource(&derived, "/v1/file/bucket/other.png", at(1_001))
                .is_err()
        );
        assert_eq!(key("a").verify(&derived, at(1_001)), Err(TokenError::Invalid));
        assert_eq!(
            key("a").verify_resource(&derived, path, at(1_060)),
            Err(TokenError::Expired)
        );
    }
}
