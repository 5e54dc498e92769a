//! `freshbase admin`: administrators are made and let back in beside a running server, without one, and across kills.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fb_store::Node;
use fb_store_sqlite::{SqliteNode, SqliteOptions};
use fb_testkit::{Client, Server, wait_for};
use fb_types::{Clock, SystemClock};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::{Killed, Operator, Random, Run, command, finish, freshbase, server, text};

const PASSWORD: &str = "canary correct horse";

/// `freshbase admin …` on this data directory.
fn admin(data: &Path, args: &[&str]) -> Run {
    freshbase(data, &with_data(data, args))
}

fn with_data<'a>(data: &'a Path, args: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["admin"];
    all.extend(args);
    all.extend(["--data-dir", text(data)]);
    all
}

/// A file with [`PASSWORD`], outside of the data directory.
fn password_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{PASSWORD}\n")).unwrap();
    file
}

fn made_up(printed: &str) -> String {
    let (_, rest) = printed.split_once("Password: ").expect("it is printed");
    rest.trim().to_owned()
}

#[track_caller]
fn refused(client: &Client, user: &str, password: &str) {
    let body = json!({ "username": user, "password": password });
    client.post("/db/User/login", &body).expect_error(460, "BadCredentials");
}

/// The entries of an app's audit log about administrators: action, name, by whom.
fn audited(admin: &Client) -> Vec<(String, String, String)> {
    let entries = admin.query(
        "logs.AuditLog",
        &json!({ "action": { "$in": ["admin.created", "admin.reset"] } }),
    );
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut all: Vec<_> = entries
        .iter()
        .map(|e| {
            assert_eq!(e["user"], Value::Null, "{e}");
            (text(&e["action"]), text(&e["data"]["username"]), text(&e["data"]["by"]))
        })
        .collect();
    all.sort();
    all
}

fn entry(action: &str, name: &str) -> (String, String, String) {
    (action.to_owned(), name.to_owned(), "command line".to_owned())
}

/// A record of the node, as any process may read it.
fn record(data: &Path, key: &str) -> Option<Vec<u8>> {
    let node = SqliteNode::attach(data, SqliteOptions::default()).unwrap();
    runtime().block_on(node.record(key)).unwrap()
}

fn set_record(data: &Path, key: &str, value: &[u8]) {
    let node = SqliteNode::attach(data, SqliteOptions::default()).unwrap();
    let old = runtime().block_on(node.record(key)).unwrap();
    assert!(
        runtime()
            .block_on(node.swap_record(key, old.as_deref(), Some(value)))
            .unwrap()
    );
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn administrators_are_made_beside_a_running_server() {
    let running = server().secure().start();
    let data = running.data_dir();
    let file = password_file();
    let printed = admin(data, &["create", "ann", "--password-file", text(file.path())]).ok();
    assert_eq!(printed, "Created the administrator ann of app main.\n");
    let ann = running.client().login("ann", PASSWORD);
    ann.get("/config").expect(200);

    let printed = admin(data, &["create", "--app", "main", "bob"]).ok();
    let bob = running.client().login("bob", &made_up(&printed));
    bob.get("/config").expect(200);
    let made = vec![
        entry("admin.created", "ann"),
        entry("admin.created", "bob"),
        ("admin.created".into(), "root".into(), "creation of the app".into()),
    ];
    assert_eq!(audited(&bob), made);

    // Nothing is left to do, and what was written down said no password.
    assert_eq!(record(data, "errands"), None);
    for name in ["node.db", "node.db-wal", "apps/main/app.db", "apps/main/app.db-wal"] {
        let bytes = std::fs::read(data.join(name)).unwrap_or_default();
        assert!(
            !bytes.windows(PASSWORD.len()).any(|w| w == PASSWORD.as_bytes()),
            "{name}"
        );
    }
    assert!(!running.log().contains(PASSWORD));
}

#[test]
fn administrators_are_made_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // Never served: there is not even a lock.
    freshbase(dir.path(), &["app", "create", "shop", "--data-dir", text(&data)]).ok();
    let error = admin(&data, &["create", "ann"]).failed();
    assert!(error.contains("no default app") && error.contains("--app"), "{error}");
    let shop = made_up(&admin(&data, &["create", "--app", "shop", "ann"]).ok());
    let builder = server().secure().data_dir(&data);
    let mut running = builder.start();
    running.app("shop").login("ann", &shop).get("/config").expect(200);
    refused(&running.client(), "ann", &shop);
    assert!(running.stop().success());

    let main = made_up(&admin(&data, &["create", "ann"]).ok());
    let shop2 = made_up(&admin(&data, &["reset", "--app", "shop", "ann"]).ok());
    let running = builder.start();
    running.client().login("ann", &main).get("/config").expect(200);
    let ann = running.app("shop").login("ann", &shop2);
    assert_eq!(
        audited(&ann),
        [entry("admin.created", "ann"), entry("admin.reset", "ann")]
    );
    refused(&running.app("shop"), "ann", &shop);
}

