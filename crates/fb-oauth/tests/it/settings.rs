//! Settings: what is accepted, and what is said about the rest.

use fb_oauth::{OAuthError, ProviderSettings};
use serde_json::{Value, json};

fn problem(settings: Value) -> Option<String> {
    let settings: ProviderSettings = serde_json::from_value(settings).unwrap();
    match settings.validate() {
        Ok(()) => None,
        Err(OAuthError::Config(problem)) => Some(problem),
        Err(other) => panic!("{other:?}"),
    }
}

fn apple_key() -> Value {
    json!({ "teamId": "TEAM123456", "keyId": "KEY1234567", "privateKey": include_str!("../../src/testdata/apple.p8") })
}

#[test]
fn every_preset_works_with_what_its_provider_gives() {
    for name in fb_oauth::preset_names().chain(["twitter"]) {
        let settings = match name {
            "apple" => json!({ "preset": name, "clientId": "a", "apple": apple_key() }),
            _ => json!({ "preset": name, "clientId": "a", "clientSecret": "b" }),
        };
        assert_eq!(problem(settings), None, "{name}");
    }
    for settings in [
        json!({ "issuer": "https://idp.test", "clientId": "a" }),
        json!({ "issuer": "https://idp.test/realms/x", "clientId": "a", "clientSecret": "b", "tokenAuth": "post" }),
        json!({ "preset": "gitlab", "issuer": "https://git.example.com", "clientId": "a", "clientSecret": "b" }),
        json!({ "preset": "microsoft", "tenant": "contoso.com", "trustEmail": true, "clientId": "a" }),
        json!({
            "authorizeUrl": "https://a.test/authorize?x=y", "tokenUrl": "https://a.test/token",
            "userInfoUrl": "https://a.test/me", "mapping": { "id": "user.id" }, "clientId": "a",
        }),
    ] {
        assert_eq!(problem(settings.clone()), None, "{settings}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (settings, expected) in [
        (json!({ "preset": "google", "clientId": "" }), "clientId"),
        (json!({ "preset": "google", "clientId": "a b" }), "clientId"),
        (
            json!({ "preset": "gogle", "clientId": "a" }),
            "there are google, github",
        ),
        (json!({ "clientId": "a" }), "authorizeUrl"),
        (
            json!({ "preset": "google", "clientId": "a", "clientSecret": " " }),
            "clientSecret",
        ),
        (json!({ "preset": "linkedin", "clientId": "a" }), "clientSecret"),
        (
            json!({ "preset": "google", "clientId": "a", "tokenAuth": "basic" }),
            "tokenAuth",
        ),
        (
            json!({ "preset": "google", "clientId": "a", "tokenUrl": "https://a.test/" }),
            "tokenUrl",
        ),
        (
            json!({ "preset": "google", "clientId": "a", "tenant": "common" }),
            "tenant",
        ),
        (
            json!({ "preset": "github", "clientId": "a", "tenant": "common" }),
            "tenant",
        ),
        (
            json!({ "preset": "github", "clientId": "a", "issuer": "https://github.com" }),
            "issuer",
        ),
        (
            json!({ "preset": "google", "clientId": "a", "mapping": { "id": "oid" } }),
            "mapping.id",
        ),
        (
            json!({ "preset": "google", "clientId": "a", "mapping": { "email": "a..b" } }),
            "mapping.email",
        ),
        (
            json!({ "preset": "google", "clientId": "a", "scopes": ["a b"] }),
            "scopes",
        ),
        (json!({ "preset": "google", "clientId": "a", "scopes": [""] }), "scopes"),
        (
            json!({ "preset": "google", "clientId": "a", "apple": apple_key() }),
            "apple",
        ),
        (json!({ "preset": "apple", "clientId": "a" }), ".p8"),
        (
            json!({ "preset": "apple", "clientId": "a", "apple": apple_key(), "clientSecret": "b" }),
            "clientSecret",
        ),
        (
            json!({ "preset": "apple", "clientId": "a", "apple": apple_key(), "scopes": ["email"] }),
            "form post",
        ),
        (
            json!({ "preset": "microsoft", "clientId": "a", "tenant": "../evil" }),
            "tenant",
        ),
        (
            json!({ "preset": "microsoft", "clientId": "a", "issuer": "https://a.test" }),
            "{tenant}",
        ),
        (
            json!({ "preset": "microsoft", "clientId": "a", "trustEmail": true }),
            "trustEmail",
        ),
        (json!({ "issuer": "idp.test", "clientId": "a" }), "issuer"),
        (json!({ "issuer": "https://u:p@idp.test", "clientId": "a" }), "issuer"),
        (json!({ "issuer": "https://idp.test/?a=b", "clientId": "a" }), "issuer"),
        (json!({ "issuer": "javascript:alert(1)", "clientId": "a" }), "issuer"),
        (
            json!({
                "authorizeUrl": "https://a.test/", "tokenUrl": "https://a.test/", "userInfoUrl": "https://a.test/",
                "clientId": "a",
            }),
            "mapping.id",
        ),
        (
            json!({
                "authorizeUrl": "javascript:alert(1)", "tokenUrl": "https://a.test/", "userInfoUrl": "https://a.test/",
                "mapping": { "id": "id" }, "clientId": "a",
            }),
            "authorizeUrl",
        ),
    ] {
        let found = problem(settings.clone());
        assert!(
            found.as_ref().is_some_and(|text| text.contains(expected)),
            "{settings}: {found:?}"
        );
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    let found = problem(json!({ "preset": "google", "clientId": "", "tenant": "x", "scopes": [""] })).unwrap();
    for part in ["clientId", "tenant", "scopes"] {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn unknown_members_and_wrong_types_are_refused() {
    for settings in [
        json!({ "clientId": "a", "clientSecrets": "b" }),
        json!({ "clientId": 7 }),
        json!({ "clientId": "a", "trustEmail": "true" }),
        json!({ "clientId": "a", "tokenAuth": "none" }),
        json!({ "clientId": "a", "mapping": { "mail": "x" } }),
        json!({ "clientId": "a", "scopes": "openid email" }),
        json!({}),
    ] {
        assert!(
            serde_json::from_value::<ProviderSettings>(settings.clone()).is_err(),
            "{settings}"
        );
    }
}

#[test]
fn s47_settings_are_stored_whole_and_shown_without_secrets() {
    let json = json!({ "preset": "apple", "clientId": "a", "apple": apple_key() });
    let settings: ProviderSettings = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&settings).unwrap(), json);
    let shown = serde_json::to_value(settings.without_secrets()).unwrap();
    assert_eq!(shown["apple"]["privateKey"], "***");

    let json = json!({ "preset": "google", "clientId": "a", "clientSecret": "canary" });
    let settings: ProviderSettings = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&settings).unwrap(), json);
    assert!(!format!("{settings:?}").contains("canary"));
    assert!(
        !serde_json::to_string(&settings.without_secrets())
            .unwrap()
            .contains("canary")
    );
}
