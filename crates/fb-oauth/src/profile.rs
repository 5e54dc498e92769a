//! Who logged in, as the provider says.

use std::fmt;

use fb_auth::Secret;
use serde_json::{Map, Value};

use crate::claims::is_subject;
use crate::error::harmless;
use crate::presets::Quirk;
use crate::provider::Provider;

/// Longest e-mail address in bytes (RFC 5321).
const MAX_EMAIL: usize = 254;

/// A checked login.
#[derive(Clone)]
pub struct Profile {
    /// The provider's name in the app.
    pub provider: String,
    /// The user's id at the provider: never empty, at most 255 bytes. With `provider` it identifies the user; nothing
    /// else does.
    pub subject: String,
    /// The e-mail address in the provider's spelling, if it gave one that looks like an address.
    pub email: Option<String>,
    /// Did the provider say that the address belongs to the user (or does the operator trust it to)? Without it, the
    /// address must not be used to find an existing account.
    pub email_verified: bool,
    /// The name to show, without control characters, at most 300 characters.
    pub name: Option<String>,
    /// Everything the provider said: the claims of the id token, and below them user info; or the profile. Whether an
    /// address in there is verified is not to be read from it.
    pub claims: Map<String, Value>,
    /// For requests to the provider on behalf of the user.
    pub access_token: Secret,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and addresses do not go into logs.
        write!(f, "Profile({}, ***)", self.provider)
    }
}

/// The parts of a profile that are looked up by place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    pub(crate) name: Option<String>,
}

impl Person {
    /// Looks for address and name in `sources`, the first of which is believed most. Whether the address is verified is
    /// taken from the source that has the address: what one says about its own must not vouch for another's.
    pub(crate) fn find(provider: &Provider, sources: &[&Map<String, Value>]) -> Self {
        let places = &provider.places;
        let at = |source: &'_ Map<String, Value>, place: &Option<String>| -> Option<Value> {
            place.as_deref().and_then(|place| look_up(source, place)).cloned()
        };
        let mut person = Self::default();
        for source in sources {
            if person.email.is_none()
                && let Some(email) = at(source, &places.email).as_ref().and_then(read_email)
            {
                let says = at(source, &places.email_verified);
                person.email_verified = provider.trusts_email || is_true(says.as_ref(), provider.quirk);
                person.email = Some(email);
            }
            if person.name.is_none() {
                person.name = at(source, &places.name).as_ref().and_then(Value::as_str).map(harmless);
            }
        }
        person.name = person.name.filter(|name| !name.trim().is_empty());
        person
    }
}

/// Only a literal `true` is a yes; Apple writes it as a text in places.
fn is_true(value: Option<&Value>, quirk: Quirk) -> bool {
    match value {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::String(text)) => quirk == Quirk::AppleSecret && text == "true",
        Some(Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => false,
    }
}

/// The member at a path such as `data.id`; a member whose own name is the whole path comes first.
pub(crate) fn look_up<'a>(source: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = source.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    look_up(source.get(first)?.as_object()?, rest)
}

