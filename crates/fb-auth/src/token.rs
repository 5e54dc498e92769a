//! User tokens and the resource tokens derived from them.
//!
//! Wire format (protocol 00, section 4.1), all lower-case hex:
//!
//! ```text
//! | 8: created, unix seconds | 8: expires, unix seconds | payload | 40: HMAC-SHA1 of all before |
//! payload = 02 (format) | key id | kind | 4: epoch | UTF-8 of the user's key [ | 00 | UTF-8 of a role's key ]
//! ```
//!
//! A token dies with its `expires`, with its signing key, or when the user's epoch moves on. The MAC covers the app's name as well, so that no token is valid in another app even if two shared a secret.

use fb_types::{AppId, ClassName, ObjectId, ObjectKey, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::hex::{decode_hex, encode_hex};
use crate::secret::{NoRandomness, Secret, random_bytes};

const SIGNATURE: usize = 40;
const FORMAT: u8 = 2;
/// Bytes of the payload before the user's key.
const HEAD: usize = 7;
/// Longest token in bytes; the keys are the only part that varies.
const MAX_TOKEN: usize = 8 + 8 + 2 * HEAD + 4 * ObjectKey::MAX_LEN + 2 + SIGNATURE;
/// Signing keys that are kept for tokens from before the last rotations.
const MAX_KEYS: usize = 8;

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// A session that is renewed while it is used.
    Session {
        /// False for the short sessions of shared computers.
        long: bool,
    },
    /// Made by an administrator for scripts: never expires, is never renewed.
    Api,
    /// The user, limited to the rights of one of its roles.
    Role(ObjectId),
    /// The password was right, the second factor is missing. Good for nothing but sending that.
    SecondFactor {
        /// The kind of session it leads to.
        long: bool,
    },
}

/// What a token is issued for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken<'a> {
    /// Whose token it is.
    pub user: &'a ObjectId,
    /// What it is good for.
    pub kind: TokenKind,
    /// The user's epoch.
    pub epoch: u32,
    /// When it ends; `None` is as late as the format can say, the year 2106.
    pub expires_at: Option<Timestamp>,
}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whose token it is.
    pub user: ObjectId,
    /// What it is good for.
    pub kind: TokenKind,
    /// Must be the user's epoch.
    pub epoch: u32,
    /// When it was issued, in whole seconds.
    pub created_at: Timestamp,
    /// When it ends, in whole seconds.
    pub expires_at: Timestamp,
}

/// One secret that tokens are signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its number, in every token it signed.
    pub id: u8,
    /// The secret, in hex.
    secret: Secret,
    /// Unix second from when on tokens it signed are not valid any more; `None` for the key that signs.
    pub retires_at: Option<i64>,
}

/// Signs and checks the tokens of one app. The newest key signs, older ones are good for checking until they retire.
#[derive(Clone)]
pub struct TokenKeys {
    app: AppId,
    /// The newest first.
    keys: Vec<(SigningKey, [u8; 32])>,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKeys({}, ***)", self.app)
    }
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

impl TokenKeys {
    /// The keys of `app`, the newest first, as [`Self::keys`] gave them. `None` if there is none or one is malformed.
    pub fn new(app: AppId, keys: Vec<SigningKey>) -> Option<Self> {
        let parsed = keys.into_iter().map(|key| {
            let secret = decode_hex(key.secret.expose())?.try_into().ok()?;
            Some((key, secret))
        });
        let keys: Vec<_> = parsed.collect::<Option<_>>()?;
        (!keys.is_empty()).then_some(Self { app, keys })
    }

    /// A fresh key for `app`.
    pub fn random(app: AppId) -> Result<Self, NoRandomness> {
        Ok(Self {
            app,
            keys: vec![random_key(1)?],
        })
    }

    /// The same with a new key that signs from now on; tokens of the older ones stay valid until `until` at most.
    pub fn rotated(&self, until: Timestamp, now: Timestamp) -> Result<Self, NoRandomness> {
        let mut keys = vec![random_key(self.keys[0].0.id.wrapping_add(1))?];
        for (key, secret) in &self.keys {
            let retires_at = key.retires_at.map_or(until.seconds(), |old| old.min(until.seconds()));
            if retires_at > now.seconds() && keys.len() < MAX_KEYS {
                let retires_at = Some(retires_at);
                keys.push((
                    SigningKey {
                        retires_at,
                        ..key.clone()
                    },
                    *secret,
                ));
            }
        }
        Ok(Self {
            app: self.app.clone(),
            keys,
        })
    }

