//! Passwords of websites: what they open, what they do not, and how often one may guess.

use fb_testkit::{Client, Server, root};
use serde_json::json;

use crate::file_input::base64;
use crate::hosting::{Browser, page, sites, text};
use crate::{Profile, no_panics, server, user};

pub(crate) const PASSWORD: &str = "a password for guests";

/// Puts a password on a site.
pub(crate) fn guard(admin: &Client, host: &str, bucket: &str) {
    let auth = json!({ "username": "guest", "password": PASSWORD });
    sites(admin, &json!({ host: { "bucket": bucket, "basicAuth": auth } }));
}

fn inner(server: &Server, host: &str) -> Client {
    let admin = root(server);
    admin
        .put("/file/inner", &json!({ "load": { "/db/Role/1": "allow" } }))
        .expect(204);
    page(&admin, "/inner/index.html", "inside");
    page(&admin, "/inner/404.html", "inside, not found");
    guard(&admin, host, "inner");
    admin
}

#[test]
fn a_password_opens_the_site_and_nothing_else() {
    let server = server().secure().start();
    let admin = inner(&server, "inner.example");
    let (ann, _) = user(&admin, &server.client(), "ann");
    let browser = Browser::at(&server, "inner.example");
    let basic = |text: &str| format!("Basic {}", base64(text));
    assert_eq!(text(browser.as_guest("/", PASSWORD)), "inside");
    for given in [
        basic("guest:wrong"),
        basic(&format!("Guest:{PASSWORD}")),
        basic(&format!("root:{PASSWORD}")),
        basic(&format!("guest:{PASSWORD} ")),
        basic(&format!("guest:{}", PASSWORD.to_uppercase())),
        basic("guest:***"),
    ] {
        let answer = browser.ask("GET", "/", &[("authorization", &given)]);
        answer.expect_error(401, "PasswordRequired");
    }
    for given in [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Bearer x",
        &basic("guest"),
        &basic(""),
        &basic(PASSWORD),
        &format!("BAT {}", admin.token().unwrap()),
        &format!("BAT {}", ann.token().unwrap()),
        &format!("Digest {}", base64("guest:x")),
    ] {
        for path in ["/", "/index.html", "/none", "/index.html?x"] {
            let answer = browser.ask("GET", path, &[("authorization", given)]);
            answer.expect_error(401, "PasswordRequired");
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Basic realm=\"inner.example\", charset=\"UTF-8\"")
            );
            for header in [("if-none-match", "*"), ("range", "bytes=0-1")] {
                assert_eq!(
                    browser.ask("GET", path, &[("authorization", given), header]).status,
                    401,
                    "{given} {header:?}"
                );
            }
        }
    }
    assert_eq!(browser.ask("HEAD", "/", &[]).status, 401);
    assert_eq!(
        text(browser.ask(
            "GET",
            "/",
            &[(
                "authorization",
                &basic(&format!("guest:{PASSWORD}")).replace("Basic", "bAsIC")
            )]
        )),
        "inside"
    );

    // The API does not know of it, also under the same name.
    let guest = basic(&format!("guest:{PASSWORD}"));
    for (method, path) in [
        ("GET", "/v1/file/inner/index.html"),
        ("HEAD", "/v1/file/inner/index.html"),
        ("GET", "/v1/file/inner/ids"),
        ("PUT", "/v1/file/inner/index.html"),
        ("DELETE", "/v1/file/inner/index.html"),
        ("GET", "/v1/config"),
    ] {
        let answer = browser.ask(method, path, &[("authorization", &guest)]);
        assert!(matches!(answer.status, 460 | 466), "{method} {path}: {}", answer.status);
    }
    browser
        .get("/v1/file/inner/index.html")
        .expect_error(466, "PermissionDenied");
    // Neither do other sites of the app.
    let www = Browser::at(&server, "other.example");
    assert_eq!(www.as_guest("/", PASSWORD).status, 404);
    // A password that was changed is void at once, and one that is taken away opens nothing.
    let auth = json!({ "username": "guest", "password": "another password" });
    sites(
        &admin,
        &json!({ "inner.example": { "bucket": "inner", "basicAuth": auth } }),
    );
    assert_eq!(browser.as_guest("/", PASSWORD).status, 401);
    assert_eq!(text(browser.as_guest("/", "another password")), "inside");
    sites(&admin, &json!({ "inner.example": { "bucket": "inner" } }));
    assert_eq!(browser.as_guest("/", "another password").status, 404);
    no_panics(&server);
}

