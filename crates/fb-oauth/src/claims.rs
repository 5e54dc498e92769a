//! What an id token has to say. Source: OpenID Connect Core 1.0, section 3.1.3.7.

use fb_types::Timestamp;
use ring::digest;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use crate::Forgery;
use crate::encoding::to_base64url;
use crate::issuer::IssuerRule;
use crate::jwk::Algorithm;

/// How far the issuer's clock may be off, in seconds.
const MAX_SKEW: i64 = 60;
/// Longest subject in bytes, as in OpenID Connect Core, section 2.
pub(crate) const MAX_SUBJECT: usize = 255;

/// What is expected of an id token.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a IssuerRule,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: NonceRule<'a>,
    pub(crate) access_token: &'a str,
    pub(crate) now: Timestamp,
}

/// What is expected of the nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NonceRule<'a> {
    /// It is there and this one.
    Exactly(&'a str),
    /// The client that started the flow knows it.
    Any,
    /// None was sent, so that none may come back.
    Absent,
}

/// Checks the claims of a verified token and returns its subject.
pub(crate) fn check_claims(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    expected: &Expected<'_>,
) -> Result<String, Forgery> {
    if !expected.issuer.admits_claims(claims) {
        return Err(Forgery::Issuer);
    }
    check_audience(claims, expected.client_id)?;
    check_times(claims, expected.now)?;
    let nonce = claims.get("nonce");
    let is_this_login = match expected.nonce {
        NonceRule::Exactly(expected) => nonce.and_then(Value::as_str).is_some_and(|nonce| same(nonce, expected)),
        NonceRule::Any => true,
        NonceRule::Absent => nonce.is_none(),
    };
    if !is_this_login {
        return Err(Forgery::Nonce);
    }
    if let Some(hash) = claims.get("at_hash")
        && !hash
            .as_str()
            .is_some_and(|hash| same(hash, &half_hash(algorithm, expected.access_token)))
    {
        return Err(Forgery::AccessToken);
    }
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|subject| is_subject(subject));
    subject.map(str::to_owned).ok_or(Forgery::Subject)
}

/// Could this text be somebody's id: not empty, not blank, not longer than permitted, without control characters?
pub(crate) fn is_subject(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_SUBJECT && !text.contains(char::is_control)
}

/// Equality of secrets, in a time that does not tell where they differ.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), Forgery> {
    let n_audiences = match claims.get("aud") {
        Some(Value::String(one)) if one == client_id => 1,
        Some(Value::Array(several)) if several.iter().any(|one| one == client_id) => several.len(),
        _ => return Err(Forgery::Audience),
    };
    match claims.get("azp") {
        Some(party) if party == client_id => Ok(()),
        Some(_) => Err(Forgery::Audience),
        None if n_audiences == 1 => Ok(()),
        None => Err(Forgery::Audience),
    }
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Forgery> {
    let now = now.seconds();
    let expires = seconds(claims, "exp")?.ok_or(Forgery::Expired)?;
    if now >= expires.saturating_add(MAX_SKEW) {
        return Err(Forgery::Expired);
    }
    let issued = seconds(claims, "iat")?.ok_or(Forgery::Future)?;
    let not_before = seconds(claims, "nbf")?.unwrap_or(issued);
    if issued.max(not_before) > now.saturating_add(MAX_SKEW) {
        return Err(Forgery::Future);
    }
    Ok(())
}

/// A moment in whole seconds; fractions, which RFC 7519 permits, are dropped.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Forgery> {
    match claims.get(name) {
        None => Ok(None),
        // The cast saturates, and JSON has neither infinity nor NaN.
        Some(Value::Number(n)) => Ok(n.as_i64().or_else(|| n.as_f64().map(|n| n.floor() as i64))),
        Some(_) => Err(Forgery::Malformed),
    }
}

