//! The kinds of token: what each is good for, and when it ends.

use std::collections::BTreeMap;

use fb_testkit::{Client, Server};
use serde_json::{Value, json};

use crate::kit::{
    Device, TOKEN, ann, is_alive, lifetime, login, pending, resource_token, second_step, set_config, token_of,
};
use crate::{class, server};

fn token_in(answer: &fb_testkit::Response) -> String {
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    answer.json()["token"].as_str().unwrap().to_owned()
}

fn role(admin: &Client, name: &str, users: &[&str]) -> String {
    let role = json!({ "name": name, "users": users, "acl": { "read": {}, "write": { "/db/Role/1": "allow" } } });
    admin.post("/db/Role", &role).expect(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn s26_a_token_for_scripts_never_expires_and_is_never_renewed() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    let path = format!("{id}/token");
    for client in [&stranger, &ann] {
        for method in ["POST", "DELETE"] {
            client
                .request(method, &path, &[], b"")
                .expect_error(466, "PermissionDenied");
        }
    }
    admin.post("/db/User/none/token", &Value::Null).expect(404);
    let token = token_in(&admin.post(&path, &Value::Null).expect(200));
    assert_eq!(&token[8..16], "ffffffff");
    let script = stranger.clone().with_token(&token);
    assert!(is_alive(&stranger, &token));
    for answer in [
        script.get("/db/User/me").expect(200),
        script.post(&id, &json!({})).expect(200),
    ] {
        assert_eq!(answer.header(TOKEN), None);
    }
    assert!(script.get("/connect").expect(200).json()["token"].is_null());
    // It acts as the user, not as who made it.
    script.get("/config").expect_error(466, "PermissionDenied");

    let session = token_of(&login(&stranger, "ann", "a secret").expect(200));
    let answer = admin.delete(&path).expect(204);
    assert_eq!(
        answer.header(TOKEN),
        None,
        "somebody else's session is not the administrator's"
    );
    for token in [&token, &session, ann.token().unwrap()] {
        assert!(!is_alive(&stranger, token));
    }
    assert!(is_alive(&stranger, admin.token().unwrap()));
    login(&stranger, "ann", "a secret").expect(200);

    // The administrator's own.
    let script = token_in(&admin.post("/db/User/1/token", &Value::Null).expect(200));
    let fresh = token_of(&admin.delete("/db/User/1/token").expect(204));
    assert_ne!(Some(fresh.as_str()), admin.token());
    assert!(is_alive(&stranger, &fresh));
    assert!(!is_alive(&stranger, &script));
    assert!(!is_alive(&stranger, admin.token().unwrap()));
}

#[test]
fn s26_a_short_session_stays_short() {
    let server = server().secure().start();
    let (admin, stranger, _, _) = ann(&server);
    let body = |global: Value| json!({ "username": "ann", "password": "a secret", "global": global });
    let long = token_of(&stranger.post("/db/User/login", &body(Value::Null)).expect(200));
    let short = token_of(&stranger.post("/db/User/login", &body(json!(false))).expect(200));
    assert_eq!((lifetime(&long), lifetime(&short)), (30 * 24 * 3600, 24 * 3600));
    stranger
        .post("/db/User/login", &body(json!("no")))
        .expect_error(400, "BadRequest");
    for (token, seconds) in [(&long, 30 * 24 * 3600), (&short, 24 * 3600)] {
        let client = stranger.clone().with_token(token);
        let renewed = token_of(&client.get("/db/User/me").expect(200));
        assert_eq!(lifetime(&renewed), seconds);
        let connected = client.get("/connect").expect(200).json();
        assert_eq!(lifetime(connected["token"].as_str().unwrap()), seconds);
    }
    let new = json!({ "user": { "username": "bob" }, "password": "a secret", "global": false });
    let bob = admin.post("/db/User/register", &new).expect(200);
    assert_eq!(lifetime(&token_of(&bob)), 24 * 3600);
    // Never longer than a long one, and a shorter setting takes nothing away from who is logged in.
    set_config(&admin, &json!({ "sessionSeconds": 600, "shortSessionSeconds": 3600 }));
    let short = token_of(&stranger.post("/db/User/login", &body(json!(false))).expect(200));
    assert_eq!(lifetime(&short), 600);
    let client = stranger.clone().with_token(&long);
    let renewed = token_of(&client.get("/db/User/me").expect(200));
    assert!(renewed[8..16] >= long[8..16], "a renewed token never ends earlier");
}

#[test]
fn s26_a_rotated_key_ends_sessions_when_its_overlap_does() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    for client in [&stranger, &ann] {
        client
            .post("/config/tokenKeys", &json!({ "overlapSeconds": 0 }))
            .expect_error(466, "PermissionDenied");
    }
    for bad in [json!(-1), json!("0"), json!(31_536_001), json!(1.5)] {
        admin
            .post("/config/tokenKeys", &json!({ "overlapSeconds": bad }))
            .expect_error(400, "BadRequest");
    }
    let script = token_in(&admin.post(&format!("{id}/token"), &Value::Null).expect(200));
    admin
        .post("/config/tokenKeys", &json!({ "overlapSeconds": 3600 }))
        .expect(204);
    for token in [ann.token().unwrap(), &script, admin.token().unwrap()] {
        assert!(is_alive(&stranger, token));
    }
    let renewed = token_of(&ann.get("/db/User/me").expect(200));
    admin
        .post("/config/tokenKeys", &json!({ "overlapSeconds": 0 }))
        .expect(204);
    for token in [ann.token().unwrap(), &script, admin.token().unwrap(), &renewed] {
        assert!(!is_alive(&stranger, token));
    }
    let again = token_of(&login(&stranger, "ann", "a secret").expect(200));
    assert!(is_alive(&stranger, &again));
}

