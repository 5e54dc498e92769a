//! Limits on attempts: exact however many come at once, and counted for whom they are about.

use fb_testkit::{Client, Server, root};
use serde_json::{Value, json};

use crate::kit::{Mails, at_once, login, pending, register, set_config, token_of, verification};
use crate::{Profile, second_app, server, user};

/// A server whose hashes cost next to nothing: these tests are about how many are made.
fn cheap() -> fb_testkit::ServerBuilder {
    server()
        .secure()
        .arg("--hash-memory")
        .arg("8MiB")
        .arg("--hash-passes")
        .arg("1")
}

fn lockout(admin: &Client, attempts: u32) {
    set_config(
        admin,
        &json!({ "lockout": { "attempts": attempts, "seconds": 600 }, "rateLimit": { "requests": 0, "seconds": 60 } }),
    );
}

fn is_locked_out(answer: &fb_testkit::Response) {
    answer.expect_error(429, "TooManyRequests");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=600).contains(&seconds), "{seconds}");
}

#[test]
fn s19_of_a_hundred_wrong_passwords_at_once_ten_are_tried() {
    let server = cheap().start();
    let (admin, stranger) = (root(&server), server.client());
    let foreign_admin = second_app(&server, "other", Profile::Secure);
    let foreign = server.app("other");
    for (admin, stranger) in [(&admin, &stranger), (&foreign_admin, &foreign)] {
        user(admin, stranger, "ann");
        user(admin, stranger, "bob");
        lockout(admin, 10);
    }
    let mut expected = vec![429; 90];
    expected.extend([460; 10]);
    // Names that nobody has are counted alike, and capitals make no other name.
    for names in [["ann", "Ann"], ["nobody", "NOBODY"]] {
        let statuses = at_once(100, |i| login(&stranger, names[i % 2], "wrong"));
        assert_eq!(statuses, expected, "{names:?}");
        is_locked_out(&login(&stranger, names[0], "a secret"));
        let change = json!({ "username": names[1], "password": "a secret", "newPassword": "a new secret" });
        is_locked_out(&stranger.post("/db/User/password", &change));
    }
    // Others are not concerned, and sessions go on.
    login(&stranger, "bob", "a secret").expect(200);
    login(&foreign, "ann", "a secret").expect(200);
    // An administrator still can help.
    let set = json!({ "username": "ann", "password": "", "newPassword": "a new secret" });
    admin.post("/db/User/password", &set).expect(200);
}

#[test]
fn s19_a_success_forgives_earlier_failures() {
    let server = cheap().start();
    let (admin, stranger) = (root(&server), server.client());
    user(&admin, &stranger, "ann");
    lockout(&admin, 3);
    for _ in 0..3 {
        for _ in 0..2 {
            login(&stranger, "ann", "wrong").expect(460);
        }
        login(&stranger, "ann", "a secret").expect(200);
    }
    for _ in 0..3 {
        login(&stranger, "ann", "wrong").expect(460);
    }
    is_locked_out(&login(&stranger, "ann", "a secret"));
    set_config(&admin, &json!({ "lockout": { "attempts": 0, "seconds": 600 } }));
    for _ in 0..5 {
        login(&stranger, "ann", "wrong").expect(460);
    }
    login(&stranger, "ann", "a secret").expect(200);
}

/// What hashes, creates accounts or sends mail.
fn costly(client: &Client, headers: &[(&str, &str)]) -> Vec<u16> {
    let name = |n: u32| json!({ "user": { "username": format!("new{n}@example.com") }, "password": "a secret" });
    let change = json!({ "username": "nobody", "password": "x", "newPassword": "a new secret" });
    let rename = json!({ "username": "nobody", "password": "x", "newUsername": "y@example.com" });
    let requests: [(&str, Value); 6] = [
        ("/db/User/register", name(1)),
        ("/db/User/login", json!({ "username": "nobody", "password": "x" })),
        ("/db/User/reset", json!({ "username": "nobody" })),
        ("/db/User/password", change),
        ("/db/User/changeUsername", rename),
        ("/db/User/mfa/token", json!({ "authToken": "0011", "code": "000000" })),
    ];
    let sent = requests.iter().map(|(path, body)| {
        client
            .request("POST", path, headers, body.to_string().as_bytes())
            .status
    });
    sent.collect()
}

