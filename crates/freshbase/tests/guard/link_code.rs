//! Code about mails with links, and about what comes of following them.

use fb_testkit::Client;
use serde_json::{Value, json};

use crate::kit::{login, register};
use crate::links::{ANN, BOB, PASSWORD, app, ask_for_reset, follow};
use crate::user;

fn write_code(admin: &Client, path: &str, text: &str) {
    admin
        .request("PUT", &format!("/code/{path}"), &[], text.as_bytes())
        .expect(200);
}

#[test]
fn s04_code_about_mails_acts_for_nobody_whoever_is_named() {
    let (_server, admin, stranger, mails) = app();
    let (_, boss) = user(&admin, &stranger, "boss@example.com");
    let admins = json!({ "name": "admin", "users": ["/db/User/1", boss] });
    admin
        .request("PUT", "/db/Role/1", &[("if-match", "*")], admins.to_string().as_bytes())
        .expect(200);
    let to = |id: &str| json!({ "load": { id: "allow" }, "insert": { id: "allow" }, "update": { id: "allow" } });
    let n = json!({ "n": { "type": "/db/Integer" } });
    for (name, acl) in [
        ("OfAdmin", to("/db/Role/1")),
        ("OfUsers", to("/db/Role/3")),
        ("OfNode", to("/db/Role/2")),
    ] {
        crate::class(&admin, name, &n, &acl);
        admin.put(&format!("/db/{name}/a"), &json!({ "n": 1 })).expect(200);
    }
    let code = "exports.call = async (db, email) => {
        const may = [];
        for (const name of ['OfAdmin', 'OfUsers', 'OfNode'])
            try { await db[name].partialUpdate('a').inc('n', 1).execute(); may.push(name); } catch (e) { if (e.status !== 466) throw e; }
        return { ...email, subject: `${db.User.me.id} ${may}` };
    }";
    for module in ["user.register", "user.resetPassword"] {
        write_code(&admin, &format!("{module}/module"), code);
    }
    ask_for_reset(&stranger, "boss@example.com");
    assert_eq!(mails.next("boss@example.com")["subject"], format!("{boss} OfNode"));
    register(&stranger, ANN, PASSWORD).expect(204);
    let subject = mails.next(ANN)["subject"].as_str().unwrap().to_owned();
    assert!(
        subject.starts_with("/db/User/") && subject.ends_with(" OfNode"),
        "{subject}"
    );
    for name in ["OfAdmin", "OfUsers"] {
        assert_eq!(admin.get(&format!("/db/{name}/a")).expect(200).json()["n"], 1, "{name}");
    }
}

#[test]
fn s21_what_code_says_to_the_mail_of_a_registration_is_no_answer() {
    let (_server, admin, stranger, mails) = app();
    user(&admin, &stranger, BOB);
    for (n, code) in [
        "exports.call = () => { throw new Abort('an abort'); }",
        "exports.call = () => { throw new Error('an error'); }",
        "exports.call = () => 'no mail';",
        "exports.call = (db, email) => ({ ...email, to: 'nowhere' });",
        "exports.nothing = 1;",
    ]
    .into_iter()
    .enumerate()
    {
        write_code(&admin, "user.register/module", code);
        for name in [
            BOB.to_owned(),
            format!("new{n}@example.com"),
            format!("new{n}@example.com"),
        ] {
            let answer = register(&stranger, &name, PASSWORD).expect(204);
            assert!(answer.body.is_empty(), "{code}");
        }
    }
    // An author finds out in the app's log.
    for part in ["an abort", "an error", "returned no mail", "cannot be sent"] {
        fb_testkit::wait_for("a line of the log", || {
            let lines = admin.query("logs.AppLog", &json!({}));
            let is_it = |line: &Value| line.to_string().contains(part) && line.to_string().contains("user.register");
            lines.iter().any(is_it).then_some(())
        });
    }
    write_code(
        &admin,
        "user.register/module",
        "exports.call = (db, email, req) => ({ ...email, subject: req.method });",
    );
    register(&stranger, ANN, PASSWORD).expect(204);
    assert_eq!(mails.next(ANN)["subject"], "POST");
    assert_eq!(mails.all().len(), 1);
}

#[test]
fn a_new_name_is_an_update_that_code_is_asked_about() {
    let (_server, admin, stranger, mails) = app();
    let fields = json!({ "plan": { "type": "/db/String" } });
    admin.post("/schema/User", &json!({ "fields": fields })).expect(200);
    let (_, id) = user(&admin, &stranger, BOB);
    write_code(
        &admin,
        "User/validate",
        "username.contains('no address of ours', '@example.com');",
    );
    write_code(
        &admin,
        "User/update",
        "exports.onUpdate = async (db, user) => {
            const before = await db.User.load(user.id);
            if (user.username.startsWith('banned')) throw new Abort('banned');
            user.plan = `${before.username} to ${user.username} by ${db.User.me.id}`;
        }",
    );
    let link = |new: &str| {
        let body = json!({ "username": BOB, "newUsername": new, "password": PASSWORD });
        stranger.post("/db/User/changeUsername", &body).expect(204);
        mails.next_token(new)
    };
    for (new, about) in [("x@elsewhere.example", "not valid"), ("banned@example.com", "banned")] {
        let token = link(new);
        for _ in 0..2 {
            let message = follow(&stranger, "verifyUsername", &token).expect_error(475, "ScriptAborted");
            assert!(message.contains(about), "{message}");
        }
        login(&stranger, BOB, PASSWORD).expect(200);
        assert_eq!(admin.get(&id).expect(200).json()["username"], BOB);
    }
    let token = link("new@example.com");
    // Only who has the link gets that far.
    let other = format!("{}.{}", token.split('.').next().unwrap(), "0".repeat(64));
    follow(&stranger, "verifyUsername", &other).expect_error(460, "BadCredentials");
    let before = admin.get(&id).expect(200).json()["version"].as_i64().unwrap();
    follow(&stranger, "verifyUsername", &token).expect(204);
    let user = admin.get(&id).expect(200).json();
    assert_eq!(user["username"], "new@example.com");
    assert_eq!(user["plan"], format!("{BOB} to new@example.com by {id}"));
    assert_eq!(user["version"], before + 1);
    login(&stranger, "new@example.com", PASSWORD).expect(200);
    follow(&stranger, "verifyUsername", &token).expect_error(460, "BadCredentials");
    // No code keeps an administrator from closing an account.
    write_code(
        &admin,
        "User/update",
        "exports.onUpdate = () => { throw new Abort('no'); }",
    );
    admin.put(&format!("{id}/inactive"), &json!(true)).expect(200);
    login(&stranger, "new@example.com", PASSWORD).expect_error(460, "BadCredentials");
}
