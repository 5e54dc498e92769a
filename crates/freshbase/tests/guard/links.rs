//! Links in mails: for one use, one purpose, one user, one app, and to nowhere but where the settings say.

use fb_testkit::{Client, Server, root};
use serde_json::{Value, json};

use crate::kit::{
    Device, Mails, PUBLIC_URL, TOKEN, ann, at_once, is_alive, login, pending, register, second_step, secret_of,
    set_config, token_of, verification,
};
use crate::{Profile, no_panics, second_app, server, user};

pub(crate) const ANN: &str = "ann@example.com";
pub(crate) const BOB: &str = "bob@example.com";
pub(crate) const PASSWORD: &str = "a secret";

pub(crate) fn app() -> (Server, Client, Client, Mails) {
    let server = server().secure().start();
    let (admin, stranger) = (root(&server), server.client());
    verification(&admin);
    let mails = Mails::of(&server, "main");
    (server, admin, stranger, mails)
}

/// Follows a link as a program would.
pub(crate) fn follow(client: &Client, route: &str, token: &str) -> fb_testkit::Response {
    client.get(&format!("/db/User/{route}?token={token}"))
}

fn reset(client: &Client, token: &str, new: &str) -> fb_testkit::Response {
    client.post("/db/User/password", &json!({ "token": token, "newPassword": new }))
}

pub(crate) fn ask_for_reset(client: &Client, username: &str) {
    client
        .post("/db/User/reset", &json!({ "username": username }))
        .expect(200);
}

#[test]
fn s20_a_registration_waits_for_its_link_which_works_once() {
    let (server, _, stranger, mails) = app();
    let registered = register(&stranger, ANN, PASSWORD).expect(204);
    assert_eq!((registered.header(TOKEN), registered.body.len()), (None, 0));
    let refused = login(&stranger, ANN, PASSWORD).expect_error(460, "BadCredentials");
    assert_eq!(
        refused,
        login(&stranger, ANN, "wrong").expect_error(460, "BadCredentials")
    );

    let link = mails.next_link(ANN);
    assert!(
        link.starts_with(&format!("{PUBLIC_URL}/db/User/verify?token=")),
        "{link}"
    );
    let path = link.trim_start_matches(PUBLIC_URL);
    // What looks at links in advance does not use them up.
    for _ in 0..3 {
        stranger.request("HEAD", path, &[], b"").expect(400);
        stranger.request("OPTIONS", path, &[], b"");
    }
    login(&stranger, ANN, PASSWORD).expect_error(460, "BadCredentials");
    let mut expected = vec![204];
    expected.extend([460; 19]);
    assert_eq!(at_once(20, |_| stranger.get(path)), expected);
    login(&stranger, ANN, PASSWORD).expect(200);
    stranger.get(path).expect_error(460, "BadCredentials");
    no_panics(&server);
}

#[test]
fn s20_people_who_follow_a_link_see_a_page_and_programs_a_status() {
    let (_server, admin, stranger, mails) = app();
    register(&stranger, ANN, PASSWORD).expect(204);
    let token = mails.next_token(ANN);
    let html = [("accept", "text/html,application/xhtml+xml")];
    let browse = |token: &str| stranger.request("GET", &format!("/db/User/verify?token={token}"), &html, b"");
    for (token, status) in [(token.as_str(), 200), (token.as_str(), 460), ("%3Cscript%3E", 460)] {
        let page = browse(token).expect(status);
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        assert!(
            page.header("content-security-policy")
                .unwrap()
                .starts_with("default-src 'none'")
        );
        assert_eq!(
            (page.header("cache-control"), page.header("referrer-policy")),
            (Some("no-store"), Some("no-referrer"))
        );
        assert!(
            !String::from_utf8(page.body)
                .unwrap()
                .contains(token.trim_matches(['%'])),
            "{token}"
        );
    }
    let urls = json!({ "verifiedUrl": "https://shop.example/welcome", "failedUrl": "https://shop.example/too-late" });
    set_config(&admin, &json!({ "mail": urls }));
    register(&stranger, BOB, PASSWORD).expect(204);
    let token = mails.next_token(BOB);
    for place in ["welcome", "too-late"] {
        let moved = browse(&token).expect(302);
        assert_eq!(
            moved.header("location").unwrap(),
            format!("https://shop.example/{place}")
        );
        assert_eq!(moved.header("referrer-policy"), Some("no-referrer"));
    }
    login(&stranger, BOB, PASSWORD).expect(200);
}