#[test]
fn what_cannot_be_done_is_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let error = admin(dir.path(), &["create", "ann"]).failed();
    assert!(error.contains("no data directory of Freshbase"), "{error}");
    let nowhere = dir.path().join("nowhere");
    let args = ["admin", "reset", "ann", "--data-dir", text(&nowhere)];
    let error = freshbase(dir.path(), &args).failed();
    assert!(
        error.contains("there is no data directory") && !nowhere.try_exists().unwrap(),
        "{error}"
    );

    // The open profile accepts any password of its users; of administrators it does not.
    let mut running = server().baqend().data_dir(&data).start();
    let weak = tempfile::NamedTempFile::new().unwrap();
    let cases: [(&[&str], &str, &[&str]); 7] = [
        (
            &["create", "root"],
            "",
            &["has a user root already", "freshbase admin reset --app main root"],
        ),
        (&["create", "ROOT"], "", &["has a user ROOT already"]),
        (
            &["reset", "carl"],
            "",
            &["has no user carl", "freshbase admin create --app main carl"],
        ),
        (
            &["create", "--app", "nosuch", "carl"],
            "",
            &["there is no app nosuch", "freshbase app list"],
        ),
        (&["create", "carl"], "short", &["at least 8 characters"]),
        (&["reset", "root"], "password", &["too easy to guess"]),
        (&["create", "carlcarl"], "carlcarl", &["too easy to guess"]),
    ];
    let try_all = || {
        for (args, password, parts) in &cases {
            let mut args = args.to_vec();
            if !password.is_empty() {
                std::fs::write(weak.path(), password).unwrap();
                args.extend(["--password-file", text(weak.path())]);
            }
            let run = admin(&data, &args);
            assert_eq!(run.out, "", "{args:?}");
            let error = run.failed();
            for part in *parts {
                assert!(error.contains(part), "{args:?}: {part}: {error}");
            }
        }
        assert_eq!(record(&data, "errands"), None);
    };
    try_all();
    running.client().login("root", fb_testkit::ROOT_PASSWORD);
    assert!(running.stop().success());
    try_all();
    let error = admin(&data, &["create", "x", "--password-file", "nosuch"]).failed();
    assert!(error.contains("reading nosuch"), "{error}");
}

/// A policy that is stricter than the one of new apps holds as well.
#[test]
fn the_apps_own_policy_holds_as_well() {
    let running = server().secure().start();
    let root = fb_testkit::root(&running);
    let policy = json!({ "passwordPolicy": { "minLength": 24, "rejectCommon": true } });
    root.put("/config", &policy).expect(200);
    let file = password_file();
    let error = admin(
        running.data_dir(),
        &["create", "ann", "--password-file", text(file.path())],
    )
    .failed();
    assert!(error.contains("at least 24 characters"), "{error}");
    // Those that are made up are long enough.
    admin(running.data_dir(), &["create", "ann"]).ok();
}

#[test]
fn a_reset_lets_a_user_back_in_and_everybody_else_out() {
    let running = server().baqend().start();
    let data = running.data_dir();
    let (bob, id) = running.client().register("bob");
    bob.get("/db/User/me").expect(200);
    bob.get("/config").expect_error(466, "PermissionDenied");
    // Somebody guesses until the account is locked.
    let body = json!({ "username": "bob", "password": "wrong" });
    let locked = wait_for("the lockout", || {
        let answer = running.client().post("/db/User/login", &body);
        (answer.status != 460).then_some(answer)
    });
    assert_eq!(locked.status, 429);

    let file = password_file();
    let printed = admin(data, &["reset", "BOB", "--password-file", text(file.path())]).ok();
    assert!(!printed.contains("Password"), "{printed}");
    bob.get("/db/User/me").expect_error(404, "ObjectNotFound");
    bob.get("/schema").expect_error(460, "BadCredentials");
    let new = running.client().login("bob", PASSWORD);
    new.get("/config").expect(200);
    assert_eq!(new.get("/db/User/me").expect(200).json()["username"], "bob");
    refused(&running.client(), "bob", "a secret");
    assert!(audited(&new).contains(&entry("admin.reset", "bob")));

    // Whoever is an administrator already stays one, once.
    let old = new;
    admin(data, &["reset", "bob", "--password-file", text(file.path())]).ok();
    old.get("/config").expect_error(460, "BadCredentials");
    let new = running.client().login("bob", PASSWORD);
    let role = new.get("/db/Role/1").expect(200).json();
    let members = role["users"].as_array().unwrap();
    assert_eq!(members.iter().filter(|user| **user == id).count(), 1, "{role}");
}

