//! `POST /mail`: who may send, and what the messages cannot be made to say.

use fb_testkit::root;
use serde_json::{Value, json};

use crate::kit::{Mails, set_config};
use crate::{no_panics, server, user};

#[test]
fn administrators_and_code_send_mail() {
    let server = server().secure().start();
    let (admin, stranger, mails) = (root(&server), server.client(), Mails::of(&server, "main"));
    let letter = json!({ "to": "bob@example.com", "subject": "Hi", "text": "Hello", "fromName": "The shop" });
    let sent = admin.post("/mail", &letter).expect(200).json();
    assert_eq!(sent["ids"], json!([sent["id"]]));
    assert!(sent["id"].as_str().unwrap().starts_with('<'), "{sent}");
    let mail = mails.next("bob@example.com");
    assert_eq!((&mail["subject"], &mail["text"]), (&json!("Hi"), &json!("Hello")));
    assert_eq!(mail["from"], "The shop <noreply@localhost>");

    let (ann, _) = user(&admin, &stranger, "ann");
    for client in [&stranger, &ann] {
        client.post("/mail", &letter).expect_error(466, "PermissionDenied");
    }
    set_config(&admin, &json!({ "mail": { "perHour": 2 } }));
    let module = b"exports.call = async (db, data) => {\
        const { entity } = await db.send({ method: 'POST', path: '/mail', ok: [200], type: 'json',\
            body: { to: data.to, subject: 'From code', text: data.text } });\
        return entity;\
    };";
    admin.request("PUT", "/code/write/module", &[], module).expect(200);
    let to = |to: &str| json!({ "to": to, "text": "x" });
    for _ in 0..2 {
        stranger.post("/code/write", &to("eve@example.com")).expect(200);
        assert_eq!(mails.next("eve@example.com")["subject"], "From code");
    }
    let refused = stranger.post("/code/write", &to("eve@example.com"));
    assert!(refused.status >= 400, "{}", refused.status);
    admin.post("/mail", &letter).expect(200);
    no_panics(&server);
}

#[test]
fn s35_a_mail_from_json_has_no_headers_of_its_own() {
    let server = server().secure().start();
    let (admin, mails) = (root(&server), Mails::of(&server, "main"));
    let with = |name: &str, value: Value| {
        let mut letter = json!({ "to": "bob@example.com", "subject": "s", "text": "t" });
        letter[name] = value;
        letter
    };
    for (name, value) in [
        ("subject", "x\r\nBcc: eve@example.net"),
        ("subject", "x\nBcc: eve@example.net"),
        ("fromName", "x\r\nBcc: eve@example.net"),
        ("to", "bob@example.com\r\nBcc: eve@example.net"),
        ("to", "bob@example.com, eve@example.net"),
        ("replyTo", "bob@example.com\r\nBcc: eve@example.net"),
        ("from", "noreply@localhost\r\nBcc: eve@example.net"),
        ("from", "eve@example.net"),
        ("bcc", "eve@example.net"),
        ("headers", "Bcc: eve@example.net"),
    ] {
        let refused = admin.post("/mail", &with(name, json!(value)));
        let message = refused.expect_error(400, "BadRequest");
        assert!(!message.contains("Bcc: eve"), "{message}");
    }
    for (name, value) in [
        ("to", json!([])),
        ("to", json!(1)),
        ("subject", Value::Null),
        ("text", json!(["x"])),
    ] {
        admin.post("/mail", &with(name, value)).expect_error(400, "BadRequest");
    }
    assert!(mails.all().is_empty());
    no_panics(&server);
}