fn limited(server: &Server, requests: u32) -> (Client, Client) {
    let (admin, stranger) = (root(server), server.client());
    verification(&admin);
    set_config(
        &admin,
        &json!({ "rateLimit": { "requests": requests, "seconds": 600 } }),
    );
    (admin, stranger)
}

#[test]
fn s18_all_costly_requests_of_one_source_count_together() {
    let server = cheap().start();
    let tried = [204, 460, 200, 460, 460, 460];
    for requests in 1..=7 {
        let app = format!("limited{requests}");
        let admin = second_app(&server, &app, Profile::Secure);
        verification(&admin);
        // The administrator's login was one.
        set_config(
            &admin,
            &json!({ "rateLimit": { "requests": requests, "seconds": 600 } }),
        );
        let statuses = costly(&server.app(&app), &[]);
        let allowed = usize::try_from(requests - 1).unwrap();
        assert_eq!(statuses[..allowed], tried[..allowed], "{requests}");
        assert!(statuses[allowed..].iter().all(|status| *status == 429), "{statuses:?}");
        // What costs nothing goes on, and so do administrators.
        admin.get("/db/User/me").expect(200);
        register(&admin, "more", "a secret").expect(200);
    }
    assert!(Mails::of(&server, "limited1").all().is_empty());
}

#[test]
fn s18_who_claims_to_come_from_elsewhere_is_counted_where_it_is() {
    for (trusted, changes_anything) in [(false, false), (true, true)] {
        let mut builder = cheap();
        if trusted {
            builder = builder.arg("--trusted-proxies").arg("127.0.0.1");
        }
        let server = builder.start();
        let (_admin, stranger) = limited(&server, 20);
        let mut refused = 0;
        for i in 0..6 {
            let address = format!("198.51.100.{i}");
            let forwarded = format!("for={address}");
            let headers = [
                ("x-forwarded-for", address.as_str()),
                ("x-real-ip", &address),
                ("forwarded", &forwarded),
            ];
            refused += costly(&stranger, &headers)
                .iter()
                .filter(|status| **status == 429)
                .count();
        }
        assert_eq!(refused == 0, changes_anything, "{refused} of 36, trusted: {trusted}");
        if !trusted {
            // One was the administrator's login.
            assert_eq!(refused, 36 - 19);
        }
    }
}

/// A network of one customer is one source, so many of its addresses do not make many attempts; and attempts from many
/// sources on one account are limited as well.
#[test]
fn s18_many_sources_do_not_get_around_the_lockout_of_an_account() {
    let server = cheap().arg("--trusted-proxies").arg("127.0.0.1").start();
    let (admin, stranger) = (root(&server), server.client());
    user(&admin, &stranger, "ann");
    lockout(&admin, 2);
    let body = json!({ "username": "ann", "password": "wrong" }).to_string();
    let from = |address: String| {
        let headers = [("x-forwarded-for", address.as_str())];
        stranger
            .request("POST", "/db/User/login", &headers, body.as_bytes())
            .status
    };
    let one_network: Vec<u16> = (0..4).map(|i| from(format!("2001:db8:1:2::{i}"))).collect();
    assert_eq!(one_network, [460, 460, 429, 429]);
    let many: Vec<u16> = (0..30).map(|i| from(format!("198.51.100.{i}"))).collect();
    assert_eq!(
        many.iter().filter(|status| **status == 460).count(),
        18,
        "ten times as many in all"
    );
}

/// The right password of an account with a second factor forgives wrong passwords, but no wrong codes.
#[test]
fn s19_passwords_and_codes_are_counted_apart() {
    let server = cheap().start();
    let (admin, stranger) = (root(&server), server.client());
    let (ann, _) = user(&admin, &stranger, "ann");
    lockout(&admin, 3);
    let device = crate::kit::Device::add(&ann);
    let wrong = json!(device.wrong_code());
    for _ in 0..3 {
        let token = pending(&login(&stranger, "ann", "a secret"));
        crate::kit::second_step(&stranger, &token, &wrong).expect_error(400, "InvalidCode");
    }
    let token = pending(&login(&stranger, "ann", "a secret"));
    is_locked_out(&crate::kit::second_step(&stranger, &token, &json!(device.code(0))));
    assert_eq!(
        token_of(&ann.get("/db/User/me").expect(200)).len(),
        ann.token().unwrap().len()
    );
}