#[test]
fn s26_a_new_key_outlives_a_restart_and_so_does_what_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().data_dir(dir.path());
    let mut running = builder.start();
    let (admin, stranger, ann, _) = ann(&running);
    admin
        .post("/config/tokenKeys", &json!({ "overlapSeconds": 0 }))
        .expect(204);
    let fresh = token_of(&login(&stranger, "ann", "a secret").expect(200));
    assert!(running.stop().success());
    let running = builder.start();
    let stranger = running.client();
    assert!(is_alive(&stranger, &fresh));
    assert!(!is_alive(&stranger, ann.token().unwrap()));
}

/// Classes for: everybody who is logged in, one role, another one, administrators.
fn rooms(admin: &Client, first: &str, second: &str) {
    for (name, who) in [
        ("All", "/db/Role/3"),
        ("First", first),
        ("Second", second),
        ("Admins", "/db/Role/1"),
    ] {
        let acl: BTreeMap<&str, Value> = ["load", "query", "insert", "update", "delete"]
            .map(|permission| (permission, json!({ who: "allow" })))
            .into();
        class(admin, name, &json!({ "n": { "type": "/db/Integer" } }), &json!(acl));
        admin.put(&format!("/db/{name}/1"), &json!({ "n": 1 })).expect(200);
    }
}

#[test]
fn s28_a_token_of_a_role_has_its_rights_and_no_others() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    let first = role(&admin, "first", &[&id]);
    let second = role(&admin, "second", &[&id]);
    let foreign = role(&admin, "foreign", &[]);
    rooms(&admin, &first, &second);
    let assume = |client: &Client, role: &str| client.post(&format!("{role}/assume"), &Value::Null);
    assume(&stranger, &first).expect(404);
    for role in [&foreign, "/db/Role/1", "/db/Role/2", "/db/Role/none"] {
        let refused = assume(&ann, role);
        assert!(matches!(refused.status, 404 | 466), "{}", refused.status);
    }
    let token = token_in(&assume(&ann, &first).expect(200));
    assert_eq!(lifetime(&token), 3600);
    let limited = stranger.clone().with_token(&token);
    let may = |client: &Client| ["All", "First", "Second", "Admins"].map(|c| client.get(&format!("/db/{c}/1")).status);
    assert_eq!(may(&ann), [200, 200, 200, 466]);
    assert_eq!(may(&limited), [200, 200, 466, 466]);
    for route in ["/config", "/db/First", "/index/First"] {
        limited.get(route).expect_error(466, "PermissionDenied");
    }
    // Not renewed, neither by reads nor by writes, and it leads to no other role.
    for answer in [
        limited.get("/db/User/me"),
        limited.put("/db/First/1", &json!({ "n": 2 })),
    ] {
        assert_eq!(answer.expect(200).header(TOKEN), None);
    }
    let refused = assume(&limited, &second);
    assert!(matches!(refused.status, 404 | 466), "{}", refused.status);

    // An administrator in a role is no administrator.
    let as_first = stranger
        .clone()
        .with_token(&token_in(&assume(&admin, &first).expect(200)));
    as_first.get("/config").expect_error(466, "PermissionDenied");

    // It ends with the membership, and comes back with it; with the sessions it ends for good.
    let update = |what: &str| admin.post(&first, &json!({ what: { "users": id } })).expect(200);
    update("$remove");
    assert!(!is_alive(&stranger, &token));
    update("$add");
    assert_eq!(limited.get("/db/First/1").status, 200);
    admin.delete(&format!("{id}/token")).expect(204);
    assert!(!is_alive(&stranger, &token));
    let ann = stranger.clone().login("ann", "a secret");
    let token = token_in(&assume(&ann, &first).expect(200));
    admin.delete(&first).expect(204);
    assert!(!is_alive(&stranger, &token));
}