#[test]
fn an_app_without_administrators_gets_one_and_its_setup_link_dies() {
    let running = server().secure().start();
    let data = running.data_dir();
    let printed = freshbase(data, &["app", "create", "shop", "--data-dir", text(data)]).ok();
    let (_, link) = printed.split_once("/setup?app=shop#").unwrap();
    let token: String = link.chars().take_while(char::is_ascii_hexdigit).collect();
    let ann = made_up(&admin(data, &["create", "--app", "shop", "ann"]).ok());
    let body = json!({ "app": "shop", "token": token, "username": "eve", "password": "correct horse" });
    Client::new(running.address(), "")
        .post("/setup", &body)
        .expect_error(460, "BadCredentials");

    // The last one goes, and the app is not lost.
    let ann = running.app("shop").login("ann", &ann);
    let id = ann.get("/db/User/me").expect(200).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    ann.delete(&id).expect(204);
    let bob = made_up(&admin(data, &["create", "--app", "shop", "bob"]).ok());
    running.app("shop").login("bob", &bob).get("/config").expect(200);
}

/// The code that an authenticator app shows (RFC 6238, SHA-1, 30 s, 6 digits).
fn code(uri: &str) -> String {
    let (_, secret) = uri.split_once("secret=").unwrap();
    let letters = secret.bytes().take_while(|b| *b != b'&');
    let bits: String = letters
        .map(|b| {
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
                .iter()
                .position(|l| *l == b)
                .unwrap()
        })
        .map(|value| format!("{value:05b}"))
        .collect();
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(SystemClock.now().seconds() / 30).to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[test]
fn a_reset_removes_the_second_factor_and_activates() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().data_dir(dir.path());
    let mut running = builder.start();
    let bob = made_up(&admin(dir.path(), &["create", "bob"]).ok());
    let bob = running.client().login("bob", &bob);
    let id = bob.get("/db/User/me").expect(200).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let root = fb_testkit::root(&running);
    let begun = root.get("/db/User/mfa/init").expect(200).json();
    let code = code(begun["keyUri"].as_str().unwrap());
    root.post("/db/User/mfa/init", &json!({ "code": code })).expect(200);
    root.put(&format!("{id}/inactive"), &json!(true)).expect(200);
    let body = json!({ "username": "root", "password": fb_testkit::ROOT_PASSWORD });
    let answer = running.client().post("/db/User/login", &body);
    assert_ne!(answer.status, 200, "a second factor is asked for");

    let password = made_up(&admin(dir.path(), &["reset", "root"]).ok());
    let new = running.client().login("root", &password);
    assert_eq!(new.get("/db/User/mfa/status").expect(200).json(), "DISABLED");
    root.get("/config").expect_error(460, "BadCredentials");
    // And once more without a server.
    assert!(running.stop().success());
    let bob = made_up(&admin(dir.path(), &["reset", "bob"]).ok());
    builder.start().client().login("bob", &bob).get("/config").expect(200);
}

/// Stops a server in its tracks, but not while it writes a record of the node: others could not write any then.
fn pause(server: &Server) {
    let data = server.data_dir();
    wait_for("a moment of rest", || {
        let errands = record(data, "errands").unwrap_or_default();
        let rests = record(data, "followed").is_some() && !String::from_utf8_lossy(&errands).contains("\"wanted\"");
        rests.then_some(())
    });
    // A record can be read a moment before its writer is done.
    std::thread::sleep(Duration::from_millis(50));
    server.signal("STOP");
}

/// A command that waits for a server that does not answer.
fn waiting(server: &Server, args: &[&str]) -> (Killed, Vec<u8>) {
    let data = server.data_dir();
    let mut command = command(data, &with_data(data, args));
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let child = Killed(child.unwrap());
    let wanted = wait_for("the errand", || {
        record(data, "errands").filter(|list| String::from_utf8_lossy(list).contains("\"wanted\""))
    });
    (child, wanted)
}

