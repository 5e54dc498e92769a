//! Many apps on one node: created and deleted from outside and inside, asleep and awake.

use std::sync::atomic::{AtomicBool, Ordering};

use fb_testkit::{Client, Connection, Server, root, wait_for};
use serde_json::{Value, json};

use crate::{Operator, freshbase, metric, server, text};

fn on_host(server: &Server, host: &str, path: &str) -> fb_testkit::Response {
    server.client().request("GET", path, &[("host", host)], b"")
}

fn has_files(server: &Server, app: &str) -> bool {
    server.data_dir().join("apps").join(app).try_exists().unwrap()
}

#[test]
fn the_command_line_creates_lists_and_deletes_beside_a_running_server() {
    let running = server().baqend().start();
    let data = text(running.data_dir());
    let cli = |args: &[&str]| freshbase(running.data_dir(), &[args, &["--data-dir", data]].concat());
    let password = running.data_dir().join("password");
    std::fs::write(&password, "correct horse\n").unwrap();

    running.app("shop").get("/schema").expect_error(404, "AppNotFound");
    let file = text(&password);
    let printed = cli(&[
        "app",
        "create",
        "shop",
        "--compat",
        "baqend",
        "--host",
        "Shop.Example.org",
        "--admin-user",
        "ann",
        "--admin-password-file",
        file,
    ])
    .ok();
    assert!(
        printed.contains("Created app shop") && printed.contains("/apps/shop/v1"),
        "{printed}"
    );
    assert!(!printed.contains("/setup"), "an administrator was given: {printed}");
    // At once: the very first request finds it.
    let ann = running.app("shop").login("ann", "correct horse");
    ann.post("/schema/Item", &json!({ "fields": {} })).expect(200);
    ann.post("/db/Item", &json!({ "id": "/db/Item/1" })).expect(201);
    on_host(&running, "shop.localhost", "/db/Item/1").expect(200);
    on_host(&running, "shop.localhost:8080", "/db/Item/1").expect(200);
    on_host(&running, "shop.example.org", "/db/Item/1").expect(200);
    on_host(&running, "nosuch.localhost", "/db/Item/1").expect_error(404, "AppNotFound");
    // Another host leads to the default app, which has no such class.
    on_host(&running, "example.org", "/db/Item/1").expect(461);

    let error = cli(&["app", "create", "shop"]).failed();
    assert!(error.contains("there is an app shop already"), "{error}");
    let error = cli(&["app", "create", "other", "--host", "shop.example.org"]).failed();
    assert!(error.contains("shop.example.org") && error.contains("shop"), "{error}");
    for bad in ["Shop", "a_b", "", "a/b", "..", &"a".repeat(41)] {
        cli(&["app", "create", bad]).failed();
    }

    for bad in ["", "a b", "x\"y", "shop.example.org:80", "*.example.org"] {
        let error = cli(&["app", "create", "other", "--host", bad]).failed();
        assert!(error.contains("a host is a name"), "{error}");
    }

    let listed = cli(&["app", "list"]).ok();
    assert!(
        listed.lines().count() == 3 && listed.contains("shop.example.org"),
        "{listed}"
    );
    let json: Vec<Value> = cli(&["app", "list", "--json"])
        .ok()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(
        json.iter()
            .map(|app| (app["name"].as_str().unwrap(), app["default"] == true))
            .collect::<Vec<_>>(),
        [("main", true), ("shop", false)]
    );
    assert_eq!(json[1]["hosts"], json!(["shop.example.org"]));
    assert_eq!(
        Operator::root(&running)
            .call("GET", "/apps", &Value::Null)
            .expect(200)
            .json(),
        json!(json)
    );

    // What the command line made the admin API can delete at once.
    cli(&["app", "create", "brief"]).ok();
    Operator::root(&running)
        .call("DELETE", "/apps/brief", &Value::Null)
        .expect(204);
    assert!(!has_files(&running, "brief"));

    let error = cli(&["app", "delete", "shop"]).failed();
    assert!(error.contains("--yes"), "{error}");
    ann.get("/db/Item/1").expect(200);
    cli(&["app", "delete", "shop", "--yes"]).ok();
    assert!(!has_files(&running, "shop"), "its files are gone");
    ann.get("/db/Item/1").expect_error(404, "AppNotFound");
    let error = cli(&["app", "delete", "shop", "--yes"]).failed();
    assert!(error.contains("there is no app shop"), "{error}");
    assert_eq!(open_files(&running, "apps/shop"), 0, "and closed");
}

