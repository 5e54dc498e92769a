//! What accounts consist of besides their objects: shown to nobody, written by nobody but through what it is for.

use std::path::Path;

use fb_testkit::{Client, Response, root, wait_for};
use serde_json::{Value, json};

use crate::kit::{Device, Mails, TOKEN, ann, login, members, pending, second_step, set_config, token_of, verification};
use crate::{PROFILES, class, no_panics, server, user};

const USER: [&str; 7] = ["acl", "createdAt", "id", "inactive", "updatedAt", "username", "version"];

#[test]
fn s27_answers_about_users_have_exactly_these_members() {
    let server = server().secure().start();
    let (admin, stranger) = (root(&server), server.client());
    set_config(&admin, &json!({ "registration": "open" }));
    let new = json!({ "user": { "username": "ann" }, "password": "a secret" });
    let registered = stranger.post("/db/User/register", &new).expect(200);
    let ann = stranger.clone().with_token(&token_of(&registered));
    let id = registered.json()["id"].as_str().unwrap().to_owned();
    let mut answers = vec![registered, login(&stranger, "ann", "a secret")];
    let device = Device::add(&ann);
    let waiting = login(&stranger, "ann", "a secret");
    assert_eq!(
        members(&waiting.json()),
        ["className", "data", "message", "reason", "requestId", "stackTrace"]
    );
    assert_eq!(members(&waiting.json()["data"]), ["baqend-mfa-auth-token"]);
    answers.push(second_step(&stranger, &pending(&waiting), &json!(device.code(0))));
    answers.extend([
        ann.get("/db/User/me"),
        ann.get("/db/User/validate"),
        ann.get(&id),
        admin.get(&id),
    ]);
    let change = json!({ "username": "ann", "password": "a secret", "newPassword": "a new secret" });
    answers.push(ann.post("/db/User/password", &change));
    answers.push(admin.put(&format!("{id}/inactive"), &json!(false)));
    for answer in answers {
        let answer = answer.expect(200);
        assert_eq!(members(&answer.json()), USER);
        let cache = answer.header("cache-control").unwrap();
        assert!(cache.contains("private") || cache.contains("no-store"), "{cache}");
    }
    for list in [admin.get("/db/User"), admin.get("/db/User/query")] {
        for user in list.expect(200).json().as_array().unwrap() {
            assert_eq!(members(user), USER);
        }
    }
    let ann = stranger.clone().with_token(&token_of(&{
        let waiting = pending(&login(&stranger, "ann", "a new secret"));
        second_step(&stranger, &waiting, &json!(device.recovery[0])).expect(200)
    }));
    let connected = ann.get("/connect").expect(200).json();
    let expected = [
        "bloomFilter",
        "bloomFilterRefresh",
        "device",
        "gzip",
        "schema",
        "token",
        "user",
    ];
    assert_eq!(members(&connected), expected);
    assert_eq!(members(&connected["user"]), USER);
    let error = login(&stranger, "ann", "wrong").expect(460).json();
    assert_eq!(
        members(&error),
        ["className", "message", "reason", "requestId", "stackTrace"]
    );
    assert_eq!(error["stackTrace"], json!([]));
}

/// What must not turn up where it was not asked for.
#[derive(Default)]
pub(crate) struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    pub(crate) fn add(&mut self, what: &'static str, secret: &str) -> String {
        self.0.push((what, secret.to_owned()));
        secret.to_owned()
    }

    /// The part of a token that proves it.
    fn add_end(&mut self, what: &'static str, token: &str) -> String {
        self.add(what, &token[token.len() - 30..]);
        token.to_owned()
    }

    #[track_caller]
    pub(crate) fn check(&self, place: &str, text: &[u8]) {
        for (what, secret) in &self.0 {
            let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} in {place}");
        }
    }

    pub(crate) fn check_answer(&self, place: &str, answer: &Response) {
        self.check(place, &answer.body);
        self.check(place, format!("{:?}", answer.headers).as_bytes());
    }

    /// Forgets all but the first ones.
    pub(crate) fn keep_first(&mut self, n: usize) {
        self.0.truncate(n);
    }

    pub(crate) fn check_files(&self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.check_files(&path);
            } else {
                self.check(&path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }
    }
}

