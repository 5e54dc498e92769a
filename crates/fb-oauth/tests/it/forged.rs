//! What has to fail: a test for each misbehaviour.

use fb_oauth::testkit::{Breakage, Misbehaviour, REDIRECT_URI, SigningAlgorithm};
use fb_oauth::{Forgery, OAuthError, ProviderFault, ProviderSettings};
use fb_outbound::OutboundError;
use serde_json::json;

use crate::World;

async fn log_in_at(wrong: Misbehaviour) -> Result<fb_oauth::Profile, OAuthError> {
    let world = World::new();
    world.idp.set_misbehaviour(Some(wrong));
    world.log_in(&world.idp.openid_settings()).await
}

macro_rules! forgeries {
    ($($name:ident: $wrong:ident => $forgery:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            match log_in_at(Misbehaviour::$wrong).await {
                Err(OAuthError::Forged(Forgery::$forgery)) => {}
                other => panic!("{other:?}"),
            }
        }
    )*};
}

forgeries! {
    s22_another_issuer_is_refused: WrongIssuer => Issuer;
    s22_a_token_for_another_client_is_refused: WrongAudience => Audience;
    s22_a_token_for_several_clients_is_refused: SeveralAudiences => Audience;
    s22_a_token_given_to_another_client_is_refused: WrongAuthorizedParty => Audience;
    s22_an_expired_token_is_refused: Expired => Expired;
    s22_a_token_issued_in_the_future_is_refused: FutureIssuedAt => Future;
    s22_a_token_that_is_not_valid_yet_is_refused: NotYetValid => Future;
    s22_a_wrong_nonce_is_refused: WrongNonce => Nonce;
    s22_a_missing_nonce_is_refused: MissingNonce => Nonce;
    s22_the_algorithm_none_is_refused: AlgorithmNone => Algorithm;
    s22_hmac_with_the_public_key_is_refused: HmacWithPublicKey => Algorithm;
    s22_an_unknown_key_is_refused: UnknownKey => Key;
    s22_a_missing_key_id_is_refused: MissingKey => Key;
    s22_a_foreign_key_is_refused: ForeignKey => Signature;
    s22_swapped_keys_are_refused: SwappedKeys => Signature;
    s22_a_missing_signature_is_refused: NoSignature => Signature;
    s22_an_unknown_critical_extension_is_refused: CriticalExtension => Malformed;
    s22_an_access_token_is_no_id_token: AccessTokenAsIdToken => Malformed;
    s22_another_access_token_is_refused: WrongAccessTokenHash => AccessToken;
    s24_an_empty_subject_is_refused: EmptySubject => Subject;
    s24_a_missing_subject_is_refused: MissingSubject => Subject;
    s24_a_numeric_subject_is_refused: NumericSubject => Subject;
    s22_a_wrong_state_is_refused: WrongState => State;
    s22_an_answer_of_another_issuer_is_refused: MixUp => CallbackIssuer;
    s22_an_announced_issuer_parameter_must_be_there: MissingIssuerParameter => CallbackIssuer;
}