/// How many files with this in their name the server has open.
fn open_files(server: &Server, part: &str) -> usize {
    let dir = format!("/proc/{}/fd", server.pid());
    let open = std::fs::read_dir(dir).unwrap().flatten();
    open.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().contains(part)))
        .count()
}

/// An app of the same name is another app: nothing of the deleted one is served, and no write gets lost in its file.
#[test]
fn an_app_that_was_deleted_and_created_again_is_empty_and_keeps_its_writes() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().baqend().data_dir(dir.path());
    let mut running = builder.start();
    let cli = |args: &[&str]| freshbase(dir.path(), &[args, &["--data-dir", text(dir.path())]].concat());
    cli(&["app", "create", "shop", "--compat", "baqend"]).ok();
    let shop = running.app("shop");
    let ann = json!({ "username": "ann", "password": "a secret" });
    let register = json!({ "user": { "username": "ann" }, "password": "a secret" });
    shop.post("/db/User/register", &register).expect(200);
    cli(&["app", "delete", "shop", "--yes"]).ok();
    cli(&["app", "create", "shop", "--compat", "baqend"]).ok();
    shop.post("/db/User/login", &ann).expect_error(460, "BadCredentials");
    shop.post("/db/User/register", &register).expect(200);
    assert!(running.stop().success());
    let again = builder.start();
    again.app("shop").login("ann", "a secret");
}

/// Requests may come while the command line is still at work on an app.
#[test]
fn an_app_that_is_asked_for_while_it_is_made_becomes_what_it_was_meant_to_be() {
    let running = server().baqend().start();
    let password = running.data_dir().join("password");
    std::fs::write(&password, "correct horse").unwrap();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let status = running.app(name).get("/schema").status;
                        assert!(matches!(status, 200 | 404 | 503), "{status}");
                    }
                });
            }
            let args = [
                "app",
                "create",
                name,
                "--compat",
                "baqend",
                "--admin-user",
                "ann",
                "--admin-password-file",
                text(&password),
                "--data-dir",
                text(running.data_dir()),
            ];
            let run = freshbase(running.data_dir(), &args);
            done.store(true, Ordering::Relaxed);
            run.ok();
        });
        let ann = running.app(name).login("ann", "correct horse");
        assert_eq!(ann.get("/config").expect(200).json()["profile"], "baqend");
        ann.post("/schema/Item", &json!({ "fields": {} })).expect(200);
        running.app(name).post("/db/Item", &json!({})).expect(201);
        ann.get("/db/Item/ids").expect(200);
    }
}

#[test]
fn the_printed_setup_link_makes_the_administrator_of_that_app_only() {
    let running = server().baqend().start();
    let data = text(running.data_dir());
    let printed = freshbase(running.data_dir(), &["app", "create", "shop", "--data-dir", data]).ok();
    let (_, link) = printed.split_once("/setup?app=shop#").expect("a link");
    let token: String = link.chars().take_while(char::is_ascii_hexdigit).collect();
    let claim = |app: Option<&str>, token: &str| {
        let body = json!({ "app": app, "token": token, "username": "ann", "password": "correct horse" });
        Client::new(running.address(), "").post("/setup", &body)
    };
    claim(None, &token).expect_error(460, "BadCredentials");
    claim(Some("main"), &token).expect_error(460, "BadCredentials");
    claim(Some("nosuch"), &token).expect_error(460, "BadCredentials");
    claim(Some("shop"), &token[1..]).expect_error(460, "BadCredentials");
    let claimed = claim(Some("shop"), &token).expect(200).json();
    assert_eq!(claimed, json!({ "app": "shop", "operator": false }));
    claim(Some("shop"), &token).expect_error(460, "BadCredentials");
    running
        .app("shop")
        .login("ann", "correct horse")
        .get("/config")
        .expect(200);
    let body = json!({ "username": "ann", "password": "correct horse" });
    running
        .client()
        .post("/db/User/login", &body)
        .expect_error(460, "BadCredentials");
}