#[test]
fn s47_no_secret_of_an_account_turns_up_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().arg("--log-level").arg("trace").data_dir(dir.path());
    let mut running = builder.start();
    let (admin, stranger) = (root(&running), running.client());
    verification(&admin);
    let mails = Mails::of(&running, "main");
    let mut canaries = Canaries::default();
    let name = "bob@example.com";
    let first = canaries.add("a first password", "canary-first-password");
    let new = json!({ "user": { "username": name }, "password": first });
    stranger.post("/db/User/register", &new).expect(204);
    // The secret, however much of the link is cut off.
    let verify = canaries.add_end("a link's secret", &mails.next_token(name));
    stranger.get(&format!("/db/User/verify?token={verify}")).expect(204);
    let used = stranger.get(&format!("/db/User/verify?token={verify}")).expect(460);
    canaries.check_answer("a refused link", &used);
    stranger
        .post("/db/User/reset", &json!({ "username": name }))
        .expect(200);
    let reset = canaries.add_end("a reset link's secret", &mails.next_token(name));
    let second = canaries.add("a second password", "canary-second-password");
    let body = json!({ "token": reset, "newPassword": second });
    let bob = stranger.post("/db/User/password", &body).expect(200);
    canaries.check_answer(
        "a refused reset",
        &stranger.post("/db/User/password", &body).expect(460),
    );
    let id = bob.json()["id"].as_str().unwrap().to_owned();
    let bob = stranger
        .clone()
        .with_token(&canaries.add_end("a session", &token_of(&bob)));
    // A link that nobody has used yet.
    stranger
        .post("/db/User/reset", &json!({ "username": name }))
        .expect(200);
    let text = wait_for("the reset mail", || {
        let mails = mails.all();
        let resets = mails
            .iter()
            .filter_map(|mail| mail["text"].as_str())
            .filter(|text| text.contains("bq-token="));
        resets.clone().nth(1).map(str::to_owned)
    });
    let open = text
        .split("bq-token=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    canaries.add_end("the secret of a link that waits", &open);
    let device = Device::add(&bob);
    canaries.add("the secret of a second factor", &device.base32);
    for code in &device.recovery {
        canaries.add("a recovery code", code);
        canaries.add("a recovery code without its dash", &code.replace('-', ""));
    }
    let waiting = canaries.add_end("what waits for a code", &pending(&login(&stranger, name, &second)));
    canaries.check_answer(
        "a wrong code",
        &second_step(&stranger, &waiting, &json!("canary")).expect(400),
    );
    second_step(&stranger, &waiting, &json!(device.recovery[0])).expect(200);
    let used = second_step(&stranger, &waiting, &json!(device.recovery[0])).expect(400);
    canaries.check_answer("a used recovery code", &used);
    let api = admin.post(&format!("{id}/token"), &Value::Null).expect(200).json();
    let api = canaries.add_end("a token for scripts", api["token"].as_str().unwrap());
    let role = bob.post("/db/Role/3/assume", &Value::Null).expect(200).json();
    canaries.add_end("a token of a role", role["token"].as_str().unwrap());
    let third = canaries.add("a password an administrator set", "canary-third-password");
    let set = json!({ "username": name, "password": "", "newPassword": third });
    canaries.check_answer("setting a password", &admin.post("/db/User/password", &set).expect(200));
    let hash = "$argon2id$v=19$m=8192,t=1,p=1$Y2FuYXJ5LXNhbHQtMTIz$Y2FuYXJ5LWhhc2gtdmFsdWUtMTIzNDU2Nzg5MDEyMzQ";
    let import = json!({ "user": { "username": "imported" }, "passwordHash": hash });
    canaries.check_answer(
        "an imported hash",
        &admin.post("/db/User/register", &import).expect(200),
    );

    // No hashes either, wherever they could be shown; in the files they belong.
    let in_files = canaries.0.len();
    canaries.add("a hash", "argon2");
    canaries.add("an imported hash", &hash[hash.len() - 20..]);
    for path in [
        "/db/User",
        "/db/User/query",
        "/db/logs.AuditLog",
        "/db/logs.AppLog",
        "/config",
        "/schema",
        "/spec",
        "/connect",
        &id,
    ] {
        canaries.check_answer(path, &admin.get(path).expect(200));
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        canaries.check_answer(path, &Client::new(running.address(), "").get(path));
    }
    let script = stranger.clone().with_token(&api);
    canaries.check_answer("a dead token", &script.get("/config").expect(460));
    no_panics(&running);
    assert!(running.stop().success());
    let log = running.log();
    assert!(log.contains("answered"), "the log is as talkative as can be");
    canaries.check("the log", log.as_bytes());
    canaries.check("the output", running.printed().as_bytes());
    canaries.0.truncate(in_files);
    canaries.check_files(dir.path());
}