#[test]
fn a_server_that_is_killed_is_replaced_by_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().data_dir(dir.path());
    let mut running = builder.start();
    let file = password_file();
    pause(&running);
    let (mut command, _) = waiting(&running, &["create", "ann", "--password-file", text(file.path())]);
    running.kill();
    assert!(command.0.wait().unwrap().success());
    builder
        .start()
        .client()
        .login("ann", PASSWORD)
        .get("/config")
        .expect(200);
    assert_eq!(record(dir.path(), "errands"), None);
}

#[test]
fn a_command_that_is_killed_is_carried_out_by_the_server_once() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().data_dir(dir.path());
    let mut running = builder.start();
    let file = password_file();
    pause(&running);
    let (command, create) = waiting(&running, &["create", "ann", "--password-file", text(file.path())]);
    drop(command);
    running.signal("CONT");
    let body = json!({ "username": "ann", "password": PASSWORD });
    wait_for("the administrator", || {
        (running.client().post("/db/User/login", &body).status == 200).then_some(())
    });
    pause(&running);
    let (command, reset) = waiting(&running, &["reset", "root", "--password-file", text(file.path())]);
    drop(command);
    running.signal("CONT");
    wait_for("the reset", || {
        let body = json!({ "username": "root", "password": PASSWORD });
        (running.client().post("/db/User/login", &body).status == 200).then_some(())
    });

    // The server is killed after it has carried them out, and before it has noted that: they are found again.
    let root = running.client().login("root", PASSWORD);
    let ann_id = running.client().login("ann", PASSWORD).get("/db/User/me").json()["id"].clone();
    root.delete(ann_id.as_str().unwrap()).expect(204);
    running.kill();
    let both: Vec<Value> = [create, reset]
        .iter()
        .map(|bytes| serde_json::from_slice::<Vec<Value>>(bytes).unwrap())
        .map(|entries| entries.into_iter().find(|e| e["state"]["wanted"].is_object()).unwrap())
        .collect();
    let both = serde_json::to_vec(&both).unwrap();
    let check = |running: &Server| {
        wait_for("the outcomes", || {
            let left: Vec<Value> = serde_json::from_slice(&record(dir.path(), "errands")?).unwrap();
            left.iter()
                .all(|e| e["state"]["over"]["outcome"] == "done")
                .then_some(())
        });
        let text = String::from_utf8(record(dir.path(), "errands").unwrap()).unwrap();
        assert!(!text.contains("argon2"), "hashes go with the errand: {text}");
        // Tokens from before are good: nothing was reset once more; and ann did not come back.
        let root = Client::new(running.address(), "/v1").with_token(root.token().unwrap());
        assert_eq!(audited(&root).len(), 3, "{:?}", audited(&root));
        refused(&running.client(), "ann", PASSWORD);
    };
    set_record(dir.path(), "errands", &both);
    let mut running = builder.start();
    check(&running);

    // The same if a command comes before the server.
    assert!(running.stop().success());
    set_record(dir.path(), "errands", &both);
    admin(dir.path(), &["reset", "nobody"]).failed();
    check(&builder.start());
}

#[test]
fn a_server_that_hangs_does_it_later() {
    let running = server().secure().start();
    let file = password_file();
    pause(&running);
    let run = admin(
        running.data_dir(),
        &["create", "ann", "--password-file", text(file.path())],
    );
    running.signal("CONT");
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
    assert!(
        run.err.contains("note: the running server has not done this yet"),
        "{}",
        run.err
    );
    let body = json!({ "username": "ann", "password": PASSWORD });
    wait_for("the administrator", || {
        (running.client().post("/db/User/login", &body).status == 200).then_some(())
    });
}

#[test]
fn every_errand_is_carried_out_once_whoever_is_killed_when() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().data_dir(dir.path());
    let file = password_file();
    let mut random = Random(0xad3);
    let mut names = Vec::new();
    for round in 0..8 {
        let mut running = builder.start();
        let commands: Vec<Killed> = (0..3)
            .map(|n| {
                let name = format!("admin{round}x{n}");
                let args = ["create", &name, "--password-file", text(file.path())];
                let mut command = command(dir.path(), &with_data(dir.path(), &args));
                let child = command
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                names.push(name);
                Killed(child.unwrap())
            })
            .collect();
        std::thread::sleep(Duration::from_millis(40 + random.below(300)));
        running.kill();
        for mut command in commands {
            assert!(command.0.wait().unwrap().success());
        }
    }
    let running = builder.start();
    let root = fb_testkit::root(&running);
    let made = audited(&root).into_iter().map(|(_, name, _)| name);
    let made: Vec<String> = made.filter(|name| name != "root").collect();
    names.sort();
    assert_eq!(made, names);
    let role = root.get("/db/Role/1").expect(200).json();
    assert_eq!(role["users"].as_array().unwrap().len(), names.len() + 1);
    running.client().login(&names[0], PASSWORD).get("/config").expect(200);
    assert_eq!(record(dir.path(), "errands"), None);
}

