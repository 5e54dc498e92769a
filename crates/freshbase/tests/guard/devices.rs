//! Devices and push messages: delivered for real, to push services and browsers that this test plays.

use fb_push::testkit::{Answer, Browser, Services, apple_key, claims_of_es256, service_account};
use fb_testkit::{Client, Response, Server, ServerBuilder, encode, root, wait_for};
use serde_json::{Value, json};

use crate::kit::{ann, set_config};
use crate::secrets::Canaries;
use crate::{PROFILES, Profile, class, no_panics, second_app, server, user};

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

fn android(token: &str) -> Value {
    json!({ "devicetype": "Android", "subscription": { "token": token }, "device": null })
}

fn register(client: &Client, body: &Value) -> Response {
    client.post("/db/Device/register", body)
}

/// The `name=value` part of the cookie that an answer sets, which is what clients send back.
#[track_caller]
fn cookie_of(answer: &Response) -> String {
    let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    cookies[0].1.split(';').next().unwrap().to_owned()
}

fn with_cookie(client: &Client, method: &str, path: &str, cookie: &str) -> Response {
    client.request(method, path, &[("cookie", cookie)], b"")
}

#[track_caller]
fn id_of(answer: &Response) -> String {
    answer.json()["id"].as_str().expect("an id").to_owned()
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

fn form(parts: &[(&str, Option<&str>, &str)]) -> String {
    let mut form = String::new();
    for (name, filename, content) in parts {
        let filename = filename.map_or_else(String::new, |name| format!("; filename=\"{name}\""));
        form += &format!("--xXx\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n{content}\r\n");
    }
    form + "--xXx--\r\n"
}

fn upload_apns(admin: &Client, parts: &[(&str, Option<&str>, &str)]) -> Response {
    let headers = [("content-type", "multipart/form-data; boundary=xXx")];
    admin.request("POST", "/config/APNSCert", &headers, form(parts).as_bytes())
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
fn the_cookie_is_plain_over_http_and_for_other_sites_pages_over_https() {
    let server = server().baqend().arg("--trusted-proxies").arg("127.0.0.1").start();
    let (admin, stranger) = (root(&server), server.client());
    let attributes = |headers: &[(&str, &str)], token: &str| {
        let body = android(token).to_string();
        let answer = stranger.request("POST", "/db/Device/register", headers, body.as_bytes());
        let answer = answer.expect(200);
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        let cookie = answer.header("set-cookie").unwrap().to_owned();
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        let value = pair.strip_prefix("device-main=").unwrap();
        assert!(
            value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()),
            "{value}"
        );
        attributes.to_owned()
    };
    let plain = "Path=/; Max-Age=34560000; HttpOnly";
    let secure = "Path=/; Max-Age=34560000; SameSite=None; Secure; HttpOnly";
    assert_eq!(attributes(&[], "a"), plain);
    assert_eq!(attributes(&[("x-forwarded-proto", "http")], "b"), plain);
    assert_eq!(attributes(&[("x-forwarded-proto", "https")], "c"), secure);
    set_config(&admin, &json!({ "publicUrl": "https://shop.example/v1" }));
    assert_eq!(attributes(&[], "d"), secure);
}

#[test]
fn the_cookie_says_which_device_is_ones_own_and_opens_no_other() {
    for profile in PROFILES {
        let server = profile.start();
        let (admin, stranger, ann, _) = ann(&server);
        let (bob, _) = user(&admin, &stranger, "bob");
        let first = register(&ann, &android("one")).expect(200);
        let (one, cookie) = (id_of(&first), cookie_of(&first));
        let other = register(&bob, &android("two")).expect(200);
        let (two, other_cookie) = (id_of(&other), cookie_of(&other));
        assert_ne!((&one, &cookie), (&two, &other_cookie));

        let me = |cookie: &str| {
            let connected = with_cookie(&stranger, "GET", "/connect", cookie).expect(200);
            assert!(connected.header("cache-control").is_some());
            assert_eq!(connected.header("set-cookie"), None);
            connected.json()["device"]["id"].as_str().map(str::to_owned)
        };
        assert_eq!(me(&cookie), Some(one.clone()));
        assert_eq!(me(&other_cookie), Some(two.clone()));
        assert_eq!(me(&format!("a=b; {cookie}; c")), Some(one.clone()));
        let registered = with_cookie(&stranger, "GET", "/db/Device/registered", &cookie).expect(200);
        assert_eq!(id_of(&registered), one);
        for wrong in [
            "",
            "device-main=",
            "device-main=00000000000000000000000000000000",
            &cookie.to_uppercase(),
            &cookie[..cookie.len() - 1],
            &cookie.replace("main", "other"),
        ] {
            assert_eq!(me(wrong), None, "{wrong}");
            with_cookie(&stranger, "GET", "/db/Device/registered", wrong).expect_error(404, "ObjectNotFound");
        }

        // One's own device may be loaded and deleted, another one as its rules say.
        assert_eq!(id_of(&with_cookie(&stranger, "GET", &one, &cookie).expect(200)), one);
        if profile == Profile::Secure {
            let status = with_cookie(&stranger, "GET", &two, &cookie).status;
            assert!(matches!(status, 404 | 466), "{status}");
            assert!(matches!(stranger.get(&one).status, 404 | 466));
            assert!(matches!(bob.get(&one).status, 404 | 466));
            bob.delete(&one).expect_error(466, "PermissionDenied");
            with_cookie(&stranger, "DELETE", &two, &cookie).expect_error(466, "PermissionDenied");
            assert!(
                bob.post("/db/Device/query", &json!({}))
                    .expect(200)
                    .json()
                    .as_array()
                    .unwrap()
                    .len()
                    == 1
            );
            stranger
                .put(&one, &json!({ "deviceOs": "x" }))
                .expect_error(466, "PermissionDenied");
        }
        // A cookie is no right to change it.
        let headers = [("cookie", cookie.as_str()), ("if-match", "\"99\"")];
        stranger.request("DELETE", &one, &headers, b"").expect(412);
        with_cookie(&stranger, "DELETE", &one, &cookie).expect(204);
        assert_eq!((me(&cookie), me(&other_cookie)), (None, Some(two.clone())));
        admin.get(&one).expect_error(404, "ObjectNotFound");
        admin.get(&two).expect(200);
        no_panics(&server);
    }
}

#[test]
fn cookies_of_another_app_are_good_for_nothing() {
    let server = server().baqend().start();
    let other = second_app(&server, "other", Profile::Baqend).without_token();
    let answer = register(&other, &android("one")).expect(200);
    let value = cookie_of(&answer);
    let (name, value) = value.split_once('=').unwrap();
    assert_eq!(name, "device-other");
    for name in ["device-other", "device-main"] {
        let cookie = format!("{name}={value}");
        let connected = with_cookie(&server.client(), "GET", "/connect", &cookie).expect(200);
        assert_eq!(connected.json()["device"], Value::Null);
        with_cookie(&server.client(), "DELETE", &id_of(&answer), &cookie);
    }
    with_cookie(&other, "GET", "/db/Device/registered", &format!("device-other={value}")).expect(200);
}

#[test]
fn whoever_registers_again_is_the_same_device_with_a_new_cookie() {
    let server = server().baqend().start();
    let (admin, stranger) = (root(&server), server.client());
    class(
        &admin,
        "Device",
        &json!({ "deviceOs": { "type": "/db/String" }, "owner": { "type": "/db/String" }, "note": { "type": "/db/String" } }),
        &Value::Null,
    );
    let mut body = android("one");
    body["device"] =
        json!({ "owner": "ann", "note": "x", "deviceOs": "forged", "id": "/db/Device/forged", "version": 77 });
    let first = register(&stranger, &body).expect(200);
    let device = first.json();
    assert_eq!(
        (&device["owner"], &device["deviceOs"], &device["version"]),
        (&json!("ann"), &json!("Android"), &json!(1))
    );
    assert_ne!(device["id"], "/db/Device/forged");

    // The same token: the same device, the fields that are given are new, an older cookie is dead.
    body["device"] = json!({ "owner": "bob" });
    let second = register(&stranger, &body).expect(200);
    assert_eq!(id_of(&second), id_of(&first));
    assert_eq!(
        (&second.json()["owner"], &second.json()["note"]),
        (&json!("bob"), &json!("x"))
    );
    with_cookie(&stranger, "GET", "/db/Device/registered", &cookie_of(&first)).expect(404);
    with_cookie(&stranger, "GET", "/db/Device/registered", &cookie_of(&second)).expect(200);

    // Another token with the cookie is another device: any page could make a browser send that along, and would get the
    // messages that are for its device.
    let second_cookie = cookie_of(&second);
    let headers = [("cookie", second_cookie.as_str())];
    let foreign = stranger.request(
        "POST",
        "/db/Device/register",
        &headers,
        android("two").to_string().as_bytes(),
    );
    let foreign = foreign.expect(200);
    assert_ne!(id_of(&foreign), id_of(&first));
    let registered = with_cookie(&stranger, "GET", "/db/Device/registered", &second_cookie).expect(200);
    assert_eq!(id_of(&registered), id_of(&first));

    // Deleted, one by one or all at once: nothing is left that leads there.
    stranger.delete(&id_of(&first)).expect(204);
    let fourth = register(&stranger, &android("one")).expect(200);
    assert_ne!(id_of(&fourth), id_of(&first));
    admin.delete("/db/Device").expect(200);
    for cookie in [cookie_of(&second), cookie_of(&foreign), cookie_of(&fourth)] {
        with_cookie(&stranger, "GET", "/db/Device/registered", &cookie).expect(404);
    }
    let fifth = register(&stranger, &android("one")).expect(200);
    assert_ne!(id_of(&fifth), id_of(&fourth));
    assert_eq!(fifth.json()["version"], 1);

    // At once: one device, and one cookie that is good.
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| register(&stranger, &android("many"))))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let answers: Vec<Response> = answers.into_iter().filter(|answer| answer.status == 200).collect();
    assert!(!answers.is_empty());
    assert!(answers.iter().all(|answer| id_of(answer) == id_of(&answers[0])));
    let good = answers
        .iter()
        .filter(|answer| with_cookie(&stranger, "GET", "/db/Device/registered", &cookie_of(answer)).status == 200);
    assert_eq!(good.count(), 1);
    no_panics(&server);
}

