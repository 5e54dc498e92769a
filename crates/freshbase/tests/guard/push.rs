//! Push messages: delivered for real, to push services and browsers that this test plays.

use fb_push::testkit::{Answer, Browser, Services, apple_key, claims_of_es256, service_account};
use fb_testkit::{Client, Response, Server, ServerBuilder, encode, root, wait_for};
use serde_json::{Value, json};

use crate::devices::{android, cookie_of, id_of, register, upload_apns, with_cookie};
use crate::kit::ann;
use crate::secrets::Canaries;
use crate::{PROFILES, no_panics, server};

/// A server that may ask these services, and takes them for Google and Apple.
fn with_services(services: &Services, builder: ServerBuilder) -> ServerBuilder {
    let base = format!("http://{}", services.address());
    builder
        .arg("--outbound-allow")
        .arg(services.address())
        .arg("--fcm-url")
        .arg(base.clone())
        .arg("--fcm-token-url")
        .arg(format!("{base}/token"))
        .arg("--apns-url")
        .arg(base.clone())
        .arg("--apns-development-url")
        .arg(format!("{base}/development"))
}

/// Registers a browser; the device's id and its cookie.
fn register_browser(client: &Client, services: &Services, name: &str) -> (Browser, String, String) {
    let browser = Browser::new();
    let subscription = browser.subscription(&services.endpoint(name));
    let answer = register(
        client,
        &json!({ "devicetype": "WebPush", "subscription": subscription }),
    )
    .expect(200);
    assert_eq!(answer.json()["deviceOs"], "WebPush");
    (browser, id_of(&answer), cookie_of(&answer))
}

fn push(client: &Client, devices: &[&str], message: &Value) -> Response {
    let mut message = message.clone();
    message["devices"] = json!(devices);
    client.post("/db/Device/push", &message)
}

/// The one value of a line of the metrics, once it is this one.
fn wait_for_count(server: &Server, result: &str, expected: u64) {
    let line = format!("freshbase_push_total{{app=\"main\",result=\"{result}\"}} {expected}");
    wait_for(&line, || {
        let page = Client::new(server.address(), "").get("/metrics").expect(200);
        let page = String::from_utf8(page.body).unwrap();
        page.lines().any(|found| found == line).then_some(())
    });
}

/// Waits until nothing is on its way any more.
fn wait_until_idle(server: &Server) {
    wait_for("the end of all deliveries", || {
        let page = Client::new(server.address(), "").get("/metrics").expect(200);
        let page = String::from_utf8(page.body).unwrap();
        let line = "freshbase_push_waiting{app=\"main\"} 0";
        page.lines().any(|found| found == line).then_some(())
    });
}

/// The entries of the app's log that speak of push messages, once there are so many.
fn wait_for_log(admin: &Client, n: usize) -> Vec<Value> {
    let filter = encode(&json!({ "message": { "$regex": "^push message" } }).to_string());
    wait_for("entries of the app's log", || {
        let found = admin.get(&format!("/db/logs.AppLog/query?q={filter}&sort=%7B%22id%22%3A1%7D"));
        let found = found.expect(200).json();
        let found = found.as_array().unwrap();
        (found.len() >= n).then(|| found.clone())
    })
}

#[test]
fn a_browser_that_registers_gets_the_message_that_was_sent_to_its_device() {
    let services = Services::start();
    let server = with_services(&services, server().baqend()).start();
    let (admin, stranger) = (root(&server), server.client());
    stranger
        .get("/config/VAPIDPublicKey")
        .expect_error(404, "ObjectNotFound");
    let generated = admin.post("/config/VAPIDKeys", &json!({})).expect(200).json();
    let key = stranger.get("/config/VAPIDPublicKey").expect(200);
    assert_eq!(key.header("content-type"), Some("application/octet-stream"));
    assert_eq!((key.body.len(), key.body[0]), (65, 4));
    assert_eq!(generated["publicKey"].as_str().unwrap().len(), 87);

    let (browser, device, _) = register_browser(&stranger, &services, "a");
    let message = json!({ "message": "Hello", "subject": "News", "icon": "/i.png", "data": { "id": 7 } });
    push(&admin, &[&device, &device], &message).expect(204);
    let received = services.wait_for("/wp/a", 1);
    let text: Value = serde_json::from_slice(&browser.decrypt(&received[0].body)).unwrap();
    assert_eq!(text, message);
    let rest = received[0].header("authorization").strip_prefix("vapid t=").unwrap();
    let (_, claims) = claims_of_es256(rest.split_once(", k=").unwrap().0, &key.body);
    assert_eq!(claims["aud"], format!("http://{}", services.address()));
    assert_eq!(claims["sub"], "mailto:noreply@localhost");
    wait_for_count(&server, "delivered", 1);
    assert_eq!(services.received("/wp/").len(), 1, "named twice, sent once");
    no_panics(&server);
}