/// Whoever does not have the master key at hand must not end everybody's sessions.
#[test]
fn no_master_key_is_needed_or_made() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server()
        .secure()
        .env("FRESHBASE_MASTER_KEY", "0123456789abcdef0123456789abcdef")
        .data_dir(dir.path());
    let mut running = builder.start();
    let root = fb_testkit::root(&running);
    assert!(running.stop().success());
    let ann = made_up(&admin(dir.path(), &["create", "ann"]).ok());
    admin(dir.path(), &["operator-reset"]).ok();
    freshbase(dir.path(), &["doctor", "--data-dir", text(dir.path())]).ok();
    assert!(!dir.path().join("master.key").try_exists().unwrap());
    let running = builder.start();
    let root = Client::new(running.address(), "/v1").with_token(root.token().unwrap());
    root.get("/config").expect(200);
    running.client().login("ann", &ann);
}

#[test]
fn the_operator_is_replaced_and_its_sessions_end() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().data_dir(dir.path());
    let mut running = builder.start();
    let old = Operator::root(&running);
    let file = password_file();
    let args = ["operator-reset", "--password-file", text(file.path())];
    let printed = admin(dir.path(), &args).ok();
    assert!(
        printed.starts_with("The operator is root, with a new password"),
        "{printed}"
    );
    assert!(!printed.contains("Password:"), "{printed}");
    old.call("GET", "/apps", &Value::Null).expect(401);
    let body = json!({ "username": "root", "password": fb_testkit::ROOT_PASSWORD });
    let login = Client::new(running.address(), "/admin/v1").post("/login", &body);
    assert!(login.status >= 400, "{login:?}");
    let root = Operator::login(&running, "root", PASSWORD);
    root.call("GET", "/apps", &Value::Null).expect(200);
    // The administrator of the same name is somebody else's business.
    fb_testkit::root(&running);

    assert!(running.stop().success());
    let ann = made_up(&admin(dir.path(), &["operator-reset", "ann"]).ok());
    let running = builder.start();
    let now = Operator::login(&running, "ann", &ann);
    now.call("GET", "/apps", &Value::Null).expect(200);
    let stale = Operator {
        client: now.client.clone(),
        bearer: root.bearer,
    };
    stale.call("GET", "/apps", &Value::Null).expect(401);
    let log: Value = serde_json::from_slice(&record(dir.path(), "operator").unwrap()).unwrap();
    let log: Vec<String> = log["log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| format!("{} {} {}", e["action"], e["username"], e["by"]).replace('"', ""))
        .collect();
    assert_eq!(
        log,
        [
            "operator.created root first start",
            "operator.reset root command line",
            "operator.reset ann command line"
        ]
    );
    std::fs::write(file.path(), "short").unwrap();
    assert!(admin(dir.path(), &args).failed().contains("at least 8 characters"));
    now.call("GET", "/apps", &Value::Null).expect(200);
}

#[test]
fn a_node_without_operator_gets_one() {
    let running = server().start();
    let error = admin(running.data_dir(), &["operator-reset"]).failed();
    assert!(error.contains("there is no operator yet"), "{error}");
    let ann = made_up(&admin(running.data_dir(), &["operator-reset", "ann"]).ok());
    Operator::login(&running, "ann", &ann)
        .call("GET", "/apps", &Value::Null)
        .expect(200);
}

/// Beside a command that has the lock for a moment, a server starts all the same.
#[test]
fn a_server_waits_for_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().secure().data_dir(dir.path());
    assert!(builder.start().stop().success());
    let lock = SqliteNode::try_lock(dir.path()).unwrap().unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| builder.start());
        std::thread::sleep(Duration::from_millis(300));
        drop(lock);
        starting.join().unwrap();
    });
    let lock = SqliteNode::try_lock(dir.path()).unwrap();
    assert!(lock.is_some());
    let mut serve = command(
        dir.path(),
        &["serve", "--listen", "127.0.0.1:0", "--data-dir", text(dir.path())],
    );
    serve.env("FRESHBASE_LOG_LEVEL", "error");
    assert!(finish(serve).failed().contains("another server uses"));
}