#[test]
fn s20_a_reset_link_sets_one_password_and_ends_all_sessions() {
    let (server, admin, stranger, mails) = app();
    let (bob, id) = user(&admin, &stranger, BOB);
    let other = token_of(&login(&stranger, BOB, PASSWORD).expect(200));
    let api = admin.post(&format!("{id}/token"), &Value::Null).expect(200).json();
    let api = api["token"].as_str().unwrap().to_owned();
    ask_for_reset(&stranger, BOB);
    let link = mails.next_link(BOB);
    assert!(
        link.starts_with(&format!("{PUBLIC_URL}/db/User/reset?bq-token=")),
        "{link}"
    );
    let token = secret_of(&link);
    // A password that is refused does not use it up.
    reset(&stranger, &token, "short").expect_error(400, "BadRequest");
    for token in [bob.token().unwrap(), &other, &api] {
        assert!(is_alive(&stranger, token), "asking alone ends nothing");
    }
    let winners = std::sync::Mutex::new(Vec::new());
    let statuses = at_once(20, |i| {
        let answer = reset(&stranger, &token, &format!("new password {i}"));
        match answer.status {
            200 => winners.lock().unwrap().push((i, token_of(&answer))),
            _ => assert_eq!(answer.header(TOKEN), None),
        }
        answer
    });
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| *status == 460), "{statuses:?}");
    let winners = winners.into_inner().unwrap();
    let [(winner, session)] = &winners[..] else {
        panic!("{winners:?}")
    };
    for token in [bob.token().unwrap(), &other, &api] {
        assert!(!is_alive(&stranger, token));
    }
    assert!(is_alive(&stranger, session));
    login(&stranger, BOB, PASSWORD).expect_error(460, "BadCredentials");
    login(&stranger, BOB, &format!("new password {winner}")).expect(200);
    reset(&stranger, &token, "another password").expect_error(460, "BadCredentials");
    no_panics(&server);
}

#[test]
fn s20_a_link_is_good_for_its_purpose_its_user_and_its_app() {
    let (server, admin, stranger, mails) = app();
    // In both apps the users with these names have the same keys.
    let other_admin = second_app(&server, "other", Profile::Secure);
    let other = server.app("other");
    verification(&other_admin);
    for (admin, stranger) in [(&admin, &stranger), (&other_admin, &other)] {
        user(admin, stranger, BOB);
        register(stranger, ANN, PASSWORD).expect(204);
    }
    let verify = mails.next_token(ANN);
    ask_for_reset(&stranger, BOB);
    let reset_token = mails.next_token(BOB);
    let rename = json!({ "username": BOB, "newUsername": "new@example.com", "password": PASSWORD });
    stranger.post("/db/User/changeUsername", &rename).expect(204);
    let rename = mails.next_token("new@example.com");
    // Links of the other app for the same users.
    ask_for_reset(&other, BOB);

    let swapped = |a: &str, b: &str| {
        let (user, secret) = (a.split_once('.').unwrap().0, b.split_once('.').unwrap().1);
        format!("{user}.{secret}")
    };
    let upper = reset_token.to_uppercase();
    let cut = &reset_token[..reset_token.len() - 1];
    let wrong_uses = [
        ("verify", reset_token.as_str()),
        ("verify", &rename),
        ("verifyUsername", &reset_token),
        ("verifyUsername", &verify),
        ("password", &verify),
        ("password", &rename),
        ("verify", &swapped(&reset_token, &verify)),
        ("password", &swapped(&verify, &reset_token)),
        ("verifyUsername", &swapped(&verify, &rename)),
        ("password", &upper),
        ("password", cut),
        ("password", reset_token.split_once('.').unwrap().1),
        ("password", ""),
        ("password", "."),
    ];
    for (route, token) in wrong_uses {
        let answer = match route {
            "password" => reset(&stranger, token, "a new password"),
            _ => follow(&stranger, route, token),
        };
        answer.expect_error(460, "BadCredentials");
        assert_eq!(answer.header(TOKEN), None, "{route} {token}");
    }
    for token in [&verify, &reset_token, &rename] {
        reset(&other, token, "a new password").expect_error(460, "BadCredentials");
        follow(&other, "verify", token).expect_error(460, "BadCredentials");
        follow(&other, "verifyUsername", token).expect_error(460, "BadCredentials");
    }
    login(&other, ANN, PASSWORD).expect_error(460, "BadCredentials");
    login(&other, BOB, PASSWORD).expect(200);
    // None of that has used one up.
    follow(&stranger, "verify", &verify).expect(204);
    follow(&stranger, "verifyUsername", &rename).expect(204);
    login(&stranger, ANN, PASSWORD).expect(200);
    login(&stranger, "new@example.com", PASSWORD).expect(200);
}

