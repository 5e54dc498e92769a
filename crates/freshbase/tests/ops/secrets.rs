//! Secrets stay where they belong: none of them turns up in a log, on a page of metrics, in an error, or in plain text
//! in the files.

use std::path::Path;

use fb_testkit::{Client, Response};
use serde_json::{Value, json};

use crate::{Operator, freshbase, server, text};

/// What must not turn up, by what it is.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn add(&mut self, what: &str, secret: &str) -> String {
        self.0.push((what.to_owned(), secret.to_owned()));
        secret.to_owned()
    }

    #[track_caller]
    fn check(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            assert!(!text.contains(secret.as_str()), "{what} in {place}:\n{text}");
        }
    }
}

fn token_of(answer: &Response) -> String {
    answer.header("baqend-authorization-token").expect("a token").to_owned()
}

#[test]
fn s47_no_secret_turns_up_in_logs_metrics_or_errors() {
    let dir = tempfile::tempdir().unwrap();
    let mut canaries = Canaries::default();
    let builder = server()
        .baqend()
        .admin(
            "root",
            &canaries.add("the operator's password", "canary-operator-password"),
        )
        .arg("--log-level")
        .arg("trace")
        .data_dir(dir.path());
    let mut running = builder.start();
    let page = Client::new(running.address(), "");
    let mut errors: Vec<Response> = Vec::new();

    // Users: registered, logged in, refused.
    let client = running.client();
    let password = canaries.add("a user's password", "canary-user-password");
    let register = json!({ "user": { "username": "ann" }, "password": password });
    let registered = client.post("/db/User/register", &register).expect(200);
    let token = canaries.add("a user's token", &token_of(&registered));
    // The part that proves it, wherever the rest is cut off.
    canaries.add("a piece of a token", &token[token.len() - 20..]);
    errors.push(client.post("/db/User/register", &register));
    let wrong = canaries.add("a wrong password", "canary-wrong-password");
    errors.push(client.post("/db/User/login", &json!({ "username": "ann", "password": wrong })));
    errors.push(client.post("/db/User/login", &json!({ "username": wrong, "password": [wrong] })));
    errors.push(client.post(
        "/db/User/register",
        &json!({ "user": { "username": 7 }, "password": wrong }),
    ));
    let login = client.post("/db/User/login", &json!({ "username": "ann", "password": password }));
    canaries.add("a token of a login", &token_of(&login.expect(200)));
    let ann = client.clone().with_token(&token);
    canaries.add("a renewed token", &token_of(&ann.get("/db/User/me").expect(200)));
    errors.push(ann.get("/config"));
    let forged = canaries.add("a forged token", &format!("{}x", &token[..token.len() - 1]));
    errors.push(client.clone().with_token(&forged).get("/config"));
    let broken = format!("{{\"username\": \"ann\", \"password\": \"{password}\",, }}");
    errors.push(client.request("POST", "/db/User/login", &[], broken.as_bytes()));
    errors.push(client.request("POST", &format!("/db/User/login?token={token}"), &[], b"[]"));
    // Tokens may also come in the URL of the connect script and of others; errors must not repeat them.
    errors.push(client.get(&format!("/db/NoSuch/1?BAT={token}")));

    // The operator, and an app whose setup link is claimed.
    let operator = Operator::login(&running, "root", "canary-operator-password");
    canaries.add("the operator's token", operator.bearer.trim_start_matches("Bearer "));
    let login = json!({ "username": "root", "password": wrong });
    errors.push(Client::new(running.address(), "/admin/v1").post("/login", &login));
    let made = operator
        .call("POST", "/apps", &json!({ "name": "shop" }))
        .expect(201)
        .json();
    let link = made["setup"].as_str().unwrap().rsplit('#').next().unwrap();
    let link = canaries.add("a setup token", link);
    let claim = json!({ "app": "shop", "token": link, "username": "bob", "password": "canary-setup-password" });
    canaries.add("the password of a claim", "canary-setup-password");
    page.post("/setup", &claim).expect(200);
    errors.push(page.post("/setup", &claim));
    let admin = json!({ "username": "eve", "password": "canary-api-password" });
    canaries.add("the password of an app's administrator", "canary-api-password");
    operator
        .call("POST", "/apps", &json!({ "name": "shop2", "admin": admin }))
        .expect(201);
    errors.push(operator.call("POST", "/apps", &json!({ "name": "shop2", "admin": admin })));
    errors.push(operator.call(
        "POST",
        "/apps",
        &json!({ "name": "shop3", "admin": { "password": wrong } }),
    ));

    // Through the command line.
    let file = dir.path().join("password");
    std::fs::write(&file, canaries.add("the password in a file", "canary-file-password")).unwrap();
    let create = [
        "app",
        "create",
        "shop4",
        "--admin-user",
        "eve",
        "--admin-password-file",
        text(&file),
        "--data-dir",
        text(dir.path()),
    ];
    let created = freshbase(dir.path(), &create);
    canaries.check("the output of app create", &format!("{}{}", created.out, created.err));
    created.ok();
    running.app("shop4").login("eve", "canary-file-password");

    for error in &errors {
        assert!(error.status >= 400, "{error:?}");
        canaries.check("an error", &String::from_utf8_lossy(&error.body));
        canaries.check("the headers of an error", &format!("{:?}", error.headers));
    }
    for path in ["/metrics", "/healthz", "/readyz", "/v1/spec", "/setup"] {
        let answer = page.get(path);
        canaries.check(path, &String::from_utf8_lossy(&answer.body));
    }
    let me = ann.get("/db/User/me").expect(200).json();
    let users: Value = client
        .clone()
        .login("root", "canary-operator-password")
        .get("/db/User")
        .expect(200)
        .json();
    canaries.check("users", &format!("{me}{users}"));
    assert!(!format!("{me}{users}").contains("argon2"), "no hashes either");

    assert!(running.stop().success());
    let log = running.log();
    assert!(log.contains("answered"), "the log is as talkative as can be");
    canaries.check("the log", &log);
    canaries.check("the output", &running.printed());
    assert!(!log.contains("argon2id"), "{log}");
    scan(dir.path(), &canaries, &file);
}

/// Nothing readable lies in the files either: passwords and setup tokens as hashes, tokens not at all.
fn scan(dir: &Path, canaries: &Canaries, except: &Path) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            scan(&path, canaries, except);
        } else if path.file_name().unwrap() == "setup-link" {
            // Holds the link on purpose, for its owner.
            let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        } else if path != except {
            let bytes = std::fs::read(&path).unwrap();
            for (what, secret) in &canaries.0 {
                let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
                assert!(!found, "{what} in {}", path.display());
            }
        }
    }
}

/// A setup link is printed for the person at the terminal, and nowhere else.
#[test]
fn s47_the_setup_link_is_printed_but_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = server().arg("--log-level").arg("trace").data_dir(dir.path()).start();
    let token = running.setup_token();
    assert!(running.stop().success());
    assert!(!running.log().contains(&token));
    let mut canaries = Canaries::default();
    canaries.add("the setup token", &token);
    scan(dir.path(), &canaries, Path::new(""));
}