#[test]
fn the_admin_api_creates_lists_and_deletes() {
    let running = server().baqend().start();
    let operator = Operator::root(&running);
    let create = |body: Value| operator.call("POST", "/apps", &body);
    let made = create(json!({ "name": "shop", "hosts": ["Shop.example.org"] })).expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.json();
    assert_eq!((&made["name"], &made["api"]), (&json!("shop"), &json!("/apps/shop/v1")));
    assert!(
        made["setup"].as_str().unwrap().starts_with("/setup?app=shop#"),
        "{made}"
    );
    on_host(&running, "shop.example.org", "/schema").expect(200);
    on_host(&running, "SHOP.localhost:1", "/schema").expect(200);
    create(json!({ "name": "shop" })).expect_error(409, "Conflict");
    create(json!({ "name": "b", "hosts": ["shop.EXAMPLE.org"] })).expect_error(409, "Conflict");
    create(json!({ "name": "B" })).expect_error(400, "BadRequest");
    create(json!({ "name": "b", "hosts": ["a b"] })).expect_error(400, "BadRequest");
    create(json!({ "name": "b", "compat": "nonsense" })).expect_error(400, "BadRequest");
    create(json!({ "name": "b", "colour": 1 })).expect_error(400, "BadRequest");
    create(json!({ "name": "b", "admin": { "username": "x", "password": "" } })).expect_error(400, "BadRequest");
    assert!(!has_files(&running, "b"), "a refused app leaves nothing");
    running.app("b").get("/schema").expect_error(404, "AppNotFound");
    let names = operator.call("GET", "/apps", &Value::Null).expect(200).json();
    assert_eq!(names.as_array().unwrap().len(), 2, "{names}");

    operator.call("DELETE", "/apps/shop", &Value::Null).expect(204);
    assert!(!has_files(&running, "shop"));
    running.app("shop").get("/schema").expect_error(404, "AppNotFound");
    operator
        .call("DELETE", "/apps/shop", &Value::Null)
        .expect_error(404, "AppNotFound");
    // A fresh one of the same name has nothing of the old one.
    create(json!({ "name": "shop", "compat": "baqend" })).expect(201);
    let nobody = json!({ "username": "a", "password": "b" });
    running.app("shop").post("/db/User/login", &nobody).expect(460);

    // Tokens of apps mean nothing here.
    let token = root(&running).token().unwrap().to_owned();
    let client = Client::new(running.address(), "/admin/v1");
    for header in [
        "",
        "Bearer",
        "Bearer x",
        &format!("Bearer {token}"),
        &format!("BAT {token}"),
    ] {
        for (method, path) in [("GET", "/apps"), ("POST", "/apps"), ("DELETE", "/apps/shop")] {
            let answer = client.request(method, path, &[("authorization", header)], b"");
            answer.expect_error(401, "Unauthorized");
        }
    }
}

/// Threads that belong to apps: all but those of the runtime, which come and go with the load.
fn own_threads(server: &Server) -> usize {
    let dir = format!("/proc/{}/task", server.pid());
    let names = std::fs::read_dir(dir).unwrap().flatten();
    let names = names.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    // Those that run code belong to the node, not to an app.
    names
        .filter(|name| name.starts_with("fb-") && !name.starts_with("fb-js-"))
        .count()
}

