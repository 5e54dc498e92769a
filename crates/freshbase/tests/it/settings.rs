//! `/config`: what administrators set, and what it does.

use fb_testkit::{Client, root};
use serde_json::{Value, json};

use crate::{open, server};

fn register(client: &Client, name: &str) -> fb_testkit::Response {
    let body = json!({ "user": { "username": name }, "password": "a secret", "login": true });
    client.post("/db/User/register", &body)
}

/// How long a token lives, in seconds.
fn lifetime(answer: &fb_testkit::Response) -> i64 {
    let token = answer.header("baqend-authorization-token").unwrap();
    let second = |part: &str| i64::from_str_radix(part, 16).unwrap();
    second(&token[8..16]) - second(&token[..8])
}

#[test]
fn settings_take_effect_at_once_and_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().data_dir(dir.path());
    let mut first = builder.start();
    let (admin, anybody) = (root(&first), first.client());
    let mut expected = json!({
        "profile": "secure", "name": null, "registration": "closed",
        "sessionSeconds": 2_592_000, "shortSessionSeconds": 86_400,
        "passwordPolicy": { "minLength": 8, "rejectCommon": true, "rejectBreached": false },
        "lockout": { "attempts": 10, "seconds": 900 }, "rateLimit": { "requests": 300, "seconds": 300 },
        "requestLimit": { "requests": 6000, "seconds": 300, "banSeconds": 300 },
        "logs": {
            "retention": { "AppLog": 30, "AuditLog": 0, "jobs.Status": 30 }, "maxLines": 1_000_000, "maxRuns": 10_000,
        },
        "emailVerification": false, "publicUrl": null, "mail": {},
        "oauth": { "providers": {}, "authorizedDomains": [], "clientStarted": false },
        "hosting": { "sites": {} }, "images": { "variants": {} },
        "caching": { "enabled": true, "staleness": 60, "edgeStaleness": 1, "minLifetime": 1, "maxLifetime": 60, "staleIfError": 0 },
    });
    assert_eq!(admin.get("/config").expect(200).json(), expected);
    assert_eq!(lifetime(&admin.get("/db/User/me")), 2_592_000);
    register(&anybody, "ann").expect_error(466, "PermissionDenied");

    // What is left out stays.
    let opened = admin
        .put("/config", &json!({ "registration": "open" }))
        .expect(200)
        .json();
    expected["registration"] = json!("open");
    assert_eq!(opened, expected);
    let ann = register(&anybody, "ann").expect(200);
    assert_eq!(lifetime(&ann), 2_592_000);
    admin.put("/config", &json!({ "sessionSeconds": 60 })).expect(200);
    assert_eq!(lifetime(&register(&anybody, "bob").expect(200)), 60);
    // Tokens that were given before live as long as they were to.
    let token = ann.header("baqend-authorization-token").unwrap();
    anybody.clone().with_token(token).get("/db/User/me").expect(200);
    admin.put("/config", &json!({ "registration": "closed" })).expect(200);
    register(&anybody, "eve").expect_error(466, "PermissionDenied");
    let changed = admin.get("/config").expect(200).json();
    first.stop();

    let second = builder.start();
    assert_eq!(root(&second).get("/config").expect(200).json(), changed);
    register(&second.client(), "eve").expect_error(466, "PermissionDenied");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let (_server, admin, anybody) = open();
    let before = admin.get("/config").expect(200).json();
    for bad in [
        json!({ "profile": "secure" }),
        json!({ "profile": null }),
        json!({ "registration": "maybe" }),
        json!({ "registration": null }),
        json!({ "sessionSeconds": 59 }),
        json!({ "sessionSeconds": 31_536_001 }),
        json!({ "sessionSeconds": -1 }),
        json!({ "sessionSeconds": "60" }),
        json!({ "sessionSeconds": 60.5 }),
        json!({ "shortSessionSeconds": 0 }),
        json!({ "passwordPolicy": { "minLength": 0, "rejectCommon": true } }),
        json!({ "passwordPolicy": { "minLength": 8 } }),
        json!({ "lockout": { "attempts": 10, "seconds": 0 } }),
        json!({ "lockout": null }),
        json!({ "rateLimit": { "requests": -1, "seconds": 1 } }),
        json!({ "emailVerification": true }),
        json!({ "publicUrl": "javascript:alert(1)" }),
        json!({ "publicUrl": "https://" }),
        json!({ "name": "line\nbreak" }),
        json!({ "mail": { "from": "nobody" } }),
        json!({ "mail": { "verifiedUrl": "//evil.example" } }),
        json!({ "mail": { "templates": { "verifyEmail": { "subject": "{{secret}}", "text": "x" } } } }),
        json!({ "mail": { "templates": { "unknown": { "subject": "x", "text": "x" } } } }),
        json!({ "a secret": "x" }),
        json!({ "sessionSeconds": 60, "unknown": 1 }),
        json!([]),
        Value::Null,
    ] {
        let answer = admin.put("/config", &bad);
        answer.expect_error(400, "BadRequest");
        assert_eq!(admin.get("/config").expect(200).json(), before, "{bad}");
    }
    admin.put("/config", &before).expect(200);
    anybody.put("/config", &before).expect_error(466, "PermissionDenied");
    assert_eq!(admin.get("/config").expect(200).json(), before);
}
