//! Passwords that change and accounts that end: what was good before is good for nothing afterwards.

use fb_testkit::Client;
use serde_json::{Value, json};

use crate::kit::{Device, TOKEN, ann, is_alive, login, pending, token_of};
use crate::server;

fn change(client: &Client, username: &str, old: &str, new: &str) -> fb_testkit::Response {
    let body = json!({ "username": username, "password": old, "newPassword": new });
    client.post("/db/User/password", &body)
}

fn api_token(admin: &Client, id: &str) -> String {
    let answer = admin.post(&format!("{id}/token"), &Value::Null).expect(200).json();
    answer["token"].as_str().unwrap().to_owned()
}

#[test]
fn s25_a_new_password_ends_every_token_of_the_user_at_once() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    let other = token_of(&login(&stranger, "ann", "a secret").expect(200));
    let api = api_token(&admin, &id);
    let old = [ann.token().unwrap().to_owned(), other, api];
    for token in &old {
        assert!(is_alive(&stranger, token));
    }

    // Whoever does not know the old one changes nothing and gets nothing.
    for client in [&stranger, &ann, &admin] {
        let refused = change(client, "ann", "wrong", "a new secret");
        let message = refused.expect_error(460, "BadCredentials");
        assert!(message.contains("User name or password is incorrect"), "{message}");
        assert_eq!(refused.header(TOKEN), None);
    }
    for client in [&stranger, &ann] {
        let refused = change(client, "ann", "", "a new secret");
        refused.expect_error(460, "BadCredentials");
    }
    change(&stranger, "nobody", "a secret", "a new secret").expect_error(460, "BadCredentials");
    change(&ann, "ann", "a secret", "short").expect_error(400, "BadRequest");
    for token in &old {
        assert!(is_alive(&stranger, token));
    }

    let changed = change(&stranger, "ann", "a secret", "a new secret").expect(200);
    for token in &old {
        assert!(!is_alive(&stranger, token));
    }
    assert!(is_alive(&stranger, &token_of(&changed)));
    login(&stranger, "ann", "a secret").expect_error(460, "BadCredentials");
    login(&stranger, "ann", "a new secret").expect(200);

    // Of an administrator who sets it as well, who gets no session of the user.
    let old = [token_of(&changed), api_token(&admin, &id)];
    let set = change(&admin, "ann", "", "a third secret").expect(200);
    if let Some(token) = set.header(TOKEN) {
        // The administrator's own is renewed when it is some seconds old.
        let me = server.client().with_token(token).get("/db/User/me").expect(200).json();
        assert!(!me["id"].as_str().unwrap().ends_with(&id), "{me}");
    }
    for token in &old {
        assert!(!is_alive(&stranger, token));
    }
    login(&stranger, "ann", "a third secret").expect(200);
    change(&admin, "ann", "", "short").expect_error(400, "BadRequest");
    change(&admin, "nobody", "", "a third secret").expect(404);
    // The administrator's own: a new session, since the old one died.
    let own = change(&admin, "root", "", "root has another one").expect(200);
    assert!(!is_alive(&stranger, admin.token().unwrap()));
    assert!(is_alive(&stranger, &token_of(&own)));
}

#[test]
fn s25_of_simultaneous_changes_of_one_password_one_wins() {
    let server = server().secure().start();
    let (_, stranger, _, _) = ann(&server);
    let tokens = std::sync::Mutex::new(Vec::new());
    let statuses = crate::kit::at_once(8, |i| {
        let answer = change(&stranger, "ann", "a secret", &format!("new secret {i}"));
        if answer.status == 200 {
            tokens.lock().unwrap().push((i, token_of(&answer)));
        }
        answer
    });
    assert_eq!(statuses, [200, 460, 460, 460, 460, 460, 460, 460]);
    let tokens = tokens.into_inner().unwrap();
    assert!(is_alive(&stranger, &tokens[0].1));
    login(&stranger, "ann", &format!("new secret {}", tokens[0].0)).expect(200);
}

#[test]
fn s20_a_password_alone_changes_nothing_of_an_account_with_a_second_factor() {
    let server = server().secure().start();
    let (admin, stranger, ann, _) = ann(&server);
    Device::add(&ann);
    let other = crate::user(&admin, &stranger, "other").0;
    for client in [&stranger, &other, &admin] {
        let refused = change(client, "ann", "a secret", "a new secret");
        assert!(!is_alive(&stranger, &pending(&refused)));
    }
    assert!(is_alive(&stranger, ann.token().unwrap()));
    pending(&login(&stranger, "ann", "a secret"));
    // In a session of its own the second factor was asked for.
    let changed = change(&ann, "ann", "a secret", "a new secret").expect(200);
    assert!(is_alive(&stranger, &token_of(&changed)));
    assert!(!is_alive(&stranger, ann.token().unwrap()));
    pending(&login(&stranger, "ann", "a new secret"));
}

#[test]
fn s25_the_only_password_of_an_account_is_not_removed() {
    let server = server().secure().start();
    let (_, stranger, ann, _) = ann(&server);
    ann.delete("/db/User/password").expect_error(400, "BadRequest");
    assert!(is_alive(&stranger, ann.token().unwrap()));
    login(&stranger, "ann", "a secret").expect(200);
}

#[test]
fn s25_a_deactivated_account_has_no_sessions_and_no_login() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    let (other, _) = crate::user(&admin, &stranger, "other");
    let old = [ann.token().unwrap().to_owned(), api_token(&admin, &id)];
    let path = format!("{id}/inactive");
    for client in [&stranger, &ann, &other] {
        client.put(&path, &json!(true)).expect_error(466, "PermissionDenied");
    }
    for bad in [json!("true"), json!(1), Value::Null, json!({})] {
        admin.put(&path, &bad).expect_error(400, "BadRequest");
    }
    assert!(is_alive(&stranger, &old[0]));
    assert_eq!(admin.put(&path, &json!(true)).expect(200).json()["inactive"], true);
    for token in &old {
        assert!(!is_alive(&stranger, token));
    }
    let refused = login(&stranger, "ann", "a secret").expect_error(460, "BadCredentials");
    assert_eq!(
        refused,
        login(&stranger, "ann", "wrong").expect_error(460, "BadCredentials")
    );
    change(&stranger, "ann", "a secret", "a new secret").expect_error(460, "BadCredentials");
    // A token that an administrator makes for it is good for nothing either.
    assert!(!is_alive(&stranger, &api_token(&admin, &id)));

    admin.put(&path, &json!(false)).expect(200);
    for token in &old {
        assert!(!is_alive(&stranger, token), "sessions that ended stay ended");
    }
    login(&stranger, "ann", "a secret").expect(200);
    // Nobody locks itself out.
    admin
        .put("/db/User/1/inactive", &json!(true))
        .expect_error(400, "BadRequest");
    admin.put("/db/User/none/inactive", &json!(true)).expect(404);
    assert!(is_alive(&stranger, admin.token().unwrap()));
}

#[test]
fn s25_a_deleted_account_has_no_sessions_whoever_registers_next() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    let tokens = [ann.token().unwrap().to_owned(), api_token(&admin, &id)];
    admin.delete(&id).expect(204);
    for token in &tokens {
        assert!(!is_alive(&stranger, token));
    }
    login(&stranger, "ann", "a secret").expect_error(460, "BadCredentials");
    let (_, again) = crate::user(&admin, &stranger, "ann");
    assert_ne!(again, id);
    for token in &tokens {
        assert!(!is_alive(&stranger, token));
    }
    login(&stranger, "ann", "a secret").expect(200);
}