#[test]
fn s20_a_newer_link_ends_the_older_one_and_so_does_a_new_password() {
    let (_server, admin, stranger, mails) = app();
    user(&admin, &stranger, BOB);
    let next = || {
        ask_for_reset(&stranger, BOB);
        mails.next_token(BOB)
    };
    let (first, second) = (next(), next());
    reset(&stranger, &first, "a new password").expect_error(460, "BadCredentials");
    let changed = json!({ "username": BOB, "password": PASSWORD, "newPassword": "a new password" });
    stranger.post("/db/User/password", &changed).expect(200);
    reset(&stranger, &second, "an evil password").expect_error(460, "BadCredentials");
    let third = next();
    let set = json!({ "username": BOB, "password": "", "newPassword": PASSWORD });
    admin.post("/db/User/password", &set).expect(200);
    reset(&stranger, &third, "an evil password").expect_error(460, "BadCredentials");
    login(&stranger, BOB, PASSWORD).expect(200);

    // Registering again while the first mail is under way sends another one.
    register(&stranger, ANN, PASSWORD).expect(204);
    let first = mails.next_token(ANN);
    register(&stranger, ANN, PASSWORD).expect(204);
    let second = mails.next_token(ANN);
    follow(&stranger, "verify", &first).expect_error(460, "BadCredentials");
    follow(&stranger, "verify", &second).expect(204);
}

/// Somebody registers with another person's address. The person registers as well and follows the link: the account is
/// the person's, not the one's who was first.
#[test]
fn s23_an_account_belongs_to_whom_its_last_mail_went_to() {
    let (_server, admin, stranger, mails) = app();
    let fields = json!({ "email": { "type": "/db/String" } });
    admin.post("/schema/User", &json!({ "fields": fields })).expect(200);
    // The thief leaves a way in: a right on the account, and an address that mails could go to.
    let (thief, thief_id) = user(&admin, &stranger, "thief");
    let acl = json!({ "read": { &thief_id: "allow" }, "write": { &thief_id: "allow" } });
    let new = json!({ "username": ANN, "email": "thief@example.com", "acl": acl });
    let body = json!({ "user": new, "password": "the thief's password" });
    stranger.post("/db/User/register", &body).expect(204);
    mails.next_token(ANN);
    register(&stranger, ANN, "the owner's password").expect(204);
    let token = mails.next_token(ANN);
    follow(&stranger, "verify", &token).expect(204);
    login(&stranger, ANN, "the thief's password").expect_error(460, "BadCredentials");
    let ann = login(&stranger, ANN, "the owner's password").expect(200).json();
    let id = ann["id"].as_str().unwrap();
    assert_eq!(ann["acl"], json!({ "read": { id: "allow" }, "write": { id: "allow" } }));
    assert_eq!(ann["email"], Value::Null);
    thief.get(id).expect_error(404, "ObjectNotFound");
    // An account that is in use keeps its password, whoever registers.
    register(&stranger, ANN, "the thief's password").expect(204);
    login(&stranger, ANN, "the thief's password").expect_error(460, "BadCredentials");
    login(&stranger, ANN, "the owner's password").expect(200);
}