/// The id in a profile of plain OAuth 2: a text with something in it, or a positive whole number.
pub(crate) fn read_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if is_subject(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().filter(|&n| n > 0).map(|n| n.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text that looks like one address: what could be several addresses, or a header, is none.
pub(crate) fn read_email(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let (local, domain) = text.rsplit_once('@')?;
    let is_strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '<' | '>' | '"' | '@');
    let is_address = !local.is_empty() && !domain.is_empty() && text.len() <= MAX_EMAIL;
    (is_address && !local.contains(is_strange) && !domain.contains(is_strange)).then(|| text.to_owned())
}

/// The primary address in GitHub's list, if it is verified.
pub(crate) fn github_email(list: &Value) -> Option<String> {
    let is = |entry: &Value, member: &str| entry.get(member) == Some(&Value::Bool(true));
    let primary = list.as_array()?.iter().find(|entry| is(entry, "primary"))?;
    is(primary, "verified").then(|| read_email(primary.get("email")?))?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ProviderSettings;

    fn person(settings: Value, sources: &[Value]) -> Person {
        let settings: ProviderSettings = serde_json::from_value(settings).unwrap();
        let provider = Provider::new(&settings).unwrap();
        let sources: Vec<_> = sources.iter().map(|source| source.as_object().unwrap()).collect();
        Person::find(&provider, &sources)
    }

    fn custom() -> Value {
        json!({ "issuer": "https://idp.test", "clientId": "me" })
    }

    #[test]
    fn s24_ids_are_texts_or_positive_numbers() {
        for (value, id) in [
            (json!("a"), "a"),
            (json!(7), "7"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(read_id(&value).as_deref(), Some(id));
        }
        for value in [
            json!(""),
            json!("  "),
            json!("a\n"),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(1e30),
            json!(null),
            json!(true),
            json!(false),
            json!([]),
            json!(["a"]),
            json!({}),
            json!({ "id": 1 }),
            json!("x".repeat(300)),
        ] {
            assert_eq!(read_id(&value), None, "{value}");
        }
    }

    #[test]
    fn s23_only_a_literal_true_verifies_an_address() {
        let verified =
            |value: Value| person(custom(), &[json!({ "email": "a@b.test", "email_verified": value })]).email_verified;
        assert!(verified(json!(true)));
        for value in [
            json!("true"),
            json!(1),
            json!("yes"),
            json!(null),
            json!([true]),
            json!(false),
        ] {
            assert!(!verified(value.clone()), "{value}");
        }
        assert!(!person(custom(), &[json!({ "email": "a@b.test" })]).email_verified);
        let trusting = json!({ "issuer": "https://idp.test", "clientId": "me", "trustEmail": true });
        assert!(
            person(
                trusting.clone(),
                &[json!({ "email": "a@b.test", "email_verified": false })]
            )
            .email_verified
        );
        assert!(
            !person(trusting, &[json!({ "email_verified": true })]).email_verified,
            "there is no address"
        );
    }

    #[test]
    fn s23_one_source_does_not_vouch_for_the_address_of_another() {
        let token = json!({ "sub": "7", "email_verified": true });
        let info = json!({ "sub": "7", "email": "a@b.test", "email_verified": false, "name": "A\u{7}\u{202e}B" });
        let found = person(custom(), &[token, info]);
        assert_eq!(
            (found.email.as_deref(), found.email_verified),
            (Some("a@b.test"), false)
        );
        assert_eq!(found.name.as_deref(), Some("AB"));

        // An address from a place of its own is not verified by what the preset's place says.
        let other_place = json!({ "issuer": "https://idp.test", "clientId": "me", "mapping": { "email": "upn" } });
        let found = person(other_place, &[json!({ "upn": "a@b.test", "email_verified": true })]);
        assert_eq!(
            (found.email.as_deref(), found.email_verified),
            (Some("a@b.test"), false)
        );
    }

    #[test]
    fn what_is_no_address_is_no_address() {
        for good in ["a@b.test", "a+b@c", "ü@bücher.example"] {
            assert_eq!(read_email(&json!(good)).as_deref(), Some(good));
        }
        for bad in [
            json!(""),
            json!("@"),
            json!("a@"),
            json!("@b"),
            json!("a"),
            json!("a@b@c"),
            json!("a@b.test,c@d.test"),
            json!("a@b.test\r\nBcc: c@d.test"),
            json!("A <a@b.test>"),
            json!(" a@b.test"),
            json!(null),
            json!(7),
            json!(["a@b.test"]),
            json!(format!("{}@b.test", "a".repeat(300))),
        ] {
            assert_eq!(read_email(&bad), None, "{bad}");
        }
    }

    #[test]
    fn s23_github_gives_the_primary_address_only_if_verified() {
        let entry = |email: &str, primary: bool, verified: Value| json!({ "email": email, "primary": primary, "verified": verified });
        let good = json!([
            entry("b@x.test", false, json!(true)),
            entry("a@x.test", true, json!(true))
        ]);
        assert_eq!(github_email(&good).as_deref(), Some("a@x.test"));
        for list in [
            json!([
                entry("b@x.test", false, json!(true)),
                entry("a@x.test", true, json!(false))
            ]),
            json!([entry("b@x.test", false, json!(true))]),
            json!([entry("a@x.test", true, json!("true"))]),
            json!([{ "email": "a@x.test" }]),
            json!([{ "primary": true, "verified": true }]),
            json!([]),
            json!({ "message": "Not Found" }),
            json!(null),
        ] {
            assert_eq!(github_email(&list), None, "{list}");
        }
    }

    #[test]
    fn places_are_paths() {
        let source = json!({ "a.b": 1, "a": { "b": 2, "c": { "d": 3 } }, "list": [1] });
        let source = source.as_object().unwrap();
        assert_eq!(look_up(source, "a.b"), Some(&json!(1)));
        assert_eq!(look_up(source, "a.c.d"), Some(&json!(3)));
        for missing in ["x", "a.x", "a.b.c", "list.0", ""] {
            assert_eq!(look_up(source, missing), None, "{missing}");
        }
    }
}