#[test]
fn who_may_register_is_for_the_classes_rules_to_say() {
    let server = server().secure().start();
    let (admin, stranger, ann, _) = ann(&server);
    register(&stranger, &android("a")).expect_error(466, "PermissionDenied");
    register(&ann, &android("a")).expect(200);
    let edit = |insert: Value| {
        let fields = json!({ "deviceOs": { "type": "/db/String" } });
        class(&admin, "Device", &fields, &json!({ "insert": insert }));
    };
    edit(json!({ "*": "allow" }));
    let device = id_of(&register(&stranger, &android("b")).expect(200));
    // Nobody but administrators, and whoever has the cookie.
    assert!(matches!(ann.get(&device).status, 404 | 466));
    admin.get(&device).expect(200);
    edit(json!({ "*": "deny" }));
    register(&ann, &android("c")).expect_error(466, "PermissionDenied");
    // Inserts as objects stay refused for everybody.
    for client in [&admin, &ann] {
        let answer = client.post("/db/Device", &json!({ "deviceOs": "Android" }));
        assert!(answer.status >= 400, "{}", answer.status);
    }
    let message = admin.post("/db/Device", &json!({})).expect_error(400, "BadRequest");
    assert!(message.contains("are not allowed"), "{message}");
}

#[test]
fn s18_strangers_cannot_fill_the_app_with_devices() {
    let server = server().baqend().start();
    let (admin, stranger) = (root(&server), server.client());
    set_config(&admin, &json!({ "rateLimit": { "requests": 5, "seconds": 3600 } }));
    let mut statuses = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|i| {
                let stranger = &stranger;
                scope.spawn(move || register(stranger, &android(&format!("token-{i}"))).status)
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429, 429, 429, 429, 429]);
    let refused = register(&stranger, &android("more"));
    refused.expect_error(429, "TooManyRequests");
    assert!(refused.header("retry-after").is_some());
    // Logins are counted apart, administrators not at all.
    root(&server);
    register(&admin, &android("more")).expect(200);
    assert_eq!(admin.get("/db/Device/count").expect(200).json()["count"], 6);
    let large = json!({ "devicetype": "Android", "subscription": { "token": "x" }, "device": { "deviceOs": "x".repeat(40_000) } });
    register(&admin, &large).expect_error(413, "TooLarge");
    let subscription = json!({ "devicetype": "Android", "subscription": { "token": "x".repeat(1001) } });
    register(&admin, &subscription).expect_error(400, "BadRequest");
}