macro_rules! garbage {
    ($($name:ident: $wrong:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            match log_in_at(Misbehaviour::$wrong).await {
                Err(OAuthError::Provider { fault: ProviderFault::Garbage(_), .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    )*};
}

garbage! {
    s24_an_answer_without_an_id_token_is_refused: MissingIdToken;
    s24_an_answer_with_an_empty_id_token_is_refused: EmptyIdToken;
    s24_an_answer_without_an_access_token_is_refused: MissingAccessToken;
    s22_a_discovery_document_of_another_issuer_is_refused: WrongDiscoveryIssuer;
    s22_a_discovery_document_with_a_script_is_refused: ScriptEndpoint;
}

#[tokio::test]
async fn s22_signatures_of_every_algorithm_are_checked() {
    for algorithm in [
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Ps256,
    ] {
        let world = World::new();
        world.idp.set_algorithm(algorithm);
        for wrong in [Misbehaviour::ForeignKey, Misbehaviour::NoSignature] {
            world.idp.set_misbehaviour(Some(wrong));
            let error = world.log_in(&world.idp.openid_settings()).await.unwrap_err();
            assert!(
                matches!(error, OAuthError::Forged(Forgery::Signature)),
                "{algorithm:?} {wrong:?}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn s24_user_info_about_somebody_else_is_refused() {
    let world = World::new();
    world.idp.set_email_in_user_info(true);
    world.idp.set_misbehaviour(Some(Misbehaviour::UserInfoOfAnother));
    let error = world.log_in(&world.idp.openid_settings()).await.unwrap_err();
    assert!(matches!(error, OAuthError::Forged(Forgery::Subject)), "{error:?}");
}

#[tokio::test]
async fn s22_microsofts_issuer_of_another_tenant_is_refused() {
    let world = World::new();
    world.idp.set_tenant("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    world.idp.set_misbehaviour(Some(Misbehaviour::WrongIssuer));
    for tenant in ["common", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"] {
        let settings = ProviderSettings {
            tenant: Some(tenant.to_owned()),
            ..world.idp.microsoft_settings()
        };
        let error = world.log_in(&settings).await.unwrap_err();
        assert!(
            matches!(error, OAuthError::Forged(Forgery::Issuer)),
            "{tenant}: {error:?}"
        );
    }
    // A single tenant was configured, and another one answers.
    let settings = ProviderSettings {
        tenant: Some("11111111-2222-3333-4444-555555555555".to_owned()),
        ..world.idp.microsoft_settings()
    };
    let error = world.log_in(&settings).await.unwrap_err();
    assert!(matches!(error, OAuthError::Provider { .. }), "{error:?}");
}

#[tokio::test]
async fn the_users_no_is_passed_on_without_control_characters() {
    match log_in_at(Misbehaviour::AuthorizeError).await {
        Err(OAuthError::Denied { error, description }) => {
            assert_eq!(error, "access_denied");
            assert_eq!(description.as_deref(), Some("The usersaid no"));
        }
        other => panic!("{other:?}"),
    }
    let long = OAuthError::denied(&"x".repeat(10_000), Some(&"ü".repeat(10_000))).to_string();
    assert!(long.chars().count() < 700, "{}", long.len());
}

#[tokio::test]
async fn a_refused_code_is_a_denial() {
    let error = log_in_at(Misbehaviour::RefusedCode).await.unwrap_err();
    assert!(
        matches!(&error, OAuthError::Denied { error, .. } if error == "invalid_grant"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refused_client_is_a_matter_of_configuration() {
    let world = World::new();
    let settings = ProviderSettings {
        client_secret: Some(fb_auth::Secret::new("canary-of-a-secret")),
        ..world.idp.openid_settings()
    };
    let error = world.log_in(&settings).await.unwrap_err();
    assert!(matches!(error, OAuthError::Config(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn s20_a_code_serves_once() {
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    let (pending, back) = world.begin(&flow).await.unwrap();
    assert!(world.finish(&flow, &pending, &back).await.is_ok());
    let error = world.finish(&flow, &pending, &back).await.unwrap_err();
    assert!(matches!(error, OAuthError::Denied { .. }), "{error:?}");
}

#[tokio::test]
async fn s20_a_pending_login_expires() {
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    let (pending, back) = world.begin(&flow).await.unwrap();
    for seconds in [600, 601, 100_000, -1] {
        let iss = back.iss.as_deref();
        let error = flow
            .finish(&pending, &back.state, &back.code, iss, world.after(seconds))
            .await
            .unwrap_err();
        assert!(
            matches!(error, OAuthError::Forged(Forgery::LoginExpired)),
            "{seconds}: {error:?}"
        );
    }
    assert_eq!(world.idp.n_requests("/token"), 0);
}

#[tokio::test]
async fn s22_the_state_has_to_be_exactly_the_one_of_the_login() {
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    let (pending, back) = world.begin(&flow).await.unwrap();
    let (_, other) = world.begin(&flow).await.unwrap();
    for state in [
        "",
        " ",
        &back.state[1..],
        &format!("{} ", back.state),
        &back.state.to_uppercase(),
        &other.state,
    ] {
        let error = flow
            .finish(&pending, state, &back.code, None, world.now)
            .await
            .unwrap_err();
        assert!(
            matches!(error, OAuthError::Forged(Forgery::State)),
            "{state}: {error:?}"
        );
    }
    assert_eq!(world.idp.n_requests("/token"), 0);
}

#[tokio::test]
async fn s22_a_code_of_another_login_fails_for_its_verifier() {
    let world = World::new();
    for settings in [world.idp.openid_settings(), world.idp.github_settings()] {
        let flow = world.flow(&settings);
        let (pending, back) = world.begin(&flow).await.unwrap();
        let (_, stolen) = world.begin(&flow).await.unwrap();
        let iss = back.iss.as_deref();
        let error = flow
            .finish(&pending, &back.state, &stolen.code, iss, world.now)
            .await
            .unwrap_err();
        assert!(matches!(error, OAuthError::Denied { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn s22_a_login_ends_where_it_began() {
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    let (pending, back) = world.begin(&flow).await.unwrap();
    let other = world.oauth.flow("other", &world.idp.openid_settings()).unwrap();
    let error = world.finish(&other, &pending, &back).await.unwrap_err();
    assert!(matches!(error, OAuthError::Forged(Forgery::OtherProvider)), "{error:?}");

    // The settings changed in between, from a provider without PKCE and nonce to one with both.
    let linkedin = ProviderSettings {
        preset: Some("linkedin".to_owned()),
        ..world.idp.openid_settings()
    };
    let (pending, back) = world.begin(&world.flow(&linkedin)).await.unwrap();
    let error = world.finish(&flow, &pending, &back).await.unwrap_err();
    assert!(matches!(error, OAuthError::Forged(Forgery::OtherProvider)), "{error:?}");
    assert_eq!(world.idp.n_requests("/token"), 0);
}

#[tokio::test]
async fn s22_a_mix_up_does_not_give_the_code_away() {
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    for iss in [
        "https://other.test",
        "",
        "http://127.0.0.1",
        &format!("{}/", world.idp.issuer()),
    ] {
        let (pending, back) = world.begin(&flow).await.unwrap();
        let error = flow
            .finish(&pending, &back.state, &back.code, Some(iss), world.now)
            .await
            .unwrap_err();
        assert!(
            matches!(error, OAuthError::Forged(Forgery::CallbackIssuer)),
            "{iss}: {error:?}"
        );
    }
    assert_eq!(world.idp.n_requests("/token"), 0);

    // GitHub's issuer is known without discovery.
    let github: ProviderSettings =
        serde_json::from_str(r#"{ "preset": "github", "clientId": "a", "clientSecret": "b" }"#).unwrap();
    let flow = world.flow(&github);
    let pending = flow.begin(REDIRECT_URI, world.now).await.unwrap().pending;
    let error = flow
        .finish(&pending, pending.state(), "code", Some("https://other.test"), world.now)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OAuthError::Forged(Forgery::CallbackIssuer)),
        "{error:?}"
    );
}

#[tokio::test]
async fn s24_codes_that_are_none_are_not_sent() {
    let world = World::new();
    for settings in [world.idp.openid_settings(), world.idp.github_settings()] {
        let flow = world.flow(&settings);
        let (pending, back) = world.begin(&flow).await.unwrap();
        for code in ["", "a\r\nb", "a\0", "ü", &"a".repeat(5000)] {
            let iss = back.iss.as_deref();
            let error = flow
                .finish(&pending, &back.state, code, iss, world.now)
                .await
                .unwrap_err();
            assert!(matches!(error, OAuthError::Forged(Forgery::Code)), "{error:?}");
        }
    }
    assert_eq!(world.idp.n_requests("/token"), 0);
}

#[tokio::test]
async fn s24_profiles_without_a_usable_id_are_refused() {
    let world = World::new();
    for profile in [
        json!({}),
        json!({ "id": null }),
        json!({ "id": "" }),
        json!({ "id": "   " }),
        json!({ "id": 0 }),
        json!({ "id": -7 }),
        json!({ "id": 1.5 }),
        json!({ "id": true }),
        json!({ "id": [583_231] }),
        json!({ "id": { "id": 583_231 } }),
        json!({ "ID": 583_231 }),
        json!({ "data": { "id": 583_231 } }),
        json!([{ "id": 583_231 }]),
        json!("583231"),
        json!(583_231),
        json!(null),
    ] {
        world.idp.set_github_profile(profile.clone());
        for settings in [world.idp.github_settings(), world.idp.plain_settings()] {
            let error = world.log_in(&settings).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    OAuthError::Provider {
                        fault: ProviderFault::Garbage(_),
                        ..
                    }
                ),
                "{profile}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn s33_broken_and_redirecting_answers_are_failures_of_the_provider() {
    let openid = ["/.well-known/openid-configuration", "/token", "/keys", "/userinfo"];
    let plain = ["/token", "/user", "/user/emails"];
    for how in [
        Breakage::Redirect,
        Breakage::Huge,
        Breakage::Garbage,
        Breakage::WrongShape,
        Breakage::Failure,
        Breakage::NoAnswer,
    ] {
        for path in openid {
            let world = World::new();
            world.idp.set_email_in_user_info(true);
            world.idp.break_path(path, how);
            let error = world.log_in(&world.idp.openid_settings()).await.unwrap_err();
            assert!(
                matches!(error, OAuthError::Provider { .. }),
                "{how:?} {path}: {error:?}"
            );
            assert_eq!(world.idp.n_requests("/trap"), 0, "{path}");
            // Nothing broken is remembered.
            world.idp.repair();
            assert!(
                world.log_in(&world.idp.openid_settings()).await.is_ok(),
                "{how:?} {path}"
            );
        }
        for path in plain {
            let world = World::new();
            world.idp.break_path(path, how);
            let result = world.log_in(&world.idp.github_settings()).await;
            if (path, how) == ("/user/emails", Breakage::WrongShape) {
                assert_eq!(result.unwrap().email, None, "a list without addresses");
                continue;
            }
            let error = result.unwrap_err();
            assert!(
                matches!(error, OAuthError::Provider { .. }),
                "{how:?} {path}: {error:?}"
            );
            assert_eq!(world.idp.n_requests("/trap"), 0, "{path}");
        }
    }
}

#[tokio::test]
async fn s33_discovery_does_not_lead_into_the_network() {
    match log_in_at(Misbehaviour::InternalEndpoints).await {
        Err(OAuthError::Provider {
            fault: ProviderFault::Outbound(OutboundError::Refused { .. }),
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    // Nor do the settings of an app: the provider itself is on loopback, which this client does not permit.
    let world = World::new();
    let strict = fb_outbound::Outbound::new(fb_outbound::OutboundOptions::default()).unwrap();
    let oauth = fb_oauth::OAuth::new(strict);
    let flow = oauth.flow("idp", &world.idp.openid_settings()).unwrap();
    let error = flow.begin(REDIRECT_URI, world.now).await.unwrap_err();
    assert!(
        matches!(
            &error,
            OAuthError::Provider {
                fault: ProviderFault::Outbound(OutboundError::Refused { .. }),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(world.idp.n_requests("/.well-known/openid-configuration"), 0);
}

#[tokio::test]
async fn a_discovery_document_that_was_put_right_serves_the_next_login() {
    let world = World::new();
    world.idp.set_misbehaviour(Some(Misbehaviour::WrongDiscoveryIssuer));
    assert!(world.log_in(&world.idp.openid_settings()).await.is_err());
    world.idp.set_misbehaviour(None);
    assert!(world.log_in(&world.idp.openid_settings()).await.is_ok());
}

#[tokio::test]
async fn s22_forged_key_names_do_not_make_a_crowd_of_requests() {
    let mut world = World::new();
    let settings = world.idp.openid_settings();
    world.log_in(&settings).await.unwrap();
    world.idp.set_misbehaviour(Some(Misbehaviour::UnknownKey));
    for _ in 0..5 {
        assert!(world.log_in(&settings).await.is_err());
    }
    assert_eq!(world.idp.n_requests("/keys"), 1, "they were fetched just before");
    world.now = world.after(61);
    for _ in 0..5 {
        assert!(world.log_in(&settings).await.is_err());
    }
    assert_eq!(world.idp.n_requests("/keys"), 2, "once more in a minute");
    // Failures count as well.
    world.idp.break_path("/keys", Breakage::Failure);
    world.now = world.after(61);
    for _ in 0..5 {
        assert!(world.log_in(&settings).await.is_err());
    }
    assert_eq!(world.idp.n_requests("/keys"), 3);
}

#[tokio::test]
async fn s22_a_login_that_the_client_started_is_checked_but_for_the_nonce() {
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    let start = || async {
        let started = flow.begin(REDIRECT_URI, world.now).await.unwrap();
        // The client's own URL has no challenge.
        let url = started
            .authorize_url
            .split("&code_challenge=")
            .next()
            .unwrap()
            .to_owned();
        fb_oauth::testkit::query_of(&world.idp.authorize(&url).unwrap())["code"].clone()
    };
    let code = start().await;
    assert!(
        flow.finish_client_started(&code, REDIRECT_URI, None, world.now)
            .await
            .is_ok()
    );
    for (wrong, forgery) in [
        (Misbehaviour::WrongIssuer, Forgery::Issuer),
        (Misbehaviour::WrongAudience, Forgery::Audience),
        (Misbehaviour::Expired, Forgery::Expired),
        (Misbehaviour::AlgorithmNone, Forgery::Algorithm),
        (Misbehaviour::ForeignKey, Forgery::Signature),
        (Misbehaviour::EmptySubject, Forgery::Subject),
        (Misbehaviour::WrongAccessTokenHash, Forgery::AccessToken),
    ] {
        world.idp.set_misbehaviour(Some(wrong));
        let code = start().await;
        let result = flow.finish_client_started(&code, REDIRECT_URI, None, world.now).await;
        assert!(
            matches!(&result, Err(OAuthError::Forged(found)) if *found == forgery),
            "{wrong:?}: {result:?}"
        );
    }
    world.idp.set_misbehaviour(None);

    let error = flow
        .finish_client_started("code", REDIRECT_URI, Some("https://other.test"), world.now)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OAuthError::Forged(Forgery::CallbackIssuer)),
        "{error:?}"
    );

    let code = start().await;
    let error = flow
        .finish_client_started(&code, "https://evil.test/", None, world.now)
        .await
        .unwrap_err();
    assert!(matches!(error, OAuthError::Denied { .. }), "{error:?}");

    let public = ProviderSettings {
        client_secret: None,
        ..world.idp.openid_settings()
    };
    let n_exchanges = world.idp.n_requests("/token");
    let flow = world.flow(&public);
    let error = flow
        .finish_client_started("code", REDIRECT_URI, None, world.now)
        .await
        .unwrap_err();
    assert!(matches!(error, OAuthError::Config(_)), "{error:?}");
    assert_eq!(world.idp.n_requests("/token"), n_exchanges, "the code is not sent");
}

#[tokio::test]
async fn s22_apps_with_the_same_issuer_do_not_share_clients() {
    let world = World::new();
    let ours = world.idp.openid_settings();
    let theirs = ProviderSettings {
        client_id: "client-2".to_owned(),
        ..ours.clone()
    };
    assert!(world.log_in(&ours).await.is_ok());
    // The provider is remembered now; that must not lend our client to the other app, nor the other way round.
    let flow = world.flow(&ours);
    let (pending, back) = world.begin(&flow).await.unwrap();
    let error = world.finish(&world.flow(&theirs), &pending, &back).await.unwrap_err();
    assert!(matches!(error, OAuthError::Config(_)), "{error:?}");
    assert!(world.log_in(&ours).await.is_ok());
}

#[tokio::test]
async fn s47_nothing_that_prints_shows_a_secret() {
    let world = World::new();
    let flow = world.flow(&world.idp.openid_settings());
    let started = flow.begin(REDIRECT_URI, world.now).await.unwrap();
    let profile = world.log_in(&world.idp.openid_settings()).await.unwrap();
    let printed = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        world.idp.openid_settings(),
        world.idp.apple_settings(),
        flow,
        started,
        profile,
        world.oauth,
    );
    let stored = serde_json::to_value(&started.pending).unwrap();
    for secret in [
        fb_oauth::testkit::CLIENT_SECRET,
        started.pending.state(),
        stored["nonce"].as_str().unwrap(),
        stored["verifier"].as_str().unwrap(),
        profile.access_token.expose(),
        "jane@example.test",
        "Jane Doe",
        "PRIVATE",
    ] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}
