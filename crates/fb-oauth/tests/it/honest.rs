//! What has to work.

use fb_oauth::testkit::{CLIENT_ID, Misbehaviour, REDIRECT_URI, SigningAlgorithm, query_of};
use fb_oauth::{Mapping, Pending, ProviderSettings, TokenAuth};
use serde_json::json;

use crate::World;

#[tokio::test]
async fn s22_an_honest_openid_login_succeeds_with_every_permitted_algorithm() {
    for algorithm in [
        SigningAlgorithm::Es256,
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Ps256,
    ] {
        let world = World::new();
        world.idp.set_algorithm(algorithm);
        let profile = world.log_in(&world.idp.openid_settings()).await.unwrap();
        assert_eq!(
            (profile.provider.as_str(), profile.subject.as_str()),
            ("idp", "248289761001"),
            "{algorithm:?}"
        );
        assert_eq!(profile.email.as_deref(), Some("jane@example.test"));
        assert!(profile.email_verified);
        assert_eq!(profile.name.as_deref(), Some("Jane Doe"));
        assert_eq!(profile.claims["iss"], world.idp.issuer());
        assert!(profile.access_token.expose().starts_with("token-"));
        assert_eq!(world.idp.n_requests("/userinfo"), 0, "the id token says it all");
    }
}

#[tokio::test]
async fn the_browser_is_sent_away_with_everything_that_binds_the_login() {
    let world = World::new();
    let started = world
        .flow(&world.idp.openid_settings())
        .begin(REDIRECT_URI, world.now)
        .await
        .unwrap();
    let query = query_of(&started.authorize_url);
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["client_id"], CLIENT_ID);
    assert_eq!(query["redirect_uri"], REDIRECT_URI);
    assert_eq!(query["scope"], "openid email profile");
    assert_eq!(query["state"], started.pending.state());
    assert_eq!(query["code_challenge_method"], "S256");
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(query[name].len(), 43, "{name} has 256 bits");
    }
    assert_eq!(started.pending.provider(), "idp");
    assert_eq!(started.pending.redirect_uri(), REDIRECT_URI);
    assert_eq!(started.pending.created_at(), world.now);
    assert_eq!(started.pending.expires_at(), world.after(600));

    let json = serde_json::to_string(&started.pending).unwrap();
    assert_eq!(serde_json::from_str::<Pending>(&json).unwrap(), started.pending);

    let again = world
        .flow(&world.idp.openid_settings())
        .begin(REDIRECT_URI, world.now)
        .await
        .unwrap();
    let other = query_of(&again.authorize_url);
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(query[name], other[name], "{name} is new each time");
    }
}

#[tokio::test]
async fn a_pending_login_survives_storage() {
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    let (pending, back) = world.begin(&flow).await.unwrap();
    let json = serde_json::to_value(&pending).unwrap();
    let pending: Pending = serde_json::from_value(json).unwrap();
    assert!(world.finish(&flow, &pending, &back).await.is_ok());
}

#[tokio::test]
async fn an_honest_github_login_takes_the_primary_verified_address() {
    let world = World::new();
    let profile = world.log_in(&world.idp.github_settings()).await.unwrap();
    assert_eq!(profile.subject, "583231");
    assert_eq!(profile.email.as_deref(), Some("octocat@example.test"));
    assert!(profile.email_verified);
    assert_eq!(profile.name.as_deref(), Some("The Octocat"));
    assert_eq!(profile.claims["login"], "octocat");
}

#[tokio::test]
async fn s23_a_github_address_that_is_not_verified_is_no_address() {
    let world = World::new();
    for emails in [
        json!([{ "email": "a@example.test", "primary": true, "verified": false }]),
        json!([{ "email": "a@example.test", "primary": false, "verified": true }]),
        json!([]),
    ] {
        world.idp.set_github_emails(emails);
        let profile = world.log_in(&world.idp.github_settings()).await.unwrap();
        assert_eq!((profile.email, profile.email_verified), (None, false));
    }
}