#[test]
fn two_hundred_apps_sleep_without_files_and_threads_and_wake_with_their_data() {
    let dir = tempfile::tempdir().unwrap();
    let running = server()
        .baqend()
        .data_dir(dir.path())
        .arg("--idle-timeout")
        .arg("300ms")
        .start();
    let operator = Operator::root(&running);
    let all_asleep = || {
        let nothing_is_open = open_files(&running, "/apps/") == 0 && own_threads(&running) == 0;
        (nothing_is_open && metric(&running, "freshbase_apps_awake") == Some(0.0)).then_some(())
    };
    wait_for("the default app to sleep", all_asleep);
    let role = |name: &str| json!({ "name": name });
    let names: Vec<String> = (0..200).map(|n| format!("app-{n}")).collect();
    std::thread::scope(|scope| {
        for part in names.chunks(50) {
            let (operator, running, role) = (&operator, &running, &role);
            scope.spawn(move || {
                for name in part {
                    // Most have no administrator: hashing all the passwords would take longer than the rest.
                    if name.ends_with('7') {
                        operator.create(name);
                        let admin = running.app(name).login("root", fb_testkit::ROOT_PASSWORD);
                        let fields = json!({ "name": { "type": "/db/String" } });
                        admin.post("/schema/Item", &json!({ "fields": fields })).expect(200);
                        admin
                            .post("/db/Item", &json!({ "id": "/db/Item/1", "name": name }))
                            .expect(201);
                    } else {
                        let new = json!({ "name": name, "compat": "baqend" });
                        operator.call("POST", "/apps", &new).expect(201);
                    }
                    let made = running.app(name).post("/db/Role", &role(name)).expect(201).json();
                    assert_eq!(made["id"], "/db/Role/4", "behind the three that each app has");
                }
            });
        }
    });
    assert_eq!(metric(&running, "freshbase_apps"), Some(201.0));
    wait_for("all apps to sleep", all_asleep);
    for name in &names {
        let app = running.app(name);
        assert_eq!(app.get("/db/Role/4").expect(200).json()["name"], **name);
        if name.ends_with('7') {
            let object = app.get("/db/Item/1").expect(200).json();
            assert_eq!(object["name"], **name);
        }
    }
    wait_for("all apps to sleep", all_asleep);
    let left: Vec<_> = std::fs::read_dir(dir.path().join("trash")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_app_that_is_awake_has_its_files_open() {
    let running = server().baqend().start();
    root(&running)
        .post("/schema/Item", &json!({ "fields": {} }))
        .expect(200);
    assert!(open_files(&running, "/apps/main/") > 0 && own_threads(&running) > 0);
    assert_eq!(metric(&running, "freshbase_apps_awake"), Some(1.0));
}

/// The app falls asleep between requests, every millisecond, and no request notices.
#[test]
fn no_request_fails_while_its_app_falls_asleep() {
    let running = server().baqend().arg("--idle-timeout").arg("1ms").start();
    let admin = root(&running);
    let integer = json!({ "type": "/db/Integer" });
    admin
        .post("/schema/Item", &json!({ "fields": { "n": integer } }))
        .expect(200);
    admin
        .post("/db/Item", &json!({ "id": "/db/Item/all", "n": 0 }))
        .expect(201);
    const ROUNDS: u64 = 15;
    const WRITES: u64 = 4;
    for round in 0..ROUNDS {
        // From here it has to wake up; with any pause between requests it falls asleep again.
        wait_for("the app to sleep", || {
            (metric(&running, "freshbase_apps_awake") == Some(0.0)).then_some(())
        });
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (running, admin) = (&running, &admin);
                scope.spawn(move || {
                    let mut connection = Connection::open(running.address()).unwrap();
                    let mut call = |method: &str, path: &str, body: Value| {
                        connection.request(admin, method, path, &[], &body).expect("an answer")
                    };
                    for n in 0..WRITES {
                        call("POST", "/db/Item/all", json!({ "$inc": { "n": 1 } })).expect(200);
                        let id = format!("/db/Item/{round}-{thread}-{n}");
                        call("POST", "/db/Item", json!({ "id": id, "n": -1 })).expect(201);
                        call("GET", &id, Value::Null).expect(200);
                        call("GET", "/db/Item/count", Value::Null).expect(200);
                    }
                });
            }
        });
    }
    assert_eq!(admin.get("/db/Item/all").expect(200).json()["n"], 3 * ROUNDS * WRITES);
    assert_eq!(
        admin.get("/db/Item/count").expect(200).json()["count"],
        3 * ROUNDS * WRITES + 1
    );
    let log = running.log();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

/// Deleting an app while it is written to: every request is answered, and the rest of the node does not care.
#[test]
fn an_app_can_be_deleted_while_it_is_used() {
    let running = server().baqend().start();
    let operator = Operator::root(&running);
    for round in 0..5 {
        operator.create("shop");
        let shop = running.app("shop").login("root", fb_testkit::ROOT_PASSWORD);
        shop.post("/schema/Item", &json!({ "fields": {} })).expect(200);
        let (written, progress) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (written, shop) = (written.clone(), &shop);
                scope.spawn(move || {
                    loop {
                        let answer = shop.post("/db/Item", &json!({}));
                        match answer.status {
                            201 => drop(written.send(())),
                            503 => drop(answer.expect_error(503, "Unavailable")),
                            _ => {
                                answer.expect_error(404, "AppNotFound");
                                return;
                            }
                        }
                    }
                });
            }
            for _ in 0..10 {
                progress.recv().unwrap();
            }
            operator.call("DELETE", "/apps/shop", &Value::Null).expect(204);
        });
        assert_eq!(open_files(&running, "/shop/"), 0, "round {round}");
        root(&running).get("/schema").expect(200);
    }
    assert!(!has_files(&running, "shop"));
}