/// Who has a token of one role must not be able to take the account over with it.
#[test]
fn s28_a_token_of_a_role_does_not_touch_the_account() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    let team = role(&admin, "team", &[&id]);
    let token = token_in(&ann.post(&format!("{team}/assume"), &Value::Null).expect(200));
    let limited = stranger.clone().with_token(&token);
    let device = Device::add(&ann);
    limited.delete("/db/User/mfa").expect_error(466, "PermissionDenied");
    limited.get("/db/User/mfa/init").expect_error(466, "PermissionDenied");
    limited
        .post("/db/User/mfa/init", &json!({ "code": device.code(0) }))
        .expect_error(466, "PermissionDenied");
    limited
        .delete("/db/User/password")
        .expect_error(466, "PermissionDenied");
    // Nor does it go on for ever by itself.
    limited
        .post(&format!("{team}/assume"), &Value::Null)
        .expect_error(466, "PermissionDenied");
    // The password is proof of the password, and no second factor.
    let change = json!({ "username": "ann", "password": "a secret", "newPassword": "a new secret" });
    pending(&limited.post("/db/User/password", &change));
    pending(&login(&stranger, "ann", "a secret"));
    assert!(is_alive(&stranger, ann.token().unwrap()));
}

/// The five kinds of token.
struct Kinds {
    session: String,
    api: String,
    role: String,
    pending: String,
}

fn kinds(server: &Server) -> (Client, Client, Kinds) {
    let (admin, stranger, ann, id) = ann(server);
    let team = role(&admin, "team", &[&id]);
    let api = token_in(&admin.post(&format!("{id}/token"), &Value::Null).expect(200));
    let role = token_in(&ann.post(&format!("{team}/assume"), &Value::Null).expect(200));
    let device = Device::add(&ann);
    let waiting = pending(&login(&stranger, "ann", "a secret"));
    second_step(&stranger, &waiting, &json!(device.code(0))).expect(200);
    let acl = |who: &str| json!({ "load": { who: "allow" }, "query": { who: "allow" }, "update": { who: "allow" } });
    let n = json!({ "n": { "type": "/db/Integer" } });
    class(&admin, "Team", &n, &acl(&team));
    class(&admin, "Admins", &n, &acl("/db/Role/1"));
    for name in ["Team", "Admins"] {
        admin.put(&format!("/db/{name}/1"), &json!({ "n": 1 })).expect(200);
    }
    let session = ann.token().unwrap().to_owned();
    let pending = waiting;
    (
        admin,
        stranger,
        Kinds {
            session,
            api,
            role,
            pending,
        },
    )
}

