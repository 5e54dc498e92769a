//! Messages on their way to push services that answer one thing or another.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fb_auth::Secret;
use fb_outbound::{Outbound, OutboundOptions};
use fb_push::testkit::{Answer, Browser, Services, apple_key, claims_of_es256, service_account};
use fb_push::{ApnsKey, Message, Push, PushError, ServiceAccount, Subscription, VapidKeys};
use fb_types::{Clock, Timestamp};
use http::Version;
use serde_json::{Value, json};

#[derive(Debug)]
struct FakeClock(AtomicI64);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed) * 1000)
    }
}

struct World {
    services: Services,
    clock: Arc<FakeClock>,
    push: Push,
}

fn world() -> World {
    let services = Services::start();
    let clock = Arc::new(FakeClock(AtomicI64::new(1_800_000_000)));
    let options = OutboundOptions {
        allow: vec![services.address().parse().unwrap()],
        ..OutboundOptions::default()
    };
    let push = Push::new(Outbound::new(options).unwrap(), services.endpoints(), clock.clone());
    World { services, clock, push }
}

fn message(json: Value) -> Message {
    Message::from_json(json.as_object().unwrap()).unwrap()
}

fn hello() -> Message {
    message(json!({ "subject": "News", "message": "Hello", "data": { "id": 7 } }))
}

fn account() -> ServiceAccount {
    ServiceAccount::from_json(&service_account()).unwrap()
}

fn key() -> ApnsKey {
    ApnsKey::new(
        "TEAM123456",
        "KEY1234567",
        "org.example.shop",
        false,
        Secret::new(apple_key()),
    )
    .unwrap()
}

const CONTACT: &str = "mailto:ops@shop.example";

#[tokio::test]
async fn a_browser_gets_what_was_sent_and_its_service_can_tell_from_whom() {
    let world = world();
    let (keys, browser) = (VapidKeys::generate().unwrap(), Browser::new());
    let endpoint = world.services.endpoint("a?token=x");
    let subscription = Subscription::from_json(&browser.subscription(&endpoint)).unwrap();
    world.push.web(&keys, CONTACT, &subscription, &hello()).await.unwrap();
    let [request] = &world.services.received("/wp/a")[..] else {
        panic!()
    };
    let text: Value = serde_json::from_slice(&browser.decrypt(&request.body)).unwrap();
    assert_eq!(
        text,
        json!({ "subject": "News", "message": "Hello", "data": { "id": 7 } })
    );
    assert_eq!(request.header("content-encoding"), "aes128gcm");
    assert_eq!(request.header("ttl"), "2419200");
    let rest = request.header("authorization").strip_prefix("vapid t=").unwrap();
    let (token, _) = rest.split_once(", k=").unwrap();
    let (_, claims) = claims_of_es256(token, keys.public_key());
    let origin = format!("http://{}", world.services.address());
    assert_eq!(claims, json!({ "aud": origin, "exp": 1_800_043_200, "sub": CONTACT }));
}

#[tokio::test]
async fn each_status_of_a_web_push_service_means_one_thing() {
    let world = world();
    let keys = VapidKeys::generate().unwrap();
    let later = |seconds: Option<u64>| format!("later {:?}", seconds.map(Duration::from_secs));
    let far = later(Some(3600));
    for (answer, expected) in [
        (Answer::status(200), "ok".to_owned()),
        (Answer::status(202), "ok".to_owned()),
        (Answer::status(404), "gone".to_owned()),
        (Answer::status(410), "gone".to_owned()),
        (Answer::status(400), "rejected".to_owned()),
        (Answer::status(413), "rejected".to_owned()),
        (
            Answer::status(302).with("location", "http://127.0.0.1:1/"),
            "rejected".to_owned(),
        ),
        (Answer::status(401), "misconfigured".to_owned()),
        (Answer::status(403), "misconfigured".to_owned()),
        (Answer::status(500), later(None)),
        (Answer::status(503).with("retry-after", "17"), later(Some(17))),
        (Answer::status(429).with("retry-after", "999999"), far),
        (
            Answer::status(429).with("retry-after", "Fri, 15 Jan 2027 08:00:30 GMT"),
            later(Some(30)),
        ),
        (
            Answer::status(429).with("retry-after", "Thu, 14 Jan 2027 08:00:30 GMT"),
            later(Some(0)),
        ),
        (Answer::status(503).with("retry-after", "soon"), later(None)),
    ] {
        let shown = format!("{answer:?}");
        world.services.answer("/wp/", [answer]);
        let browser = Browser::new();
        let subscription = Subscription::from_json(&browser.subscription(&world.services.endpoint("x"))).unwrap();
        let result = world.push.web(&keys, CONTACT, &subscription, &hello()).await;
        let found = match result {
            Ok(()) => "ok".to_owned(),
            Err(PushError::Gone) => "gone".to_owned(),
            Err(PushError::Rejected { .. }) => "rejected".to_owned(),
            Err(PushError::Misconfigured { .. }) => "misconfigured".to_owned(),
            Err(PushError::Later { retry_after, .. }) => format!("later {retry_after:?}"),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found, expected, "{shown}");
    }
}