#[test]
fn registrations_and_messages_that_make_no_sense_are_refused_with_what_is_wrong() {
    let server = server().baqend().start();
    let admin = root(&server);
    let browser = Browser::new();
    let mut no_key = browser.subscription("https://push.example/x");
    no_key["keys"] = json!({});
    for body in [
        json!({}),
        json!({ "devicetype": "Windows", "subscription": { "token": "x" } }),
        json!({ "devicetype": "Android" }),
        json!({ "devicetype": "Android", "subscription": { "token": "" } }),
        json!({ "devicetype": "Android", "subscription": { "token": "a b" } }),
        json!({ "devicetype": "IOS", "subscription": { "token": "no hex" } }),
        json!({ "devicetype": "WebPush", "subscription": { "token": "x" } }),
        json!({ "devicetype": "WebPush", "subscription": no_key }),
        json!({ "devicetype": "Android", "subscription": { "token": "x" }, "device": 7 }),
        json!({ "devicetype": "Android", "subscription": { "token": "x" }, "device": { "acl": 7 } }),
    ] {
        register(&admin, &body).expect_error(400, "BadRequest");
    }
    register(&admin, &json!([])).expect_error(400, "BadRequest");
    assert_eq!(admin.get("/db/Device/count").expect(200).json()["count"], 0);
    let many: Vec<String> = (0..5001).map(|i| format!("/db/Device/{i}")).collect();
    for body in [
        json!({}),
        json!({ "devices": [] }),
        json!({ "devices": "all" }),
        json!({ "devices": [7] }),
        json!({ "devices": ["/db/User/1"] }),
        json!({ "devices": many }),
        json!({ "devices": ["/db/Device/1"], "message": 7 }),
        json!({ "devices": ["/db/Device/1"], "badge": [] }),
    ] {
        admin.post("/db/Device/push", &body).expect_error(400, "BadRequest");
    }
    let long = json!({ "devices": ["/db/Device/1"], "message": "x".repeat(4000) });
    let message = admin.post("/db/Device/push", &long).expect_error(413, "TooLarge");
    assert!(message.contains("3993"), "{message}");

    let key = apple_key();
    let good = [
        ("key", Some("key.p8"), key.as_str()),
        ("keyId", None, "K"),
        ("teamId", None, "T"),
        ("topic", None, "org.x"),
    ];
    upload_apns(&admin, &good).expect(204);
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    for (parts, expected) in [
        (vec![], "p8"),
        (vec![("cert", Some("push.p12"), "\u{30}\u{1}binary")], ".p8"),
        (vec![("cert", Some("push.pem"), pem)], ".p8"),
        (good[..3].to_vec(), "topic"),
        (vec![good[0], good[2], good[3]], "keyId"),
        ([&good[..], &good[..1]].concat(), "two keys"),
        ([&good[..], &[("environment", None, "moon")]].concat(), "environment"),
    ] {
        let message = upload_apns(&admin, &parts).expect_error(400, "BadRequest");
        assert!(message.contains(expected), "{expected}: {message}");
    }
    for text in ["", "with blanks", "{}", "{\"type\":\"service_account\"}"] {
        let answer = admin.request("POST", "/config/GCMKey", &[], text.as_bytes());
        answer.expect_error(400, "BadRequest");
    }
    no_panics(&server);
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
