//! Devices: who registers them, the cookie that clients are known by, and the keys of push services.

use fb_push::testkit::{Browser, apple_key};
use fb_testkit::{Authority, Client, HttpVersion, HttpsClient, Response, root};
use serde_json::{Value, json};

use crate::kit::{ann, set_config};
use crate::{PROFILES, Profile, class, no_panics, second_app, server, user};

pub(crate) fn android(token: &str) -> Value {
    json!({ "devicetype": "Android", "subscription": { "token": token }, "device": null })
}

pub(crate) fn register(client: &Client, body: &Value) -> Response {
    client.post("/db/Device/register", body)
}

/// The `name=value` part of the cookie that an answer sets, which is what clients send back.
#[track_caller]
pub(crate) fn cookie_of(answer: &Response) -> String {
    let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    cookies[0].1.split(';').next().unwrap().to_owned()
}

pub(crate) fn with_cookie(client: &Client, method: &str, path: &str, cookie: &str) -> Response {
    client.request(method, path, &[("cookie", cookie)], b"")
}

#[track_caller]
pub(crate) fn id_of(answer: &Response) -> String {
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn form(parts: &[(&str, Option<&str>, &str)]) -> String {
    let mut form = String::new();
    for (name, filename, content) in parts {
        let filename = filename.map_or_else(String::new, |name| format!("; filename=\"{name}\""));
        form += &format!("--xXx\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n{content}\r\n");
    }
    form + "--xXx--\r\n"
}

pub(crate) fn upload_apns(admin: &Client, parts: &[(&str, Option<&str>, &str)]) -> Response {
    let headers = [("content-type", "multipart/form-data; boundary=xXx")];
    admin.request("POST", "/config/APNSCert", &headers, form(parts).as_bytes())
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
fn over_the_servers_own_https_the_cookie_is_for_other_sites_pages_and_comes_back_in_both_versions_of_http() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::default());
    authority.write(&["shop.test"], dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    let builder = server().baqend().arg("--tls-listen").arg("127.0.0.1:0");
    let builder = builder
        .arg("--tls-cert")
        .arg(file("cert.pem"))
        .arg("--tls-key")
        .arg(file("key.pem"));
    let server = builder.start();
    let client = HttpsClient::new(server.tls_address(), &authority.root());
    for (http, token) in [(HttpVersion::Http1, "one"), (HttpVersion::Http2, "two")] {
        let body = android(token).to_string();
        let answer = client.request(http, "POST", "shop.test", "/v1/db/Device/register", body.as_bytes());
        let answer = answer.unwrap().expect(200);
        let cookie = answer.header("set-cookie").unwrap();
        assert!(
            cookie.ends_with("; SameSite=None; Secure; HttpOnly"),
            "{http:?}: {cookie}"
        );
        let plain = with_cookie(&server.client(), "GET", "/db/Device/registered", &cookie_of(&answer));
        assert_eq!(id_of(&plain.expect(200)), id_of(&answer));
    }
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