    /// The keys, the newest first.
    pub fn keys(&self) -> Vec<SigningKey> {
        self.keys.iter().map(|(key, _)| key.clone()).collect()
    }

    /// A token.
    pub fn issue(&self, new: &NewToken<'_>, now: Timestamp) -> String {
        let seconds = |time: Timestamp| u32::try_from(time.seconds().clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX);
        let created = seconds(now);
        let expires = new.expires_at.map_or(u32::MAX, seconds);
        let (key, secret) = &self.keys[0];
        let kind = match &new.kind {
            TokenKind::Session { long: true } => 0,
            TokenKind::Session { long: false } => 1,
            TokenKind::Api => 2,
            TokenKind::Role(_) => 3,
            TokenKind::SecondFactor { long: true } => 4,
            TokenKind::SecondFactor { long: false } => 5,
        };
        let mut payload = vec![FORMAT, key.id, kind];
        payload.extend_from_slice(&new.epoch.to_be_bytes());
        payload.extend_from_slice(new.user.key().as_str().as_bytes());
        if let TokenKind::Role(role) = &new.kind {
            payload.push(0);
            payload.extend_from_slice(role.key().as_str().as_bytes());
        }
        let data = format!("{created:08x}{expires:08x}{}", encode_hex(&payload));
        let signature = self.sign(secret, &data);
        data + &signature
    }

    /// Checks a user token as it comes in `Authorization`. Whether the user's epoch is still the token's, the caller
    /// has to see.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let (data, signature) = split(token)?;
        let secret = self.secret_of(data, now)?;
        if !same(&self.sign(secret, data), signature) {
            return Err(TokenError::Invalid);
        }
        claims(data, now)
    }

    /// Checks a resource token as it comes in a URL: valid for exactly `path`, the URL's path as it was sent, with the
    /// API's base. Intermediaries spell some characters differently, so the canonical spelling is tried as well.
    pub fn verify_resource(&self, token: &str, path: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let (data, hash) = split(token)?;
        let key = self.sign(self.secret_of(data, now)?, data);
        let expected = |path: &str| encode_hex(&mac(key.as_bytes(), &[path.as_bytes(), data.as_bytes()]));
        if !same(&expected(path), hash) && !same(&expected(&canonical_path(path)), hash) {
            return Err(TokenError::Invalid);
        }
        claims(data, now)
    }

    fn secret_of(&self, data: &str, now: Timestamp) -> Result<&[u8; 32], TokenError> {
        let id = data.get(18..20).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let found = self.keys.iter().find(|(key, _)| Some(key.id) == id);
        match found {
            Some((key, secret)) if key.retires_at.is_none_or(|at| now.seconds() < at) => Ok(secret),
            _ => Err(TokenError::Invalid),
        }
    }

    fn sign(&self, secret: &[u8; 32], data: &str) -> String {
        encode_hex(&mac(secret, &[self.app.as_str().as_bytes(), b"\0", data.as_bytes()]))
    }
}

fn random_key(id: u8) -> Result<(SigningKey, [u8; 32]), NoRandomness> {
    let bytes = random_bytes::<32>()?;
    let key = SigningKey {
        id,
        secret: Secret::new(encode_hex(&bytes)),
        retires_at: None,
    };
    Ok((key, bytes))
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
    if !well_formed || token.len() < 16 + 2 * HEAD + 2 + SIGNATURE {
        return Err(TokenError::Invalid);
    }
    Ok(token.split_at(token.len() - SIGNATURE))
}

