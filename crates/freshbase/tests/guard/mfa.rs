//! The second factor: asked for by every login, good once, and not to be guessed.

use serde_json::{Value, json};

use crate::kit::{
    Device, TOKEN, ann, at_once, is_alive, lifetime, login, pending, resource_token, second_step, set_config, token_of,
};
use crate::server;

const NO_MATTER: &str = "a new secret";

#[test]
fn s20_a_second_factor_from_the_first_code_to_its_removal() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    let status = || ann.get("/db/User/mfa/status").expect(200).json();
    assert_eq!(status(), "DISABLED");
    ann.post("/db/User/mfa/init", &json!({ "code": "000000" }))
        .expect_error(400, "BadRequest");
    ann.get("/db/User/mfa/init").expect(200);
    let new = ann.get("/db/User/mfa/init").expect(200);
    assert!(new.header("cache-control").unwrap().contains("no-store"));
    let new = new.json();
    assert!(new["qrCode"].as_str().unwrap().starts_with("data:image/png;base64,"));
    let uri = new["keyUri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/main:ann?secret="), "{uri}");
    assert_eq!(status(), "PENDING");
    // Not asked for before it is confirmed.
    login(&stranger, "ann", "a secret").expect(200);
    let mut device = Device::scan(&new);
    for wrong in [json!(device.wrong_code()), json!(""), json!("12345"), json!(12)] {
        let refused = ann.post("/db/User/mfa/init", &json!({ "code": wrong }));
        assert_eq!(refused.expect_error(400, "InvalidCode"), "MFA code invalid");
    }
    for bad in [json!(null), json!([]), json!(-1), json!(1.5), json!(true)] {
        ann.post("/db/User/mfa/init", &json!({ "code": bad }))
            .expect_error(400, "BadRequest");
    }
    assert_eq!(status(), "PENDING");
    // As a number, as some clients send it: leading zeros are gone then.
    let code: u32 = device.code(0).parse().unwrap();
    let confirmed = ann
        .post("/db/User/mfa/init", &json!({ "code": code }))
        .expect(200)
        .json();
    device.recovery = serde_json::from_value(confirmed["recoveryCodes"].clone()).unwrap();
    assert_eq!((device.recovery.len(), status()), (10, json!("REQUIRED")));

    // A second device, or the same one once more, would be a way around the first.
    for refused in [
        ann.get("/db/User/mfa/init"),
        ann.post("/db/User/mfa/init", &json!({ "code": device.code(0) })),
    ] {
        refused.expect_error(400, "BadRequest");
    }
    let token = pending(&login(&stranger, "ann", "a secret"));
    login(&stranger, "ann", "wrong").expect_error(460, "BadCredentials");
    // The code of the confirmation may be used for the first login, and then never again.
    let code = device.code(0);
    let done = second_step(&stranger, &token, &json!(code)).expect(200);
    assert_eq!(done.json()["id"], id.as_str());
    assert!(is_alive(&stranger, &token_of(&done)));
    let again = second_step(&stranger, &token, &json!(code));
    assert_eq!(again.expect_error(400, "InvalidCode"), "MFA code invalid");
    assert_eq!(again.header(TOKEN), None);
    let other = pending(&login(&stranger, "ann", "a secret"));
    second_step(&stranger, &other, &json!(device.code(-1))).expect_error(400, "InvalidCode");

    ann.delete("/db/User/mfa").expect(204);
    assert_eq!(status(), "DISABLED");
    login(&stranger, "ann", "a secret").expect(200);
    // What waited for a code that nobody asks for any more is no session.
    second_step(&stranger, &other, &json!(device.code(1))).expect_error(460, "BadCredentials");
    second_step(&stranger, &other, &json!(device.recovery[0])).expect_error(460, "BadCredentials");

    let device = Device::add(&ann);
    for client in [&stranger, &ann] {
        client
            .delete(&format!("{id}/mfa"))
            .expect_error(466, "PermissionDenied");
    }
    pending(&login(&stranger, "ann", "a secret"));
    admin.delete(&format!("{id}/mfa")).expect(204);
    assert_eq!(status(), "DISABLED");
    login(&stranger, "ann", "a secret").expect(200);
    drop(device);
}

#[test]
fn s20_a_code_and_a_recovery_code_serve_one_of_many_simultaneous_logins() {
    let server = server().secure().start();
    let (_, stranger, ann, _) = ann(&server);
    let device = Device::add(&ann);
    let token = pending(&login(&stranger, "ann", "a secret"));
    for code in [device.code(0), device.recovery[3].clone()] {
        // Few enough that none of them is locked out.
        let statuses = at_once(9, |_| second_step(&stranger, &token, &json!(code)));
        assert_eq!(
            statuses.iter().filter(|status| **status == 200).count(),
            1,
            "{statuses:?}"
        );
        assert!(statuses[1..].iter().all(|status| *status == 400), "{statuses:?}");
        // Forgives the failures.
        let other = if code.len() == 6 {
            &device.recovery[0]
        } else {
            &device.recovery[1]
        };
        second_step(&stranger, &token, &json!(other)).expect(200);
    }
    // However it is typed.
    let sloppy = device.recovery[4].to_uppercase().replace('-', " ");
    second_step(&stranger, &token, &json!(sloppy)).expect(200);
    second_step(&stranger, &token, &json!(device.recovery[4])).expect_error(400, "InvalidCode");
}

