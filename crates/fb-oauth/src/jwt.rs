//! Signed tokens, in the compact form of RFC 7515. Reading the header and believing the claims are two steps, with the
//! signature between them.

use serde_json::{Map, Value};

use crate::Forgery;
use crate::encoding::from_base64url;
use crate::jwk::{Algorithm, Key};

/// Longest token in bytes.
const MAX_TOKEN: usize = 32 * 1024;

/// A token whose signature has not been checked. Its claims cannot be reached.
pub(crate) struct Unverified<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: String,
    /// Header and payload as they were signed.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart. Its algorithm has to be a permitted one, its key has to be named, and it must not be a token
    /// for another purpose.
    pub(crate) fn read(token: &'a str) -> Result<Self, Forgery> {
        if token.len() > MAX_TOKEN {
            return Err(Forgery::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Forgery::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Forgery::Malformed)?;
        // Five parts are an encrypted token.
        if payload.contains('.') {
            return Err(Forgery::Malformed);
        }
        let header = read_object(header)?;
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Forgery::Algorithm)?;
        let algorithm = Algorithm::from_name(algorithm).ok_or(Forgery::Algorithm)?;
        // RFC 7515, section 4.1.11: an extension that is not understood must not be ignored; none is understood.
        if header.contains_key("crit") {
            return Err(Forgery::Malformed);
        }
        // RFC 8725, section 3.11: access and logout tokens are signed with the same keys, but carry a type of their own.
        let is_id_token = match header.get("typ") {
            None => true,
            Some(Value::String(name)) => !name.to_ascii_lowercase().ends_with("+jwt"),
            Some(_) => false,
        };
        if !is_id_token {
            return Err(Forgery::Malformed);
        }
        let key_id = header.get("kid").and_then(Value::as_str).filter(|id| !id.is_empty());
        Ok(Self {
            algorithm,
            key_id: key_id.ok_or(Forgery::Key)?.to_owned(),
            signed,
            payload,
            signature: from_base64url(signature).ok_or(Forgery::Malformed)?,
        })
    }

    /// The claims, if `key` signed them.
    pub(crate) fn verify(self, key: &Key) -> Result<Map<String, Value>, Forgery> {
        if !key.verifies(self.algorithm, self.signed.as_bytes(), &self.signature) {
            return Err(Forgery::Signature);
        }
        read_object(self.payload)
    }
}

fn read_object(part: &str) -> Result<Map<String, Value>, Forgery> {
    let bytes = from_base64url(part).ok_or(Forgery::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Forgery::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::to_base64url;

    fn error(header: &str) -> Option<Forgery> {
        let token = format!("{}.{}.AAAA", to_base64url(header.as_bytes()), to_base64url(b"{}"));
        Unverified::read(&token).err()
    }

    #[test]
    fn s22_headers_are_checked_before_anything_else() {
        for good in [
            r#"{"alg":"RS256","kid":"a"}"#,
            r#"{"alg":"EdDSA","kid":"a","typ":"JWT"}"#,
            r#"{"alg":"ES256","kid":"a","typ":"jwt","jku":"https://evil.test/keys","jwk":{}}"#,
        ] {
            assert_eq!(error(good), None, "{good}");
        }
        for (header, forgery) in [
            (r#"{"alg":"none","kid":"a"}"#, Forgery::Algorithm),
            (r#"{"alg":"NONE","kid":"a"}"#, Forgery::Algorithm),
            (r#"{"alg":"HS256","kid":"a"}"#, Forgery::Algorithm),
            (r#"{"alg":["RS256"],"kid":"a"}"#, Forgery::Algorithm),
            (r#"{"kid":"a"}"#, Forgery::Algorithm),
            (r#"{"alg":"RS256"}"#, Forgery::Key),
            (r#"{"alg":"RS256","kid":""}"#, Forgery::Key),
            (r#"{"alg":"RS256","kid":1}"#, Forgery::Key),
            (
                r#"{"alg":"RS256","kid":"a","crit":["b64"],"b64":false}"#,
                Forgery::Malformed,
            ),
            (r#"{"alg":"RS256","kid":"a","typ":"at+jwt"}"#, Forgery::Malformed),
            (
                r#"{"alg":"RS256","kid":"a","typ":"application/at+JWT"}"#,
                Forgery::Malformed,
            ),
            (r#"{"alg":"RS256","kid":"a","typ":7}"#, Forgery::Malformed),
            ("[]", Forgery::Malformed),
            ("", Forgery::Malformed),
        ] {
            assert_eq!(error(header), Some(forgery), "{header}");
        }
        let header = to_base64url(br#"{"alg":"RS256","kid":"a"}"#);
        for token in [
            String::new(),
            "..".to_owned(),
            header.clone(),
            format!("{header}.e30"),
            format!("{header}.e30.A=A"),
            format!("{header}=.e30.AAAA"),
            format!("{header}.e30.AA AA"),
            format!("{header}.e30.e30.e30.AAAA"),
            format!("{header}.e30.{}", "A".repeat(MAX_TOKEN)),
        ] {
            assert!(Unverified::read(&token).is_err(), "{token:.60}");
        }
    }
}