#[test]
fn s20_a_reset_asks_for_the_second_factor_and_does_not_revive_anybody() {
    let (_server, admin, stranger, mails) = app();
    let (bob, id) = user(&admin, &stranger, BOB);
    let device = Device::add(&bob);
    ask_for_reset(&stranger, BOB);
    let answer = reset(&stranger, &mails.next_token(BOB), "a new password");
    let token = pending(&answer);
    assert!(!is_alive(&stranger, bob.token().unwrap()));
    assert!(!is_alive(&stranger, &token));
    pending(&login(&stranger, BOB, "a new password"));
    second_step(&stranger, &token, &json!(device.code(0))).expect(200);

    ask_for_reset(&stranger, BOB);
    let link = mails.next_token(BOB);
    admin.put(&format!("{id}/inactive"), &json!(true)).expect(200);
    let answer = reset(&stranger, &link, "yet another password");
    assert_eq!(answer.header(TOKEN), None);
    assert!(!answer.headers.iter().any(|(name, _)| name == "baqend-mfa-auth-token"));
    login(&stranger, BOB, "yet another password").expect_error(460, "BadCredentials");
    assert_eq!(admin.get(&id).expect(200).json()["inactive"], true);

    // Nor does the link of the registration, once an administrator has said no.
    register(&stranger, ANN, PASSWORD).expect(204);
    let link = mails.next_token(ANN);
    let id = admin.query("User", &json!({ "username": ANN }))[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    admin.put(&format!("{id}/inactive"), &json!(true)).expect(200);
    follow(&stranger, "verify", &link).expect_error(460, "BadCredentials");
    login(&stranger, ANN, PASSWORD).expect_error(460, "BadCredentials");
}

#[test]
fn s20_a_user_name_changes_when_its_new_owner_says_so() {
    let (_server, admin, stranger, mails) = app();
    let (_, id) = user(&admin, &stranger, BOB);
    user(&admin, &stranger, "taken@example.com");
    let ask = |new: &str, password: &str| {
        let body = json!({ "username": BOB, "newUsername": new, "password": password });
        stranger.post("/db/User/changeUsername", &body)
    };
    ask("new@example.com", "wrong").expect_error(460, "BadCredentials");
    ask("no address", PASSWORD).expect_error(400, "BadRequest");
    // Same answer, and no mail to whoever has the name.
    let taken = ask("Taken@Example.com", PASSWORD).expect(204);
    let free = ask("new@example.com", PASSWORD).expect(204);
    let names = |answer: &fb_testkit::Response| answer.headers.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    assert_eq!((names(&taken), &taken.body), (names(&free), &free.body));
    let link = mails.next_link("new@example.com");
    assert!(mails.all().iter().all(|mail| mail["to"] != "Taken@Example.com"));
    assert!(
        link.starts_with(&format!("{PUBLIC_URL}/db/User/verifyUsername?token=")),
        "{link}"
    );
    let path = link.trim_start_matches(PUBLIC_URL);
    login(&stranger, "new@example.com", PASSWORD).expect_error(460, "BadCredentials");
    let session = token_of(&login(&stranger, BOB, PASSWORD).expect(200));
    // A reset link that waits in the mailbox of the old address must not open the account any more.
    ask_for_reset(&stranger, BOB);
    let old_reset = mails.next_token(BOB);
    stranger.request("HEAD", path, &[], b"").expect(400);
    let statuses = at_once(10, |_| stranger.get(path));
    assert_eq!(statuses[0], 204);
    assert!(
        statuses[1..].iter().all(|status| matches!(status, 409 | 460)),
        "{statuses:?}"
    );
    stranger.get(path).expect_error(460, "BadCredentials");
    login(&stranger, BOB, PASSWORD).expect_error(460, "BadCredentials");
    let renamed = login(&stranger, "new@example.com", PASSWORD).expect(200).json();
    assert_eq!(
        (&renamed["id"], &renamed["username"]),
        (&json!(id), &json!("new@example.com"))
    );
    assert!(
        !is_alive(&stranger, &session),
        "a changed address ends the sessions (S25)"
    );
    reset(&stranger, &old_reset, "an evil password").expect_error(460, "BadCredentials");

    // A name that was taken while the mail was under way stays its owner's.
    let body = json!({ "username": "new@example.com", "newUsername": "late@example.com", "password": PASSWORD });
    stranger.post("/db/User/changeUsername", &body).expect(204);
    let token = mails.next_token("late@example.com");
    let (_, late) = user(&admin, &stranger, "late@example.com");
    let refused = follow(&stranger, "verifyUsername", &token);
    assert!(matches!(refused.status, 409 | 460), "{}", refused.status);
    assert_eq!(
        login(&stranger, "late@example.com", PASSWORD).expect(200).json()["id"],
        late.as_str()
    );
    assert_eq!(
        login(&stranger, "new@example.com", PASSWORD).expect(200).json()["id"],
        id.as_str()
    );
}

/// Otherwise whoever has the password alone would move the account to an address of its own.
#[test]
fn s20_a_user_name_does_not_change_without_the_second_factor() {
    let (_server, admin, stranger, mails) = app();
    let (bob, _) = user(&admin, &stranger, BOB);
    Device::add(&bob);
    let body = json!({ "username": BOB, "newUsername": "thief@example.com", "password": PASSWORD });
    pending(&stranger.post("/db/User/changeUsername", &body));
    // In a session of its own, the second factor was asked for.
    bob.post("/db/User/changeUsername", &body).expect(204);
    mails.next_token("thief@example.com");
    let sent = mails.all();
    assert_eq!(sent.iter().filter(|mail| mail["to"] == "thief@example.com").count(), 1);
}

#[test]
fn s20_without_verification_nobody_changes_names() {
    let server = server().secure().start();
    let (admin, stranger, ann, _) = ann(&server);
    let body = json!({ "username": "ann", "newUsername": "new@example.com", "password": PASSWORD });
    for client in [&admin, &stranger, &ann] {
        let message = client
            .post("/db/User/changeUsername", &body)
            .expect_error(400, "BadRequest");
        assert!(message.contains("Email verification not enabled"), "{message}");
    }
}

#[test]
fn s35_links_lead_where_the_settings_say_whatever_the_request_claims() {
    let (_server, admin, stranger, mails) = app();
    user(&admin, &stranger, BOB);
    let hostile = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-original-host", "evil.example"),
        ("x-forwarded-server", "evil.example"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/page"),
    ];
    let post = |path: &str, body: Value, status: u16| {
        let body = body.to_string();
        stranger.request("POST", path, &hostile, body.as_bytes()).expect(status);
        // As a proxy would see it: the whole URL in the request line.
        let host = [("host", "evil.example:443@shop.example")];
        let answer = stranger.request("POST", path, &host, body.as_bytes());
        assert!(
            matches!(answer.status, 400 | 404) || answer.status == status,
            "{}",
            answer.status
        );
    };
    let new = json!({ "user": { "username": ANN }, "password": PASSWORD });
    post("/db/User/register", new, 204);
    post("/db/User/reset", json!({ "username": BOB }), 200);
    let rename = json!({ "username": BOB, "newUsername": "new@example.com", "password": PASSWORD });
    post("/db/User/changeUsername", rename, 204);
    for to in [ANN, BOB, "new@example.com"] {
        let link = mails.next_link(to);
        assert!(link.starts_with(&format!("{PUBLIC_URL}/db/User/")), "{link}");
    }
    for mail in mails.all() {
        assert!(!mail.to_string().contains("evil"), "{mail}");
    }
}

#[test]
fn code_has_the_last_word_about_mails_with_links() {
    let (_server, admin, stranger, mails) = app();
    let write = |module: &str, text: &str| {
        let path = format!("/code/{module}/module");
        admin.request("PUT", &path, &[], text.as_bytes()).expect(200);
    };
    let changed =
        "exports.call = (db, email) => ({ ...email, subject: 'Hello ' + db.User.me.id, body: 'Go to ' + email.link });";
    write("user.register", changed);
    write("user.resetPassword", "exports.call = () => undefined;");
    register(&stranger, ANN, PASSWORD).expect(204);
    let mail = mails.next(ANN);
    let subject = mail["subject"].as_str().unwrap();
    assert!(subject.starts_with("Hello /db/User/"), "{mail}");
    let text = mail["text"].as_str().unwrap();
    let token = text
        .strip_prefix("Go to ")
        .unwrap()
        .trim()
        .split("token=")
        .nth(1)
        .unwrap();
    follow(&stranger, "verify", token);
    // Nothing is returned, so nothing is sent: the next mail is that of the next registration.
    ask_for_reset(&stranger, ANN);
    register(&stranger, BOB, PASSWORD).expect(204);
    mails.next(BOB);
    assert_eq!(mails.all().len(), 2);
}