#[test]
fn s19_guessing_the_password_of_a_site_ends() {
    for site in ["inner.example", "*"] {
        let server = server().secure().arg("--trusted-proxies").arg("127.0.0.1").start();
        let admin = inner(&server, site);
        admin
            .put("/config", &json!({ "lockout": { "attempts": 3, "seconds": 600 } }))
            .expect(200);
        let from = |address: &str, host: &str, password: &str| {
            let given = format!("Basic {}", base64(&format!("guest:{password}")));
            let headers = [("authorization", given.as_str()), ("x-forwarded-for", address)];
            Browser::at(&server, host).ask("GET", "/", &headers)
        };
        // Under whatever name, if there is one site for all.
        let names = match site {
            "*" => ["a.example", "b.example", "c.example", "d.example"],
            _ => ["inner.example"; 4],
        };
        for name in &names[..3] {
            assert_eq!(from("192.0.2.1", name, "wrong").status, 401);
        }
        let locked = from("192.0.2.1", names[3], PASSWORD);
        locked.expect_error(429, "TooManyRequests");
        assert!(locked.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
        // Without a password one is asked for it, as before.
        assert_eq!(Browser::at(&server, names[0]).get("/").status, 401);
        // Others are not locked out, nor are users out of their accounts.
        assert_eq!(text(from("192.0.2.2", names[0], PASSWORD)), "inside");
        root(&server);
        // The right one starts the count again.
        for _ in 0..3 {
            assert_eq!(from("192.0.2.3", names[0], "wrong").status, 401, "{site}");
            assert_eq!(from("192.0.2.3", names[0], "wrong").status, 401, "{site}");
            assert_eq!(text(from("192.0.2.3", names[0], PASSWORD)), "inside");
        }
        no_panics(&server);
    }
}

#[test]
fn a_password_is_refused_where_everybody_gets_in_by_the_other_door() {
    for profile in [Profile::Secure, Profile::Baqend] {
        let server = profile.start();
        let admin = root(&server);
        let auth = json!({ "username": "guest", "password": PASSWORD });
        let guarded =
            |bucket: &str| json!({ "hosting": { "sites": { "x.example": { "bucket": bucket, "basicAuth": auth } } } });
        admin
            .put("/file/open", &json!({ "load": { "*": "allow" } }))
            .expect(204);
        for bucket in ["www", "open"] {
            let message = admin.put("/config", &guarded(bucket)).expect_error(400, "BadRequest");
            assert!(message.contains(bucket) && !message.contains(PASSWORD), "{message}");
        }
        assert_eq!(
            admin.get("/config").expect(200).json()["hosting"],
            json!({ "sites": {} })
        );
        let closed = json!({ "load": { "/db/Role/1": "allow" } });
        for bucket in ["www", "inner"] {
            admin.put(&format!("/file/{bucket}"), &closed).expect(204);
            page(&admin, &format!("/{bucket}/index.html"), "inside");
            admin.put("/config", &guarded(bucket)).expect(200);
            // From here on the bucket stays closed.
            for open in [
                json!({ "load": { "*": "allow" } }),
                json!({ "load": { "/db/User/none": "deny" } }),
                json!({}),
            ] {
                let answer = admin.put(&format!("/file/{bucket}"), &open);
                let by_silence = profile == Profile::Secure && open["load"].get("*").is_none();
                assert_eq!(answer.status, if by_silence { 204 } else { 400 }, "{bucket} {open}");
                server
                    .client()
                    .get(&format!("/file/{bucket}/index.html"))
                    .expect_error(466, "PermissionDenied");
            }
            // Neither does it open by being made anew.
            let deleted = admin.delete(&format!("/file/{bucket}"));
            assert_eq!(deleted.status, if bucket == "www" { 400 } else { 204 }, "{bucket}");
            page(&admin, &format!("/{bucket}/index.html"), "inside");
            server
                .client()
                .get(&format!("/file/{bucket}/index.html"))
                .expect_error(466, "PermissionDenied");
        }
        no_panics(&server);
    }
}

#[test]
fn the_answer_that_asks_for_a_password_is_well_formed_whatever_the_host() {
    let server = server().secure().start();
    inner(&server, "*");
    for host in ["a\"b.example", "a\\b", "x\", evil=\"y", "<script>", "a,b", "[::1]", ""] {
        let answer = Browser::at(&server, host).get("/");
        if answer.status == 400 {
            continue;
        }
        assert_eq!(answer.status, 401, "{host}");
        let said = answer.header("www-authenticate").unwrap();
        let realm = said
            .strip_prefix("Basic realm=\"")
            .and_then(|rest| rest.strip_suffix("\", charset=\"UTF-8\""))
            .unwrap();
        assert!(
            realm.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b)),
            "{host}: {said}"
        );
    }
    no_panics(&server);
}