#[tokio::test]
async fn s33_endpoints_inside_of_the_own_network_are_not_asked() {
    let world = world();
    let other = Services::start();
    let keys = VapidKeys::generate().unwrap();
    for endpoint in [
        other.endpoint("x"),
        "https://169.254.169.254/x".to_owned(),
        "https://[::1]/x".to_owned(),
    ] {
        let subscription = Subscription::from_json(&Browser::new().subscription(&endpoint)).unwrap();
        let error = world
            .push
            .web(&keys, CONTACT, &subscription, &hello())
            .await
            .unwrap_err();
        assert!(matches!(error, PushError::Rejected { .. }), "{endpoint}: {error}");
        assert!(!error.to_string().contains("/x"), "{error}");
    }
    assert!(other.received("/").is_empty());
}

#[tokio::test]
async fn firebase_is_asked_with_one_token_over_one_connection_until_it_has_to_be_renewed() {
    let world = world();
    for _ in 0..3 {
        world.push.fcm(&account(), "tok", &hello()).await.unwrap();
    }
    let sent = world.services.received("/v1/projects/shop-1/messages:send");
    assert_eq!(sent.len(), 3);
    assert!(
        sent.iter()
            .all(|request| request.header("authorization") == "Bearer access-1")
    );
    assert!(sent.iter().all(|request| request.version == Version::HTTP_2));
    assert!(sent.iter().all(|request| request.connection == sent[0].connection));
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(body["message"]["token"], "tok");
    assert_eq!(body["message"]["data"], json!({ "id": "7" }));
    let asked = world.services.received("/token");
    assert_eq!(asked.len(), 1);
    let form = String::from_utf8(asked[0].body.to_vec()).unwrap();
    assert!(form.contains("assertion=ey"), "{form}");

    // Five minutes before its end.
    world.clock.0.fetch_add(3299, Ordering::Relaxed);
    world.push.fcm(&account(), "tok", &hello()).await.unwrap();
    assert_eq!(world.services.received("/token").len(), 1);
    world.clock.0.fetch_add(1, Ordering::Relaxed);
    world.push.fcm(&account(), "tok", &hello()).await.unwrap();
    let sent = world.services.received("/v1/");
    assert_eq!(sent.last().unwrap().header("authorization"), "Bearer access-2");

    // Withdrawn: one new token, one more attempt, no more.
    world.services.answer("/v1/", [Answer::status(401)]);
    world.push.fcm(&account(), "tok", &hello()).await.unwrap();
    assert_eq!(world.services.received("/token").len(), 3);
    world
        .services
        .answer("/v1/", [Answer::status(401), Answer::status(401)]);
    let error = world.push.fcm(&account(), "tok", &hello()).await.unwrap_err();
    assert!(matches!(error, PushError::Misconfigured { .. }), "{error}");
}

#[tokio::test]
async fn many_messages_at_once_fetch_one_token() {
    let world = world();
    let (account, hello) = (account(), hello());
    let send = async || world.push.fcm(&account, "tok", &hello).await.unwrap();
    tokio::join!(send(), send(), send(), send());
    assert_eq!(world.services.received("/token").len(), 1);
}

fn fcm_error(status: u16, state: &str, code: &str) -> Answer {
    let detail = json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code });
    let body = json!({ "error": { "code": status, "message": "canary", "status": state, "details": [detail] } });
    Answer::json(status, body)
}

#[tokio::test]
async fn each_error_of_firebase_means_one_thing() {
    let world = world();
    for (path, answer, expected) in [
        ("/v1/", fcm_error(404, "NOT_FOUND", "UNREGISTERED"), "gone"),
        ("/v1/", Answer::status(404), "misconfigured"),
        (
            "/v1/",
            fcm_error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
            "rejected",
        ),
        (
            "/v1/",
            fcm_error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
            "misconfigured",
        ),
        (
            "/v1/",
            fcm_error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED").with("retry-after", "9"),
            "later",
        ),
        ("/v1/", Answer::status(502), "later"),
        (
            "/token",
            Answer::json(400, json!({ "error": "invalid_grant" })),
            "misconfigured",
        ),
        ("/token", Answer::status(503), "later"),
        ("/token", Answer::json(200, json!({})), "misconfigured"),
    ] {
        let shown = format!("{path} {answer:?}");
        world.services.answer(path, [answer]);
        if path == "/token" {
            world.clock.0.fetch_add(7200, Ordering::Relaxed);
        }
        let error = world.push.fcm(&account(), "tok", &hello()).await.unwrap_err();
        let text = error.to_string();
        assert!(!text.contains("canary"), "{text}");
        let found = match error {
            PushError::Gone => "gone",
            PushError::Rejected { .. } => "rejected",
            PushError::Misconfigured { .. } => "misconfigured",
            PushError::Later { .. } => "later",
            other => panic!("{other}"),
        };
        assert_eq!(found, expected, "{shown}: {text}");
    }
}