#[test]
fn s47_the_password_of_the_mail_server_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody listens there: every mail fails, and says why.
    let builder = server().secure().arg("--log-level").arg("trace").data_dir(dir.path());
    let builder = builder.env("FRESHBASE_SMTP_URL", "smtps://mailer:canary-smtp-password@127.0.0.1:1");
    let mut running = builder.start();
    let (admin, stranger) = (root(&running), running.client());
    verification(&admin);
    user(&admin, &stranger, "bob@example.com");
    stranger
        .post("/db/User/reset", &json!({ "username": "bob@example.com" }))
        .expect(200);
    let mut canaries = Canaries::default();
    canaries.add("the password of the mail server", "canary-smtp-password");
    wait_for("the attempt to send", || {
        running.log().contains("127.0.0.1").then_some(())
    });
    for path in ["/config", "/spec", "/db/logs.AuditLog"] {
        canaries.check_answer(path, &admin.get(path).expect(200));
    }
    // Mails are nobody's to read where they are sent.
    let bearer = crate::operator(&running);
    let operator = Client::new(running.address(), "/admin/v1");
    let answer = operator.request("GET", "/apps/main/mails", &[("authorization", &bearer)], b"");
    canaries.check_answer("the mails", &answer.expect(404));
    canaries.check_answer("metrics", &Client::new(running.address(), "").get("/metrics"));
    assert!(running.stop().success());
    canaries.check("the log", running.log().as_bytes());
    canaries.check("the output", running.printed().as_bytes());
    canaries.check_files(dir.path());
}

#[test]
fn s09_the_records_of_accounts_are_no_objects_under_any_spelling() {
    let server = server().baqend().start();
    let (admin, stranger, ann, _) = ann(&server);
    Device::add(&ann);
    let spaces = [
        "account",
        "username",
        "identity",
        "secret",
        "settings",
        "setup",
        "tokens",
        "deviceCookie",
        "deviceTarget",
        "pushKey",
    ];
    let mut spellings = Vec::new();
    for space in spaces {
        spellings.extend([
            space.to_owned(),
            space.to_uppercase(),
            format!("_{space}"),
            format!("{space}s"),
            format!("record.{space}"),
            format!("records%2F{space}"),
            format!("User%2F{space}"),
            format!("..%2F{space}"),
            format!("%2e%2e/{space}"),
            format!("%{:02X}{}", space.as_bytes()[0], &space[1..]),
            format!("{space}%00"),
            format!("{space}%20"),
        ]);
    }
    spellings.extend(["record", "records", "objects", "sqlite_master", "main.records"].map(str::to_owned));
    for spelling in &spellings {
        for key in ["", "/2", "/app", "/ann", "/query", "/count", "/ids"] {
            let path = format!("/db/{spelling}{key}");
            for client in [&admin, &stranger] {
                let status = client.get(&path).status;
                assert!(matches!(status, 400 | 404 | 405 | 461 | 466), "{path}: {status}");
            }
        }
        let write = admin.put(&format!("/db/{spelling}/2"), &json!({ "hash": null }));
        assert!(
            matches!(write.status, 400 | 404 | 405 | 461),
            "{spelling}: {}",
            write.status
        );
    }
    // Classes of these names are classes like others, and no way to the records.
    for space in spaces {
        class(
            &admin,
            space,
            &json!({ "value": { "type": "/db/String" } }),
            &Value::Null,
        );
        for key in ["2", "ann", "app", "tokens"] {
            admin
                .put(&format!("/db/{space}/{key}"), &json!({ "value": "mine" }))
                .expect(200);
        }
        assert_eq!(admin.get(&format!("/db/{space}/count")).expect(200).json()["count"], 4);
        admin.delete(&format!("/db/{space}")).expect(200);
    }
    pending(&login(&stranger, "ann", "a secret"));
    admin.get("/config").expect(200);
    root(&server);
    no_panics(&server);
}