#[test]
fn s28_every_kind_of_token_can_what_its_row_says() {
    let server = server().secure().start();
    let (_admin, stranger, kinds) = kinds(&server);
    let Kinds {
        session,
        api,
        role,
        pending,
    } = &kinds;
    /// Method, path, body; statuses for a session, a token for scripts, one of a role, and one that waits for a code.
    type Row = (&'static str, &'static str, Value, [u16; 4]);
    let none = || Value::Null;
    let rows: Vec<Row> = vec![
        ("GET", "/db/User/me", none(), [200, 200, 200, 404]),
        ("GET", "/db/User/validate", none(), [200, 200, 200, 404]),
        ("GET", "/db/User/mfa/status", none(), [200, 200, 200, 404]),
        ("GET", "/db/Team/1", none(), [200, 200, 200, 460]),
        (
            "POST",
            "/db/Team/1",
            json!({ "$inc": { "n": 1 } }),
            [200, 200, 200, 460],
        ),
        ("GET", "/db/Team/query", none(), [200, 200, 200, 460]),
        ("GET", "/db/Admins/1", none(), [466, 466, 466, 460]),
        (
            "POST",
            "/db/Admins/1",
            json!({ "$inc": { "n": 1 } }),
            [466, 466, 466, 460],
        ),
        ("GET", "/config", none(), [466, 466, 466, 460]),
        ("PUT", "/config", json!({}), [466, 466, 466, 460]),
        ("POST", "/config/tokenKeys", json!({}), [466, 466, 466, 460]),
        ("POST", "/db/User/1/token", none(), [466, 466, 466, 460]),
        ("DELETE", "/db/User/1/token", none(), [466, 466, 466, 460]),
        ("DELETE", "/db/User/1/mfa", none(), [466, 466, 466, 460]),
        ("PUT", "/db/User/1/inactive", json!(true), [466, 466, 466, 460]),
        ("POST", "/schema/Team", json!({ "fields": {} }), [466, 466, 466, 460]),
        ("GET", "/db/Team", none(), [466, 466, 466, 460]),
        ("DELETE", "/db/Team", none(), [466, 466, 466, 460]),
        ("GET", "/db/logs.AuditLog/query", none(), [466, 466, 466, 460]),
        ("DELETE", "/db/User/password", none(), [400, 400, 466, 404]),
        ("GET", "/db/User/mfa/init", none(), [400, 400, 466, 404]),
        ("POST", "/db/Role/3/assume", none(), [200, 200, 466, 404]),
    ];
    let mut wrong = Vec::new();
    for (method, path, body, statuses) in &rows {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        for ((kind, token), status) in [("session", session), ("api", api), ("role", role), ("pending", pending)]
            .iter()
            .zip(statuses)
        {
            let client = stranger.clone().with_token(token);
            let answer = client.request(method, path, &[], body.as_bytes());
            if answer.status != *status {
                wrong.push(format!(
                    "{method} {path} with a {kind} token: {} instead of {status}",
                    answer.status
                ));
            }
            // Only sessions are renewed.
            let renewed = answer.header(TOKEN).is_some();
            assert!(!renewed || *kind == "session", "{method} {path} renews a {kind} token");
            // In the URL, each is good for reading this path and nothing else.
            let derived = resource_token(token, &format!("/v1{path}"));
            let by_url = stranger.request(method, &format!("{path}?BAT={derived}"), &[], body.as_bytes());
            let expected = match *method {
                "GET" => vec![*status],
                _ => vec![400, 404, 466],
            };
            if !expected.contains(&by_url.status) {
                wrong.push(format!(
                    "{method} {path} with a {kind} token in the URL: {} instead of {expected:?}",
                    by_url.status
                ));
            }
            // As a whole it belongs into no URL.
            let whole = stranger.request(method, &format!("{path}?BAT={token}"), &[], body.as_bytes());
            if *method == "GET" {
                assert!(matches!(whole.status, 404 | 460), "{path}: {}", whole.status);
            }
            let as_user = stranger.clone().with_token(&derived);
            let as_user = as_user.request(method, path, &[], body.as_bytes()).status;
            assert!(matches!(as_user, 404 | 460), "{method} {path}: {as_user}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let client = stranger.clone().with_token(session);
    assert_eq!(
        client.get("/db/Team/1").expect(200).json()["n"],
        4,
        "three kinds have counted it up"
    );
}

#[test]
fn s25_a_resource_token_dies_with_the_token_it_was_derived_from() {
    let server = server().secure().start();
    let (admin, stranger, ann, id) = ann(&server);
    class(&admin, "Doc", &json!({}), &json!({}));
    admin.put("/db/Doc/1", &json!({})).expect(200);
    let derived = resource_token(ann.token().unwrap(), "/v1/db/Doc/1");
    let path = format!("/db/Doc/1?BAT={derived}");
    stranger.get(&path).expect(200);
    // Twice: what was remembered must not answer.
    stranger.get(&path).expect(200);
    let change = json!({ "username": "ann", "password": "a secret", "newPassword": "a new secret" });
    let fresh = token_of(&stranger.post("/db/User/password", &change).expect(200));
    stranger.get(&path).expect_error(460, "BadCredentials");
    let derived = resource_token(&fresh, "/v1/db/Doc/1");
    let path = format!("/db/Doc/1?BAT={derived}");
    stranger.get(&path).expect(200);
    admin.put(&format!("{id}/inactive"), &json!(true)).expect(200);
    stranger.get(&path).expect_error(460, "BadCredentials");
}

/// Roles that end take effect with the next request, without a new token.
#[test]
fn s25_who_leaves_a_role_has_lost_its_rights_at_once() {
    let server = server().secure().start();
    let (admin, _, ann, id) = ann(&server);
    let team = role(&admin, "team", &[&id]);
    class(&admin, "Team", &json!({}), &json!({ "load": { &team: "allow" } }));
    admin.put("/db/Team/1", &json!({})).expect(200);
    for _ in 0..3 {
        ann.get("/db/Team/1").expect(200);
        admin.post(&team, &json!({ "$remove": { "users": id } })).expect(200);
        ann.get("/db/Team/1").expect_error(466, "PermissionDenied");
        admin.post(&team, &json!({ "$add": { "users": id } })).expect(200);
    }
    // Administrators as well.
    admin
        .post("/db/Role/1", &json!({ "$add": { "users": id } }))
        .expect(200);
    ann.get("/config").expect(200);
    admin
        .post("/db/Role/1", &json!({ "$remove": { "users": id } }))
        .expect(200);
    ann.get("/config").expect_error(466, "PermissionDenied");
    admin.delete(&team).expect(204);
    ann.get("/db/Team/1").expect_error(466, "PermissionDenied");
}