#[tokio::test]
async fn an_honest_plain_login_succeeds_with_places_of_its_own() {
    let world = World::new();
    world
        .idp
        .set_github_profile(json!({ "data": { "id": "u-7", "mail": "a@example.test", "ok": true }, "nick": "N" }));
    let place = |text: &str| Some(text.to_owned());
    let settings = ProviderSettings {
        mapping: Some(Mapping {
            id: place("data.id"),
            email: place("data.mail"),
            email_verified: place("data.ok"),
            name: place("nick"),
        }),
        scopes: Some(vec!["profile".to_owned(), "mail.read".to_owned()]),
        ..world.idp.plain_settings()
    };
    let profile = world.log_in(&settings).await.unwrap();
    assert_eq!((profile.subject.as_str(), profile.email_verified), ("u-7", true));
    assert_eq!(profile.email.as_deref(), Some("a@example.test"));
    assert_eq!(profile.name.as_deref(), Some("N"));
}

#[tokio::test]
async fn an_honest_microsoft_login_succeeds_without_a_verified_address() {
    let world = World::new();
    world.idp.set_tenant("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    world.idp.set_claim("email_verified", json!(null));
    for tenant in [
        None,
        Some("common"),
        Some("organizations"),
        Some("contoso.onmicrosoft.com"),
    ] {
        let settings = ProviderSettings {
            tenant: tenant.map(str::to_owned),
            ..world.idp.microsoft_settings()
        };
        let profile = world.log_in(&settings).await.unwrap();
        assert_eq!(profile.claims["tid"], "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
        assert_eq!(
            (profile.email.is_some(), profile.email_verified),
            (true, false),
            "{tenant:?}"
        );
    }
    let trusting = ProviderSettings {
        tenant: Some("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee".to_owned()),
        trust_email: Some(true),
        ..world.idp.microsoft_settings()
    };
    assert!(world.log_in(&trusting).await.unwrap().email_verified);
}

#[tokio::test]
async fn presets_follow_the_manners_of_their_providers() {
    let world = World::new();
    let preset = |name: &str, settings: ProviderSettings| ProviderSettings {
        preset: Some(name.to_owned()),
        mapping: None,
        ..settings
    };

    // LinkedIn: neither PKCE nor nonce.
    let linkedin = preset("linkedin", world.idp.openid_settings());
    let started = world.flow(&linkedin).begin(REDIRECT_URI, world.now).await.unwrap();
    let query = query_of(&started.authorize_url);
    assert!(!query.contains_key("nonce") && !query.contains_key("code_challenge"));
    assert!(world.log_in(&linkedin).await.is_ok());

    // Facebook: an address, of which nobody says that it is verified.
    world
        .idp
        .set_github_profile(json!({ "id": "10158", "name": "F", "email": "f@example.test" }));
    let profile = world
        .log_in(&preset("facebook", world.idp.plain_settings()))
        .await
        .unwrap();
    assert_eq!(
        (profile.email.as_deref(), profile.email_verified),
        (Some("f@example.test"), false)
    );

    // X, under both names: everything is one level down.
    world
        .idp
        .set_github_profile(json!({ "data": { "id": "2244994945", "name": "Dev", "username": "dev" } }));
    for name in ["x", "twitter"] {
        let profile = world.log_in(&preset(name, world.idp.plain_settings())).await.unwrap();
        assert_eq!(
            (profile.subject.as_str(), profile.email),
            ("2244994945", None),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_address_in_user_info_counts_as_user_info_says() {
    let world = World::new();
    world.idp.set_email_in_user_info(true);
    let profile = world.log_in(&world.idp.openid_settings()).await.unwrap();
    assert_eq!(profile.email.as_deref(), Some("jane@example.test"));
    assert!(profile.email_verified);
    world.idp.set_claim("email_verified", json!(false));
    assert!(!world.log_in(&world.idp.openid_settings()).await.unwrap().email_verified);
    assert_eq!(world.idp.n_requests("/userinfo"), 2);
}

#[tokio::test]
async fn the_secret_is_shown_in_both_ways() {
    let world = World::new();
    for token_auth in [None, Some(TokenAuth::Basic), Some(TokenAuth::Post)] {
        let settings = ProviderSettings {
            token_auth,
            ..world.idp.openid_settings()
        };
        assert!(world.log_in(&settings).await.is_ok(), "{token_auth:?}");
    }
}

#[tokio::test]
async fn a_login_that_the_client_started_needs_neither_nonce_nor_verifier() {
    let world = World::new();
    let authorize = |scope: &str| {
        let url = world.idp.url("/authorize");
        let redirect = REDIRECT_URI.replace('/', "%2F");
        let url = format!(
            "{url}?response_type=code&client_id={CLIENT_ID}&scope={scope}&state=%7B%7D&redirect_uri={redirect}"
        );
        query_of(&world.idp.authorize(&url).unwrap())["code"].clone()
    };
    let flow = world.flow(&world.idp.openid_settings());
    let code = authorize("openid%20email");
    let profile = flow
        .finish_client_started(&code, REDIRECT_URI, None, world.now)
        .await
        .unwrap();
    assert_eq!(
        (profile.subject.as_str(), profile.email_verified),
        ("248289761001", true)
    );

    let flow = world.flow(&world.idp.github_settings());
    let profile = flow
        .finish_client_started(&authorize("user"), REDIRECT_URI, None, world.now)
        .await
        .unwrap();
    assert_eq!(profile.subject, "583231");
}

#[tokio::test]
async fn what_an_issuer_publishes_is_remembered_for_an_hour() {
    let mut world = World::new();
    let settings = world.idp.openid_settings();
    let discovery = "/.well-known/openid-configuration";
    for _ in 0..3 {
        world.log_in(&settings).await.unwrap();
    }
    assert_eq!((world.idp.n_requests(discovery), world.idp.n_requests("/keys")), (1, 1));

    // The provider's tokens are made now, and are an hour old then; only what is fetched matters.
    world.now = world.after(3600);
    let _ = world.log_in(&settings).await;
    assert_eq!((world.idp.n_requests(discovery), world.idp.n_requests("/keys")), (2, 2));
}

#[tokio::test]
async fn new_keys_of_an_issuer_are_fetched_when_they_are_needed() {
    let mut world = World::new();
    let settings = world.idp.openid_settings();
    world.log_in(&settings).await.unwrap();
    world.idp.rotate_keys();
    world.now = world.after(61);
    world.log_in(&settings).await.unwrap();
    assert_eq!(world.idp.n_requests("/keys"), 2);
}

#[tokio::test]
async fn s23_addresses_that_are_not_verified_say_so() {
    let world = World::new();
    for wrong in [
        Misbehaviour::MissingEmailVerified,
        Misbehaviour::UnverifiedEmail,
        Misbehaviour::TextEmailVerified,
    ] {
        world.idp.set_misbehaviour(Some(wrong));
        let profile = world.log_in(&world.idp.openid_settings()).await.unwrap();
        assert_eq!(
            (profile.email.is_some(), profile.email_verified),
            (true, false),
            "{wrong:?}"
        );
        let trusting = ProviderSettings {
            trust_email: Some(true),
            ..world.idp.openid_settings()
        };
        assert!(world.log_in(&trusting).await.unwrap().email_verified, "{wrong:?}");
    }
}

#[tokio::test]
async fn an_honest_apple_login_shows_a_secret_that_was_signed_for_it() {
    let world = World::new();
    world.idp.set_apple(true);
    let started = world
        .flow(&world.idp.apple_settings())
        .begin(REDIRECT_URI, world.now)
        .await
        .unwrap();
    let query = query_of(&started.authorize_url);
    assert_eq!(query["response_mode"], "query");
    assert!(!query.contains_key("scope") && query.contains_key("nonce"));

    let profile = world.log_in(&world.idp.apple_settings()).await.unwrap();
    assert_eq!(profile.subject, "248289761001");
    // Apple's text counts, but from Apple only.
    world.idp.set_misbehaviour(Some(Misbehaviour::TextEmailVerified));
    assert!(world.log_in(&world.idp.apple_settings()).await.unwrap().email_verified);
    world.idp.set_misbehaviour(Some(Misbehaviour::UnverifiedEmail));
    assert!(!world.log_in(&world.idp.apple_settings()).await.unwrap().email_verified);
    world.idp.set_misbehaviour(Some(Misbehaviour::WrongNonce));
    assert!(world.log_in(&world.idp.apple_settings()).await.is_err());
}

#[test]
fn logins_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    let begin = flow.begin(REDIRECT_URI, world.now);
    is_send(&begin);
    is_send(&flow.finish_client_started("code", REDIRECT_URI, None, world.now));
    is_send(&world.log_in(&world.idp.openid_settings()));
}