#[test]
fn s20_what_waits_for_a_code_is_good_for_nothing_else() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    let device = Device::add(&ann);
    let token = pending(&login(&stranger, "ann", "a secret"));
    assert!(!is_alive(&stranger, &token));
    let client = stranger.clone().with_token(&token);
    for path in ["/db/User/mfa/init", "/db/User/mfa/status"] {
        client.get(path).expect(404);
        let resource = resource_token(&token, &format!("/v1{path}"));
        stranger.get(&format!("{path}?BAT={resource}")).expect(404);
    }
    client.delete("/db/User/mfa").expect(404);
    client.delete("/db/User/password").expect(404);
    client.get(&id).expect_error(460, "BadCredentials");
    client.post("/db/Role/3/assume", &Value::Null).expect(404);
    let reset = json!({ "token": token, "newPassword": NO_MATTER });
    stranger
        .post("/db/User/password", &reset)
        .expect_error(460, "BadCredentials");
    for route in ["verify", "verifyUsername"] {
        stranger.get(&format!("/db/User/{route}?token={token}")).expect(460);
    }
    // With it the password may not be changed either: it says no more than the password itself.
    let change = json!({ "username": "ann", "password": "a secret", "newPassword": NO_MATTER });
    pending(&client.post("/db/User/password", &change));
    // And the other way round: nothing else is good in its place.
    let api = admin.post(&format!("{id}/token"), &Value::Null).expect(200).json();
    let role = ann.post("/db/Role/3/assume", &Value::Null).expect(200).json();
    for other in [
        ann.token().unwrap(),
        api["token"].as_str().unwrap(),
        role["token"].as_str().unwrap(),
        admin.token().unwrap(),
        "",
        "0011",
    ] {
        second_step(&stranger, other, &json!(device.code(0))).expect_error(460, "BadCredentials");
    }
    for token in [json!(null), json!(7), json!([token]), json!({ "$ne": "" })] {
        let body = json!({ "authToken": token, "code": device.code(0) });
        stranger
            .post("/db/User/mfa/token", &body)
            .expect_error(400, "BadRequest");
    }
    // It dies with the sessions.
    admin.delete(&format!("{id}/token")).expect(204);
    second_step(&stranger, &token, &json!(device.code(0))).expect_error(460, "BadCredentials");
    let token = pending(&login(&stranger, "ann", "a secret"));
    admin.put(&format!("{id}/inactive"), &json!(true)).expect(200);
    second_step(&stranger, &token, &json!(device.code(0))).expect_error(460, "BadCredentials");
}

#[test]
fn s19_wrong_codes_are_counted_and_lock_out() {
    let server = server().secure().start();
    let (admin, stranger, ann, _) = ann(&server);
    set_config(&admin, &json!({ "lockout": { "attempts": 5, "seconds": 600 } }));
    let device = Device::add(&ann);
    let token = pending(&login(&stranger, "ann", "a secret"));
    let wrong = device.wrong_code();
    let statuses = at_once(30, |_| second_step(&stranger, &token, &json!(wrong)));
    let mut expected = vec![400; 5];
    expected.extend([429; 25]);
    assert_eq!(statuses, expected);
    // The right one is not tried any more, nor after another first step, which is not locked.
    let token = pending(&login(&stranger, "ann", "a secret"));
    for code in [&device.code(0), &device.recovery[0]] {
        let refused = second_step(&stranger, &token, &json!(code));
        refused.expect_error(429, "TooManyRequests");
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
        assert_eq!(refused.header(TOKEN), None);
    }
    // Somebody else's codes are not concerned.
    let (bob, _) = crate::user(&admin, &stranger, "bob");
    let device = Device::add(&bob);
    let token = pending(&login(&stranger, "bob", "a secret"));
    second_step(&stranger, &token, &json!(device.code(0))).expect(200);
}

#[test]
fn s26_the_kind_of_session_is_the_one_the_first_step_asked_for() {
    let server = server().secure().start();
    let (_, stranger, ann, _) = ann(&server);
    let device = Device::add(&ann);
    let mut codes = device.recovery.iter();
    for (first, second, seconds) in [
        (json!(true), json!(true), 30 * 24 * 3600),
        (json!(true), Value::Null, 30 * 24 * 3600),
        (json!(true), json!(false), 24 * 3600),
        (json!(false), json!(true), 24 * 3600),
        (json!(false), Value::Null, 24 * 3600),
    ] {
        let body = json!({ "username": "ann", "password": "a secret", "global": first });
        let token = pending(&stranger.post("/db/User/login", &body));
        assert_eq!(lifetime(&token), 300);
        let body = json!({ "authToken": token, "code": codes.next(), "global": second });
        let done = stranger.post("/db/User/mfa/token", &body).expect(200);
        assert_eq!(lifetime(&token_of(&done)), seconds, "{first} {second}");
    }
}