/// The left half of the hash that belongs to the algorithm: SHA-256, and SHA-512 for Ed25519.
fn half_hash(algorithm: Algorithm, access_token: &str) -> String {
    let hash = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
        Algorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest::digest(hash, access_token.as_bytes());
    to_base64url(&hash.as_ref()[..hash.as_ref().len() / 2])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn check(change: impl FnOnce(&mut Map<String, Value>)) -> Result<String, Forgery> {
        let claims = json!({
            "iss": "https://idp.test", "aud": "me", "sub": "7", "nonce": "n", "iat": NOW, "exp": NOW + 300,
        });
        let Value::Object(mut claims) = claims else {
            unreachable!()
        };
        change(&mut claims);
        let expected = Expected {
            issuer: &IssuerRule::Exact("https://idp.test".to_owned()),
            client_id: "me",
            nonce: NonceRule::Exactly("n"),
            access_token: "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
            now: Timestamp::from_millis(NOW * 1000),
        };
        check_claims(&claims, Algorithm::Rs256, &expected)
    }

    fn with(name: &str, value: Value) -> Result<String, Forgery> {
        check(|claims| {
            claims.insert(name.to_owned(), value);
        })
    }

    #[test]
    fn honest_claims_pass() {
        assert_eq!(check(|_| ()), Ok("7".to_owned()));
        for (name, value) in [
            ("aud", json!(["me"])),
            ("azp", json!("me")),
            ("exp", json!(NOW - 59)),
            ("exp", json!(NOW as f64 + 0.5)),
            ("iat", json!(NOW + 60)),
            ("nbf", json!(NOW + 60)),
            // The example of OpenID Connect Core, appendix A.3.
            ("at_hash", json!("77QmUPtjPfzWtF2AnpK9RQ")),
        ] {
            assert_eq!(with(name, value.clone()), Ok("7".to_owned()), "{name} {value}");
        }
        let two = check(|claims| {
            claims.insert("aud".to_owned(), json!(["me", "other"]));
            claims.insert("azp".to_owned(), json!("me"));
        });
        assert!(two.is_ok());
    }

    #[test]
    fn s22_each_claim_is_checked_for_value_and_type() {
        let wrong = |name: &str, values: &[Value], forgery: Forgery| {
            for value in values {
                assert_eq!(with(name, value.clone()), Err(forgery), "{name} {value}");
            }
        };
        let missing = |name: &str, forgery: Forgery| {
            let result = check(|claims| {
                claims.remove(name);
            });
            assert_eq!(result, Err(forgery), "without {name}");
        };
        wrong(
            "iss",
            &[
                json!("https://idp.test/"),
                json!("idp.test"),
                json!(["https://idp.test"]),
                json!(null),
            ],
            Forgery::Issuer,
        );
        wrong(
            "aud",
            &[
                json!("you"),
                json!([]),
                json!(["you"]),
                json!(["me", "you"]),
                json!({"me": 1}),
                json!(""),
            ],
            Forgery::Audience,
        );
        wrong("azp", &[json!("you"), json!(null), json!(["me"])], Forgery::Audience);
        wrong(
            "exp",
            &[json!(NOW - 60), json!(0), json!(-1), json!(-1e300)],
            Forgery::Expired,
        );
        wrong(
            "exp",
            &[json!("9999999999"), json!(null), json!([])],
            Forgery::Malformed,
        );
        wrong("iat", &[json!(NOW + 61), json!(1e300)], Forgery::Future);
        wrong("nbf", &[json!(NOW + 61)], Forgery::Future);
        wrong(
            "nonce",
            &[json!("m"), json!(""), json!(null), json!(["n"]), json!("n ")],
            Forgery::Nonce,
        );
        wrong(
            "at_hash",
            &[json!("77QmUPtjPfzWtF2AnpK9RA"), json!(""), json!(null), json!(1)],
            Forgery::AccessToken,
        );
        missing("iss", Forgery::Issuer);
        missing("aud", Forgery::Audience);
        missing("exp", Forgery::Expired);
        missing("iat", Forgery::Future);
        missing("nonce", Forgery::Nonce);
    }

    #[test]
    fn s24_a_subject_is_a_text_with_something_in_it() {
        for value in [
            json!(""),
            json!(" "),
            json!("\t\n"),
            json!("a\u{0}"),
            json!(null),
            json!(0),
            json!(7),
            json!(true),
            json!([]),
            json!(["7"]),
            json!({}),
            json!("x".repeat(256)),
        ] {
            assert_eq!(with("sub", value.clone()), Err(Forgery::Subject), "{value}");
        }
        let missing = check(|claims| {
            claims.remove("sub");
        });
        assert_eq!(missing, Err(Forgery::Subject));
    }
}
