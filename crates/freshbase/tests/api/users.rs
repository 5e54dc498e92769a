//! Accounts, sessions and tokens: protocol 04 §1–4.

use fb_testkit::{Client, Response, root};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::{class, open, server};

const TOKEN: &str = "baqend-authorization-token";

fn login(client: &Client, username: &str, password: &str) -> Response {
    client.post("/db/User/login", &json!({ "username": username, "password": password }))
}

fn register(client: &Client, user: &Value, rest: &Value) -> Response {
    let mut body = json!({ "user": user });
    for (name, value) in rest.as_object().unwrap() {
        body[name] = value.clone();
    }
    client.post("/db/User/register", &body)
}

#[test]
fn a_session_from_registration_to_logout() {
    let (_server, admin, anybody) = open();
    class(&admin, "User", &[("email", "String")]);
    let user = json!({ "acl": { "read": {}, "write": {} }, "username": "ann", "email": "a@b.c" });
    let registered = register(&anybody, &user, &json!({ "password": "a secret", "login": true })).expect(200);
    let ann = registered.json();
    let id = ann["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&ann["version"], &ann["username"], &ann["email"]),
        (&json!(1), &json!("ann"), &json!("a@b.c"))
    );
    assert_eq!(
        ann["acl"],
        json!({ "read": { &id: "allow" }, "write": { &id: "allow" } })
    );
    let token = registered.header(TOKEN).unwrap().to_owned();
    assert!(
        token.len() > 56 && token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        "{token}"
    );

    let client = anybody.clone().with_token(&token);
    let me = client.get("/db/User/me").expect(200);
    assert_eq!(me.json(), ann);
    let renewed = me.header(TOKEN).unwrap();
    assert!(renewed[8..16] >= token[8..16], "a renewed token never ends earlier");
    let validated = client.get("/db/User/validate").expect(200);
    assert_eq!(validated.json(), ann);
    assert_eq!(client.get(&id).expect(200).json(), ann);
    assert_eq!(
        anybody
            .clone()
            .with_token(renewed)
            .get("/db/User/me")
            .expect(200)
            .json(),
        ann
    );

    let connected = client.get("/connect").expect(200);
    assert!(connected.header("cache-control").is_some_and(|c| c.contains("private")));
    let connected = connected.json();
    assert_eq!(connected["user"], ann);
    assert_eq!(
        anybody
            .clone()
            .with_token(connected["token"].as_str().unwrap())
            .get("/db/User/me")
            .status,
        200
    );
    let form = format!("BAT={token}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let posted = anybody
        .request("POST", "/connect", &headers, form.as_bytes())
        .expect(200);
    assert_eq!(posted.json()["user"], ann);
    let anonymous = anybody.get("/connect").expect(200).json();
    assert_eq!((&anonymous["token"], anonymous.get("user")), (&Value::Null, None));

    client.get("/db/User/logout").expect(204);
    anybody.get("/db/User/logout").expect(204);
    let again = login(&anybody, "ann", "a secret").expect(200);
    assert_eq!(again.json(), ann);
    assert!(again.header(TOKEN).is_some());

    let quiet = register(
        &anybody,
        &json!({ "username": "bob" }),
        &json!({ "password": "a secret", "login": false }),
    );
    assert_eq!(quiet.expect(200).header(TOKEN), None);
    login(&anybody, "bob", "a secret").expect(200);
    // Nobody but they themselves and administrators sees them.
    let (bob, _) = anybody.clone().register("eve");
    for stranger in [&anybody, &bob] {
        stranger.get(&id).expect_error(404, "ObjectNotFound");
        stranger.put(&id, &json!({})).expect_error(466, "PermissionDenied");
        stranger.delete(&id).expect_error(466, "PermissionDenied");
        assert!(stranger.query("User", &json!({ "username": "ann" })).is_empty());
    }
    assert_eq!(admin.get(&id).expect(200).json(), ann);
}

#[test]
fn a_bad_token_is_refused_except_where_clients_find_out() {
    let (server, admin, anybody) = open();
    class(&admin, "Todo", &[("name", "String")]);
    let (ann, _) = anybody.clone().register("ann");
    let good = ann.token().unwrap().to_owned();
    let mut forged = good.clone();
    let middle = good.len() / 2;
    forged.replace_range(middle..=middle, if &good[middle..=middle] == "0" { "1" } else { "0" });
    let expired = format!("{}{}", &good[..8], "00000001") + &good[16..];
    let other_server = crate::server().baqend().start();
    let foreign = root(&other_server).token().unwrap().to_owned();
    let upper = good.to_uppercase();
    for bad in [
        &forged,
        &expired,
        &foreign,
        &upper,
        "x",
        "BAT",
        "0",
        &good[1..],
        &format!("{good}0"),
        &"0".repeat(100),
    ] {
        let client = anybody.clone().with_token(bad);
        for answer in [
            client.get("/db/Todo/a"),
            client.post("/db/Todo", &json!({})),
            client.put("/db/Todo/a", &json!({})),
            client.delete("/db/Todo/a"),
            client.get("/db/Todo/query"),
            client.get("/schema"),
            client.post("/schema/X", &json!({ "fields": {} })),
            client.get("/index/Todo"),
        ] {
            answer.expect_error(460, "BadCredentials");
            assert_eq!(answer.header(TOKEN), None);
        }
        for path in ["/db/User/me", "/db/User/validate"] {
            let answer = client.get(path);
            answer.expect_error(404, "ObjectNotFound");
            assert_eq!(answer.header(TOKEN), None);
        }
        let connected = client.get("/connect").expect(200).json();
        assert_eq!(
            (&connected["token"], connected.get("user")),
            (&Value::Null, None),
            "{bad}"
        );
        assert!(connected["schema"].is_array());
        // It keeps nobody from logging in.
        login(&client, "root", fb_testkit::ROOT_PASSWORD).expect(200);
    }
    anybody.get("/db/User/me").expect_error(404, "ObjectNotFound");
    assert!(admin.query("Todo", &json!({})).is_empty());
    // Any other scheme is not ours to judge, and must not become a session.
    let basic = [("authorization", "Basic cm9vdDpyb290")];
    let status = server.client().request("GET", "/db/User/me", &basic, b"").status;
    assert_eq!(status, 404);
}

#[test]
fn registrations_that_cannot_be_are_refused() {
    let (_server, admin, anybody) = open();
    let good = json!({ "password": "a secret" });
    register(&anybody, &json!({ "username": "ann" }), &good).expect(200);
    let before = admin.get("/db/User/ids").json();
    for taken in ["ann", "root"] {
        let answer = register(&anybody, &json!({ "username": taken }), &json!({ "password": "other" }));
        answer.expect_error(409, "ObjectExists");
        assert_eq!(answer.header(TOKEN), None);
    }
    let bob = json!({ "username": "bob" });
    for rest in [
        json!({}),
        json!({ "password": "" }),
        json!({ "password": null }),
        json!({ "password": 5 }),
        json!({ "password": "a secret", "login": "yes" }),
        json!({ "password": "x".repeat(100_000) }),
    ] {
        let answer = register(&anybody, &bob, &rest);
        answer.expect_error(400, "BadRequest");
        assert_eq!(answer.header(TOKEN), None);
    }
    for user in [
        json!({}),
        json!({ "username": "" }),
        json!({ "username": null }),
        json!({ "username": 5 }),
        json!({ "username": "a\nb" }),
        json!({ "username": "x".repeat(300) }),
        json!("bob"),
        Value::Null,
    ] {
        register(&anybody, &user, &good).expect_error(400, "BadRequest");
    }
    anybody
        .post("/db/User/register", &json!({ "password": "x" }))
        .expect_error(400, "BadRequest");
    anybody.post("/db/User", &bob).expect_error(466, "PermissionDenied");
    assert_eq!(admin.get("/db/User/ids").json(), before);
    // Several clients want one name at once.
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let (anybody, bob, good) = (&anybody, &bob, &good);
        let running: Vec<_> = (0..4)
            .map(|_| scope.spawn(move || register(anybody, bob, good).status))
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
}

#[test]
fn a_wrong_login_says_only_that_it_is_wrong() {
    let (_server, _, anybody) = open();
    register(
        &anybody,
        &json!({ "username": "ann" }),
        &json!({ "password": "a secret" }),
    )
    .expect(200);
    for (name, password) in [("ann", "Secret"), ("ann", ""), ("nobody", "a secret"), ("", "")] {
        let answer = login(&anybody, name, password);
        let message = answer.expect_error(460, "BadCredentials");
        assert!(message.contains("User name or password is incorrect"), "{message}");
        assert_eq!(answer.header(TOKEN), None);
    }
    for body in [
        json!({}),
        json!({ "username": "ann" }),
        json!({ "username": "ann", "password": 5 }),
        json!([]),
    ] {
        anybody.post("/db/User/login", &body).expect_error(400, "BadRequest");
    }
}

#[test]
fn the_secure_profile_lets_only_administrators_register_users() {
    let server = server().secure().start();
    let (admin, anybody) = (root(&server), server.client());
    let ann = json!({ "username": "ann" });
    let good = json!({ "password": "a secret", "login": false });
    register(&anybody, &ann, &good).expect_error(466, "PermissionDenied");
    login(&anybody, "ann", "a secret").expect_error(460, "BadCredentials");
    register(&admin, &ann, &good).expect(200);
    let ann = server.client().login("ann", "a secret");
    register(&ann, &json!({ "username": "bob" }), &good).expect_error(466, "PermissionDenied");
    // New classes are for users who are logged in.
    class(&admin, "Todo", &[("name", "String")]);
    ann.put("/db/Todo/a", &json!({ "name": "x" })).expect(200);
    for answer in [
        anybody.get("/db/Todo/a"),
        anybody.get("/db/Todo/query"),
        anybody.get("/db/Todo/count"),
        anybody.post("/db/Todo", &json!({})),
        anybody.put("/db/Todo/a", &json!({})),
        anybody.post("/db/Todo/a", &json!({})),
        anybody.delete("/db/Todo/a"),
        anybody.post("/db/Role", &json!({ "name": "x" })),
        ann.post("/db/Role", &json!({ "name": "x" })),
    ] {
        answer.expect_error(466, "PermissionDenied");
    }
    assert_eq!(ann.get("/db/Todo/a").json()["version"], 1);
}

#[test]
fn a_deleted_user_is_gone() {
    let (_server, admin, anybody) = open();
    let (ann, id) = anybody.clone().register("ann");
    ann.delete(&id).expect(204);
    login(&anybody, "ann", "a secret").expect_error(460, "BadCredentials");
    ann.get("/db/User/me").expect_error(404, "ObjectNotFound");
    ann.get("/db/User/validate").expect_error(404, "ObjectNotFound");
    ann.get("/schema").expect_error(460, "BadCredentials");
    assert_eq!(ann.get("/connect").expect(200).json()["token"], Value::Null);
    let (new_ann, new_id) = anybody.clone().register("ann");
    assert_ne!(new_id, id, "ids are not used twice");
    new_ann.get("/db/User/me").expect(200);
    ann.get("/db/User/me").expect_error(404, "ObjectNotFound");
    admin.delete(&new_id).expect(204);
    new_ann.get("/db/User/me").expect_error(404, "ObjectNotFound");
    login(&anybody, "ann", "a secret").expect_error(460, "BadCredentials");
}

#[test]
fn a_role_counts_as_soon_as_it_is_given() {
    let (_server, admin, anybody) = open();
    let (ann, ann_id) = anybody.clone().register("ann");
    class(&admin, "Todo", &[("name", "String")]);
    let role = admin
        .post("/db/Role", &json!({ "name": "team", "users": [] }))
        .expect(201)
        .json();
    let role_id = role["id"].as_str().unwrap();
    let acl = json!({ "read": { role_id: "allow" }, "write": { role_id: "allow" } });
    admin.put("/db/Todo/a", &json!({ "name": "x", "acl": acl })).expect(200);
    ann.get("/db/Todo/a").expect_error(404, "ObjectNotFound");
    admin.post(role_id, &json!({ "$add": { "users": ann_id } })).expect(200);
    let token = ann.get("/db/User/me").expect(200).header(TOKEN).unwrap().to_owned();
    let member = anybody.clone().with_token(&token);
    member.get("/db/Todo/a").expect(200);
    member.put("/db/Todo/a", &json!({ "name": "y" })).expect(200);
    admin
        .post(role_id, &json!({ "$remove": { "users": ann_id } }))
        .expect(200);
    let token = ann.get("/db/User/me").expect(200).header(TOKEN).unwrap().to_owned();
    let stranger = anybody.clone().with_token(&token);
    stranger.get("/db/Todo/a").expect_error(404, "ObjectNotFound");
    stranger
        .put("/db/Todo/a", &json!({}))
        .expect_error(466, "PermissionDenied");
    // Nobody makes himself an administrator.
    for client in [&anybody, &ann] {
        let answer = client.post("/db/Role/1", &json!({ "$add": { "users": ann_id } }));
        assert!(matches!(answer.status, 404 | 466), "{}", answer.status);
        let answer = client.put("/db/Role/1", &json!({ "name": "admin", "users": [ann_id] }));
        assert_eq!(answer.status, 466);
        assert_eq!(client.delete("/db/Role/1").status, 466);
    }
}

#[test]
fn no_answer_has_a_password_or_its_hash() {
    let (server, admin, anybody) = open();
    let password = "pa55-unmistakable";
    let fields = json!({ "username": "ann", "password": password, "hash": password });
    let registered = register(&anybody, &fields, &json!({ "password": password })).expect(200);
    let id = registered.json()["id"].as_str().unwrap().to_owned();
    let ann = anybody.clone().with_token(registered.header(TOKEN).unwrap());
    let mut answers = vec![
        registered,
        login(&anybody, "ann", password),
        login(&anybody, "ann", "wrong"),
    ];
    for path in [
        "/db/User/me",
        "/db/User/validate",
        "/connect",
        "/schema",
        "/db/User/query",
        &id,
    ] {
        answers.push(ann.get(path).expect(200));
    }
    for path in [
        "/db/User",
        "/db/User/query",
        "/db/User/ids",
        &id,
        "/config",
        "/schema/User",
    ] {
        answers.push(admin.get(path));
    }
    answers.push(register(&anybody, &fields, &json!({ "password": password })));
    answers.push(
        ann.request("PUT", &id, &[("if-match", "*")], fields.to_string().as_bytes())
            .expect(200),
    );
    for answer in &answers {
        let mut text = String::from_utf8_lossy(&answer.body).to_lowercase();
        text.push_str(&format!("{:?}", answer.headers).to_lowercase());
        for secret in [password, "\"password\"", "argon", "$2b$", "scrypt", "pbkdf"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert!(!server.log().contains(password));
    for space in ["username", "password", "password/2"] {
        let answer = admin.get(&format!("/db/{space}"));
        assert_eq!(answer.status, 461, "{space}");
    }
}

/// A token for one path, as clients derive it from theirs.
fn resource_token(token: &str, path: &str) -> String {
    let (data, key) = token.split_at(token.len() - 40);
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(path.as_bytes());
    mac.update(data.as_bytes());
    let hash: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{data}{hash}")
}

#[test]
fn a_resource_token_is_good_for_its_path() {
    let (_server, _, anybody) = open();
    let (ann, id) = anybody.clone().register("ann");
    let token = ann.token().unwrap();
    let derived = resource_token(token, "/v1/connect");
    let connected = anybody.get(&format!("/connect?BAT={derived}")).expect(200).json();
    assert_eq!(connected["user"]["id"], id.as_str());
    let full = connected["token"].as_str().unwrap();
    anybody.clone().with_token(full).get("/db/User/me").expect(200);
    for bad in [
        resource_token(token, "/v1/other"),
        resource_token(token, "/connect"),
        format!("{}0", &derived[..derived.len() - 1]) + "0",
        token[..token.len() - 1].to_owned(),
        String::new(),
    ] {
        let connected = anybody.get(&format!("/connect?BAT={bad}")).expect(200).json();
        assert_eq!(
            (&connected["token"], connected.get("user")),
            (&Value::Null, None),
            "{bad}"
        );
    }
    // It is no user token.
    let client = anybody.clone().with_token(&derived);
    client.get("/db/User/me").expect_error(404, "ObjectNotFound");
    client.get("/schema").expect_error(460, "BadCredentials");
}