/// Server-set members of a user, as somebody would like to have them.
fn forged() -> Value {
    json!({
        "id": "/db/User/77", "version": 9, "createdAt": "1999-01-01T00:00:00Z", "updatedAt": "1999-01-01T00:00:00Z",
        "inactive": true, "hash": "x", "password": "x", "epoch": 7, "factor": null, "roles": ["/db/Role/1"],
        "identities": ["google 1"] })
}

#[test]
fn s11_what_the_server_says_of_a_user_is_written_by_no_client() {
    for profile in PROFILES {
        let server = profile.start();
        let (admin, stranger) = (root(&server), server.client());
        set_config(
            &admin,
            &json!({ "registration": "open", "lockout": { "attempts": 0, "seconds": 60 },
                "rateLimit": { "requests": 0, "seconds": 60 } }),
        );
        let mut wanted = forged();
        wanted["username"] = json!("ann");
        let new = json!({ "user": wanted, "password": "a secret" });
        let mut answer = stranger.post("/db/User/register", &new);
        if answer.status != 200 {
            // Refused as a whole; then member by member.
            for (member, value) in forged().as_object().unwrap() {
                let new =
                    json!({ "user": { "username": format!("a{member}"), member: value }, "password": "a secret" });
                let answer = stranger.post("/db/User/register", &new);
                if answer.status == 200 {
                    check_made(&answer.json());
                }
            }
            answer = stranger.post(
                "/db/User/register",
                &json!({ "user": { "username": "ann" }, "password": "a secret" }),
            );
        }
        let made = answer.expect(200);
        check_made(&made.json());
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let ann = stranger.clone().login("ann", "a secret");
        let (_, other) = user(&admin, &stranger, "other");
        let before = ann.get(&id).expect(200).json();
        let same = |what: &str| {
            let after = admin.get(&id).expect(200).json();
            for member in ["username", "inactive", "id", "createdAt"] {
                assert_eq!(after[member], before[member], "{what} {member}");
            }
            assert!(after["version"].as_u64() < Some(1000) && !after["updatedAt"].to_string().contains("1999"));
        };
        let mut values = forged();
        values["username"] = json!("x");
        values["version"] = json!(1_000_000);
        // One's own, and as an administrator: names and activity have their own paths.
        for client in [&ann, &admin] {
            for (member, value) in values.as_object().unwrap() {
                for update in [
                    json!({ "$set": { member: value } }),
                    json!({ "$unset": { member: "" } }),
                ] {
                    client.post(&id, &update);
                }
                client.put(&id, &json!({ member: value }));
                client.request(
                    "PUT",
                    &id,
                    &[("if-match", "*")],
                    json!({ member: value }).to_string().as_bytes(),
                );
                same(member);
            }
            client.post(&id, &json!({ "$rename": { "username": "inactive" } }));
            client.post(&id, &json!({ "$inc": { "version": 1_000_000 } }));
            client.post(&id, &json!({ "$set": { "inactive": true } }));
            same("update");
        }
        let import = json!([{ "id": id, "username": "x", "inactive": true }]);
        ann.put("/db/User", &import).expect_error(466, "PermissionDenied");
        stranger.put("/db/User", &import).expect_error(466, "PermissionDenied");
        admin.put("/db/User", &import);
        same("import");
        for target in [&other, "/db/User/1"] {
            let status = ann.post(target, &json!({ "$set": { "username": "x" } })).status;
            assert!(matches!(status, 400 | 466), "{status}");
            ann.put(target, &json!({ "username": "x" }))
                .expect_error(466, "PermissionDenied");
        }
        // Nobody becomes somebody else by an insert.
        for client in [&ann, &stranger] {
            let answer = client.post("/db/User", &json!({ "id": "/db/User/78", "username": "y" }));
            answer.expect_error(466, "PermissionDenied");
            let answer = client.put("/db/User/78", &json!({ "username": "y" }));
            assert!(matches!(answer.status, 404 | 412 | 466), "{}", answer.status);
        }
        ann.get("/config").expect_error(466, "PermissionDenied");
        login(&stranger, "ann", "a secret").expect(200);
        login(&stranger, "x", "a secret").expect(460);
        assert!(made.header(TOKEN).is_some());
    }
}

fn check_made(user: &Value) {
    assert_eq!(members(user), USER, "{user}");
    assert_eq!(
        (&user["version"], &user["inactive"]),
        (&json!(1), &Value::Null),
        "{user}"
    );
    assert_ne!(user["id"], "/db/User/77");
    assert!(!user.to_string().contains("1999"), "{user}");
}