#[tokio::test]
async fn apple_is_asked_over_one_session_with_a_token_that_is_renewed_within_the_hour() {
    let world = world();
    let key = key();
    world.push.apns(&key, "00aaFF", &hello()).await.unwrap();
    world.clock.0.fetch_add(2999, Ordering::Relaxed);
    world
        .push
        .apns(&key, "00aaFF", &message(json!({ "data": 1 })))
        .await
        .unwrap();
    let sent = world.services.received("/3/device/00aaFF");
    let [first, second] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(first.version, Version::HTTP_2);
    assert_eq!(first.header("apns-topic"), "org.example.shop");
    assert_eq!(
        (first.header("apns-push-type"), first.header("apns-priority")),
        ("alert", "10")
    );
    assert_eq!(first.header("apns-expiration"), "1802419200");
    assert_eq!(
        (second.header("apns-push-type"), second.header("apns-priority")),
        ("background", "5")
    );
    let body: Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!(
        body,
        json!({ "aps": { "alert": { "title": "News", "body": "Hello" } }, "data": { "id": 7 } })
    );
    assert_eq!(first.header("authorization"), second.header("authorization"));
    world.clock.0.fetch_add(1, Ordering::Relaxed);
    world.push.apns(&key, "00aaFF", &hello()).await.unwrap();
    let third = world.services.received("/3/").pop().unwrap();
    assert_ne!(first.header("authorization"), third.header("authorization"));
    // What ends a token early: one new token, one more attempt.
    let expired = || Answer::json(403, json!({ "reason": "ExpiredProviderToken" }));
    world.services.answer("/3/", [expired()]);
    world.push.apns(&key, "00aaFF", &hello()).await.unwrap();
    world.services.answer("/3/", [expired(), expired()]);
    let error = world.push.apns(&key, "00aaFF", &hello()).await.unwrap_err();
    assert!(matches!(error, PushError::Later { .. }), "{error}");
}

#[tokio::test]
async fn each_reason_of_apple_means_one_thing() {
    let world = world();
    let key = key();
    for (status, reason, expected) in [
        (410, "Unregistered", "gone"),
        (410, "ExpiredToken", "gone"),
        (400, "BadDeviceToken", "misconfigured"),
        (400, "DeviceTokenNotForTopic", "misconfigured"),
        (403, "InvalidProviderToken", "misconfigured"),
        (400, "BadExpirationDate", "rejected"),
        (413, "PayloadTooLarge", "rejected"),
        (429, "TooManyRequests", "later"),
        (503, "ServiceUnavailable", "later"),
        (503, "<b>canary</b>", "later"),
    ] {
        world
            .services
            .answer("/3/", [Answer::json(status, json!({ "reason": reason }))]);
        let error = world.push.apns(&key, "00", &hello()).await.unwrap_err();
        assert!(!error.to_string().contains("canary"));
        let found = match error {
            PushError::Gone => "gone",
            PushError::Rejected { .. } => "rejected",
            PushError::Misconfigured { .. } => "misconfigured",
            PushError::Later { .. } => "later",
            other => panic!("{other}"),
        };
        assert_eq!(found, expected, "{reason}");
    }
    for token in ["", "xyz", "../..", "00/1", &"0".repeat(401)] {
        let error = world.push.apns(&key, token, &hello()).await.unwrap_err();
        assert!(matches!(error, PushError::Rejected { .. }), "{token}: {error}");
    }
    assert_eq!(world.services.received("/3/").len(), 10);
}

#[test]
fn s47_keys_for_apple_are_checked_and_never_printed() {
    let text = apple_key();
    let key = |team: &str, id: &str, topic: &str, pem: &str| ApnsKey::new(team, id, topic, false, Secret::new(pem));
    let good = key("TEAM123456", "KEY1234567", "org.example.shop", &text).unwrap();
    assert_eq!(
        format!("{good:?}"),
        "ApnsKey(TEAM123456, KEY1234567, org.example.shop, ***)"
    );
    for (team, id, topic, pem) in [
        ("", "KEY", "org.x", text.as_str()),
        ("TEAM", "../x", "org.x", &text),
        ("TEAM", "KEY", "", &text),
        ("TEAM", "KEY", "org x", &text),
        ("TEAM", "KEY", "org.x", "canary"),
    ] {
        let error = key(team, id, topic, pem).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