#[test]
fn androids_are_reached_through_firebase_and_apples_through_apple() {
    let services = Services::start();
    let server = with_services(&services, server().baqend()).start();
    let (admin, stranger) = (root(&server), server.client());
    admin
        .request("POST", "/config/GCMKey", &[], service_account().as_bytes())
        .expect(204);
    let key = apple_key();
    let parts = [
        ("teamId", None, "TEAM123456"),
        ("topic", None, "org.example.shop"),
        ("key", Some("AuthKey_KEY1234567.p8"), key.as_str()),
    ];
    upload_apns(&admin, &parts).expect(204);
    let phone = id_of(&register(&stranger, &android("fcm-token")).expect(200));
    let apple = json!({ "devicetype": "IOS", "subscription": { "token": "00aaFF" } });
    let apple = id_of(&register(&stranger, &apple).expect(200));
    push(
        &admin,
        &[&phone, &apple],
        &json!({ "message": "Hello", "subject": "News" }),
    )
    .expect(204);
    let fcm = services.wait_for("/v1/projects/shop-1/messages:send", 1);
    let body: Value = serde_json::from_slice(&fcm[0].body).unwrap();
    assert_eq!(body["message"]["token"], "fcm-token");
    assert_eq!(
        body["message"]["notification"],
        json!({ "title": "News", "body": "Hello" })
    );
    assert_eq!(fcm[0].header("authorization"), "Bearer access-1");
    let apns = services.wait_for("/3/device/00aaFF", 1);
    assert_eq!(apns[0].header("apns-topic"), "org.example.shop");
    wait_for_count(&server, "delivered", 2);

    // The other environment is another service.
    let parts = [&parts[..], &[("environment", None, "development")]].concat();
    upload_apns(&admin, &parts).expect(204);
    push(&admin, &[&apple], &json!({ "message": "Hello" })).expect(204);
    services.wait_for("/development/3/device/00aaFF", 1);
}

#[test]
fn a_device_that_its_service_does_not_know_any_more_is_removed() {
    let services = Services::start();
    let server = with_services(&services, server().baqend()).start();
    let (admin, stranger) = (root(&server), server.client());
    admin.post("/config/VAPIDKeys", &json!({})).expect(200);
    let (_, gone, cookie) = register_browser(&stranger, &services, "gone");
    let (_, stays, _) = register_browser(&stranger, &services, "stays");
    services.answer("/wp/gone", [Answer::status(410)]);
    // That a device does not exist any more is not for code to decide.
    let code = b"exports.onDelete = () => { throw new Abort('kept'); }";
    admin.request("PUT", "/code/Device/delete", &[], code).expect(200);
    push(&admin, &[&gone, &stays], &json!({ "message": "Hello" })).expect(204);
    wait_for_count(&server, "gone", 1);
    wait_for_count(&server, "delivered", 1);
    admin.get(&gone).expect_error(404, "ObjectNotFound");
    admin.get(&stays).expect(200);
    with_cookie(&stranger, "GET", "/db/Device/registered", &cookie).expect(404);
    let connected = with_cookie(&stranger, "GET", "/connect", &cookie).expect(200).json();
    assert_eq!(connected["device"], Value::Null);
    // What is not there any more is not sent to, and is no error.
    push(&admin, &[&gone], &json!({ "message": "Hello" })).expect(204);
    push(&admin, &[&stays], &json!({ "message": "Hello" })).expect(204);
    wait_for_count(&server, "delivered", 2);
    assert_eq!(services.received("/wp/gone").len(), 1);
}