fn claims(data: &str, now: Timestamp) -> Result<Claims, TokenError> {
    let seconds = |range| u32::from_str_radix(&data[range], 16).map_err(|_| TokenError::Invalid);
    let created_at = Timestamp::from_millis(i64::from(seconds(0..8)?) * 1000);
    let expires_at = Timestamp::from_millis(i64::from(seconds(8..16)?) * 1000);
    let payload = decode_hex(&data[16..]).ok_or(TokenError::Invalid)?;
    let (&[format, _, kind, e1, e2, e3, e4], keys) = payload.split_first_chunk::<HEAD>().ok_or(TokenError::Invalid)?;
    let keys = std::str::from_utf8(keys).map_err(|_| TokenError::Invalid)?;
    let (user, role) = match keys.split_once('\0') {
        Some((user, role)) => (user, Some(role)),
        None => (keys, None),
    };
    let kind = match (kind, role) {
        (0 | 1, None) => TokenKind::Session { long: kind == 0 },
        (2, None) => TokenKind::Api,
        (3, Some(role)) => TokenKind::Role(id_of(fb_types::schema::ROLE, role)?),
        (4 | 5, None) => TokenKind::SecondFactor { long: kind == 4 },
        _ => return Err(TokenError::Invalid),
    };
    if format != FORMAT {
        return Err(TokenError::Invalid);
    }
    let user = id_of(fb_types::schema::USER, user)?;
    if now >= expires_at {
        return Err(TokenError::Expired);
    }
    Ok(Claims {
        user,
        kind,
        epoch: u32::from_be_bytes([e1, e2, e3, e4]),
        created_at,
        expires_at,
    })
}

fn id_of(bucket: &str, key: &str) -> Result<ObjectId, TokenError> {
    let class = ClassName::new(bucket).map_err(|_| TokenError::Invalid)?;
    let key = ObjectKey::from_encoded(key).map_err(|_| TokenError::Invalid)?;
    Ok(ObjectId::new(class, key))
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

    fn key(app: &str) -> TokenKeys {
        let key = SigningKey {
            id: 9,
            secret: Secret::new("07".repeat(32)),
            retires_at: None,
        };
        TokenKeys::new(AppId::new(app).unwrap(), vec![key]).unwrap()
    }

    fn issue(keys: &TokenKeys, kind: TokenKind, seconds: i64) -> String {
        let new = NewToken {
            user: &user(),
            kind,
            epoch: 3,
            expires_at: Some(at(1_000 + seconds)),
        };
        keys.issue(&new, at(1_000))
    }

    const SESSION: TokenKind = TokenKind::Session { long: true };

    fn user() -> ObjectId {
        "/db/User/12".parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_token_is_valid_until_it_expires() {
        let token = issue(&key("a"), SESSION, 60);
        let claims = key("a").verify(&token, at(1_059)).unwrap();
        assert_eq!(
            (claims.user, claims.created_at, claims.expires_at, claims.epoch),
            (user(), at(1_000), at(1_060), 3)
        );
        assert_eq!(key("a").verify(&token, at(1_060)), Err(TokenError::Expired));
    }

    #[test]
    fn s45_a_token_of_one_app_is_not_valid_in_another() {
        let token = issue(&key("a"), SESSION, 60);
        assert_eq!(key("b").verify(&token, at(1_000)), Err(TokenError::Invalid));
    }

    #[test]
    fn any_changed_digit_invalidates() {
        let token = issue(&key("a"), SESSION, 60);
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
        let token = issue(&key("a"), SESSION, 60);
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

    #[test]
    fn a_token_says_what_it_is_good_for() {
        let role: ObjectId = "/db/Role/7".parse().unwrap();
        for kind in [
            SESSION,
            TokenKind::Session { long: false },
            TokenKind::Api,
            TokenKind::Role(role),
            TokenKind::SecondFactor { long: true },
            TokenKind::SecondFactor { long: false },
        ] {
            let token = issue(&key("a"), kind.clone(), 60);
            assert_eq!(key("a").verify(&token, at(1_000)).unwrap().kind, kind);
        }
    }

    #[test]
    fn tokens_of_a_rotated_key_are_valid_until_it_retires() {
        let first = TokenKeys::random(AppId::new("a").unwrap()).unwrap();
        let old = issue(&first, SESSION, 10_000);
        let second = first.rotated(at(2_000), at(1_000)).unwrap();
        let new = issue(&second, SESSION, 10_000);
        assert!(first.verify(&new, at(1_500)).is_err());
        let reread = TokenKeys::new(AppId::new("a").unwrap(), second.keys()).unwrap();
        for keys in [&second, &reread] {
            assert!(keys.verify(&old, at(1_999)).is_ok());
            assert_eq!(keys.verify(&old, at(2_000)), Err(TokenError::Invalid));
            assert!(keys.verify(&new, at(2_000)).is_ok());
        }
        // A later rotation does not make a retired key live again, and cuts others short only.
        let third = second.rotated(at(3_000), at(2_500)).unwrap();
        assert!(third.verify(&old, at(2_500)).is_err());
        assert!(third.verify(&new, at(2_999)).is_ok());
    }
}