#[test]
fn temporary_failures_are_tried_again_and_others_are_in_the_apps_log() {
    let services = Services::start();
    let server = with_services(&services, server().baqend()).start();
    let (admin, stranger) = (root(&server), server.client());
    let (browser, device, _) = register_browser(&stranger, &services, "a");
    let hello = json!({ "message": "Hello" });
    push(&admin, &[&device], &hello).expect(204);
    let log = wait_for_log(&admin, 1);
    assert_eq!(log[0]["level"], "error");
    assert!(
        log[0]["message"].as_str().unwrap().contains("POST /config/VAPIDKeys"),
        "{log:?}"
    );
    assert_eq!(
        log[0]["data"],
        json!({ "device": device, "deviceOs": "WebPush", "attempts": 1 })
    );

    admin.post("/config/VAPIDKeys", &json!({})).expect(200);
    let busy = || Answer::status(503).with("retry-after", "0");
    services.answer("/wp/a", [busy(), busy()]);
    push(&admin, &[&device], &hello).expect(204);
    let received = services.wait_for("/wp/a", 3);
    assert_eq!(browser.decrypt(&received[2].body), br#"{"message":"Hello"}"#);
    wait_for_count(&server, "delivered", 1);
    wait_for_count(&server, "retried", 2);

    // In vain for ever: five more attempts, and the last one is an entry.
    services.answer("/wp/a", (0..6).map(|_| busy()));
    push(&admin, &[&device], &hello).expect(204);
    let log = wait_for_log(&admin, 2);
    assert!(log[1]["message"].as_str().unwrap().contains("gave up"), "{log:?}");
    assert_eq!(log[1]["data"]["attempts"], 6);

    services.answer("/wp/a", [Answer::status(400)]);
    push(&admin, &[&device], &hello).expect(204);
    let log = wait_for_log(&admin, 3);
    assert!(log[2]["message"].as_str().unwrap().contains("status 400"), "{log:?}");
    admin.get(&device).expect(200);

    // A server key of the old kind is taken, and said to be useless.
    let phone = id_of(&register(&stranger, &android("fcm-token")).expect(200));
    admin
        .request(
            "POST",
            "/config/GCMKey",
            &[],
            b"AAAAiHTmunA:APA91bF91CeP1L9QjhrxI2VTQpcf2L39",
        )
        .expect(204);
    push(&admin, &[&phone], &hello).expect(204);
    let log = wait_for_log(&admin, 4);
    assert!(
        log[3]["message"].as_str().unwrap().contains("service account"),
        "{log:?}"
    );
    wait_for_count(&server, "failed", 4);
    no_panics(&server);
}

#[test]
fn a_device_that_was_deleted_in_any_way_is_sent_nothing_any_more() {
    let services = Services::start();
    let server = with_services(&services, server().baqend()).start();
    let (admin, stranger) = (root(&server), server.client());
    admin.post("/config/VAPIDKeys", &json!({})).expect(200);
    let (_, deleted, _) = register_browser(&stranger, &services, "deleted");
    let (_, own, cookie) = register_browser(&stranger, &services, "own");
    let (_, emptied, _) = register_browser(&stranger, &services, "emptied");
    admin.delete(&deleted).expect(204);
    with_cookie(&stranger, "DELETE", &own, &cookie).expect(204);
    admin.delete("/db/Device").expect(200);
    let (_, alive, _) = register_browser(&stranger, &services, "alive");
    push(&admin, &[&deleted, &own, &emptied, &alive], &json!({ "message": "x" })).expect(204);
    wait_for_count(&server, "delivered", 1);
    wait_until_idle(&server);
    let asked: Vec<String> = services.received("/wp/").into_iter().map(|r| r.path).collect();
    assert_eq!(asked, ["/wp/alive"]);
}

#[test]
fn messages_that_are_ready_are_sent_before_the_server_stops() {
    let services = Services::start();
    let mut server = with_services(&services, server().baqend()).start();
    let (admin, stranger) = (root(&server), server.client());
    admin.post("/config/VAPIDKeys", &json!({})).expect(200);
    let devices: Vec<_> = (0..60)
        .map(|i| register_browser(&stranger, &services, &i.to_string()).1)
        .collect();
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    push(&admin, &devices, &json!({ "message": "Hello" })).expect(204);
    assert!(server.stop().success());
    assert_eq!(services.received("/wp/").len(), 60);
}

#[test]
fn s33_a_subscription_that_leads_into_the_own_network_is_not_asked() {
    let (services, inner) = (Services::start(), Services::start());
    let server = with_services(&services, server().baqend()).start();
    let (admin, stranger) = (root(&server), server.client());
    admin.post("/config/VAPIDKeys", &json!({})).expect(200);
    let (_, device, _) = register_browser(&stranger, &inner, "a");
    push(&admin, &[&device], &json!({ "message": "x" })).expect(204);
    let log = wait_for_log(&admin, 1);
    assert!(log[0]["message"].as_str().unwrap().contains("refused"), "{log:?}");
    assert!(inner.received("/").is_empty());
}

#[test]
fn administrators_and_the_apps_code_send_messages_and_nobody_else() {
    for profile in PROFILES {
        let server = profile.start();
        let (admin, stranger, ann, id) = ann(&server);
        let hello = json!({ "message": "x" });
        let push = |client: &Client| push(client, &["/db/Device/none"], &hello);
        push(&stranger).expect_error(466, "PermissionDenied");
        push(&ann).expect_error(466, "PermissionDenied");
        admin
            .put("/db/Role/2", &json!({ "name": "node", "users": [id] }))
            .expect(200);
        push(&ann).expect(204);
        push(&admin).expect(204);
        // Not more than that.
        ann.post("/config/VAPIDKeys", &json!({}))
            .expect_error(466, "PermissionDenied");
    }
}

#[test]
fn s47_keys_and_subscriptions_are_never_shown_and_keys_are_sealed() {
    let services = Services::start();
    let dir = tempfile::tempdir().unwrap();
    let builder = with_services(&services, server().baqend().arg("--log-level").arg("trace"));
    let mut running = builder.data_dir(dir.path()).start();
    let (admin, stranger) = (root(&running), running.client());
    let mut canaries = Canaries::default();
    let account = service_account();
    let account_key: Value = serde_json::from_str(&account).unwrap();
    let line = |pem: &str| pem.lines().nth(1).unwrap()[..60].to_owned();
    canaries.add(
        "the service account's key",
        &line(account_key["private_key"].as_str().unwrap()),
    );
    let key = apple_key();
    canaries.add("Apple's key", &line(&key));
    let in_files = 2;
    admin
        .request("POST", "/config/GCMKey", &[], account.as_bytes())
        .expect(204);
    let parts = [
        ("key", Some("AuthKey_K.p8"), key.as_str()),
        ("teamId", None, "T"),
        ("topic", None, "org.x"),
    ];
    upload_apns(&admin, &parts).expect(204);
    admin.post("/config/VAPIDKeys", &json!({})).expect(200);
    // Where messages go is kept, but shown to nobody.
    let (browser, device, cookie) = register_browser(&stranger, &services, "canary-endpoint");
    canaries.add("an endpoint", "canary-endpoint");
    canaries.add("the secret of a subscription", &browser.auth());
    let phone = register(&stranger, &android("canary-token")).expect(200);
    canaries.add("a token", "canary-token");
    services.answer("/wp/", [Answer::status(400)]);
    services.answer("/v1/", [Answer::status(400)]);
    push(
        &admin,
        &[&device, &id_of(&phone)],
        &json!({ "message": "canary-message" }),
    )
    .expect(204);
    canaries.add("a message", "canary-message");
    wait_for_log(&admin, 2);
    for path in [
        "/config",
        "/schema",
        "/spec",
        "/db/Device",
        "/db/Device/query",
        "/db/logs.AuditLog",
        "/db/logs.AppLog",
        "/config/VAPIDPublicKey",
        &device,
        &id_of(&phone),
    ] {
        canaries.check_answer(path, &admin.get(path).expect(200));
    }
    canaries.check_answer("connect", &with_cookie(&admin, "GET", "/connect", &cookie).expect(200));
    let registered = with_cookie(&admin, "GET", "/db/Device/registered", &cookie).expect(200);
    canaries.check_answer("registered", &registered);
    canaries.check_answer("metrics", &Client::new(running.address(), "").get("/metrics"));
    canaries.check_answer("a registration", &phone);
    canaries.add("a cookie", cookie.split_once('=').unwrap().1);
    for path in ["/db/Device", "/db/logs.AuditLog", "/db/logs.AppLog"] {
        canaries.check_answer(path, &admin.get(path).expect(200));
    }
    no_panics(&running);
    assert!(running.stop().success());
    let log = running.log();
    assert!(log.contains("answered"), "the log is as talkative as can be");
    canaries.check("the log", log.as_bytes());
    canaries.check("the output", running.printed().as_bytes());
    canaries.keep_first(in_files);
    canaries.add("a cookie", cookie.split_once('=').unwrap().1);
    canaries.check_files(dir.path());
}
